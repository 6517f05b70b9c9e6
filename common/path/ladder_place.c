/* One address of a ladder on its way from the connect to the answer. Invariant: a place has a stream from the OPEN
 * that it was given to the CLOSE, and an ended one sends nothing and says why it ended. */
#include "path/ladder_internal.h"

#include <stdio.h>

const struct ladder_outcome place_untried = {.began_us = NOT_MEASURED,
                                             .answered_us = NOT_MEASURED,
                                             .connect_us = NOT_MEASURED,
                                             .tls_us = NOT_MEASURED,
                                             .stun_us = NOT_MEASURED};

static void release_stream(struct place *p)
{
    p->open_due = false;
    p->close_due = p->has_stream;
    p->send_us = p->silent_us = PROBER_NEVER;
}

void place_end(struct place *p, const char *why)
{
    release_stream(p);
    p->state = PLACE_ENDED;
    snprintf(p->out.why, sizeof p->out.why, "%s", why);
}

void place_set_aside(struct place *p, const char *why)
{
    place_end(p, why);
    p->set_aside = true;
}

void place_reopen(struct place *p)
{
    p->set_aside = false;
    p->by_name = false;
    p->attempt++;
    p->state = PLACE_IDLE;
    p->out = place_untried;
}

static void connect_place(struct place *p)
{
    p->state = PLACE_CONNECTING;
    p->open_due = true;
    p->len = 0;
    p->out.connect_us = p->out.tls_us = NOT_MEASURED;
}

void place_begin(struct place *p, int64_t now_us)
{
    p->out.begun = true;
    p->out.began_us = now_us;
    p->out.framing = p->is.websocket && place_is_secure(p) ? FRAMING_WEBSOCKET : FRAMING_STUN;
    if (place_is_stream(p)) {
        connect_place(p);
    } else {
        p->state = PLACE_ASKING;
        p->send_us = now_us;
    }
}

void place_ask(struct place *p, int64_t framing_us, int64_t now_us)
{
    p->state = PLACE_ASKING;
    p->send_us = now_us;
    if (place_is_secure(p) && p->out.framing == FRAMING_STUN)
        p->silent_us = now_us + framing_us;
}

void place_again(struct place *p)
{
    release_stream(p);
    connect_place(p);
}

bool place_fail(struct place *p, enum probe_status status, const char *why)
{
    if (p->state == PLACE_ASKING && place_is_secure(p) && p->out.framing == FRAMING_STUN) {
        p->out.framing = FRAMING_WEBSOCKET;
        place_again(p);
        return false;
    }
    /* Whatever ends a connection in the middle of the handshake denies TLS, not TCP: that was there. */
    if (p->state == PLACE_SECURING && status == PROBE_REFUSED)
        status = PROBE_TLS_ERROR;
    if (p->state == PLACE_CONNECTING && p->is.transport == TRANSPORT_PROXY && status != PROBE_UNTESTED)
        status = PROBE_PROXY_ERROR;
    p->out.status = status;
    if (p->state == PLACE_LEADING) {
        char then[PROBER_ERROR_TEXT];
        snprintf(then, sizeof then, "answered, and then: %.*s", (int)sizeof then - 32, why);
        place_end(p, then);
    } else {
        place_end(p, why);
    }
    return true;
}

static const char *silence(const struct place *p)
{
    switch (p->state) {
    case PLACE_CONNECTING:
        return p->is.transport == TRANSPORT_PROXY ? "the proxy does not answer"
                                                  : "no answer to the TCP connect";
    case PLACE_SECURING:
        return "no answer to the TLS handshake";
    case PLACE_UPGRADING:
        return "no answer to the WebSocket upgrade";
    default:
        return "no answer to STUN";
    }
}

void place_time_out(struct place *p)
{
    p->out.status = p->state == PLACE_CONNECTING && p->is.transport == TRANSPORT_PROXY ? PROBE_PROXY_ERROR
                                                                                       : PROBE_TIMEOUT;
    place_end(p, silence(p));
}

void place_name(const struct place *p, const char *before, const char *after,
                char out[static PROBER_ERROR_TEXT])
{
    char address[ADDR_TEXT_LEN];
    snprintf(out, PROBER_ERROR_TEXT, "%s%s %s%s", before, transport_name(p->is.transport),
             addr_format(&p->is.to, address), after);
}
