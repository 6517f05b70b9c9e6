/* Whose turn it is. Invariant: of the turns in a list that mean one meeting, the oldest runs, or is due, and the others wait. */
#include "join_turn.h"

#include "core/hash.h"

#include <string.h>

static bool same(const struct join_turn *a, const struct join_turn *b)
{
    return strcmp(a->meeting, b->meeting) == 0 && strcmp(a->org, b->org) == 0;
}

static struct join_turn_list *list_of(struct join_turns *turns, const struct join_turn *t)
{
    uint32_t hash = hash32_add(hash32_add(HASH32_BEGIN, t->org), t->meeting);

    return &turns->lists[hash32_end(hash) % JOIN_TURN_LISTS];
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

static struct join_turn_due *due_of(struct join_turns *turns, const struct join_turn *t)
{
    return t->meeting[0] == '\0' ? &turns->paced : &turns->now;
}

static void make_due(struct join_turns *turns, struct join_turn *t)
{
    struct join_turn_due *due = due_of(turns, t);

    t->running = t->due = true;
    t->due_next = NULL;
    *(due->last != NULL ? &due->last->due_next : &due->first) = t;
    due->last = t;
}

/* It is started, or has ended before it could be. */
static void take_due(struct join_turns *turns, struct join_turn *t)
{
    struct join_turn_due *due = due_of(turns, t);
    struct join_turn *before = NULL, *at = due->first;

    while (at != t) {
        before = at;
        at = at->due_next;
    }
    *(before != NULL ? &before->due_next : &due->first) = t->due_next;
    if (due->last == t)
        due->last = before;
    t->due = false;
}

static void start_due(struct join_turns *turns)
{
    if (turns->starting)
        return;
    turns->starting = true;
    while (turns->now.first != NULL) {
        struct join_turn *t = turns->now.first;

        take_due(turns, t);
        t->start(t);
    }
    turns->starting = false;
}

bool join_turns_due(const struct join_turns *turns)
{
    return turns->paced.first != NULL;
}

void join_turns_step(struct join_turns *turns)
{
    struct join_turn *t = turns->paced.first;

    if (t == NULL)
        return;
    take_due(turns, t);
    t->start(t);
}

bool join_turn_take(struct join_turns *turns, struct join_turn *t)
{
    bool alone;

    if (turns->closed || turns->n >= JOIN_TURNS_MAX)
        return false;
    alone = find_same(list_of(turns, t)->first, t) == NULL;
    t->running = t->due = false;
    append(turns, t);
    if (alone)
        make_due(turns, t);
    start_due(turns);
    return true;
}

void join_turn_done(struct join_turns *turns, struct join_turn *t)
{
    struct join_turn *next = t->next;

    if (!t->listed)
        return;
    take_out(turns, t);
    if (t->due)
        take_due(turns, t);
    if (!t->running)
        return;
    t->running = false;
    next = find_same(next, t);
    if (next != NULL)
        make_due(turns, next);
    start_due(turns);
}

void join_turns_expire(struct join_turns *turns, int64_t now_us)
{
    for (size_t i = 0; i < JOIN_TURN_LISTS && turns->n > 0; i++) {
        struct join_turn *t = turns->lists[i].first;

        while (t != NULL) {
            if ((t->running && !t->due) || t->deadline_us > now_us) {
                t = t->next;
                continue;
            }
            join_turn_done(turns, t); /* and where it was due, the next of its org is */
            t->late(t);
            t = turns->lists[i].first; /* it may have ended others */
        }
    }
}

void join_turns_close(struct join_turns *turns)
{
    turns->closed = true;
    turns->now = turns->paced = (struct join_turn_due){NULL, NULL};
    for (size_t i = 0; i < JOIN_TURN_LISTS; i++) {
        while (turns->lists[i].first != NULL) {
            turns->lists[i].first->running = turns->lists[i].first->due = false;
            take_out(turns, turns->lists[i].first);
        }
    }
}
