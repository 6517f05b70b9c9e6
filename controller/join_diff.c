/* What a plan changes against what is stored. Invariant: who is not in the columns stays on its node; who is moved, and
 * didn't ask, has what it is to be told. */
#include "join_scene.h"

#include "join_rows.h"

#include <stdio.h>
#include <stdlib.h>
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

static bool moves(const struct join_scene *s, size_t i)
{
    const struct join_person *who = &s->people[i];
    const struct catalogue_node *to = s->nodes[s->plan.seats[i].node];

    return !who->stored || strcmp(who->node, to->id) != 0 || strcmp(who->node_org, to->org) != 0;
}

/* Is participant i where it was, in every respect that matters? Others' ladders are theirs to ask for. */
static bool unchanged(struct join_scene *s, size_t i)
{
    const struct join_person *who = &s->people[i];
    const struct place_seat *seat = &s->plan.seats[i];

    if (seat->node == PLACE_NONE) /* nothing better is known than where it is */
        return true;
    if (moves(s, i))
        return false;
    return i != s->me ||
           (who->transport == (int)seat->ladder[0] && strcmp(who->ladder, ladder_text(s, seat)) == 0 &&
            same_text(who->network, s->network) && who->capabilities == s->capabilities);
}

static const char *number_text(struct join_scene *s, int64_t v)
{
    char text[24];

    snprintf(text, sizeof(text), "%lld", (long long)v);
    return h2o_strdup(&s->pool, text, SIZE_MAX).base;
}

static void columns_init(struct join_columns *c, struct join_scene *s)
{
    const char ***const all[] = {&c->agent,   &c->node_org,     &c->node,    &c->transport, &c->ladder,
                                 &c->network, &c->capabilities, &c->guessed, &c->body};

    c->n = 0;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        *all[i] = h2o_mem_alloc_pool(&s->pool, (s->problem.n_participants + 1) * sizeof(**all[i]));
}

/* What somebody who was moved is told: its new assignment, of which meeting, and where it was. */
static const char *told(struct join_scene *s, const struct join_ask *ask, size_t i)
{
    json_t *j = join_answer(s, i, s->epoch + 1);
    char *why = join_why(s, i, WHY_TOLD_MAX), *text;
    const char *copy = NULL;

    if (j != NULL) {
        json_object_set_new(j, "meeting", json_string(ask->meeting));
        json_object_set_new(j, "moved_from", json_string(s->people[i].node));
    }
    text = doc_text_with(j, "why", why);
    if (text != NULL)
        copy = h2o_strdup(&s->pool, text, SIZE_MAX).base;
    free(text);
    free(why);
    json_decref(j);
    return copy;
}

/* Neither a report nor a prediction told where to put it. */
static bool unknown(const struct place_participant *who)
{
    return !who->measured && (who->n_rows == 0 || who->confidence_pct == 0);
}

static void columns_add(struct join_columns *c, struct join_scene *s, const struct join_ask *ask, size_t i)
{
    const struct place_seat *seat = &s->plan.seats[i];
    const struct join_person *who = &s->people[i];
    bool me = i == s->me, guessed = moves(s, i) ? unknown(&s->problem.participants[i]) : who->guessed;
    int capabilities = me ? s->capabilities : who->capabilities;
    size_t k = c->n++;

    c->agent[k] = who->agent;
    c->node_org[k] = s->nodes[seat->node]->org;
    c->node[k] = s->nodes[seat->node]->id;
    c->transport[k] = number_text(s, seat->ladder[0]);
    c->ladder[k] = ladder_text(s, seat);
    c->network[k] = me ? s->network : who->network;
    c->capabilities[k] = capabilities >= 0 ? number_text(s, capabilities) : NULL;
    c->guessed[k] = guessed ? "t" : "f";
    c->body[k] = me ? NULL : told(s, ask, i);
}

void join_diff(struct join_scene *s, const struct join_ask *ask, struct join_columns *c)
{
    columns_init(c, s);
    for (size_t i = 0; i < s->problem.n_participants; i++) {
        if (!unchanged(s, i))
            columns_add(c, s, ask, i);
    }
}

static int64_t count_coming(const struct join_scene *s, size_t node)
{
    int64_t n = 0;

    for (size_t i = 0; i < s->problem.n_participants; i++)
        n += s->plan.seats[i].node == node && s->problem.participants[i].present != node;
    return n;
}

void join_needs(struct join_scene *s, const struct join_columns *c, struct join_needs *needs)
{
    size_t n = s->problem.n_nodes;
    bool *listed = h2o_mem_alloc_pool(&s->pool, n + 1);

    memset(listed, 0, n + 1);
    needs->n = 0;
    needs->org = h2o_mem_alloc_pool(&s->pool, (n + 1) * sizeof(*needs->org));
    needs->node = h2o_mem_alloc_pool(&s->pool, (n + 1) * sizeof(*needs->node));
    needs->more = h2o_mem_alloc_pool(&s->pool, (n + 1) * sizeof(*needs->more));
    for (size_t k = 0; k < c->n; k++) {
        size_t node = join_scene_node(s, c->node[k], PLACE_NONE), to = needs->n;

        if (node == PLACE_NONE || listed[node])
            continue;
        listed[node] = true;
        needs->org[to] = c->node_org[k];
        needs->node[to] = c->node[k];
        needs->more[to] = number_text(s, count_coming(s, node));
        needs->n++;
    }
}
