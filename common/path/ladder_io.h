/* The ladder's shell: the race on real sockets, then the connection that won it: kept alive, or with media on it. One thread at a time.
 *
 *   RACING -> (SHAKING ->) UP -> LOST        FAILED: no rung works
 *        \--> FAILED    \--> REFUSED         SHAKING, REFUSED: the handshake of media */
#ifndef BERTH_PATH_LADDER_IO_H
#define BERTH_PATH_LADDER_IO_H

#include "path/keepalive.h"
#include "path/ladder.h"
#include "path/media_leg.h"
#include "probe/curl_loop.h"
#include "probe/proxy_hop.h"
#include "probe/sys.h"
#include "sys/tls.h"

enum ladder_io_state {
    LADDER_IO_RACING,
    LADDER_IO_SHAKING,
    LADDER_IO_UP,
    LADDER_IO_FAILED,
    LADDER_IO_LOST,
    LADDER_IO_REFUSED
};

struct ladder_io_plan {
    const struct ladder_place *places;
    size_t n_places;
    struct ladder_policy policy;
    int64_t keepalive_us;
    /* What this proxy of a place is to be told of us. NULL: nothing. */
    struct proxy_identity (*identity)(void *user, const struct proxy_endpoint *proxy);
    /* Media on the winner: a handshake, and consent checks in place of the keep-alive. Copied; what is of the path
     * is filled in. NULL: none. */
    const struct media_leg_plan *media;
    /* An RTP or RTCP packet has come, from the poller's dispatch. Nothing may be ended in it. */
    void (*packet)(void *user, const uint8_t *bytes, size_t len, bool rtcp, int64_t now_us);
    void *user;
};

/* Of a connection that is or was UP, or shakes hands. */
struct ladder_path {
    int64_t sent, received, lost; /* keep-alives, or consent checks */
    int64_t rtt_last_us;          /* NOT_MEASURED: none */
    bool has_rtt;
    struct rtt_stats rtt;
    struct addr mapped;
};

struct ladder_io;
/* Borrows poller, curl and what `identity` answers; takes its own reference of tls_ctx; copies the plan. 0, or -errno. */
int ladder_io_new(struct ladder_io **out, struct sys_poller *poller, SSL_CTX *tls_ctx, struct curl_loop *curl,
                  const struct ladder_io_plan *plan) __attribute__((warn_unused_result));
/* NULL is fine. */
void ladder_io_destroy(struct ladder_io *io);

/* Does all that is due. To be called when the poller has dispatched, and at ladder_io_deadline. */
enum ladder_io_state ladder_io_step(struct ladder_io *io);
int64_t ladder_io_deadline(const struct ladder_io *io); /* monotonic, or PROBER_NEVER */
/* Asks at once whether the path is still there. */
void ladder_io_hurry(struct ladder_io *io);
/* Of one that is UP: it has answered since, packets to it leave from where they did, and it sees them come from where they did. */
bool ladder_io_stands(const struct ladder_io *io);

const struct ladder *ladder_io_ladder(const struct ladder_io *io);
bool ladder_io_path(const struct ladder_io *io, int64_t now_us,
                    struct ladder_path *out);          /* false: there is none */
const char *ladder_io_why(const struct ladder_io *io); /* it was lost, or refused */
/* The authentication that the place's proxy wanted; "" where none did. */
const char *ladder_io_proxy_auth(const struct ladder_io *io, size_t place);
bool ladder_io_intercepted(const struct ladder_io *io, size_t place);

/* ---- media ---- */

/* The media's end; NULL before the race is won, or where there is none. It stays ladder_io's: protecting and time are its. */
struct media_leg *ladder_io_leg(const struct ladder_io *io);
/* One RTP or RTCP packet, which is copied: 0; -ENOTCONN: not UP; -EAGAIN: there is no room, and it is dropped;
 * -EMSGSIZE; -EINVAL. */
int ladder_io_send(struct ladder_io *io, const uint8_t *packet, size_t len)
    __attribute__((warn_unused_result));
/* Packets of a link, which are protected already: how many have gone; there was no room for the others, or it isn't
 * UP (any more). */
size_t ladder_io_pass(struct ladder_io *io, const struct slice *packets, size_t n, bool video);
/* Ends the session at the node, as far as one message may. */
void ladder_io_leave(struct ladder_io *io);

#endif
