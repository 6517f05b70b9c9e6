/* The candidates of an answer, as text: fifty of them are most of what it says, and as objects they would be most of what
 * a join costs its controller. Invariant: every text here is an id or a name of our own, which JSON has as it is. */
#include "join_scene.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- which ---- */

/* Where node i comes among those kept so far. */
static size_t place_of(const struct join_scene *s, size_t i)
{
    size_t lo = 0, hi = s->n_preferred;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (place_compare(&s->problem, &s->plan, i, s->preferred[mid]) < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

/* The first so many in the order of preference: the same for all who are told of one plan, so found once. */
static void find_preferred(struct join_scene *s)
{
    size_t *order = s->preferred, most = sizeof(s->preferred) / sizeof(order[0]);

    for (size_t i = 0; i < s->problem.n_nodes; i++) {
        size_t n = s->n_preferred, at;

        if (n == most && place_compare(&s->problem, &s->plan, i, order[n - 1]) > 0)
            continue;
        at = place_of(s, i);
        s->n_preferred += n < most;
        memmove(&order[at + 1], &order[at], (s->n_preferred - at - 1) * sizeof(*order));
        order[at] = i;
    }
}

/* ---- text ---- */

enum {
    NAMES_MAX = PLACE_NAMED * (AGENT_ID_MAX + 3), /* each with its quotes and a comma */
    CODES_MAX = PLACE_REJECTS * 32,
    KEYS_MAX = 256, /* with the figures */
    CANDIDATE_MAX = 3 * NODE_ID_MAX + 2 * NAMES_MAX + CODES_MAX + KEYS_MAX,
    MOSTLY_ENOUGH = 16 * 1024
};
_Static_assert(MOSTLY_ENOUGH >= 2 * (CANDIDATE_MAX + sizeof("[,]")), "twice as much has room for one more");

/* A member that isn't the first. */
static char *put_text(char *p, const char *key, const char *value)
{
    p = stpcpy(p, key);
    *p++ = '"';
    p = stpcpy(p, value);
    *p++ = '"';
    return p;
}

static char *put_figure(char *p, const char *key, int64_t us)
{
    return us < 0 ? p : p + sprintf(p, "%s%" PRId64, key, us);
}

static char *put_people(char *p, const struct join_scene *s, const char *key, const size_t *people, size_t n)
{
    size_t named = n < PLACE_NAMED ? n : PLACE_NAMED;

    if (named == 0)
        return p;
    p = stpcpy(p, key);
    for (size_t i = 0; i < named; i++)
        p = put_text(p, i == 0 ? "[" : ",", s->people[people[i]].agent);
    *p++ = ']';
    return p;
}

static char *put_codes(char *p, unsigned rejected)
{
    const char *before = ",\"rejected\":[";

    for (unsigned i = 0; i < PLACE_REJECTS; i++) {
        if (rejected & (1u << i)) {
            p = put_text(p, before, place_reject_name((enum place_reject)(1u << i)));
            before = ",";
        }
    }
    if (rejected != 0)
        *p++ = ']';
    return p;
}

/* At most CANDIDATE_MAX. */
static char *put_candidate(char *p, const struct join_scene *s, size_t i)
{
    const struct place_candidate *c = &s->plan.candidates[i];
    const struct catalogue_node *n = s->nodes[i];
    enum transport t;
    int64_t rtt;

    p = put_text(p, "{\"node\":", n->id);
    p = put_text(p, ",\"cluster\":", n->cluster);
    p = put_text(p, ",\"class\":", n->mesh ? "mesh" : "cloud");
    p = put_text(p, ",\"region\":", n->region);
    p = put_figure(p, ",\"mean_rtt_us\":", c->mean_rtt_us);
    if (place_expected(&s->reach[i], &t, &rtt)) {
        p = put_text(p, ",\"transport\":", transport_name(t));
        p = put_figure(p, ",\"rtt_us\":", rtt);
    }
    p = put_codes(p, c->rejected);
    p = put_people(p, s, ",\"unreachable_for\":", c->unreachable, c->n_unreachable);
    p = put_people(p, s, ",\"not_measured_by\":", c->unmeasured, c->n_unmeasured);
    *p++ = '}';
    return p;
}

/* The text so far, up to *p, and room behind it for one more. */
static char *make_room(struct join_scene *s, char **text, size_t *cap, char *p)
{
    size_t len = (size_t)(p - *text);
    char *grown;

    if (*cap - len >= CANDIDATE_MAX + sizeof(",]"))
        return p;
    *cap *= 2;
    grown = h2o_mem_alloc_pool(&s->pool, *cap);
    memcpy(grown, *text, len);
    *text = grown;
    return grown + len;
}

const char *join_candidates(struct join_scene *s, size_t chosen, size_t most)
{
    size_t cap = MOSTLY_ENOUGH, said = 1;
    char *text = h2o_mem_alloc_pool(&s->pool, cap), *p = text;

    if (s->n_preferred == 0)
        find_preferred(s);
    *p++ = '[';
    p = put_candidate(p, s, chosen);
    for (size_t k = 0; k < s->n_preferred && said < most; k++) {
        if (s->preferred[k] == chosen)
            continue;
        p = make_room(s, &text, &cap, p);
        *p++ = ',';
        p = put_candidate(p, s, s->preferred[k]);
        said++;
    }
    *p++ = ']';
    *p = '\0';
    return text;
}
