/* The engine's side of RTCP: what comes is taken apart for the sources and legs that it is about, and what is due is
 * written and sent. Invariant: a leg speaks about sources that it sends, or has been sent, and nobody else's RTCP
 * ever reaches it. */
#include "engine.h"

#include <string.h>

/* One packet of RTCP that has come. */
struct coming {
    struct leg *leg;
    int64_t now_us;
};

static struct source *source_of(struct feedback_source *f)
{
    return (struct source *)(void *)((uint8_t *)f - offsetof(struct source, feedback));
}

static struct source_to *to_of(struct feedback_to *f)
{
    return (struct source_to *)(void *)((uint8_t *)f - offsetof(struct source_to, feedback));
}

static bool is_sent(const struct source *s, const struct leg *l)
{
    return s->leg != l && s->to && s->to[l->slot].map.begun;
}

static struct feedback_source *from_leg(void *ctx, uint32_t ssrc)
{
    const struct coming *c = ctx;
    struct source *s = source_find(c->leg->meeting, c->leg, ssrc);
    return s && s->leg == c->leg ? &s->feedback : NULL;
}

static struct feedback_source *to_leg(void *ctx, uint32_t ssrc, struct feedback_to **to)
{
    const struct coming *c = ctx;
    struct source *s = source_find(c->leg->meeting, c->leg, ssrc);
    if (!s || !is_sent(s, c->leg))
        return NULL;
    *to = &s->to[c->leg->slot].feedback;
    return &s->feedback;
}

static void missing(void *ctx, struct feedback_source *f, struct feedback_to *to, uint16_t number)
{
    const struct coming *c = ctx;
    struct source *s = source_of(f);
    uint64_t sent;
    uint16_t in;
    size_t len;
    struct rtp r;
    if (!seqmap_to_back(&to_of(to)->map, number, &sent) || s->map.out_max - sent >= FEEDBACK_KEPT)
        return; /* it is too old: else receivers could have a sender repeat all that it has ever sent */
    const uint8_t *kept = feedback_kept(f, sent, &len);
    if (!kept) {
        if (seqmap_missing(&s->map, sent, &in)) /* of what has come a copy would count for nothing */
            feedback_want(f, in, c->now_us);
    } else if (rtp_parse(&r, kept, len) == 0 && leg_listens(c->leg, c->now_us) &&
               feedback_may_resend(&c->leg->feedback, len, c->now_us)) {
        forward_to(c->leg, s, sent, &r, kept, len, c->now_us);
    }
}

/* It makes room for another of its sender's at once. */
static void left(void *ctx, struct feedback_source *f)
{
    const struct coming *c = ctx;
    if (c->leg->kind != TICKET_LINK)
        source_release(source_of(f));
}

/* What comes from a participant under an SSRC that was given up counts for nothing, nor does what comes under one too many. */
static bool unprotect(struct leg *from, uint8_t *bytes, size_t *len)
{
    struct wire_rd rd = wire_rd_init(bytes, *len);
    wire_rd_bytes(&rd, 4);
    const uint32_t ssrc = wire_rd_u32(&rd);
    if (from->kind == TICKET_LINK)
        return srtp_leg_unprotect_rtcp(from->srtp, bytes, len) == 0;
    if (source_is_spent(from->meeting, ssrc) && !source_find(from->meeting, from, ssrc))
        return false;
    if (srtp_leg_unprotect_rtcp(from->srtp, bytes, len) < 0)
        return false;
    bool bound = source_bound(from, NULL);
    if (!bound)
        source_refused(from, ssrc);
    return bound;
}

void reports_in(struct leg *from, uint8_t *bytes, size_t len, int64_t now_us)
{
    static const struct feedback_ops ops = {from_leg, to_leg, missing, left};
    struct coming c = {from, now_us};
    size_t wire_len = len;
    if (!unprotect(from, bytes, &len)) {
        from->stats.refused++;
        return;
    }
    from->confirmed = true;
    if (!leg_may_send(from, wire_len, now_us))
        return;
    if (feedback_rtcp_in(&from->feedback, bytes, len, &ops, &c, now_us) < 0)
        from->stats.refused++;
    else if (from->kind == TICKET_LINK)
        link_told(from, bytes, len, now_us);
}

void reports_send(struct leg *l, const uint8_t *bytes, size_t len, int64_t now_us)
{
    const struct media_sink *sink = &l->meeting->home->opts.sink;
    uint8_t *room = len > 0 && leg_listens(l, now_us) ? sink->room(sink->ctx, &l->path, MEDIA_CONTROL) : NULL;
    if (!room)
        return;
    memcpy(room, bytes, len);
    if (srtp_leg_protect_rtcp(l->srtp, room, &len) < 0)
        len = 0;
    sink->commit(sink->ctx, &l->path, MEDIA_CONTROL, len);
}

static bool add(struct feedback_writer *w, struct leg *l, struct source *s)
{
    if (s->leg == l)
        return feedback_add_in(w, &s->feedback);
    return !is_sent(s, l) || feedback_add_out(w, &s->feedback, &s->to[l->slot].feedback);
}

static void write_to(struct leg *l, int64_t now_us)
{
    const struct meeting *m = l->meeting;
    uint8_t bytes[FEEDBACK_PACKET_MAX];
    struct feedback_writer w;
    feedback_begin(&w, &l->feedback, bytes, now_us);
    bool own =
        !w.reports && l->kind == TICKET_PARTICIPANT; /* between reports there is nothing to say of others */
    struct source *const *list = own ? l->sources : m->source_list;
    for (size_t i = 0, n = own ? l->n_sources : m->n_sources; i < n; i++) {
        if (add(&w, l, list[i]))
            continue;
        reports_send(l, bytes, feedback_end(&w, true), now_us);
        feedback_begin(&w, &l->feedback, bytes, now_us);
        (void)!add(&w, l, list[i]);
    }
    reports_send(l, bytes, feedback_end(&w, false), now_us);
}

void reports_step(struct media_home *h, int64_t now_us)
{
    struct feedback_leg *due;
    while ((due = feedback_next(h->feedback, now_us)))
        write_to(due->user, now_us);
}
