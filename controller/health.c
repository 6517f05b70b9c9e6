/* The state machine of a node's health. Invariant: where there are others, what one org's agents say neither takes a
 * cloud node a step down nor keeps it there; nothing but a heartbeat that is missing, or several orgs' agents, does. */
#include "health.h"

#include "core/hash.h"

enum { FAILURES_LEAST = 6, FAILURES_SHARE = 10, PROBE_ORGS_LEAST = 2 };

enum level { FINE, BAD, DEAD };

struct verdict {
    enum level level;
    enum health_cause cause;
};

const char *health_state_name(enum health_state s)
{
    static const char *const names[HEALTH_STATES] = {"in_service", "suspect", "quarantined", "probation"};

    return (unsigned)s < HEALTH_STATES ? names[s] : "";
}

double health_failures_limit(int64_t participants)
{
    double share = (double)participants / FAILURES_SHARE;

    return share > FAILURES_LEAST ? share : FAILURES_LEAST;
}

double health_failures_count(const struct health_evidence *e, double limit)
{
    double most = limit / 2, sum = 0;

    for (size_t i = 0; i < e->n_failures; i++)
        sum += !e->mesh && e->failures[i] > most ? most : e->failures[i];
    return sum;
}

static void worsen(struct verdict *v, enum level level, enum health_cause cause)
{
    if (level > v->level)
        *v = (struct verdict){level, cause};
}

static enum level silence(const struct health_evidence *e)
{
    if (e->doubt || e->planned)
        return FINE;
    if (e->heartbeat_age_us < 0 || e->heartbeat_age_us >= HEALTH_DEAD_AGE_US)
        return DEAD;
    return e->heartbeat_age_us >= HEALTH_SUSPECT_AGE_US ? BAD : FINE;
}

/* Who comes back has less to lose: half of what would quarantine others sends it there again. */
static enum level failures(const struct health *h, const struct health_evidence *e)
{
    double limit = health_failures_limit(e->participants) / (h->state == HEALTH_PROBATION ? 2 : 1);
    double bad = limit / (h->state == HEALTH_QUARANTINED && h->cause == HEALTH_FAILURES ? 4 : 2);

    if (health_failures_count(e, limit) >= limit)
        return DEAD;
    return health_failures_count(e, e->alone ? limit : bad) >= bad ? BAD : FINE;
}

static enum level probes(const struct health_evidence *e)
{
    bool several = e->probes_fail >= PROBE_ORGS_LEAST;

    if (e->mesh || e->alone)
        return e->probes_fail > 0 && e->probes_work == 0 ? BAD : FINE;
    if (several && e->probes_fail > 2 * e->probes_work)
        return DEAD;
    return several && e->probes_fail > e->probes_work ? BAD : FINE;
}

static bool enter(struct health *h, enum health_state state, int64_t now_us)
{
    h->state = state;
    h->since_us = now_us;
    return true;
}

static bool quarantine(struct health *h, int64_t now_us)
{
    if (h->strikes < HEALTH_STRIKES_MAX)
        h->strikes++;
    return enter(h, HEALTH_QUARANTINED, now_us);
}

static int64_t hold_us(const struct health *h)
{
    return (int64_t)HEALTH_HOLD_US << (h->strikes > 0 ? h->strikes - 1 : 0);
}

/* Nothing speaks against it now. */
static bool recover(struct health *h, int64_t now_us)
{
    int64_t clean = now_us - h->bad_us, there = now_us - h->since_us;

    switch (h->state) {
    case HEALTH_SUSPECT:
        return clean >= HEALTH_CLEAN_US && enter(h, HEALTH_IN_SERVICE, now_us);
    case HEALTH_QUARANTINED:
        return clean >= hold_us(h) && enter(h, HEALTH_PROBATION, now_us);
    case HEALTH_PROBATION:
        return clean >= HEALTH_PROBATION_US && there >= HEALTH_PROBATION_US &&
               enter(h, HEALTH_IN_SERVICE, now_us);
    default:
        if (h->strikes > 0 && there >= HEALTH_FORGIVE_US) {
            h->strikes = 0;
            return true;
        }
        return false;
    }
}

/* After a step back of the clock what was noted before it lies ahead, and would hold the node for as long as the step was. */
static bool rein_in(struct health *h, int64_t now_us)
{
    bool ahead = h->bad_us > now_us || h->since_us > now_us;

    if (h->bad_us > now_us)
        h->bad_us = now_us;
    if (h->since_us > now_us)
        h->since_us = now_us;
    return ahead;
}

bool health_step(struct health *h, const struct health_evidence *e, int64_t now_us)
{
    struct verdict v = {FINE, HEALTH_NOTHING};
    bool changed = rein_in(h, now_us);

    worsen(&v, silence(e), HEALTH_SILENCE);
    worsen(&v, failures(h, e), HEALTH_FAILURES);
    worsen(&v, probes(e), HEALTH_PROBES);
    if (v.level == FINE)
        return recover(h, now_us) || changed;
    h->bad_us = now_us;
    if (h->state == HEALTH_QUARANTINED)
        return true;
    h->cause = v.cause;
    if (v.level == DEAD)
        return quarantine(h, now_us);
    return h->state == HEALTH_IN_SERVICE ? enter(h, HEALTH_SUSPECT, now_us) : true;
}

bool health_trickles(const char *meeting, const char *node)
{
    uint32_t hash = hash32_add(hash32_add(HASH32_BEGIN, meeting != NULL ? meeting : ""), node);

    return hash32_end(hash) % HEALTH_TRICKLE == 0;
}

/* ---- all at once ---- */

_Static_assert(HEALTH_HEARD_AGE_US + 5000000 < HEALTH_DEAD_AGE_US,
               "of nodes that fall silent at once, the last to tell is unheard before the first is dead");

void health_hear(struct health_hearing *to, enum health_state state, bool planned, int64_t heartbeat_age_us)
{
    if (planned || state == HEALTH_QUARANTINED || heartbeat_age_us < 0)
        return;
    to->expected++;
    to->heard += heartbeat_age_us < HEALTH_HEARD_AGE_US;
    to->dead += heartbeat_age_us >= HEALTH_DEAD_AGE_US;
    to->gone += heartbeat_age_us >= HEALTH_GONE_AGE_US;
}

bool health_doubts(const struct health_hearing *n)
{
    size_t lately = n->expected - n->gone;

    if (n->heard == 0)
        return n->expected >= HEALTH_DOUBT_NODES;
    return lately >= HEALTH_DOUBT_NODES && n->heard * 2 < lately;
}

bool health_doubt_next(bool doubt, int64_t *heard_us, const struct health_hearing *n, int64_t now_us)
{
    if (health_doubts(n)) {
        *heard_us = 0;
        return true;
    }
    if (!doubt)
        return false;
    if (*heard_us == 0 || *heard_us > now_us)
        *heard_us = now_us;
    if (n->heard < n->expected && now_us - *heard_us < HEALTH_GRACE_US)
        return true;
    *heard_us = 0;
    return false;
}
