/* Whether the node's certificate is for the name that agents are told to expect. */
#ifndef BERTH_NODE_CERTIFICATE_H
#define BERTH_NODE_CERTIFICATE_H

#include "sys/tls.h"

enum { CERTIFICATE_NAMES_TEXT = 200 };

/* Does the certificate that new connections get carry this name, as a client would judge? If not, `names` is what it
 * carries instead: "a.example, *.b.example" (cut where there is no room), "none". */
bool certificate_carries(struct tls_server *tls, const char *name, char names[static CERTIFICATE_NAMES_TEXT]);

#endif
