/* A report's results read straight from its text. Making JSON of them first would be most of what a report costs a
 * controller. Invariant: what is read here is what report_from_json would make of it; whatever is not plain (escapes,
 * unknown or repeated members, proxies, anything wrong) is left to that. What most reports hold is compared as a
 * whole, in the order in which agents write it, before it is gone through byte by byte. */
#include "core/doc_json.h"
#include "core/doc_text.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_AT_FIRST = 96, DIGITS_MAX = 9, PLAIN_DIGITS_MAX = 8, PORT_DIGITS_MAX = 5 };
static_assert(RTT_MAX_US < 100000000, "eight digits hold every figure");

/* Digits without sign, fraction, exponent or leading zero. */
static int64_t number(struct reader *rd)
{
    char first = next(rd);
    if (first < '0' || first > '9') {
        give_up(rd);
        return 0;
    }
    const char *from = rd->p, *p = from,
               *stop = rd->end - from > DIGITS_MAX ? from + DIGITS_MAX + 1 : rd->end;
    int64_t v = 0;
    for (; p < stop && (unsigned)(*p - '0') <= 9; p++)
        v = v * 10 + (*p - '0');
    rd->p = p;
    char after = next(rd);
    if (p - from > DIGITS_MAX || (first == '0' && p - from > 1) || (after != ',' && after != '}'))
        give_up(rd);
    return v;
}

static int64_t figure(struct reader *rd, int64_t max)
{
    int64_t v = number(rd);
    if (v > max)
        give_up(rd);
    return v;
}

/* How many digits stand there, 8 at most, and what they are, without a branch on either. */
static inline size_t digits(const struct reader *rd, uint32_t *out)
{
    uint64_t w = 0;
    size_t room = (size_t)(rd->end - rd->p);
    memcpy(&w, rd->p, room < sizeof(w) ? room : sizeof(w));
    w = le64toh(w) ^
        UINT64_C(
            0x3030303030303030); /* each byte below 10 is a digit; of the first that isn't the top bit is found */
    uint64_t others = ((w + UINT64_C(0x7676767676767676)) | w) & UINT64_C(0x8080808080808080);
    size_t n = others ? (size_t)__builtin_ctzll(others) / 8 : sizeof(w);
    w = n > 0 ? w << (64 - 8 * n) : 0;
    w = w * 10 + (w >> 8); /* every other byte: two digits */
    *out = (uint32_t)(((w & UINT64_C(0xFF000000FF)) * UINT64_C(0xF424000000064) +
                       (w >> 16 & UINT64_C(0xFF000000FF)) * UINT64_C(0x271000000001)) >>
                      32);
    return n;
}

/* A number of at most so many digits, none of them a leading zero; what is behind it isn't looked at. False: it isn't
 * one. */
static inline bool plain_number(struct reader *rd, size_t most, uint32_t max, uint32_t *out)
{
    size_t n = digits(rd, out);
    if (n == 0 || n > most || (*rd->p == '0' && n > 1) || *out > max)
        return false;
    rd->p += n;
    return true;
}

static inline bool plain_figure(struct reader *rd, uint32_t max, int64_t *out)
{
    uint32_t v;
    if (!plain_number(rd, PLAIN_DIGITS_MAX, max, &v))
        return false;
    *out = v;
    return true;
}

/* As agents write it. False: it is to be read again from where it began. */
static bool plain_rtt(struct reader *rd, struct probe_result *r)
{
    return LITERAL(rd, "{\"min\":") && plain_figure(rd, RTT_MAX_US, &r->rtt_min_us) &&
           LITERAL(rd, ",\"median\":") && plain_figure(rd, RTT_MAX_US, &r->rtt_median_us) &&
           LITERAL(rd, ",\"p95\":") && plain_figure(rd, RTT_MAX_US, &r->rtt_p95_us) && LITERAL(rd, "}");
}

/* Its members in any order. */
static unsigned any_rtt(struct reader *rd, struct probe_result *r)
{
    unsigned seen = 0;
    expect(rd, '{');
    do {
        struct word name = word(rd);
        expect(rd, ':');
        if (!rd->p)
            return 0;
        bool min = word_is(name, "min"), median = word_is(name, "median");
        unsigned bit = min ? 1 : median ? 2 : 4;
        if ((seen & bit) || (bit == 4 && !word_is(name, "p95")))
            give_up(rd);
        seen |= bit;
        *(min ? &r->rtt_min_us : median ? &r->rtt_median_us : &r->rtt_p95_us) = figure(rd, RTT_MAX_US);
    } while (take(rd, ','));
    expect(rd, '}');
    return seen;
}

static void rtt(struct reader *rd, struct probe_result *r)
{
    struct reader at = *rd;
    unsigned seen = 7;
    if (!plain_rtt(rd, r)) {
        *rd = at;
        seen = any_rtt(rd, r);
    }
    if (seen != 7 || r->rtt_min_us > r->rtt_median_us || r->rtt_median_us > r->rtt_p95_us)
        give_up(rd);
}

/* An address as far as its colon, with the quote before it, and what it is. */
struct host {
    struct word text;
    uint8_t ip[4];
};

/* What of the row before this one mostly has again, as it stands in the text. */
struct before {
    struct word node; /* with its quotes */
    struct host address, mapped;
};

static bool plain_host(struct reader *rd, struct host *host)
{
    const char *from = rd->p;
    uint8_t ip[4];
    uint32_t v = 0;
    if (host->text.len > 0 && literal(rd, host->text.p, host->text.len))
        return true;
    if (!LITERAL(rd, "\""))
        return false;
    for (size_t i = 0; i < 4; i++) {
        if (!plain_number(rd, 3, UINT8_MAX, &v) || !(i < 3 ? LITERAL(rd, ".") : LITERAL(rd, ":")))
            return false;
        ip[i] = (uint8_t)v;
    }
    host->text = (struct word){from, (size_t)(rd->p - from)};
    memcpy(host->ip, ip, sizeof(ip));
    return true;
}

/* "192.0.2.1:5004" with its quotes, as most addresses are. False, and nothing is taken: the address parser says what it is. */
static bool plain_address(struct reader *rd, struct host *host, struct addr *out)
{
    const char *from = rd->p;
    uint32_t port = 0;
    if (!plain_host(rd, host) || !plain_number(rd, PORT_DIGITS_MAX, UINT16_MAX, &port) || port == 0 ||
        !LITERAL(rd, "\"")) {
        rd->p = from;
        return false;
    }
    *out = (struct addr){.family = ADDR_V4, .port = (uint16_t)port};
    memcpy(out->ip, host->ip, sizeof(host->ip));
    return true;
}

enum member { NODE, TRANSPORT, STATUS, ADDRESS, RTT, SENT, RECEIVED, CONNECT, TLS, MAPPED, FRAMING, MEMBERS };
enum { REQUIRED = 1 << NODE | 1 << TRANSPORT | 1 << STATUS };

/* As agents write them; the colon is there for the comparison, the quotes aren't a word's. */
static const struct word names[MEMBERS] = {
#define NAME(text)             \
    {                          \
        text, sizeof(text) - 1 \
    }
    NAME("\"node\":"),   NAME("\"transport\":"),      NAME("\"status\":"),   NAME("\"address\":"),
    NAME("\"rtt_us\":"), NAME("\"sent\":"),           NAME("\"received\":"), NAME("\"connect_us\":"),
    NAME("\"tls_us\":"), NAME("\"mapped_address\":"), NAME("\"framing\":")};
#undef NAME
enum { NAME_BEGINS = 4, NAME_EXTRA = 3 }; /* so much tells them apart; quotes and colon */

/* The next member's name and colon. Looks from `from` on: most rows have their members in one order. */
static enum member member_next(struct reader *rd, unsigned from)
{
    if (rd->end - rd->p > NAME_BEGINS) {
        for (unsigned m = from; m < MEMBERS; m++)
            if (memcmp(rd->p, names[m].p, NAME_BEGINS) == 0)
                if (literal(rd, names[m].p, names[m].len))
                    return (enum member)m;
    }
    struct word name = word(rd);
    expect(rd, ':');
    for (unsigned m = NODE; m < MEMBERS; m++)
        if (name.len == names[m].len - NAME_EXTRA && memcmp(name.p, names[m].p + 1, name.len) == 0)
            return (enum member)m;
    return MEMBERS;
}

static bool set_status(struct probe_result *r, struct word w)
{
    for (unsigned i = 0; i < PROBE_STATUS_COUNT; i++) {
        r->status = (enum probe_status)i;
        if (word_is(w, probe_status_name(r->status)))
            return true;
    }
    return false;
}

/* The members that are words. */
static bool set_word(struct probe_result *r, enum member m, struct word w)
{
    char text[WORD_MAX];
    switch (m) {
    case NODE:
        if (!id_valid(word_text(w, text), NODE_ID_MAX))
            return false;
        memcpy(r->node, text, w.len + 1);
        return true;
    case TRANSPORT:
        return transport_parse(word_text(w, text), &r->transport) == 0;
    case STATUS:
        return set_status(r, w);
    case ADDRESS:
        return addr_parse(&r->address, word_text(w, text)) == 0 && r->address.port != 0;
    case MAPPED:
        return doc_addr_parse(&r->mapped_address, word_text(w, text)) == 0;
    default:
        r->framing = word_is(w, "stun") ? FRAMING_STUN : FRAMING_WEBSOCKET;
        return r->framing == FRAMING_STUN || word_is(w, "websocket");
    }
}

/* A word that most rows have, or that the row before had. False, and nothing is taken: it is another. */
static bool plain_word(struct reader *rd, struct probe_result *r, enum member m, struct before *before)
{
    switch (m) {
    case NODE:
        if (before->node.len == 0 || !literal(rd, before->node.p, before->node.len))
            return false;
        memcpy(r->node, before->node.p + 1, before->node.len - 2);
        return true;
    case TRANSPORT:
        r->transport = LITERAL(rd, "\"udp\"")   ? TRANSPORT_UDP
                       : LITERAL(rd, "\"tcp\"") ? TRANSPORT_TCP
                       : LITERAL(rd, "\"tls\"") ? TRANSPORT_TLS
                                                : TRANSPORT_PROXY;
        return r->transport != TRANSPORT_PROXY;
    case STATUS:
        r->status = PROBE_REACHABLE;
        return LITERAL(rd, "\"reachable\"");
    case ADDRESS:
        return plain_address(rd, &before->address, &r->address);
    case MAPPED:
        return plain_address(rd, &before->mapped, &r->mapped_address);
    default:
        r->framing = FRAMING_STUN;
        return LITERAL(rd, "\"stun\"");
    }
}

static void value(struct reader *rd, struct probe_result *r, enum member m, struct before *before)
{
    struct word w;
    switch (m) {
    case RTT:
        rtt(rd, r);
        break;
    case SENT:
        r->sent = figure(rd, PROBE_PACKETS_MAX);
        break;
    case RECEIVED:
        r->received = figure(rd, PROBE_PACKETS_MAX);
        break;
    case CONNECT:
        r->connect_us = figure(rd, RTT_MAX_US);
        break;
    case TLS:
        r->tls_us = figure(rd, RTT_MAX_US);
        break;
    case MEMBERS:
        give_up(rd);
        break;
    default:
        if (plain_word(rd, r, m, before))
            break;
        w = word(rd);
        if (rd->p && !set_word(r, m, w))
            give_up(rd);
    }
}

/* Its value. False: the reader has given up. */
static bool member(struct reader *rd, struct probe_result *r, enum member m, struct before *before)
{
    const char *from = rd->p;
    value(rd, r, m, before);
    if (m == NODE && rd->p && *from == '"')
        before->node = (struct word){from, (size_t)(rd->p - from)};
    return rd->p != NULL;
}

static bool row_holds(const struct probe_result *r)
{
    return (r->status != PROBE_REACHABLE || r->rtt_min_us != NOT_MEASURED) &&
           (r->sent == NOT_MEASURED || r->received <= r->sent);
}

/* As agents write it: members in their order, nothing between them. False: it is to be read again from where it
 * began. */
static bool plain_row(struct reader *rd, struct probe_result *r, struct before *before)
{
    return LITERAL(rd, "{\"node\":") && member(rd, r, NODE, before) && LITERAL(rd, ",\"transport\":") &&
           member(rd, r, TRANSPORT, before) && LITERAL(rd, ",\"status\":") && member(rd, r, STATUS, before) &&
           (!LITERAL(rd, ",\"address\":") || member(rd, r, ADDRESS, before)) &&
           (!LITERAL(rd, ",\"rtt_us\":") || member(rd, r, RTT, before)) &&
           (!LITERAL(rd, ",\"sent\":") || plain_figure(rd, PROBE_PACKETS_MAX, &r->sent)) &&
           (!LITERAL(rd, ",\"received\":") || plain_figure(rd, PROBE_PACKETS_MAX, &r->received)) &&
           (!LITERAL(rd, ",\"connect_us\":") || plain_figure(rd, RTT_MAX_US, &r->connect_us)) &&
           (!LITERAL(rd, ",\"tls_us\":") || plain_figure(rd, RTT_MAX_US, &r->tls_us)) &&
           (!LITERAL(rd, ",\"mapped_address\":") || member(rd, r, MAPPED, before)) &&
           (!LITERAL(rd, ",\"framing\":") || member(rd, r, FRAMING, before)) && LITERAL(rd, "}");
}

/* Its members in any order. */
static void any_row(struct reader *rd, struct probe_result *r, struct before *before)
{
    unsigned seen = 0;
    enum member m = NODE;
    expect(rd, '{');
    do {
        if (!rd->p)
            return;
        m = member_next(rd, m == MEMBERS ? NODE : m);
        if (!rd->p)
            return;
        if (seen & 1U << m)
            give_up(rd);
        seen |= 1U << m;
        if (!member(rd, r, m, before))
            return;
    } while (take(rd, ','));
    expect(rd, '}');
    if ((seen & REQUIRED) != REQUIRED)
        give_up(rd);
}

static void row(struct reader *rd, struct probe_result *r, struct before *before)
{
    struct reader at = *rd;
    probe_result_init(r);
    if (!plain_row(rd, r, before)) {
        *rd = at;
        probe_result_init(r);
        any_row(rd, r, before);
    }
    if (!row_holds(r))
        give_up(rd);
}

int doc_text_rows(struct reader *rd, struct report *r)
{
    struct before before = {0};
    size_t room = 0;
    expect(rd, '[');
    if (take(rd, ']'))
        return 0;
    do {
        if (r->n_results == REPORT_RESULTS_MAX)
            give_up(rd);
        if (!rd->p)
            return 0;
        if (r->n_results == room) {
            room = room == 0 ? ROWS_AT_FIRST : 2 * room;
            struct probe_result *more = realloc(r->results, room * sizeof(*more));
            if (!more)
                return -ENOMEM;
            r->results = more;
        }
        row(rd, &r->results[r->n_results++], &before);
    } while (take(rd, ','));
    expect(rd, ']');
    return 0;
}
