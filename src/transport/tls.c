#include "transport/tls.h"

#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"

/* `struct tls_context` is an SSL_CTX and `struct tls` an SSL; they exist by name only. */
static SSL_CTX *context_of(struct tls_context *context)
{
    return (SSL_CTX *)(void *)context;
}

static SSL *ssl_of(struct tls *tls)
{
    return (SSL *)(void *)tls;
}

/* OpenSSL's own words for what went wrong last; the queue is empty afterwards. */
static int fail(struct err *err, const char *what, const char *path, const char *hint)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = ERR_reason_error_string(code);
    ERR_clear_error();
    return err_set(err, ERR_USAGE, "%s %s: %s%s", what, path,
                   reason == NULL ? "it cannot be used" : reason, hint);
}

static int check_file(const char *what, const char *path, bool is_secret, struct err *err)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        err_system(err, "%s %s", what, path);
        err->code = ERR_USAGE;
        return -1;
    }
    if (!S_ISREG(status.st_mode) && !S_ISFIFO(status.st_mode)) {
        return err_set(err, ERR_USAGE, "%s %s is no file", what, path);
    }
    if (is_secret && (status.st_mode & (S_IRGRP | S_IROTH)) != 0) {
        log_warning("%s %s can be read by others than its owner; chmod 600 it", what, path);
    }
    return 0;
}

/* Clients that speak ALPN and not HTTP/1.1 are told so in the handshake. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned in_len, void *context)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *chosen = NULL;
    (void)ssl;
    (void)context;
    if (SSL_select_next_proto(&chosen, out_len, ours, sizeof ours - 1, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* A key with a passphrase would ask for it on the terminal. */
static int refuse_passphrase(char *out, int size, int is_writing, void *context)
{
    (void)out;
    (void)size;
    (void)is_writing;
    (void)context;
    return -1;
}

static int load(SSL_CTX *ssl, const char *cert_path, const char *key_path, struct err *err)
{
    if (check_file("certificate", cert_path, false, err) != 0 ||
        check_file("key", key_path, true, err) != 0) {
        return -1;
    }
    if (SSL_CTX_use_certificate_chain_file(ssl, cert_path) != 1) {
        return fail(err, "certificate", cert_path, " (it must be PEM, the server's own first)");
    }
    if (SSL_CTX_use_PrivateKey_file(ssl, key_path, SSL_FILETYPE_PEM) != 1) {
        bool is_mismatch = ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH;
        return fail(err, "key", key_path,
                    is_mismatch ? " (it is not the key of the certificate)"
                                : " (it must be PEM, without a passphrase)");
    }
    if (SSL_CTX_check_private_key(ssl) != 1) {
        return fail(err, "key", key_path, " (it is not the key of the certificate)");
    }
    return 0;
}

int tls_context_new(const char *cert_path, const char *key_path, struct tls_context **out,
                    struct err *err)
{
    SSL_CTX *ssl = SSL_CTX_new(TLS_server_method());
    if (ssl == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE);
    /* Clients that go without close_notify have gone all the same. */
    SSL_CTX_set_options(ssl, SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF); /* tickets do without */
    SSL_CTX_set_default_passwd_cb(ssl, refuse_passphrase);
    SSL_CTX_set_alpn_select_cb(ssl, choose_protocol, NULL);
    if (load(ssl, cert_path, key_path, err) != 0) {
        SSL_CTX_free(ssl);
        return -1;
    }
    *out = (struct tls_context *)(void *)ssl;
    return 0;
}

void tls_context_free(struct tls_context *context)
{
    SSL_CTX_free(context_of(context));
}

struct tls *tls_new(struct tls_context *context)
{
    SSL *ssl = SSL_new(context_of(context));
    BIO *in = BIO_new(BIO_s_mem());
    BIO *out = BIO_new(BIO_s_mem());
    if (ssl == NULL || in == NULL || out == NULL) {
        BIO_free(in);
        BIO_free(out);
        SSL_free(ssl);
        ERR_clear_error();
        return NULL;
    }
    SSL_set_bio(ssl, in, out);
    SSL_set_accept_state(ssl);
    return (struct tls *)(void *)ssl;
}

void tls_free(struct tls *tls)
{
    SSL_free(ssl_of(tls));
}

int tls_take(struct tls *tls, const char *bytes, size_t len)
{
    int taken = BIO_write(SSL_get_rbio(ssl_of(tls)), bytes, (int)len);
    return taken == (int)len ? 0 : -1;
}

enum tls_read tls_read(struct tls *tls, char *bytes, size_t size, size_t *read)
{
    ERR_clear_error();
    int result = SSL_read_ex(ssl_of(tls), bytes, size, read);
    if (result == 1) {
        return TLS_READ_SOME;
    }
    int failure = SSL_get_error(ssl_of(tls), result);
    ERR_clear_error();
    if (failure == SSL_ERROR_ZERO_RETURN) {
        return TLS_READ_END;
    }
    return failure == SSL_ERROR_WANT_READ || failure == SSL_ERROR_WANT_WRITE ? TLS_READ_NOTHING
                                                                             : TLS_READ_FAILED;
}

int tls_write(struct tls *tls, struct span bytes)
{
    size_t written = 0;
    if (bytes.len == 0) {
        return 0;
    }
    ERR_clear_error();
    /* A memory BIO takes everything at once. */
    int result = SSL_write_ex(ssl_of(tls), bytes.base, bytes.len, &written);
    ERR_clear_error();
    return result == 1 && written == bytes.len ? 0 : -1;
}

void tls_end(struct tls *tls)
{
    if (SSL_is_init_finished(ssl_of(tls))) {
        SSL_shutdown(ssl_of(tls));
    }
    ERR_clear_error();
}

int tls_move_cipher(struct tls *tls, struct buf *out)
{
    BIO *bio = SSL_get_wbio(ssl_of(tls));
    size_t waiting = BIO_ctrl_pending(bio);
    if (waiting == 0) {
        return 0;
    }
    size_t moved = 0;
    if (buf_reserve(out, waiting) != 0 ||
        BIO_read_ex(bio, out->base + out->len, waiting, &moved) != 1 || moved != waiting) {
        return -1;
    }
    out->len += moved;
    return 0;
}
