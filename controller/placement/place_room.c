/* Seats for those who have none: those that others have left, and those that others can make by going elsewhere. Invariant: as many are seated as
 * can be without moving anybody who is locked or at home, and nobody who has a seat loses it. */
#include "placement/place_internal.h"

/* A chain of moves that ends with room: who enters a column next, after its place there has been made. */
struct chain {
    uint32_t enters[PLACE_COLS];
    int64_t cost[PLACE_COLS]; /* of the chain up to there, in seats alone */
    bool known[PLACE_COLS];
    uint32_t last; /* who goes to `to`, where there is room; PLACE_RANK_NONE: nobody yet */
    size_t to;
    int64_t least;
};

/* Its leaving makes room: those who are at home on their column free nothing in the same plan. */
static bool makes_room(const struct place_work *w, const struct place_draft *s, size_t j)
{
    return s->at[j] + 1u < w->k && !w->lock[j] && w->home[j] != s->at[j];
}

/* Participant j could go from a chain of this cost to every column that it can sit on. */
static void extend(const struct place_work *w, const struct place_draft *s, size_t j, int64_t cost,
                   const bool *dead, const bool *reached, struct chain *c)
{
    const int64_t *own = w->w + j * w->stride;

    for (size_t k = 0; k + 1 < w->k; k++) {
        int64_t with = cost + own[k] - own[s->at[j]];

        if (k == s->at[j] || reached[k] || dead[k] || !place_move_can_sit(w, j, k))
            continue;
        if (place_move_fits(w, s, j, k)) {
            if (c->last == PLACE_RANK_NONE || with < c->least) {
                c->last = (uint32_t)j;
                c->to = k;
                c->least = with;
            }
        } else if (!c->known[k] || with < c->cost[k]) {
            c->known[k] = true;
            c->enters[k] = (uint32_t)j;
            c->cost[k] = with;
        }
    }
}

static void follow(const struct place_work *w, struct place_draft *s, const struct chain *c, size_t i)
{
    size_t who = c->last, to = c->to;

    for (;;) {
        size_t from = s->at[who];

        place_draft_move(w, s, who, to);
        if (who == i)
            return;
        to = from;
        who = c->enters[to];
    }
}

/* The shortest chain that seats participant i, of several the cheapest. Without one none of the columns that it came by leads anywhere, for
 * nobody: they are dead. */
static bool make_room(const struct place_work *w, struct place_draft *s, size_t i, bool *dead)
{
    struct chain c = {.last = PLACE_RANK_NONE};
    bool reached[PLACE_COLS] = {false}, more = true;

    extend(w, s, i, 0, dead, reached, &c);
    while (c.last == PLACE_RANK_NONE && more) {
        bool now[PLACE_COLS] = {false};

        more = false;
        for (size_t k = 0; k + 1 < w->k; k++) {
            now[k] = c.known[k] && !reached[k];
            reached[k] = c.known[k];
            more = more || now[k];
        }
        for (size_t j = 0; more && j < w->n; j++) {
            if (makes_room(w, s, j) && now[s->at[j]])
                extend(w, s, j, c.cost[s->at[j]], dead, reached, &c);
        }
    }
    if (c.last != PLACE_RANK_NONE) {
        follow(w, s, &c, i);
        return true;
    }
    for (size_t k = 0; k + 1 < w->k; k++)
        dead[k] = dead[k] || reached[k];
    return false;
}

bool place_room_make(const struct place_work *w, struct place_draft *s)
{
    bool dead[PLACE_COLS] = {false}, any = false;

    for (size_t i = 0; i < w->n && s->m[w->k - 1] > 0; i++) {
        if (s->at[i] + 1u == w->k && !w->lock[i])
            any = place_move_best(w, s, i) || make_room(w, s, i, dead) || any;
    }
    return any;
}
