/*
 * The server's side of TLS (1.2 or newer) over bytes in memory: no sockets, no clock. OpenSSL is
 * behind it and nothing else of the program knows. Runs in `vitrine`.
 */
#ifndef TRANSPORT_TLS_H
#define TRANSPORT_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

struct tls_context; /* a certificate and its key; shared by all connections */
struct tls;         /* one connection */

/* Reads a certificate chain (the server's own first) and its key, both PEM. ERR_USAGE with what to
 * do; a key that others can read is only warned of. The caller owns *out. */
int tls_context_new(const char *cert_path, const char *key_path, struct tls_context **out,
                    struct err *err);
void tls_context_free(struct tls_context *context);

/* NULL: out of memory. Borrows the context. */
struct tls *tls_new(struct tls_context *context);
void tls_free(struct tls *tls);

/* Takes all bytes that came from the client: at most 64 KiB before everything they hold is read. 0,
 * or -1 when they are no TLS. */
int tls_take(struct tls *tls, const char *bytes, size_t len);

enum tls_read { TLS_READ_SOME, TLS_READ_NOTHING, TLS_READ_END, TLS_READ_FAILED };

/* Plain bytes that have come, after the handshake, which it does. *read says how many, with
 * TLS_READ_SOME. */
enum tls_read tls_read(struct tls *tls, char *bytes, size_t size, size_t *read);

/* Encrypts; after the handshake alone. 0 or -1. */
int tls_write(struct tls *tls, struct span bytes);

/* Says that no more will be written. */
void tls_end(struct tls *tls);

/* Moves what is to be sent to the client into `out`. 0, or -1 as buf_append. */
int tls_move_cipher(struct tls *tls, struct buf *out);

#endif
