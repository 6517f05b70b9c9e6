/* A report's results read straight from its text. Making JSON of them first is most of what a report costs a
 * controller. Invariant: what is read here is what report_from_json would make of it; whatever is not plain
 * (escapes, unknown or repeated members, proxies, anything wrong) is left to that, which also says what is wrong.
 * What most reports hold is compared as a whole, in the order in which agents write it, before it is gone through
 * byte by byte. */
#include "core/doc_json.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_MAX = 80, ROWS_AT_FIRST = 96, DIGITS_MAX = 9, PORT_DIGITS_MAX = 5 };
static_assert((int)WORD_MAX > (int)NODE_ID_MAX && (int)WORD_MAX >= (int)ADDR_TEXT_LEN,
              "an id and an address fit");
static_assert(RTT_MAX_US < 1000000000, "nine digits hold every figure");

/* Goes over the text; `p` NULL: it isn't plain. */
struct reader {
    const char *p, *end;
};

/* Of the text itself, without its quotes. */
struct word {
    const char *p;
    size_t len; /* below WORD_MAX */
};

static void give_up(struct reader *rd)
{
    rd->p = NULL;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static char next(struct reader *rd)
{
    const char *p = rd->p;
    if (!p)
        return '\0';
    while (p < rd->end && is_space(*p))
        p++;
    rd->p = p;
    return p < rd->end ? *p : '\0';
}

static bool take(struct reader *rd, char c)
{
    if (next(rd) != c)
        return false;
    rd->p++;
    return true;
}

static void expect(struct reader *rd, char c)
{
    if (!take(rd, c))
        give_up(rd);
}

/* Takes just this text, if it is what comes next. */
static inline bool literal(struct reader *rd, const char *s, size_t len)
{
    if (!rd->p || (size_t)(rd->end - rd->p) < len || memcmp(rd->p, s, len) != 0)
        return false;
    rd->p += len;
    return true;
}
#define LITERAL(rd, text) literal(rd, text, sizeof(text) - 1)

/* Printable ASCII that neither ends a string nor is escaped. */
static bool is_plain(char c)
{
    static const uint64_t plain[2] = {UINT64_C(0xFFFFFFFB00000000), UINT64_C(0x7FFFFFFFEFFFFFFF)};
    uint8_t u = (uint8_t)c;
    return u < 128 && (plain[u / 64] >> (u % 64) & 1);
}

/* A string without escapes; an empty word where it isn't one. */
static struct word word(struct reader *rd)
{
    expect(rd, '"');
    if (!rd->p)
        return (struct word){"", 0};
    const char *from = rd->p, *p = from;
    while (p < rd->end && is_plain(*p))
        p++;
    if (p == rd->end || *p != '"' || p - from >= WORD_MAX) {
        give_up(rd);
        return (struct word){"", 0};
    }
    rd->p = p + 1;
    return (struct word){from, (size_t)(p - from)};
}

static bool word_is(struct word w, const char *s)
{
    return strlen(s) == w.len && memcmp(w.p, s, w.len) == 0;
}

static const char *word_text(struct word w, char out[static WORD_MAX])
{
    memcpy(out, w.p, w.len);
    out[w.len] = '\0';
    return out;
}

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

/* As agents write it. False: it is to be read again from where it began. */
static bool plain_rtt(struct reader *rd, struct probe_result *r)
{
    if (!LITERAL(rd, "{\"min\":"))
        return false;
    r->rtt_min_us = figure(rd, RTT_MAX_US);
    if (!LITERAL(rd, ",\"median\":"))
        return false;
    r->rtt_median_us = figure(rd, RTT_MAX_US);
    if (!LITERAL(rd, ",\"p95\":"))
        return false;
    r->rtt_p95_us = figure(rd, RTT_MAX_US);
    return LITERAL(rd, "}");
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

/* A number of at most so many digits, none of them a leading zero, that ends with `c`; what is behind that. NULL: it is none. */
static inline const char *plain_number(const char *p, const char *end, ptrdiff_t digits, char c,
                                       uint32_t *out)
{
    const char *from = p;
    uint32_t v = 0;
    const char *stop = end - p > digits ? p + digits : end;
    for (; p < stop && (unsigned)(*p - '0') <= 9; p++)
        v = v * 10 + (uint32_t)(*p - '0');
    *out = v;
    if (p == from || (*from == '0' && p - from > 1))
        return NULL;
    return p < end && *p == c ? p + 1 : NULL;
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
    const char *p = rd->p, *end = rd->end;
    uint8_t ip[4];
    uint32_t v = 0;
    if (host->text.len > 0 && literal(rd, host->text.p, host->text.len))
        return true;
    if (!p || p == end || *p++ != '"')
        return false;
    for (size_t i = 0; i < 4; i++) {
        p = plain_number(p, end, 3, i < 3 ? '.' : ':', &v);
        if (!p || v > UINT8_MAX)
            return false;
        ip[i] = (uint8_t)v;
    }
    host->text = (struct word){rd->p, (size_t)(p - rd->p)};
    memcpy(host->ip, ip, sizeof(ip));
    rd->p = p;
    return true;
}

/* "192.0.2.1:5004" with its quotes, as most addresses are. False, and nothing is taken: the address parser says what it is. */
static bool plain_address(struct reader *rd, struct host *host, struct addr *out)
{
    const char *from = rd->p;
    uint32_t port = 0;
    if (!plain_host(rd, host))
        return false;
    rd->p = plain_number(rd->p, rd->end, PORT_DIGITS_MAX, '"', &port);
    if (!rd->p || port == 0 || port > UINT16_MAX) {
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

static void row(struct reader *rd, struct probe_result *r, struct before *before)
{
    unsigned seen = 0;
    enum member m = NODE;
    probe_result_init(r);
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
        const char *from = rd->p;
        value(rd, r, m, before);
        if (m == NODE && rd->p && *from == '"')
            before->node = (struct word){from, (size_t)(rd->p - from)};
    } while (take(rd, ','));
    expect(rd, '}');
    if ((seen & REQUIRED) != REQUIRED || (r->status == PROBE_REACHABLE && !(seen & 1U << RTT)) ||
        (r->sent != NOT_MEASURED && r->received > r->sent))
        give_up(rd);
}

/* An array of rows. 0 (the reader may have given up) or -ENOMEM. */
static int read_rows(struct reader *rd, struct doc_rows *rows)
{
    struct before before = {0};
    size_t room = 0;
    expect(rd, '[');
    if (take(rd, ']'))
        return 0;
    do {
        if (rows->n == REPORT_RESULTS_MAX)
            give_up(rd);
        if (!rd->p)
            return 0;
        if (rows->n == room) {
            room = room == 0 ? ROWS_AT_FIRST : 2 * room;
            struct probe_result *more = realloc(rows->row, room * sizeof(*more));
            if (!more)
                return -ENOMEM;
            rows->row = more;
        }
        row(rd, &rows->row[rows->n++], &before);
    } while (take(rd, ','));
    expect(rd, ']');
    return 0;
}

/* Past a string that begins at p; the end of the text where it has none. */
static const char *past_string(const char *p, const char *end)
{
    for (p++; p < end && *p != '"'; p++)
        p += *p == '\\' && p + 1 < end;
    return p < end ? p + 1 : end;
}

/* The value of the member "results" of the outermost object; NULL: there is none. What isn't JSON is found out elsewhere. */
static const char *results_in(const char *p, const char *end)
{
    static const char name[] = "\"results\"";
    size_t depth = 0;
    while (p < end) {
        if (*p == '"') {
            const char *after = past_string(p, end);
            struct reader rd = {after, end};
            if (depth == 1 && (size_t)(after - p) == sizeof(name) - 1 &&
                memcmp(p, name, sizeof(name) - 1) == 0 && take(&rd, ':'))
                return rd.p;
            p = after;
            continue;
        }
        depth += *p == '{' || *p == '[';
        depth -= (*p == '}' || *p == ']') && depth > 0;
        p++;
    }
    return NULL;
}

void doc_rows_clear(struct doc_rows *rows)
{
    free(rows->row);
    *rows = (struct doc_rows){0};
}

/* The text with [] in place of what was read. */
static int parse_rest(const char *text, size_t len, const char *from, const char *to, json_t **rest)
{
    size_t before = (size_t)(from - text), after = len - (size_t)(to - text);
    struct doc_error e;
    char *buf = malloc(before + 2 + after);
    if (!buf)
        return -ENOMEM;
    memcpy(buf, text, before);
    buf[before] = '[';
    buf[before + 1] = ']';
    memcpy(buf + before + 2, to, after);
    json_t *j = doc_parse(buf, before + 2 + after, &e);
    free(buf);
    if (!json_is_object(j)) {
        json_decref(j);
        return -EAGAIN;
    }
    *rest = j;
    return 0;
}

int report_rows_read(const char *text, size_t len, struct doc_rows *rows, json_t **rest)
{
    struct doc_rows read = {.there = true};
    const char *from = results_in(text, text + len);
    struct reader rd = {from, text + len};
    int rc = from ? read_rows(&rd, &read) : -EAGAIN;
    if (rc == 0)
        rc = rd.p ? parse_rest(text, len, from, rd.p, rest) : -EAGAIN;
    if (rc == 0)
        *rows = read;
    else
        doc_rows_clear(&read);
    return rc;
}
