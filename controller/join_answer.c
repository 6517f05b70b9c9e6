/* An assignment: node, ladder, and what its ticket is to say. Invariant: an address that answered this participant goes
 * before all others of its transport. */
#include "admission.h"
#include "join_predict.h"

#include <string.h>

/* What the newcomer measured there; NULL where it didn't, or got no answer. Of others no addresses have been read. */
static const struct probe_result *measured(const struct join_scene *s, size_t i, size_t node,
                                           enum transport t)
{
    const struct report *mine = &s->mine.report;

    for (size_t k = 0; i == s->me && k < mine->n_results; k++) {
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

static void add_rungs(json_t *ladder, const struct join_scene *s, size_t i, size_t node, enum transport t)
{
    const struct catalogue_node *n = s->nodes[node];
    const char *tls_name = t == TRANSPORT_TLS ? n->tls_name : NULL;
    const struct probe_result *m = measured(s, i, node, t);
    const struct addr *answered = m != NULL && addr_is_set(&m->address) ? &m->address : NULL;

    if (t == TRANSPORT_PROXY) {
        add_proxy_rung(ladder, n, answered, m != NULL && m->proxy_url[0] != '\0' ? m->proxy_url : NULL);
        return;
    }
    if (answered != NULL && offered(&n->addresses, t, answered)) {
        add_rung(ladder, t, answered, tls_name, NULL);
        return;
    }
    for (size_t k = 0; k < n->addresses.n[t]; k++)
        add_rung(ladder, t, &n->addresses.at[t][k], tls_name, NULL);
}

/* What its agent is to tell of the call: how often is said when this is told. With what was counted on, so that the
 * figures stand beside it wherever and whenever they come; there is none where nobody knew anything. */
static json_t *report_json(const struct join_scene *s, size_t i)
{
    const struct place_seat *seat = &s->plan.seats[i];
    bool measured_it = s->problem.participants[i].measured;
    const struct call_expected x = {.transport = seat->via,
                                    .rtt_us = measured_it ? seat->rtt_us : join_predicted_rtt(s, i),
                                    .predicted = !measured_it};
    json_t *report = json_object();

    if (report != NULL && x.rtt_us >= 0)
        json_object_set_new(report, "expected", call_expected_to_json(&x));
    return report;
}

json_t *join_answer(struct join_scene *s, size_t i, int64_t epoch)
{
    const struct place_seat *seat = &s->plan.seats[i];
    const struct catalogue_node *n = s->nodes[seat->node];
    json_t *ladder = json_array();

    for (size_t k = 0; k < seat->n_ladder; k++)
        add_rungs(ladder, s, i, seat->node, seat->ladder[k]);
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o}", "participant", s->people[i].agent, "node", n->id,
                     "cluster", n->cluster, "transport", transport_name(seat->ladder[0]), "ladder", ladder,
                     "media", admission_terms(n->org, epoch, &s->policy), "report", report_json(s, i));
}
