/* One thread's media: its home, and the ways between that, the thread's sockets and streams, and the other threads.
 * What it has to send it gathers and sends at the end of the loop's turn. The thread's alone. */
#ifndef BERTH_NODE_MEDIA_POST_H
#define BERTH_NODE_MEDIA_POST_H

#include "../limits.h"
#include "exchange.h"
#include "figures.h"
#include "keys.h"
#include "plan.h"

#include <h2o.h>

enum {
    MEDIA_REQUEST_LEAST = 72, /* a consent check, the shortest request: header, session, integrity */
    MEDIA_PORTS_MAX = 64,     /* UDP sockets of a thread */
};

struct media_post;
struct media_post_opts {
    struct media_exchange *exchange;
    uint8_t thread;
    h2o_loop_t *loop;
    struct node_stats *stats;
    struct media_figures *figures; /* filled in; outlives the post */
};
int media_post_new(struct media_post **out, const struct media_post_opts *opts)
    __attribute__((warn_unused_result));
/* Ends every session and sends what is left to say. The loop's sockets are still there. */
void media_post_end(struct media_post *p, enum media_end_reason why);
/* After the streams. */
void media_post_destroy(struct media_post *p);

/* The socket of that number: media_path's port. It is borrowed until media_post_forget_udp. */
int media_post_udp(struct media_post *p, uint16_t port, int fd) __attribute__((warn_unused_result));
void media_post_forget_udp(struct media_post *p, uint16_t port);
void media_post_use_plan(struct media_post *p, struct media_plan_held *plan); /* held by the callee */
void media_post_use_keys(struct media_post *p, struct media_keys *keys); /* held by the callee; NULL: none */
void media_post_drain(struct media_post *p, bool on);

/* Before the loop waits: for how long at most. */
int32_t media_post_wait_ms(const struct media_post *p, int64_t now_us, int32_t most_ms);
/* After each of the loop's turns: what is due. */
void media_post_step(struct media_post *p, int64_t now_us);

enum media_asked {
    MEDIA_ASKED_NOTHING, /* an ordinary request, or none */
    MEDIA_ASKED_SESSION, /* done with */
    MEDIA_ASKED_TOO_OFTEN,
    MEDIA_ASKED_PACKET, /* it was none, but media: never said by media_post_ask */
};
/* A STUN message by UDP. `limits`: of sources that nobody knows yet. */
enum media_asked media_post_ask(struct media_post *p, const struct media_path *from, const uint8_t *bytes,
                                size_t len, struct limits *limits, int64_t now_us);
/* RTP or RTCP by UDP, aligned to 4; it is changed in place. */
void media_post_packet(struct media_post *p, const struct media_path *from, uint8_t *bytes, size_t len,
                       int64_t now_us);

uint8_t media_post_thread(const struct media_post *p);

#endif
