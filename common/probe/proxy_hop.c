/* The one place where a proxy's place and our login come together. Invariant: the URL has no credentials in it. */
#include "probe/proxy_hop.h"

const struct rest_proxy *proxy_hop_set(struct proxy_hop *hop, const struct proxy_endpoint *p,
                                       const struct proxy_identity *who)
{
    hop->proxy = (struct rest_proxy){.url = proxy_format(p, hop->url),
                                     .user = who->login ? who->login->user : NULL,
                                     .password = who->login ? who->login->password : NULL,
                                     .guard_password = who->guard_password,
                                     .ca_file = who->ca_file};
    return &hop->proxy;
}
