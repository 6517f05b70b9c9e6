/* What the shell hands in: datagrams, streams' bytes and ends. Invariant: an answer counts only for the place that
 * its transaction id names, and only if it came from there; a closed stream's events count for nothing. */
#include "path/ladder_internal.h"
#include "probe/prober_message.h"

#include <errno.h>
#include <string.h>

static struct place *live(struct ladder *l, size_t place)
{
    struct place *p = place < l->n ? &l->places[place] : NULL;
    if (!p || !p->has_stream || p->close_due) /* closed by us, and the shell was not told yet */
        return NULL;
    return place_under_way(p) || p->state == PLACE_LEADING ? p : NULL;
}

static enum probe_status status_of(int error)
{
    return error == ETIMEDOUT ? PROBE_TIMEOUT : prober_own_shortage(error) ? PROBE_UNTESTED : PROBE_REFUSED;
}

static void bounced(struct ladder *l, struct place *p, int error, int64_t now_us)
{
    bool no_socket = error == EMFILE || error == ENFILE;
    if (p->state == PLACE_ASKING && (no_socket || !prober_own_shortage(error)))
        ladder_failed(l, p, status_of(error), prober_error_text(error, false), now_us);
}

void ladder_send_failed(struct ladder *l, const struct ladder_action *a, int error, int64_t now_us)
{
    struct place *p = &l->places[a->place];
    if (a->kind == LADDER_SEND_UDP)
        bounced(l, p, error, now_us);
    else
        ladder_on_stream_error(l, a->place, error, now_us);
}

void ladder_on_udp(struct ladder *l, const struct addr *from, const uint8_t *bytes, size_t len,
                   int64_t received_us)
{
    struct sample_name is;
    struct addr mapped;
    if (!prober_answer_read(l->seed, bytes, len, &is, &mapped) || is.target >= l->n)
        return;
    const struct place *p = &l->places[is.target];
    if (!place_is_stream(p) && is.attempt == p->attempt && addr_eq(from, &p->is.to))
        ladder_answered(l, is.target, is.sample, &mapped, received_us);
}

void ladder_on_udp_error(struct ladder *l, const struct addr *to, const uint8_t *bytes, size_t len, int error,
                         int64_t now_us)
{
    struct sample_name is;
    if (!prober_request_read(l->seed, bytes, len, &is) || is.target >= l->n)
        return;
    struct place *p = &l->places[is.target];
    if (!place_is_stream(p) && addr_eq(to, &p->is.to))
        bounced(l, p, error, now_us);
}

void ladder_on_connected(struct ladder *l, size_t place, int64_t now_us)
{
    struct place *p = live(l, place);
    if (!p || p->state != PLACE_CONNECTING)
        return;
    p->out.connect_us = ladder_elapsed(p->phase_us, now_us);
    p->phase_us = now_us;
    if (place_is_secure(p))
        p->state = PLACE_SECURING;
    else
        place_ask(p, l->policy.framing_ms * 1000, now_us);
}

void ladder_on_secured(struct ladder *l, size_t place, int64_t now_us)
{
    struct place *p = live(l, place);
    if (!p || p->state != PLACE_SECURING)
        return;
    p->out.tls_us = ladder_elapsed(p->phase_us, now_us);
    if (p->out.framing == FRAMING_WEBSOCKET)
        p->state = PLACE_UPGRADING;
    else
        place_ask(p, l->policy.framing_ms * 1000, now_us);
}

void ladder_on_upgraded(struct ladder *l, size_t place, int64_t now_us)
{
    struct place *p = live(l, place);
    if (p && p->state == PLACE_UPGRADING)
        place_ask(p, l->policy.framing_ms * 1000, now_us);
}

/* Takes whole messages off the front of the buffer; those after the answer are nobody's yet. False: these bytes are no STUN. */
static bool read_messages(struct ladder *l, size_t place, int64_t now_us)
{
    struct place *p = &l->places[place];
    size_t at = 0;
    enum frame_mode mode = FRAME_RFC4571; /* answers come framed as the requests were */
    while (at < p->len) {
        struct slice message;
        struct sample_name is;
        struct addr mapped;
        ssize_t used = frame_next(&mode, p->buf + at, p->len - at, &message);
        if (used < 0)
            return false;
        if (used == 0)
            break;
        at += (size_t)used;
        if (prober_answer_read(l->seed, message.p, message.len, &is, &mapped) && is.target == place &&
            is.attempt == p->attempt)
            ladder_answered(l, place, is.sample, &mapped, now_us);
    }
    memmove(p->buf, p->buf + at, p->len - at);
    p->len -= at;
    return true;
}

void ladder_on_stream(struct ladder *l, size_t place, const uint8_t *bytes, size_t len, int64_t now_us)
{
    struct place *p;
    while (len > 0 && (p = live(l, place)) && p->state >= PLACE_ASKING) {
        size_t room = sizeof p->buf - p->len;
        size_t n = len < room ? len : room;
        memcpy(p->buf + p->len, bytes, n);
        p->len += n;
        bytes += n;
        len -= n;
        if (n == 0 || !read_messages(l, place, now_us))
            ladder_failed(l, p, PROBE_REFUSED, "the peer does not speak STUN", now_us);
    }
}

size_t ladder_rest(const struct ladder *l, size_t place, const uint8_t **bytes)
{
    *bytes = l->places[place].buf;
    return l->places[place].len;
}

void ladder_on_stream_error(struct ladder *l, size_t place, int error, int64_t now_us)
{
    struct place *p = live(l, place);
    if (p)
        ladder_failed(l, p, status_of(error), prober_error_text(error, true), now_us);
}

void ladder_on_tls_error(struct ladder *l, size_t place, const char *text, int64_t now_us)
{
    struct place *p = live(l, place);
    if (p)
        ladder_failed(l, p, PROBE_TLS_ERROR, text, now_us);
}

void ladder_on_proxy_error(struct ladder *l, size_t place, bool refused, const char *text, int64_t now_us)
{
    struct place *p = live(l, place);
    if (!p)
        return;
    if (refused && !p->by_name && p->is.tls_name[0] != '\0') {
        p->by_name = true;
        place_again(p);
        return;
    }
    ladder_failed(l, p, PROBE_PROXY_ERROR, text, now_us);
}

void ladder_on_upgrade_error(struct ladder *l, size_t place, const char *text, int64_t now_us)
{
    struct place *p = live(l, place);
    if (p)
        ladder_failed(l, p, PROBE_REFUSED, text, now_us);
}
