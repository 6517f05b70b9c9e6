/* The queue of callbacks to be made. Invariant: v[head .. head+n) are the events in the order in which they happened. */
#include "events.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int events_open(struct events *q)
{
    *q = (struct events){.v = malloc(EVENTS_KEPT * sizeof *q->v), .cap = EVENTS_KEPT};
    return q->v ? 0 : -ENOMEM;
}

void events_close(struct events *q)
{
    for (size_t i = 0; i < q->n; i++)
        event_clear(&q->v[q->head + i]);
    free(q->v);
    *q = (struct events){.dropped = q->dropped};
}

static void grow(struct events *q)
{
    size_t cap = q->cap * 2;
    struct event *v = cap <= EVENTS_MAX ? realloc(q->v, cap * sizeof *v) : NULL;
    if (!v)
        return;
    q->v = v;
    q->cap = cap;
}

/* What a burst took is given back. */
static void shrink(struct events *q)
{
    struct event *v = q->cap > EVENTS_KEPT ? realloc(q->v, EVENTS_KEPT * sizeof *v) : NULL;
    q->head = 0;
    if (!v)
        return;
    q->v = v;
    q->cap = EVENTS_KEPT;
}

_Static_assert(EVENTS_RESERVED > BERTH_CALLS_MAX + BERTH_CONNECTIONS_MAX + 2, "one of each");

static bool must_be_told(enum event_kind kind)
{
    return kind == EVENT_DONE || kind == EVENT_DELIVERY || kind == EVENT_CONNECTION || kind == EVENT_CALL;
}

static bool make_room(struct events *q, enum event_kind kind)
{
    size_t wanted = q->n + (must_be_told(kind) ? 1 : 1 + EVENTS_RESERVED);
    if (q->head > 0 && q->head + q->n == q->cap) {
        memmove(q->v, q->v + q->head, q->n * sizeof *q->v);
        q->head = 0;
    }
    if (wanted > q->cap)
        grow(q);
    return wanted <= q->cap;
}

struct event *events_push(struct events *q, enum event_kind kind)
{
    if (!make_room(q, kind)) {
        q->dropped++;
        return NULL;
    }
    struct event *e = &q->v[q->head + q->n++];
    memset(e, 0, sizeof *e);
    e->kind = kind;
    return e;
}

int events_pop(struct events *q, struct event *out)
{
    if (q->n == 0)
        return 0;
    *out = q->v[q->head++];
    if (out->kind == EVENT_STREAM)
        q->bytes -= out->u.stream.bytes;
    if (--q->n == 0)
        shrink(q);
    return 1;
}

/* `name`, `data` and `detail`, one behind the other. */
bool events_push_stream(struct events *q, uint64_t number, const struct berth_event *is)
{
    size_t name = strlen(is->name) + 1, data = strlen(is->data) + 1, detail = strlen(is->detail) + 1;
    size_t bytes = name + data + detail;
    char *texts = bytes <= EVENTS_BYTES_MAX - q->bytes ? malloc(bytes) : NULL;
    struct event *e = texts ? events_push(q, EVENT_STREAM) : NULL;
    if (!e) {
        free(texts);
        return false;
    }
    e->u.stream.number = number;
    e->u.stream.is = *is;
    e->u.stream.texts = texts;
    e->u.stream.bytes = bytes;
    q->bytes += bytes;
    e->u.stream.is.name = memcpy(texts, is->name, name);
    e->u.stream.is.data = memcpy(texts + name, is->data, data);
    e->u.stream.is.detail = memcpy(texts + name + data, is->detail, detail);
    return true;
}

void event_clear(struct event *e)
{
    if (e->kind == EVENT_STREAM)
        free(e->u.stream.texts);
}

void event_tell(const struct event *e, const struct berth_callbacks *cb, void *user,
                struct berth_agent *agent)
{
    switch (e->kind) {
    case EVENT_RESULT:
        if (cb->result)
            cb->result(user, agent, &e->u.result);
        break;
    case EVENT_DONE:
        if (cb->done)
            cb->done(user, agent, &e->u.done);
        break;
    case EVENT_DELIVERY:
        if (cb->delivery)
            cb->delivery(user, agent, &e->u.delivery);
        break;
    case EVENT_STATE:
        if (cb->state)
            cb->state(user, agent, e->u.state);
        break;
    case EVENT_CONNECTION:
        e->u.connection.changed(e->u.connection.user, agent, &e->u.connection.is);
        break;
    case EVENT_STREAM:
        if (e->u.stream.event)
            e->u.stream.event(e->u.stream.user, agent, &e->u.stream.is);
        break;
    case EVENT_CALL:
        e->u.call.changed(e->u.call.user, agent, &e->u.call.is);
        break;
    case EVENT_SSRC_REFUSED:
        e->u.ssrc.ssrc_refused(e->u.ssrc.user, agent, e->u.ssrc.call, e->u.ssrc.ssrc);
        break;
    case EVENT_LOG:
        if (cb->log)
            cb->log(user, agent, e->u.log.level, e->u.log.name, e->u.log.text);
        break;
    }
}
