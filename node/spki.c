/* Digest of the certificate's public key. Invariant: it is of the context that new connections get. */
#include "spki.h"

#include <errno.h>

int spki_of_server(struct tls_server *tls, char out[static SPKI_TEXT_LEN + 1])
{
    SSL_CTX *ctx = tls_server_ctx(tls);
    const X509 *certificate = SSL_CTX_get0_certificate(ctx);
    int rc = certificate ? tls_spki(certificate, out) : -ENOENT;
    SSL_CTX_free(ctx);
    return rc;
}
