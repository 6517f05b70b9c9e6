/* What comes from one leg goes to the others of its meeting: unprotected once, and for each receiver copied,
 * numbered and protected where it is sent from. Invariant: only what is authentic, within its sender's limit and of
 * its sender's own SSRC is sent on, and never to who sent it. */
#include "engine.h"

#include <errno.h>
#include <string.h>

enum {
    TELL_WITH_PACKETS = 3,                      /* what tells a link whose a source is may be lost */
    PLAIN_MAX = RTP_PACKET_MAX - SRTP_OVERHEAD, /* whatever suite it goes on with, it isn't too long then */
};

/* Gaps are losses until what is missing comes after all. */
static void count_lost(struct leg *l, struct source *s, uint16_t sequence)
{
    int ahead = rtp_sequence_distance(sequence, s->in_max);
    bool first = !s->counting;
    s->counting = true;
    if (first || ahead > 0)
        s->in_max = sequence;
    if (!first && ahead > 0)
        l->stats.lost_in += (uint64_t)(ahead - 1);
    else if (!first && l->stats.lost_in > 0)
        l->stats.lost_in--;
}

static int protect(struct leg *to, uint8_t *bytes, size_t *len, const struct rtp *r, uint64_t index)
{
    rtp_set_sequence(bytes, (uint16_t)index);
    return to->gcm ? srtp_gcm_protect(to->gcm, bytes, len, r->header_len, index)
                   : srtp_leg_protect(to->srtp, bytes, len);
}

void forward_to(struct leg *to, struct source *s, uint64_t number, const struct rtp *r, const uint8_t *bytes,
                size_t len, int64_t now_us)
{
    const struct media_sink *sink = &to->meeting->home->opts.sink;
    enum media_class class = s->is_video ? MEDIA_VIDEO : MEDIA_AUDIO;
    struct source_to *st = &s->to[to->slot];
    uint64_t index;
    if (!seqmap_to_index(&st->map, number, &index))
        return;
    if (to->kind == TICKET_LINK && st->told < TELL_WITH_PACKETS) {
        st->told++;
        link_tell(to, s, now_us);
    }
    uint8_t *room = sink->room(sink->ctx, &to->path, class);
    if (!room) {
        to->stats.left_out++;
        return;
    }
    memcpy(room, bytes, len);
    if (protect(to, room, &len, r, index) < 0) {
        sink->commit(sink->ctx, &to->path, class, 0);
        to->stats.left_out++;
        return;
    }
    sink->commit(sink->ctx, &to->path, class, len);
    seqmap_to_sent(&st->map, number);
    feedback_sent(&st->feedback, r);
    to->stats.packets_out++;
    to->stats.bytes_out += len;
}

static void send_on(struct leg *from, struct source *s, uint64_t number, const struct rtp *r,
                    const uint8_t *bytes, size_t len, int64_t now_us)
{
    const struct meeting *m = from->meeting;
    if (!s->to && source_receivers(s, m->room) < 0)
        return;
    for (size_t i = 0; i < m->n_slots; i++) {
        struct leg *to = m->legs[i];
        if (to && leg_listens(to, now_us) && link_passes(from, to) && link_takes(s, to))
            forward_to(to, s, number, r, bytes, len, now_us);
    }
}

/* 0: it is too short to have one. */
static uint32_t ssrc_of(const uint8_t *bytes, size_t len)
{
    struct wire_rd rd = wire_rd_init(bytes, len);
    wire_rd_bytes(&rd, 8);
    return wire_rd_u32(&rd);
}

/* What is authentic, of its sender's own SSRC and within its limit: its source. The packet is plain then. NULL:
 * nothing of it counts. */
static struct source *let_in(struct leg *from, uint8_t *bytes, size_t *len, struct rtp *r, int64_t now_us)
{
    size_t wire_len = *len;
    if (wire_len < RTP_HEADER_LEN) {
        from->stats.refused++;
        return NULL;
    }
    uint32_t ssrc = ssrc_of(bytes, wire_len);
    struct source *s = source_find(from->meeting, from, ssrc);
    int refused = source_check(s, from, now_us);
    if (srtp_leg_unprotect(from->srtp, bytes, len) < 0) {
        from->stats.refused++;
        return NULL;
    }
    from->confirmed = true;
    if (!leg_may_send(from, wire_len, now_us))
        return NULL;
    if (*len > PLAIN_MAX || rtp_parse(r, bytes, *len) < 0) {
        from->stats.refused++;
        return NULL;
    }
    if (refused == -EBUSY && !source_goes_on(s, from, now_us))
        return NULL;
    s = refused != -EACCES ? source_take(from, s, ssrc, now_us) : NULL;
    if (!s) { /* it is authentic: nobody else makes a sender give up an SSRC */
        from->stats.ssrc_refused++;
        leg_refuse_ssrc(from, ssrc);
        return NULL;
    }
    from->stats.packets_in++;
    from->stats.bytes_in += wire_len;
    return s;
}

void forward_rtp(struct leg *from, uint8_t *bytes, size_t len, int64_t now_us)
{
    struct rtp r;
    uint64_t number;
    bool voice = false;
    struct source *s = let_in(from, bytes, &len, &r, now_us);
    if (!s) {
        source_refused(from, ssrc_of(bytes, len));
        return;
    }
    count_lost(from, s, r.sequence);
    feedback_rtp_in(&s->feedback, &r, bytes, now_us);
    int level = rtp_audio_level(&r, bytes, s->level_ext, &voice);
    s->has_level = s->has_level || level >= 0;
    s->is_video = !s->has_level && (s->is_video || len > SOURCE_VIDEO_BYTES);
    if (!seqmap_take(&s->map, r.sequence, hearing_packet(from, s, level, now_us), &number))
        return;
    feedback_keep(&s->feedback, number, bytes, len, now_us);
    send_on(from, s, number, &r, bytes, len, now_us);
}
