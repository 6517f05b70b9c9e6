/* What the policy and a node's own state say of it, whoever takes part. Invariant: a node with a rejection is never given to anybody. */
#include "placement/place_internal.h"

#include <string.h>

enum {
    LOAD_SLOPE_US = 200,  /* at LOAD_NEAR: just enough that of equals the idler is taken */
    LOAD_NEAR_PCT = 80,   /* from here the price rises, by the square */
    LOAD_FULL_US = 30000, /* at 100 % */
    LOAD_OVER_PCT = 95,   /* overloaded: only for want of anything else */
    LOAD_OVER_US = 2000000,
    SUSPECT_US = 100000, /* newcomers go elsewhere wherever that is bearable */
    PROBATION_US = 15000,
    FAILURE_US = 5000, /* somebody whom it did not work for just now */
    FAILURES_MAX_US = 50000,
    SEAT_MAX_US = 100000,
    RESERVE_US = 20000,   /* no room for the meeting's expected size */
    MESH_BLIND_US = 50000 /* nothing is known: an office's node is the less likely to be reachable */
};

static const char *const reject_names[PLACE_REJECTS] = {
    "unreachable_for", "not_measured_by", "drained",      "unhealthy",  "full",    "region_denied",
    "not_private",     "other_org",       "no_transport", "failed_for", "no_link",
};
static const char *const overflow_names[PLACE_OVERFLOWS] = {NULL,
                                                            "mesh_full",
                                                            "mesh_unreachable",
                                                            "mesh_far",
                                                            "mesh_down",
                                                            "mesh_unmeasured",
                                                            "mesh_no_transport",
                                                            "mesh_dearer",
                                                            "mesh_not_moved"};
static const char *const overflow_remedies[PLACE_OVERFLOWS] = {
    NULL,
    "Add mesh nodes, or raise the capacity of those there are.",
    "Open the mesh nodes' ports to this network: `berth firewall` shows what it lets through.",
    "Put a mesh node nearer to this participant, or raise the threshold within which mesh is preferred.",
    "Bring the mesh nodes back into service: `berth node list` shows their state.",
    "Probe again: `berth probe --report` measures every node that this participant may use.",
    "Let the mesh nodes listen on a transport that the meeting's policy allows, or allow one that they have.",
    "`berth meeting explain` shows what speaks against them: load, health, or the way to others' nodes.",
    "Nobody is moved within a call for the mesh alone: whoever leaves and joins again gets a mesh node.",
};

const char *place_reject_name(enum place_reject bit)
{
    for (unsigned i = 0; i < PLACE_REJECTS; i++) {
        if ((unsigned)bit == 1u << i)
            return reject_names[i];
    }
    return "unknown";
}

const char *place_overflow_name(enum place_overflow o)
{
    return (unsigned)o < PLACE_OVERFLOWS ? overflow_names[o] : NULL;
}

const char *place_overflow_remedy(enum place_overflow o)
{
    return (unsigned)o < PLACE_OVERFLOWS ? overflow_remedies[o] : NULL;
}

static bool listed(const char *const *list, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(list[i], name) == 0)
            return true;
    }
    return false;
}

static bool region_allowed(const struct place_policy *policy, const char *region)
{
    if (policy->n_allow > 0 && !listed(policy->allow, policy->n_allow, region))
        return false;
    return !listed(policy->deny, policy->n_deny, region);
}

unsigned place_node_rejects(const struct place_problem *p, const struct place_node *n)
{
    unsigned r = 0;

    if (n->state == PLACE_QUARANTINED)
        r |= PLACE_UNHEALTHY;
    if (n->state == PLACE_DRAINING)
        r |= PLACE_DRAINED;
    if (!region_allowed(&p->policy, n->region))
        r |= PLACE_REGION;
    if (p->policy.private_only && !n->org)
        r |= PLACE_NOT_PRIVATE;
    if (n->org && strcmp(n->org, p->org) != 0)
        r |= PLACE_OTHER_ORG;
    if ((n->transports & p->policy.transports) == 0)
        r |= PLACE_NO_TRANSPORT;
    return r;
}

int64_t place_node_room(const struct place_problem *p, const struct place_node *n)
{
    int64_t room = INT64_MAX;

    if (n->capacity > 0)
        room = n->capacity > n->assigned ? n->capacity - n->assigned : 0;
    if (n->kbps_left > 0 && p->policy.bitrate_kbps > 0 && n->kbps_left / p->policy.bitrate_kbps < room)
        room = n->kbps_left / p->policy.bitrate_kbps;
    return room;
}

static int32_t load_price(double load)
{
    double over = (load - LOAD_NEAR_PCT / 100.0) / (1 - LOAD_NEAR_PCT / 100.0);
    double us = load < 0 ? 0 : LOAD_SLOPE_US * load * 100 / LOAD_NEAR_PCT;

    if (over > 0)
        us = LOAD_SLOPE_US + LOAD_FULL_US * (over > 10 ? 100 : over * over);
    if (load * 100 >= LOAD_OVER_PCT)
        us += LOAD_OVER_US;
    return (int32_t)us;
}

int32_t place_failures_price(const struct place_node *n)
{
    double us = n->failures > 0 ? n->failures * FAILURE_US : 0;

    return us > FAILURES_MAX_US ? FAILURES_MAX_US : (int32_t)us;
}

static int32_t seat_price(const struct place_node *n)
{
    return n->seat_us < 0 ? 0 : n->seat_us > SEAT_MAX_US ? SEAT_MAX_US : n->seat_us;
}

static int32_t price_of(const struct place_problem *p, size_t node, int64_t room)
{
    const struct place_node *n = &p->nodes[node];
    int32_t us = load_price(n->load);

    if (node == p->present && us <= LOAD_SLOPE_US) /* of equals the one that the meeting is on */
        us = 0;
    else if (p->present != PLACE_NONE)
        us += 1;

    us += place_failures_price(n) + seat_price(n);
    if (n->state == PLACE_SUSPECT)
        us += SUSPECT_US;
    if (n->state == PLACE_PROBATION)
        us += PROBATION_US;
    if (p->policy.expected_size > (int64_t)p->n_participants &&
        room < p->policy.expected_size - (int64_t)p->n_participants)
        us += RESERVE_US;
    return us;
}

static int32_t inverse_of(double weight)
{
    if (!(weight > 0))
        return 1000;
    if (weight < 0.1)
        return 10000;
    return weight > 10 ? 100 : (int32_t)(1000 / weight + 0.5);
}

void place_policy_nodes(const struct place_problem *p, struct place_work *w)
{
    w->mesh = w->weighted = false;
    w->plain = true;
    w->n_rejected = 0;
    for (size_t v = 0; v < w->nodes; v++) {
        const struct place_node *n = &p->nodes[w->node_at[v]];

        w->mesh = w->mesh || n->org != NULL;
        w->rejects[v] = place_node_rejects(p, n);
        w->offered[v] = (uint8_t)(n->transports & p->policy.transports & TRANSPORTS_ALL);
        w->way_to[w->node_at[v]] = (uint32_t)v | (uint32_t)w->offered[v] << PLACE_WAY_OFFERED;
        w->plain = w->plain && w->node_at[v] == v && w->offered[v] == w->offered[0];
        w->inverse[v] = inverse_of(n->weight);
        w->weighted = w->weighted || w->inverse[v] != 1000;
        if (w->rejects[v] != 0)
            w->rejected[w->n_rejected++] = (uint32_t)v;
        w->room[v] = place_node_room(p, n);
        w->price[v] = price_of(p, w->node_at[v], w->room[v]);
    }
}

bool place_node_overloaded(const struct place_node *n)
{
    return n->load * 100 >= LOAD_OVER_PCT;
}

int32_t place_blind_price(const struct place_problem *p, const struct place_node *n)
{
    return n->org != NULL && !p->policy.private_only ? MESH_BLIND_US : 0;
}

/* Nobody could be seated: is it the regions alone that leave nothing? */
enum place_outcome place_why_nothing(const struct place_problem *p)
{
    bool any = false;

    for (size_t n = 0; n < p->n_nodes; n++) {
        unsigned r = place_node_rejects(p, &p->nodes[n]);

        if (r & (PLACE_NOT_PRIVATE | PLACE_OTHER_ORG))
            continue;
        if (!(r & PLACE_REGION))
            return PLACE_NO_NODE;
        any = true;
    }
    return any ? PLACE_NO_REGION : PLACE_NO_NODE;
}

int64_t place_mesh_within(const struct place_problem *p)
{
    int64_t us = p->policy.mesh_within_us != 0 ? p->policy.mesh_within_us : PLACE_MESH_WITHIN_US;

    return us > PLACE_RTT_MAX_US ? PLACE_RTT_MAX_US : us;
}

/* How participant i stands to its org's mesh nodes. */
struct mesh_view {
    bool any, up, reached, near, free; /* each of them says more than the one before */
    bool unmeasured;                   /* one that is up and has room */
    bool
        mute; /* one against which nothing else speaks than that it has no transport that the policy allows */
};

static struct mesh_view mesh_view_of(const struct place_problem *p, const struct place_work *w, size_t i,
                                     int64_t within)
{
    struct mesh_view m = {.any = false};

    for (size_t v = 0; v < w->nodes; v++) {
        size_t at = i * w->nodes + v;
        int32_t rtt = place_cell_rtt(w, at);
        bool up = w->rejects[v] == 0, reached = up && rtt >= 0 && w->cost[at] != PLACE_FAR;

        if (p->nodes[w->node_at[v]].org == NULL || (w->rejects[v] & (PLACE_OTHER_ORG | PLACE_REGION)))
            continue;
        m.any = true;
        m.up |= up;
        m.reached |= reached;
        m.near |= reached && rtt <= within;
        m.free |= reached && rtt <= within && w->room[v] > 0;
        m.mute |= w->rejects[v] == PLACE_NO_TRANSPORT;
        m.unmeasured |= up && w->room[v] > 0 && place_cell_untried(w, at);
    }
    return m;
}

/* Participant i was given `node` (by rank): why isn't it one of its org's own? */
enum place_overflow place_overflow_of(const struct place_problem *p, const struct place_work *w, size_t i,
                                      uint32_t node)
{
    int64_t within = place_mesh_within(p);
    struct mesh_view m;

    if (p->nodes[w->node_at[node]].org != NULL || within < 0 || !w->mesh || !(w->flags[i] & PLACE_F_MEASURED))
        return PLACE_OVERFLOW_NO;
    m = mesh_view_of(p, w, i, within);
    if (!m.any)
        return PLACE_OVERFLOW_NO;
    if (m.free && node == w->present[i])
        return PLACE_OVERFLOW_NOT_MOVED;
    if (!m.free && m.unmeasured)
        return PLACE_OVERFLOW_UNMEASURED;
    if (m.near && !m.free)
        return PLACE_OVERFLOW_FULL;
    if (m.reached)
        return m.near ? PLACE_OVERFLOW_DEARER : PLACE_OVERFLOW_FAR;
    if (m.up)
        return PLACE_OVERFLOW_UNREACHABLE;
    return m.mute ? PLACE_OVERFLOW_NO_TRANSPORT : PLACE_OVERFLOW_DOWN;
}
