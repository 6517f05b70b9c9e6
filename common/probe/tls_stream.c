/* TLS over memory BIOs. Invariant: no plain text is given out or taken before the handshake is done and the name verified. */
#include "probe/tls_stream.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tls_stream {
    SSL *ssl;
    BIO *in, *out; /* owned by ssl */
    bool ready;
    struct tls_verdict verdict;
    char error[TLS_ERROR_TEXT];
};

static const unsigned char alpn[] = "\x12stun.nat-discovery";

int tls_stream_new(struct tls_stream **out, SSL_CTX *ctx, const char *host)
{
    struct tls_stream *t = calloc(1, sizeof *t);
    int err = -ENOMEM;
    if (!t)
        return err;
    t->ssl = SSL_new(ctx);
    t->in = BIO_new(BIO_s_mem());
    t->out = BIO_new(BIO_s_mem());
    if (!t->ssl || !t->in || !t->out) {
        BIO_free(t->in);
        BIO_free(t->out);
        goto out;
    }
    BIO_set_mem_eof_return(t->in, -1); /* empty is "more needed", not the end */
    SSL_set_bio(t->ssl, t->in, t->out);
    SSL_set_connect_state(t->ssl);
    if (SSL_set_alpn_protos(t->ssl, alpn, sizeof alpn - 1) != 0)
        goto out;
    tls_client_verdict(t->ssl, &t->verdict);
    err = tls_client_expect(t->ssl, host);
out:
    if (err < 0) {
        tls_stream_destroy(t);
        ERR_clear_error();
        return err;
    }
    *out = t;
    return 0;
}

void tls_stream_destroy(struct tls_stream *t)
{
    if (!t)
        return;
    SSL_free(t->ssl);
    free(t);
}

int tls_stream_feed(struct tls_stream *t, const uint8_t *bytes, size_t len)
{
    return BIO_write(t->in, bytes, (int)len) == (int)len ? 0 : -ENOMEM;
}

static int fail(struct tls_stream *t)
{
    char reason[TLS_ERROR_TEXT];
    bool unverified = SSL_get_verify_result(t->ssl) != X509_V_OK && t->verdict.issuer[0] != '\0';
    tls_error_text(t->ssl, reason);
    snprintf(t->error, sizeof t->error, "%.150s%s%s%s", reason, unverified ? " (issued by " : "",
             unverified ? t->verdict.issuer : "", unverified ? ")" : "");
    return -EPROTO;
}

int tls_stream_offer_http(struct tls_stream *t)
{
    static const unsigned char http[] = "\x08http/1.1";
    return SSL_set_alpn_protos(t->ssl, http, sizeof http - 1) == 0 ? 0 : -ENOMEM;
}

static bool key_is_known(const struct tls_stream *t, const struct node_spki *keys)
{
    char key[SPKI_TEXT_LEN + 1];
    const X509 *certificate = SSL_get0_peer_certificate(t->ssl);
    if (!certificate || tls_spki(certificate, key) < 0)
        return true; /* not asked for, or it can't be told */
    for (size_t i = 0; i < keys->n; i++) {
        if (strcmp(keys->at[i], key) == 0)
            return true;
    }
    return false;
}

bool tls_stream_intercepted(const struct tls_stream *t, const struct node_spki *keys)
{
    return t->verdict.intercepted || (keys && keys->n > 0 && !key_is_known(t, keys));
}

const char *tls_stream_issuer(struct tls_stream *t, const struct node_spki *keys)
{
    const X509 *certificate = SSL_get0_peer_certificate(t->ssl);
    if (t->verdict.issuer[0] == '\0' && certificate && tls_stream_intercepted(t, keys))
        tls_issuer(certificate, t->verdict.issuer);
    return t->verdict.issuer;
}

static bool wants_more(const struct tls_stream *t, int rc)
{
    int e = SSL_get_error(t->ssl, rc);
    return e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE;
}

int tls_stream_handshake(struct tls_stream *t)
{
    ERR_clear_error();
    int rc = SSL_do_handshake(t->ssl);
    if (rc != 1)
        return wants_more(t, rc) ? 0 : fail(t);
    if (SSL_get_verify_result(t->ssl) != X509_V_OK)
        return fail(t);
    t->ready = true;
    return 1;
}

ssize_t tls_stream_read(struct tls_stream *t, uint8_t *buf, size_t cap)
{
    size_t n = 0;
    if (!t->ready)
        return -EPROTO;
    ERR_clear_error();
    int rc = SSL_read_ex(t->ssl, buf, cap, &n);
    if (rc == 1)
        return (ssize_t)n;
    if (wants_more(t, rc))
        return 0;
    return SSL_get_error(t->ssl, rc) == SSL_ERROR_ZERO_RETURN ? -ECONNRESET : fail(t);
}

int tls_stream_write(struct tls_stream *t, const uint8_t *bytes, size_t len)
{
    size_t n = 0;
    if (!t->ready)
        return -EPROTO;
    ERR_clear_error();
    return SSL_write_ex(t->ssl, bytes, len, &n) == 1 && n == len ? 0 : fail(t);
}

void tls_stream_shut(struct tls_stream *t)
{
    if (t->ready)
        SSL_shutdown(t->ssl);
    ERR_clear_error();
}

size_t tls_stream_output(struct tls_stream *t, const uint8_t **bytes)
{
    char *p = NULL;
    long n = BIO_get_mem_data(t->out, &p);
    *bytes = (const uint8_t *)p;
    return n > 0 ? (size_t)n : 0;
}

void tls_stream_sent(struct tls_stream *t, size_t len)
{
    uint8_t gone[1024];
    while (len > 0) {
        int n = BIO_read(t->out, gone, (int)(len < sizeof gone ? len : sizeof gone));
        if (n <= 0)
            return;
        len -= (size_t)n;
    }
}

const char *tls_stream_error(const struct tls_stream *t)
{
    return t->error;
}
