/* stream_io's events, handed on with the stream's number. Invariant: an event comes only between stream_shell_open
 * and stream_shell_close. */
#include "probe/stream_shell.h"

static void tell(void *user, const struct shell_event *e)
{
    const struct stream_shell *s = user;
    s->cb(s->user, s->id, e);
}

static void on_connected(void *user, int64_t now_us)
{
    tell(user, &(struct shell_event){.kind = SHELL_CONNECTED, .now_us = now_us});
}

static void on_secured(void *user, int64_t now_us)
{
    tell(user, &(struct shell_event){.kind = SHELL_SECURED, .now_us = now_us});
}

static void on_upgraded(void *user, int64_t now_us)
{
    tell(user, &(struct shell_event){.kind = SHELL_UPGRADED, .now_us = now_us});
}

static void on_bytes(void *user, const uint8_t *bytes, size_t len, int64_t now_us)
{
    tell(user, &(struct shell_event){.kind = SHELL_BYTES, .now_us = now_us, .bytes = bytes, .len = len});
}

static void on_ended(void *user, int error, int64_t now_us)
{
    tell(user, &(struct shell_event){.kind = SHELL_ENDED, .now_us = now_us, .error = error});
}

static void on_tls_failed(void *user, const char *text, int64_t now_us)
{
    tell(user, &(struct shell_event){.kind = SHELL_TLS_FAILED, .now_us = now_us, .text = text});
}

static void on_websocket_failed(void *user, const char *text, int64_t now_us)
{
    tell(user, &(struct shell_event){.kind = SHELL_WEBSOCKET_FAILED, .now_us = now_us, .text = text});
}

static void on_proxy_passed(void *user, const char *auth)
{
    tell(user, &(struct shell_event){.kind = SHELL_PROXY_PASSED, .text = auth});
}

static void on_proxy_failed(void *user, bool refused, const char *text, int64_t now_us)
{
    tell(user, &(struct shell_event){
                   .kind = SHELL_PROXY_FAILED, .now_us = now_us, .refused = refused, .text = text});
}

static void on_intercepted(void *user)
{
    tell(user, &(struct shell_event){.kind = SHELL_INTERCEPTED});
}

static void on_issuer(void *user, const char *name)
{
    tell(user, &(struct shell_event){.kind = SHELL_ISSUER, .text = name});
}

void stream_shell_init(struct stream_shell *s, size_t id, shell_event_cb cb, void *user)
{
    *s = (struct stream_shell){.id = id, .cb = cb, .user = user};
}

int stream_shell_open(struct stream_shell *s, struct sys_poller *poller, SSL_CTX *tls_ctx,
                      const struct stream_io_target *target, int64_t *started_us)
{
    static const struct stream_io_events events = {
        .connected = on_connected,
        .secured = on_secured,
        .bytes = on_bytes,
        .ended = on_ended,
        .tls_failed = on_tls_failed,
        .upgraded = on_upgraded,
        .websocket_failed = on_websocket_failed,
        .proxy_passed = on_proxy_passed,
        .proxy_failed = on_proxy_failed,
        .intercepted = on_intercepted,
        .issuer = on_issuer,
    };
    return stream_io_open(&s->stream, poller, tls_ctx, target, &events, s, started_us);
}

void stream_shell_close(struct stream_shell *s)
{
    stream_io_close(s->stream);
    s->stream = NULL;
}
