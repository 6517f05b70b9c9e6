/* The HTTP proxy on the way to the controller: a node in somebody's own network may have no other. Pure. */
#ifndef BERTH_NODE_CONTROL_PROXY_H
#define BERTH_NODE_CONTROL_PROXY_H

#include "probe/proxy.h"
#include "sys/rest.h"

/* Holds a password: wipe it when done with. Empty: directly. */
struct control_proxy {
    char url[PROXY_URL_MAX + 1]; /* without credentials; "" none */
    struct proxy_login login;
    const char *problem; /* why the environment's proxy is not used; NULL: it is, or there is none. Static */
};

/* What leads to `controller` (a URL), as proxy_choose has it, but for PAC and WPAD. 0, or -EINVAL: the option is no
 * proxy's URL. What the environment says and can't be used counts for nothing, but as the `problem`. */
int control_proxy_choose(struct control_proxy *p, const struct proxy_inputs *in, const char *controller)
    __attribute__((warn_unused_result));
/* NULL: directly. *r points into *p. */
const struct rest_proxy *control_proxy_rest(const struct control_proxy *p, struct rest_proxy *r);
void control_proxy_wipe(struct control_proxy *p);

#endif
