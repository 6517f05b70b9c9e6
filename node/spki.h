/* What a client can hold a certificate's key against: the SHA-256 of its SubjectPublicKeyInfo, in base64. */
#ifndef BERTH_NODE_SPKI_H
#define BERTH_NODE_SPKI_H

#include "core/doc.h"
#include "sys/tls.h"

/* Of the certificate in force. 0, -ENOENT where there is none, or -ENOMEM. */
int spki_of_server(struct tls_server *tls, char out[static SPKI_TEXT_LEN + 1])
    __attribute__((warn_unused_result));

#endif
