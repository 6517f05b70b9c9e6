/* A decision in all its parts: everybody's candidates, what each costs and of what, and what speaks against it. Invariant: terms are one-way
 * milliseconds and add up to their cost; there are never more of them than the bounds of join_scene.h. */
#include "join_predict.h"

#include "join_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double ms(int64_t us)
{
    return (double)us / 1000;
}

static void set_ms(json_t *to, const char *name, int64_t us)
{
    if (us >= 0)
        json_object_set_new(to, name, json_real(ms(us)));
}

/* ---- sentences ---- */

static const char *const reject_words[PLACE_REJECTS] = {
    "can't be reached over any transport that counts",
    "isn't in the participant's report, so comes after all that are",
    "is under maintenance, or stopping",
    "has not been heard of lately, or fails too many",
    "has no room",
    "is in a region that the policy excludes",
    "is a cloud node, and the policy wants mesh nodes only",
    "is another organisation's",
    "offers no transport that policy and participant allow",
    "did not work for the participant lately",
    "and a node that others are on don't reach each other, nor through a third, so comes after all that do",
};

static void add(char *out, size_t cap, const char *text)
{
    size_t len = strlen(out);

    snprintf(out + len, cap - len, "%s", text);
}

static void reject_sentence(const char *node, unsigned rejected, char *out, size_t cap)
{
    bool any = false;

    snprintf(out, cap, "%s ", node);
    for (unsigned b = 0; b < PLACE_REJECTS; b++) {
        if (!(rejected & (1u << b)))
            continue;
        add(out, cap, any ? "; it " : "");
        add(out, cap, reject_words[b]);
        any = true;
    }
    add(out, cap, any ? "." : "can't be used.");
}

static void cost_sentence(const char *node, const struct place_terms *t, char *out, size_t cap)
{
    int64_t penalties =
        t->transport_us + t->loss_us + t->weight_us + t->load_us + t->failures_us + t->mesh_us;
    char way[96], more[80] = "";

    if (t->unmeasured_us == 0)
        snprintf(way, sizeof(way), "%.2f ms of way to it by %s", ms(t->rtt_us), transport_name(t->via));
    else if (t->rtt_us == 0)
        snprintf(way, sizeof(way), "%.2f ms for a way that was not measured", ms(t->unmeasured_us));
    else
        snprintf(way, sizeof(way), "%.2f ms of way to it, as predicted", ms(t->rtt_us + t->unmeasured_us));
    if (penalties != 0)
        snprintf(more, sizeof(more), ", %.2f ms of penalties and prices", ms(penalties));
    snprintf(out, cap, "%s costs %.2f ms: %s%s, %.2f ms for the others' ways, %.2f ms between nodes.", node,
             ms(t->cost_us), way, more, ms(t->others_us), ms(t->nodes_us));
}

/* Behind the participant's name. */
static const char *const reason_words[JOIN_REASONS] = {
    [JOIN_NOTHING] = "can be served by no node",
    [JOIN_LEAST_BAD] =
        "is tried again with the least bad, as everything that it could be given failed lately",
    [JOIN_UNMEASURED] = "has no live report: it goes where the others are, or to the idlest",
    [JOIN_PREDICTED] = "has no live report: it is given a node by what others' reports tell of it",
    [JOIN_STAYS] = "stays: no move gains enough",
    [JOIN_STAYS_LATELY] = "stays: it was moved too lately",
    [JOIN_COMMON] = "is given the node of least latency for the meeting",
    [JOIN_BLIND] = "measured nothing that can be used: a node is tried without a measurement",
    [JOIN_JOINED] = "is given the node of least latency for the meeting",
    [JOIN_ALONE] = "is given the node of least latency for the meeting",
};

/* ---- candidates ---- */

struct cell {
    size_t node;
    bool chosen;
    const struct place_terms *terms;
    const char *id;
};

static bool fit(const struct cell *c)
{
    return c->terms->possible && !(c->terms->rejected & PLACE_FULL);
}

/* The chosen one, then by cost; then what can't be, by name. */
static int by_cost(const void *a, const void *b)
{
    const struct cell *x = a, *y = b;
    bool fx = fit(x), fy = fit(y);

    if (x->chosen != y->chosen)
        return x->chosen ? -1 : 1;
    if (fx != fy)
        return fx ? -1 : 1;
    if (fx && x->terms->cost_us != y->terms->cost_us)
        return x->terms->cost_us < y->terms->cost_us ? -1 : 1;
    return strcmp(x->id, y->id);
}

static json_t *terms_json(const struct place_terms *t)
{
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "round_trip", ms(t->rtt_us),
                     "transport", ms(t->transport_us), "loss", ms(t->loss_us), "weight", ms(t->weight_us),
                     "load", ms(t->load_us), "failures", ms(t->failures_us), "mesh", ms(t->mesh_us),
                     "unmeasured", ms(t->unmeasured_us), "others", ms(t->others_us), "between_nodes",
                     ms(t->nodes_us));
}

static json_t *cell_json(const struct join_scene *s, const struct cell *c)
{
    const struct catalogue_node *n = s->nodes[c->node];
    const struct place_terms *t = c->terms;
    char sentence[768];
    json_t *j = json_pack("{s:s, s:s, s:s, s:s}", "node", n->id, "cluster", n->cluster, "class",
                          n->mesh ? "mesh" : "cloud", "region", n->region);

    if (j == NULL)
        return NULL;
    if (c->chosen)
        json_object_set_new(j, "chosen", json_true());
    if (t->possible) {
        json_object_set_new(j, "transport", json_string(transport_name(t->via)));
        json_object_set_new(j, "cost_ms", json_real(ms(t->cost_us)));
        json_object_set_new(j, "terms_ms", terms_json(t));
    }
    if (t->rejected != 0)
        json_object_set_new(j, "rejected", join_reject_codes(t->rejected));
    if (t->possible && (t->rejected & ~(unsigned)PLACE_UNMEASURED) == 0)
        cost_sentence(n->id, t, sentence, sizeof(sentence));
    else
        reject_sentence(n->id, t->rejected, sentence, sizeof(sentence));
    json_object_set_new(j, "sentence", json_string(sentence));
    return j;
}

/* In the order of the answer. */
static void sort_cells(struct join_scene *s, size_t i, struct place_terms *terms, struct cell *cells)
{
    size_t n = s->problem.n_nodes;

    place_terms_all(&s->problem, &s->plan, i, terms);
    for (size_t v = 0; v < n; v++)
        cells[v] = (struct cell){
            .node = v, .chosen = v == s->plan.seats[i].node, .terms = &terms[v], .id = s->nodes[v]->id};
    qsort(cells, n, sizeof(*cells), by_cost);
}

static json_t *candidates_json(const struct join_scene *s, const struct cell *cells, size_t most)
{
    size_t n = s->problem.n_nodes;
    json_t *list = json_array();

    for (size_t k = 0; k < n && k < most; k++)
        json_array_append_new(list, cell_json(s, &cells[k]));
    return list;
}

/* ---- participants ---- */

/* Of sorted cells: no other would be better for this participant alone. */
static bool first_is_best(const struct join_scene *s, const struct cell *cells)
{
    return s->problem.n_nodes < 2 || !fit(&cells[1]) || cells[1].terms->cost_us >= cells[0].terms->cost_us;
}

static void moved_sentence(const struct join_scene *s, size_t i, char *out, size_t cap)
{
    const struct place_seat *seat = &s->plan.seats[i];
    size_t present = s->problem.participants[i].present;
    const char *from = present != PLACE_NONE ? s->nodes[present]->id : "its node",
               *to = s->nodes[seat->node]->id;

    if (seat->reason == PLACE_WHY_MOVED)
        snprintf(out, cap, "%s would be moved from %s to %s: %.2f ms less.", s->people[i].agent, from, to,
                 ms(seat->gain_us));
    else
        snprintf(out, cap, "%s has to be moved from %s, which can't serve it any longer, to %s.",
                 s->people[i].agent, from, to);
}

static void decided_sentence(const struct join_scene *s, size_t i, const struct cell *cells, char *out,
                             size_t cap)
{
    enum join_reason reason = join_reason(s, i);
    size_t node = s->plan.seats[i].node;
    bool stays = node != PLACE_NONE && node == s->problem.participants[i].present;
    const char *words = reason_words[reason];

    if (reason == JOIN_MOVED || reason == JOIN_FORCED) {
        moved_sentence(s, i, out, cap);
        return;
    }
    if (reason == JOIN_STAYS && first_is_best(s, cells))
        words = "stays: no other node is better for it";
    else if ((reason == JOIN_UNMEASURED || reason == JOIN_PREDICTED) && stays)
        words = "has no live report: it stays where it is";
    else if (reason == JOIN_UNMEASURED && s->people[i].given != NULL)
        words = "comes without results: it goes where the others are, or to the idlest";
    snprintf(out, cap, "%s %s.", s->people[i].agent, words);
}

static json_t *decided_json(const struct join_scene *s, size_t i, const struct cell *cells)
{
    const struct place_seat *seat = &s->plan.seats[i];
    char sentence[AGENT_ID_MAX + 2 * NODE_ID_MAX + 128];
    json_t *j;

    decided_sentence(s, i, cells, sentence, sizeof(sentence));
    j = json_pack("{s:s, s:s}", "reason", join_reason_name(join_reason(s, i)), "sentence", sentence);
    if (j == NULL || seat->node == PLACE_NONE)
        return j;
    json_object_set_new(j, "node", json_string(s->nodes[seat->node]->id));
    json_object_set_new(j, "transport", json_string(transport_name(seat->ladder[0])));
    set_ms(j, "rtt_ms", seat->rtt_us);
    set_ms(j, "latency_ms", seat->latency_us);
    if (seat->reason == PLACE_WHY_MOVED)
        set_ms(j, "gain_ms", seat->gain_us);
    if (seat->overflow != PLACE_OVERFLOW_NO) {
        json_object_set_new(j, "overflow", json_string(place_overflow_name(seat->overflow)));
        json_object_set_new(j, "remedy", json_string(place_overflow_remedy(seat->overflow)));
    }
    return j;
}

static json_t *person_json(struct join_scene *s, size_t i, size_t most, struct place_terms *terms,
                           struct cell *cells)
{
    const struct place_participant *who = &s->problem.participants[i];
    json_t *prediction = join_predict_json(s, i), *j;

    sort_cells(s, i, terms, cells);
    j = json_pack("{s:s, s:b, s:o, s:o, s:I}", "participant", who->agent, "measured", who->measured,
                  "decided", decided_json(s, i, cells), "candidates", candidates_json(s, cells, most),
                  "candidates_total", (json_int_t)s->problem.n_nodes);
    if (j == NULL)
        return NULL;
    if (who->present != PLACE_NONE)
        json_object_set_new(j, "node", json_string(s->nodes[who->present]->id));
    if (!who->measured && who->confidence_pct > 0)
        json_object_set_new(j, "confidence_pct", json_integer(who->confidence_pct));
    if (prediction != NULL)
        json_object_set_new(j, "prediction", prediction);
    if (s->people[i].network != NULL)
        json_object_set_new(j, "network", json_string(s->people[i].network));
    return j;
}

static size_t page_size(const struct join_scene *s, const struct explain_ask *ask)
{
    size_t n = s->problem.n_nodes > 0 ? EXPLAIN_CELLS_MAX / s->problem.n_nodes : EXPLAIN_PEOPLE_MAX;

    n = n == 0 ? 1 : n;
    n = n < EXPLAIN_PEOPLE_MAX ? n : EXPLAIN_PEOPLE_MAX;
    return ask->limit < n ? ask->limit : n;
}

static json_t *people_json(struct join_scene *s, const struct explain_ask *ask, const char **last)
{
    struct place_terms *terms = join_scene_alloc(s, s->problem.n_nodes, sizeof(*terms));
    struct cell *cells = join_scene_alloc(s, s->problem.n_nodes, sizeof(*cells));
    size_t n = page_size(s, ask), most = ask->agent != NULL ? EXPLAIN_ONE_MAX : EXPLAIN_CANDIDATES_MAX;
    const char *shown = NULL;
    json_t *list = json_array();

    *last = NULL;
    for (size_t i = 0; i < s->problem.n_participants; i++) {
        const char *agent = s->people[i].agent;

        if (ask->agent != NULL ? strcmp(agent, ask->agent) != 0 : strcmp(agent, ask->after) <= 0)
            continue;
        if (json_array_size(list) == n) {
            *last = shown;
            break;
        }
        json_array_append_new(list, person_json(s, i, most, terms, cells));
        shown = agent;
    }
    return list;
}

/* ---- the whole ---- */

static const char *const outcome_names[] = {"common_node", "joined_nodes", "no_common_node", "no_node",
                                            "no_region_allowed"};

static int64_t least_single(const struct join_scene *s)
{
    int64_t least = -1;

    for (size_t i = 0; i < s->problem.n_nodes; i++) {
        int64_t cost = s->plan.candidates[i].rejected == 0 ? s->plan.candidates[i].cost_us : -1;

        if (cost >= 0 && (least < 0 || cost < least))
            least = cost;
    }
    return least;
}

/* Decided aside: the plan that is explained stays as it is. */
static int64_t best_cost(struct join_scene *s)
{
    size_t nodes = s->problem.n_nodes, people = s->problem.n_participants;
    struct place_plan best = {.candidates = join_scene_alloc(s, nodes, sizeof(*best.candidates)),
                              .seats = join_scene_alloc(s, people, sizeof(*best.seats)),
                              .work = join_scene_work(s)};

    place_decide_best(&s->problem, &best);
    return best.cost_us;
}

/* Who has no seat costs more than anything that could be compared. */
static bool all_seated(const struct join_scene *s)
{
    for (size_t i = 0; i < s->problem.n_participants; i++) {
        if (s->plan.seats[i].node == PLACE_NONE)
            return false;
    }
    return s->problem.n_participants > 0;
}

static json_t *costs_json(struct join_scene *s, const struct explain_ask *ask)
{
    json_t *j = json_object();

    if (!all_seated(s))
        return j;
    set_ms(j, "decided_ms", s->plan.cost_us);
    set_ms(j, "present_ms", s->plan.present_cost_us);
    set_ms(j, "single_node_ms", least_single(s));
    set_ms(j, "latency_ms", s->plan.latency_us);
    set_ms(j, "worst_ms", s->plan.worst_us);
    if (ask->given && s->problem.n_participants <= EXPLAIN_BEST_PEOPLE)
        set_ms(j, "best_ms", best_cost(s));
    return j;
}

static json_t *plan_json(const struct join_scene *s)
{
    json_t *j = json_object();

    for (size_t i = 0; i < s->problem.n_participants; i++) {
        size_t node = s->plan.seats[i].node;

        json_object_set_new(j, s->people[i].agent,
                            node != PLACE_NONE ? json_string(s->nodes[node]->id) : json_null());
    }
    return j;
}

bool join_scene_has(const struct join_scene *s, const char *agent)
{
    for (size_t i = 0; i < s->problem.n_participants; i++) {
        if (strcmp(s->people[i].agent, agent) == 0)
            return true;
    }
    return false;
}

json_t *join_explain(struct join_scene *s, const struct explain_ask *ask, const char **last)
{
    json_t *costs = costs_json(s, ask);
    json_t *j = json_pack(
        "{s:s, s:I, s:I, s:I, s:b, s:o, s:o, s:o}", "outcome", outcome_names[s->plan.outcome], "participants",
        (json_int_t)s->problem.n_participants, "nodes_joined", (json_int_t)s->plan.n_joined, "moved",
        (json_int_t)s->plan.n_moved, "overloaded", s->plan.overloaded, "policy",
        meeting_policy_to_json(&s->policy), "costs", costs, "items", people_json(s, ask, last));

    if (j == NULL)
        return NULL;
    if (s->plan.node != PLACE_NONE && s->problem.n_participants > 0)
        json_object_set_new(j, "node", json_string(s->nodes[s->plan.node]->id));
    if (s->policy.cap_worst && all_seated(s))
        json_object_set_new(j, "worst_within_ms",
                            s->plan.cap_stage < PLACE_CAP_STAGES
                                ? json_integer(place_cap_us(s->plan.cap_stage) / 1000)
                                : json_null());
    if (s->problem.n_participants == 0 && s->plan.node == PLACE_NONE)
        json_object_set_new(j, "rejected", join_rejected_json(s));
    if (ask->given)
        json_object_set_new(j, "plan", plan_json(s));
    return j;
}
