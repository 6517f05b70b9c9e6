/* RTCP: RFC 3550 6 (SR, RR, SDES, BYE), RFC 4585 (generic NACK, PLI), RFC 5104 (FIR), draft-alvestrand-rmcat-remb-03
 * (REMB), and transport-wide feedback as draft-holmer-rmcat-transport-wide-cc-extensions-01. Pure. Reading is in two
 * steps: rtcp_next checks every length of a packet once, and what reads its parts can't fail. Writing leaves nothing
 * behind where there is no room. */
#ifndef BERTH_MEDIA_RTCP_H
#define BERTH_MEDIA_RTCP_H

#include "core/wire.h"

enum {
    RTCP_HEADER_LEN = 4,
    RTCP_BLOCKS_MAX = 31, /* of one report; SSRCs of one BYE */
    RTCP_CNAME_MAX = 255,
    RTCP_FIR_LEN = 8, /* of one entry */
    RTCP_REMB_SSRCS_MAX = 255,
    RTCP_WIDE_MAX = 0xFFFF,         /* numbers that one transport-wide feedback covers */
    RTCP_WIDE_TICK_US = 250,        /* what arrivals are told in */
    RTCP_WIDE_EPOCH_US = 64 * 1000, /* what its reference counts */
};

enum rtcp_kind {
    RTCP_OTHER, /* nothing that is read here */
    RTCP_SENDER_REPORT,
    RTCP_RECEIVER_REPORT,
    RTCP_SDES,
    RTCP_BYE,
    RTCP_NACK,
    RTCP_PLI,
    RTCP_FIR,
    RTCP_REMB,
    RTCP_WIDE,
};

/* One packet of a compound one; a view into it. */
struct rtcp {
    enum rtcp_kind kind;
    uint32_t sender; /* SSRC of who sends it; SDES and BYE: 0 */
    uint32_t media;  /* NACK, PLI, WIDE: whose media it is about */
    size_t
        count; /* report blocks, SDES chunks, SSRCs of BYE and REMB, NACK's and FIR's entries, WIDE's numbers */
    /* SR */
    uint64_t ntp;
    uint32_t timestamp, packets, octets;
    /* REMB */
    uint64_t bitrate;
    /* WIDE */
    uint16_t base;     /* the first number */
    int32_t reference; /* in RTCP_WIDE_EPOCH_US */
    uint8_t feedback;
    struct slice body, deltas; /* what the functions below read */
};

/* Goes through a compound packet. 1: *out is the next; 0: the end; -EBADMSG: a length is wrong, or a version, or
 * there is padding before the end. */
int rtcp_next(struct wire_rd *rd, struct rtcp *out) __attribute__((warn_unused_result));
/* Is every packet of it whole? */
bool rtcp_whole(const uint8_t *p, size_t len);

struct rtcp_block {
    uint32_t ssrc;
    uint8_t fraction_lost;
    int32_t lost;                                 /* 24 bits, signed */
    uint32_t highest, jitter, last_report, delay; /* delay: in 1/65536 s */
};
/* i < count. */
struct rtcp_block rtcp_block_at(const struct rtcp *r, size_t i);
/* SSRCs that a BYE or a REMB names; i < count. */
uint32_t rtcp_ssrc_at(const struct rtcp *r, size_t i);
/* An entry of a NACK, i < count: `sequence`, and one more behind it for every bit of `more`, the lowest first. */
void rtcp_nack_at(const struct rtcp *r, size_t i, uint16_t *sequence, uint16_t *more);
void rtcp_fir_at(const struct rtcp *r, size_t i, uint32_t *ssrc, uint8_t *number);
/* The CNAME of an SDES' chunk, i < count; {NULL, 0}: it has none. */
struct slice rtcp_cname_at(const struct rtcp *r, size_t i, uint32_t *ssrc);

/* Goes through transport-wide feedback, number by number. */
struct rtcp_wide_iter {
    struct wire_rd chunks, deltas;
    uint16_t chunk, sequence;
    unsigned left_in_chunk;
    size_t left;
    int64_t at_us;
};
struct rtcp_wide_iter rtcp_wide_iter(const struct rtcp *r);
/* `at_us` where `received`: by the receiver's clock, modulo 2^24 times RTCP_WIDE_EPOCH_US. */
bool rtcp_wide_next(struct rtcp_wide_iter *it, uint16_t *sequence, bool *received, int64_t *at_us);

/* ---- writing: false, and nothing is written, where there is no room ---- */

struct rtcp_sender {
    uint32_t ssrc;
    uint64_t ntp;
    uint32_t timestamp, packets, octets;
};
bool rtcp_write_sender_report(struct wire_wr *w, const struct rtcp_sender *s, const struct rtcp_block *blocks,
                              size_t n);
bool rtcp_write_receiver_report(struct wire_wr *w, uint32_t ssrc, const struct rtcp_block *blocks, size_t n);
bool rtcp_write_cname(struct wire_wr *w, uint32_t ssrc, const char *cname);
bool rtcp_write_bye(struct wire_wr *w, const uint32_t *ssrcs, size_t n);
/* `sequences` in their order, not one twice. */
bool rtcp_write_nack(struct wire_wr *w, uint32_t sender, uint32_t media, const uint16_t *sequences, size_t n);
bool rtcp_write_pli(struct wire_wr *w, uint32_t sender, uint32_t media);
bool rtcp_write_fir(struct wire_wr *w, uint32_t sender, uint32_t media, uint8_t number);
bool rtcp_write_remb(struct wire_wr *w, uint32_t sender, uint64_t bitrate, const uint32_t *ssrcs, size_t n);
/* `at_us`: for `n` numbers from `base` on when each arrived, INT64_MIN: it didn't. How many of them it covers: fewer
 * than n where two arrivals are too far apart for one feedback; 0: there is no room, or nothing has arrived. */
size_t rtcp_write_wide(struct wire_wr *w, uint32_t sender, uint32_t media, uint8_t feedback, uint16_t base,
                       const int64_t *at_us, size_t n);

/* Bits 16 to 47 of an NTP time, as reports name one another. */
static inline uint32_t rtcp_ntp_middle(uint64_t ntp)
{
    return (uint32_t)(ntp >> 16);
}

#endif
