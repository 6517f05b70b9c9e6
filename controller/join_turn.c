/* Whose turn it is. Invariant: of the turns in a list that mean one meeting, the oldest runs and the others wait. */
#include "join_turn.h"

#include <stddef.h>
#include <string.h>

static bool same(const struct join_turn *a, const struct join_turn *b)
{
    return strcmp(a->meeting, b->meeting) == 0 && strcmp(a->org, b->org) == 0;
}

void join_turn_take(struct join_turn **list, struct join_turn *t)
{
    struct join_turn **at = list;
    bool wait = false;

    for (; *at != NULL; at = &(*at)->next)
        wait = wait || same(*at, t);
    *at = t;
    t->next = NULL;
    t->listed = true;
    t->running = !wait;
    if (!wait)
        t->start(t);
}

void join_turn_done(struct join_turn **list, struct join_turn *t)
{
    struct join_turn **at = list;

    if (!t->listed)
        return;
    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    t->listed = false;
    if (!t->running)
        return;
    t->running = false;
    for (struct join_turn *next = *list; next != NULL; next = next->next) {
        if (same(next, t)) {
            next->running = true;
            next->start(next);
            return;
        }
    }
}
