/* link: berth_agent_core */
/* The judgement over a network: from rows, as the prober gives them, to ports, NAT, allow-lists, rung, quality and advice. */
#include "check.h"

#include "agent/firewall.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_MAX = 16 };

/* One row in a table: node, transport, address, what came of it. */
struct given {
    size_t node;
    enum transport transport;
    const char *to;
    enum probe_status status;
    int64_t rtt_us, sent, received;
    const char *mapped, *error; /* mapped "": it answered with errors alone */
    bool asked;                 /* nobody is known to serve it */
};

struct world {
    struct firewall_row rows[ROWS_MAX];
    struct firewall_seen seen;
    struct firewall_verdict v;
};

static void look(struct world *w, const struct given *g)
{
    *w = (struct world){.seen = {.rows = w->rows,
                                 .mtu = NOT_MEASURED,
                                 .pinhole = {-1, -1},
                                 .throughput = {.up_bps = NOT_MEASURED, .down_bps = NOT_MEASURED},
                                 .clock_ahead_us = CLOCK_UNKNOWN}};
    assert_int_equal(addr_parse_ip(&w->seen.local[0], "10.0.0.5"), 0);
    w->seen.n_local = 1;
    for (; g->to; g++) {
        struct firewall_row *row = &w->rows[w->seen.n_rows++];
        *row = (struct firewall_row){.node = g->node, .served = !g->asked};
        probe_result_init(&row->r);
        row->r.transport = g->transport;
        row->r.status = g->status;
        assert_int_equal(addr_parse(&row->to, g->to), 0);
        snprintf(row->error, sizeof row->error, "%s", g->error ? g->error : "");
        if (g->status != PROBE_REACHABLE)
            continue;
        row->r.rtt_min_us = row->r.rtt_median_us = row->r.rtt_p95_us = g->rtt_us;
        row->r.sent = g->sent ? g->sent : 10;
        row->r.received = g->sent ? g->received : 10;
        row->r.tls_us = g->transport == TRANSPORT_TLS ? 42000 : NOT_MEASURED;
        if (!g->mapped || g->mapped[0] != '\0')
            assert_int_equal(addr_parse(&row->r.mapped_address, g->mapped ? g->mapped : "198.51.100.1:4000"),
                             0);
    }
    firewall_judge(&w->v, &w->seen);
}

static enum port_status port(const struct world *w, enum transport t, uint16_t number)
{
    const struct firewall_port *p = firewall_find_port(&w->v, t, number);
    return p ? p->status : PORT_UNTESTED;
}

#define U                          TRANSPORT_UDP
#define T                          TRANSPORT_TCP
#define S                          TRANSPORT_TLS
#define OK                         PROBE_REACHABLE
#define OUT                        PROBE_TIMEOUT
#define NO                         PROBE_REFUSED

#define AT(n, over, address, what) .node = (n), .transport = (over), .to = (address), .status = (what)

static void an_open_network_needs_nothing(void **state)
{
    struct world w;
    look(&w, (struct given[]){{AT(1, U, "203.0.113.1:5004", OK), .rtt_us = 20000},
                              {AT(1, U, "203.0.113.1:3478", OK), .rtt_us = 21000},
                              {AT(1, T, "203.0.113.1:5004", OK), .rtt_us = 20500},
                              {AT(1, S, "203.0.113.1:443", OK), .rtt_us = 20600},
                              {0}});
    assert_int_equal(port(&w, U, 5004), PORT_OPEN);
    assert_int_equal(port(&w, U, 3478), PORT_OPEN);
    assert_int_equal(port(&w, U, 9000), PORT_UNTESTED); /* nobody serves it */
    assert_int_equal(port(&w, T, 443), PORT_OPEN);
    assert_int_equal(port(&w, T, 80), PORT_UNTESTED);
    assert_int_equal(w.v.rung, TRANSPORT_UDP);
    assert_int_equal(w.v.rung_rtt_us, 20000);
    assert_int_equal(w.v.quality, QUALITY_GOOD);
    assert_int_equal(w.v.translated, 1);
    assert_int_equal(w.v.n_advice, 0);
    assert_false(w.v.allow_list);
}

static void udp_dropped_is_the_first_to_open(void **state)
{
    struct world w;
    look(&w, (struct given[]){{AT(1, U, "203.0.113.1:5004", OUT), .error = "no answer to STUN"},
                              {AT(1, U, "203.0.113.1:3478", OUT)},
                              {AT(1, T, "203.0.113.1:5004", NO)},
                              {AT(1, S, "203.0.113.1:443", OK), .rtt_us = 48000},
                              {0}});
    assert_int_equal(port(&w, U, 5004), PORT_DROPPED);
    assert_string_equal(firewall_find_port(&w.v, U, 5004)->note, "no answer to STUN");
    assert_int_equal(port(&w, T, 5004), PORT_REJECTED);
    assert_int_equal(w.v.rung, TRANSPORT_TLS);
    assert_int_equal(w.v.quality, QUALITY_FAIR);
    assert_int_equal(w.v.n_advice, 2);
    assert_string_equal(w.v.advice[0].open, "UDP 5004");
    assert_non_null(strstr(w.v.advice[0].brings, "instead of TLS"));
    assert_non_null(strstr(w.v.advice[0].brings, "48.0 ms"));
    assert_string_equal(w.v.advice[1].open, "TCP 5004");
    assert_non_null(strstr(w.v.advice[1].brings, "42.0 ms"));
}

static void with_everything_blocked_there_is_no_rung(void **state)
{
    struct world w;
    look(&w, (struct given[]){{AT(1, U, "203.0.113.1:5004", OUT)},
                              {AT(1, T, "203.0.113.1:5004", OUT)},
                              {AT(1, S, "203.0.113.1:443", NO)},
                              {0}});
    assert_int_equal(port(&w, U, 5004), PORT_DROPPED);
    assert_int_equal(port(&w, T, 443), PORT_REJECTED);
    assert_int_equal(w.v.rung, TRANSPORT_COUNT);
    assert_int_equal(w.v.quality, QUALITY_NONE);
    assert_int_equal(w.v.translated, -1);
    assert_int_equal(w.v.n_advice, 3);
    assert_string_equal(w.v.advice[0].open, "UDP 5004");
    assert_string_equal(w.v.advice[1].open, "TCP 5004");
    assert_string_equal(w.v.advice[2].open, "TCP 443 (TLS)");
}

static void several_nodes_judge_a_port_together(void **state)
{
    struct world w;
    look(&w, (struct given[]){{AT(1, U, "203.0.113.1:5004", OK), .rtt_us = 30000},
                              {AT(2, U, "203.0.113.2:5004", OK), .rtt_us = 25000},
                              {AT(2, U, "203.0.113.2:9000", OUT)},
                              {AT(3, U, "203.0.113.3:33434", OUT)}, /* of a node that answers nothing */
                              {AT(3, S, "203.0.113.3:443", OUT)},
                              {AT(1, T, "203.0.113.1:5004", OUT)},
                              {AT(2, T, "203.0.113.2:5004", NO)},
                              {0}});
    assert_int_equal(port(&w, U, 5004), PORT_OPEN);
    assert_int_equal(firewall_find_port(&w.v, U, 5004)->rtt_us, 25000);
    assert_int_equal(port(&w, U, 9000), PORT_DROPPED);
    assert_int_equal(port(&w, U, 33434), PORT_UNTESTED);
    assert_int_equal(port(&w, T, 443), PORT_UNTESTED);
    assert_int_equal(port(&w, T, 5004), PORT_REJECTED);
}

static void asked_ports_are_told_but_not_advised(void **state)
{
    struct world w;
    look(&w, (struct given[]){{AT(1, U, "203.0.113.1:5004", OK), .rtt_us = 30000},
                              {AT(1, U, "203.0.113.1:58024", OUT), .asked = true},
                              {AT(1, U, "203.0.113.1:58523", NO), .asked = true},
                              {0}});
    assert_int_equal(port(&w, U, 58024), PORT_DROPPED);
    assert_int_equal(port(&w, U, 58523), PORT_REJECTED);
    assert_false(firewall_find_port(&w.v, U, 58024)->served);
    assert_int_equal(w.v.n_advice, 0);
}

static void an_allow_list_shows_by_ranges(void **state)
{
    struct world w;
    char text[RANGE_TEXT];
    const struct given split[] = {{AT(1, U, "203.0.113.1:5004", OK), .rtt_us = 30000},
                                  {AT(2, U, "192.0.2.1:5004", OUT)},
                                  {AT(2, S, "192.0.2.1:443", OUT)},
                                  {0}};
    look(&w, split);
    assert_true(w.v.allow_list);
    assert_int_equal(w.v.n_silent, 1);
    assert_string_equal(firewall_range_text(&w.v.silent[0], text), "192.0.2.0/24");
    assert_string_equal(firewall_range_text(&w.v.answered[0], text), "203.0.113.0/24");
    assert_int_equal(w.v.n_advice, 1);
    assert_string_equal(w.v.advice[0].open, "192.0.2.0/24");
    /* In one range, a node is away. */
    look(&w, (struct given[]){{AT(1, U, "203.0.113.1:5004", OK), .rtt_us = 30000},
                              {AT(2, U, "203.0.113.2:5004", OUT)},
                              {0}});
    assert_false(w.v.allow_list);
    /* On different ports nothing can be said of ranges; nor across families. */
    look(&w, (struct given[]){{AT(1, U, "203.0.113.1:5004", OK), .rtt_us = 30000},
                              {AT(2, U, "192.0.2.1:3478", OUT)},
                              {0}});
    assert_false(w.v.allow_list);
    look(&w, (struct given[]){{AT(1, U, "203.0.113.1:5004", OK), .rtt_us = 30000},
                              {AT(1, U, "[2001:db8::1]:5004", OUT)},
                              {0}});
    assert_false(w.v.allow_list);
}

static void the_class_has_thresholds(void **state)
{
    static const struct {
        enum transport transport;
        int64_t rtt_us, sent, received;
        enum quality quality;
    } cases[] = {
        {U, QUALITY_GOOD_RTT_US, 10, 10, QUALITY_GOOD},
        {U, QUALITY_GOOD_RTT_US + 1, 10, 10, QUALITY_FAIR},
        {U, QUALITY_FAIR_RTT_US, 10, 10, QUALITY_FAIR},
        {U, QUALITY_FAIR_RTT_US + 1, 10, 10, QUALITY_POOR},
        {U, 1000, 50, 49, QUALITY_GOOD},
        {U, 1000, 50, 48, QUALITY_FAIR},
        {U, 1000, 50, 45, QUALITY_FAIR},
        {U, 1000, 50, 44, QUALITY_POOR},
        {T, 1000, 10, 10, QUALITY_FAIR},
        {S, QUALITY_FAIR_STREAM_RTT_US, 10, 10, QUALITY_FAIR},
        {S, QUALITY_FAIR_STREAM_RTT_US + 1, 10, 10, QUALITY_POOR},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world w;
        look(&w,
             (struct given[]){{AT(1, cases[i].transport, "203.0.113.1:5004", OK), .rtt_us = cases[i].rtt_us,
                               .sent = cases[i].sent, .received = cases[i].received},
                              {0}});
        assert_int_equal(w.v.quality, cases[i].quality);
    }
}

static void only_the_last_resort_open_is_worth_a_word(void **state)
{
    struct world w;
    look(&w, (struct given[]){{AT(1, U, "203.0.113.1:5004", OUT)},
                              {AT(1, U, "203.0.113.1:33434", OK), .rtt_us = 9000},
                              {0}});
    assert_int_equal(w.v.n_advice, 1);
    assert_string_equal(w.v.advice[0].open, "UDP 5004");
    assert_non_null(strstr(w.v.advice[0].brings, "33434"));
}

static void a_clock_is_judged_by_the_controller_or_by_certificates(void **state)
{
    static const char expired[] = "certificate has expired";
    struct world w;
    const struct given one[] = {{AT(1, S, "203.0.113.1:443", PROBE_TLS_ERROR), .error = expired}, {0}};
    look(&w, one);
    assert_int_equal(w.v.clock, CLOCK_SUSPECTED);
    assert_int_equal(w.v.n_advice, 1);
    assert_non_null(strstr(w.v.advice[0].open, "clock"));
    assert_int_equal(port(&w, T, 443), PORT_OPEN); /* the firewall is not to blame */
    look(&w, (struct given[]){{AT(1, S, "203.0.113.1:443", PROBE_TLS_ERROR), .error = expired},
                              {AT(2, S, "203.0.113.2:443", OK), .rtt_us = 1000},
                              {0}});
    assert_int_equal(w.v.clock, CLOCK_NOT_KNOWN); /* another's is fine: that node's fault */
    static const struct {
        int64_t ahead_s;
        enum clock_state state;
    } cases[] = {
        {0, CLOCK_RIGHT}, {300, CLOCK_RIGHT}, {-300, CLOCK_RIGHT}, {301, CLOCK_WRONG}, {-86400, CLOCK_WRONG}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        w.seen.clock_ahead_us = cases[i].ahead_s * 1000000;
        firewall_judge(&w.v, &w.seen);
        assert_int_equal(w.v.clock, cases[i].state);
    }
}

static void a_peer_that_is_not_trusted_is_worth_a_word(void **state)
{
    struct world w;
    look(&w, (struct given[]){
                 {AT(1, S, "203.0.113.1:443", PROBE_TLS_ERROR), .error = "self-signed certificate"}, {0}});
    assert_int_equal(port(&w, T, 443), PORT_OPEN);
    assert_int_equal(w.v.rung, TRANSPORT_COUNT);
    assert_int_equal(w.v.n_advice, 1);
    assert_non_null(strstr(w.v.advice[0].brings, "--ca"));
    look(&w, (struct given[]){{AT(1, TRANSPORT_PROXY, "203.0.113.1:443", PROBE_TLS_ERROR),
                               .error = "self-signed certificate"},
                              {0}});
    assert_int_equal(w.v.n_advice, 1);
    assert_non_null(strstr(w.v.advice[0].open, "through the proxy"));
}

static void a_small_path_is_worth_a_word(void **state)
{
    struct world w;
    const struct given one[] = {{AT(1, U, "203.0.113.1:5004", OK), .rtt_us = 30000}, {0}};
    look(&w, one);
    w.seen.mtu = MEDIA_PACKET_MAX;
    firewall_judge(&w.v, &w.seen);
    assert_int_equal(w.v.n_advice, 0);
    w.seen.mtu = 1000;
    firewall_judge(&w.v, &w.seen);
    assert_int_equal(w.v.n_advice, 1);
    assert_non_null(strstr(w.v.advice[0].brings, "1000"));
}

/* More ports than there is room for: the rest is left out, nothing else happens. */
static void ports_are_bounded(void **state)
{
    enum { N = FIREWALL_PORTS_MAX + 50 };
    struct firewall_row *rows = calloc(N, sizeof *rows);
    struct firewall_verdict *v = calloc(1, sizeof *v);
    assert_non_null(rows);
    assert_non_null(v);
    for (size_t i = 0; i < N; i++) {
        probe_result_init(&rows[i].r);
        assert_int_equal(addr_parse(&rows[i].to, "203.0.113.1:1"), 0);
        rows[i].to.port = (uint16_t)(i + 1);
        rows[i].r.status = OUT;
    }
    struct firewall_seen seen = {.rows = rows, .n_rows = N, .mtu = -1, .clock_ahead_us = CLOCK_UNKNOWN};
    firewall_judge(v, &seen);
    assert_int_equal(v->n_ports, FIREWALL_PORTS_MAX);
    free(rows);
    free(v);
}

/* ---- JSON ---- */

static const char *text_at(const json_t *o, const char *a, const char *b)
{
    const json_t *v = json_object_get(o, a);
    return json_string_value(b ? json_object_get(v, b) : v);
}

static void json_has_the_contracts_members(void **state)
{
    struct world w;
    look(&w, (struct given[]){{AT(1, U, "203.0.113.1:5004", OUT)},
                              {AT(1, S, "203.0.113.1:443", OK), .rtt_us = 48000},
                              {0}});
    json_t *j = firewall_to_json(&w.v);
    assert_non_null(j);
    assert_string_equal(text_at(j, "mapped", "udp"), "unknown");
    assert_string_equal(text_at(j, "mapped", "tls"), "198.51.100.1:4000");
    assert_string_equal(json_string_value(json_array_get(json_object_get(j, "local"), 0)), "10.0.0.5");
    assert_string_equal(text_at(j, "nat", "mapping"), "unknown");
    assert_string_equal(text_at(j, "nat", "filtering"), "unknown");
    assert_string_equal(text_at(j, "mtu", NULL), "unknown");
    assert_string_equal(text_at(j, "rung", NULL), "tls");
    assert_string_equal(text_at(j, "quality", NULL), "fair");
    assert_null(json_object_get(j, "pinhole_s"));
    assert_string_equal(text_at(j, "throughput", NULL), "unknown");
    const json_t *first = json_array_get(json_object_get(j, "ports"), 0);
    assert_string_equal(text_at(first, "transport", NULL), "udp");
    assert_int_equal(json_integer_value(json_object_get(first, "port")), 5004);
    assert_string_equal(text_at(first, "status", NULL), "dropped");
    const json_t *advice = json_array_get(json_object_get(j, "advice"), 0);
    assert_string_equal(text_at(advice, "open", NULL), "UDP 5004");
    assert_non_null(text_at(advice, "brings", NULL));
    json_decref(j);
    w.seen.mtu = 1420;
    w.seen.pinhole_asked = true;
    w.seen.pinhole = (struct pinhole_found){30, 36};
    firewall_judge(&w.v, &w.seen);
    j = firewall_to_json(&w.v);
    assert_int_equal(json_integer_value(json_object_get(j, "mtu")), 1420);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(j, "pinhole_s"), "less_than")), 36);
    json_decref(j);
}

static void throughput_is_held_against_what_a_call_needs(void **state)
{
    static const struct {
        int64_t up, down;
        enum enough enough;
    } cases[] = {
        {CALL_VIDEO_BPS, CALL_VIDEO_BPS, ENOUGH_VIDEO}, {CALL_VIDEO_BPS - 1, 9000000, ENOUGH_AUDIO},
        {9000000, CALL_VIDEO_BPS - 1, ENOUGH_AUDIO},    {CALL_AUDIO_BPS, 9000000, ENOUGH_AUDIO},
        {9000000, CALL_AUDIO_BPS - 1, ENOUGH_NOTHING},  {9000000, NOT_MEASURED, ENOUGH_UNKNOWN},
        {NOT_MEASURED, NOT_MEASURED, ENOUGH_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world w;
        look(&w, (struct given[]){{AT(1, S, "203.0.113.1:443", OK), .rtt_us = 48000}, {0}});
        w.seen.throughput = (struct firewall_throughput){cases[i].up, cases[i].down, 700000, 1600000, S};
        firewall_judge(&w.v, &w.seen);
        assert_int_equal(w.v.enough, cases[i].enough);
        json_t *j = firewall_to_json(&w.v);
        const json_t *t = json_object_get(j, "throughput");
        if (cases[i].up < 0) {
            assert_string_equal(json_string_value(t), "unknown");
        } else {
            assert_int_equal(json_integer_value(json_object_get(t, "up_bps")), cases[i].up);
            assert_int_equal(json_is_string(json_object_get(t, "down_bps")), cases[i].down < 0);
            assert_int_equal(json_integer_value(json_object_get(t, "bytes")), 700000);
            assert_string_equal(text_at(t, "enough_for", NULL), enough_name(cases[i].enough));
        }
        json_decref(j);
    }
}

static void mapping_is_told_by_nodes_only_where_no_better_is_known(void **state)
{
    struct world w;
    const struct given rows[] = {
        {AT(1, U, "203.0.113.1:5004", OK), .rtt_us = 1000, .mapped = "198.51.100.1:4000"},
        {AT(2, U, "192.0.2.1:5004", OK), .rtt_us = 1000, .mapped = "198.51.100.1:4000"},
        {0}};
    look(&w, rows);
    assert_int_equal(w.v.nat.mapping, NAT_ENDPOINT_INDEPENDENT);
    assert_int_equal(w.v.nat.evidence, NAT_BY_NODES);
    assert_int_equal(w.v.nat.filtering, NAT_UNKNOWN);
    w.seen.rfc5780_server = w.rows[0].to;
    w.seen.rfc5780 = (struct nat_findings){NAT_ADDRESS_DEPENDENT, NAT_ADDRESS_DEPENDENT, NAT_BY_RFC5780};
    firewall_judge(&w.v, &w.seen);
    assert_int_equal(w.v.nat.mapping, NAT_ADDRESS_DEPENDENT);
    assert_int_equal(w.v.nat.evidence, NAT_BY_RFC5780);
}

/* IPv6 is clean and IPv4 is not, whoever comes first; and the other way round, where IPv4 has been tested by RFC 5780. */
static void the_worse_family_decides_over_the_nat(void **state)
{
    struct world w;
    const struct given rows[] = {
        {AT(1, U, "[2001:db8::1]:5004", OK), .rtt_us = 1000, .mapped = "[2001:db8:f::2]:777"},
        {AT(2, U, "[2001:db8:1::1]:5004", OK), .rtt_us = 1000, .mapped = "[2001:db8:f::2]:777"},
        {AT(1, U, "203.0.113.1:5004", OK), .rtt_us = 1000, .mapped = "198.51.100.1:1000"},
        {AT(2, U, "192.0.2.1:5004", OK), .rtt_us = 1000, .mapped = "198.51.100.1:2000"},
        {0}};
    const struct given turned[] = {rows[2], rows[3], rows[0], rows[1], {0}};
    look(&w, rows);
    assert_int_equal(w.v.nat.mapping, NAT_ENDPOINT_DEPENDENT);
    look(&w, turned);
    assert_int_equal(w.v.nat.mapping, NAT_ENDPOINT_DEPENDENT);
    w.seen.rfc5780 = (struct nat_findings){NAT_ENDPOINT_INDEPENDENT, NAT_ADDRESS_DEPENDENT, NAT_BY_RFC5780};
    w.seen.rfc5780_server = w.rows[2].to; /* IPv6 */
    firewall_judge(&w.v, &w.seen);
    assert_int_equal(w.v.nat.mapping, NAT_ENDPOINT_DEPENDENT);
    assert_int_equal(w.v.nat.evidence, NAT_BY_NODES);
    assert_int_equal(w.v.nat.filtering, NAT_ADDRESS_DEPENDENT);
    w.seen.rfc5780_server = w.rows[0].to;
    firewall_judge(&w.v, &w.seen);
    assert_int_equal(w.v.nat.mapping, NAT_ENDPOINT_INDEPENDENT);
    assert_int_equal(w.v.nat.evidence, NAT_BY_RFC5780);
}

/* As many nodes as count agree; one beyond them does not. */
static void sights_are_bounded(void **state)
{
    static struct firewall_row rows[FIREWALL_SIGHTS_MAX + 1];
    struct firewall_seen seen = {.rows = rows, .mtu = NOT_MEASURED, .clock_ahead_us = CLOCK_UNKNOWN};
    struct firewall_verdict v;
    for (; seen.n_rows <= FIREWALL_SIGHTS_MAX; seen.n_rows++) {
        struct firewall_row *row = &rows[seen.n_rows];
        probe_result_init(&row->r);
        row->r.status = PROBE_REACHABLE;
        row->r.transport = TRANSPORT_UDP;
        row->to = (struct addr){.family = ADDR_V4, .port = 5004, .ip = {203, 0, 113, (uint8_t)seen.n_rows}};
        row->r.mapped_address = (struct addr){.family = ADDR_V4, .port = 4000, .ip = {198, 51, 100, 1}};
    }
    rows[FIREWALL_SIGHTS_MAX].r.mapped_address.port++;
    firewall_judge(&v, &seen);
    assert_int_equal(v.nat.mapping, NAT_ENDPOINT_INDEPENDENT);
    rows[FIREWALL_SIGHTS_MAX - 1].r.mapped_address.port++;
    firewall_judge(&v, &seen);
    assert_int_equal(v.nat.mapping, NAT_ENDPOINT_DEPENDENT);
}

static void a_node_that_answers_with_errors_alone_is_no_rung(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    static const struct given errors[] = {{AT(1, U, "203.0.113.1:5004", OK), .rtt_us = 1000, .mapped = ""},
                                          {AT(1, S, "203.0.113.1:443", OK), .rtt_us = 1000},
                                          {0}};
    look(w, errors);
    assert_int_equal(port(w, U, 5004), PORT_OPEN);
    assert_int_equal(w->v.rung, TRANSPORT_TLS);
    assert_int_equal(w->v.quality, QUALITY_FAIR);
    static const struct given alone[] = {{AT(1, U, "203.0.113.1:5004", OK), .rtt_us = 1000, .mapped = ""},
                                         {0}};
    look(w, alone);
    assert_int_equal(w->v.rung, TRANSPORT_COUNT);
    assert_int_equal(w->v.quality, QUALITY_NONE);
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_open_network_needs_nothing),
        cmocka_unit_test(udp_dropped_is_the_first_to_open),
        cmocka_unit_test(with_everything_blocked_there_is_no_rung),
        cmocka_unit_test(several_nodes_judge_a_port_together),
        cmocka_unit_test(asked_ports_are_told_but_not_advised),
        cmocka_unit_test(an_allow_list_shows_by_ranges),
        cmocka_unit_test(the_class_has_thresholds),
        cmocka_unit_test(only_the_last_resort_open_is_worth_a_word),
        cmocka_unit_test(a_clock_is_judged_by_the_controller_or_by_certificates),
        cmocka_unit_test(a_peer_that_is_not_trusted_is_worth_a_word),
        cmocka_unit_test(a_small_path_is_worth_a_word),
        cmocka_unit_test(ports_are_bounded),
        cmocka_unit_test(json_has_the_contracts_members),
        cmocka_unit_test(throughput_is_held_against_what_a_call_needs),
        cmocka_unit_test(mapping_is_told_by_nodes_only_where_no_better_is_known),
        cmocka_unit_test(the_worse_family_decides_over_the_nat),
        cmocka_unit_test(sights_are_bounded),
        cmocka_unit_test(a_node_that_answers_with_errors_alone_is_no_rung),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
