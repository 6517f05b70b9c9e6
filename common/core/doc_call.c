/* What calls measured, in a report, and what the controller counted on. Invariant: a parsed stretch has its round
 * trips, and what was not told of it is NOT_MEASURED, "" or CALL_GOES_ON. */
#include "core/doc_json.h"

#include <errno.h>
#include <string.h>

enum { STRETCH_MAX_S = 7 * 86400 };
static const int64_t count_max = (int64_t)1 << 40; /* of packets, of anything */

static const char *const ends[CALL_END_COUNT] = {[CALL_GOES_ON] = "",
                                                 [CALL_LEFT] = "left",
                                                 [CALL_MOVED] = "moved",
                                                 [CALL_LOST] = "lost",
                                                 [CALL_ENDED] = "ended"};

void call_stretch_init(struct call_stretch *c)
{
    *c = (struct call_stretch){.rtt_min_us = NOT_MEASURED,
                               .rtt_median_us = NOT_MEASURED,
                               .rtt_p95_us = NOT_MEASURED,
                               .checks = NOT_MEASURED,
                               .received = NOT_MEASURED,
                               .lost = NOT_MEASURED,
                               .jitter_us = NOT_MEASURED,
                               .expected = {.rtt_us = NOT_MEASURED}};
}

/* ---- to JSON ---- */

json_t *call_expected_to_json(const struct call_expected *x)
{
    return json_pack("{s:s, s:I, s:b}", "transport", transport_name(x->transport), "rtt_us",
                     (json_int_t)x->rtt_us, "predicted", x->predicted);
}

json_t *call_stretch_to_json(const struct call_stretch *c)
{
    json_t *o = json_object();
    if (!o)
        return NULL;
    int failed = doc_set_text(o, "node", c->node) | doc_set_text(o, "meeting", c->meeting) |
                 doc_set_text(o, "transport", transport_name(c->transport)) |
                 json_object_set_new(o, "seconds", json_integer(c->seconds)) |
                 doc_set_rtt(o, "rtt_us", c->rtt_min_us, c->rtt_median_us, c->rtt_p95_us) |
                 doc_set_measured(o, "checks", c->checks) | doc_set_measured(o, "received", c->received) |
                 doc_set_measured(o, "lost", c->lost) | doc_set_measured(o, "jitter_us", c->jitter_us) |
                 doc_set_text(o, "ended", ends[c->ended]);
    if (c->expected.rtt_us != NOT_MEASURED)
        failed |= json_object_set_new(o, "expected", call_expected_to_json(&c->expected));
    if (failed) {
        json_decref(o);
        return NULL;
    }
    return o;
}

/* ---- from JSON ---- */

static int get_transport(const json_t *j, enum transport *out, struct doc_error *e)
{
    const char *name = NULL;
    if (doc_get_string(j, "transport", DOC_REQUIRED, &name, e) < 0)
        return -EINVAL;
    return transport_parse(name, out) < 0
               ? doc_fail(e, "/transport", "invalid_member", "transport must be udp, tcp, tls or proxy")
               : 0;
}

int call_expected_from_json(const json_t *j, struct call_expected *x, struct doc_error *e)
{
    struct call_expected parsed = {0};
    if (doc_check_object(j, "expected", e) < 0 || get_transport(j, &parsed.transport, e) < 0 ||
        doc_get_int(j, "rtt_us", DOC_REQUIRED, 0, RTT_MAX_US, &parsed.rtt_us, e) < 0 ||
        doc_get_bool(j, "predicted", DOC_OPTIONAL, &parsed.predicted, e) < 0)
        return -EINVAL;
    *x = parsed;
    return 0;
}

static int get_expected(const json_t *j, struct call_stretch *c, struct doc_error *e)
{
    const json_t *expected = NULL;
    int answer = doc_get_object(j, "expected", DOC_OPTIONAL, &expected, e);
    if (answer <= 0)
        return answer;
    return call_expected_from_json(expected, &c->expected, e) < 0 ? doc_fail_under(e, "/expected") : 0;
}

static int get_end(const json_t *j, struct call_stretch *c, struct doc_error *e)
{
    const char *ended = NULL;
    int answer = doc_get_string(j, "ended", DOC_OPTIONAL, &ended, e);
    if (answer <= 0)
        return answer;
    for (unsigned i = CALL_GOES_ON + 1; i < CALL_END_COUNT; i++) {
        if (strcmp(ended, ends[i]) == 0) {
            c->ended = (enum call_end)i;
            return 0;
        }
    }
    return doc_fail(e, "/ended", "invalid_member", "ended must be left, moved, lost or ended");
}

static int get_counts(const json_t *j, struct call_stretch *c, struct doc_error *e)
{
    if (doc_get_int(j, "seconds", DOC_REQUIRED, 0, STRETCH_MAX_S, &c->seconds, e) < 0 ||
        doc_get_int(j, "checks", DOC_OPTIONAL, 1, count_max, &c->checks, e) < 0 ||
        doc_get_int(j, "received", DOC_OPTIONAL, 0, count_max, &c->received, e) < 0 ||
        doc_get_int(j, "lost", DOC_OPTIONAL, 0, count_max, &c->lost, e) < 0 ||
        doc_get_int(j, "jitter_us", DOC_OPTIONAL, 0, RTT_MAX_US, &c->jitter_us, e) < 0)
        return -EINVAL;
    return 0;
}

int call_stretch_from_json(const json_t *j, struct call_stretch *c, struct doc_error *e)
{
    struct call_stretch parsed;
    call_stretch_init(&parsed);
    if (doc_check_object(j, "a call", e) < 0 ||
        doc_get_id(j, "node", DOC_REQUIRED, parsed.node, sizeof parsed.node, e) < 0 ||
        doc_get_id(j, "meeting", DOC_OPTIONAL, parsed.meeting, sizeof parsed.meeting, e) < 0 ||
        get_transport(j, &parsed.transport, e) < 0 ||
        doc_get_rtt(j, "rtt_us", DOC_REQUIRED, &parsed.rtt_min_us, &parsed.rtt_median_us, &parsed.rtt_p95_us,
                    e) < 0 ||
        get_counts(j, &parsed, e) < 0 || get_expected(j, &parsed, e) < 0 || get_end(j, &parsed, e) < 0)
        return -EINVAL;
    *c = parsed;
    return 0;
}
