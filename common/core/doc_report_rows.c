/* A report's results read straight from its text. Making JSON of them first is most of what a report costs a controller. Invariant: what is read
 * here is what report_from_json would make of it; whatever is not plain (escapes, unknown or repeated members, proxies, anything wrong) is
 * left to that, which also says what is wrong. */
#include "core/doc_json.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_MAX = 80, ROWS_AT_FIRST = 96, DIGITS_MAX = 9 };
static_assert((int)WORD_MAX > (int)NODE_ID_MAX && (int)WORD_MAX >= (int)ADDR_TEXT_LEN,
              "an id and an address fit");
static_assert(RTT_MAX_US < 1000000000, "nine digits hold every figure");

/* Goes over the text; `p` NULL: it isn't plain. */
struct reader {
    const char *p, *end;
};

static void give_up(struct reader *rd)
{
    rd->p = NULL;
}

static char next(struct reader *rd)
{
    while (rd->p && rd->p < rd->end && (*rd->p == ' ' || *rd->p == '\n' || *rd->p == '\r' || *rd->p == '\t'))
        rd->p++;
    return rd->p && rd->p < rd->end ? *rd->p : '\0';
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

/* A string of printable ASCII without escapes. */
static void word(struct reader *rd, char out[static WORD_MAX])
{
    size_t n = 0;
    out[0] = '\0';
    expect(rd, '"');
    if (!rd->p)
        return;
    for (; rd->p < rd->end && *rd->p != '"'; rd->p++) {
        if (*rd->p < ' ' || *rd->p > '~' || *rd->p == '\\' || n == WORD_MAX - 1) {
            give_up(rd);
            return;
        }
        out[n++] = *rd->p;
    }
    out[n] = '\0';
    expect(rd, '"');
}

/* Digits without sign, fraction, exponent or leading zero. */
static int64_t number(struct reader *rd)
{
    int64_t v = 0;
    size_t n = 0;
    char first = next(rd);
    for (; rd->p && rd->p < rd->end && *rd->p >= '0' && *rd->p <= '9'; rd->p++, n++)
        v = n < DIGITS_MAX ? v * 10 + (*rd->p - '0') : v;
    char after = next(rd);
    if (n == 0 || n > DIGITS_MAX || (first == '0' && n > 1) || (after != ',' && after != '}'))
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

static void rtt(struct reader *rd, struct probe_result *r)
{
    unsigned seen = 0;
    char name[WORD_MAX];
    expect(rd, '{');
    do {
        word(rd, name);
        expect(rd, ':');
        if (!rd->p)
            return;
        bool min = strcmp(name, "min") == 0, median = strcmp(name, "median") == 0;
        unsigned bit = min ? 1 : median ? 2 : 4;
        if ((seen & bit) || (bit == 4 && strcmp(name, "p95") != 0))
            give_up(rd);
        seen |= bit;
        *(min ? &r->rtt_min_us : median ? &r->rtt_median_us : &r->rtt_p95_us) = figure(rd, RTT_MAX_US);
    } while (take(rd, ','));
    expect(rd, '}');
    if (seen != 7 || r->rtt_min_us > r->rtt_median_us || r->rtt_median_us > r->rtt_p95_us)
        give_up(rd);
}

enum member { NODE, TRANSPORT, STATUS, ADDRESS, RTT, SENT, RECEIVED, CONNECT, TLS, MAPPED, FRAMING, MEMBERS };
enum { REQUIRED = 1 << NODE | 1 << TRANSPORT | 1 << STATUS };

static enum member member_of(const char *name)
{
    static const char *const names[MEMBERS] = {"node",   "transport",      "status",   "address",
                                               "rtt_us", "sent",           "received", "connect_us",
                                               "tls_us", "mapped_address", "framing"};
    for (unsigned m = 0; m < MEMBERS; m++)
        if (name[0] == names[m][0] && strcmp(name, names[m]) == 0)
            return (enum member)m;
    return MEMBERS;
}

/* The members that are words. */
static bool set_word(struct probe_result *r, enum member m, const char *w)
{
    switch (m) {
    case NODE:
        if (!id_valid(w, NODE_ID_MAX))
            return false;
        memcpy(r->node, w, strlen(w) + 1);
        return true;
    case TRANSPORT:
        return transport_parse(w, &r->transport) == 0;
    case STATUS:
        for (unsigned i = 0; i < PROBE_STATUS_COUNT; i++) {
            r->status = (enum probe_status)i;
            if (strcmp(w, probe_status_name(r->status)) == 0)
                return true;
        }
        return false;
    case ADDRESS:
        return addr_parse(&r->address, w) == 0 && r->address.port != 0;
    case MAPPED:
        return doc_addr_parse(&r->mapped_address, w) == 0;
    default:
        r->framing = strcmp(w, "stun") == 0 ? FRAMING_STUN : FRAMING_WEBSOCKET;
        return r->framing == FRAMING_STUN || strcmp(w, "websocket") == 0;
    }
}

static void value(struct reader *rd, struct probe_result *r, enum member m)
{
    char w[WORD_MAX];
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
        word(rd, w);
        if (rd->p && !set_word(r, m, w))
            give_up(rd);
    }
}

static void row(struct reader *rd, struct probe_result *r)
{
    unsigned seen = 0;
    char name[WORD_MAX];
    probe_result_init(r);
    expect(rd, '{');
    do {
        word(rd, name);
        expect(rd, ':');
        if (!rd->p)
            return;
        enum member m = member_of(name);
        if (seen & 1U << m)
            give_up(rd);
        seen |= 1U << m;
        value(rd, r, m);
    } while (take(rd, ','));
    expect(rd, '}');
    if ((seen & REQUIRED) != REQUIRED || (r->status == PROBE_REACHABLE && !(seen & 1U << RTT)) ||
        (r->sent != NOT_MEASURED && r->received > r->sent))
        give_up(rd);
}

/* An array of rows. 0 (the reader may have given up) or -ENOMEM. */
static int read_rows(struct reader *rd, struct doc_rows *rows)
{
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
        row(rd, &rows->row[rows->n++]);
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
