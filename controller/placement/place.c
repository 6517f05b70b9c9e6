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

void place_decide_best(const struct place_problem *p, struct place_plan *plan)
{
    struct place_work *w = prepare(p, plan, PLACE_SHORT);
    struct place_draft s = {.at = w->states[0]};
    struct place_rule r = {0}; /* the optimum knows no rules */

    w->now = -1;
    for (size_t i = 0; i < w->n; i++)
        w->before[i] = -1;
    place_search_best(w, &r, &s, true);
    place_short_rest(p, w, &s);
    place_answer(p, w, &s, plan);
}
