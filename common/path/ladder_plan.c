/* An assignment's lines, and the order in which they are tried. Invariant: the order is a permutation of the places,
 * and no place of one rung stands between those of another. */
#include "path/ladder.h"

#include <stdio.h>
#include <string.h>

void ladder_policy_init(struct ladder_policy *p)
{
    *p = (struct ladder_policy){.rung_delay_ms = 300,
                                .address_delay_ms = 250,
                                .grace_ms = 150,
                                .resend_ms = 200,
                                .framing_ms = 1000,
                                .rung_timeout_ms = 5000,
                                .timeout_ms = 15000};
}

/* ---- reading ---- */

static int bad(struct doc_error *e, size_t i, const char *member, const char *what)
{
    char pointer[48];
    snprintf(pointer, sizeof pointer, "/ladder/%zu/%s", i, member);
    return doc_fail(e, pointer, "invalid_member", "%s", what);
}

/* A text member that may be absent (then "") or must not be too long. */
static int read_text(const json_t *line, size_t i, const char *member, char *out, size_t cap,
                     struct doc_error *e)
{
    const json_t *j = json_object_get(line, member);
    out[0] = '\0';
    if (!j || json_is_null(j))
        return 0;
    size_t len = json_string_length(j);
    if (!json_is_string(j) || len >= cap || strlen(json_string_value(j)) != len)
        return bad(e, i, member, "is a text of fitting length");
    memcpy(out, json_string_value(j), len + 1);
    return 0;
}

/* 1: *p is filled; 0: of a transport that isn't known; or -EINVAL. */
static int read_line(const json_t *line, size_t i, struct ladder_place *p, struct doc_error *e)
{
    const char *transport = json_string_value(json_object_get(line, "transport"));
    const char *address = json_string_value(json_object_get(line, "address"));
    memset(p, 0, sizeof *p);
    if (!transport)
        return bad(e, i, "transport", "is a text");
    if (transport_parse(transport, &p->transport) < 0)
        return 0;
    if (!address || addr_parse(&p->to, address) < 0 || p->to.port == 0)
        return bad(e, i, "address", "is ip:port");
    int err = read_text(line, i, "tls_name", p->tls_name, sizeof p->tls_name, e);
    if (err == 0)
        err = read_text(line, i, "proxy", p->proxy, sizeof p->proxy, e);
    return err < 0 ? err : 1;
}

ssize_t ladder_from_json(const json_t *assignment, struct ladder_place out[static LADDER_PLACES_MAX],
                         struct doc_error *e)
{
    const json_t *lines = json_object_get(assignment, "ladder");
    size_t n = 0;
    if (!json_is_array(lines))
        return doc_fail(e, "/ladder", "invalid_member", "is a list");
    for (size_t i = 0; i < json_array_size(lines) && n < LADDER_PLACES_MAX; i++) {
        int got = read_line(json_array_get(lines, i), i, &out[n], e);
        if (got < 0)
            return got;
        n += (size_t)got;
    }
    return n > 0 ? (ssize_t)n : doc_fail(e, "/ladder", "invalid_member", "has no rung that can be tried");
}

/* ---- the order ---- */

static bool last_resort(const struct ladder_place *p)
{
    return p->transport == TRANSPORT_UDP && p->to.port == LADDER_LAST_RESORT_PORT;
}

/* The next place not `taken` of that transport and class, of the wanted family if there is one. */
static size_t pick(const struct ladder_place *places, size_t n, const bool *taken, enum transport t,
                   bool last, uint8_t family)
{
    size_t other = LADDER_NONE;
    for (size_t i = 0; i < n; i++) {
        if (taken[i] || places[i].transport != t || last_resort(&places[i]) != last)
            continue;
        if (family == ADDR_NONE || places[i].to.family == family)
            return i;
        if (other == LADDER_NONE)
            other = i;
    }
    return other;
}

void ladder_order(const struct ladder_place *places, size_t n, size_t order[static LADDER_PLACES_MAX])
{
    bool taken[LADDER_PLACES_MAX] = {false};
    size_t done = 0;
    for (size_t first = 0; first < n; first++) {
        if (taken[first])
            continue;
        for (int last = 0; last < 2; last++) {
            uint8_t family = ADDR_NONE;
            size_t i;
            while ((i = pick(places, n, taken, places[first].transport, last != 0, family)) != LADDER_NONE) {
                taken[i] = true;
                order[done++] = i;
                family = places[i].to.family == ADDR_V6 ? ADDR_V4 : ADDR_V6;
            }
        }
    }
}
