/* What is known of the RTP streams that arrive: packets, losses, jitter (RFC 3550). Pure: whole packets and times
 * in, figures out. */
#ifndef BERTH_PATH_RECEPTION_H
#define BERTH_PATH_RECEPTION_H

#include "media/rtp.h"

enum {
    RECEPTION_SOURCES_MAX = 64,   /* the one that was silent longest makes room */
    RECEPTION_DROPOUT_MAX = 3000, /* RFC 3550 A.1: a greater step in the sequence is a new beginning */
    RECEPTION_MISORDER_MAX = 100,
    RECEPTION_CLOCK_US = 1000 * 1000, /* a stream is heard for so long before its clock is told */
};

struct reception_source {
    uint32_t ssrc;
    int64_t heard_us; /* 0: this place is free */
    /* The sequence since its beginning: RFC 3550 A.1, A.3. */
    uint16_t newest;
    int64_t expected, received;
    /* Its clock, which the packets don't name: told from how fast the timestamps go. */
    uint32_t first_timestamp, timestamp;
    int64_t first_us;
    int64_t clock_hz; /* 0: not yet known */
    double jitter_us; /* RFC 3550 6.4.1 */
};

struct reception {
    int64_t packets, bytes;
    int64_t lost_before; /* of sources and sequences that have ended */
    size_t latest;       /* of `at`: whose packet came last */
    struct reception_source at[RECEPTION_SOURCES_MAX];
};

/* One packet, authentic and not a replay, of `len` bytes. */
void reception_heard(struct reception *r, const struct rtp *p, size_t len, int64_t now_us);
int64_t reception_lost(const struct reception *r);      /* gaps in the sequence numbers */
int64_t reception_jitter_us(const struct reception *r); /* of the stream that was heard last; -1: not known */

#endif
