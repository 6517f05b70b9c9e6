/* One sender and two receivers around a node's RTCP, whose packets are read with the codec. */
#ifndef BERTH_TESTS_FEEDBACK_WORLD_H
#define BERTH_TESTS_FEEDBACK_WORLD_H

#include "check.h"

#include "media/rtcp.h"
#include "node/media/feedback.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SSRC = 0x11223344, RECEIVERS = 2, PACKET = 172, MS = 1000, WIDE_EXT = 3, TICKS_20MS = 960 };

struct world {
    struct feedback *f;
    struct feedback_leg sender, receiver[RECEIVERS];
    struct feedback_source source;
    struct feedback_to to[RECEIVERS];
    int64_t now_us;
    uint16_t missing[FEEDBACK_MISSING_MAX + 8];
    size_t n_missing;
    size_t speaks; /* the receiver whose RTCP is read; RECEIVERS: the sender */
};

static inline void world_open(struct world *w)
{
    *w = (struct world){.now_us = 1000 * 1000 * 1000};
    assert_int_equal(feedback_new(&w->f, 0), 0);
    assert_int_equal(feedback_leg_begin(w->f, &w->sender, NULL, 100, WIDE_EXT, false, w->now_us), 0);
    for (size_t i = 0; i < RECEIVERS; i++)
        assert_int_equal(
            feedback_leg_begin(w->f, &w->receiver[i], NULL, (uint32_t)(200 + i), 0, false, w->now_us), 0);
    feedback_source_begin(w->f, &w->source, SSRC);
    feedback_source_from(&w->source, &w->sender);
}

static inline void world_close(struct world *w)
{
    feedback_source_end(&w->source);
    feedback_leg_end(&w->sender);
    for (size_t i = 0; i < RECEIVERS; i++)
        feedback_leg_end(&w->receiver[i]);
    assert_true(feedback_deadline(w->f) == INT64_MAX);
    feedback_destroy(w->f);
}

/* ---- what the engine gives ---- */

static inline struct feedback_source *from_leg(void *ctx, uint32_t ssrc)
{
    struct world *w = ctx;
    return w->speaks == RECEIVERS && ssrc == SSRC ? &w->source : NULL;
}

static inline struct feedback_source *to_leg(void *ctx, uint32_t ssrc, struct feedback_to **to)
{
    struct world *w = ctx;
    if (w->speaks == RECEIVERS || ssrc != SSRC)
        return NULL;
    *to = &w->to[w->speaks];
    return &w->source;
}

static inline void missing(void *ctx, struct feedback_source *s, struct feedback_to *to, uint16_t number)
{
    struct world *w = ctx;
    assert_ptr_equal(s, &w->source);
    assert_ptr_equal(to, &w->to[w->speaks]);
    assert_true(w->n_missing < FEEDBACK_MISSING_MAX);
    w->missing[w->n_missing++] = number;
}

static inline void left(void *ctx, struct feedback_source *s)
{
    struct world *w = ctx;
    assert_ptr_equal(s, &w->source);
    assert_int_equal(w->speaks, RECEIVERS);
}

static const struct feedback_ops ops = {from_leg, to_leg, missing, left};

static inline int hear(struct world *w, size_t who, const uint8_t *p, size_t len)
{
    w->speaks = who;
    return feedback_rtcp_in(who == RECEIVERS ? &w->sender : &w->receiver[who], p, len, &ops, w, w->now_us);
}

static inline void hear_written(struct world *w, size_t who, const struct wire_wr *wr)
{
    assert_int_equal(hear(w, who, wr->start, wire_wr_len(wr)), 0);
}

/* ---- what goes on ---- */

static inline void comes(struct world *w, uint16_t sequence, uint32_t timestamp)
{
    uint8_t packet[RTP_HEADER_LEN];
    const struct rtp r = {.sequence = sequence, .timestamp = timestamp, .ssrc = SSRC, .payload_len = 160};
    rtp_write(packet, &r);
    feedback_rtp_in(&w->source, &r, packet, w->now_us);
    for (size_t i = 0; i < RECEIVERS; i++)
        feedback_sent(&w->to[i], &r);
}

/* Audio of 20 ms a packet, `every`th of which is lost (0: none). */
static inline void flows(struct world *w, uint16_t from, size_t n, size_t every)
{
    for (size_t i = 0; i < n; i++, w->now_us += 20 * MS) {
        if (every == 0 || i % every != every / 2)
            comes(w, (uint16_t)(from + i), (uint32_t)(from + i) * TICKS_20MS);
    }
}

static inline struct wire_wr writer(uint8_t *out)
{
    return wire_wr_init(out, 256);
}

/* What is due to that leg now, in one packet. */
static inline size_t written(struct world *w, struct feedback_leg *l, uint8_t *out)
{
    struct feedback_writer fw;
    feedback_begin(&fw, l, out, w->now_us);
    if (l == &w->sender)
        assert_true(feedback_add_in(&fw, &w->source));
    for (size_t i = 0; i < RECEIVERS; i++) {
        if (l == &w->receiver[i])
            assert_true(feedback_add_out(&fw, &w->source, &w->to[i]));
    }
    size_t len = feedback_end(&fw, false);
    if (len > 0) {
        struct wire_rd rd = wire_rd_init(out, len);
        struct rtcp r;
        assert_int_equal(rtcp_next(&rd, &r), 1);
        assert_true(r.kind == RTCP_SENDER_REPORT || r.kind == RTCP_RECEIVER_REPORT);
        assert_true(rtcp_whole(out, len));
    }
    return len;
}

/* The first packet of a kind in what is due; RTCP_OTHER: none. */
static inline struct rtcp due(struct world *w, struct feedback_leg *l, enum rtcp_kind kind)
{
    static uint8_t out[FEEDBACK_PACKET_MAX];
    size_t len = written(w, l, out);
    struct wire_rd rd = wire_rd_init(out, len);
    struct rtcp r;
    while (rtcp_next(&rd, &r) > 0) {
        if (r.kind == kind && (kind != RTCP_RECEIVER_REPORT || r.count > 0))
            return r;
    }
    return (struct rtcp){0};
}

static inline void with_world(void (*test)(struct world *w))
{
    struct world w;
    world_open(&w);
    test(&w);
    world_close(&w);
}

#endif
