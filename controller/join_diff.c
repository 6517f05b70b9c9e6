/* What a plan changes against what is stored. Invariant: who is not in the columns is stored exactly as the plan has it, or stays where
 * it is. */
#include "join_scene.h"

#include <stdio.h>
#include <string.h>

/* "{0,2}": a seat's ladder as the database keeps it. */
static const char *ladder_text(struct join_scene *s, const struct place_seat *seat)
{
    char *text = h2o_mem_alloc_pool(&s->pool, 2 * TRANSPORT_COUNT + 2), *p = text;

    *p++ = '{';
    for (size_t i = 0; i < seat->n_ladder; i++) {
        if (i > 0)
            *p++ = ',';
        *p++ = (char)('0' + (int)seat->ladder[i]);
    }
    *p++ = '}';
    *p = '\0';
    return text;
}

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Is participant i where it was, in every respect that is stored? */
static bool unchanged(struct join_scene *s, const struct join_ask *ask, size_t i)
{
    const struct join_person *who = &s->people[i];
    const struct place_seat *seat = &s->plan.seats[i];

    if (seat->node == PLACE_NONE) /* nothing better is known than where it is */
        return true;
    if (!who->stored || strcmp(who->node, s->nodes[seat->node]->id) != 0 ||
        strcmp(who->node_org, s->nodes[seat->node]->org) != 0 || who->transport != (int)seat->ladder[0] ||
        strcmp(who->ladder, ladder_text(s, seat)) != 0)
        return false;
    return i != s->me || (same_text(who->network, ask->network) && who->capabilities == ask->capabilities);
}

static const char *small_number(struct join_scene *s, int v)
{
    char text[16];

    if (v < 0)
        return NULL;
    snprintf(text, sizeof(text), "%d", v);
    return h2o_strdup(&s->pool, text, SIZE_MAX).base;
}

static void columns_init(struct join_columns *c, struct join_scene *s)
{
    const char ***const all[] = {&c->agent,  &c->node_org, &c->node,        &c->transport,
                                 &c->ladder, &c->network,  &c->capabilities};

    c->n = 0;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        *all[i] = h2o_mem_alloc_pool(&s->pool, (s->problem.n_participants + 1) * sizeof(**all[i]));
}

static void columns_add(struct join_columns *c, struct join_scene *s, const struct join_ask *ask, size_t i)
{
    const struct place_seat *seat = &s->plan.seats[i];
    bool me = i == s->me;
    size_t k = c->n++;

    c->agent[k] = s->people[i].agent;
    c->node_org[k] = s->nodes[seat->node]->org;
    c->node[k] = s->nodes[seat->node]->id;
    c->transport[k] = small_number(s, (int)seat->ladder[0]);
    c->ladder[k] = ladder_text(s, seat);
    c->network[k] = me ? ask->network : s->people[i].network;
    c->capabilities[k] = small_number(s, me ? ask->capabilities : s->people[i].capabilities);
}

void join_diff(struct join_scene *s, const struct join_ask *ask, struct join_columns *c)
{
    columns_init(c, s);
    for (size_t i = 0; i < s->problem.n_participants; i++) {
        /* With no node for all, the others stay where they are until they ask: room was looked for on the newcomer's node only. */
        bool follows = i == s->me || s->plan.outcome == PLACE_COMMON;

        if (follows && !unchanged(s, ask, i))
            columns_add(c, s, ask, i);
    }
}

int64_t join_count_coming(const struct join_scene *s, size_t node)
{
    int64_t n = 0;

    for (size_t i = 0; i < s->problem.n_participants; i++)
        n += s->plan.seats[i].node == node && s->problem.participants[i].present != node;
    return n;
}
