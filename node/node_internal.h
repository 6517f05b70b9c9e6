/* The pieces of a node, for the files that put them together and that tell of them. Private to node.c and node_metrics.c. */
#ifndef BERTH_NODE_INTERNAL_H
#define BERTH_NODE_INTERNAL_H

#include "control.h"
#include "dialer.h"
#include "media_tie.h"
#include "node.h"
#include "serve/http.h"
#include "worker.h"

struct node {
    struct node_setup setup;
    char id[NODE_ID_MAX + 1]; /* as started: an id is for life, whatever a reload brings */
    _Atomic bool draining;
    struct tls_server *tls;
    struct limits_table *limits;
    struct listener_sources *sources;
    struct listener_budget budget;
    h2o_globalconf_t http, http_metrics;
    h2o_handler_t *websocket;
    struct worker **workers;
    _Atomic size_t n_workers;          /* started so far: those before it may be used */
    _Atomic(struct control *) control; /* NULL: none, or not yet */
    struct peers *peers;               /* NULL: none; started before the control */
    struct media_exchange *media;      /* NULL: no media */
    struct link_keys link_keys;
    struct dialer *dialer; /* NULL: no media; started before the control */
    struct media_tie tie;  /* the control's */
};

/* ---- node_metrics.c ---- */

/* Health, metrics and WebSocket, as the listeners serve them. */
void node_init_http(struct node *n);
/* `ctx` is the node. Any thread. */
void node_sample_load(void *ctx, struct load_sample *out);

#endif
