/* Server-sent events (text/event-stream; WHATWG HTML 9.2.6): bytes in as they come, events out. Pure. */
#ifndef BERTH_CORE_SSE_H
#define BERTH_CORE_SSE_H

#include <stdbool.h>
#include <stddef.h>

enum {
    SSE_NAME_MAX = 63,
    SSE_ID_MAX = 63,
};

/* An event with data; valid during the callback. False: it can't be taken, and the stream is at its end. */
struct sse_event {
    const char *name; /* "message" where none is said */
    const char *id;   /* the last one that was said, with this event or before; "" */
    const char *data;
};
typedef bool sse_event_cb(void *user, const struct sse_event *e);

struct sse {
    char *buf;  /* the caller's: the event's data so far, and behind it the line under way */
    size_t cap; /* what an event and a line may have together, and a byte */
    size_t data_len, line_len;
    bool begun, after_cr, has_data;
    char name[SSE_NAME_MAX + 1];
    char id[SSE_ID_MAX + 1];      /* as the lines say */
    char last_id[SSE_ID_MAX + 1]; /* of what has been taken: where to resume */
};

void sse_init(struct sse *s, char *buf, size_t cap);
/* 0; -EMSGSIZE (there is no room), -ECANCELED (the callback): then there is nothing more to feed. */
int sse_feed(struct sse *s, const char *bytes, size_t len, sse_event_cb *cb, void *user)
    __attribute__((warn_unused_result));

#endif
