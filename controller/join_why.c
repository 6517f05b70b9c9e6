/* Why an assignment is what it is: a reason, a sentence, and the candidates. Invariant: a figure is given where it was
 * measured, and one that was predicted only beside what it was predicted from. */
#include "join_predict.h"

#include "join_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t count_measured(const struct join_scene *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->problem.n_participants; i++)
        n += s->problem.participants[i].measured;
    return n;
}

/* Those whose round trips a mean is of. */
static size_t count_known(const struct join_scene *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->problem.n_participants; i++) {
        const struct place_participant *who = &s->problem.participants[i];

        n += who->measured || (who->n_rows > 0 && who->confidence_pct > 0);
    }
    return n;
}

/* On the node of participant i, besides it. */
static size_t count_company(const struct join_scene *s, size_t i)
{
    size_t n = 0;

    for (size_t k = 0; k < s->problem.n_participants; k++)
        n += k != i && s->plan.seats[k].node == s->plan.seats[i].node;
    return n;
}

static bool stays(const struct join_scene *s, size_t i)
{
    return s->plan.seats[i].node == s->problem.participants[i].present;
}

/* Who asks is given a node, whether it was there before or not: the same answer to a repeated question. */
static bool asks(const struct join_scene *s, size_t i)
{
    return i == s->me && !s->stays;
}

/* Does its report, or what it is predicted by, say anything of its node? */
static bool spoken_of(const struct join_scene *s, size_t i)
{
    const struct place_participant *who = &s->problem.participants[i];

    for (size_t k = 0; k < who->n_rows; k++) {
        if (who->rows[k].node == s->plan.seats[i].node)
            return true;
    }
    return false;
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

/* The open node with the least mean. */
static size_t nearest_node(const struct join_scene *s)
{
    const struct place_candidate *c = s->plan.candidates;
    size_t best = s->plan.node;

    for (size_t i = 0; i < s->problem.n_nodes; i++) {
        if (c[i].rejected == 0 && c[i].mean_rtt_us >= 0 && c[i].mean_rtt_us < c[best].mean_rtt_us)
            best = i;
    }
    return best;
}

static bool somebody_was_there(const struct join_scene *s, size_t node)
{
    for (size_t i = 0; i < s->problem.n_participants; i++) {
        if (s->problem.participants[i].present == node)
            return true;
    }
    return false;
}

/* What speaks most against node `other` for participant i, of what `chosen` hasn't; NULL: nothing of its own. */
static const char *dearer_by(const struct join_scene *s, size_t i, size_t other, size_t chosen)
{
    struct place_terms a, b;
    const char *what = NULL;
    int64_t most = 0;

    place_terms(&s->problem, &s->plan, i, other, &a);
    place_terms(&s->problem, &s->plan, i, chosen, &b);
    if (!a.possible || !b.possible)
        return NULL;
    const struct {
        int64_t more_us;
        const char *what;
    } terms[] = {
        {a.mesh_us - b.mesh_us, "comes after nodes of its organisation's own"},
        {a.transport_us - b.transport_us, "is reached over a dearer transport"},
        {a.loss_us - b.loss_us, "loses more probes"},
        {a.weight_us - b.weight_us, "has the lesser weight"},
        {a.load_us - b.load_us, "is busier, or not quite healthy"},
        {a.failures_us - b.failures_us, "failed for others lately"},
        {a.nodes_us - b.nodes_us, "is farther from the others' nodes"},
    };

    for (size_t k = 0; k < sizeof(terms) / sizeof(terms[0]); k++) {
        if (terms[k].more_us > most) {
            most = terms[k].more_us;
            what = terms[k].what;
        }
    }
    return what;
}

static void sentence_common(const struct join_scene *s, size_t i, const char *node, char *out, size_t cap)
{
    size_t known = count_known(s), eligible = count_eligible(s), nodes = s->problem.n_nodes;
    const struct place_candidate *c = s->plan.candidates;
    size_t chosen = s->plan.node, nearest = nearest_node(s);
    const char *dearer;
    char how[200];

    if (c[chosen].mean_rtt_us < 0) /* somebody is predicted, by what doesn't speak of this node */
        snprintf(how, sizeof(how), "is taken, with a figure of %zu of the %zu participants",
                 c[chosen].n_reached, s->problem.n_participants);
    else if (nearest == chosen && known == 1)
        snprintf(how, sizeof(how), "is the nearest: %.1f ms", ms(c[chosen].mean_rtt_us));
    else if (nearest == chosen)
        snprintf(how, sizeof(how), "has the least mean round trip over the %zu participants %s: %.1f ms",
                 known, known > count_measured(s) ? "measured or predicted" : "with a live report",
                 ms(c[chosen].mean_rtt_us));
    else if (somebody_was_there(s, chosen))
        snprintf(how, sizeof(how), "stays: %.1f ms on average, and %.80s with %.1f ms isn't worth a move",
                 ms(c[chosen].mean_rtt_us), s->problem.nodes[nearest].id, ms(c[nearest].mean_rtt_us));
    else {
        dearer = dearer_by(s, i, nearest, chosen);
        snprintf(how, sizeof(how), "is taken: %.1f ms on average, and %.80s with %.1f ms %s",
                 ms(c[chosen].mean_rtt_us), s->problem.nodes[nearest].id, ms(c[nearest].mean_rtt_us),
                 dearer != NULL ? dearer : "is dearer for others by its load, transport or policy");
    }
    snprintf(out, cap, "%s %s. %zu of %zu node%s could serve the meeting.", node, how, eligible, nodes,
             plural(nodes));
}

static void sentence_unmeasured(const struct join_scene *s, size_t i, const char *node, char *out, size_t cap)
{
    size_t measured = count_measured(s), company = count_company(s, i);
    const char *network = i == s->me ? s->network : s->people[i].network;
    char where[NETWORK_ID_MAX + 32] = "";

    if (network != NULL)
        snprintf(where, sizeof(where), " for network %s", network);
    if (stays(s, i) && !asks(s, i))
        snprintf(out, cap, "%s has no live report%s and stays on %s.", s->people[i].agent, where, node);
    else if (measured > 0)
        snprintf(
            out, cap,
            "%s has no live report%s and goes to %s, which is best for the %zu participant%s that %s one.",
            s->people[i].agent, where, node, measured, plural(measured), measured == 1 ? "has" : "have");
    else if (company > 0)
        snprintf(out, cap,
                 "%s has no live report%s, nor has anybody in the meeting: it goes to %s, where %zu other%s.",
                 s->people[i].agent, where, node, company, company == 1 ? " is" : "s are");
    else
        snprintf(
            out, cap,
            "%s has no live report%s, nor has anybody in the meeting: %s was taken as the least loaded node.",
            s->people[i].agent, where, node);
}

static void sentence_predicted(const struct join_scene *s, size_t i, const char *node, char *out, size_t cap)
{
    const struct predict_group *g = s->people[i].prediction;
    const char *network = i == s->me ? s->network : s->people[i].network;
    char from[96], figure[48] = "", where[NETWORK_ID_MAX + 32] = "";
    int64_t rtt = predict_rtt(g, s->plan.seats[i].node);

    join_predict_words(g, from, sizeof(from));
    if (rtt >= 0)
        snprintf(figure, sizeof(figure), ", some %.1f ms away", ms(rtt));
    if (network != NULL)
        snprintf(where, sizeof(where), " for network %s", network);
    snprintf(out, cap, "%s has no live report%s; predicted from %s, %u %% sure: %s%s.", s->people[i].agent,
             where, from, predict_confidence(g), node, figure);
}

static void sentence_alone(const struct join_scene *s, size_t i, const char *node, char *out, size_t cap)
{
    const struct place_seat *seat = &s->plan.seats[i];
    char figure[48] = "";

    if (seat->rtt_us >= 0)
        snprintf(figure, sizeof(figure), ", %.1f ms away over %s", ms(seat->rtt_us),
                 transport_name(seat->via));
    snprintf(out, cap, "No node can serve all %zu participants; %s is the best for %s alone%s.",
             s->problem.n_participants, node, s->people[i].agent, figure);
}

static void sentence_joined(const struct join_scene *s, size_t i, const char *node, char *out, size_t cap)
{
    struct place_terms main = {.mesh_us = 0};
    char figure[48] = "";

    if (s->plan.seats[i].rtt_us >= 0)
        snprintf(figure, sizeof(figure), ", %.1f ms away", ms(s->plan.seats[i].rtt_us));
    if (s->nodes[s->plan.seats[i].node]->mesh)
        place_terms(&s->problem, &s->plan, i, s->plan.node, &main);
    snprintf(out, cap, "The meeting is on %zu nodes, joined; of them %s is the one for %s%s%s.",
             s->plan.n_joined, node, s->people[i].agent, figure,
             main.mesh_us > 0 ? ": nodes of its organisation's own come first" : "");
}

static void sentence_blind(const struct join_scene *s, size_t i, const char *node, char *out, size_t cap)
{
    snprintf(out, cap,
             "The live report of %s speaks of no node that can be used now; %s is tried without a "
             "measurement, one of %zu node%s.",
             s->people[i].agent, node, s->problem.n_nodes, plural(s->problem.n_nodes));
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

/* The one thing that is said of a node against which there are several: what lasts longest. */
static unsigned gravest(unsigned rejected)
{
    static const enum place_reject order[PLACE_REJECTS] = {
        PLACE_OTHER_ORG, PLACE_REGION, PLACE_NOT_PRIVATE, PLACE_NO_TRANSPORT, PLACE_DRAINED, PLACE_UNHEALTHY,
        PLACE_FULL,      PLACE_FAILED, PLACE_UNREACHABLE, PLACE_UNMEASURED,   PLACE_NO_LINK};
    size_t k = 0;

    while (k + 1 < PLACE_REJECTS && !(rejected & (unsigned)order[k]))
        k++;
    return (unsigned)order[k];
}

/* Moved: for the gain, or because the node that it was on can't serve it any longer. */
static void sentence_moved(const struct join_scene *s, size_t i, const char *node, char *out, size_t cap)
{
    const struct place_seat *seat = &s->plan.seats[i];
    size_t from = s->problem.participants[i].present;
    struct place_terms there;
    const char *was = s->people[i].node;

    if (seat->reason == PLACE_WHY_MOVED) {
        snprintf(out, cap, "%s is moved from %s to %s: %.1f ms less, one way.", s->people[i].agent, was, node,
                 ms(seat->gain_us));
        return;
    }
    place_terms(&s->problem, &s->plan, i, from, &there); /* the participant's own: others may have others */
    snprintf(out, cap, "%s is moved from %s, which can't serve it any longer (%s), to %s.",
             s->people[i].agent, was,
             from == PLACE_NONE ? "gone" : place_reject_name((enum place_reject)gravest(there.rejected)),
             node);
}

static void sentence_lifted(const struct join_scene *s, size_t i, const char *node, char *out, size_t cap)
{
    snprintf(out, cap,
             "Everything that %s could be given failed for it lately; %s is tried again, as the least bad.",
             s->people[i].agent, node);
}

static const struct {
    const char *name;
    void (*sentence)(const struct join_scene *s, size_t i, const char *node, char *out, size_t cap);
} whys[JOIN_REASONS] = {
    [JOIN_NOTHING] = {"nothing", NULL},
    [JOIN_LEAST_BAD] = {"least_bad", sentence_lifted},
    [JOIN_MOVED] = {"moved", sentence_moved},
    [JOIN_FORCED] = {"forced", sentence_moved},
    [JOIN_UNMEASURED] = {"no_live_report", sentence_unmeasured},
    [JOIN_PREDICTED] = {"no_live_report", sentence_predicted},
    [JOIN_STAYS] = {"stays", NULL}, /* told as if it came now */
    [JOIN_STAYS_LATELY] = {"stays_lately_moved", NULL},
    [JOIN_COMMON] = {"least_mean_rtt", sentence_common},
    [JOIN_BLIND] = {"not_measured", sentence_blind},
    [JOIN_JOINED] = {"joined_nodes", sentence_joined},
    [JOIN_ALONE] = {"no_common_node", sentence_alone},
};

/* Of one with a report, whether it was there before or not. */
static enum join_reason reason_measured(const struct join_scene *s, size_t i)
{
    if (s->plan.seats[i].reason == PLACE_WHY_BLIND && !spoken_of(s, i))
        return JOIN_BLIND;
    if (s->plan.outcome == PLACE_COMMON)
        return JOIN_COMMON;
    return s->plan.outcome == PLACE_JOINED ? JOIN_JOINED : JOIN_ALONE;
}

enum join_reason join_reason(const struct join_scene *s, size_t i)
{
    const struct place_seat *seat = &s->plan.seats[i];
    if (seat->node == PLACE_NONE)
        return JOIN_NOTHING;
    if (s->people[i].lifted)
        return JOIN_LEAST_BAD;
    if (!asks(s, i) && seat->reason == PLACE_WHY_MOVED)
        return JOIN_MOVED;
    if (!asks(s, i) && (seat->reason == PLACE_WHY_FORCED || (s->people[i].stored && !stays(s, i))))
        return JOIN_FORCED;
    if (!s->problem.participants[i].measured)
        return s->people[i].prediction != NULL ? JOIN_PREDICTED : JOIN_UNMEASURED;
    if (!asks(s, i) && seat->reason == PLACE_WHY_STAYS_LATELY)
        return JOIN_STAYS_LATELY;
    return !asks(s, i) && seat->reason == PLACE_WHY_STAYS ? JOIN_STAYS : reason_measured(s, i);
}

const char *join_reason_name(enum join_reason r)
{
    return whys[r].name;
}

char *join_why(struct join_scene *s, size_t i, size_t candidates)
{
    const struct place_seat *seat = &s->plan.seats[i];
    json_t *prediction = join_predict_json(s, i), *j;
    enum join_reason reason = join_reason(s, i), told = reason;
    char sentence[800], *text;

    place_view(&s->problem, i, s->reach);
    if (told == JOIN_STAYS || told == JOIN_STAYS_LATELY)
        told = reason_measured(s, i);
    whys[told].sentence(s, i, s->nodes[seat->node]->id, sentence, sizeof(sentence));
    j = json_pack("{s:s, s:s, s:I}", "reason", join_reason_name(reason), "sentence", sentence,
                  "candidates_total", (json_int_t)s->problem.n_nodes);
    if (prediction != NULL)
        json_object_set_new(j, "prediction", prediction);
    if (j != NULL && seat->overflow != PLACE_OVERFLOW_NO) {
        json_object_set_new(j, "overflow", json_string(place_overflow_name(seat->overflow)));
        json_object_set_new(j, "remedy", json_string(place_overflow_remedy(seat->overflow)));
    }
    text = doc_text_with(j, "candidates", join_candidates(s, seat->node, candidates));
    json_decref(j);
    return text;
}

json_t *join_rejected_json(const struct join_scene *s)
{
    json_t *counts = json_object();

    for (size_t i = 0; i < s->problem.n_nodes; i++) {
        unsigned rejected = s->plan.candidates[i].rejected;
        const char *code = place_reject_name((enum place_reject)gravest(rejected));

        if (rejected != 0)
            json_object_set_new(counts, code,
                                json_integer(json_integer_value(json_object_get(counts, code)) + 1));
    }
    return counts;
}

/* What keeps participant i, who has no seat, off a node. Nothing does: the plan gave what room there was to others. */
static unsigned obstacle(const struct place_terms *t)
{
    unsigned why = t->rejected & ~(unsigned)(PLACE_UNMEASURED | PLACE_NO_LINK);

    return why != 0 ? gravest(why) : PLACE_FULL;
}

unsigned join_obstacles(struct join_scene *s, size_t i, char *out, size_t cap)
{
    size_t n = s->problem.n_nodes, len = 0, counts[PLACE_REJECTS] = {0};
    struct place_terms *terms = join_scene_alloc(s, n, sizeof(*terms));
    unsigned all = 0;

    out[0] = '\0';
    place_terms_all(&s->problem, &s->plan, i, terms);
    for (size_t v = 0; v < n; v++) {
        unsigned why = obstacle(&terms[v]);

        all |= why;
        for (unsigned b = 0; b < PLACE_REJECTS; b++)
            counts[b] += why == 1u << b;
    }
    for (unsigned b = 0; b < PLACE_REJECTS && len < cap; b++) {
        if (counts[b] > 0)
            len += (size_t)snprintf(out + len, cap - len, "%s%zu %s", len > 0 ? ", " : "", counts[b],
                                    place_reject_name((enum place_reject)(1u << b)));
    }
    return all;
}
