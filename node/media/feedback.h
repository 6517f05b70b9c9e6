/* RTCP of a node: what it says of what it gets, and of what it sends; what it asks senders for, and answers receivers with: docs/media.md, "What the
 * node does". Pure: times come in, packets go out through the caller, nothing is allocated per packet. One thread's.
 *
 *   feedback         of one home: memory for packets that are kept, and which leg is due next
 *   feedback_leg     of a session: its reports, transport-wide feedback, round trip
 *   feedback_source  of an SSRC of the meeting: how it arrives, its packets, what its sender is to be asked for
 *   feedback_to      of a source and one leg that is sent it
 *
 * What the engine calls, and when:
 *   an authentic packet of a source has come  feedback_rtp_in, then, under the number that all receivers share (seqmap_take), feedback_keep
 *   it has been sent to a leg                 feedback_sent
 *   authentic RTCP has come from a leg        feedback_rtcp_in
 *   feedback_deadline has come                for each leg that feedback_next gives: feedback_begin, feedback_add_in for each source that it
 *                                             sends, feedback_add_out for each that it is sent, feedback_end
 * The structs are the engine's, in its own objects, zeroed before they begin; their members are read by it, and written here alone. */
#ifndef BERTH_NODE_MEDIA_FEEDBACK_H
#define BERTH_NODE_MEDIA_FEEDBACK_H

#include "core/wire.h"
#include "media/rtp.h"

enum {
    FEEDBACK_REPORT_US = 1000 * 1000, /* between reports, and REMB */
    FEEDBACK_FIRST_US = 200 * 1000,   /* a leg's first report */
    FEEDBACK_WIDE_US = 100 * 1000,    /* between transport-wide feedback */
    FEEDBACK_WIDE_MAX = 512,          /* numbers that one feedback covers; it goes out early at half of it */
    FEEDBACK_MERGE_US = 5 * 1000,     /* what is asked for waits this long for more of it */
    FEEDBACK_KEYFRAME_US = 500 * 1000,
    FEEDBACK_ASK_US =
        100 * 1000, /* before one is asked for again, or the sender's round trip if that is longer */
    FEEDBACK_ASK_TIMES = 4,
    FEEDBACK_MISSING_MAX = 256, /* packets that one RTCP packet may ask for */
    FEEDBACK_LEAST_BPS = 32000, /* no receiver makes the others' rate less */
    FEEDBACK_LEAST_OF = 16,     /* SSRCs of one REMB */
    FEEDBACK_CNAME_MAX = 63,
    FEEDBACK_KEPT = 256,                /* packets of a source */
    FEEDBACK_ASKED = FEEDBACK_KEPT,     /* its sender is asked for none that is older */
    FEEDBACK_KEPT_US = 5 * 1000 * 1000, /* and no longer than this */
    FEEDBACK_KEPT_SMALL = 256,          /* bytes: packets up to this take so much, others RTP_PACKET_MAX */
    FEEDBACK_KEPT_BYTES = 64 << 20,     /* of all packets of one home */
    FEEDBACK_RESEND_KBPS = 4000,        /* to one leg, over a second with a burst of another */
    FEEDBACK_PACKET_MAX = 1200,         /* of RTCP, plain */
};

struct feedback;
/* `bytes`: of the packets that are kept, 0: FEEDBACK_KEPT_BYTES. 0, or -ENOMEM. */
int feedback_new(struct feedback **out, size_t bytes) __attribute__((warn_unused_result));
/* After all legs and sources of it have ended. */
void feedback_destroy(struct feedback *f);

struct feedback_wide;
struct feedback_leg {
    struct feedback *home;
    void *user; /* the engine's */
    uint32_t ssrc;
    bool link;
    uint8_t wide_ext;
    struct feedback_wide *wide; /* NULL: the extension isn't in use */
    size_t place;               /* in the home's heap */
    int64_t due_us, report_us;  /* the next of all; of reports */
    int64_t asked_us,
        asked_next_us; /* what its sources are to be asked for, INT64_MAX: nothing; of those just written */
    int64_t resend_until_us;
    int64_t rtt_us;    /* the newest; -1: none yet */
    int64_t jitter_us; /* of the newest packet's source; -1: none yet */
    uint64_t lost_out; /* as its reports say */
    uint64_t given_up; /* packets of it that were asked for in vain */
};

struct feedback_source {
    struct feedback *home;
    struct feedback_leg *sender; /* NULL: nobody */
    uint32_t ssrc;
    char cname[FEEDBACK_CNAME_MAX + 1];

    /* how it arrives: RFC 3550 A.1, A.3, A.8 */
    bool begun;
    uint16_t first;
    uint32_t jumped_to; /* the number that would confirm a jump; above 65535: none */
    uint32_t highest;   /* with cycles */
    uint32_t received, expected_before, received_before;
    uint32_t jitter_16; /* in its clock's units, times 16 */
    uint32_t transit;
    bool has_transit;
    bool has_clock;           /* clock_us and clock_timestamp are */
    uint32_t clock_hz;        /* 0: not known yet */
    uint32_t clock_timestamp; /* what the rate is measured from */
    int64_t clock_us;

    /* its sender's newest report */
    bool has_report;
    uint64_t report_ntp;
    uint32_t report_timestamp;
    int64_t report_us;

    /* what its sender is to be asked for */
    struct feedback_asked {
        uint32_t number; /* with cycles, as `highest` */
        uint32_t ms;     /* when it was asked for last */
        uint8_t times;
        bool wanted;         /* to go out with the next */
        bool given_up;       /* it isn't asked for any more */
    } asked[FEEDBACK_ASKED]; /* by number */
    size_t n_wanted;
    bool wants_picture, wants_intra; /* PLI; FIR */
    uint8_t intra_number;
    bool has_keyframe;
    int64_t keyframe_us;              /* when the last went out */
    uint64_t least_now, least_before; /* bit/s of REMB, this second's and the one's before; 0: none */
    int64_t least_us;

    struct feedback_kept *kept; /* FEEDBACK_KEPT of them, by their number; NULL: none yet */
};

struct feedback_to {
    uint32_t packets, octets;
    uint32_t reported; /* packets at the last report */
    struct {
        bool sent;
        uint32_t middle;   /* of its NTP time */
        int64_t us;        /* when it went out */
    } report[2];           /* the newest first */
    uint8_t fraction_lost; /* as the receiver says, of 256 */
    int32_t lost;
    uint32_t jitter;
    bool has_intra;
    uint8_t intra_number; /* of its newest FIR */
};

/* `ssrc`: what the node calls itself to that leg, at random. `wide_ext` 0: no transport-wide feedback. `link`: the
 * leg is another node. 0, or -ENOMEM. */
int feedback_leg_begin(struct feedback *f, struct feedback_leg *l, void *user, uint32_t ssrc,
                       uint8_t wide_ext, bool link, int64_t now_us) __attribute__((warn_unused_result));
/* Its sources have other senders, or none, before. */
void feedback_leg_end(struct feedback_leg *l);

void feedback_source_begin(struct feedback *f, struct feedback_source *s, uint32_t ssrc);
/* Who sends it from now on, NULL: nobody; a new one begins with other numbers and another clock. */
void feedback_source_from(struct feedback_source *s, struct feedback_leg *sender);
void feedback_source_end(struct feedback_source *s);
/* Once a second or so: packets that are too old are given up. */
void feedback_source_turn(struct feedback_source *s, int64_t now_us);
uint32_t feedback_source_lost(const struct feedback_source *s);

/* `packet` as it came, plain; its source's sender is a leg. */
void feedback_rtp_in(struct feedback_source *s, const struct rtp *r, const uint8_t *packet,
                     int64_t received_us);
/* Keeps a copy under that number, which is its own for good. Where there is no memory for it, it isn't kept. */
void feedback_keep(struct feedback_source *s, uint64_t number, const uint8_t *packet, size_t len,
                   int64_t now_us);
/* NULL: it isn't there. Valid until the next is kept. */
const uint8_t *feedback_kept(const struct feedback_source *s, uint64_t number, size_t *len);
void feedback_sent(struct feedback_to *t, const struct rtp *r);

/* What feedback_rtcp_in asks, and tells. */
struct feedback_ops {
    /* A source that this leg sends, or is sent (and what is known of that); NULL: none of that name. */
    struct feedback_source *(*from_leg)(void *ctx, uint32_t ssrc);
    struct feedback_source *(*to_leg)(void *ctx, uint32_t ssrc, struct feedback_to **to);
    /* The leg misses a packet that it knows by that number. The engine maps it, sends what feedback_kept gives where
     * feedback_may_resend agrees, and asks for what isn't there with feedback_want. */
    void (*missing)(void *ctx, struct feedback_source *s, struct feedback_to *to, uint16_t number);
    /* The leg says BYE for a source that it sends. */
    void (*left)(void *ctx, struct feedback_source *s);
};
/* 0, or -EBADMSG: no whole compound packet; then nothing of it counts. */
int feedback_rtcp_in(struct feedback_leg *l, const uint8_t *packet, size_t len,
                     const struct feedback_ops *ops, void *ctx, int64_t now_us)
    __attribute__((warn_unused_result));
/* May so many bytes be sent to that leg again? Takes them from its budget. */
bool feedback_may_resend(struct feedback_leg *l, size_t len, int64_t now_us);
/* The sender is to be asked for the packet of its own that has this sequence number, which hasn't come: once,
 * whoever asks, and again where that was in vain, a few times. */
void feedback_want(struct feedback_source *s, uint16_t sequence, int64_t now_us);
/* A key frame is wanted, for another reason than a receiver's own PLI or FIR (it is heard now, and wasn't before). */
void feedback_want_keyframe(struct feedback_source *s, int64_t now_us);

/* INT64_MAX: nothing. */
int64_t feedback_deadline(const struct feedback *f);
/* A leg that something is due to, or NULL. It has to be written to (feedback_end), or it comes again. */
struct feedback_leg *feedback_next(const struct feedback *f, int64_t now_us);

struct feedback_writer {
    struct feedback_leg *leg;
    struct wire_wr w;
    int64_t now_us;
    bool reports;   /* they are due: feedback_add_out has something to say */
    uint64_t least; /* REMB; 0: none */
    uint32_t least_of[FEEDBACK_LEAST_OF];
    size_t n_least;
};
/* `out` takes FEEDBACK_PACKET_MAX bytes. */
void feedback_begin(struct feedback_writer *w, struct feedback_leg *l, uint8_t *out, int64_t now_us);
/* False: there is no room for it. End, send, begin again and add it again. */
bool feedback_add_in(struct feedback_writer *w, struct feedback_source *s)
    __attribute__((warn_unused_result));
bool feedback_add_out(struct feedback_writer *w, struct feedback_source *s, struct feedback_to *t)
    __attribute__((warn_unused_result));
/* The length; 0: there was nothing to say. `more`: it goes on with another packet to this leg, so what is due stays due. */
size_t feedback_end(struct feedback_writer *w, bool more);

#endif
