/* Events of joins. Invariant: they name orgs, nodes and meetings, never an agent. */
#include "join_events.h"

#include "controller.h"

#include <stdio.h>
#include <string.h>

void join_tell_overload(struct worker *w, const struct join_scene *s, const struct join_ask *ask)
{
    size_t node = s->plan.seats[s->me].node;
    const struct place_node *n = &s->problem.nodes[node];
    char detail[256];

    if (!place_node_overloaded(n) || s->problem.participants[s->me].present == node)
        return;
    snprintf(detail, sizeof(detail),
             "Only overloaded nodes were left for %s: %s serves, at a load of %.0f %%. Add nodes there.",
             ask->org, n->id, n->load * 100);
    events_raise(w, &(struct event){s->nodes[node]->org, "overloaded", n->id, detail, EVENT_WARNING});
}

void join_tell_refusal(struct worker *w, const struct join_scene *s, const struct join_ask *ask, unsigned why,
                       const char *detail)
{
    char whole[640];

    if (s->problem.n_nodes > 0 && !(why & (PLACE_FULL | PLACE_UNHEALTHY | PLACE_DRAINED)))
        return;
    snprintf(whole, sizeof(whole), "meeting %s: %s", ask->meeting, detail);
    events_raise(w, &(struct event){ask->org, "no_node", "", whole, EVENT_CRITICAL});
}

static bool is_stranded(const struct join_scene *s, size_t i)
{
    return s->people[i].stored && s->plan.seats[i].node == PLACE_NONE;
}

/* Somebody before it is on the same node. */
static bool is_told(const struct join_scene *s, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (is_stranded(s, k) && strcmp(s->people[k].node, s->people[i].node) == 0)
            return true;
    }
    return false;
}

void join_tell_stranded(struct worker *w, struct join_scene *s, const struct join_ask *ask)
{
    char obstacles[256], detail[512];

    for (size_t i = 0; i < s->problem.n_participants; i++) {
        if (!is_stranded(s, i) || is_told(s, i))
            continue;
        (void)join_obstacles(s, i, obstacles, sizeof(obstacles));
        snprintf(
            detail, sizeof(detail),
            "Participants of %s are still on %s, which can't serve them any longer, as no other node can; "
            "of %zu: %s.",
            ask->org, s->people[i].node, s->problem.n_nodes, obstacles);
        events_raise(w, &(struct event){ask->org, "stranded", s->people[i].node, detail, EVENT_CRITICAL});
    }
}
