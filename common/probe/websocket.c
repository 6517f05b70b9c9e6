/* A WebSocket client: the upgrade by hand, the frames by wslay. Invariant: no payload is given out or taken before the
 * peer has proved that it speaks WebSocket, and no buffer here grows beyond its limit. */
#include "probe/websocket.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <wslay/wslay.h>

struct websocket {
    wslay_event_context_ptr frames;
    char key[WEBSOCKET_KEY_LEN + 1];
    bool ready;
    char head[WEBSOCKET_HEAD_MAX + 1]; /* of the answer, as far as it has come */
    size_t head_len;
    const uint8_t *fed; /* during websocket_feed */
    size_t n_fed;
    uint8_t out[WEBSOCKET_OUT_MAX], in[WEBSOCKET_IN_MAX];
    size_t n_out, n_in;
    bool overflow; /* of out or in */
    char error[WEBSOCKET_ERROR_TEXT];
};

/* ---- wslay's callbacks ---- */

static ssize_t take_fed(wslay_event_context_ptr ctx, uint8_t *buf, size_t len, int flags, void *user)
{
    struct websocket *w = user;
    size_t n = len < w->n_fed ? len : w->n_fed;
    if (n == 0) {
        wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    memcpy(buf, w->fed, n);
    w->fed += n;
    w->n_fed -= n;
    return (ssize_t)n;
}

static ssize_t put_out(wslay_event_context_ptr ctx, const uint8_t *bytes, size_t len, int flags, void *user)
{
    struct websocket *w = user;
    if (len > sizeof w->out - w->n_out) {
        w->overflow = true;
        wslay_event_set_error(ctx, WSLAY_ERR_CALLBACK_FAILURE);
        return -1;
    }
    memcpy(w->out + w->n_out, bytes, len);
    w->n_out += len;
    return (ssize_t)len;
}

/* Masks need not be secret from the network here, but unpredictable to whoever chose the payload (RFC 6455 10.3). */
static int make_mask(wslay_event_context_ptr ctx, uint8_t *buf, size_t len, void *user)
{
    randombytes_buf(buf, len);
    return 0;
}

static void take_message(wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *m, void *user)
{
    struct websocket *w = user;
    if (wslay_is_ctrl_frame(m->opcode))
        return;
    if (m->opcode != WSLAY_BINARY_FRAME || m->msg_length > sizeof w->in - w->n_in) {
        w->overflow = true;
        return;
    }
    if (m->msg_length > 0) /* wslay has no bytes for an empty one */
        memcpy(w->in + w->n_in, m->msg, m->msg_length);
    w->n_in += m->msg_length;
}

/* ---- life ---- */

static void write_request(struct websocket *w, const char *host)
{
    uint8_t nonce[WEBSOCKET_KEY_BYTES];
    randombytes_buf(nonce, sizeof nonce);
    sodium_bin2base64(w->key, sizeof w->key, nonce, sizeof nonce, sodium_base64_VARIANT_ORIGINAL);
    int n = snprintf((char *)w->out, sizeof w->out,
                     "GET " WEBSOCKET_PATH " HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n"
                     "Sec-WebSocket-Protocol: " WEBSOCKET_PROTOCOL "\r\nUser-Agent: berth/" BERTH_VERSION
                     "\r\n\r\n",
                     host, w->key);
    w->n_out = (size_t)n;
}

int websocket_new(struct websocket **out, const char *host)
{
    static const struct wslay_event_callbacks callbacks = {.recv_callback = take_fed,
                                                           .send_callback = put_out,
                                                           .genmask_callback = make_mask,
                                                           .on_msg_recv_callback = take_message};
    if (host[0] == '\0' || strlen(host) > 300 || strpbrk(host, "\r\n \t"))
        return -EINVAL;
    struct websocket *w = calloc(1, sizeof *w);
    if (!w)
        return -ENOMEM;
    if (wslay_event_context_client_init(&w->frames, &callbacks, w) != 0) {
        free(w);
        return -ENOMEM;
    }
    wslay_event_config_set_max_recv_msg_length(w->frames, WEBSOCKET_MESSAGE_MAX);
    write_request(w, host);
    *out = w;
    return 0;
}

void websocket_destroy(struct websocket *w)
{
    if (!w)
        return;
    wslay_event_context_free(w->frames);
    free(w);
}

/* ---- the upgrade ---- */

static int fail(struct websocket *w, int err, const char *text)
{
    snprintf(w->error, sizeof w->error, "%s", text);
    return err;
}

/* The trimmed value of the header that this line is, where it has that name. */
static bool header_is(const char *line, size_t len, const char *name, const char **value, size_t *value_len)
{
    size_t n = strlen(name);
    if (len <= n || line[n] != ':' || strncasecmp(line, name, n) != 0)
        return false;
    line += n + 1;
    len -= n + 1;
    while (len > 0 && (*line == ' ' || *line == '\t')) {
        line++;
        len--;
    }
    while (len > 0 && (line[len - 1] == ' ' || line[len - 1] == '\t'))
        len--;
    *value = line;
    *value_len = len;
    return true;
}

static bool same_word(const char *value, size_t len, const char *word)
{
    return len == strlen(word) && strncasecmp(value, word, len) == 0;
}

/* Is `word` among the comma-separated tokens? */
static bool has_token(const char *value, size_t len, const char *word)
{
    const char *end = value + len;
    while (value < end) {
        const char *comma = memchr(value, ',', (size_t)(end - value));
        const char *stop = comma ? comma : end, *last = stop;
        while (value < last && (*value == ' ' || *value == '\t'))
            value++;
        while (last > value && (last[-1] == ' ' || last[-1] == '\t'))
            last--;
        if (same_word(value, (size_t)(last - value), word))
            return true;
        value = stop + 1;
    }
    return false;
}

/* RFC 6455 4.1: what the client must check of the answer. */
static int check_head(struct websocket *w, const char *end)
{
    char accept[WEBSOCKET_ACCEPT_LEN + 1];
    bool upgrade = false, connection = false, accepted = false, protocol = false, extra = false;
    const char *line = strstr(w->head, "\r\n"), *value;
    size_t len;
    if (strncmp(w->head, "HTTP/1.1 ", 9) != 0)
        return fail(w, -EPROTO, "the peer speaks no HTTP");
    if (strncmp(w->head + 9, "101", 3) != 0) {
        snprintf(w->error, sizeof w->error, "no WebSocket there: HTTP %.3s", w->head + 9);
        return -EPROTO;
    }
    websocket_accept(w->key, accept);
    for (line += 2; line < end; line = strstr(line, "\r\n") + 2) {
        size_t n = (size_t)(strstr(line, "\r\n") - line);
        if (header_is(line, n, "Upgrade", &value, &len))
            upgrade = same_word(value, len, "websocket");
        else if (header_is(line, n, "Connection", &value, &len))
            connection = has_token(value, len, "upgrade");
        else if (header_is(line, n, "Sec-WebSocket-Accept", &value, &len))
            accepted = len == WEBSOCKET_ACCEPT_LEN && memcmp(value, accept, len) == 0;
        else if (header_is(line, n, "Sec-WebSocket-Protocol", &value, &len))
            protocol = len == strlen(WEBSOCKET_PROTOCOL) && memcmp(value, WEBSOCKET_PROTOCOL, len) == 0;
        else if (header_is(line, n, "Sec-WebSocket-Extensions", &value, &len))
            extra = true;
    }
    if (!upgrade || !connection || !accepted || !protocol || extra)
        return fail(w, -EPROTO, "the peer's WebSocket handshake is not right");
    w->ready = true;
    return 0;
}

/* Takes from the fed bytes up to the end of the head. */
static int take_head(struct websocket *w)
{
    while (!w->ready && w->n_fed > 0) {
        if (w->head_len == WEBSOCKET_HEAD_MAX)
            return fail(w, -EPROTO, "the answer's head is too long");
        if (*w->fed == '\0')
            return fail(w, -EPROTO, "the peer speaks no HTTP");
        w->head[w->head_len++] = (char)*w->fed++;
        w->n_fed--;
        if (w->head_len >= 4 && memcmp(w->head + w->head_len - 4, "\r\n\r\n", 4) == 0) {
            w->head[w->head_len] = '\0';
            return check_head(w, w->head + w->head_len - 2);
        }
    }
    return 0;
}

/* ---- the frames ---- */

int websocket_feed(struct websocket *w, const uint8_t *bytes, size_t len)
{
    w->fed = bytes;
    w->n_fed = len;
    int err = take_head(w);
    if (err < 0 || !w->ready)
        return err;
    int got = wslay_event_recv(w->frames);
    if (got == 0 && !w->overflow)
        got = wslay_event_send(w->frames); /* pongs, the answer to a close */
    w->fed = NULL;
    w->n_fed = 0;
    if (w->overflow)
        return fail(w, -EPROTO, "the peer sends more than is wanted");
    if (got == WSLAY_ERR_NOMEM)
        return fail(w, -ENOMEM, "out of memory");
    if (wslay_event_get_close_received(w->frames))
        return fail(w, -ECONNRESET, "WebSocket closed by the peer");
    return got == 0 && wslay_event_get_read_enabled(w->frames)
               ? 0
               : fail(w, -EPROTO, "the peer's WebSocket frames are broken");
}

bool websocket_ready(const struct websocket *w)
{
    return w->ready;
}

size_t websocket_read(struct websocket *w, uint8_t *buf, size_t cap)
{
    size_t n = cap < w->n_in ? cap : w->n_in;
    memcpy(buf, w->in, n);
    memmove(w->in, w->in + n, w->n_in - n);
    w->n_in -= n;
    return n;
}

int websocket_write(struct websocket *w, const uint8_t *bytes, size_t len)
{
    struct wslay_event_msg m = {.opcode = WSLAY_BINARY_FRAME, .msg = bytes, .msg_length = len};
    if (!w->ready || len + 14 > sizeof w->out - w->n_out)
        return -ENOBUFS;
    if (wslay_event_queue_msg(w->frames, &m) != 0)
        return -ENOMEM;
    return wslay_event_send(w->frames) == 0 ? 0 : -ENOBUFS;
}

size_t websocket_output(const struct websocket *w, const uint8_t **bytes)
{
    *bytes = w->out;
    return w->n_out;
}

void websocket_sent(struct websocket *w, size_t len)
{
    memmove(w->out, w->out + len, w->n_out - len);
    w->n_out -= len;
}

const char *websocket_error(const struct websocket *w)
{
    return w->error;
}
