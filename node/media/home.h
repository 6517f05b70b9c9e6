/* Meetings at home on one thread: admission, legs, forwarding, feedback. It decides and has no I/O: bytes, paths
 * and times come in, and what goes out goes through the sink. A packet by itself takes
 * no memory: that is taken with a source's first packet, for its receivers, and for each 32 packets that are kept, all
 * of it bounded; a packet for which there is none is not kept, or not sent on.
 * One thread's; the keys and the plan are immutable snapshots that it is handed. */
#ifndef BERTH_NODE_MEDIA_HOME_H
#define BERTH_NODE_MEDIA_HOME_H

#include "core/addr.h"
#include "media/handshake.h"
#include "media/rtp.h"
#include "media/ticket.h"
#include "plan.h"

enum {
    MEDIA_MEETING_LEGS_MAX = 500,
    MEDIA_LEG_SSRCS_MAX = 16, /* that one participant may send */
    MEDIA_LAST_N = 20,
    MEDIA_KBPS = 20000,
    MEDIA_CONSENT_END_US = 30 * 1000 * 1000,   /* a leg that asks for nothing has ended */
    MEDIA_PROVEN_US = 60 * 1000 * 1000,        /* by UDP it proves so often that it is still there */
    MEDIA_CONSENT_QUIET_US = 15 * 1000 * 1000, /* ... and is sent nothing after this */
    MEDIA_STALE_US = 45 * 1000 * 1000,         /* longer than any session lives without consent */
};

/* Where packets come from and go to. Plain data, zeroed before it is filled; compared with media_path_eq. */
enum media_carrier {
    MEDIA_UDP = 0,
    MEDIA_TCP = 1,
    MEDIA_TLS = 2,
    MEDIA_WEBSOCKET = 3,
    MEDIA_DIALLED = 4, /* a link that this node has dialled: another thread has it, whatever it runs over */
};
struct media_path {
    uint8_t carrier;   /* enum media_carrier */
    uint8_t thread;    /* the one whose socket or stream it is */
    uint16_t port;     /* UDP: which of that thread's sockets */
    struct addr peer;  /* as the node sees it */
    struct addr local; /* UDP on a wildcard address: the one that was asked; else none */
    uint64_t stream;   /* of that thread, or its link; 0: UDP */
    uint8_t
        taken; /* of a request by UDP: what comes from there is another home's, whose number is one less; 0: it isn't */
    bool
        known; /* of a request: its thread takes the path for one of this home's sessions, and hasn't counted it */
};
bool media_path_eq(const struct media_path *a, const struct media_path *b);

/* What to leave out first where a receiver is slow, the least first. STUN and RTCP are MEDIA_CONTROL. */
enum media_class { MEDIA_VIDEO = 0, MEDIA_AUDIO = 1, MEDIA_CONTROL = 2 };

enum media_end_reason {
    MEDIA_END_LEFT,
    MEDIA_END_REMOVED,
    MEDIA_END_REPLACED,
    MEDIA_END_CONSENT_LOST,
    MEDIA_END_HANGING,
    MEDIA_END_DRAINED,
    MEDIA_END_OVER_LIMIT,
    MEDIA_END_CLOSED,
    MEDIA_END_NODE_STOPPED,
    MEDIA_END_REASONS
};
const char *media_end_reason_name(enum media_end_reason r); /* "left", "consent_lost" ... */

/* One leg's figures, all from its beginning. */
struct media_leg_stats {
    uint64_t packets_in, bytes_in, packets_out, bytes_out;
    uint64_t lost_in;                            /* by gaps in what came, retransmitted ones not counted */
    uint64_t lost_out;                           /* as the receiver's reports say */
    uint64_t given_up;                           /* packets of its own that it was asked for in vain */
    uint64_t refused;                            /* not authentic, replayed, malformed */
    uint64_t over_limit, ssrc_refused, left_out; /* dropped: bitrate; another's SSRC; a slow receiver */
    int64_t jitter_us, rtt_us;                   /* newest; -1: none yet */
    int64_t kbps_in, kbps_out;                   /* over the last second */
};

struct media_leg_info {
    const char *org, *meeting, *who;
    enum ticket_kind kind;
    struct media_path path;
    int64_t began_us;
    struct media_leg_stats stats;
};

struct media_sink {
    /* Room for one packet of that class: RTP_PACKET_MAX + SRTP_OVERHEAD bytes, aligned to 4; NULL: the receiver or
     * a ring is full, and it is left out. `commit` follows with the length, 0 where nothing came of it, before
     * anything else is called. */
    uint8_t *(*room)(void *ctx, const struct media_path *to, enum media_class c);
    void (*commit)(void *ctx, const struct media_path *to, enum media_class c, size_t len);
    /* From now on RTP and RTCP of that path are this home's (it may be already: with each consent check, and of a
     * dialled link every second, it is said again, so who hasn't heard it for MEDIA_STALE_US may forget the path);
     * or no longer (and a stream may be closed). A path that media_home_gone has told of isn't detached. */
    void (*attach)(void *ctx, const struct media_path *path);
    void (*detach)(void *ctx, const struct media_path *path, enum media_end_reason why);
    /* A session has ended. */
    void (*ended)(void *ctx, const struct media_leg_info *leg, enum media_end_reason why);
    /* A link that another node has dialled to this one is there (said again every second), or no longer. NULL:
     * nobody asks. */
    void (*linked)(void *ctx, const struct media_leg_info *link, bool there);
    /* A ticket speaks of an epoch that the plan doesn't have yet: ask the controller for news. */
    void (*plan_is_old)(void *ctx);
    void *ctx;
};

struct media_opts {
    uint8_t home;  /* this thread's number: the first byte of the sessions that it names */
    uint8_t homes; /* how many threads there are */
    uint8_t nonce_key[MEDIA_NONCE_KEY_LEN]; /* the process's */
    int64_t (*random64)(void *ctx);         /* unpredictable */
    void (*random)(void *ctx, uint8_t *out, size_t len);
    void *random_ctx;
    struct media_sink sink;
    uint32_t legs_max; /* of this node; 0: no limit. Counted over all threads in *legs */
    _Atomic int64_t *legs;
};

struct media_home;
int media_home_new(struct media_home **out, const struct media_opts *opts)
    __attribute__((warn_unused_result));
/* Ends every session, without a word to the sink. */
void media_home_destroy(struct media_home *h);

/* Which thread is a request for? -1: it concerns no media (an ordinary Binding request, or what can't be opened:
 * see *answer). Any thread; `keys` as in media_home_set_keys. Where it answers with an error itself, the length is
 * in *answer_len. */
int media_route(const struct media_request *r, const struct ticket_keys *keys, unsigned homes, int64_t now_s,
                uint8_t answer[static MEDIA_MESSAGE_MAX], size_t *answer_len);

/* ... and which one has that meeting? */
uint8_t media_home_of(const char *org, const char *meeting, unsigned homes);

/* A STUN request that media_route has sent here. `now_s`: Unix time. */
void media_home_stun(struct media_home *h, const struct media_path *from, const uint8_t *bytes, size_t len,
                     int64_t now_us, int64_t now_s);
/* One that has been read already. */
void media_home_request(struct media_home *h, const struct media_path *from, const struct media_request *r,
                        int64_t now_us, int64_t now_s);
/* A packet of RTP or RTCP, in place: up to RTP_PACKET_MAX bytes, aligned to 4. */
void media_home_packet(struct media_home *h, const struct media_path *from, uint8_t *bytes, size_t len,
                       int64_t received_us);
/* This node has dialled another one: packets of that path are the link's. Where the plan doesn't have it (any
 * more), or the one that was dialled from there is to stay, the path is detached. The keys are copied; a path that
 * has a link already gets these. */
struct media_link {
    char org[ORG_ID_MAX + 1], meeting[TICKET_MEETING_MAX + 1]; /* the meeting's */
    char who[AGENT_ID_MAX + 1];                                /* the other node: "<org>/<node>" */
    enum srtp_suite suite;
    struct srtp_keys sends, receives;
};
void media_home_linked(struct media_home *h, const struct media_path *path, const struct media_link *link,
                       int64_t now_us);
/* A stream or a dialled link has ended, or what comes from there goes to another home now. */
void media_home_gone(struct media_home *h, const struct media_path *path, int64_t now_us);
/* A stream took nothing for too long: its session ends as `hanging`. The path isn't detached. */
void media_home_hanging(struct media_home *h, const struct media_path *path, int64_t now_us);

/* Does what is due: consent that was lost, RTCP, levels. */
void media_home_step(struct media_home *h, int64_t now_us);
int64_t media_home_deadline(const struct media_home *h); /* monotonic; INT64_MAX: nothing */

/* Borrowed until replaced. NULL: nobody new is admitted. */
void media_home_set_keys(struct media_home *h, const struct ticket_keys *keys);
/* Borrowed until replaced; NULL: none. Links that it doesn't name end, and sessions of who was removed. */
void media_home_set_plan(struct media_home *h, const struct media_plan *plan);
/* Draining: nobody new is admitted, and consent answers say "move soon". */
void media_home_drain(struct media_home *h, bool on);
/* Of every meeting's participants here, for heartbeats and for who looks. */
void media_home_each(const struct media_home *h, void (*each)(void *user, const struct media_leg_info *leg),
                     void *user);
/* Ends everybody's. */
void media_home_remove_all(struct media_home *h, enum media_end_reason why);

#endif
