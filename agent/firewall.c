/* From what was seen to what it means. Invariant: a port is blocked only where somebody is known (or was asked for) behind it, and
 * nobody answered; an open one is one over which a STUN answer came, or a TLS peer that could not be trusted. */
#include "firewall.h"

#include <stdio.h>
#include <string.h>

enum { RANGE_BITS_V4 = 24, RANGE_BITS_V6 = 48, STANDARD_PORTS = 7 };

/* Every page names these, tested or not, in this order. */
static const struct {
    enum transport transport;
    uint16_t port;
} standard[STANDARD_PORTS] = {
    {TRANSPORT_UDP, 5004}, {TRANSPORT_UDP, 3478}, {TRANSPORT_UDP, 9000}, {TRANSPORT_UDP, 33434},
    {TRANSPORT_TCP, 443},  {TRANSPORT_TCP, 5004}, {TRANSPORT_TCP, 80},
};

const char *quality_name(enum quality q)
{
    static const char *const names[] = {"none", "poor", "fair", "good"};
    return names[q];
}

const char *port_status_name(enum port_status s)
{
    static const char *const names[] = {"untested", "open", "dropped", "rejected"};
    return names[s];
}

const char *enough_name(enum enough e)
{
    static const char *const names[] = {"unknown", "nothing", "audio", "video"};
    return names[e];
}

static bool answered(const struct firewall_row *row)
{
    return row->r.status == PROBE_REACHABLE;
}

/* ---- ports ---- */

/* Did any row of the node bring an answer? */
static bool node_answers(const struct firewall_seen *seen, size_t node)
{
    for (size_t i = 0; i < seen->n_rows; i++) {
        if (seen->rows[i].node == node && answered(&seen->rows[i]))
            return true;
    }
    return false;
}

static bool any_answers(const struct firewall_seen *seen)
{
    for (size_t i = 0; i < seen->n_rows; i++) {
        if (answered(&seen->rows[i]))
            return true;
    }
    return false;
}

/* A node that answers on nothing while others do may be away: its silence says nothing about a port. */
static bool counts(const struct firewall_seen *seen, const struct firewall_row *row)
{
    return answered(row) || !any_answers(seen) || node_answers(seen, row->node);
}

static enum port_status status_of(const struct firewall_row *row)
{
    switch (row->r.status) {
    case PROBE_REACHABLE:
    case PROBE_TLS_ERROR: /* bytes went both ways; whether they are to be trusted is another matter */
        return PORT_OPEN;
    case PROBE_TIMEOUT:
        return PORT_DROPPED;
    case PROBE_REFUSED:
        return PORT_REJECTED;
    default:
        return PORT_UNTESTED;
    }
}

/* The more telling goes before the less. */
static int telling(enum port_status s)
{
    static const int rank[] = {[PORT_UNTESTED] = 0, [PORT_DROPPED] = 1, [PORT_REJECTED] = 2, [PORT_OPEN] = 3};
    return rank[s];
}

static struct firewall_port *port_entry(struct firewall_verdict *v, enum transport transport, uint16_t port)
{
    for (size_t i = 0; i < v->n_ports; i++) {
        if (v->ports[i].transport == transport && v->ports[i].port == port)
            return &v->ports[i];
    }
    if (v->n_ports == FIREWALL_PORTS_MAX)
        return NULL;
    struct firewall_port *p = &v->ports[v->n_ports++];
    *p = (struct firewall_port){
        .transport = transport, .port = port, .rtt_us = NOT_MEASURED, .issuer = "", .note = ""};
    return p;
}

static void judge_row(struct firewall_port *p, const struct firewall_seen *seen,
                      const struct firewall_row *row)
{
    enum port_status status = counts(seen, row) ? status_of(row) : PORT_UNTESTED;
    p->served = p->served || row->served;
    p->tls = p->tls || row->r.transport == TRANSPORT_TLS;
    if (p->issuer[0] == '\0')
        p->issuer = row->issuer;
    if (answered(row)) {
        if (p->rtt_us < 0 || row->r.rtt_median_us < p->rtt_us)
            p->rtt_us = row->r.rtt_median_us;
        p->note = "";
    } else if (telling(status) > telling(p->status)) {
        p->note = row->error;
    }
    if (telling(status) > telling(p->status))
        p->status = status;
}

static void judge_ports(struct firewall_verdict *v)
{
    const struct firewall_seen *seen = v->seen;
    for (size_t i = 0; i < STANDARD_PORTS; i++)
        port_entry(v, standard[i].transport, standard[i].port);
    for (size_t i = 0; i < seen->n_rows; i++) {
        const struct firewall_row *row = &seen->rows[i];
        if (row->r.transport > TRANSPORT_TLS)
            continue; /* through a proxy: the proxy's port, not the node's */
        bool udp = row->r.transport == TRANSPORT_UDP;
        struct firewall_port *p = port_entry(v, udp ? TRANSPORT_UDP : TRANSPORT_TCP, row->to.port);
        if (p)
            judge_row(p, seen, row);
    }
}

const struct firewall_port *firewall_find_port(const struct firewall_verdict *v, enum transport transport,
                                               uint16_t port)
{
    for (size_t i = 0; i < v->n_ports; i++) {
        if (v->ports[i].transport == transport && v->ports[i].port == port)
            return &v->ports[i];
    }
    return NULL;
}

/* ---- addresses ---- */

static bool is_local(const struct firewall_seen *seen, const struct addr *a)
{
    for (size_t i = 0; i < seen->n_local; i++) {
        if (addr_ip_eq(&seen->local[i], a))
            return true;
    }
    return false;
}

/* Of those who open TLS and are trusted, before those who are not. */
static void judge_issuer(struct firewall_verdict *v)
{
    const struct firewall_seen *seen = v->seen;
    for (size_t i = 0; i < seen->n_rows; i++) {
        const struct firewall_row *row = &seen->rows[i];
        bool direct = row->r.transport != TRANSPORT_PROXY && row->issuer[0] != '\0';
        if (direct && (v->issuer[0] == '\0' || (row->r.tls_intercepted && answered(row))))
            v->issuer = row->issuer;
    }
}

/* By the tests of RFC 5780 if a node offers them in this family, else by how the nodes see the family's one socket. */
static struct nat_findings nat_of(const struct firewall_seen *seen, enum addr_family family)
{
    struct nat_sight sights[FIREWALL_SIGHTS_MAX];
    size_t n = 0;
    if (seen->rfc5780.mapping != NAT_UNKNOWN && seen->rfc5780_server.family == family)
        return seen->rfc5780;
    for (size_t i = 0; i < seen->n_rows && n < FIREWALL_SIGHTS_MAX; i++) {
        const struct firewall_row *row = &seen->rows[i];
        if (answered(row) && row->r.transport == TRANSPORT_UDP && row->to.family == family &&
            addr_is_set(&row->r.mapped_address))
            sights[n++] = (struct nat_sight){.to = row->to, .mapped = row->r.mapped_address};
    }
    return nat_from_sights(sights, n);
}

/* Each family has a way of its own, and the worse decides what is to be expected. */
static void judge_nat(struct firewall_verdict *v)
{
    const struct nat_findings v4 = nat_of(v->seen, ADDR_V4), v6 = nat_of(v->seen, ADDR_V6);
    v->nat = nat_worse(v6.mapping, v4.mapping) ? v6 : v4;
    v->nat.filtering = v->seen->rfc5780.filtering;
}

static void judge_mapping(struct firewall_verdict *v)
{
    const struct firewall_seen *seen = v->seen;
    v->translated = -1;
    for (size_t i = 0; i < seen->n_rows; i++) {
        const struct firewall_row *row = &seen->rows[i];
        const struct addr *mapped = &row->r.mapped_address;
        if (!answered(row) || !addr_is_set(mapped))
            continue;
        if (!addr_is_set(&v->mapped[row->r.transport]))
            v->mapped[row->r.transport] = *mapped;
        if (row->r.transport == TRANSPORT_PROXY)
            continue; /* that is the proxy's address */
        v->intercepted = v->intercepted || row->r.tls_intercepted;
        if (seen->n_local > 0 && v->translated != 1)
            v->translated = !is_local(seen, mapped);
    }
}

static struct addr range_of(const struct addr *a)
{
    return addr_prefix(a, a->family == ADDR_V6 ? RANGE_BITS_V6 : RANGE_BITS_V4);
}

const char *firewall_range_text(const struct addr *range, char buf[static RANGE_TEXT])
{
    char ip[ADDR_TEXT_LEN];
    snprintf(buf, RANGE_TEXT, "%s/%d", addr_format_ip(range, ip),
             range->family == ADDR_V6 ? RANGE_BITS_V6 : RANGE_BITS_V4);
    return buf;
}

static bool has_range(const struct addr *list, size_t n, const struct addr *range)
{
    for (size_t i = 0; i < n; i++) {
        if (addr_eq(&list[i], range))
            return true;
    }
    return false;
}

static void add_range(struct addr *list, size_t *n, const struct addr *range)
{
    if (*n < FIREWALL_RANGES_MAX && !has_range(list, *n, range))
        list[(*n)++] = *range;
}

/* Does anybody in another range answer on this row's port? Only then does its silence mean something. */
static bool others_answer(const struct firewall_seen *seen, const struct firewall_row *row)
{
    for (size_t i = 0; i < seen->n_rows; i++) {
        const struct firewall_row *o = &seen->rows[i];
        if (answered(o) && o->r.transport == row->r.transport && o->to.port == row->to.port &&
            o->to.family == row->to.family)
            return true;
    }
    return false;
}

static void judge_ranges(struct firewall_verdict *v)
{
    const struct firewall_seen *seen = v->seen;
    for (size_t i = 0; i < seen->n_rows; i++) {
        struct addr range = range_of(&seen->rows[i].to);
        if (answered(&seen->rows[i]) && seen->rows[i].r.transport <= TRANSPORT_TLS)
            add_range(v->answered, &v->n_answered, &range);
    }
    for (size_t i = 0; i < seen->n_rows; i++) {
        const struct firewall_row *row = &seen->rows[i];
        if (row->r.transport > TRANSPORT_TLS)
            continue;
        struct addr range = range_of(&row->to);
        bool silent = row->served && (row->r.status == PROBE_TIMEOUT || row->r.status == PROBE_REFUSED);
        if (silent && others_answer(seen, row) && !has_range(v->answered, v->n_answered, &range))
            add_range(v->silent, &v->n_silent, &range);
    }
    v->allow_list = v->n_silent > 0;
}

/* ---- the clock ---- */

static void judge_clock(struct firewall_verdict *v)
{
    const struct firewall_seen *seen = v->seen;
    int64_t ahead = seen->clock_ahead_us;
    if (ahead != CLOCK_UNKNOWN) {
        bool wrong = ahead > CLOCK_WRONG_S * INT64_C(1000000) || ahead < -CLOCK_WRONG_S * INT64_C(1000000);
        v->clock = wrong ? CLOCK_WRONG : CLOCK_RIGHT;
        return;
    }
    for (size_t i = 0; i < seen->n_rows; i++) {
        const struct firewall_row *row = &seen->rows[i];
        if (row->r.status == PROBE_TLS_ERROR &&
            (strstr(row->error, "not yet valid") || strstr(row->error, "has expired")))
            v->clock = CLOCK_SUSPECTED;
    }
    for (size_t i = 0; i < seen->n_rows && v->clock == CLOCK_SUSPECTED; i++) {
        if (answered(&seen->rows[i]) && seen->rows[i].r.transport == TRANSPORT_TLS)
            v->clock = CLOCK_NOT_KNOWN; /* another's certificate is fine: it's that node's fault */
    }
}

/* ---- the rung ---- */

static enum quality class_of(const struct firewall_verdict *v)
{
    int64_t rtt = v->rung_rtt_us;
    if (v->rung == TRANSPORT_COUNT)
        return QUALITY_NONE;
    if (v->rung != TRANSPORT_UDP)
        return rtt <= QUALITY_FAIR_STREAM_RTT_US ? QUALITY_FAIR : QUALITY_POOR;
    int64_t lost = v->rung_sent - v->rung_received;
    if (rtt <= QUALITY_GOOD_RTT_US && lost * 100 <= v->rung_sent * QUALITY_GOOD_LOSS_PERCENT)
        return QUALITY_GOOD;
    if (rtt <= QUALITY_FAIR_RTT_US && lost * 100 <= v->rung_sent * QUALITY_FAIR_LOSS_PERCENT)
        return QUALITY_FAIR;
    return QUALITY_POOR;
}

/* Errors get through as well, but a node that answers with nothing else is of no use. */
static bool serves(const struct firewall_row *row)
{
    return answered(row) && addr_is_set(&row->r.mapped_address);
}

/* The first rung that reaches a node; its figures are the nearest node's, the loss over all of that node's ports. */
static void judge_rung(struct firewall_verdict *v)
{
    const struct firewall_seen *seen = v->seen;
    const struct firewall_row *best = NULL;
    v->rung = TRANSPORT_COUNT;
    v->rung_rtt_us = NOT_MEASURED;
    for (size_t i = 0; i < seen->n_rows; i++) {
        const struct firewall_row *row = &seen->rows[i];
        if (serves(row) &&
            (!best || row->r.transport < best->r.transport ||
             (row->r.transport == best->r.transport && row->r.rtt_median_us < best->r.rtt_median_us)))
            best = row;
    }
    if (best) {
        v->rung = best->r.transport;
        v->rung_rtt_us = best->r.rtt_median_us;
    }
    for (size_t i = 0; best && i < seen->n_rows; i++) {
        const struct firewall_row *row = &seen->rows[i];
        if (serves(row) && row->r.transport == v->rung && row->node == best->node) {
            v->rung_sent += row->r.sent;
            v->rung_received += row->r.received;
        }
    }
    v->quality = class_of(v);
}

/* The narrower direction decides; where one was not measured nothing can be said. */
static void judge_throughput(struct firewall_verdict *v)
{
    const struct firewall_throughput *t = &v->seen->throughput;
    int64_t least = t->up_bps < t->down_bps ? t->up_bps : t->down_bps;
    if (least < 0)
        return;
    v->enough = least >= CALL_VIDEO_BPS   ? ENOUGH_VIDEO
                : least >= CALL_AUDIO_BPS ? ENOUGH_AUDIO
                                          : ENOUGH_NOTHING;
}

void firewall_judge(struct firewall_verdict *v, const struct firewall_seen *seen)
{
    *v = (struct firewall_verdict){.seen = seen, .issuer = ""};
    judge_ports(v);
    judge_mapping(v);
    judge_nat(v);
    judge_issuer(v);
    judge_ranges(v);
    judge_clock(v);
    judge_rung(v);
    judge_throughput(v);
    firewall_advise(v);
}
