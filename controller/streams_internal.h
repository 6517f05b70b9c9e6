/* Inside the streams: streams.c (which there are), stream_io.c (one on its socket), stream_read.c (the database). */
#ifndef BERTH_CONTROLLER_STREAMS_INTERNAL_H
#define BERTH_CONTROLLER_STREAMS_INTERNAL_H

#include "outbox.h"
#include "streams.h"

enum { STREAM_BUCKETS = 4096, STREAM_ORG_BUCKETS = 512 };

/* An org that has streams here. In `in_turn` while any of them waits to be read for. */
struct stream_org {
    h2o_linklist_t in_bucket, in_turn;
    h2o_linklist_t waiting;
    size_t n; /* streams */
    char org[ORG_ID_MAX + 1];
};

struct stream_read;

/* In in_waiting, or in a read, or neither. */
struct stream {
    struct streams *streams;
    struct stream_org *org;
    h2o_linklist_t in_all, in_bucket, in_waiting;
    h2o_socket_t *sock;       /* NULL until the head of the answer has been sent */
    struct stream_read *read; /* under way for it */
    size_t read_at;           /* its place there */
    uint64_t hash;            /* of org and agent */
    int64_t position;
    int64_t opened_us, wrote_us; /* clock_mono_us(); when the last write began */
    int64_t life_us;             /* from opened_us */
    int64_t expires_s;           /* Unix time: of a JWT; 0: never */
    bool placed;                 /* its client has been told where it is */
    bool writing, again; /* again: there is something to read once the read or write under way is over */
    const char *ending;  /* why it is to reconnect; NULL: it isn't */
    bool farewell;       /* that has been written */
    char *buf;           /* what is being written; NULL: nothing */
    size_t len;
    char key_id[KEY_ID_MAX + 1];
    char agent[AGENT_ID_MAX + 1];
};

struct streams {
    struct worker *worker;
    bool ended;
    size_t n, n_reads;
    int64_t keepalive_us;            /* of silence: a comment; of a write that isn't taken: the end */
    int64_t sweep_at_us, read_at_us; /* no read before that */
    bool checking;
    size_t to_check;                 /* of `all`, whose first was checked the longest ago */
    struct snapshot *keys, *revoked; /* as of the last sweep */
    h2o_linklist_t all, turns;       /* streams; orgs that wait */
    h2o_multithread_queue_t *queue;
    h2o_multithread_receiver_t receiver;
    struct outbox_listener listener;
    pthread_mutex_t lock; /* guards the next three: what the control thread has left here */
    struct outbox_news news;
    bool sent;
    h2o_multithread_message_t message;
    h2o_linklist_t buckets[STREAM_BUCKETS];
    h2o_linklist_t orgs[STREAM_ORG_BUCKETS];
};

/* streams.c */
void stream_free(struct stream *st); /* out of everything; its socket is closed already, or was never there */
void stream_want(struct stream *st); /* there may be something to read */
struct stream_org *streams_org(struct streams *s, const char *org); /* NULL: none */

/* stream_io.c */
void stream_answer(struct stream *st, struct api_request *r); /* sends the head; then it lives */
void stream_close(struct stream *st);                         /* at once */
void stream_end(struct stream *st, const char *why);          /* says so first */
/* False: there is no room in what is being gathered. Only while not writing. */
bool stream_put(struct stream *st, const char *kind, int64_t id, const char *data);
void stream_flush(struct stream *st); /* what has been put */
void stream_comment(struct stream *st, int64_t now_us);

/* stream_read.c */
void streams_read(struct streams *s);       /* for those that wait, as many as may be under way */
void stream_read_forget(struct stream *st); /* it goes while one is under way for it */
void streams_check(struct streams *s);      /* whether there is more for to_check of them than they know */

#endif
