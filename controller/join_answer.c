/* The answer to a join: node, ladder, and why. Invariant: a figure is given where it was measured, and nowhere else. */
#include "join_scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the ladder ---- */

/* What the newcomer measured there; NULL where it didn't, or got no answer. */
static const struct probe_result *measured(const struct join_scene *s, size_t node, enum transport t)
{
    const struct report *mine = &s->mine.report;

    for (size_t k = 0; k < mine->n_results; k++) {
        const struct probe_result *m = &mine->results[k];

        if (m->transport == t && m->status == PROBE_REACHABLE && strcmp(m->node, s->nodes[node]->id) == 0)
            return m;
    }
    return NULL;
}

static bool offered(const struct node_addresses *a, enum transport t, const struct addr *wanted)
{
    for (size_t i = 0; i < a->n[t]; i++) {
        if (addr_eq(&a->at[t][i], wanted))
            return true;
    }
    return false;
}

static void add_rung(json_t *ladder, enum transport t, const struct addr *a, const char *tls_name,
                     const char *proxy)
{
    char text[ADDR_TEXT_LEN];
    json_t *rung = json_pack("{s:s, s:s}", "transport", transport_name(t), "address", addr_format(a, text));

    if (rung != NULL && tls_name != NULL && tls_name[0] != '\0')
        json_object_set_new(rung, "tls_name", json_string(tls_name));
    if (rung != NULL && proxy != NULL)
        json_object_set_new(rung, "proxy", json_string(proxy));
    json_array_append_new(ladder, rung);
}

/* A proxy tunnels to a TLS address: the one that answered, where the node still has it. */
static void add_proxy_rung(json_t *ladder, const struct catalogue_node *n, const struct addr *answered,
                           const char *proxy)
{
    const struct node_addresses *a = &n->addresses;

    if (a->n[TRANSPORT_TLS] == 0)
        return;
    if (answered == NULL || !offered(a, TRANSPORT_TLS, answered))
        answered = &a->at[TRANSPORT_TLS][0];
    add_rung(ladder, TRANSPORT_PROXY, answered, n->tls_name, proxy);
}

static void add_rungs(json_t *ladder, const struct join_scene *s, size_t node, enum transport t)
{
    const struct catalogue_node *n = s->nodes[node];
    const char *tls_name = t == TRANSPORT_TLS ? n->tls_name : NULL;
    const struct probe_result *m = measured(s, node, t);
    const struct addr *answered = m != NULL && addr_is_set(&m->address) ? &m->address : NULL;

    if (t == TRANSPORT_PROXY) {
        add_proxy_rung(ladder, n, answered, m != NULL && m->proxy_url[0] != '\0' ? m->proxy_url : NULL);
        return;
    }
    if (answered != NULL && offered(&n->addresses, t, answered)) {
        add_rung(ladder, t, answered, tls_name, NULL);
        return;
    }
    for (size_t i = 0; i < n->addresses.n[t]; i++)
        add_rung(ladder, t, &n->addresses.at[t][i], tls_name, NULL);
}

json_t *join_answer(const struct join_scene *s, const struct join_ask *ask)
{
    const struct place_seat *seat = &s->plan.seats[s->me];
    const struct catalogue_node *n = s->nodes[seat->node];
    json_t *ladder = json_array();

    for (size_t i = 0; i < seat->n_ladder; i++)
        add_rungs(ladder, s, seat->node, seat->ladder[i]);
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:[], s:o}", "participant", ask->agent, "node", n->id,
                     "cluster", n->cluster, "transport", transport_name(seat->ladder[0]), "ladder", ladder,
                     "ice_servers", "why", join_why(s, ask));
}

/* ---- why ---- */

static size_t count_measured(const struct join_scene *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->problem.n_participants; i++)
        n += s->problem.participants[i].measured;
    return n;
}

static size_t count_eligible(const struct join_scene *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->problem.n_nodes; i++)
        n += s->plan.candidates[i].rejected == 0;
    return n;
}

static double ms(int64_t us)
{
    return (double)us / 1000;
}

static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

static void sentence_common(const struct join_scene *s, const char *node, char *out, size_t cap)
{
    size_t measured = count_measured(s), eligible = count_eligible(s), nodes = s->problem.n_nodes;
    const struct place_candidate *c = &s->plan.candidates[s->plan.node];

    if (measured == 1)
        snprintf(out, cap, "%s is the nearest: %.1f ms. %zu of %zu node%s could serve the meeting.", node,
                 ms(c->mean_rtt_us), eligible, nodes, plural(nodes));
    else
        snprintf(out, cap,
                 "%s has the least mean round trip over the %zu participants with a live report: %.1f ms. "
                 "%zu of %zu node%s could serve the meeting.",
                 node, measured, ms(c->mean_rtt_us), eligible, nodes, plural(nodes));
}

static void sentence_unmeasured(const struct join_scene *s, const struct join_ask *ask, const char *node,
                                char *out, size_t cap)
{
    size_t measured = count_measured(s);
    char where[NETWORK_ID_MAX + 32] = "";

    if (ask->network != NULL)
        snprintf(where, sizeof(where), " for network %s", ask->network);
    if (measured > 0)
        snprintf(
            out, cap,
            "%s has no live report%s and goes to %s, which is best for the %zu participant%s that %s one.",
            ask->agent, where, node, measured, plural(measured), measured == 1 ? "has" : "have");
    else
        snprintf(
            out, cap,
            "%s has no live report%s, nor has anybody in the meeting: %s was taken as the least loaded node.",
            ask->agent, where, node);
}

static void sentence_alone(const struct join_scene *s, const struct join_ask *ask, const char *node,
                           char *out, size_t cap)
{
    const struct place_seat *seat = &s->plan.seats[s->me];
    char figure[48] = "";

    if (seat->rtt_us >= 0)
        snprintf(figure, sizeof(figure), ", %.1f ms away over %s", ms(seat->rtt_us),
                 transport_name(seat->ladder[0]));
    snprintf(out, cap, "No node can serve all %zu participants; %s is the best for %s alone%s.",
             s->problem.n_participants, node, ask->agent, figure);
}

static void sentence_joined(const struct join_scene *s, const struct join_ask *ask, const char *node,
                            char *out, size_t cap)
{
    char figure[48] = "";

    if (s->plan.seats[s->me].rtt_us >= 0)
        snprintf(figure, sizeof(figure), ", %.1f ms away", ms(s->plan.seats[s->me].rtt_us));
    snprintf(out, cap, "The meeting is on %zu nodes, joined; of them %s is the one for %s%s.",
             s->plan.n_joined, node, ask->agent, figure);
}

static void sentence_blind(const struct join_scene *s, const struct join_ask *ask, const char *node,
                           char *out, size_t cap)
{
    snprintf(out, cap,
             "The live report of %s speaks of no node that can be used now; %s is tried without a "
             "measurement, one of %zu node%s.",
             ask->agent, node, s->problem.n_nodes, plural(s->problem.n_nodes));
}

static json_t *names(const struct join_scene *s, const size_t *people, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n && i < PLACE_NAMED; i++)
        json_array_append_new(list, json_string(s->people[people[i]].agent));
    return list;
}

json_t *join_reject_codes(unsigned rejected)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < PLACE_REJECTS; i++) {
        if (rejected & (1u << i))
            json_array_append_new(list, json_string(place_reject_name((enum place_reject)(1u << i))));
    }
    return list;
}

static json_t *candidate_json(const struct join_scene *s, size_t i)
{
    const struct place_candidate *c = &s->plan.candidates[i];
    enum transport t;
    int64_t rtt;
    json_t *j = json_pack("{s:s, s:s, s:s, s:s}", "node", s->nodes[i]->id, "cluster", s->nodes[i]->cluster,
                          "class", s->nodes[i]->mesh ? "mesh" : "cloud", "region", s->nodes[i]->region);

    if (j == NULL)
        return NULL;
    if (c->mean_rtt_us >= 0)
        json_object_set_new(j, "mean_rtt_us", json_integer(c->mean_rtt_us));
    if (place_expected(&s->plan.reach[i], &t, &rtt)) {
        json_object_set_new(j, "transport", json_string(transport_name(t)));
        if (rtt >= 0)
            json_object_set_new(j, "rtt_us", json_integer(rtt));
    }
    if (c->rejected != 0)
        json_object_set_new(j, "rejected", join_reject_codes(c->rejected));
    if (c->n_unreachable > 0)
        json_object_set_new(j, "unreachable_for", names(s, c->unreachable, c->n_unreachable));
    if (c->n_unmeasured > 0)
        json_object_set_new(j, "not_measured_by", names(s, c->unmeasured, c->n_unmeasured));
    return j;
}

static int by_preference(const void *a, const void *b, void *ctx)
{
    const struct join_scene *s = ctx;
    const size_t *x = a, *y = b;
    size_t chosen = s->plan.seats[s->me].node;

    if ((*x == chosen) != (*y == chosen))
        return *x == chosen ? -1 : 1;
    return place_compare(&s->problem, &s->plan, *x, *y);
}

/* The chosen one first, then in the order of preference, so many at most. */
static json_t *candidates_json(const struct join_scene *s)
{
    size_t n = s->problem.n_nodes, *order = malloc((n + 1) * sizeof(*order));
    json_t *list = json_array();

    if (order == NULL)
        return list;
    for (size_t i = 0; i < n; i++)
        order[i] = i;
    qsort_r(order, n, sizeof(*order), by_preference, (void *)(uintptr_t)s);
    for (size_t i = 0; i < n && i < WHY_CANDIDATES_MAX; i++)
        json_array_append_new(list, candidate_json(s, order[i]));
    free(order);
    return list;
}

json_t *join_why(const struct join_scene *s, const struct join_ask *ask)
{
    const char *node = s->nodes[s->plan.seats[s->me].node]->id, *reason;
    char sentence[640];

    place_view(&s->problem, s->me, s->plan.reach);
    if (!s->problem.participants[s->me].measured) {
        reason = "no_live_report";
        sentence_unmeasured(s, ask, node, sentence, sizeof(sentence));
    } else if (s->plan.outcome == PLACE_COMMON) {
        reason = "least_mean_rtt";
        sentence_common(s, node, sentence, sizeof(sentence));
    } else if (s->plan.reach[s->plan.seats[s->me].node].tested == 0) {
        reason = "not_measured";
        sentence_blind(s, ask, node, sentence, sizeof(sentence));
    } else if (s->plan.outcome == PLACE_JOINED) {
        reason = "joined_nodes";
        sentence_joined(s, ask, node, sentence, sizeof(sentence));
    } else {
        reason = "no_common_node";
        sentence_alone(s, ask, node, sentence, sizeof(sentence));
    }
    return json_pack("{s:s, s:s, s:o, s:I}", "reason", reason, "sentence", sentence, "candidates",
                     candidates_json(s), "candidates_total", (json_int_t)s->problem.n_nodes);
}

void join_obstacles(const struct join_scene *s, char *out, size_t cap)
{
    size_t len = 0, counts[PLACE_REJECTS] = {0};

    if (cap > 0)
        out[0] = '\0';
    for (size_t i = 0; i < s->problem.n_nodes; i++) {
        for (unsigned b = 0; b < PLACE_REJECTS; b++)
            counts[b] += (s->plan.candidates[i].rejected >> b) & 1;
    }
    for (unsigned b = 0; b < PLACE_REJECTS && len < cap; b++) {
        if (counts[b] > 0)
            len += (size_t)snprintf(out + len, cap - len, "%s%zu %s", len > 0 ? ", " : "", counts[b],
                                    place_reject_name((enum place_reject)(1u << b)));
    }
}
