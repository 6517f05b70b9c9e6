/* How much gets through to a node and back, over one stream: padded Binding requests, answered small, tell the way
 * up; small ones, whose answers are larger than they are, the way down. What the node is asked is what any client
 * may ask, over a connection that has proved its address, and its answers are never larger than twice what they
 * answer: nothing can be amplified. Pure: bytes in, bytes out, a deadline. */
#ifndef BERTH_AGENT_FIREWALL_THROUGHPUT_H
#define BERTH_AGENT_FIREWALL_THROUGHPUT_H

#include "core/frame.h"
#include "core/stun.h"

/* What is sent at most, whatever the path takes, and how long each way lasts. */
enum {
    THROUGHPUT_UP_MAX = 512 * 1024,   /* bytes of padded requests */
    THROUGHPUT_DOWN_MAX = 512 * 1024, /* bytes of answers asked for */
    THROUGHPUT_WAY_US = 800 * 1000,   /* or so many round trips, if that is longer: a stream begins slowly */
    THROUGHPUT_WAY_ROUNDS = 8,
    THROUGHPUT_TOTAL_US = 6 * 1000 * 1000,
    THROUGHPUT_CHUNK_MAX = 4096, /* given out at once */
};

/* Of what is unanswered: what would come through, at the last round trip's rate, in twice the probe's round trip, or
 * in this much more than it. So it doubles from round trip to round trip until the path is full, and then makes a
 * queue no longer than that. */
enum {
    THROUGHPUT_WINDOW_LEAST = 4 * 1024,
    THROUGHPUT_WINDOW_FIRST = 16 * 1024,
    THROUGHPUT_WINDOW_MAX = 256 * 1024,
    THROUGHPUT_QUEUE_US = 100 * 1000,
};

/* Figures are of the best stretch: a round trip long, and at least this. */
enum { THROUGHPUT_STRETCH_US = 200 * 1000, THROUGHPUT_BIN_US = 10 * 1000 };
enum { THROUGHPUT_BINS = (int)THROUGHPUT_TOTAL_US / (int)THROUGHPUT_BIN_US };

enum throughput_phase { THROUGHPUT_UP, THROUGHPUT_DOWN, THROUGHPUT_DONE };

/* What came through in one direction. Zeroed: nothing. */
struct throughput_way {
    int64_t first_us, last_us;     /* of the answers; bytes count from the first one's on */
    int64_t bytes, answers;        /* the first one's bytes not among them */
    uint32_t bin[THROUGHPUT_BINS]; /* bytes in each THROUGHPUT_BIN_US since the first answer */
};

struct throughput {
    enum throughput_phase phase;
    uint8_t prefix[STUN_TXID_LEN - 4]; /* then the request's number */
    int64_t began_us, way_began_us, deadline_us, rtt_us;
    uint32_t sent, answered, first_down; /* requests; answers come in order */
    size_t sent_bytes, received_bytes;
    size_t way_bytes;  /* asked for in this phase: of requests going up, of answers going down */
    size_t unanswered; /* as way_bytes */
    size_t window;
    bool way_is_over; /* nothing more is sent in this phase */
    bool in_round;    /* which ends with the answer to request `round_last`, and has brought `round_bytes` */
    uint32_t round_last;
    int64_t round_began_us;
    size_t round_bytes;
    size_t answer_len; /* as seen going up */
    struct throughput_way up, down;
    enum frame_mode mode;
    uint8_t in[FRAME_PAYLOAD_MAX + FRAME_HEADER_MAX];
    size_t in_len;
};

/* `rtt_us` as known from the probe; the prefix is random. The stream is ready. */
void throughput_begin(struct throughput *t, const uint8_t prefix[static STUN_TXID_LEN - 4], int64_t rtt_us,
                      int64_t now_us);
/* The next bytes to send, or 0: none before more answers have come, or the deadline. */
size_t throughput_next(struct throughput *t, int64_t now_us, uint8_t out[static THROUGHPUT_CHUNK_MAX]);
/* What came. 0; -EBADMSG: it is no answer of ours, and it is over. */
int throughput_take(struct throughput *t, const uint8_t *bytes, size_t len, int64_t now_us);
/* Is it over by now, whatever is still to be sent or to come? */
bool throughput_over(struct throughput *t, int64_t now_us);
/* When to call throughput_next again though nothing comes; in phase THROUGHPUT_DONE nothing more is to be done. */
int64_t throughput_deadline(const struct throughput *t);

/* Bits a second, of STUN alone (what carries it comes on top), or -1: too little came to tell. */
int64_t throughput_bps(const struct throughput_way *w, int64_t rtt_us);

#endif
