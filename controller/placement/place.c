/* A decision from end to end. Invariant: the answer depends on names and figures only, never on the order of the input; the request's
 * decision and the best plan go the same way but for the last step. */
#include "placement/place_internal.h"

static struct place_work *prepare(const struct place_problem *p, struct place_plan *plan, size_t nodes)
{
    struct place_work *w = place_work_lay(p, plan);

    place_order_all(p, w);
    place_policy_nodes(p, w);
    place_rank_all(p, w);
    place_judge(p, w, plan);
    place_short_list(p, w, nodes);
    return w;
}

void place_decide(const struct place_problem *p, struct place_plan *plan)
{
    struct place_work *w = prepare(p, plan, PLACE_SHORT_DECIDE);
    struct place_draft s = {.at = w->states[0]};

    place_online(p, w, &s);
    place_short_rest(p, w, &s);
    place_answer(p, w, &s, plan);
}

/* Never worse than what place_decide would do: that is among what it chooses from. */
void place_decide_best(const struct place_problem *p, struct place_plan *plan)
{
    struct place_work *w = prepare(p, plan, PLACE_SHORT);
    struct place_draft s = {.at = w->states[0]}, best = {.at = w->states[4]};
    struct place_rule r = {0}; /* the optimum knows no rules */

    place_online(p, w, &s);
    place_search_best(w, &r, &best, true);
    if (place_cap_better(w, &best, &s))
        place_draft_copy(w, &s, &best);
    w->now = -1;
    for (size_t i = 0; i < w->n; i++) {
        w->before[i] = -1;
        w->flags[i] &= (uint8_t)~PLACE_F_LATELY;
    }
    place_short_rest(p, w, &s);
    place_answer(p, w, &s, plan);
}
