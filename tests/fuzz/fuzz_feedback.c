/* A node's RTCP: whatever a sender and a receiver send, and in whatever order, what goes out is whole, comes to an
 * end, and fits. The input is a list of doings: one byte what, one byte how long its bytes are, the bytes. */
#include "fuzz.h"
#include "media/rtcp.h"
#include "node/media/feedback.h"

enum { SSRC = 1, KEPT_BYTES = 200 * 1000, TURNS_MAX = 64, WIDE_EXT = 1 };
enum doing { RTP, FROM_SENDER, FROM_RECEIVER, TIME, WRITE, OTHER_SENDER, KEEP, TURN, DOINGS };

struct world {
    struct feedback *f;
    struct feedback_leg sender, receiver;
    struct feedback_source source;
    struct feedback_to to;
    bool speaks_receiver;
    int64_t now_us;
    uint64_t number;
    size_t missing;
};

static struct feedback_source *from_leg(void *ctx, uint32_t ssrc)
{
    struct world *w = ctx;
    return w->speaks_receiver || ssrc != SSRC ? NULL : &w->source;
}

static struct feedback_source *to_leg(void *ctx, uint32_t ssrc, struct feedback_to **to)
{
    struct world *w = ctx;
    *to = &w->to;
    return w->speaks_receiver && ssrc == SSRC ? &w->source : NULL;
}

static void missing(void *ctx, struct feedback_source *s, struct feedback_to *to, uint16_t number)
{
    struct world *w = ctx;
    size_t len;
    FUZZ_CHECK(s == &w->source && to == &w->to && ++w->missing <= FEEDBACK_MISSING_MAX);
    if (feedback_kept(s, number, &len))
        (void)feedback_may_resend(&w->receiver, len, w->now_us);
    else
        feedback_want(s, number, w->now_us);
}

static void left(void *ctx, struct feedback_source *s)
{
    struct world *w = ctx;
    FUZZ_CHECK(s == &w->source && !w->speaks_receiver);
}

static void hear(struct world *w, bool receiver, const uint8_t *p, size_t len)
{
    static const struct feedback_ops ops = {from_leg, to_leg, missing, left};
    w->speaks_receiver = receiver;
    w->missing = 0;
    int err = feedback_rtcp_in(receiver ? &w->receiver : &w->sender, p, len, &ops, w, w->now_us);
    FUZZ_CHECK((err == 0) == rtcp_whole(p, len));
}

static void come(struct world *w, const uint8_t *p, size_t len)
{
    struct rtp r;
    if (rtp_parse(&r, p, len) < 0)
        return;
    feedback_rtp_in(&w->source, &r, p, w->now_us);
    feedback_keep(&w->source, w->number++, p, len, w->now_us);
    feedback_sent(&w->to, &r);
    FUZZ_CHECK(feedback_kept(&w->source, w->number - 1, &len) != NULL);
}

static void write_due(struct world *w)
{
    struct feedback_leg *l;
    for (int turns = 0; (l = feedback_next(w->f, w->now_us)); turns++) {
        uint8_t out[FEEDBACK_PACKET_MAX];
        struct feedback_writer fw;
        FUZZ_CHECK(turns < TURNS_MAX);
        feedback_begin(&fw, l, out, w->now_us);
        bool room =
            l == &w->sender ? feedback_add_in(&fw, &w->source) : feedback_add_out(&fw, &w->source, &w->to);
        size_t len = feedback_end(&fw, false);
        FUZZ_CHECK(room && len <= sizeof out && (len == 0 || rtcp_whole(out, len)));
    }
    FUZZ_CHECK(feedback_deadline(w->f) > w->now_us);
}

static void do_one(struct world *w, enum doing what, const uint8_t *p, size_t len)
{
    switch (what) {
    case RTP:
        come(w, p, len);
        break;
    case FROM_SENDER:
    case FROM_RECEIVER:
        hear(w, what == FROM_RECEIVER, p, len);
        break;
    case TIME:
        w->now_us += len > 1 ? (p[0] << 8 | p[1]) * 100 : 1000;
        break;
    case OTHER_SENDER:
        feedback_source_from(&w->source, len % 2 ? NULL : &w->sender);
        break;
    case KEEP:
        w->number += (uint32_t)len;
        break;
    case TURN:
        feedback_source_turn(&w->source, w->now_us);
        feedback_want_keyframe(&w->source, w->now_us);
        break;
    default:
        write_due(w);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w = {.now_us = 1000000};
    struct wire_rd rd = wire_rd_init(data, size);
    FUZZ_CHECK(feedback_new(&w.f, KEPT_BYTES) == 0);
    FUZZ_CHECK(feedback_leg_begin(w.f, &w.sender, NULL, 100, WIDE_EXT, false, w.now_us) == 0);
    FUZZ_CHECK(feedback_leg_begin(w.f, &w.receiver, NULL, 200, 0, true, w.now_us) == 0);
    feedback_source_begin(w.f, &w.source, SSRC);
    feedback_source_from(&w.source, &w.sender);
    while (wire_rd_left(&rd) > 0) {
        enum doing what = wire_rd_u8(&rd) % DOINGS;
        struct slice bytes = wire_rd_bytes(&rd, wire_rd_u8(&rd));
        if (!rd.bad)
            do_one(&w, what, bytes.p, bytes.len);
    }
    w.now_us += FEEDBACK_KEYFRAME_US;
    write_due(&w);
    feedback_source_end(&w.source);
    feedback_leg_end(&w.sender);
    feedback_leg_end(&w.receiver);
    feedback_destroy(w.f);
    return 0;
}
