/* A proxy as libcurl is told of it: where it is, and what of us is for it. */
#ifndef BERTH_PROBE_PROXY_HOP_H
#define BERTH_PROBE_PROXY_HOP_H

#include "probe/proxy.h"
#include "sys/rest.h"

/* What proxies are told of us. Borrowed; all zero: nothing. */
struct proxy_identity {
    const struct proxy_login *login;
    bool guard_password; /* nobody vouches for the proxies: no password as Basic */
    const char *ca_file; /* of HTTPS proxies, as in struct rest_proxy */
};

/* Stays where it is as long as `proxy` is used, and no longer than the identity's texts. */
struct proxy_hop {
    struct rest_proxy proxy;
    char url[PROXY_URL_MAX + 1];
};
/* Fills *hop, and answers its `proxy`. */
const struct rest_proxy *proxy_hop_set(struct proxy_hop *hop, const struct proxy_endpoint *p,
                                       const struct proxy_identity *who);

#endif
