/* TLS: keys and certificates that fit or do not, handshakes over memory, and a server that has it.
 */
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/limits.h"
#include "http_fixture.h"
#include "transport/tls.h"

enum { PAIRS = 2 };

static char folder[] = "/tmp/test_tls.XXXXXX";
static char cert_paths[PAIRS][64];
static char key_paths[PAIRS][64];
static char noise_path[64];

static void write_pair(unsigned which)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    assert_non_null(key);
    assert_non_null(cert);
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -60);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)"localhost", -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(cert));
    X509_set_pubkey(cert, key);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    snprintf(cert_paths[which], sizeof *cert_paths, "%s/%u.cert", folder, which);
    snprintf(key_paths[which], sizeof *key_paths, "%s/%u.key", folder, which);
    FILE *file = fopen(cert_paths[which], "we");
    assert_non_null(file);
    PEM_write_X509(file, cert);
    fclose(file);
    file = fopen(key_paths[which], "we");
    assert_non_null(file);
    PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    fclose(file);
    chmod(key_paths[which], 0600);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static int set_up(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    for (unsigned i = 0; i < PAIRS; i++) {
        write_pair(i);
    }
    snprintf(noise_path, sizeof noise_path, "%s/noise", folder);
    FILE *file = fopen(noise_path, "we");
    assert_non_null(file);
    fputs("-----BEGIN CERTIFICATE-----\nnoise\n-----END CERTIFICATE-----\n", file);
    fclose(file);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PAIRS; i++) {
        unlink(cert_paths[i]);
        unlink(key_paths[i]);
    }
    unlink(noise_path);
    return rmdir(folder);
}

static void assert_unusable(const char *cert, const char *key, const char *file, const char *why)
{
    struct tls_context *context = NULL;
    struct err err = {.text = ""};
    assert_int_equal(tls_context_new(cert, key, &context, &err), -1);
    assert_int_equal(err.code, ERR_USAGE);
    assert_has(err.text, file);
    assert_has(err.text, why);
}

static void what_cannot_be_used_is_said(void **state)
{
    (void)state;
    assert_unusable("/nowhere/cert", key_paths[0], "/nowhere/cert", "No such file");
    assert_unusable(cert_paths[0], "/nowhere/key", "/nowhere/key", "No such file");
    assert_unusable(folder, key_paths[0], folder, "is no file");
    assert_unusable(noise_path, key_paths[0], noise_path, "must be PEM");
    assert_unusable(key_paths[0], key_paths[0], key_paths[0], "certificate ");
    assert_unusable(cert_paths[0], cert_paths[0], cert_paths[0], "key ");
    assert_unusable(cert_paths[0], key_paths[1], key_paths[1], "not the key of the certificate");
}

/* A client of OpenSSL's, whose bytes go through memory. */
struct client {
    SSL_CTX *context;
    SSL *ssl;
};

static void client_init(struct client *client, int version, const char *alpn)
{
    client->context = SSL_CTX_new(TLS_client_method());
    assert_non_null(client->context);
    SSL_CTX_set_security_level(client->context, 0);
    SSL_CTX_set_min_proto_version(client->context, version);
    SSL_CTX_set_max_proto_version(client->context, version);
    client->ssl = SSL_new(client->context);
    assert_non_null(client->ssl);
    SSL_set_bio(client->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(client->ssl);
    SSL_set_alpn_protos(client->ssl, (const unsigned char *)alpn, (unsigned)strlen(alpn));
}

static void client_free(struct client *client)
{
    SSL_free(client->ssl);
    SSL_CTX_free(client->context);
}

/* Moves what both have to say, once; what the server made of it. */
static enum tls_read exchange(struct client *client, struct tls *tls, char *bytes, size_t *read)
{
    static char cipher[64 * 1024];
    struct buf out;
    size_t len = 0;
    if (BIO_read_ex(SSL_get_wbio(client->ssl), cipher, sizeof cipher, &len) == 1) {
        assert_int_equal(tls_take(tls, cipher, len), 0);
    }
    enum tls_read result = tls_read(tls, bytes, 1024, read);
    buf_init(&out, MIB);
    assert_int_equal(tls_move_cipher(tls, &out), 0);
    if (out.len > 0) {
        BIO_write(SSL_get_rbio(client->ssl), out.base, (int)out.len);
    }
    buf_free(&out);
    return result;
}

static bool shake_hands(struct client *client, struct tls *tls)
{
    char bytes[1024];
    size_t read = 0;
    for (unsigned i = 0; i < 10 && !SSL_is_init_finished(client->ssl); i++) {
        int result = SSL_do_handshake(client->ssl);
        bool is_over = result != 1 && SSL_get_error(client->ssl, result) != SSL_ERROR_WANT_READ;
        if (exchange(client, tls, bytes, &read) == TLS_READ_FAILED || is_over) {
            return false;
        }
    }
    return SSL_is_init_finished(client->ssl);
}

static struct tls_context *open_context(void)
{
    struct tls_context *context = NULL;
    struct err err = {.text = ""};
    if (tls_context_new(cert_paths[0], key_paths[0], &context, &err) != 0) {
        fail_msg("%s", err.text);
    }
    return context;
}

/* Whether a client of that version and ALPN gets through, and what it sends comes back. */
static bool is_served(int version, const char *alpn)
{
    struct tls_context *context = open_context();
    struct tls *tls = tls_new(context);
    struct client client;
    char bytes[1024];
    size_t read = 0;
    client_init(&client, version, alpn);
    bool is_through = shake_hands(&client, tls);
    if (is_through) {
        assert_int_equal(SSL_write(client.ssl, "hello", 5), 5);
        assert_int_equal(exchange(&client, tls, bytes, &read), TLS_READ_SOME);
        assert_int_equal(read, 5);
        assert_memory_equal(bytes, "hello", 5);
        assert_int_equal(exchange(&client, tls, bytes, &read), TLS_READ_NOTHING);
        assert_int_equal(tls_write(tls, (struct span){"world", 5}), 0);
        exchange(&client, tls, bytes, &read);
        assert_int_equal(SSL_read(client.ssl, bytes, sizeof bytes), 5);
        SSL_shutdown(client.ssl);
        assert_int_equal(exchange(&client, tls, bytes, &read), TLS_READ_END);
        tls_end(tls);
    }
    client_free(&client);
    tls_free(tls);
    tls_context_free(context);
    return is_through;
}

static void versions_and_protocols_are_chosen(void **state)
{
    (void)state;
    assert_true(is_served(TLS1_3_VERSION, ""));
    assert_true(is_served(TLS1_2_VERSION, ""));
    assert_true(is_served(TLS1_3_VERSION, "\x02h2\x08http/1.1"));
    assert_false(is_served(TLS1_3_VERSION, "\x02h2"));
    assert_false(is_served(TLS1_1_VERSION, ""));
    assert_false(is_served(TLS1_VERSION, ""));
}

static void a_second_handshake_is_refused(void **state)
{
    struct tls_context *context = open_context();
    struct tls *tls = tls_new(context);
    struct client client;
    char bytes[1024];
    size_t read = 0;
    (void)state;
    client_init(&client, TLS1_2_VERSION, "");
    assert_true(shake_hands(&client, tls));
    assert_int_equal(SSL_renegotiate(client.ssl), 1);
    SSL_do_handshake(client.ssl);
    exchange(&client, tls, bytes, &read);
    int result = SSL_do_handshake(client.ssl);
    assert_int_equal(SSL_get_error(client.ssl, result), SSL_ERROR_SSL); /* an alert has come */
    client_free(&client);
    tls_free(tls);
    tls_context_free(context);
}

static void noise_is_no_handshake(void **state)
{
    struct tls_context *context = open_context();
    struct tls *tls = tls_new(context);
    char bytes[1024];
    size_t read = 0;
    (void)state;
    assert_int_equal(tls_take(tls, "GET / HTTP/1.1\r\n\r\n", 18), 0);
    assert_int_equal(tls_read(tls, bytes, sizeof bytes, &read), TLS_READ_FAILED);
    tls_free(tls);
    tls_context_free(context);
}

/* A client over a socket, which waits while the loop turns. */
static SSL *connect_to_host(struct client *client)
{
    client_init(client, TLS1_3_VERSION, "\x08http/1.1");
    int fd = client_open();
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    SSL_set_fd(client->ssl, fd);
    return client->ssl;
}

static void host_says(SSL *ssl, const char *text, const char *end, char *out, size_t size)
{
    size_t len = 0;
    uint64_t begun = now_ms();
    bool is_sent = *text == '\0';
    out[0] = '\0';
    while (len < strlen(end) || strcmp(out + len - strlen(end), end) != 0) {
        size_t read = 0;
        is_sent = is_sent || SSL_write(ssl, text, (int)strlen(text)) > 0;
        if (is_sent && SSL_read_ex(ssl, out + len, size - 1 - len, &read) == 1) {
            len += read;
            out[len] = '\0';
        }
        host_turn();
        assert_true(now_ms() - begun < 10000);
    }
}

static void a_server_speaks_it(void **state)
{
    const struct http_config config = {
        .tls_cert = cert_paths[0], .tls_key = key_paths[0], .head_ms = 300};
    struct client client;
    char reply[4096];
    (void)state;
    host_open(&config);
    host.answers_at_once = true;
    SSL *ssl = connect_to_host(&client);
    int fd = SSL_get_fd(ssl);
    host_says(ssl, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello", "hello", reply,
              sizeof reply);
    assert_has(reply, "HTTP/1.1 200 OK\r\n");
    host.answers_at_once = false;
    host_says(ssl, "GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n", "a folded line\n", reply,
              sizeof reply);
    assert_has(reply, "HTTP/1.1 400 ");
    client_free(&client);
    close(fd);
    /* Handshakes that fail, or never come to an end. */
    fd = client_open();
    client_say(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    client_read(fd, NULL);
    close(fd);
    assert_int_equal(http_counts(host.server).refused[HTTP_REFUSED_TLS], 1);
    fd = client_open();
    client_send(fd, "\x16\x03\x01\x02\x00\x01\x00\x01", 8);
    host_until_refused(HTTP_REFUSED_DEADLINE, 1);
    close(fd);
    host_until_connections(0);
    assert_int_equal(http_counts(host.server).bytes_held, 0);
    host_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_used_is_said),
        cmocka_unit_test(versions_and_protocols_are_chosen),
        cmocka_unit_test(a_second_handshake_is_refused),
        cmocka_unit_test(noise_is_no_handshake),
        cmocka_unit_test(a_server_speaks_it),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
