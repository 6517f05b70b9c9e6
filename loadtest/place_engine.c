/* The engine's problem from the replay's. Invariant: the engine is told what was measured, never the truth; its
 * answers are read, not judged, here. */
#include "place_engine.h"

#include "meeting_policy.h"
#include "placement/place.h"
#include "sys/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char org[] = "replay";

struct place_engine {
    const struct world *world;
    const struct matrix *measured;
    struct meeting_policy policy;
    bool *allowed;
    struct place_node *nodes;
    int32_t *node_rtt_us;
    const int32_t *seat_us;  /* the caller's */
    struct place_row **rows; /* of each site, made when the site is first needed */
    size_t *n_rows;
    struct place_candidate *candidates; /* n_nodes */
    size_t cap;                         /* members that there is room for */
    struct place_participant *participants;
    struct place_seat *seats;
    void *work;
};

static void describe_nodes(struct place_engine *p)
{
    const struct world *w = p->world;
    const struct place_problem problem = {.org = org, .policy = meeting_policy_place(&p->policy)};
    for (size_t v = 0; v < w->nodes.n; v++) {
        const struct world_node *n = &w->node[v];
        p->nodes[v] = (struct place_node){.id = n->name,
                                          .org = n->mesh ? org : NULL,
                                          .cluster = n->site,
                                          .region = n->region,
                                          .state = PLACE_IN_SERVICE,
                                          .capacity = n->capacity,
                                          .weight = n->weight,
                                          .transports = TRANSPORTS_ALL};
        p->allowed[v] = place_node_rejects(&problem, &p->nodes[v]) == 0;
    }
    for (size_t k = 0; k < w->nodes.n * w->nodes.n; k++)
        p->node_rtt_us[k] = (int32_t)p->measured->between[k];
}

static bool any_allowed(const struct place_engine *p)
{
    for (size_t v = 0; v < p->world->nodes.n; v++) {
        if (p->allowed[v])
            return true;
    }
    return false;
}

struct place_engine *place_engine_new(const struct world *w, const struct matrix *measured,
                                      const json_t *policy, const char *file, struct replay_error *e)
{
    struct place_engine *p = calloc(1, sizeof *p);
    struct doc_error why;
    size_t n = w->nodes.n, n_sites = w->truth.n_sites;
    if (!p)
        goto memory;
    if (meeting_policy_check_members(policy, &why) < 0 ||
        meeting_policy_from_json(policy, &p->policy, &why) < 0) {
        replay_fail(e, file, 0, "%s%s%s", why.pointer, *why.pointer ? ": " : "", why.detail);
        goto out;
    }
    p->world = w;
    p->measured = measured;
    p->allowed = calloc(n, sizeof *p->allowed);
    p->nodes = calloc(n, sizeof *p->nodes);
    p->node_rtt_us = calloc(n * n, sizeof *p->node_rtt_us);
    p->rows = calloc(n_sites, sizeof *p->rows);
    p->n_rows = calloc(n_sites, sizeof *p->n_rows);
    p->candidates = calloc(n, sizeof *p->candidates);
    if (!p->allowed || !p->nodes || !p->node_rtt_us || !p->rows || !p->n_rows || !p->candidates)
        goto memory;
    describe_nodes(p);
    if (any_allowed(p))
        return p;
    replay_fail(e, file, 0,
                "leaves none of the %zu nodes: its regions, private and transports against the nodes' region "
                "and class",
                n);
    goto out;
memory:
    replay_fail(e, "engine", 0, "out of memory");
out:
    place_engine_destroy(p);
    return NULL;
}

void place_engine_destroy(struct place_engine *p)
{
    if (!p)
        return;
    for (size_t i = 0; p->rows && i < p->world->truth.n_sites; i++)
        free(p->rows[i]);
    free(p->rows);
    free(p->n_rows);
    free(p->allowed);
    free(p->nodes);
    free(p->node_rtt_us);
    free(p->candidates);
    free(p->participants);
    free(p->seats);
    free(p->work);
    free(p);
}

const bool *place_engine_allowed(const struct place_engine *p)
{
    return p->allowed;
}

void place_engine_price(struct place_engine *p, const int32_t *seat_us)
{
    p->seat_us = seat_us;
}

/* What a site's report says: a row for each node that something is known of. */
static int make_rows(struct place_engine *p, size_t site)
{
    const int64_t *rtt = matrix_row(p->measured, site);
    size_t n = 0, n_nodes = p->world->nodes.n;
    struct place_row *rows = calloc(n_nodes, sizeof *rows);
    if (!rows)
        return -ENOMEM;
    for (size_t v = 0; v < n_nodes; v++) {
        bool reachable = rtt[v] != WORLD_FAR_US;
        if (rtt[v] == WORLD_UNKNOWN)
            continue;
        rows[n++] = (struct place_row){.node = (uint32_t)v,
                                       .transport = TRANSPORT_UDP,
                                       .reachable = reachable,
                                       .rtt_us = reachable ? (int32_t)rtt[v] : -1};
    }
    p->rows[site] = rows;
    p->n_rows[site] = n;
    return 0;
}

static int reserve(struct place_engine *p, size_t n)
{
    if (n <= p->cap)
        return 0;
    size_t cap = p->cap > 0 ? p->cap : 16;
    while (cap < n)
        cap *= 2;
    free(p->participants);
    free(p->seats);
    free(p->work);
    p->participants = calloc(cap, sizeof *p->participants);
    p->seats = calloc(cap, sizeof *p->seats);
    p->work = malloc(place_work_size(p->world->nodes.n, cap));
    p->cap = p->participants && p->seats && p->work ? cap : 0;
    return p->cap > 0 ? 0 : -ENOMEM;
}

static int describe_members(struct place_engine *p, size_t n, const struct place_engine_member *member)
{
    for (size_t i = 0; i < n; i++) {
        const struct place_engine_member *m = &member[i];
        if (!p->rows[m->site] && make_rows(p, m->site) < 0)
            return -ENOMEM;
        bool measured = !m->unmeasured && p->n_rows[m->site] > 0;
        p->participants[i] = (struct place_participant){.agent = m->name,
                                                        .measured = measured,
                                                        .confidence_pct = measured ? 100 : 0,
                                                        .capabilities = TRANSPORTS_ALL,
                                                        .n_rows = measured ? p->n_rows[m->site] : 0,
                                                        .rows = measured ? p->rows[m->site] : NULL,
                                                        .present = m->present,
                                                        .guessed = !measured, /* its site never changes */
                                                        .moved_ago_us = m->moved_ago_us};
    }
    return 0;
}

/* Whether the node comes before the other by its name; any comes before none. */
static bool comes_first(const struct place_engine *p, size_t node, size_t other)
{
    return other == PLACE_NONE || strcmp(p->nodes[node].id, p->nodes[other].id) < 0;
}

/* The meeting's main node: where most are, of several the first by name. */
static size_t main_node(const struct place_engine *p, size_t n, const struct place_engine_member *member)
{
    size_t best = PLACE_NONE, most = 0;
    for (size_t i = 0; i < n; i++) {
        size_t same = 0;
        for (size_t j = 0; j < n; j++)
            same += member[j].present == member[i].present;
        if (member[i].present != PLACE_NONE &&
            (same > most || (same == most && comes_first(p, member[i].present, best)))) {
            most = same;
            best = member[i].present;
        }
    }
    return best;
}

int place_engine_decide(struct place_engine *p, enum place_engine_mode mode, size_t n,
                        const struct place_engine_member *member, const int64_t *used, size_t *seat,
                        int64_t *ns)
{
    struct place_problem problem = {.org = org, .n_nodes = p->world->nodes.n, .n_participants = n};
    struct place_plan plan = {0};
    if (reserve(p, n) < 0 || describe_members(p, n, member) < 0)
        return -ENOMEM;
    for (size_t v = 0; v < p->world->nodes.n; v++) {
        p->nodes[v].assigned = used[v]; /* their load, which no file tells, stays 0: seats alone are scarce */
        p->nodes[v].seat_us = p->seat_us && mode == ENGINE_ONLINE ? p->seat_us[v] : 0;
    }
    problem.nodes = p->nodes;
    problem.participants = p->participants;
    problem.node_rtt_us = p->node_rtt_us;
    problem.policy = meeting_policy_place(&p->policy);
    problem.present = main_node(p, n, member);
    plan.candidates = p->candidates;
    plan.seats = p->seats;
    plan.work = p->work;
    int64_t before = clock_cpu_ns();
    if (mode == ENGINE_BEST)
        place_decide_best(&problem, &plan);
    else
        place_decide(&problem, &plan);
    *ns = clock_cpu_ns() - before;
    for (size_t i = 0; i < n; i++)
        seat[i] = p->seats[i].node;
    return 0;
}
