/* The HTTP proxy on the way to the controller: a node in somebody's own network may have no other. Pure. */
#ifndef BERTH_NODE_CONTROL_PROXY_H
#define BERTH_NODE_CONTROL_PROXY_H

#include "sys/rest.h"

enum { CONTROL_PROXY_URL = 320, CONTROL_PROXY_LOGIN = 256, CONTROL_PROXY_EXCEPT = 2048 };

/* Holds a password: wipe it when done with. Empty: directly. */
struct control_proxy {
    char url[CONTROL_PROXY_URL]; /* without credentials; "" none */
    char user[CONTROL_PROXY_LOGIN], password[CONTROL_PROXY_LOGIN];
    char except[CONTROL_PROXY_EXCEPT]; /* domains, IPs, prefixes; commas between */
};

/* What options and the environment say; NULL: nothing. */
struct control_proxy_inputs {
    const char *proxy;    /* "http://[user:password@]host:port", "https://..." or "none" */
    const char *no_proxy; /* goes before the environment's */
    char *const *environment;
};

/* 0, or -EINVAL: the option is no such URL, or something is too long. What the environment says and can't be used counts for nothing. */
int control_proxy_choose(struct control_proxy *p, const struct control_proxy_inputs *in)
    __attribute__((warn_unused_result));
/* NULL: directly. *r points into *p. */
const struct rest_proxy *control_proxy_rest(const struct control_proxy *p, struct rest_proxy *r);

#endif
