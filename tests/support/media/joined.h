/* Several engines joined by links that they have dialled, with the dialler's real end of the handshake; what is sent
 * arrives at once, in order. For tests: it asserts what has to hold whatever they do. */
#ifndef BERTH_TESTS_MEDIA_JOINED_H
#define BERTH_TESTS_MEDIA_JOINED_H

#include "path/media_leg.h"
#include "support/media/sim.h"

enum {
    JOINED_NODES_MAX = 5,
    JOINED_WIRES = 64,
    JOINED_QUEUE = 4096,
    JOINED_PEOPLE = 3, /* at most, on each node */
    JOINED_LINK_THREAD = 9,
    JOINED_ROUND_PACKETS = 5,
    JOINED_STEP_US = 100 * 1000,
};

struct joined;

/* A link that node `from` has dialled to `to`. */
struct joined_wire {
    struct joined *world;
    size_t from, to;
    struct media_leg *leg; /* NULL: there is none */
    struct media_path at_from, at_to;
    uint64_t told; /* of its keys */
    bool detached; /* by the home that dialled */
};

struct joined_message {
    struct joined_wire *wire;
    uint64_t stream; /* of the wire as it was */
    bool forth;      /* from who dialled */
    size_t len;
    _Alignas(8) uint8_t bytes[RTP_PACKET_MAX + SRTP_OVERHEAD];
};

struct joined_node {
    struct joined *world;
    size_t number;
    struct sim sim;
    struct media_plan_peer peers[JOINED_NODES_MAX];
    struct media_plan_meeting meeting;
    struct media_plan plan;
    struct sim_agent *people[JOINED_PEOPLE];
};

struct joined {
    size_t n, hub; /* `hub` n: there is none, and all are linked to all */
    struct joined_node nodes[JOINED_NODES_MAX];
    bool leaf[JOINED_NODES_MAX], planned[JOINED_NODES_MAX];
    struct joined_wire wires[JOINED_WIRES];
    uint64_t generation, random;
    struct joined_message queue[JOINED_QUEUE];
    size_t head, tail;
    size_t next_person, tickets;
    uint16_t last_n;               /* of tickets; 0: the node's default */
    uint64_t epoch, link_epoch;    /* ... and their plan's; that of links' tickets */
    int64_t gap_us;                /* between packets of one who talks */
    uint8_t age[JOINED_NODES_MAX]; /* how often it has started anew */
    int refusal;                   /* of the last that was refused */
};

/* One world for all: it is large. */
struct joined *joined_begin(size_t n, size_t hub, uint64_t seed);
void joined_end(struct joined *w);

/* Until nothing is under way. */
void joined_settle(struct joined *w);
void joined_pass(struct joined *w, int64_t us);

/* What one node hears of the plan, and all; who is linked to whom by it. */
void joined_use_plan(struct joined *w, size_t i);
void joined_plan_all(struct joined *w);
bool joined_are_linked(const struct joined *w, size_t a, size_t b);
bool joined_is_up(const struct joined *w, size_t a, size_t b);
/* A new ticket of that node's. */
struct ticket_grant joined_grant_of(struct joined *w, size_t from);
void joined_dial(struct joined *w, size_t from, size_t to);
/* As dialers do it: whoever finds that there is no link dials, and who is to does it last. */
void joined_dial_all(struct joined *w);
/* The dialling node finds out; the other doesn't yet. */
void joined_cut(struct joined_wire *x);

void joined_join(struct joined *w, size_t i, size_t seat);
void joined_leave(struct joined *w, size_t i, size_t seat);
/* To another node (or a session anew on the same), where nobody is: what it sends from now on goes there. The
 * session that it had and still has, for joined_left. */
struct sim_agent *joined_move(struct joined *w, size_t i, size_t seat, size_t to, size_t to_seat);
void joined_left(struct joined *w, struct sim_agent *old);
/* How much of that SSRC has come. */
size_t joined_heard(const struct sim_agent *a, uint32_t ssrc);
/* Everybody says something. `whole`: all links are there, and it comes to everybody who may hear it; it never comes twice. */
void joined_talk(struct joined *w, bool whole);

#endif
