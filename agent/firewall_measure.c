/* The quick figure of throughput, on a stream of its own. Invariant: whatever happens to the stream, what was seen
 * before it counts. */
#include "firewall_look.h"
#include "firewall_throughput.h"

#include "probe/stream_io.h"
#include "sys/clock.h"

#include <sodium.h>
#include <stdlib.h>

enum { CONNECT_US = 3 * 1000 * 1000 };

struct measure {
    struct throughput t;
    struct stream_io *stream;
    enum transport transport;
    enum framing framing;
    int64_t rtt_us;
    bool ready, over;
};

static void begin(struct measure *m, int64_t now_us)
{
    uint8_t prefix[sizeof m->t.prefix];
    randombytes_buf(prefix, sizeof prefix);
    throughput_begin(&m->t, prefix, m->rtt_us, now_us);
    m->ready = true;
}

/* ---- events of the stream ---- */

static void on_connected(void *user, int64_t now_us)
{
    struct measure *m = user;
    if (m->transport == TRANSPORT_TCP)
        begin(m, now_us);
}

static void on_secured(void *user, int64_t now_us)
{
    struct measure *m = user;
    if (m->framing != FRAMING_WEBSOCKET)
        begin(m, now_us);
}

static void on_upgraded(void *user, int64_t now_us)
{
    begin(user, now_us);
}

static void on_bytes(void *user, const uint8_t *bytes, size_t len, int64_t now_us)
{
    struct measure *m = user;
    if (m->ready && throughput_take(&m->t, bytes, len, now_us) < 0)
        m->over = true;
}

static void on_end(void *user, int error, int64_t now_us)
{
    ((struct measure *)user)->over = true;
}

static void on_failed(void *user, const char *text, int64_t now_us)
{
    ((struct measure *)user)->over = true;
}

static void on_proxy_failed(void *user, bool refused, const char *text, int64_t now_us)
{
    ((struct measure *)user)->over = true;
}

static void on_auth(void *user, const char *auth)
{
}

static void on_intercepted(void *user)
{
}

/* ---- the whole ---- */

static void send_some(struct measure *m)
{
    uint8_t chunk[THROUGHPUT_CHUNK_MAX];
    size_t len;
    int64_t sent;
    while (!m->over && stream_io_backlog(m->stream) == 0 &&
           (len = throughput_next(&m->t, clock_mono_us(), chunk)) > 0) {
        if (stream_io_write(m->stream, chunk, len, &sent) < 0)
            m->over = true;
    }
    m->over = m->over || throughput_over(&m->t, clock_mono_us());
}

/* When there is something to do though nothing happens. */
static int64_t deadline_us(const struct measure *m, const struct curl_loop *curl, int64_t give_up_us)
{
    int64_t until = give_up_us, also = curl ? curl_loop_deadline(curl) : INT64_MAX;
    if (m->ready && stream_io_backlog(m->stream) == 0)
        until = throughput_deadline(&m->t);
    else if (m->ready)
        until = m->t.deadline_us; /* room is an event */
    return also < until ? also : until;
}

static void run(struct measure *m, struct sys_poller *poller, struct curl_loop *curl)
{
    int64_t give_up_us = clock_mono_us() + CONNECT_US;
    while (!m->over && (m->ready || clock_mono_us() < give_up_us)) {
        if (m->ready)
            send_some(m);
        if (m->over)
            break;
        int64_t until = deadline_us(m, curl, give_up_us), now = clock_mono_us();
        sys_wait(sys_poller_fd(poller), until > now ? until - now : 0);
        if (sys_poller_dispatch(poller) < 0)
            break;
        if (curl)
            curl_loop_step(curl, clock_mono_us());
    }
}

static void keep(struct firewall_seen *seen, const struct measure *m)
{
    struct firewall_throughput *f = &seen->throughput;
    if (!m->ready)
        return;
    f->up_bps = throughput_bps(&m->t.up, m->t.rtt_us);
    f->down_bps = throughput_bps(&m->t.down, m->t.rtt_us);
    f->bytes = (int64_t)(m->t.sent_bytes + m->t.received_bytes);
    f->took_us = clock_mono_us() - m->t.began_us;
    f->transport = m->transport;
}

void firewall_measure(struct firewall_seen *seen, struct sys_poller *poller, SSL_CTX *tls_ctx,
                      const struct stream_io_target *target, int64_t rtt_us)
{
    static const struct stream_io_events events = {.connected = on_connected,
                                                   .secured = on_secured,
                                                   .bytes = on_bytes,
                                                   .ended = on_end,
                                                   .tls_failed = on_failed,
                                                   .upgraded = on_upgraded,
                                                   .websocket_failed = on_failed,
                                                   .proxy_passed = on_auth,
                                                   .proxy_failed = on_proxy_failed,
                                                   .intercepted = on_intercepted};
    struct measure m = {.transport = target->transport, .framing = target->framing, .rtt_us = rtt_us};
    int64_t started;
    if (stream_io_open(&m.stream, poller, tls_ctx, target, &events, &m, &started) < 0)
        return;
    run(&m, poller, target->curl);
    stream_io_close(m.stream);
    keep(seen, &m);
}

/* The nearest node that a stream reaches directly. */
static const struct firewall_row *nearest_stream(const struct firewall_seen *seen)
{
    const struct firewall_row *best = NULL;
    for (size_t i = 0; i < seen->n_rows; i++) {
        const struct firewall_row *row = &seen->rows[i];
        bool stream = row->r.transport == TRANSPORT_TCP || row->r.transport == TRANSPORT_TLS;
        if (stream && row->r.status == PROBE_REACHABLE &&
            (!best || row->r.rtt_median_us < best->r.rtt_median_us))
            best = row;
    }
    return best;
}

void firewall_measure_directly(struct firewall_seen *seen, const struct firewall_plan *plan)
{
    const struct firewall_row *row = nearest_stream(seen);
    struct sys_poller *poller = NULL;
    if (!row || sys_poller_new(&poller) < 0)
        return;
    const struct stream_io_target target = {.transport = row->r.transport,
                                            .to = row->to,
                                            .tls_name = plan->list->nodes[row->node].tls_name,
                                            .framing = row->r.framing};
    firewall_tell(plan, "throughput", 1, 0);
    firewall_measure(seen, poller, plan->tls_ctx, &target, row->r.rtt_median_us);
    sys_poller_destroy(poller);
}
