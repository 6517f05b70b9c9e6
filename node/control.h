/* The node's tie to its controller: a thread that registers, sends heartbeats, hears drain, and comes back by
 * itself. The node serves whether or not it succeeds. */
#ifndef BERTH_NODE_CONTROL_H
#define BERTH_NODE_CONTROL_H

#include "control_proxy.h"
#include "links.h"
#include "load.h"
#include "media/plan.h"
#include "peers.h"
#include "registration.h"
#include "sys/log.h"

#include <stdbool.h>

struct control;

struct control_opts {
    const char *url, *ca, *node;       /* ca NULL: the system's */
    const struct control_proxy *proxy; /* NULL: none */
    struct peers *peers;               /* NULL: nobody is probed. Outlives the control */
    int64_t peers_every_us;            /* their list is not asked for oftener */
    unsigned cores;
    void (*sample)(void *ctx, struct load_sample *out); /* any thread */
    /* After each answer that was right: what it says. On the control's thread; NULL: nobody listens. */
    void (*heard)(void *ctx, const struct control_answer *answer);
    const struct link_keys *keys; /* copied; of `planned` */
    /* From its thread: what is joined, or who is removed, may have changed. Both are the callee's. */
    void (*planned)(void *ctx, struct media_plan_held *plan, struct link_orders *orders);
    void *ctx;
    struct log *log;
};

/* Copies the opts and all texts; the body of the registration and the token are replaced by control_set. */
int control_start(struct control **out, const struct control_opts *opts, const char *body, const char *token)
    __attribute__((warn_unused_result));
/* Registers anew with these. -ENOMEM: the old ones stay. */
int control_set(struct control *c, const char *body, const char *token) __attribute__((warn_unused_result));
/* Asks for news at once, unless that was done less than 250 ms ago. Any thread; it doesn't wait. */
void control_ask_news(struct control *c);
/* Asks for all links anew, with new tickets. Any thread; it doesn't wait. */
void control_renew_links(struct control *c);
/* Tells the controller, now, that the node drains. */
void control_drain(struct control *c);
/* Says that the node stops (which takes 2 s at most) and ends the thread; returns at once. */
void control_finish(struct control *c);
bool control_finished(struct control *c);
/* Ends a call under way, if any; joins and frees. */
void control_destroy(struct control *c);

struct control_state {
    bool registered, drain; /* drain: asked for by the controller */
    uint64_t registrations, heartbeats, failures;
};
struct control_state control_read(struct control *c);

#endif
