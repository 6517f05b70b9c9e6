/* OpenSSL set up in one place: contexts for servers (reloadable) and clients, and errors as text. TLS 1.2 and 1.3 only. */
#ifndef BERTH_SYS_TLS_H
#define BERTH_SYS_TLS_H

#include "core/doc.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

enum { TLS_ERROR_TEXT = 256, TLS_ISSUER_TEXT = 80 };

/* ALPN that a server selects from what a client offers; none in common (or none offered) goes on without ALPN.
 * Never "h2". `protocols` in order of preference. */
struct tls_server_opts {
    const char *cert_file; /* PEM, the chain */
    const char *key_file;
    const char *const
        *alpn; /* NULL-terminated; e.g. "stun.nat-discovery", "stun.turn" (RFC 7443), "http/1.1" */
    void (*info)(const SSL *ssl, int where, int ret); /* SSL_CTX_set_info_callback, or NULL */
};

/* What makes contexts of files answers 0, -EINVAL, or -ENOMEM; `err` says why in words, but where tls_server itself had
 * no memory. */

/* The certificate in force; threads take the current SSL_CTX for each connection, tls_server_reload swaps it. It outlives
 * every connection made with a context of its. */
struct tls_server;
int tls_server_new(struct tls_server **out, const struct tls_server_opts *opts,
                   char err[static TLS_ERROR_TEXT]) __attribute__((warn_unused_result));
/* A new reference (SSL_CTX_free it). Any thread. */
SSL_CTX *tls_server_ctx(struct tls_server *t);
/* Reads the files again; on failure the old certificate stays in force. */
int tls_server_reload(struct tls_server *t, char err[static TLS_ERROR_TEXT])
    __attribute__((warn_unused_result));
void tls_server_destroy(struct tls_server *t);

/* A client context that verifies. `ca_file` NULL: the system's store. The caller frees it with SSL_CTX_free. */
int tls_client_ctx_new(SSL_CTX **out, const char *ca_file, char err[static TLS_ERROR_TEXT])
    __attribute__((warn_unused_result));
/* What a client found out about a peer whose certificate was not for the context's CA. */
struct tls_verdict {
    bool
        intercepted; /* the system's store vouches for it: somebody whom this machine's administrator trusts is in between */
    char issuer[TLS_ISSUER_TEXT]; /* who signed it; "" where the context's own CA did */
};
/* The system's store, read when it is first needed. It outlives the contexts that fall back to it. */
struct tls_fallback;
int tls_fallback_new(struct tls_fallback **out) __attribute__((warn_unused_result));
void tls_fallback_destroy(struct tls_fallback *f);
/* Connections of `ctx` accept also whom the system's store accepts (name and dates as strictly), and say so in the verdict that
 * tls_client_verdict gave them; without one they don't. One thread at a time. */
void tls_client_fall_back(SSL_CTX *ctx, struct tls_fallback *f);
/* *v stays where it is for the connection's life. */
void tls_client_verdict(SSL *ssl, struct tls_verdict *v);

/* Sets SNI (for names, not IP literals) and the name that the certificate must carry. 0, or -EINVAL. */
int tls_client_expect(SSL *ssl, const char *host) __attribute__((warn_unused_result));
/* Who says that it signed this certificate: the common name, else the organisation, of printable ASCII alone; ""
 * where it names neither. */
void tls_issuer(const X509 *certificate, char out[static TLS_ISSUER_TEXT]);
/* SHA-256 of the certificate's SubjectPublicKeyInfo, in base64. 0, or -ENOMEM. */
int tls_spki(const X509 *certificate, char out[static SPKI_TEXT_LEN + 1]) __attribute__((warn_unused_result));
/* Empties OpenSSL's error queue into text ("certificate has expired", "unable to get local issuer certificate" for
 * verification failures). */
void tls_error_text(const SSL *ssl, char err[static TLS_ERROR_TEXT]);

#endif
