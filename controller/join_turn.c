/* Whose turn it is. Invariant: of the turns in a list that mean one meeting, the oldest runs and the others wait. */
#include "join_turn.h"

#include <string.h>

static bool same(const struct join_turn *a, const struct join_turn *b)
{
    return strcmp(a->meeting, b->meeting) == 0 && strcmp(a->org, b->org) == 0;
}

static struct join_turn_list *list_of(struct join_turns *turns, const struct join_turn *t)
{
    uint32_t hash = 2166136261U; /* FNV-1a */

    for (const char *s = t->org; *s != '\0'; s++)
        hash = (hash ^ (uint8_t)*s) * 16777619U;
    for (const char *s = t->meeting; *s != '\0'; s++)
        hash = (hash ^ (uint8_t)*s) * 16777619U;
    return &turns->lists[(hash ^ hash >> 16) % JOIN_TURN_LISTS];
}

static void append(struct join_turns *turns, struct join_turn *t)
{
    struct join_turn_list *l = list_of(turns, t);

    t->next = NULL;
    t->prev = l->last;
    *(l->last != NULL ? &l->last->next : &l->first) = t;
    l->last = t;
    t->listed = true;
    turns->n++;
}

static void take_out(struct join_turns *turns, struct join_turn *t)
{
    struct join_turn_list *l = list_of(turns, t);

    *(t->prev != NULL ? &t->prev->next : &l->first) = t->next;
    *(t->next != NULL ? &t->next->prev : &l->last) = t->prev;
    t->listed = false;
    turns->n--;
}

/* The oldest of the same meeting, from `at` on. */
static struct join_turn *find_same(struct join_turn *at, const struct join_turn *t)
{
    while (at != NULL && !same(at, t))
        at = at->next;
    return at;
}

bool join_turn_take(struct join_turns *turns, struct join_turn *t)
{
    if (turns->closed || turns->n >= JOIN_TURNS_MAX)
        return false;
    t->running = find_same(list_of(turns, t)->first, t) == NULL;
    append(turns, t);
    if (t->running)
        t->start(t);
    return true;
}

void join_turn_done(struct join_turns *turns, struct join_turn *t)
{
    struct join_turn *next = t->next;

    if (!t->listed)
        return;
    take_out(turns, t);
    if (!t->running)
        return;
    t->running = false;
    next = find_same(next, t);
    if (next != NULL) {
        next->running = true;
        next->start(next);
    }
}

void join_turns_expire(struct join_turns *turns, int64_t now_us)
{
    for (size_t i = 0; i < JOIN_TURN_LISTS && turns->n > 0; i++) {
        struct join_turn *t = turns->lists[i].first;

        while (t != NULL) {
            if (t->running || t->deadline_us > now_us) {
                t = t->next;
                continue;
            }
            take_out(turns, t);
            t->late(t);
            t = turns->lists[i].first; /* it may have ended others */
        }
    }
}

void join_turns_close(struct join_turns *turns)
{
    turns->closed = true;
    for (size_t i = 0; i < JOIN_TURN_LISTS; i++) {
        while (turns->lists[i].first != NULL) {
            turns->lists[i].first->running = false;
            take_out(turns, turns->lists[i].first);
        }
    }
}
