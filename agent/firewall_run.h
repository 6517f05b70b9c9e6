/* A network's examination: the observations that firewall.h judges, made with the prober and a few STUN questions.
 * Unlike the rest of the library it waits: one thread, one call. */
#ifndef BERTH_AGENT_FIREWALL_RUN_H
#define BERTH_AGENT_FIREWALL_RUN_H

#include "firewall.h"
#include "proxy_finder.h"
#include "sys/tls.h"

enum {
    FIREWALL_NODES_MAX = 16, /* examined of a longer list: one of each cluster first */
    FIREWALL_ASKED_PORTS_MAX = 128,
    FIREWALL_ASKED_NODES_MAX = 3, /* that are asked on ports which none is known to serve */
    FIREWALL_SAMPLES = 10,        /* per port, unless the list's policy wants more */
};

struct firewall_plan {
    const struct nodelist *list;
    SSL_CTX *tls_ctx;
    const uint16_t *udp_ports; /* asked for beside what the nodes serve */
    size_t n_udp_ports;
    const struct proxy_finder_options *proxy; /* NULL: no proxy is looked for */
    const char *ca_file;                      /* of an HTTPS proxy; may be NULL */
    int64_t pinhole_limit_s;                  /* 0: not asked */
    int64_t clock_ahead_us;                   /* or CLOCK_UNKNOWN */
    /* What is being done: `done` of `of`. May be NULL. */
    void (*progress)(void *user, const char *what, size_t done, size_t of);
    void *user;
};

/* 0 and *seen filled (firewall_seen_clear it), or -errno. Blocks, at most the list's time budget for the ports, some
 * seconds for NAT and MTU, and the limit for pinholes. */
int firewall_look(struct firewall_seen *seen, const struct firewall_plan *plan)
    __attribute__((warn_unused_result));
void firewall_seen_clear(struct firewall_seen *seen);

#endif
