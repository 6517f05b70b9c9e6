/* One stream on its socket. Invariant: at most one write is outstanding, of at most STREAM_QUEUE_MAX bytes, and
 * while it is nothing is gathered or read; who has gone is noticed by reading, which goes on until the stream is
 * told to end. */
#include "streams_internal.h"

#include "sys/clock.h"

#include <assert.h>
#include <h2o/http1.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char comment[] = ":\n\n";

void stream_close(struct stream *st)
{
    h2o_socket_t *sock = st->sock;

    st->sock = NULL;
    stream_free(st);
    if (sock != NULL) {
        h2o_socket_read_stop(sock);
        h2o_socket_close(sock);
    }
}

/* ---- writing ---- */

static void read_on(struct stream *st)
{
    struct streams *s = st->streams;

    stream_want(st);
    streams_read(s);
}

static void on_written(h2o_socket_t *sock, const char *err)
{
    struct stream *st = sock->data;

    st->writing = false;
    free(st->buf);
    st->buf = NULL;
    st->len = 0;
    if (err != NULL || st->farewell)
        stream_close(st);
    else if (st->ending != NULL)
        stream_end(st, st->ending);
    else if (st->again)
        read_on(st);
}

static void write_out(struct stream *st, const char *bytes, size_t len)
{
    h2o_iovec_t v = {.base = (char *)(uintptr_t)bytes, .len = len};

    st->writing = true;
    st->wrote_us = clock_mono_us();
    h2o_socket_write(st->sock, &v, 1, on_written);
}

/* Room for so many bytes more; NULL: none. */
static char *reserve(struct stream *st, size_t len)
{
    char *grown;

    if (len > STREAM_QUEUE_MAX - st->len)
        return NULL;
    grown = realloc(st->buf, st->len + len);
    if (grown == NULL)
        return NULL;
    st->buf = grown;
    return grown + st->len;
}

bool stream_put(struct stream *st, const char *kind, int64_t id, const char *data)
{
    char head[128];
    size_t n = 0, data_len = data != NULL ? strlen(data) : 0;
    char *p;

    assert(!st->writing);
    if (kind != NULL)
        n += (size_t)snprintf(head, sizeof(head), "event: %.32s\n", kind);
    if (id >= 0)
        n += (size_t)snprintf(head + n, sizeof(head) - n, "id: %" PRId64 "\n", id);
    if (data != NULL)
        n += (size_t)snprintf(head + n, sizeof(head) - n, "data: ");
    p = reserve(st, n + data_len + 2);
    if (p == NULL)
        return false;
    memcpy(p, head, n);
    memcpy(p + n, data != NULL ? data : "", data_len);
    p[n + data_len] = '\n'; /* of the last field */
    st->len += n + data_len + 1;
    if (data != NULL) {
        p[n + data_len + 1] =
            '\n'; /* the empty line: without data, the last field's newline has been written */
        st->len++;
    }
    return true;
}

void stream_flush(struct stream *st)
{
    if (st->len > 0 && !st->writing && st->sock != NULL)
        write_out(st, st->buf, st->len);
}

void stream_comment(struct stream *st, int64_t now_us)
{
    if (st->writing || st->read != NULL || st->sock == NULL ||
        now_us - st->wrote_us < st->streams->keepalive_us)
        return;
    write_out(st, comment, sizeof(comment) - 1);
}

void stream_end(struct stream *st, const char *why)
{
    char data[96];

    st->ending = why;
    if (st->sock != NULL) /* a shutdown for reading must not overtake what is to be said */
        h2o_socket_read_stop(st->sock);
    if (st->sock == NULL || st->writing)
        return; /* its end will come back here */
    snprintf(data, sizeof(data), "{\"reason\":\"%s\",\"within_ms\":%d}", why, STREAM_SPREAD_MS);
    st->farewell = true;
    if (stream_put(st, "reconnect", -1, data))
        stream_flush(st);
    else
        stream_close(st);
}

/* ---- reading: nothing is to come but the end ---- */

static void on_readable(h2o_socket_t *sock, const char *err)
{
    if (err != NULL)
        stream_close(sock->data);
    else
        h2o_buffer_consume(&sock->input, sock->input->size);
}

/* ---- beginning ---- */

static void on_answered(void *user, h2o_socket_t *sock, size_t request_len)
{
    struct stream *st = user;
    int room = STREAM_SNDBUF;

    st->writing = false;
    st->sock = sock;
    if (sock == NULL) {
        stream_close(st);
        return;
    }
    (void)request_len; /* with whatever came behind it */
    h2o_buffer_consume(&sock->input, sock->input->size);
    sock->data = st;
    (void)setsockopt(h2o_socket_get_fd(sock), SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    h2o_socket_read_start(sock, on_readable);
    if (st->ending != NULL)
        stream_end(st, st->ending);
    else
        read_on(st);
}

void stream_answer(struct stream *st, struct api_request *r)
{
    api_header(r, "content-type", "text/event-stream");
    api_header(r, "cache-control", "no-store");
    api_header(r, "x-accel-buffering", "no"); /* a proxy in front must not gather */
    api_answered(r, 200);
    r->req->res.status = 200;
    r->req->res.reason = "OK";
    st->writing = true;
    h2o_http1_upgrade(r->req, NULL, 0, on_answered, st); /* what follows ends with the connection */
}
