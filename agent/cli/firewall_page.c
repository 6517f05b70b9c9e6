/* The page of `berth firewall`. Invariant: no line is wider than the page, and what comes from elsewhere (reasons)
 * is printed by the table, which lets no control character through. */
#include "firewall_page.h"

#include "result_table.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

enum { PAGE_WIDTH = 80, LABEL_WIDTH = 13, LINE_MAX_LEN = 1024 };

static size_t page_width(const struct cli *c)
{
    return c->width > 0 && c->width < PAGE_WIDTH ? c->width : PAGE_WIDTH;
}

/* Words behind `first`, wrapped, further lines indented by `indent`. */
static void print_words(const struct cli *c, const char *first, size_t indent, const char *text)
{
    size_t at = (size_t)fprintf(c->out, "%s", first);
    bool fresh = true;
    while (*text != '\0') {
        size_t len = strcspn(text, " ");
        if (!fresh && at + 1 + len > page_width(c)) {
            fprintf(c->out, "\n%*s", (int)indent, "");
            at = indent;
            fresh = true;
        }
        fprintf(c->out, "%s%.*s", fresh ? "" : " ", (int)len, text);
        at += len + !fresh;
        fresh = false;
        text += len;
        text += *text == ' ';
    }
    fputc('\n', c->out);
}

static void print_fact(const struct cli *c, const char *label, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void print_fact(const struct cli *c, const char *label, const char *fmt, ...)
{
    char first[LABEL_WIDTH + 1], text[LINE_MAX_LEN];
    va_list ap;
    snprintf(first, sizeof first, "%-*s", LABEL_WIDTH, label);
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    print_words(c, first, LABEL_WIDTH, text);
}

/* ---- facts ---- */

static void append(char out[static LINE_MAX_LEN], const char *between, const char *text)
{
    size_t len = strlen(out);
    snprintf(out + len, LINE_MAX_LEN - len, "%s%s", len > 0 ? between : "", text);
}

static void print_addresses(const struct cli *c, const struct firewall_verdict *v)
{
    char local[LINE_MAX_LEN] = "", mapped[LINE_MAX_LEN] = "", one[ADDR_TEXT_LEN + 16], ip[ADDR_TEXT_LEN];
    for (size_t i = 0; i < v->seen->n_local; i++)
        append(local, ", ", addr_format_ip(&v->seen->local[i], ip));
    for (int t = TRANSPORT_UDP; t < TRANSPORT_COUNT; t++) {
        if (!addr_is_set(&v->mapped[t]))
            continue;
        snprintf(one, sizeof one, "%s (%s)", addr_format(&v->mapped[t], ip),
                 transport_name((enum transport)t));
        append(mapped, ", ", one);
    }
    print_fact(c, "Local", "%s", local[0] != '\0' ? local : "no way to any node");
    print_fact(c, "Seen as", "%s", mapped[0] != '\0' ? mapped : "unknown: no node answered");
}

static void print_nat(const struct cli *c, const struct firewall_verdict *v)
{
    static const char *const evidence[] = {
        [NAT_BY_NOTHING] = "",
        [NAT_BY_NODES] = "; mapping as several nodes saw one socket",
        [NAT_BY_RFC5780] = "; by the tests of RFC 5780",
    };
    print_fact(c, "NAT", "%s, mapping %s, filtering %s%s",
               v->translated < 0    ? "unknown"
               : v->translated == 0 ? "none seen"
                                    : "addresses are translated",
               nat_kind_name(v->nat.mapping), nat_kind_name(v->nat.filtering), evidence[v->nat.evidence]);
}

static void print_mtu(const struct cli *c, const struct firewall_seen *seen)
{
    if (seen->mtu < 0)
        print_fact(c, "Path MTU", "unknown");
    else
        print_fact(c, "Path MTU", "%s%" PRId64 " bytes", seen->mtu == MTU_MOST ? "at least " : "", seen->mtu);
}

static const char *mbits(int64_t bps, char buf[static RESULT_MS_TEXT])
{
    if (bps < 0)
        return "unknown";
    snprintf(buf, RESULT_MS_TEXT, "%.*f", bps < 995000 ? 2 : bps < 99500000 ? 1 : 0, (double)bps / 1000000);
    return buf;
}

static void print_throughput(const struct cli *c, const struct firewall_verdict *v)
{
    static const char *const words[] = {
        [ENOUGH_UNKNOWN] = "",
        [ENOUGH_NOTHING] = "TOO LITTLE for a call",
        [ENOUGH_AUDIO] = "enough for sound, too little for a picture",
        [ENOUGH_VIDEO] = "enough for sound and picture",
    };
    const struct firewall_throughput *t = &v->seen->throughput;
    char up[RESULT_MS_TEXT], down[RESULT_MS_TEXT];
    if (t->up_bps < 0 && t->down_bps < 0) {
        print_fact(c, "Throughput", "unknown");
        return;
    }
    print_fact(c, "Throughput", "at least %s Mbit/s up, %s down (over %s)%s%s", mbits(t->up_bps, up),
               mbits(t->down_bps, down), firewall_rung_words(t->transport),
               v->enough != ENOUGH_UNKNOWN ? ": " : "", words[v->enough]);
}

static void print_pinhole(const struct cli *c, const struct firewall_seen *seen)
{
    const struct pinhole_found *f = &seen->pinhole;
    const char *how = seen->pinhole_by == PINHOLE_BY_RESPONSE_PORT ? "" : " (told by another public port)";
    if (!seen->pinhole_asked)
        return;
    if (f->at_least_s >= 0 && f->less_than_s >= 0)
        print_fact(c, "Pinholes", "stay open for %" PRId64 " s of silence, closed after %" PRId64 " s%s",
                   f->at_least_s, f->less_than_s, how);
    else if (f->less_than_s >= 0)
        print_fact(c, "Pinholes", "closed after %" PRId64 " s of silence%s", f->less_than_s, how);
    else if (f->at_least_s >= 0)
        print_fact(c, "Pinholes", "stay open for at least %" PRId64 " s of silence", f->at_least_s);
    else
        print_fact(c, "Pinholes",
                   "unknown: the public port never changed, and no node answers into pinholes");
}

static void print_proxy(const struct cli *c, const struct firewall_verdict *v)
{
    const struct firewall_proxy *p = &v->seen->proxy;
    char auth[48] = "", opens[PROBER_ISSUER_TEXT + 32] = "";
    if (p->auth[0] != '\0')
        snprintf(auth, sizeof auth, ", authentication %s", p->auth);
    if (p->intercepted)
        snprintf(opens, sizeof opens, ", and opens TLS%s%s", p->issuer[0] != '\0' ? " as " : "", p->issuer);
    if (p->found)
        print_fact(c, "Proxy", "%s, named by %s%s: %s%s", p->url, p->source, auth,
                   p->status == PROBE_REACHABLE ? "leads to a node" : p->error, opens);
    else
        print_fact(c, "Proxy", "%s%s%s", p->looked ? "none found" : "unknown",
                   v->seen->proxy_problem[0] != '\0' ? ": " : "", v->seen->proxy_problem);
    if (v->intercepted)
        print_fact(c, "TLS", "is opened on its way by %s, whom this machine trusts",
                   v->issuer[0] != '\0' ? v->issuer : "somebody");
    else if (v->issuer[0] != '\0')
        print_fact(
            c, "TLS",
            "a certificate was shown that %s signed, whom nobody vouches for: an interceptor, a captive "
            "portal, or a CA that --ca should name",
            v->issuer);
}

static void print_clock(const struct cli *c, const struct firewall_verdict *v)
{
    int64_t ahead_s = v->seen->clock_ahead_us / 1000000;
    if (v->clock == CLOCK_WRONG)
        print_fact(c, "Clock",
                   "WRONG by %" PRId64 " s (%s): TLS fails with a clock that is this far off; set it",
                   ahead_s < 0 ? -ahead_s : ahead_s, ahead_s < 0 ? "behind" : "ahead");
    else if (v->clock == CLOCK_SUSPECTED)
        print_fact(c, "Clock",
                   "perhaps WRONG: certificates seem to have expired, or not to be valid yet; check it");
}

static void print_ranges(const struct cli *c, const struct firewall_verdict *v)
{
    char answered[LINE_MAX_LEN] = "", silent[LINE_MAX_LEN] = "", one[RANGE_TEXT];
    if (!v->allow_list)
        return;
    for (size_t i = 0; i < v->n_answered; i++)
        append(answered, ", ", firewall_range_text(&v->answered[i], one));
    for (size_t i = 0; i < v->n_silent; i++)
        append(silent, ", ", firewall_range_text(&v->silent[i], one));
    print_fact(c, "Allow-list", "suspected: %s answer on ports on which %s do not", answered, silent);
}

/* ---- ports ---- */

static enum cli_exit print_ports(const struct cli *c, const struct firewall_verdict *v)
{
    static const struct table_column columns[] = {
        {"PORT", TABLE_LEFT, false},
        {"STATUS", TABLE_LEFT, false},
        {"RTT", TABLE_RIGHT, false},
        {"", TABLE_LEFT, false},
    };
    static const enum table_color colors[] = {[PORT_UNTESTED] = TABLE_DIM,
                                              [PORT_OPEN] = TABLE_GOOD,
                                              [PORT_DROPPED] = TABLE_BAD,
                                              [PORT_REJECTED] = TABLE_BAD};
    struct table *t = table_new(columns, sizeof columns / sizeof columns[0], 0);
    for (size_t i = 0; i < v->n_ports && t != NULL; i++) {
        const struct firewall_port *p = &v->ports[i];
        char port[32], ms[RESULT_MS_TEXT], note[PROBER_ERROR_TEXT + 64];
        snprintf(port, sizeof port, "%s %" PRIu16, p->transport == TRANSPORT_UDP ? "UDP" : "TCP", p->port);
        snprintf(note, sizeof note, "%s%s%s", p->tls ? "TLS" : "", p->tls && p->note[0] != '\0' ? ": " : "",
                 p->note);
        if (!p->served && p->status == PORT_UNTESTED)
            snprintf(note, sizeof note, "no node serves it");
        else if (!p->served && p->status != PORT_OPEN)
            snprintf(note, sizeof note, "%s; no node is known to serve it", p->note);
        const char *cells[] = {port, port_status_name(p->status), result_table_ms(p->rtt_us, ms), note};
        table_row(t, cells);
        table_color(t, 1, colors[p->status]);
    }
    int rc = t != NULL ? table_print(t, c->out, page_width(c), c->color) : -1;
    table_free(t);
    return rc == 0 ? CLI_OK : cli_fail(c, CLI_BUT, "out of memory");
}

/* ---- what it means ---- */

static void print_rung(const struct cli *c, const struct firewall_verdict *v)
{
    char ms[RESULT_MS_TEXT], text[LINE_MAX_LEN];
    if (v->rung == TRANSPORT_COUNT) {
        print_words(c, "", 0,
                    "Media would find NO way: neither UDP nor TCP nor TLS brought an answer from any node.");
        return;
    }
    snprintf(text, sizeof text, "Media would go by %s, quality %s: round trip %s ms",
             firewall_rung_words(v->rung), quality_name(v->quality), result_table_ms(v->rung_rtt_us, ms));
    if (v->rung == TRANSPORT_UDP)
        append(text, ", ", "");
    size_t len = strlen(text);
    if (v->rung == TRANSPORT_UDP)
        snprintf(text + len, sizeof text - len, "%" PRId64 " of %" PRId64 " answers missing",
                 v->rung_sent - v->rung_received, v->rung_sent);
    print_words(c, "", 0, text);
}

static void print_advice(const struct cli *c, const struct firewall_verdict *v)
{
    char first[16];
    if (v->n_advice == 0) {
        cli_say(c, "Nothing needs to be opened.");
        return;
    }
    cli_say(c, "What to open, the most useful first:");
    for (size_t i = 0; i < v->n_advice; i++) {
        char text[2 * FIREWALL_TEXT + 16];
        snprintf(first, sizeof first, "%2zu. ", i + 1);
        snprintf(text, sizeof text, "%s - brings %s.", v->advice[i].open, v->advice[i].brings);
        print_words(c, first, strlen(first), text);
    }
}

enum cli_exit firewall_page_print(const struct cli *c, const struct firewall_verdict *v)
{
    print_addresses(c, v);
    print_nat(c, v);
    print_mtu(c, v->seen);
    print_throughput(c, v);
    print_pinhole(c, v->seen);
    print_proxy(c, v);
    print_clock(c, v);
    print_ranges(c, v);
    fputc('\n', c->out);
    enum cli_exit code = print_ports(c, v);
    fputc('\n', c->out);
    print_rung(c, v);
    print_advice(c, v);
    return code == CLI_OK && fflush(c->out) == 0 && !ferror(c->out) ? CLI_OK : CLI_BUT;
}
