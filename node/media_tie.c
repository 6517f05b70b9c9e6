/* Invariant: threads are woken only where something has changed. */
#include "media_tie.h"

#include "sys/clock.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLOCK_STEP_S = 2 }; /* a clock that differs by less than before is the same */

/* The controller's time less our monotonic clock's, in whole seconds: whatever our own time of day does between two
 * answers, tickets are judged by theirs. */
static int64_t clock_of(const struct control_answer *a)
{
    int64_t unix_us = a->now_us > 0 ? a->now_us : clock_wall_us();
    return (unix_us - clock_mono_us()) / 1000000;
}

static void pass_on(struct media_tie *m, const struct ticket_keys *keys, int64_t clock_s)
{
    struct media_keys *snapshot = media_keys_new(keys, clock_s);
    if (!snapshot)
        return; /* the old ones serve on; the next answer brings them again */
    for (size_t i = 0; i < m->n_workers; i++)
        worker_set_media_keys(m->workers[i], media_keys_hold(snapshot));
    if (!m->keys)
        log_event(m->log, LOG_INFO, "media", "sessions_admitted", LOG_I("ticket_keys", keys->n),
                  LOG_I("clock_s", clock_s - (clock_wall_us() - clock_mono_us()) / 1000000));
    media_keys_release(m->keys);
    m->keys = snapshot;
}

static void take_keys(struct media_tie *m, const struct control_answer *a)
{
    struct ticket_keys keys = {.n = a->n_ticket_keys};
    int64_t clock_s = clock_of(a);
    if (keys.n == 0 || a->org[0] == '\0')
        return;
    memcpy(keys.key, a->ticket_keys, keys.n * sizeof(keys.key[0]));
    snprintf(keys.node_org, sizeof(keys.node_org), "%s", a->org);
    snprintf(keys.node, sizeof(keys.node), "%s", m->node);
    if (!media_keys_same(m->keys, &keys) || llabs(clock_s - media_keys_clock(m->keys)) >= CLOCK_STEP_S)
        pass_on(m, &keys, clock_s);
    sodium_memzero(&keys, sizeof(keys));
}

void media_tie_heard(struct media_tie *m, const struct control_answer *answer)
{
    take_keys(m, answer);
    if (answer->drain == m->drained)
        return;
    m->drained = answer->drain;
    for (size_t i = 0; i < m->n_workers; i++)
        worker_drain_media(m->workers[i], m->drained);
}

/* The homes first: what is dialled has to be planned there. */
void media_tie_planned(struct media_tie *m, struct media_plan_held *plan, struct link_orders *orders)
{
    for (size_t i = 0; i < m->n_workers; i++)
        worker_set_media_plan(m->workers[i], media_plan_hold(plan));
    media_plan_release(plan);
    dialer_update(m->dialer, orders);
}

void media_tie_dispose(struct media_tie *m)
{
    media_keys_release(m->keys);
    m->keys = NULL;
}
