/* The open streams of one worker (GET /v1/stream): each a socket and a position in its agent's outbox. None holds a
 * database connection, a request or, while it is idle, a buffer. Everything here runs on the worker's thread. */
#ifndef BERTH_CONTROLLER_STREAMS_H
#define BERTH_CONTROLLER_STREAMS_H

#include "api.h"

enum {
    STREAM_QUEUE_MAX = 64 * 1024,      /* bytes of one stream that are under way; holds the largest event */
    STREAM_READ_EVENTS = 8,            /* read at once for one stream */
    STREAM_READ_STREAMS = 64,          /* of one org, with one statement */
    STREAM_READS_MAX = 16,             /* under way */
    STREAM_READ_RETRY_US = 500 * 1000, /* after a read that failed */
    STREAM_SNDBUF = 64 * 1024,         /* what the kernel may hold besides */
    STREAM_SWEEP_US = 1000 * 1000,
    STREAM_CHECK_US = 5 * 1000 * 1000, /* within that every agent is looked for, in case news were lost */
    STREAM_CHECK_MAX = 1000,           /* agents of one such look */
    STREAM_LIFE_S = 3600,     /* then it is asked to reconnect, which spreads streams over controllers */
    STREAMS_OF_AGENT_MAX = 4, /* one more replaces the oldest */
    STREAM_SPREAD_MS = 5000,  /* within that who is told to reconnect should */
};

/* Where an agent's stream begins. */
enum { STREAM_FROM_NOW = -1 };
struct stream_start {
    const char *agent;
    int64_t position; /* of Last-Event-ID; STREAM_FROM_NOW: none */
};

struct streams;
int streams_new(struct streams **out, struct worker *w, h2o_multithread_queue_t *queue)
    __attribute__((warn_unused_result));
/* Tells all that they should reconnect, and takes no more. */
void streams_end(struct streams *s);
/* Ends what is left. Reads under way are still to be answered, so this comes before the database's end, and
 * streams_destroy after. */
void streams_close(struct streams *s);
void streams_destroy(struct streams *s); /* NULL is fine */

/* Now and then. */
void streams_turn(struct streams *s, int64_t now_us);

/* Answers the request: with a stream, or 503 where there are too many. */
void streams_open(struct streams *s, struct api_request *r, const struct stream_start *from);

#endif
