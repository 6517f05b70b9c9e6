/* A numbered stream of a pure state machine (the prober, the ladder): stream_io's events as one call that says which
 * stream and what. Header of the shells alone; one thread at a time. */
#ifndef BERTH_PROBE_STREAM_SHELL_H
#define BERTH_PROBE_STREAM_SHELL_H

#include "probe/stream_io.h"

enum shell_event_kind {
    SHELL_CONNECTED,
    SHELL_SECURED,
    SHELL_UPGRADED,
    SHELL_BYTES,            /* bytes, len */
    SHELL_ENDED,            /* error */
    SHELL_TLS_FAILED,       /* text */
    SHELL_WEBSOCKET_FAILED, /* text */
    SHELL_PROXY_PASSED,     /* text: the authentication, static */
    SHELL_PROXY_FAILED,     /* refused, text */
    SHELL_INTERCEPTED,
    SHELL_ISSUER, /* text */
};

/* As stream_io_events tells it; the pointers are valid for the call. */
struct shell_event {
    enum shell_event_kind kind;
    int64_t now_us; /* but for PROXY_PASSED, INTERCEPTED and ISSUER */
    const uint8_t *bytes;
    size_t len;
    int error;
    bool refused;
    const char *text;
};
typedef void (*shell_event_cb)(void *user, size_t id, const struct shell_event *e);

struct stream_shell {
    size_t id;
    struct stream_io *stream; /* NULL: none, or it could not be opened */
    shell_event_cb cb;
    void *user;
};

void stream_shell_init(struct stream_shell *s, size_t id, shell_event_cb cb, void *user);
/* As stream_io_open, whose rules hold; `s` stays where it is until it is closed. */
int stream_shell_open(struct stream_shell *s, struct sys_poller *poller, SSL_CTX *tls_ctx,
                      const struct stream_io_target *target, int64_t *started_us)
    __attribute__((warn_unused_result));
/* Closed already, or never opened: fine. */
void stream_shell_close(struct stream_shell *s);

#endif
