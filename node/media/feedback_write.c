/* RTCP for one leg, a packet at a time. Invariant: what is marked as told is in the packet. */
#include "feedback_internal.h"

#include "media/rtcp.h"

#include <stdio.h>
#include <string.h>

/* Kept free while sources are added: our name, and REMB. */
enum { TAIL_LEN = 20 + 20 + 4 * FEEDBACK_LEAST_OF };

void feedback_begin(struct feedback_writer *w, struct feedback_leg *l, uint8_t *out, int64_t now_us)
{
    *w = (struct feedback_writer){.leg = l,
                                  .w = wire_wr_init(out, FEEDBACK_PACKET_MAX - TAIL_LEN),
                                  .now_us = now_us,
                                  .reports = l->report_us <= now_us};
}

/* RFC 3550 6.1: a compound packet begins with a report, an empty one if need be. */
static bool begun(struct feedback_writer *w)
{
    return wire_wr_len(&w->w) > 0 || rtcp_write_receiver_report(&w->w, w->leg->ssrc, NULL, 0);
}

static bool write_wanted(struct feedback_writer *w, const struct feedback_source *s)
{
    uint16_t wanted[FEEDBACK_ASKED];
    if (s->n_wanted == 0)
        return true;
    size_t n = feedback_wanted(s, wanted);
    return begun(w) && rtcp_write_nack(&w->w, w->leg->ssrc, s->ssrc, wanted, n);
}

static bool write_keyframe(struct feedback_writer *w, const struct feedback_source *s)
{
    if (feedback_keyframe_due(s) > w->now_us)
        return true;
    if (!begun(w))
        return false;
    if (s->wants_intra)
        return rtcp_write_fir(&w->w, w->leg->ssrc, s->ssrc, (uint8_t)(s->intra_number + 1));
    return rtcp_write_pli(&w->w, w->leg->ssrc, s->ssrc);
}

/* Between nodes each source has its own rate; a participant has one for all that it sends. */
static bool write_least(struct feedback_writer *w, struct feedback_source *s)
{
    uint64_t least = w->reports ? feedback_least_of(s, w->now_us) : 0;
    if (least == 0)
        return true;
    if (w->leg->link)
        return begun(w) && rtcp_write_remb(&w->w, w->leg->ssrc, least, &s->ssrc, 1);
    if (w->least == 0 || least < w->least)
        w->least = least;
    if (w->n_least < FEEDBACK_LEAST_OF)
        w->least_of[w->n_least++] = s->ssrc;
    return true;
}

static void told(struct feedback_writer *w, struct feedback_source *s, bool block)
{
    if (block) {
        s->expected_before = s->highest - s->first + 1;
        s->received_before = s->received;
    }
    if (s->n_wanted > 0)
        feedback_asked_for(s, w->now_us);
    if (feedback_keyframe_due(s) <= w->now_us) {
        s->intra_number = (uint8_t)(s->intra_number + s->wants_intra);
        s->wants_intra = s->wants_picture = false;
        s->has_keyframe = true;
        s->keyframe_us = w->now_us;
    }
    int64_t next_us = feedback_keyframe_due(s);
    if (next_us < w->leg->asked_next_us)
        w->leg->asked_next_us = next_us;
}

bool feedback_add_in(struct feedback_writer *w, struct feedback_source *s)
{
    struct feedback_writer before = *w;
    bool block = w->reports && s->begun && s->received != s->received_before, room = true;
    if (block) {
        struct rtcp_block b = feedback_source_block(s, w->now_us);
        room = rtcp_write_receiver_report(&w->w, w->leg->ssrc, &b, 1);
    }
    if (!room || !write_wanted(w, s) || !write_keyframe(w, s) || !write_least(w, s)) {
        *w = before;
        return false;
    }
    told(w, s, block);
    return true;
}

/* The sender's clock now, as far as its rate is known; false: what is known has been told before. */
static bool sender_time(const struct feedback_source *s, const struct feedback_to *t, int64_t now_us,
                        struct rtcp_sender *out)
{
    out->ntp = s->report_ntp;
    out->timestamp = s->report_timestamp;
    if (s->clock_hz == 0)
        return !t->report[0].sent || t->report[0].middle != rtcp_ntp_middle(out->ntp);
    uint64_t us = (uint64_t)(now_us - s->report_us);
    out->ntp += (us / 1000000 << 32) + (us % 1000000 << 32) / 1000000;
    out->timestamp += (uint32_t)(us / 1000000 * s->clock_hz + us % 1000000 * s->clock_hz / 1000000);
    return true;
}

bool feedback_add_out(struct feedback_writer *w, struct feedback_source *s, struct feedback_to *t)
{
    struct feedback_writer before = *w;
    struct rtcp_sender sender = {.ssrc = s->ssrc, .packets = t->packets, .octets = t->octets};
    if (!w->reports || !s->has_report || t->packets == t->reported || !sender_time(s, t, w->now_us, &sender))
        return true;
    if (!rtcp_write_sender_report(&w->w, &sender, NULL, 0) ||
        (s->cname[0] != '\0' && !rtcp_write_cname(&w->w, s->ssrc, s->cname))) {
        *w = before;
        return false;
    }
    t->reported = t->packets;
    t->report[1] = t->report[0];
    t->report[0].middle = rtcp_ntp_middle(sender.ntp);
    t->report[0].us = w->now_us;
    t->report[0].sent = true;
    return true;
}

size_t feedback_end(struct feedback_writer *w, bool more)
{
    struct feedback_leg *l = w->leg;
    char name[16];
    w->w.end += TAIL_LEN;
    bool wide = l->wide && l->wide->due_us <= w->now_us;
    if ((w->least > 0 || wide) && !begun(w))
        w->least = 0; /* it always has room */
    if (wire_wr_len(&w->w) > 0) {
        snprintf(name, sizeof name, "%08x", (unsigned)l->ssrc);
        (void)rtcp_write_cname(&w->w, l->ssrc, name);
    }
    if (w->least > 0)
        (void)rtcp_write_remb(&w->w, l->ssrc, w->least, w->least_of, w->n_least);
    feedback_wide_write(l, &w->w, w->now_us);
    if (!more) {
        l->asked_us = l->asked_next_us;
        l->asked_next_us = INT64_MAX;
        if (w->reports)
            l->report_us = w->now_us + FEEDBACK_REPORT_US;
    }
    feedback_reschedule(l);
    return wire_wr_len(&w->w);
}
