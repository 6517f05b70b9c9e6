/* Digest of the certificate's public key. Invariant: it is of the context that new connections get. */
#include "spki.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

static int digest(const X509 *certificate, char out[static SPKI_TEXT_LEN + 1])
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

int spki_of_server(struct tls_server *tls, char out[static SPKI_TEXT_LEN + 1])
{
    SSL_CTX *ctx = tls_server_ctx(tls);
    const X509 *certificate = SSL_CTX_get0_certificate(ctx);
    int rc = certificate ? digest(certificate, out) : -ENOENT;
    SSL_CTX_free(ctx);
    return rc;
}
