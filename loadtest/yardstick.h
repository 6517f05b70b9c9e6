/* What berth-load yardstick answers with. Never for use as a server. */
#ifndef BERTH_LOADTEST_YARDSTICK_H
#define BERTH_LOADTEST_YARDSTICK_H

#include "core/addr.h"

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

/* Turns a Binding request into its answer where it stands, in at least 40 bytes; `from` may be a sockaddr_in. Its length. */
size_t yardstick_rewrite(uint8_t *p, const struct sockaddr_in6 *from);
/* Over TCP, or TLS where there are a certificate and a key, until that time. 0 or -errno; -EINVAL: certificate or key. */
int yardstick_streams(const struct addr *at, const char *cert, const char *key, int64_t end_us)
    __attribute__((warn_unused_result));

#endif
