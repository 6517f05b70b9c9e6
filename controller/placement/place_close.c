/* What a further node must be worth: closes those that nobody would miss. Invariant: whoever is moved by it loses less than the rules ask of a
 * further node. */
#include "placement/place_internal.h"

bool place_real_gain(const struct place_rule *r, int64_t scale, int64_t without, int64_t with)
{
    return without - with >= r->join_us * scale || (without - with) * 100 >= without * r->join_pct;
}

/* The best open column for participant i but for its own. */
static size_t best_other(const struct place_work *w, const struct place_draft *s, size_t i)
{
    size_t from = s->at[i], best = from;
    int64_t least = 0;

    for (size_t k = 0; k + 1 < w->k; k++) {
        int64_t delta;

        if (k == from || s->m[k] == 0 || !place_move_fits(w, s, i, k))
            continue;
        delta = place_draft_delta(w, s, i, k);
        if (best == from || delta < least) {
            best = k;
            least = delta;
        }
    }
    return best;
}

/* Does anybody on column k lose in earnest when it is closed? Leaves it closed if not. */
static void close_if_needless(const struct place_work *w, const struct place_rule *r, struct place_draft *s,
                              size_t k, struct place_draft *keep)
{
    place_draft_copy(w, keep, s);
    for (size_t i = 0; i < w->n; i++) {
        int64_t with;
        size_t other;

        if (keep->at[i] != k)
            continue;
        with = place_own_cost(w, keep, i);
        other = best_other(w, s, i);
        place_draft_move(w, s, i, other);
        if (other == k || place_real_gain(r, 2 * w->mult, place_own_cost(w, s, i), with)) {
            place_draft_copy(w, s, keep);
            return;
        }
    }
}

/* Several nodes only for a real gain: where all who were there are on one node, closes what was opened beside it, the least used first, if
 * nobody would miss it. */
void place_close(const struct place_work *w, const struct place_rule *r, struct place_draft *s,
                 uint8_t *scratch)
{
    struct place_draft keep = {.at = scratch};
    bool used[PLACE_COLS] = {false};
    size_t n = 0;

    for (size_t i = 0; i < w->n; i++) {
        n += !used[w->home[i]] && w->home[i] + 1u < w->k;
        used[w->home[i]] = true;
    }
    if (n > 1)
        return;
    for (int32_t m = 1; m <= (int32_t)w->n; m++) {
        for (size_t k = 0; k + 1 < w->k; k++) {
            if (!used[k] && s->m[k] == m)
                close_if_needless(w, r, s, k, &keep);
        }
    }
}
