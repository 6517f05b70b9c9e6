/* RTCP that has come from a leg. Invariant: nothing of a packet counts before all of it is known to be whole, and a
 * leg speaks for its own sources, and about those that it is sent, alone. */
#include "feedback_internal.h"

#include "media/rtcp.h"

#include <errno.h>
#include <string.h>

struct reading {
    struct feedback_leg *leg;
    const struct feedback_ops *ops;
    void *ctx;
    int64_t now_us;
    size_t missing; /* that the packet may still ask for */
};

/* RFC 3550 6.4.1: when did what it answers go out, less the time that the receiver held it. */
static void read_round_trip(struct feedback_leg *l, const struct feedback_to *t, const struct rtcp_block *b,
                            int64_t now_us)
{
    for (size_t i = 0; i < 2; i++) {
        if (!t->report[i].sent || t->report[i].middle != b->last_report)
            continue;
        int64_t held_us = (int64_t)((uint64_t)b->delay * 1000000 >> 16),
                rtt_us = now_us - t->report[i].us - held_us;
        l->rtt_us = rtt_us > 0 ? rtt_us : 0;
        return;
    }
}

static void read_blocks(struct reading *in, const struct rtcp *r)
{
    for (size_t i = 0; i < r->count; i++) {
        struct rtcp_block b = rtcp_block_at(r, i);
        struct feedback_to *t = NULL;
        if (!in->ops->to_leg(in->ctx, b.ssrc, &t))
            continue;
        if (b.lost > t->lost)
            in->leg->lost_out += (uint64_t)(b.lost - t->lost);
        t->lost = b.lost;
        t->fraction_lost = b.fraction_lost;
        t->jitter = b.jitter;
        if (b.last_report != 0)
            read_round_trip(in->leg, t, &b, in->now_us);
    }
}

static void read_names(struct reading *in, const struct rtcp *r)
{
    for (size_t i = 0; i < r->count; i++) {
        uint32_t ssrc;
        struct slice cname = rtcp_cname_at(r, i, &ssrc);
        struct feedback_source *s = cname.len > 0 ? in->ops->from_leg(in->ctx, ssrc) : NULL;
        if (!s || cname.len > FEEDBACK_CNAME_MAX || memchr(cname.p, '\0', cname.len))
            continue;
        memcpy(s->cname, cname.p, cname.len);
        s->cname[cname.len] = '\0';
    }
}

static void read_missing(struct reading *in, const struct rtcp *r)
{
    struct feedback_to *t = NULL;
    struct feedback_source *s = in->ops->to_leg(in->ctx, r->media, &t);
    for (size_t i = 0; s && i < r->count; i++) {
        uint16_t sequence, more;
        rtcp_nack_at(r, i, &sequence, &more);
        for (uint32_t bits = (uint32_t)more << 1 | 1; bits != 0; bits >>= 1, sequence++) {
            if (!(bits & 1))
                continue;
            if (in->missing == 0)
                return;
            in->missing--;
            in->ops->missing(in->ctx, s, t, sequence);
        }
    }
}

static void read_intra(struct reading *in, const struct rtcp *r)
{
    for (size_t i = 0; i < r->count; i++) {
        uint32_t ssrc;
        uint8_t number;
        struct feedback_to *t = NULL;
        rtcp_fir_at(r, i, &ssrc, &number);
        struct feedback_source *s = in->ops->to_leg(in->ctx, ssrc, &t);
        if (!s || (t->has_intra && t->intra_number == number))
            continue; /* RFC 5104 4.3.1.1: the same number is the same request */
        t->has_intra = true;
        t->intra_number = number;
        feedback_want_intra(s, in->now_us);
    }
}

static void read_bye(struct reading *in, const struct rtcp *r)
{
    for (size_t i = 0; i < r->count; i++) {
        struct feedback_source *s = in->ops->from_leg(in->ctx, rtcp_ssrc_at(r, i));
        if (s)
            in->ops->left(in->ctx, s);
    }
}

static void read_packet(struct reading *in, const struct rtcp *r)
{
    struct feedback_to *t = NULL;
    struct feedback_source *s;
    switch (r->kind) {
    case RTCP_SENDER_REPORT:
        s = in->ops->from_leg(in->ctx, r->sender);
        if (s)
            feedback_source_report(s, r, in->now_us);
        read_blocks(in, r);
        break;
    case RTCP_RECEIVER_REPORT:
        read_blocks(in, r);
        break;
    case RTCP_SDES:
        read_names(in, r);
        break;
    case RTCP_NACK:
        read_missing(in, r);
        break;
    case RTCP_PLI:
        s = in->ops->to_leg(in->ctx, r->media, &t);
        if (s)
            feedback_want_keyframe(s, in->now_us);
        break;
    case RTCP_FIR:
        read_intra(in, r);
        break;
    case RTCP_REMB:
        for (size_t i = 0; i < r->count; i++) {
            s = in->ops->to_leg(in->ctx, rtcp_ssrc_at(r, i), &t);
            if (s)
                feedback_least(s, r->bitrate, in->now_us);
        }
        break;
    case RTCP_BYE: /* a session ends by the consent check */
        read_bye(in, r);
        break;
    case RTCP_WIDE: /* what the node sends on it doesn't choose the rate of */
    case RTCP_OTHER:
        break;
    }
}

int feedback_rtcp_in(struct feedback_leg *l, const uint8_t *packet, size_t len,
                     const struct feedback_ops *ops, void *ctx, int64_t now_us)
{
    struct reading in = {.leg = l, .ops = ops, .ctx = ctx, .now_us = now_us, .missing = FEEDBACK_MISSING_MAX};
    struct wire_rd rd = wire_rd_init(packet, len);
    struct rtcp r;
    if (!rtcp_whole(packet, len))
        return -EBADMSG;
    while (rtcp_next(&rd, &r) > 0)
        read_packet(&in, &r);
    return 0;
}
