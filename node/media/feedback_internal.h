/* What the files of RTCP's share. Private to node/media/feedback*.c. */
#ifndef BERTH_NODE_MEDIA_FEEDBACK_INTERNAL_H
#define BERTH_NODE_MEDIA_FEEDBACK_INTERNAL_H

#include "feedback.h"

struct feedback_kept {
    uint8_t *bytes; /* NULL: none */
    uint64_t number;
    int64_t us;
    uint16_t len;
};

/* Memory for packets in pieces of two sizes. It is taken from the system a block at a time, and given back with the
 * block's last packet: so what one size doesn't use the other has. */
struct feedback_pool {
    struct feedback_block *open[2]; /* with free pieces: of large ones, of small ones */
    size_t bytes, bytes_max;
};

struct feedback {
    struct feedback_pool pool;
    struct feedback_leg **heap; /* by what is due first */
    size_t n, room;
};

/* Arrivals by transport-wide numbers. */
struct feedback_wide {
    bool begun;
    uint16_t base; /* the first that hasn't been told of */
    uint8_t feedback;
    uint32_t media; /* SSRC of the newest packet */
    size_t n;       /* numbers from the base to the newest */
    int64_t at_us[FEEDBACK_WIDE_MAX];
    int64_t due_us, told_us; /* INT64_MAX: nothing has come; when the last went out */
};

/* The leg's times have changed: it is due at the earliest of them. */
void feedback_reschedule(struct feedback_leg *l);

/* ---- feedback_wide.c ---- */
int feedback_wide_new(struct feedback_wide **out) __attribute__((warn_unused_result));
void feedback_wide_in(struct feedback_leg *l, const struct rtp *r, const uint8_t *packet,
                      int64_t received_us);
/* Writes what is due, as far as there is room. */
void feedback_wide_write(struct feedback_leg *l, struct wire_wr *w, int64_t now_us);

/* ---- feedback_source.c ---- */
struct rtcp;
struct rtcp_block;
void feedback_source_report(struct feedback_source *s, const struct rtcp *r, int64_t now_us);
struct rtcp_block feedback_source_block(const struct feedback_source *s, int64_t now_us);

/* ---- feedback_asked.c ---- */
void feedback_want_intra(struct feedback_source *s, int64_t now_us);
void feedback_least(struct feedback_source *s, uint64_t bitrate, int64_t now_us);
/* The least of the receivers' in the last second or two; 0: none. */
uint64_t feedback_least_of(struct feedback_source *s, int64_t now_us);
/* When the sender is to be asked for a key frame; INT64_MAX: it isn't. */
int64_t feedback_keyframe_due(const struct feedback_source *s);
/* The numbers that are wanted now, in their order. */
size_t feedback_wanted(const struct feedback_source *s, uint16_t out[static FEEDBACK_ASKED]);
/* They have been asked for. */
void feedback_asked_for(struct feedback_source *s, int64_t now_us);

#endif
