/* What the controller's answers say of media, passed on to the threads that serve: keys of tickets, links, and
 * whether the node is drained. */
#ifndef BERTH_NODE_MEDIA_TIE_H
#define BERTH_NODE_MEDIA_TIE_H

#include "dialer.h"
#include "registration.h"
#include "worker.h"

/* The control thread's own once it runs. */
struct media_tie {
    struct worker *const *workers;
    size_t n_workers;
    const char *node;      /* its id */
    struct dialer *dialer; /* of its links */
    struct log *log;
    struct media_keys *keys; /* as last passed on */
    bool drained;
};

void media_tie_heard(struct media_tie *m, const struct control_answer *answer);
/* Takes both over. */
void media_tie_planned(struct media_tie *m, struct media_plan_held *plan, struct link_orders *orders);
void media_tie_dispose(struct media_tie *m);

#endif
