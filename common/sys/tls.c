/* OpenSSL contexts of servers and clients. Invariant: tls_server_ctx always hands out a whole context with a matching key;
 * a reload that fails changes nothing. */
#include "sys/tls.h"

#include "core/addr.h"
#include "sys/file.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALPN_WIRE_MAX = 128 };

struct tls_server {
    char *cert_file, *key_file;
    unsigned char alpn[ALPN_WIRE_MAX]; /* length-prefixed names, RFC 7301 3.1 */
    unsigned alpn_len;
    void (*info)(const SSL *ssl, int where, int ret);
    pthread_mutex_t lock; /* of ctx */
    SSL_CTX *ctx;
};

static int fail(char err[static TLS_ERROR_TEXT], const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int fail(char err[static TLS_ERROR_TEXT], const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err, TLS_ERROR_TEXT, fmt, ap);
    va_end(ap);
    return -EINVAL;
}

void tls_error_text(const SSL *ssl, char err[static TLS_ERROR_TEXT])
{
    unsigned long first = ERR_get_error();
    long verify = ssl != NULL ? SSL_get_verify_result(ssl) : X509_V_OK;
    const char *reason = ERR_reason_error_string(first);
    if (verify != X509_V_OK)
        snprintf(err, TLS_ERROR_TEXT, "%s", X509_verify_cert_error_string(verify));
    else if (first != 0 && ERR_SYSTEM_ERROR(first))
        snprintf(err, TLS_ERROR_TEXT, "%s", strerror((int)ERR_GET_REASON(first)));
    else if (reason != NULL)
        snprintf(err, TLS_ERROR_TEXT, "%s", reason);
    else
        snprintf(err, TLS_ERROR_TEXT, "connection closed");
    ERR_clear_error();
}

/* `what` failed for `file`: the reason is OpenSSL's. */
static int fail_openssl(char err[static TLS_ERROR_TEXT], const char *what, const char *file)
{
    char reason[TLS_ERROR_TEXT];
    tls_error_text(NULL, reason);
    return fail(err, "%s%s%.100s: %.100s", what, file[0] != '\0' ? " " : "", file, reason);
}

/* AES-128 with SHA-256 first: processors have instructions for both, but few for SHA-384, of which a handshake is full. */
static const char suites_1_3[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

/* What servers and clients have in common. */
static SSL_CTX *ctx_new(const SSL_METHOD *method)
{
    SSL_CTX *ctx = SSL_CTX_new(method);
    if (ctx == NULL)
        return NULL;
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1 ||
        SSL_CTX_set_ciphersuites(ctx, suites_1_3) != 1 ||
        SSL_CTX_set1_groups_list(ctx, "X25519:P-256") != 1) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

/* None in common goes on without ALPN, as with clients that offer none. */
static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
                       unsigned in_len, void *arg)
{
    const struct tls_server *t = arg;
    unsigned char *chosen = NULL;
    if (SSL_select_next_proto(&chosen, out_len, t->alpn, t->alpn_len, in, in_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* An encrypted key must not make a daemon ask its terminal. */
static int no_password(char *buf, int size, int rwflag, void *arg)
{
    return 0;
}

/* PEM's end is an error as another. */
static int at_the_end(void)
{
    unsigned long e = ERR_peek_last_error();
    if (ERR_GET_LIB(e) != ERR_LIB_PEM || ERR_GET_REASON(e) != PEM_R_NO_START_LINE)
        return 0;
    ERR_clear_error();
    return 1;
}

/* The file's text in memory, for `use`; 1 where that worked. */
static int with_pem(SSL_CTX *ctx, const char *what, const char *file, int (*use)(SSL_CTX *ctx, BIO *pem),
                    char err[static TLS_ERROR_TEXT])
{
    char *text = NULL;
    ssize_t len = file_read_whole(file, FILE_TEXT_MAX, &text);
    if (len < 0) {
        fail(err, "%s %.100s: %.100s", what, file, file_error(len));
        return len == -ENOMEM ? -ENOMEM : -EINVAL;
    }
    BIO *pem = BIO_new_mem_buf(text, (int)len);
    int rc = 0;
    if (pem == NULL || use(ctx, pem) != 1)
        rc = ERR_peek_error() == 0 || at_the_end() ? fail(err, "%s %.150s holds no %s in PEM", what, file,
                                                          strcmp(what, "key") == 0 ? what : "certificate")
                                                   : fail_openssl(err, what, file);
    BIO_free(pem);
    OPENSSL_cleanse(text, (size_t)len);
    free(text);
    return rc;
}

/* The first is the server's own, those behind it lead to the root. */
static int use_chain(SSL_CTX *ctx, BIO *pem)
{
    X509 *x = PEM_read_bio_X509_AUX(pem, NULL, no_password, NULL);
    int ok = x != NULL && SSL_CTX_use_certificate(ctx, x) == 1 && SSL_CTX_clear_chain_certs(ctx) == 1;
    X509_free(x);
    while (ok && (x = PEM_read_bio_X509(pem, NULL, no_password, NULL)) != NULL) {
        ok = SSL_CTX_add0_chain_cert(ctx, x) == 1;
        if (!ok)
            X509_free(x);
    }
    return ok && at_the_end();
}

static int use_key(SSL_CTX *ctx, BIO *pem)
{
    EVP_PKEY *key = PEM_read_bio_PrivateKey(pem, NULL, no_password, NULL);
    int ok = key != NULL && SSL_CTX_use_PrivateKey(ctx, key) == 1;
    EVP_PKEY_free(key);
    return ok;
}

static int server_ctx_new(SSL_CTX **out, struct tls_server *t, char err[static TLS_ERROR_TEXT])
{
    int rc = 0;
    ERR_clear_error();
    SSL_CTX *ctx = ctx_new(TLS_server_method());
    if (ctx == NULL)
        return fail_openssl(err, "TLS set-up", "");
    static const unsigned char session_context[] = "berth";
    SSL_CTX_set_session_id_context(ctx, session_context, sizeof(session_context) - 1);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ctx, 1);
    SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_default_passwd_cb(ctx, no_password);
    SSL_CTX_set_info_callback(ctx, t->info);
    if (t->alpn_len > 0)
        SSL_CTX_set_alpn_select_cb(ctx, select_alpn, t);
    rc = with_pem(ctx, "certificate", t->cert_file, use_chain, err);
    if (rc == 0)
        rc = with_pem(ctx, "key", t->key_file, use_key, err);
    if (rc == 0 && SSL_CTX_check_private_key(ctx) != 1)
        rc = fail_openssl(err, "key does not belong to the certificate:", t->key_file);
    if (rc != 0) {
        SSL_CTX_free(ctx);
        return rc;
    }
    *out = ctx;
    return 0;
}

static int set_alpn(struct tls_server *t, const char *const *alpn, char err[static TLS_ERROR_TEXT])
{
    for (; alpn != NULL && *alpn != NULL; alpn++) {
        size_t len = strlen(*alpn);
        if (len == 0 || strcmp(*alpn, "h2") == 0 || len + 1 > sizeof(t->alpn) - t->alpn_len)
            return fail(err, "ALPN protocol '%.64s' is not allowed here", *alpn);
        t->alpn[t->alpn_len++] = (unsigned char)len;
        memcpy(t->alpn + t->alpn_len, *alpn, len);
        t->alpn_len += (unsigned)len;
    }
    return 0;
}

int tls_server_new(struct tls_server **out, const struct tls_server_opts *opts,
                   char err[static TLS_ERROR_TEXT])
{
    struct tls_server *t = calloc(1, sizeof(*t));
    if (t == NULL)
        return -ENOMEM;
    pthread_mutex_init(&t->lock, NULL);
    t->cert_file = strdup(opts->cert_file);
    t->key_file = strdup(opts->key_file);
    t->info = opts->info;
    int rc = t->cert_file != NULL && t->key_file != NULL ? 0 : -ENOMEM;
    if (rc == 0)
        rc = set_alpn(t, opts->alpn, err);
    if (rc == 0)
        rc = server_ctx_new(&t->ctx, t, err);
    if (rc != 0) {
        tls_server_destroy(t);
        return rc;
    }
    *out = t;
    return 0;
}

SSL_CTX *tls_server_ctx(struct tls_server *t)
{
    pthread_mutex_lock(&t->lock);
    SSL_CTX *ctx = t->ctx;
    SSL_CTX_up_ref(ctx);
    pthread_mutex_unlock(&t->lock);
    return ctx;
}

int tls_server_reload(struct tls_server *t, char err[static TLS_ERROR_TEXT])
{
    SSL_CTX *fresh = NULL;
    int rc = server_ctx_new(&fresh, t, err);
    if (rc != 0)
        return rc;
    pthread_mutex_lock(&t->lock);
    SSL_CTX *old = t->ctx;
    t->ctx = fresh;
    pthread_mutex_unlock(&t->lock);
    SSL_CTX_free(old);
    return 0;
}

void tls_server_destroy(struct tls_server *t)
{
    if (t == NULL)
        return;
    SSL_CTX_free(t->ctx);
    pthread_mutex_destroy(&t->lock);
    free(t->cert_file);
    free(t->key_file);
    free(t);
}

static int verify_twice(X509_STORE_CTX *asked, void *arg);

/* One certificate at least; the same twice is fine. */
static int trust_all(SSL_CTX *ctx, BIO *pem)
{
    int n = 0;
    for (X509 *x; (x = PEM_read_bio_X509_AUX(pem, NULL, no_password, NULL)) != NULL; n++) {
        int ok = X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), x);
        X509_free(x);
        if (ok != 1)
            return 0;
    }
    return at_the_end() && n > 0;
}

int tls_client_ctx_new(SSL_CTX **out, const char *ca_file, char err[static TLS_ERROR_TEXT])
{
    ERR_clear_error();
    SSL_CTX *ctx = ctx_new(TLS_client_method());
    if (ctx == NULL)
        return fail_openssl(err, "TLS set-up", "");
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(ctx, verify_twice, NULL); /* notes who signed what is refused */
    int rc = 0;
    if (ca_file != NULL)
        rc = with_pem(ctx, "CA file", ca_file, trust_all, err);
    else if (SSL_CTX_set_default_verify_paths(ctx) != 1)
        rc = fail_openssl(err, "CA file", "of the system");
    if (rc != 0) {
        SSL_CTX_free(ctx);
        return rc;
    }
    *out = ctx;
    return 0;
}

int tls_client_expect(SSL *ssl, const char *host)
{
    struct addr ip;
    if (addr_parse_ip(&ip, host) == 0) {
        size_t len = ip.family == ADDR_V4 ? 4 : 16;
        return X509_VERIFY_PARAM_set1_ip(SSL_get0_param(ssl), ip.ip, len) == 1 ? 0 : -EINVAL;
    }
    char name[HOST_MAX + 1]; /* OpenSSL's macro wants it writable */
    size_t len = strlen(host);
    if (len == 0 || len > HOST_MAX)
        return -EINVAL;
    memcpy(name, host, len + 1);
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (SSL_set1_host(ssl, name) != 1 || SSL_set_tlsext_host_name(ssl, name) != 1)
        return -EINVAL;
    return 0;
}

int tls_spki(const X509 *certificate, char out[static SPKI_TEXT_LEN + 1])
{
    unsigned char *der = NULL, hash[EVP_MAX_MD_SIZE];
    unsigned hash_len = 0;
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
    int rc = len > 0 && EVP_Digest(der, (size_t)len, hash, &hash_len, EVP_sha256(), NULL) == 1 ? 0 : -ENOMEM;
    if (rc == 0)
        EVP_EncodeBlock((unsigned char *)out, hash, (int)hash_len);
    OPENSSL_free(der);
    return rc;
}

/* ---- a second opinion ---- */

struct tls_fallback {
    X509_STORE *store; /* NULL: not read yet */
};

int tls_fallback_new(struct tls_fallback **out)
{
    *out = calloc(1, sizeof(**out));
    return *out != NULL ? 0 : -ENOMEM;
}

void tls_fallback_destroy(struct tls_fallback *f)
{
    if (f == NULL)
        return;
    X509_STORE_free(f->store);
    free(f);
}

static X509_STORE *system_store(struct tls_fallback *f)
{
    if (f->store == NULL && (f->store = X509_STORE_new()) != NULL &&
        X509_STORE_set_default_paths(f->store) != 1) {
        X509_STORE_free(f->store);
        f->store = NULL;
    }
    return f->store;
}

/* The same certificate, name and dates against the system's store. */
static bool system_trusts(struct tls_fallback *f, X509_STORE_CTX *asked, SSL *ssl)
{
    X509_STORE *store = system_store(f);
    X509_STORE_CTX *again = store != NULL ? X509_STORE_CTX_new() : NULL;
    bool trusts = false;
    if (again != NULL &&
        X509_STORE_CTX_init(again, store, X509_STORE_CTX_get0_cert(asked),
                            X509_STORE_CTX_get0_untrusted(asked)) == 1 &&
        X509_STORE_CTX_set_default(again, "ssl_server") == 1 &&
        X509_VERIFY_PARAM_set1(X509_STORE_CTX_get0_param(again), SSL_get0_param(ssl)) == 1)
        trusts = X509_verify_cert(again) == 1;
    X509_STORE_CTX_free(again);
    ERR_clear_error();
    return trusts;
}

void tls_issuer(const X509 *certificate, char out[static TLS_ISSUER_TEXT])
{
    X509_NAME *issuer = X509_get_issuer_name(certificate);
    if (X509_NAME_get_text_by_NID(issuer, NID_commonName, out, TLS_ISSUER_TEXT) <= 0 &&
        X509_NAME_get_text_by_NID(issuer, NID_organizationName, out, TLS_ISSUER_TEXT) <= 0)
        out[0] = '\0';
    for (char *c = out; *c != '\0'; c++) { /* it is for people, and anybody could have written it */
        if ((unsigned char)*c < ' ' || (unsigned char)*c > '~')
            *c = '?';
    }
}

/* `arg`: the fallback, or NULL. */
static int verify_twice(X509_STORE_CTX *asked, void *arg)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(asked, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_verdict *v = SSL_get_app_data(ssl);
    if (X509_verify_cert(asked) == 1)
        return 1;
    int first = X509_STORE_CTX_get_error(asked);
    if (v == NULL || X509_STORE_CTX_get0_cert(asked) == NULL)
        return 0;
    tls_issuer(X509_STORE_CTX_get0_cert(asked), v->issuer);
    v->intercepted = arg != NULL && system_trusts(arg, asked, ssl);
    X509_STORE_CTX_set_error(asked, v->intercepted ? X509_V_OK : first);
    return v->intercepted;
}

void tls_client_fall_back(SSL_CTX *ctx, struct tls_fallback *f)
{
    SSL_CTX_set_cert_verify_callback(ctx, verify_twice, f);
}

void tls_client_verdict(SSL *ssl, struct tls_verdict *v)
{
    SSL_set_app_data(ssl, v);
}
