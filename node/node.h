/* The node as main.c sees it: workers, health, the tie to a controller, reload. One instance owns all of it. */
#ifndef BERTH_NODE_NODE_H
#define BERTH_NODE_NODE_H

#include "options.h"
#include "sockets.h"

struct node;

/* Borrowed until node_destroy. The sockets' descriptors are taken. */
struct node_setup {
    const struct node_options *options;
    const struct node_plan *plan;
    struct node_sockets *sockets;
    unsigned cores;
    struct log *log;
};

/* Starts serving. 0, or -errno with a text. */
int node_start(struct node **out, const struct node_setup *setup, struct options_error *e)
    __attribute__((warn_unused_result));
/* New options: what can change does so without dropping a connection; the rest is logged by name. The certificate is read again.
 * The options and the plan are borrowed from now on; the old ones may go. -EINVAL with a text: everything stays as it was. */
int node_reload(struct node *n, const struct node_options *options, const struct node_plan *plan,
                struct options_error *e) __attribute__((warn_unused_result));

/* Do all threads turn their loops? For the watchdog. */
bool node_is_alive(const struct node *n);

/* Stops accepting and tells the controller; returns at once. */
void node_drain(struct node *n);
int64_t node_open_connections(const struct node *n);
int64_t node_sessions(const struct node *n); /* media */
/* Of a node that drains: whoever is still there has had the time to go. They end as `drained`. */
void node_end_sessions(struct node *n);
/* Tells the controller that the node stops; returns at once. */
void node_finish(struct node *n);
bool node_finished(struct node *n);
void node_destroy(struct node *n);

#endif
