/* The ladder's inside, for ladder.c (the race: what is begun when, and who wins), ladder_place.c (one address on its way) and
 * ladder_events.c (what happens to it). */
#ifndef BERTH_PATH_LADDER_INTERNAL_H
#define BERTH_PATH_LADDER_INTERNAL_H

#include "core/frame.h"
#include "path/ladder.h"

enum place_state {
    PLACE_IDLE,
    PLACE_CONNECTING,
    PLACE_SECURING,
    PLACE_UPGRADING,
    PLACE_ASKING,
    PLACE_LEADING, /* answered, and nothing better has */
    PLACE_ENDED
};

struct place {
    struct ladder_place is;
    enum place_state state;
    size_t rung;
    bool open_due, close_due, has_stream;
    bool by_name;
    bool set_aside;    /* ended since another has answered */
    size_t attempt;    /* how often it was set aside and begun again */
    int64_t phase_us;  /* when connect or handshake began */
    int64_t send_us;   /* the next request is due, or PROBER_NEVER */
    int64_t silent_us; /* under TLS: no answer is expected any more, or PROBER_NEVER */
    int64_t sent_us[LADDER_SAMPLES_MAX];
    struct ladder_outcome out; /* began_us is absolute here */
    size_t len;
    uint8_t buf[FRAME_HEADER_MAX + FRAME_PAYLOAD_MAX];
};

struct rung {
    size_t first, n; /* in `order` */
    bool begun;
    int64_t began_us, next_us;
};

struct ladder {
    struct ladder_policy policy;
    uint8_t seed[PROBER_SEED_LEN];
    int64_t began_us, grace_us;
    size_t n, n_rungs;
    size_t leader; /* or LADDER_NONE */
    bool decided;
    size_t order[LADDER_PLACES_MAX];
    struct rung rungs[TRANSPORT_COUNT];
    struct place places[]; /* n */
};

static inline int64_t ladder_elapsed(int64_t from_us, int64_t to_us)
{
    return to_us > from_us ? to_us - from_us : 0;
}

static inline bool place_under_way(const struct place *p)
{
    return p->state > PLACE_IDLE && p->state < PLACE_LEADING;
}

static inline bool place_is_stream(const struct place *p)
{
    return p->is.transport != TRANSPORT_UDP;
}

static inline bool place_is_secure(const struct place *p)
{
    return p->is.transport == TRANSPORT_TLS || p->is.transport == TRANSPORT_PROXY;
}

/* ladder_place.c: a place alone; it knows nothing of the others. */
extern const struct ladder_outcome place_untried;
void place_begin(struct place *p, int64_t now_us);
/* The way is there: STUN. Under TLS an answer is expected within `framing_us`, else it is tried by WebSocket. */
void place_ask(struct place *p, int64_t framing_us, int64_t now_us);
/* The same address in another way. */
void place_again(struct place *p);
/* This way has failed. True: the place has ended; false: it goes on in another. */
bool place_fail(struct place *p, enum probe_status status, const char *why)
    __attribute__((warn_unused_result));
void place_time_out(struct place *p);
void place_end(struct place *p, const char *why);
/* Ends it since it is not needed; place_reopen: it is after all. */
void place_set_aside(struct place *p, const char *why);
void place_reopen(struct place *p);
/* Its transport and address, between `before` and `after`. */
void place_name(const struct place *p, const char *before, const char *after,
                char out[static PROBER_ERROR_TEXT]);

/* ladder.c: what an event does to the race. */
void ladder_failed(struct ladder *l, struct place *p, enum probe_status status, const char *why,
                   int64_t now_us);
void ladder_answered(struct ladder *l, size_t i, size_t sample, const struct addr *mapped,
                     int64_t received_us);

#endif
