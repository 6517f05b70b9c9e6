/* Looking things up in a plan. Invariant: it is only read. */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

int media_plan_meeting_cmp(const void *a, const void *b)
{
    const struct media_plan_meeting *x = a, *y = b;
    int by_org = strcmp(x->org, y->org);
    return by_org != 0 ? by_org : strcmp(x->id, y->id);
}

int media_plan_removed_cmp(const void *a, const void *b)
{
    const struct media_plan_removed *x = a, *y = b;
    int by_org = strcmp(x->org, y->org);
    int by_id = by_org != 0 ? by_org : strcmp(x->id, y->id);
    return by_id != 0 ? by_id : strcmp(x->who, y->who);
}

const struct media_plan_meeting *media_plan_meeting(const struct media_plan *plan, const char *org,
                                                    const char *id)
{
    struct media_plan_meeting key = {.n_peers = 0};
    if (!plan || plan->n_meetings == 0)
        return NULL;
    memcpy(key.org, org, strnlen(org, sizeof key.org - 1));
    memcpy(key.id, id, strnlen(id, sizeof key.id - 1));
    return bsearch(&key, plan->meetings, plan->n_meetings, sizeof key, media_plan_meeting_cmp);
}

const struct media_plan_peer *media_plan_peer(const struct media_plan_meeting *m, const char *who)
{
    for (size_t i = 0; m && i < m->n_peers; i++) {
        if (strcmp(m->peers[i].who, who) == 0)
            return &m->peers[i];
    }
    return NULL;
}

bool media_plan_is_removed(const struct media_plan *plan, const struct ticket *t)
{
    struct media_plan_removed key = {.number = 0};
    if (!plan || plan->n_removed == 0 || t->kind != TICKET_PARTICIPANT)
        return false;
    memcpy(key.org, t->org, sizeof key.org);
    memcpy(key.id, t->meeting, sizeof key.id);
    memcpy(key.who, t->who, sizeof key.who);
    const struct media_plan_removed *r =
        bsearch(&key, plan->removed, plan->n_removed, sizeof key, media_plan_removed_cmp);
    return r && t->number <= r->number;
}
