/* RFC 5780 sections 4.3 (mapping) and 4.4 (filtering) as a list of steps. Invariant: silence convicts a filter only
 * where the place that was to answer is known to be there. */
#include "firewall_nat.h"

enum step {
    STEP_OFFER,    /* 4.4 test I: is there another address? */
    STEP_BOTH,     /* 4.4 test II: the answer is to come from another IP and port */
    STEP_PORT,     /* 4.4 test III: from another port */
    STEP_MAPPED,   /* 4.3 test I */
    STEP_OTHER_IP, /* 4.3 test II: the other IP, the same port */
    STEP_OTHER_BOTH /* 4.3 test III */,
    STEP_END,
};

const char *nat_kind_name(enum nat_kind k)
{
    static const char *const names[] = {"unknown", "endpoint-independent", "address-dependent",
                                        "address-and-port-dependent", "endpoint-dependent"};
    return names[k];
}

bool nat_worse(enum nat_kind a, enum nat_kind b)
{
    static const int rank[] = {[NAT_UNKNOWN] = 0,
                               [NAT_ENDPOINT_INDEPENDENT] = 1,
                               [NAT_ADDRESS_DEPENDENT] = 2,
                               [NAT_ENDPOINT_DEPENDENT] = 3,
                               [NAT_ADDRESS_AND_PORT_DEPENDENT] = 4};
    return rank[a] > rank[b];
}

const char *nat_evidence_name(enum nat_evidence e)
{
    static const char *const names[] = {"none", "nodes", "rfc5780"};
    return names[e];
}

/* ---- from how nodes see one socket ---- */

/* Two sights of one IP at different ports: do all such pairs agree, and is there any? */
static bool port_matters(const struct nat_sight *s, size_t n, bool *known)
{
    bool differs = false;
    *known = false;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++) {
            if (!addr_ip_eq(&s[i].to, &s[k].to) || s[i].to.port == s[k].to.port)
                continue;
            *known = true;
            differs = differs || !addr_eq(&s[i].mapped, &s[k].mapped);
        }
    }
    return differs;
}

struct nat_findings nat_from_sights(const struct nat_sight *s, size_t n)
{
    bool several = false, same = true, known;
    for (size_t i = 1; i < n; i++) {
        several = several || !addr_ip_eq(&s[i].to, &s[0].to);
        same = same && addr_eq(&s[i].mapped, &s[0].mapped);
    }
    bool by_port = port_matters(s, n, &known);
    if (by_port)
        return (struct nat_findings){.mapping = NAT_ADDRESS_AND_PORT_DEPENDENT, .evidence = NAT_BY_NODES};
    if (!several)
        return (struct nat_findings){0};
    return (struct nat_findings){.mapping = same    ? NAT_ENDPOINT_INDEPENDENT
                                            : known ? NAT_ADDRESS_DEPENDENT
                                                    : NAT_ENDPOINT_DEPENDENT,
                                 .evidence = NAT_BY_NODES};
}

/* ---- RFC 5780 ---- */

void nat_test_begin(struct nat_test *t, const struct addr *server)
{
    *t = (struct nat_test){.step = STEP_OFFER, .server = *server};
}

bool nat_test_next(const struct nat_test *t, struct ask *a, size_t *socket)
{
    *a = (struct ask){.to = t->server};
    *socket = t->step < STEP_MAPPED ? NAT_SOCKET_FILTERING : NAT_SOCKET_MAPPING;
    switch (t->step) {
    case STEP_BOTH:
        a->change = STUN_CHANGE_IP | STUN_CHANGE_PORT;
        break;
    case STEP_PORT:
        a->change = STUN_CHANGE_PORT;
        break;
    case STEP_OTHER_IP:
        a->to = t->other;
        a->to.port = t->server.port;
        break;
    case STEP_OTHER_BOTH:
        a->to = t->other;
        break;
    case STEP_END:
        return false;
    }
    return true;
}

static int after_offer(struct nat_test *t, const struct ask_reply *r)
{
    bool offered = r->answered && r->error == 0 && r->other.family == t->server.family &&
                   !addr_ip_eq(&r->other, &t->server) && r->other.port != t->server.port;
    t->other = r->other;
    return offered ? STEP_BOTH : STEP_END;
}

static int after_both(struct nat_test *t, const struct ask_reply *r)
{
    if (!r->answered)
        return STEP_PORT;
    if (r->error == 0 && !addr_ip_eq(&r->from, &t->server))
        t->found.filtering = NAT_ENDPOINT_INDEPENDENT;
    return STEP_MAPPED; /* what refuses CHANGE-REQUEST, or moves nothing, tells nothing */
}

static int after_port(struct nat_test *t, const struct ask_reply *r)
{
    bool moved = r->error == 0 && addr_ip_eq(&r->from, &t->server) && r->from.port != t->server.port;
    if (!r->answered)
        t->found.filtering = NAT_ADDRESS_AND_PORT_DEPENDENT;
    else if (moved)
        t->found.filtering = NAT_ADDRESS_DEPENDENT;
    t->filtered_by_silence = true; /* of the other IP at least */
    return STEP_MAPPED;
}

static int after_other_ip(struct nat_test *t, const struct ask_reply *r)
{
    if (!r->answered || r->error != 0) {
        if (t->filtered_by_silence)
            t->found.filtering = NAT_UNKNOWN; /* the other IP isn't reached at all */
        return STEP_END;
    }
    t->mapped_other = r->mapped;
    t->found.evidence = NAT_BY_RFC5780;
    if (!addr_eq(&r->mapped, &t->mapped)) {
        t->found.mapping = NAT_ENDPOINT_DEPENDENT; /* until the last test tells which */
        return STEP_OTHER_BOTH;
    }
    t->found.mapping = NAT_ENDPOINT_INDEPENDENT;
    return STEP_END;
}

void nat_test_answer(struct nat_test *t, const struct ask_reply *r)
{
    bool good = r->answered && r->error == 0;
    switch (t->step) {
    case STEP_OFFER:
        t->step = after_offer(t, r);
        break;
    case STEP_BOTH:
        t->step = after_both(t, r);
        break;
    case STEP_PORT:
        t->step = after_port(t, r);
        break;
    case STEP_MAPPED:
        t->mapped = r->mapped;
        t->step = good ? STEP_OTHER_IP : STEP_END;
        break;
    case STEP_OTHER_IP:
        t->step = after_other_ip(t, r);
        break;
    case STEP_OTHER_BOTH:
        if (good)
            t->found.mapping = addr_eq(&r->mapped, &t->mapped_other) ? NAT_ADDRESS_DEPENDENT
                                                                     : NAT_ADDRESS_AND_PORT_DEPENDENT;
        t->step = STEP_END;
        break;
    }
}
