/* What a call does when: which node it is to be connected to, when the controller is asked, which of its two legs sends. Pure: events and
 * times in, actions and the next deadline out. The shell (session_calls.c) has the connections and the calls on the controller.
 *
 *   a leg       one connection to one node. The main one sends; the other is the next node's until it is up, then the old one's for a moment
 *   asking      one question to the controller at a time: JOIN, FAILURE (of each transport that was tried), LEAVE, and, where it wants to know,
 *               TELL: what the call measured */
#ifndef BERTH_AGENT_CALL_H
#define BERTH_AGENT_CALL_H

#include "berth.h"
#include "core/transport.h"

#include <stdbool.h>

enum {
    CALL_LEGS = 2,
    CALL_RACE_US =
        700 *
        1000, /* a path that was lost is looked for on its node so long before that counts as a failure ... */
    CALL_RACE_RTTS = 5, /* ... or so many of its round trips: TCP, TLS, STUN and the handshake want as much */
    CALL_CLIMB_US = 6 * 1000 * 1000, /* the same of a node that is new */
    CALL_OVERLAP_US = 1000 * 1000,   /* the old node is still heard after a move */
    CALL_BACKOFF_US =
        1000 * 1000, /* the first pause between questions that led nowhere; it doubles, with jitter */
    CALL_BACKOFF_MAX_US = 30 * 1000 * 1000,
    CALL_MOVE_SPREAD_US = 200 * 1000, /* all on a node that drains hear of it at once */
    CALL_MOVE_AGAIN_US = 1000 * 1000, /* ... and are not all moved at once */
    CALL_ATTEMPTS = 3,                /* failures that are told at once; the next ones after a pause ... */
    CALL_STEADY_US =
        10 * 1000 * 1000,             /* ... and none counts any more once the call has been UP for so long */
    CALL_LEAVE_US = 10 * 1000 * 1000, /* the controller is told of the end so long */
    CALL_TELL_MIN_S = 1,
    CALL_TELL_MAX_S = 24 * 3600,
};

enum call_ask { CALL_ASK_NOTHING, CALL_ASK_JOIN, CALL_ASK_FAILURE, CALL_ASK_LEAVE, CALL_ASK_TELL };
enum call_leg_state { CALL_LEG_NONE, CALL_LEG_CLIMBING, CALL_LEG_UP, CALL_LEG_LOST, CALL_LEG_OLD };

/* An assignment, as far as decisions go. */
struct call_target {
    char node[BERTH_NODE_MAX + 1];
    enum transport transport;
    unsigned transports; /* 1 << enum transport, of its ladder */
};

struct call_leg {
    enum call_leg_state state;
    struct call_target to;
    int64_t
        until_us; /* CLIMBING, LOST: then it has failed; OLD: then it is left; INT64_MAX: that is told already */
    bool stuck; /* it has failed or was refused: another assignment of the same node begins it anew */
    bool open_due, close_due;
};

struct call {
    struct call_leg legs[CALL_LEGS];
    size_t main;
    uint64_t random;
    enum call_ask asking; /* the question under way */
    bool wants_join, wants_failure;
    int64_t ask_at_us;                    /* no question before */
    unsigned pauses;                      /* questions in a row that led nowhere */
    unsigned attempts;                    /* nodes and ways in a row that led nowhere */
    char failed_node[BERTH_NODE_MAX + 1]; /* FAILURE: of */
    enum transport failed_transport;
    unsigned failed_left;  /* transports that are to be told besides */
    int64_t up_at_us;      /* when it came UP last; -1: its end has been counted */
    bool move_soon;        /* the main leg's node drains */
    int64_t tell_every_us; /* 0: the controller doesn't want to know */
    int64_t tell_at_us;
    bool leaving, left, gone; /* left: it is told; gone: nothing is left to be done */
    int64_t leave_until_us;
    bool ended;
    int error; /* of the end */
    int64_t came_up, moved;
    char last_node[BERTH_NODE_MAX + 1]; /* on which it was UP last */
};

/* Its first question is a JOIN, unless call_assigned follows. */
void call_init(struct call *c, uint64_t seed, int64_t now_us);

/* ---- what happens ---- */

/* The assignment that holds from now on: the answer to the question under way, or (not `answer`) an event of the stream. */
void call_assigned(struct call *c, const struct call_target *to, bool answer, int64_t now_us);
/* The question under way has ended without an assignment. `status`: HTTP's; 0: no answer. LEAVE ends here, too. */
void call_unassigned(struct call *c, int status, int64_t retry_after_us, int64_t now_us);
void call_leg_up(struct call *c, size_t leg, int64_t now_us);
/* It was UP, and is looked for again. `rtt_us`: the path's round trip; -1: not known. */
void call_leg_lost(struct call *c, size_t leg, int64_t rtt_us, int64_t now_us);
void call_leg_failed(struct call *c, size_t leg, int64_t now_us); /* no rung works */
void call_leg_refused(struct call *c, size_t leg, int code, int64_t now_us);
/* The main leg's node drains, or no longer. */
void call_move_soon(struct call *c, bool soon, int64_t now_us);
/* Asks where the call belongs: events were missed, the network or the token is another one. */
void call_ask_again(struct call *c, int64_t now_us);
/* The main leg, which was or wasn't UP, is looked for in another network. */
void call_network_changed(struct call *c, int64_t now_us);
void call_leave(struct call *c, int64_t now_us);
/* How often the controller wants to be told what the call measures, as its assignments say; 0: never. */
void call_tell_every(struct call *c, int64_t seconds, int64_t now_us);
/* TELL has ended, whichever way. `again`: it is worth another one, later. */
void call_told(struct call *c, bool again, int64_t now_us);

/* ---- what is to be done ---- */

enum call_action { CALL_DO_NOTHING, CALL_DO_OPEN, CALL_DO_CLOSE, CALL_DO_ASK };
/* The next action; of OPEN and CLOSE *leg. OPEN is by the newest assignment, in place of what the leg had; of ASK it
 * is `asking`, `failed_node`, `failed_transport`, in place of what may be under way. */
enum call_action call_next(struct call *c, int64_t now_us, size_t *leg);
int64_t call_deadline(const struct call *c); /* INT64_MAX: none */

int call_state(const struct call *c); /* enum berth_call_state */

#endif
