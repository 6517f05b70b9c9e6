/* The caller's options, checked and copied. */
#ifndef BERTH_AGENT_OPTIONS_H
#define BERTH_AGENT_OPTIONS_H

#include "berth.h"
#include "core/doc.h"

struct given_node {
    char *host, *tls_name;
    char node[NODE_ID_MAX + 1];
    uint16_t ports[TRANSPORT_PROXY][BERTH_PORTS_MAX]; /* up to the first 0 */
};

struct agent_options {
    char *controller, *token, *ca_file; /* NULL where not given */
    char agent_id[AGENT_ID_MAX + 1];
    int name_agent; /* as in berth.h */
    struct given_node *given;
    size_t n_given;
    struct berth_policy policy;
    struct berth_callbacks callbacks;
    void *user;
    char *state_file;                                                              /* NULL where not given */
    char *proxy, *proxy_pac, *pac_helper, *no_proxy, *proxy_user, *proxy_password; /* NULL where not given */
};

/* 0, -EINVAL, -ENOMEM, or -errno (no host name). On failure nothing is kept. */
int agent_options_init(struct agent_options *o, const struct berth_options *from)
    __attribute__((warn_unused_result));
void agent_options_clear(struct agent_options *o);
/* The id to name in a report, or NULL: the token says who. */
const char *agent_options_name(const struct agent_options *o);
/* Replaces the token. */
int agent_options_set_token(struct agent_options *o, const char *token) __attribute__((warn_unused_result));
/* The given node as an entry of a list, once its host's addresses are known: every port at every address, the first port at all of
 * them first. `e` is zeroed before. */
void given_node_entry(struct node_entry *e, const struct given_node *g, const struct addr *at, size_t n);
/* The server's policy with what the caller overrides. */
void agent_options_policy(const struct agent_options *o, struct probe_policy *p);

#endif
