/* What the shell hands in: datagrams, streams' bytes and ends. Invariant: a message counts only for the sample that
 * its transaction id names, and only from where that sample was sent to. */
#include "probe/prober_internal.h"
#include "probe/prober_message.h"

#include <string.h>

static bool sample_exists(const struct prober *p, const struct sample_name *s)
{
    return s->target < p->n_targets && s->attempt < target_attempts(&p->targets[s->target].spec) &&
           s->sample < (size_t)p->policy.samples;
}

/* One whole message from `from` (NULL: on the target's own stream). */
static void on_message(struct prober *p, size_t stream_target, const struct addr *from, const uint8_t *bytes,
                       size_t len, int64_t received_us)
{
    struct sample_name is;
    struct addr mapped;
    if (!prober_answer_read(p->seed, bytes, len, &is, &mapped) || !sample_exists(p, &is))
        return;
    struct target *t = &p->targets[is.target];
    if (from ? target_is_stream(t) || !addr_eq(from, &t->spec.addrs[target_address(t, is.attempt)])
             : is.target != stream_target || is.attempt != target_open_attempt(t))
        return;
    target_answered(t, is.attempt, is.sample, &mapped, received_us);
    prober_after_event(p, is.target);
}

void prober_on_udp(struct prober *p, const struct addr *from, const uint8_t *bytes, size_t len,
                   int64_t received_us)
{
    on_message(p, 0, from, bytes, len, received_us);
}

void prober_on_udp_error(struct prober *p, const struct addr *to, const uint8_t *bytes, size_t len, int error,
                         int64_t now_us)
{
    struct sample_name is;
    if (!prober_request_read(p->seed, bytes, len, &is) || !sample_exists(p, &is))
        return;
    struct target *t = &p->targets[is.target];
    if (target_is_stream(t) || !addr_eq(to, &t->spec.addrs[target_address(t, is.attempt)]))
        return;
    target_bounced(t, is.attempt, is.sample, error, now_us);
    prober_after_event(p, is.target);
}

static struct stream *stream_find(struct prober *p, size_t stream)
{
    if (stream >= p->n_streams || p->streams[stream].state != STREAM_OPEN)
        return NULL; /* closed by us, and the shell was not told yet */
    return &p->streams[stream];
}

void prober_on_connected(struct prober *p, size_t stream, int64_t now_us)
{
    struct stream *s = stream_find(p, stream);
    if (s)
        target_connected(&p->targets[s->target], now_us);
}

void prober_on_secured(struct prober *p, size_t stream, int64_t now_us)
{
    struct stream *s = stream_find(p, stream);
    if (s)
        target_secured(&p->targets[s->target], now_us);
}

void prober_on_upgraded(struct prober *p, size_t stream, int64_t now_us)
{
    struct stream *s = stream_find(p, stream);
    if (s)
        target_upgraded(&p->targets[s->target], now_us);
}

/* The attempt that has the stream, or NULL. */
static struct attempt *stream_attempt(struct prober *p, size_t stream)
{
    const struct stream *s = stream_find(p, stream);
    if (!s)
        return NULL;
    struct target *t = &p->targets[s->target];
    size_t i = target_open_attempt(t);
    return i < target_attempts(&t->spec) ? &t->attempts[i] : NULL;
}

void prober_note_auth(struct prober *p, size_t stream, const char *auth)
{
    struct attempt *a = stream_attempt(p, stream);
    if (a)
        a->proxy_auth = auth;
}

void prober_note_intercepted(struct prober *p, size_t stream)
{
    struct attempt *a = stream_attempt(p, stream);
    if (a)
        a->tls_intercepted = true;
}

void prober_note_issuer(struct prober *p, size_t stream, const char *issuer)
{
    const struct stream *s = stream_find(p, stream);
    if (!s)
        return;
    struct target *t = &p->targets[s->target];
    snprintf(t->issuer, sizeof t->issuer, "%s", issuer);
}

const char *prober_issuer(const struct prober *p, size_t target)
{
    return p->targets[target].issuer;
}

/* Takes whole messages off the front of the stream's buffer. False: these bytes are no STUN. */
static bool read_messages(struct prober *p, struct stream *s, int64_t now_us)
{
    size_t target = s->target, at = 0;
    enum frame_mode mode = FRAME_STUN; /* answers come framed as the requests were */
    while (at < s->len && s->state == STREAM_OPEN) {
        struct slice message;
        ssize_t used = frame_next(&mode, s->buf + at, s->len - at, &message);
        if (used < 0)
            return false;
        if (used == 0)
            break;
        at += (size_t)used;
        on_message(p, target, NULL, message.p, message.len, now_us);
    }
    memmove(s->buf, s->buf + at, s->len - at);
    s->len -= at;
    return true;
}

void prober_on_stream(struct prober *p, size_t stream, const uint8_t *bytes, size_t len, int64_t now_us)
{
    struct stream *s = stream_find(p, stream);
    size_t target = s ? s->target : 0;
    while (s && s->state == STREAM_OPEN && len > 0) {
        size_t room = sizeof s->buf - s->len;
        size_t n = len < room ? len : room;
        memcpy(s->buf + s->len, bytes, n);
        s->len += n;
        bytes += n;
        len -= n;
        if (n == 0 || !read_messages(p, s, now_us)) {
            target_stream_failed(&p->targets[target], PROBE_REFUSED, "the peer does not speak STUN", now_us);
            prober_after_event(p, target);
            return;
        }
    }
}

void prober_on_stream_error(struct prober *p, size_t stream, int error, int64_t now_us)
{
    struct stream *s = stream_find(p, stream);
    if (!s)
        return;
    size_t target = s->target;
    target_stream_error(&p->targets[target], error, now_us);
    prober_after_event(p, target);
}

static void fail_stream(struct prober *p, size_t stream, enum probe_status why, const char *text,
                        int64_t now_us)
{
    struct stream *s = stream_find(p, stream);
    if (!s)
        return;
    size_t target = s->target;
    target_stream_failed(&p->targets[target], why, text, now_us);
    prober_after_event(p, target);
}

void prober_on_tls_error(struct prober *p, size_t stream, const char *text, int64_t now_us)
{
    fail_stream(p, stream, PROBE_TLS_ERROR, text, now_us);
}

void prober_on_websocket_error(struct prober *p, size_t stream, const char *text, int64_t now_us)
{
    fail_stream(p, stream, PROBE_REFUSED, text, now_us);
}

void prober_on_proxy_error(struct prober *p, size_t stream, bool refused, const char *text, int64_t now_us)
{
    struct attempt *a = stream_attempt(p, stream);
    if (a)
        a->refused_by_proxy = refused;
    fail_stream(p, stream, PROBE_PROXY_ERROR, text, now_us);
}
