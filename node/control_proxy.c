/* What the agent does with proxies, for the one destination that a node has. Invariant: credentials stand in `login`
 * alone, and `problem` repeats nothing of what was given. */
#include "control_proxy.h"

#include <errno.h>
#include <sodium.h>

static bool goes_directly(const char *no_proxy, const char *controller)
{
    char host[HOST_MAX + 1];
    uint16_t port;
    return url_place_parse(controller, host, &port) == 0 && no_proxy_match(no_proxy, host, port);
}

int control_proxy_choose(struct control_proxy *p, const struct proxy_inputs *in, const char *controller)
{
    struct proxy_choice choice;
    struct proxy_endpoint endpoint;
    *p = (struct control_proxy){.problem = NULL};
    proxy_choose(&choice, in);
    if (choice.source == PROXY_FROM_WPAD)
        return -EINVAL;
    int err = choice.proxy ? proxy_url_parse(&endpoint, &p->login, choice.proxy) : 0;
    if (err < 0 && choice.source == PROXY_FROM_OPTION)
        return -EINVAL;
    if (err < 0)
        p->problem = err == -ENOTSUP ? "it is of a kind that can't be used (SOCKS)" : "it is no proxy's URL";
    else if (choice.proxy && goes_directly(choice.no_proxy, controller))
        control_proxy_wipe(p);
    else if (choice.proxy)
        proxy_format(&endpoint, p->url);
    return 0;
}

const struct rest_proxy *control_proxy_rest(const struct control_proxy *p, struct rest_proxy *r)
{
    *r = (struct rest_proxy){.url = p->url, .user = p->login.user, .password = p->login.password};
    return p->url[0] != '\0' ? r : NULL;
}

void control_proxy_wipe(struct control_proxy *p)
{
    sodium_memzero(p, sizeof *p);
}
