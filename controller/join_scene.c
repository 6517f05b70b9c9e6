/* From rows and the catalogue to a decision. Invariant: the problem holds every node that the org may see, by id, and everybody who is in
 * the meeting, by agent, the one who joins included. */
#include "join_scene.h"

#include "join_failures.h"
#include "join_rows.h"
#include "node_now.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void *join_scene_alloc(struct join_scene *s, size_t n, size_t size)
{
    void *p = h2o_mem_alloc_pool(&s->pool, (n + 1) * size);

    memset(p, 0, (n + 1) * size);
    return p;
}

void join_scene_init(struct join_scene *s)
{
    memset(s, 0, sizeof(*s));
    h2o_mem_init_pool(&s->pool);
    s->ready = true;
    s->me = PLACE_NONE;
}

/* ---- nodes ---- */

static void correct(struct place_node *to, const struct catalogue_node *n, const struct join_ask *ask)
{
    for (size_t i = 0; i < ask->n_corrections; i++) {
        const struct join_correction *c = &ask->corrections[i];

        if (strcmp(c->node, n->id) != 0 || strcmp(c->org, n->org) != 0)
            continue;
        if (c->full)
            to->capacity = to->assigned = 1;
        else
            to->state = PLACE_DRAINING;
    }
}

static int by_id(const void *a, const void *b)
{
    const struct catalogue_node *const *x = a, *const *y = b;

    return strcmp((*x)->id, (*y)->id);
}

/* The catalogue has the cloud's by id, and the org's own behind them: where there are none, there is nothing to sort. */
static void sort_nodes(const struct catalogue_node **nodes, size_t n)
{
    if (n > 0 && nodes[n - 1]->mesh)
        qsort(nodes, n, sizeof(*nodes), by_id);
}

size_t join_scene_node(const struct join_scene *s, const char *id, size_t guess)
{
    if (guess < s->problem.n_nodes && strcmp(s->nodes[guess]->id, id) == 0)
        return guess;
    for (size_t at = catalogue_hash_id(s->catalogue, id);; at++) {
        uint32_t i = s->node_table[at & s->node_mask];

        if (i == 0)
            return PLACE_NONE;
        if (strcmp(s->nodes[i - 1]->id, id) == 0)
            return i - 1;
    }
}

/* At most half full. */
static void index_nodes(struct join_scene *s, size_t n)
{
    size_t size = 2;

    while (size < 2 * n)
        size *= 2;
    s->node_mask = size - 1;
    s->node_table = join_scene_alloc(s, size, sizeof(s->node_table[0]));
    for (size_t i = 0; i < n; i++) {
        size_t at = s->nodes[i]->id_hash;

        while (s->node_table[at & s->node_mask] != 0)
            at++;
        s->node_table[at & s->node_mask] = (uint32_t)i + 1;
    }
}

/* What ways are asked of: lives as the scene does. */
struct scene_ways {
    struct place_ways ways;
    const struct catalogue *c;
    const struct catalogue_node **nodes;
};

static int32_t measured_way(const void *of, size_t a, size_t b)
{
    const struct scene_ways *w = of;
    int32_t us;

    if (catalogue_rtt(w->c, w->nodes[a], w->nodes[b], &us))
        return us;
    return catalogue_apart(w->c, w->nodes[a], w->nodes[b]) ? PLACE_NO_WAY : -1;
}

static int32_t guessed_way(const void *of, size_t a, size_t b)
{
    const struct scene_ways *w = of;
    int32_t us;

    return catalogue_rtt_by_place(w->nodes[a], w->nodes[b], &us) ? us : -1;
}

static void take_ways(struct join_scene *s, const struct catalogue *c)
{
    struct scene_ways *w = join_scene_alloc(s, 1, sizeof(*w));

    *w = (struct scene_ways){{w, measured_way, guessed_way}, c, s->nodes};
    s->problem.ways = &w->ways;
}

static enum place_state state_of(const struct catalogue_node *n, const struct catalogue_load *l,
                                 const struct join_ask *ask)
{
    if (n->drain || l->draining)
        return PLACE_DRAINING;
    if (!node_usable(l))
        return PLACE_QUARANTINED;
    if (l->health == HEALTH_PROBATION)
        return health_trickles(ask->meeting, n->id) ? PLACE_PROBATION : PLACE_SUSPECT;
    if (l->health == HEALTH_SUSPECT || l->heartbeat_age_us >= HEALTH_SUSPECT_AGE_US)
        return PLACE_SUSPECT;
    return PLACE_IN_SERVICE;
}

static struct place_node node_of(const struct join_scene *s, const struct join_ask *ask,
                                 const struct catalogue_node *n, const struct catalogue_load *l)
{
    struct place_node to = {
        .id = n->id,
        .org = n->mesh ? n->org : NULL,
        .cluster = n->cluster,
        .region = n->region,
        .state = state_of(n, l, ask),
        .capacity = n->capacity,
        .assigned = l->assigned,
        .load = node_now_load(n->capacity, l),
        .failures = l->failures,
        .weight = n->weight,
        .kbps_left = node_now_kbps_left(n->capacity_kbps, l, meeting_policy_bitrate(&s->policy)),
        .transports = node_transports(n),
    };

    correct(&to, n, ask);
    return to;
}

void join_scene_take_nodes(struct join_scene *s, const struct join_ask *ask, const struct catalogue *c)
{
    struct catalogue_iter it = {0};
    const struct catalogue_node *n;
    struct place_node *nodes;
    size_t len = 0;

    s->catalogue = c;
    s->nodes = join_scene_alloc(s, catalogue_nodes_count(catalogue_shared(c)), sizeof(s->nodes[0]));
    while ((n = catalogue_next(c, ask->org, &it)) != NULL) {
        if (node_listed(catalogue_load_of(c, n)))
            s->nodes[len++] = n;
    }
    sort_nodes(s->nodes, len);
    index_nodes(s, len);
    nodes = join_scene_alloc(s, len, sizeof(*nodes));
    for (size_t i = 0; i < len; i++)
        nodes[i] = node_of(s, ask, s->nodes[i], catalogue_load_of(c, s->nodes[i]));
    s->problem.nodes = s->place_nodes = nodes;
    s->problem.n_nodes = len;
    take_ways(s, c);
}

void join_scene_take_seats(struct join_scene *s, const struct join_ask *ask, const struct catalogue *c,
                           const int64_t *seats)
{
    for (size_t i = 0; i < s->problem.n_nodes; i++) {
        struct catalogue_load l = *catalogue_load_of(c, s->nodes[i]);

        if (seats[i] <= l.assigned)
            continue;
        l.assigned = seats[i];
        s->place_nodes[i] = node_of(s, ask, s->nodes[i], &l);
    }
}

/* A node that was stored with its org; PLACE_NONE where another one has the id by now. */
static size_t stored_node(const struct join_scene *s, const char *org, const char *id)
{
    size_t i = id != NULL ? join_scene_node(s, id, PLACE_NONE) : PLACE_NONE;

    return i != PLACE_NONE && org != NULL && strcmp(s->nodes[i]->org, org) == 0 ? i : PLACE_NONE;
}

/* ---- people ---- */

static int take_people(struct join_scene *s, const struct join_ask *ask, const struct db_result *result)
{
    size_t n = s->n_stored + (s->me == s->n_stored);
    struct place_participant *out = join_scene_alloc(s, n, sizeof(*out));

    for (size_t i = 0; i < n; i++) {
        const struct join_person *who = &s->people[i];
        int capabilities = i == s->me ? s->capabilities : who->capabilities;

        out[i] = (struct place_participant){
            .agent = who->agent,
            .capabilities = capabilities >= 0 ? (unsigned)capabilities : TRANSPORTS_ALL,
            .present = who->stored ? stored_node(s, who->node_org, who->node) : PLACE_NONE,
            .guessed = who->guessed,
            .moved_ago_us = who->moved_ago_us,
        };
    }
    s->problem.participants = s->participants = out;
    s->problem.n_participants = n;
    s->problem.org = ask->org;
    s->problem.present = stored_node(s, s->node_org, s->node);
    return join_rows_reports(s, ask, result, out);
}

/* ---- the decision ---- */

void *join_scene_work(struct join_scene *s)
{
    return h2o_mem_alloc_pool(&s->pool, place_work_size(s->problem.n_nodes, s->problem.n_participants));
}

void join_scene_decide(struct join_scene *s)
{
    struct place_plan *plan = &s->plan;
    size_t nodes = s->problem.n_nodes, people = s->problem.n_participants;

    s->problem.policy = meeting_policy_place(&s->policy);
    plan->candidates = join_scene_alloc(s, nodes, sizeof(plan->candidates[0]));
    s->reach = join_scene_alloc(s, nodes, sizeof(s->reach[0]));
    plan->seats = join_scene_alloc(s, people, sizeof(plan->seats[0]));
    plan->work = join_scene_work(s);
    place_decide(&s->problem, plan);
    if (join_failures_lift(s))
        place_decide(&s->problem, plan);
    join_failures_order(s);
}

/* What failed goes before what others tell of it. */
static void decide_on_rows(struct join_scene *s)
{
    join_failures_bar(s);
    join_scene_decide(s);
}

int join_scene_build(struct join_scene *s, const struct join_ask *ask, const struct catalogue *c,
                     const struct db_result *result)
{
    int r;

    join_scene_init(s);
    r = join_rows_meeting(s, result);
    if (r == 0)
        r = join_rows_people(s, ask, result);
    if (r != 0)
        return r;
    join_scene_take_nodes(s, ask, c);
    r = take_people(s, ask, result);
    if (r == 0 && s->n_missing > 0)
        return -EINPROGRESS;
    if (r == 0)
        decide_on_rows(s);
    return r;
}

int join_scene_fetched(struct join_scene *s, const struct join_ask *ask, const struct db_result *result)
{
    int r = join_reports_take_fetched(s, ask, result->res[0], s->participants);

    if (r == 0)
        decide_on_rows(s);
    return r;
}

void join_scene_clear(struct join_scene *s)
{
    if (!s->ready)
        return;
    json_decref(s->policy_json);
    report_clear(&s->mine.report);
    h2o_mem_clear_pool(&s->pool);
    s->ready = false;
}
