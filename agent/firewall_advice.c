/* What to open, in which order, and what it would bring. Invariant: the step that brings most comes first, and every
 * figure is one that was measured here. */
#include "firewall.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static struct firewall_advice *next_advice(struct firewall_verdict *v)
{
    static const struct firewall_advice none;
    if (v->n_advice == FIREWALL_ADVICE_MAX)
        return NULL;
    v->advice[v->n_advice] = none;
    return &v->advice[v->n_advice++];
}

static void advise(struct firewall_verdict *v, const char *open, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void advise(struct firewall_verdict *v, const char *open, const char *fmt, ...)
{
    struct firewall_advice *a = next_advice(v);
    va_list ap;
    if (!a)
        return;
    snprintf(a->open, sizeof a->open, "%s", open);
    va_start(ap, fmt);
    vsnprintf(a->brings, sizeof a->brings, fmt, ap);
    va_end(ap);
}

const char *firewall_rung_words(enum transport rung)
{
    static const char *const words[] = {"UDP", "TCP", "TLS", "an HTTP proxy"};
    return rung < TRANSPORT_COUNT ? words[rung] : "nothing";
}

static const char *ms(int64_t us, char buf[static 24])
{
    snprintf(buf, 24, "%.*f ms", us < 9995 ? 2 : us < 99950 ? 1 : 0, (double)us / 1000);
    return buf;
}

static bool blocked(const struct firewall_port *p)
{
    return p->served && (p->status == PORT_DROPPED || p->status == PORT_REJECTED);
}

static bool any_open(const struct firewall_verdict *v, enum transport transport)
{
    for (size_t i = 0; i < v->n_ports; i++) {
        if (v->ports[i].transport == transport && v->ports[i].status == PORT_OPEN)
            return true;
    }
    return false;
}

/* The first port that is blocked and that a node serves, in the order in which Berth prefers them. */
static const struct firewall_port *first_blocked(const struct firewall_verdict *v, enum transport transport,
                                                 bool tls)
{
    for (size_t i = 0; i < v->n_ports; i++) {
        const struct firewall_port *p = &v->ports[i];
        if (p->transport == transport && p->tls == tls && blocked(p))
            return p;
    }
    return NULL;
}

/* The least round trip over a stream or a proxy; NOT_MEASURED. */
static int64_t tls_setup_us(const struct firewall_seen *seen)
{
    int64_t least = NOT_MEASURED;
    for (size_t i = 0; i < seen->n_rows; i++) {
        const struct probe_result *r = &seen->rows[i].r;
        if (r->status == PROBE_REACHABLE && r->tls_us >= 0 && (least < 0 || r->tls_us < least))
            least = r->tls_us;
    }
    return least;
}

static void advise_udp(struct firewall_verdict *v)
{
    const struct firewall_port *p = first_blocked(v, TRANSPORT_UDP, false);
    char open[64], rtt[24];
    if (!p || v->rung == TRANSPORT_UDP)
        return;
    snprintf(open, sizeof open, "UDP %" PRIu16, p->port);
    if (v->rung == TRANSPORT_COUNT) {
        advise(v, open,
               "calls at all, and over the best rung: a lost packet costs only itself, nothing waits for it");
        return;
    }
    advise(
        v, open,
        "media over UDP instead of %s: today every lost packet holds up sound and picture for at least one "
        "more round trip of %s; over UDP it costs only itself",
        firewall_rung_words(v->rung), ms(v->rung_rtt_us, rtt));
}

static void advise_better_udp(struct firewall_verdict *v)
{
    const struct firewall_port *last = firewall_find_port(v, TRANSPORT_UDP, 33434);
    const struct firewall_port *p = first_blocked(v, TRANSPORT_UDP, false);
    char open[64];
    if (v->rung != TRANSPORT_UDP || !p || p->port == 33434)
        return;
    size_t n_open = 0;
    for (size_t i = 0; i < v->n_ports; i++)
        n_open +=
            v->ports[i].transport == TRANSPORT_UDP && v->ports[i].served && v->ports[i].status == PORT_OPEN;
    snprintf(open, sizeof open, "UDP %" PRIu16, p->port);
    if (last && last->status == PORT_OPEN && n_open == 1)
        advise(v, open,
               "a port of the service's own: only the last resort, UDP 33434, is open, which many "
               "devices limit because traceroute uses it");
    else
        advise(v, open, "nothing today, UDP works; one more port to fall back on");
}

static void advise_tcp(struct firewall_verdict *v)
{
    const struct firewall_port *p = first_blocked(v, TRANSPORT_TCP, false);
    char open[64], took[24];
    int64_t setup = tls_setup_us(v->seen);
    if (!p || v->rung == TRANSPORT_UDP || v->rung == TRANSPORT_TCP)
        return;
    snprintf(open, sizeof open, "TCP %" PRIu16, p->port);
    if (v->rung == TRANSPORT_COUNT)
        advise(v, open, "calls, where UDP must stay closed; a lost packet holds up what follows");
    else if (v->rung == TRANSPORT_TLS && setup >= 0)
        advise(v, open,
               "media, encrypted by itself, without TLS around it, for where UDP must stay closed; it "
               "connects sooner "
               "by the TLS handshake of %s",
               ms(setup, took));
    else
        advise(v, open,
               "media, encrypted by itself, without a proxy on its way, for where UDP must stay closed");
}

static void advise_tls(struct firewall_verdict *v)
{
    const struct firewall_port *p = first_blocked(v, TRANSPORT_TCP, true);
    char open[64], rtt[24];
    if (!p)
        return;
    snprintf(open, sizeof open, "TCP %" PRIu16 " (TLS)", p->port);
    if (v->rung == TRANSPORT_COUNT)
        advise(v, open,
               "calls with the least that is opened, for the firewall just HTTPS; a lost packet holds up "
               "what follows");
    else if (v->rung == TRANSPORT_PROXY)
        advise(v, open, "media directly instead of through the proxy, whose way now takes %s",
               ms(v->rung_rtt_us, rtt));
    else
        advise(v, open, "nothing today, %s works; the rung that is left where the rest gets closed",
               firewall_rung_words(v->rung));
}

/* TLS peers were there, and none could be trusted. */
static bool untrusted(const struct firewall_seen *seen, enum transport transport)
{
    bool refused = false;
    for (size_t i = 0; i < seen->n_rows; i++) {
        const struct probe_result *r = &seen->rows[i].r;
        if (r->transport == transport && r->status == PROBE_REACHABLE)
            return false;
        refused = refused || (r->transport == transport && r->status == PROBE_TLS_ERROR);
    }
    return refused;
}

static void advise_trust(struct firewall_verdict *v)
{
    bool direct = untrusted(v->seen, TRANSPORT_TLS), proxied = untrusted(v->seen, TRANSPORT_PROXY);
    if (!direct && !proxied)
        return;
    if (v->clock == CLOCK_WRONG || v->clock == CLOCK_SUSPECTED)
        advise(v, "nothing, but set this machine's clock",
               "TLS back: with a wrong clock no certificate can be verified");
    else if (direct)
        advise(
            v, "TLS to the nodes, uninspected",
            "a way by TLS: the certificate that is shown can't be trusted. Where the nodes' CA is no public "
            "one, give it (--ca); else somebody opens TLS: exempt the service's names from inspection");
    else
        advise(
            v, "TLS through the proxy, uninspected",
            "a way through the proxy: it shows a certificate of its own, which this machine doesn't trust. "
            "Exempt the service's names from inspection, or install the proxy's CA on this machine");
}

static void advise_ranges(struct firewall_verdict *v)
{
    char open[FIREWALL_TEXT] = "", range[RANGE_TEXT];
    if (!v->allow_list)
        return;
    for (size_t i = 0; i < v->n_silent && strlen(open) + RANGE_TEXT + 2 < sizeof open; i++) {
        strcat(open, i > 0 ? ", " : "");
        strcat(open, firewall_range_text(&v->silent[i], range));
    }
    advise(v, open,
           "the nodes there, which may be nearer than %s: if an allow-list is in force it lacks these ranges "
           "(else those nodes are away). The service's /v1/ip-ranges lists all that to allow",
           v->rung_rtt_us >= 0 ? ms(v->rung_rtt_us, range) : "those that answer");
}

static void advise_mtu(struct firewall_verdict *v)
{
    if (v->seen->mtu >= 0 && v->seen->mtu < MEDIA_PACKET_MAX)
        advise(v, "UDP packets of 1280 bytes",
               "video whole: the path takes %" PRId64 " bytes only, and larger "
               "packets are lost. Look for a tunnel with too small an MTU",
               v->seen->mtu);
}

void firewall_advise(struct firewall_verdict *v)
{
    advise_udp(v);
    advise_tcp(v);
    if (any_open(v, TRANSPORT_UDP) || any_open(v, TRANSPORT_TCP) || v->rung == TRANSPORT_COUNT ||
        v->rung == TRANSPORT_PROXY)
        advise_tls(v);
    advise_trust(v);
    advise_ranges(v);
    advise_better_udp(v);
    advise_mtu(v);
}
