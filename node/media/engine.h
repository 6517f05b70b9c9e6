/* What the engine's files share: the objects of one home. Private to node/media.
 *
 *   home     tables of legs by path and by session, meetings by name
 *   meeting  its legs (slots, which don't move while a leg is there) and its sources
 *   leg      a session: a participant's, or a link to another node
 *   source   an SSRC of the meeting: whose it is, who sends it now, how its numbers are mapped
 *
 * A meeting is there while it has a leg. A source stays with its meeting: a participant who comes back with an SSRC goes on where it ended. */
#ifndef BERTH_NODE_MEDIA_ENGINE_H
#define BERTH_NODE_MEDIA_ENGINE_H

#include "feedback.h"
#include "home.h"
#include "limit.h"
#include "media/srtp_gcm.h"
#include "plan.h"
#include "seqmap.h"
#include "speakers.h"
#include "table.h"

#include <stdatomic.h>

enum {
    HOME_LEGS_MAX = 16384,          /* of one thread */
    MEETING_SOURCES_MAX = 2048,     /* of more, those that nobody sends any more are given up ... */
    MEETING_OWNER_SOURCES_MAX = 64, /* of more of one owner, the owner's own; 16 at a time are sent */
    MEETING_SPENT_BITS = 1 << 20,   /* ... and known as used by a hash: a few others are taken for such */
    LINK_HOPS_MAX = 2,              /* to the hub, and from it */
    LEG_REFUSED_MAX = MEDIA_REFUSED_MAX,
    HASH_KEY_LEN = 16,
    HOME_TURN_US = 100 * 1000, /* a tenth of the legs has its second's figures made */
    HOME_TURNS = 10,
    HOME_GONE_US = 10 * 1000 * 1000,        /* a session whose stream has ended waits this long for another */
    HOME_UNCONFIRMED_US = 10 * 1000 * 1000, /* one that never said anything after its handshake */
    HOME_STRAYS_KBPS = 100,                 /* a hundred consent checks a second that count for nothing */
    HOME_OVER_TIMES = 10,                   /* who sends so many times its limit ... */
    HOME_OVER_US = 10 * 1000 * 1000,        /* ... for so long is sent away */
    SOURCE_SILENT_US =
        10 * 1000 * 1000, /* a source that is silent so long makes room for another of its sender's */
    SOURCE_TAKEOVER_US = 500 * 1000, /* a newer sender's silence before the earlier one is heard again */
    SOURCE_VIDEO_BYTES = 640,        /* a packet of more, without a level, isn't audio */
};

struct meeting;

struct leg {
    struct meeting *meeting;
    size_t slot; /* in its meeting */
    struct media_session_id session;
    enum ticket_kind kind;
    bool leaf; /* a link's: the other node is linked to the hub alone */
    bool
        dialled; /* a link's: by this node. Another thread asks for its consent, and says when it has ended */
    uint8_t shared[MEDIA_SHARED_LEN]; /* a link's: as the plan had it */
    char who[AGENT_ID_MAX + 1];
    uint64_t owner; /* hash of kind and `who` */
    int64_t number; /* its ticket's */
    char password[TICKET_PASSWORD_LEN + 1];
    uint8_t txid[STUN_TXID_LEN]; /* of the handshake, with its randoms: the same is answered with the same */
    uint8_t agent_random[MEDIA_RANDOM_LEN];
    struct media_welcome welcome;
    struct media_path path;
    bool has_path;  /* false: its stream has ended */
    bool confirmed; /* something authentic has come since the handshake: before that, nothing is sent */
    uint32_t moves; /* to other paths, and proofs that it is still at its own */
    struct srtp_leg *srtp;
    struct srtp_gcm *gcm; /* what RTP is sent with; NULL: another suite, and `srtp` does it */
    struct feedback_leg feedback;
    uint8_t level_ext, wide_ext;
    int64_t began_us, consent_us, gone_us;
    int64_t proven_us; /* when who has its keys was last known to be at its path */
    struct media_limit limit;
    struct media_limit strays;                   /* of consent checks from its path that aren't its own */
    int64_t over_since_us;                       /* -1: it isn't */
    uint64_t offered_bytes, offered_packets;     /* all that was authentic, dropped or not */
    struct source *sources[MEDIA_LEG_SSRCS_MAX]; /* a participant's, the newest used first */
    size_t n_sources;
    struct speaker speaker;
    uint32_t refused[LEG_REFUSED_MAX]; /* for the next consent check's answer */
    size_t n_refused;
    struct media_leg_stats stats;
    uint64_t second_in, second_out; /* what the figures were at the last turn */
    uint64_t second_offered, second_packets;
    int64_t second_us;
};

/* A source and one who is sent it. */
struct source_to {
    struct seqmap_to map;
    struct feedback_to feedback;
    uint8_t told; /* how often a link was told whose it is, with its packets */
};

struct source {
    uint32_t ssrc;
    uint64_t owner;
    struct leg *leg, *earlier; /* who sends it now, NULL: nobody; who did before that */
    struct leg *link;          /* that has told last whose it is */
    uint8_t hops;              /* links that it has come over, where one sends it; 0: unknown */
    int64_t heard_us;          /* its newest packet */
    struct speaker speaker;    /* where a link sends it */
    uint8_t level_ext;         /* of the audio level, as its sender has it; 0: none */
    bool has_level, is_video;
    struct seqmap map;
    bool counting;   /* this sender's losses */
    uint16_t in_max; /* its newest number */
    struct feedback_source feedback;
    struct source_to *to; /* by slot, `room` of them; NULL: never sent on yet */
    size_t room;
};

struct meeting {
    struct media_home *home;
    uint64_t hash;
    size_t index; /* in the home's list */
    char org[ORG_ID_MAX + 1], id[TICKET_MEETING_MAX + 1];
    uint64_t epoch; /* of the newest ticket */
    uint16_t last_n;
    bool hub;       /* this node is the meeting's */
    size_t n_heard; /* who have a place among the last N */
    size_t n_links;
    struct leg **legs; /* by slot, NULL: free */
    size_t n_legs, n_slots, room;
    struct media_table sources; /* by SSRC */
    struct source **source_list;
    uint8_t *spent; /* SSRCs that were given up: they are never used again here; NULL: none yet */
    size_t n_sources, source_room;
};

struct media_home {
    struct media_opts opts;
    uint8_t hash_key[HASH_KEY_LEN];
    const struct ticket_keys *keys;
    const struct media_plan *plan;
    bool draining;
    struct feedback *feedback;
    struct media_table by_path, by_session, by_name;
    struct meeting **meetings;
    size_t n_meetings, meeting_room, n_legs;
    int64_t turn_us; /* when the next is due */
    unsigned turn;
};

/* ---- path.c ---- */
uint64_t media_hash(const struct media_home *h, const void *bytes, size_t len);
uint64_t media_path_hash(const struct media_home *h, const struct media_path *p);

/* ---- home.c ---- */
struct leg *home_leg_at(const struct media_home *h, const struct media_path *p);
struct leg *home_leg_of(const struct media_home *h, const struct media_session_id *s);

/* ---- meeting.c ---- */
struct meeting *meeting_find(const struct media_home *h, const char *org, const char *id);
/* NULL: out of memory. It is gone again when its last leg is; meeting_drop_empty where none came. */
struct meeting *meeting_make(struct media_home *h, const char *org, const char *id);
void meeting_drop_empty(struct meeting *m);
/* Gives the leg a slot. 0, or -ENOMEM. */
int meeting_seat(struct meeting *m, struct leg *l) __attribute__((warn_unused_result));
void meeting_unseat(struct meeting *m, struct leg *l);
struct leg *meeting_leg_of(const struct meeting *m, uint64_t owner);

/* ---- source.c ---- */
/* Whose SSRC is it? NULL: nobody's in this meeting. */
struct source *source_find(const struct meeting *m, const struct leg *l, uint32_t ssrc);
/* May that leg send it? `s` NULL: it is new. 0; -EACCES: it is another's, or there are too many; -EBUSY: it comes
 * another way now. */
int source_check(const struct source *s, const struct leg *l, int64_t now_us)
    __attribute__((warn_unused_result));
/* NULL: there is no room. */
struct source *source_new(struct meeting *m, uint32_t ssrc, uint64_t owner);
/* Was it given up? Then nothing that comes under it counts, for as long as the meeting is there. */
bool source_is_spent(const struct meeting *m, uint32_t ssrc);
/* Has a participant sent under no more SSRCs than SRTP_LEG_SSRCS? One that it doesn't send any more is given up
 * for that, `but` not. False: there is none. */
bool source_bound(struct leg *l, const struct source *but);
/* A packet of that SSRC didn't count: where none ever will, or there are too many, its numbers needn't be known. */
void source_refused(struct leg *l, uint32_t ssrc);
/* An authentic packet of it has come from that leg. The source is from now on its own. NULL: there is no room. */
struct source *source_take(struct leg *l, struct source *s, uint32_t ssrc, int64_t now_us);
/* The leg has ended. */
void source_leave(struct leg *l);
void source_destroy(struct source *s);
/* Room for numbers of every receiver. 0, or -ENOMEM. */
int source_receivers(struct source *s, size_t room) __attribute__((warn_unused_result));

/* ---- leg.c ---- */
/* What a handshake has agreed on. */
struct leg_terms {
    const struct ticket *ticket;
    const char *password;
    const struct media_request *request; /* NULL: it was dialled */
    enum srtp_suite suite;
    const struct media_plan_peer *peer; /* of a link, else NULL */
    const struct media_link *dialled;   /* of a link that this node has dialled, else NULL */
};
/* The leg is in its meeting and in the tables, at that path. 0, or -ENOMEM, -EIO. */
int leg_begin(struct leg **out, struct meeting *m, const struct leg_terms *terms,
              const struct media_path *path, int64_t now_us) __attribute__((warn_unused_result));
/* Its stream or link has ended by itself, or its path is another's: no word to the sink about that. */
void leg_gone(struct leg *l, enum media_end_reason why, int64_t now_us);
/* Tells that a link from another node is there, or no longer. */
void leg_tell_link(const struct leg *l, bool there);
/* As much of its ticket as is kept. */
struct ticket leg_ticket(const struct leg *l);
/* It is gone from everything, and freed; so is its meeting where it was the last. `told` false: no word to the sink. */
void leg_end(struct leg *l, enum media_end_reason why, bool told);
/* To that path, where nobody else is any more; it may be its own. 0, or -ENOMEM: now it has none. */
int leg_move(struct leg *l, const struct media_path *path, int64_t now_us)
    __attribute__((warn_unused_result));
/* It has none from now on; the sink isn't told. */
void leg_lose_path(struct leg *l, int64_t now_us);
struct media_leg_info leg_info(const struct leg *l);
/* Once a second: rates, and what has run out. True: it has ended. */
bool leg_turn(struct leg *l, int64_t now_us);
/* Something authentic of that length has come from it, whatever it is. Is it within its limit? What isn't counts
 * as over it. */
bool leg_may_send(struct leg *l, size_t wire_len, int64_t now_us);
/* May it be sent to now? */
bool leg_listens(const struct leg *l, int64_t now_us);

/* ---- admission.c ---- */
uint64_t media_owner(enum ticket_kind kind, const char *who);

/* ---- hearing.c ---- */
/* It sends a packet with that level, or -1. Is it heard? */
bool hearing_packet(struct leg *from, struct source *src, int level, int64_t now_us);
/* Ranks who sends, where there are more than are heard. */
void hearing_turn(struct meeting *m, int64_t now_us);
void hearing_leave(struct leg *l);

/* ---- forward.c ---- */
void forward_rtp(struct leg *from, uint8_t *bytes, size_t len, int64_t now_us);
/* One packet, which all receivers know by that number (seqmap_take), to one of them. */
void forward_to(struct leg *to, struct source *s, uint64_t number, const struct rtp *r, const uint8_t *bytes,
                size_t len, int64_t now_us);

/* ---- link.c ---- */
/* Does what comes from one go to the other? */
bool link_passes(const struct leg *from, const struct leg *to);
/* Does the source go there, however far it has come? */
bool link_takes(const struct source *s, const struct leg *to);
/* Tells a link whose the source is. */
void link_tell(struct leg *to, const struct source *s, int64_t now_us);
/* ... of all that send, once a second. */
void link_turn(struct leg *l, int64_t now_us);
/* RTCP has come from a link. */
void link_told(struct leg *from, const uint8_t *bytes, size_t len);
/* Ends what isn't planned any more, and the meeting with it where that was all. */
void link_follow_plan(struct meeting *m, const struct media_plan *plan);

/* ---- reports.c ---- */
/* Plain RTCP to a leg that listens. */
void reports_send(struct leg *l, const uint8_t *bytes, size_t len, int64_t now_us);
void reports_in(struct leg *from, uint8_t *bytes, size_t len, int64_t now_us);
/* Sends what is due of RTCP. */
void reports_step(struct media_home *h, int64_t now_us);

#endif
