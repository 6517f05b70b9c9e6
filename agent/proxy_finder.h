/* Finds out which proxies lead to a destination, from the options, a PAC script, or what the network says (WPAD).
 * Scripts and look-ups run in a thread of their own; the session waits for them no longer than PROXY_FINDER_US. */
#ifndef BERTH_AGENT_PROXY_FINDER_H
#define BERTH_AGENT_PROXY_FINDER_H

#include "core/doc.h"
#include "probe/proxy_hop.h"
#include "probe/sys.h"

enum { PROXY_FINDER_US = 6 * 1000 * 1000 };

/* All may be NULL; copied, and the URL's credentials (else `login`'s) kept in the finder. */
struct proxy_finder_options {
    const char *proxy; /* a URL; "none"; "auto": ask the network */
    const char *pac, *no_proxy;
    const char *user, *password;
    const char *pac_helper; /* the program that runs PAC scripts; NULL: where it is installed */
};

struct proxy_destination {
    const char *host; /* what a script is asked for; a name or an IP */
    struct addr ip;   /* of a node; else none */
    uint16_t port;
};

/* By TLS to the node; `ip` is for the host's text. */
struct proxy_destination proxy_destination_of(const struct node_entry *e, char ip[static ADDR_TEXT_LEN]);

struct proxy_finder;
/* 0, -EINVAL (no URL of a proxy), -ENOTSUP (SOCKS), -ENOMEM. */
int proxy_finder_new(struct proxy_finder **out, struct sys_poller *poller,
                     const struct proxy_finder_options *o) __attribute__((warn_unused_result));
void proxy_finder_destroy(struct proxy_finder *f);

/* 1: the answer is there already (of a script that was too slow before: what it said then); 0: `done` will be called from the
 * poller's dispatch; -errno. What was asked before is forgotten. */
int proxy_finder_ask(struct proxy_finder *f, const struct proxy_destination *d, size_t n,
                     void (*done)(void *user), void *user) __attribute__((warn_unused_result));
/* Waits no longer for what was asked: all of it is reached directly. A script that has run for PAC_RUN_MS by then
 * goes on until PAC_END_MS: so long every further question is answered at once, with no proxy, until
 * proxy_finder_network_changed. What it says when it ends counts for the same question from then on, which isn't
 * asked again. */
void proxy_finder_give_up(struct proxy_finder *f);
/* The question isn't asked any more. That says nothing of the script. */
void proxy_finder_cancel(struct proxy_finder *f);
/* Why the newest question found no proxies though there may be some; static text, "" where there is nothing to say. */
const char *proxy_finder_problem(const struct proxy_finder *f);
/* Of the newest question: one list for each destination. */
const struct proxy_list *proxy_finder_lists(const struct proxy_finder *f);
const struct proxy_table *proxy_finder_table(const struct proxy_finder *f);

/* Nothing was said of proxies, and there is no way: asks the network from now on. False: it does so already, or must not. */
bool proxy_finder_try_network(struct proxy_finder *f);
/* Goes on from what another one of the same options has found out: whether the network is asked, and its script. */
void proxy_finder_follow(struct proxy_finder *f, const struct proxy_finder *other);
/* What was found counts no more: the script is loaded again, the network asked again. */
void proxy_finder_forget(struct proxy_finder *f);
/* The network is another one: forgets, and tries again what was abandoned. */
void proxy_finder_network_changed(struct proxy_finder *f);
/* What of us is for the proxies that it finds: where the network alone names them, no password as Basic. Borrows the login. */
struct proxy_identity proxy_finder_identity(const struct proxy_finder *f, const char *ca_file);
/* For logs: "the options", "PAC", "WPAD". */
const char *proxy_finder_source(const struct proxy_finder *f);

#endif
