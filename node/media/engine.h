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
    SHARE_LARGE_TIMES = 2,          /* ... or one of who has so many times as many; shares.c */
    SHARE_NEW_BURST = 256,          /* new ones of one participant, and then */
    SHARE_NEW_US = 1000 * 1000,     /* ... one a second; of one link MEETING_SOURCES_MAX, and then */
    SHARE_LINK_NEW_US = 125 * 1000, /* ... eight */
    MEETING_SPENT_BITS = 1 << 20,   /* ... and known as used by a hash: a few others are taken for such */
    LINK_HOPS_MAX = 2,              /* to the hub, and from it */
    LEG_REFUSED_MAX = MEDIA_REFUSED_MAX,
    LEG_REFUSED_AFAR_MAX = 16, /* SSRCs that one session is told of because other nodes refuse them */
    HASH_KEY_LEN = 16,
    HOME_HELLO_BITS = 1 << 20, /* handshakes that have begun a session: for an hour at least, */
    HOME_HELLO_KEPT_S = 3600,  /* ... which is how long a participant's ticket holds */
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
    SOURCE_CONTEST_US =
        400 * 1000, /* a participant that goes on for so long beside a link wins its own back */
    SOURCE_GOES_ON_US =
        200 * 1000, /* ... and the link is barred, if it was heard so lately or the second time, */
    SOURCE_BARRED_US = 10 * 1000 * 1000, /* ... like all others, each time for twice as long, up to */
    SOURCE_BARRED_DOUBLED_MAX = 6,       /* ... 640 s */
    SOURCE_VIDEO_BYTES = 640,            /* a packet of more, without a level, isn't audio */
};

struct meeting;

/* A participant of the meeting, wherever it is: on this node, on another, or moving. There while it has a leg here or a source. */
struct person {
    uint64_t owner; /* hash of kind and `who` */
    size_t index;   /* in the meeting's list */
    size_t refs;    /* its leg and its sources */
    struct speaker speaker;
    bool left_out; /* packets of it, since it was heard last */
    bool here;     /* has a leg, or a source that somebody sends: hearing_gone's own */
};

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
    uint64_t owner;        /* hash of kind and `who` */
    struct person *person; /* a participant's; NULL: a link */
    int64_t number;        /* its ticket's */
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
    uint32_t refused[LEG_REFUSED_MAX]; /* for the next consent check's answer */
    size_t n_refused;
    size_t n_refused_afar; /* SSRCs that it was told of because of other nodes */
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
    struct person *person;
    uint64_t share;            /* whose number of sources it counts for */
    bool used;                 /* anybody has ever sent it */
    struct leg *leg, *earlier; /* who sends it now, NULL: nobody; who did before that */
    struct leg *link;          /* that has told last whose it is */
    struct leg *local;         /* the participant's here that has sent it, whoever does now; NULL: none */
    int64_t taken_us;          /* since when `leg` sends it */
    bool robbed;               /* a link has taken it from `local` */
    bool contested;            /* `local` goes on, though a link has taken it: */
    int64_t contest_us, contest_newest_us; /* ... its first and newest packet since */
    int64_t barred_until_us;               /* no link takes it while `local` sends it */
    unsigned times_barred;
    bool refused_afar; /* another node has said so: its participant is told, or the link that it comes over */
    uint8_t hops;      /* links that it has come over, where one sends it; 0: unknown */
    int64_t heard_us;  /* its newest packet */
    uint8_t level_ext; /* of the audio level, as its sender has it; 0: none */
    bool has_level, is_video;
    bool ended; /* with the leg that sent it, of which links haven't been told */
    struct seqmap map;
    bool counting;   /* this sender's losses */
    uint16_t in_max; /* its newest number */
    struct feedback_source feedback;
    struct source_to *to; /* by slot, `room` of them; NULL: never sent on yet */
    size_t room;
};

/* Who brings sources: a participant here, or a link. */
struct share {
    uint64_t of; /* its leg's owner */
    size_t n;
    int64_t whole_us; /* when the burst of new ones will be whole again */
};

struct meeting {
    struct media_home *home;
    uint64_t hash;
    size_t index; /* in the home's list */
    char org[ORG_ID_MAX + 1], id[TICKET_MEETING_MAX + 1];
    uint64_t epoch;        /* of the newest ticket */
    uint64_t last_n_epoch; /* of the newest of a participant */
    uint16_t last_n;
    bool hub;       /* this node is the meeting's */
    bool any_ended; /* of the sources */
    size_t n_heard; /* who have a place among the last N */
    struct person **people;
    size_t n_people, people_room;
    size_t n_links;
    struct leg **legs; /* by slot, NULL: free */
    size_t n_legs, n_slots, room;
    struct media_table sources; /* by SSRC */
    struct source **source_list;
    uint8_t *spent; /* SSRCs that were given up: they are never used again here; NULL: none yet */
    size_t n_sources, source_room;
    struct share *shares; /* of those, and free ones */
    size_t n_shares, share_room;
};

struct media_home {
    struct media_opts opts;
    uint8_t hash_key[HASH_KEY_LEN];
    const struct ticket_keys *keys;
    const struct media_plan *plan;
    bool draining;
    struct feedback *feedback;
    uint8_t *hellos[2]; /* HOME_HELLO_BITS each: this hour's handshakes, and those of the hour before */
    int64_t hellos_us;  /* when this hour began */
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
/* That leg brings it. NULL: there is no room for it, or not so soon. */
struct source *source_new(struct leg *by, uint32_t ssrc, uint64_t owner, int64_t now_us);
/* Was it given up? Then nothing that comes under it counts, for as long as the meeting is there. */
bool source_is_spent(const struct meeting *m, uint32_t ssrc);
/* Has a participant sent under no more SSRCs than SRTP_LEG_SSRCS? One that it doesn't send any more is given up
 * for that, `but` not. False: there is none. */
bool source_bound(struct leg *l, const struct source *but);
/* A packet of that SSRC didn't count: where none ever will, or there are too many, its numbers needn't be known. */
void source_refused(struct leg *l, uint32_t ssrc);
void source_destroy(struct meeting *m, struct source *s);
/* Room for numbers of every receiver. 0, or -ENOMEM. */
int source_receivers(struct source *s, size_t room) __attribute__((warn_unused_result));

/* ---- shares.c ---- */
/* One more source of that share. False: not so soon, or out of memory. */
bool share_add(struct meeting *m, uint64_t of, bool link, int64_t now_us);
void share_drop(struct meeting *m, uint64_t of);
/* The source counts for that one now. */
void share_move(struct meeting *m, struct source *s, uint64_t to);
size_t share_count(const struct meeting *m, uint64_t of);
const struct share *share_largest(const struct meeting *m); /* NULL: there are no sources */

/* ---- sender.c ---- */
/* Nobody sends it from now on. */
void source_release(struct source *s);
/* May that leg send it? `s` NULL: it is new. 0; -EACCES: it is another's, or there are too many; -EBUSY: it comes
 * another way now. */
int source_check(const struct source *s, const struct leg *l, int64_t now_us)
    __attribute__((warn_unused_result));
/* An authentic packet of it has come from that leg though it comes another way now. Is it from now on this leg's
 * all the same? */
bool source_goes_on(struct source *s, struct leg *l, int64_t now_us);
/* An authentic packet of it has come from that leg. The source is from now on its own. NULL: there is no room. */
struct source *source_take(struct leg *l, struct source *s, uint32_t ssrc, int64_t now_us);
/* The leg has ended. */
void source_leave(struct leg *l);

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
/* That SSRC isn't heard (everywhere): the next consent check's answer says so. */
void leg_refuse_ssrc(struct leg *l, uint32_t ssrc);
/* May it be sent to now? */
bool leg_listens(const struct leg *l, int64_t now_us);

/* ---- admission.c ---- */
uint64_t media_owner(enum ticket_kind kind, const char *who);

/* ---- hearing.c ---- */
/* It sends a packet with that level, or -1. Is it heard? */
bool hearing_packet(struct leg *from, const struct source *src, int level, int64_t now_us);
/* Ranks who sends, where there are more than are heard. */
void hearing_turn(struct meeting *m, int64_t now_us);
/* The leg has ended, and sends no source any more. */
void hearing_leave(struct leg *l);
/* Somebody may have stopped sending: whose leg isn't here, and of whom nobody sends anything, has no place any more. */
void hearing_gone(struct meeting *m);
/* That owner's, for one more leg or source of it. NULL: out of memory. */
struct person *person_hold(struct meeting *m, uint64_t owner);
void person_release(struct meeting *m, struct person *p);

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
void link_told(struct leg *from, const uint8_t *bytes, size_t len, int64_t now_us);
/* Tells links which sources have ended with their sender's leg since it was called last. */
void link_tell_ended(struct meeting *m, int64_t now_us);
/* Ends what isn't planned any more, and the meeting with it where that was all. */
void link_follow_plan(struct meeting *m, const struct media_plan *plan);

/* ---- reports.c ---- */
/* Plain RTCP to a leg that listens. */
void reports_send(struct leg *l, const uint8_t *bytes, size_t len, int64_t now_us);
void reports_in(struct leg *from, uint8_t *bytes, size_t len, int64_t now_us);
/* Sends what is due of RTCP. */
void reports_step(struct media_home *h, int64_t now_us);

#endif
