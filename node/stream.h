/* STUN over a TCP or TLS connection, told from HTTP by its first bytes: frames in, answers out. What a connection
 * may hold is bounded: the kernel's receive buffer, one read's worth of input, and one write of STREAM_OUT_MAX
 * bytes; while that write waits for the peer nothing more is read. A session of media on it brings a queue
 * (media/stream_media.h), and the connection is read from whatever its peer takes. */
#ifndef BERTH_NODE_STREAM_H
#define BERTH_NODE_STREAM_H

#include "core/addr.h"
#include "media/stream_media.h"

#include <h2o.h>

enum { STREAM_OUT_MAX = 504 };

/* What the streams of one thread share, WebSockets among them: limits in time, and the lists for the end. */
struct stream_group {
    h2o_loop_t *loop;
    h2o_timeout_t first_timeout, idle_timeout, close_timeout;
    h2o_linklist_t streams, websockets;
    bool going_away; /* draining: no new WebSockets */
    bool ended;      /* disposed of; an upgrade may yet complete */
    struct node_stats *stats;
    struct media_post *media;   /* NULL: none */
    struct limits *limits;      /* of who asks for sessions */
    h2o_timeout_t hang_timeout; /* of a write with a session attached */
    /* A connection whose first bytes are HTTP: the socket is the callee's from then on. */
    void (*on_http)(void *ctx, h2o_socket_t *sock, const struct addr *peer, struct timeval connected_at);
    void *ctx;
};

void stream_group_init(struct stream_group *g, h2o_loop_t *loop, int64_t first_ms, int64_t idle_ms);
/* From now on, for messages yet to come. */
void stream_group_set_timeouts(struct stream_group *g, int64_t first_ms, int64_t idle_ms);
/* Closes every stream. */
void stream_group_dispose(struct stream_group *g);

/* Adds to the counters of the transport. */
void stream_count(struct stream_group *g, bool tls, size_t bytes_in, unsigned requests, unsigned answers);

/* A session is attached to it: it is marked as media, and what the kernel holds unsent can't be taken back, so it holds little. */
void stream_prepare_for_media(h2o_socket_t *sock);

/* Takes a connected socket, which may hold input already. */
void stream_accept(struct stream_group *g, h2o_socket_t *sock, const struct addr *peer,
                   struct timeval connected_at);

#endif
