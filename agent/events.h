/* What is to be told to the caller, kept until no lock is held. A bounded FIFO; not thread-safe. */
#ifndef BERTH_AGENT_EVENTS_H
#define BERTH_AGENT_EVENTS_H

#include "berth.h"

#include <stdbool.h>

enum event_kind {
    EVENT_RESULT,
    EVENT_DONE,
    EVENT_DELIVERY,
    EVENT_STATE,
    EVENT_CONNECTION,
    EVENT_STREAM,
    EVENT_CALL,
    EVENT_SSRC_REFUSED,
    EVENT_LOG
};
enum {
    EVENTS_MAX = 8192,
    EVENTS_BYTES_MAX = 4 * 1024 * 1024, /* of the stream's texts; one event has a quarter of a MiB at most */
    EVENTS_KEPT = 32,
    EVENTS_RESERVED = 24, /* each call and connection, the ends of a probe and of a report, and a few more */
    EVENT_NAME = 32,
    EVENT_TEXT = 256
};

struct event {
    enum event_kind kind;
    union {
        struct berth_result result;
        struct berth_summary done;
        struct berth_delivery delivery;
        int state;
        struct {
            struct berth_connection is;
            void (*changed)(void *user, struct berth_agent *agent, const struct berth_connection *c);
            void *user;
        } connection;
        struct {
            uint64_t number;       /* of the following */
            struct berth_event is; /* its texts point into `texts` */
            char *texts;           /* the event's own ... */
            size_t bytes;          /* ... and how long they are */
            void (*event)(void *user, struct berth_agent *agent, const struct berth_event *e);
            void *user;
        } stream;
        struct {
            struct berth_call is;
            void (*changed)(void *user, struct berth_agent *agent, const struct berth_call *c);
            void *user;
        } call;
        struct {
            uint64_t call;
            uint32_t ssrc;
            void (*ssrc_refused)(void *user, struct berth_agent *agent, uint64_t call, uint32_t ssrc);
            void *user;
        } ssrc;
        struct {
            int level;
            char name[EVENT_NAME], text[EVENT_TEXT];
        } log;
    } u;
};

struct events {
    struct event *v;
    size_t head, n, cap;
    size_t bytes;   /* of the texts of those that wait */
    size_t dropped; /* did not fit, or no memory */
};

/* Takes the memory that the queue keeps until events_close: EVENTS_KEPT events find room without more, the last
 * EVENTS_RESERVED of them only what must be told: the ends of probes and reports, and the states of connections and
 * calls. 0, or -ENOMEM. */
int events_open(struct events *q) __attribute__((warn_unused_result));
void events_close(struct events *q); /* also of one that is zeroed */
/* The new last event, zeroed, or NULL: dropped. */
struct event *events_push(struct events *q, enum event_kind kind);
/* Takes the first one. */
int events_pop(struct events *q, struct event *out); /* 1, or 0: none */
/* Copies an event of the stream, with its texts. False: no room or memory, and nothing was kept. */
bool events_push_stream(struct events *q, uint64_t number, const struct berth_event *is);
void event_clear(struct event *e); /* of one that was popped */
void event_tell(const struct event *e, const struct berth_callbacks *cb, void *user,
                struct berth_agent *agent);

#endif
