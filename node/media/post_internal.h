/* What post.c, post_sink.c and stream_media.c share. */
#ifndef BERTH_NODE_MEDIA_POST_INTERNAL_H
#define BERTH_NODE_MEDIA_POST_INTERNAL_H

#include "flows.h"
#include "post.h"
#include "stream_media.h"
#include "udp_out.h"

enum {
    POST_DEFERRED_MAX = 256,
    POST_STREAMS_MAX = 1 << 16,
    POST_CELLS_A_TURN = 512, /* from all rings together, before other sockets of the loop get their turn */
};

struct stream_media {
    struct media_post *post;
    const struct stream_face *face;
    void *owner;
    struct media_path path;
    h2o_linklist_t dirty; /* linked: something is to be done with it at the end of the turn */
    bool attached, doomed, tls;
    bool waits;                 /* another thread's home has yet to answer */
    uint8_t home;               /* while attached */
    int64_t attached_us;        /* when its home said so last */
    struct stream_queue *queue; /* from the first request on, until it is empty and none is attached */
    uint64_t dropped;           /* of the queue's, as counted */
    uint8_t *chunk;             /* STREAM_QUEUE_CHUNK bytes, with the queue */
};

/* A message for another thread that found its ring full: it is tried again, and those behind it wait. */
struct deferred {
    struct media_path path;
    uint8_t to, kind, reason;
};

/* A stream by its number: generation above, place below. */
struct stream_slot {
    struct stream_media *stream; /* NULL: free */
    uint32_t generation;
};

struct media_post {
    struct media_post_opts opts;
    struct media_home *home;
    struct media_flows *flows;
    struct media_keys *keys;
    struct media_plan_held *plan;
    struct udp_out *udp[MEDIA_PORTS_MAX];
    bool drained;

    struct stream_slot *slots;
    size_t n_slots, free_slot; /* where to look first */
    size_t swept;              /* which part is next */

    h2o_socket_t *bell;
    h2o_timeout_t flush_timeout;
    h2o_timeout_entry_t flush;
    h2o_linklist_t dirty; /* streams */
    bool udp_dirty[MEDIA_PORTS_MAX];
    bool ringing[256]; /* threads whose bell is to be rung */
    size_t first_ring; /* whose turn it is to be read first */
    struct deferred deferred[POST_DEFERRED_MAX];
    size_t n_deferred;

    int64_t looked_us;       /* at all sessions, for the figures */
    uint8_t *room;           /* of a room without commit yet; */
    struct media_cell *cell; /* where it is in a ring */
};

struct media_sink post_sink(struct media_post *p);
int64_t post_unix_time(const struct media_post *p); /* the controllers' */
/* At the end of this turn. */
void post_schedule(struct media_post *p);
/* To another thread; what isn't a packet is tried again later if need be. */
void post_tell(struct media_post *p, uint8_t to, enum media_cell_kind kind, const struct media_path *path,
               enum media_end_reason reason);
struct media_cell *post_cell(struct media_post *p, uint8_t to, bool packet);
void post_push(struct media_post *p, uint8_t to);
/* What other threads have sent, as much as one turn takes. True: there may be more. */
bool post_take_cells(struct media_post *p);

/* This thread's flows and streams, for the home of that number. */
void post_attach(struct media_post *p, const struct media_path *path, uint8_t home);
void post_detach(struct media_post *p, const struct media_path *path, uint8_t home);

/* A request that isn't an ordinary one; `from` is this thread's. False: another thread's home is to answer, and its
 * ring is full. */
bool post_request(struct media_post *p, const struct media_path *from, const struct media_request *r,
                  int home, int64_t now_us);
/* A packet of RTP or RTCP to its home; aligned where that is this one. */
void post_packet(struct media_post *p, const struct media_path *from, uint8_t home, uint8_t *bytes,
                 size_t len, int64_t now_us);
void post_count_out(struct media_post *p, const uint8_t *bytes, size_t len, _Atomic uint64_t *answers);

/* NULL: it has ended. */
struct stream_media *post_stream(const struct media_post *p, uint64_t number);
void post_stream_attach(struct stream_media *m, uint8_t home);
/* Once a second: detaches those whose home's last word got lost; all are looked at in MEDIA_FLOWS_PARTS calls. */
void post_streams_sweep(struct media_post *p, int64_t now_us);
void post_stream_detach(struct stream_media *m, uint8_t home);
/* Room for a packet to it, NULL: there is none; then what was written there. */
uint8_t *post_stream_room(struct stream_media *m, enum media_class c);
void post_stream_commit(struct stream_media *m, enum media_class c, const uint8_t *bytes, size_t len);
/* At the end of the turn. */
void post_stream_flush(struct stream_media *m);

#endif
