/* Media load. Invariant: a packet is due when the schedule says so and stamped with that, however late it leaves;
 * none is sent before every leg is up. */
#include "media_load.h"

#include "path/ladder_io.h"
#include "process_memory.h"
#include "schedule.h"
#include "sys/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    UP_US = 30 * 1000 * 1000,        /* for all sessions */
    STEP_US = 2000,                  /* between two looks at every leg */
    BURST = 64,                      /* packets that are due leave before what has come is read */
    WARM_US = 100 * 1000,            /* between packets of before */
    WARM_MOST_US = 20 * 1000 * 1000, /* until all hear all: nodes may have to join each other first */
    UNCOUNTED_US = 500 * 1000,       /* at first */
    DRAIN_QUIET_US = 2 * 1000 * 1000,
    DRAIN_MOST_US = 5 * 1000 * 1000,
    OVERTIME_US = 2 * 1000 * 1000, /* for what was due within the time and is late */
    PROGRESS_US = 1000 * 1000,
    LEVEL_LOUDEST = 20, /* audio levels (RFC 6464) of a meeting's legs, in turn */
    LEVELS = 100,
};

struct load_leg {
    struct load *load;
    size_t index;
    bool lost;
    struct ladder_io *io; /* NULL: keyed */
    struct keyed_leg keyed;
};

/* What the legs count themselves, all together, from when they are up. */
struct leg_counts {
    int64_t gaps, refused;
};

struct load {
    const struct media_load_opts *o;
    struct media_load_result *out;
    size_t n;
    struct load_leg *legs;
    struct media_tally *tally;
    struct schedule due[MEDIA_KINDS];
    struct sys_poller *poller;
    struct curl_loop *curl;
    int64_t step_us, progress_us, began_us, heard_us;
    uint64_t heard, heard_bytes, sent;
    struct leg_counts before; /* anything was measured */
    bool counting, cpu_known;
};

/* ---- legs ---- */

static void on_packet(void *user, const uint8_t *bytes, size_t len, bool rtcp, int64_t now_us)
{
    struct load_leg *leg = user;
    struct load *l = leg->load;
    struct media_stamp s;
    if (rtcp)
        return;
    if (media_packet_read(&s, bytes, len) < 0)
        s.leg = UINT32_MAX;
    if (!media_tally_heard(l->tally, leg->index, &s))
        return;
    l->heard++;
    l->heard_bytes += len;
    l->heard_us = now_us;
    histogram_add(&l->out->latency, now_us - s.due_us);
}

static int open_leg(struct load *l, struct load_leg *leg)
{
    if (l->o->keyed)
        return keyed_leg_open(&leg->keyed, l->poller, &l->o->keyed[leg->index], on_packet, leg);
    const struct media_assignment *a = &l->o->assigned[leg->index];
    const struct media_leg_plan media = {.grant = a->grant,
                                         .audio_level_ext = MEDIA_PACKET_LEVEL_EXT,
                                         .suites = l->o->suites,
                                         .consent_us = MEDIA_CONSENT_MS * 1000};
    struct ladder_io_plan plan = {.places = a->places,
                                  .n_places = a->n,
                                  .keepalive_us = MEDIA_CONSENT_MS * 1000,
                                  .media = &media,
                                  .packet = on_packet,
                                  .user = leg};
    ladder_policy_init(&plan.policy);
    return ladder_io_new(&leg->io, l->poller, l->o->tls_ctx, l->curl, &plan);
}

static void describe(const struct load *l, const struct load_leg *leg, char why[static MEDIA_LOAD_TEXT])
{
    struct ladder_outcome outcome = {0};
    const char *text = ladder_io_why(leg->io);
    if (text[0] == '\0') {
        ladder_outcome(ladder_io_ladder(leg->io), 0, &outcome);
        text = outcome.why;
    }
    snprintf(why, MEDIA_LOAD_TEXT, "leg %zu on %s: %s", leg->index + 1, l->o->assigned[leg->index].node,
             text);
}

static bool leg_is_up(const struct load_leg *leg)
{
    struct media_leg_figures f;
    if (!leg->io)
        return true;
    if (!ladder_io_leg(leg->io))
        return false;
    media_leg_figures(ladder_io_leg(leg->io), clock_mono_us(), &f);
    return f.answered > 0; /* until then the node sends it nothing */
}

static struct leg_counts leg_counts(const struct load *l)
{
    struct leg_counts sum = {0};
    struct media_leg_figures f;
    for (size_t i = 0; i < l->n; i++) {
        const struct load_leg *leg = &l->legs[i];
        if (!leg->io) {
            sum.gaps += reception_lost(&leg->keyed.reception);
            sum.refused += (int64_t)leg->keyed.refused;
        } else if (ladder_io_leg(leg->io)) {
            media_leg_figures(ladder_io_leg(leg->io), clock_mono_us(), &f);
            sum.gaps += f.packets_lost;
            sum.refused += f.packets_refused;
        }
    }
    return sum;
}

/* All that is due on every leg. */
static void step_legs(struct load *l, int64_t now_us)
{
    if (now_us < l->step_us)
        return;
    l->step_us = now_us + STEP_US;
    for (size_t i = 0; i < l->n; i++) {
        struct load_leg *leg = &l->legs[i];
        if (!leg->io || leg->lost)
            continue;
        enum ladder_io_state state = ladder_io_step(leg->io);
        if (state != LADDER_IO_FAILED && state != LADDER_IO_LOST && state != LADDER_IO_REFUSED)
            continue;
        leg->lost = true;
        if (l->out->legs_lost++ == 0)
            describe(l, leg, l->out->lost_why);
    }
}

/* What has come, and what is due; then waits until `until_us` at most. */
static int turn(struct load *l, int64_t until_us)
{
    int err = sys_poller_dispatch(l->poller);
    curl_loop_step(l->curl, clock_mono_us());
    int64_t now_us = clock_mono_us();
    step_legs(l, now_us);
    if (until_us > l->step_us)
        until_us = l->step_us;
    if (until_us > now_us)
        sys_wait(sys_poller_fd(l->poller), until_us - now_us);
    return err;
}

static int bring_up(struct load *l, char why[static MEDIA_LOAD_TEXT])
{
    int64_t end_us = clock_mono_us() + UP_US;
    int err = 0;
    for (size_t i = 0; err == 0 && i < l->n; i++) {
        l->legs[i] = (struct load_leg){.load = l, .index = i, .keyed = {.fd = -1}};
        err = open_leg(l, &l->legs[i]);
        if (err < 0)
            snprintf(why, MEDIA_LOAD_TEXT, "leg %zu: %s", i + 1, strerror(-err));
    }
    for (size_t up = 0; err == 0 && up < l->n;) {
        err = turn(l, end_us);
        while (up < l->n && leg_is_up(&l->legs[up]))
            up++;
        if (l->out->legs_lost > 0) {
            snprintf(why, MEDIA_LOAD_TEXT, "%s", l->out->lost_why);
            return -ECONNREFUSED;
        }
        if (up < l->n && clock_mono_us() > end_us) {
            snprintf(why, MEDIA_LOAD_TEXT, "leg %zu isn't up after %d s", up + 1, UP_US / 1000000);
            return -ETIMEDOUT;
        }
    }
    return err;
}

/* ---- sending ---- */

/* Whose turn it is: senders of all meetings, one after another. */
static size_t next_sender(const struct load *l, enum media_kind kind)
{
    size_t turn = l->due[kind].n % (l->o->shape.meetings * l->o->senders);
    return turn / l->o->senders * l->o->shape.participants + turn % l->o->senders;
}

static void send_one(struct load *l, size_t index, enum media_kind kind, int64_t due_us)
{
    _Alignas(4) uint8_t packet[MEDIA_PACKET_MOST];
    size_t bytes = l->o->streams[kind].bytes;
    struct load_leg *leg = &l->legs[index];
    const struct media_stamp s = {.leg = (uint32_t)index,
                                  .kind = kind,
                                  .number = media_tally_next(l->tally, index, kind),
                                  .due_us = due_us};
    int64_t late_us = clock_mono_us() - s.due_us;
    media_packet_write(packet, bytes, &s,
                       (uint8_t)(LEVEL_LOUDEST + index % l->o->shape.participants % LEVELS));
    int err = leg->lost ? -ENOTCONN
              : leg->io ? ladder_io_send(leg->io, packet, bytes)
                        : keyed_leg_send(&leg->keyed, packet, bytes);
    if (err < 0) {
        l->out->not_sent++;
        return;
    }
    (void)media_tally_sent(l->tally, index, kind);
    l->sent++;
    histogram_add(&l->out->lateness, late_us);
}

/* The kind whose packet is due next; MEDIA_KINDS: none is sent. */
static enum media_kind next_kind(const struct load *l)
{
    enum media_kind next = MEDIA_KINDS;
    for (enum media_kind k = 0; k < MEDIA_KINDS; k++) {
        if (l->o->streams[k].per_s > 0 &&
            (next == MEDIA_KINDS || schedule_peek_us(&l->due[k]) < schedule_peek_us(&l->due[next])))
            next = k;
    }
    return next;
}

/* Sends what is due before `end_us`. When the next one is, or `end_us`: that was all. */
static int64_t send_due(struct load *l, int64_t end_us)
{
    int64_t at_us = end_us;
    for (int i = 0; i < BURST; i++) {
        enum media_kind k = next_kind(l);
        at_us = k == MEDIA_KINDS ? end_us : schedule_peek_us(&l->due[k]);
        if (at_us >= end_us || at_us > clock_mono_us())
            break;
        size_t leg = next_sender(l, k);
        send_one(l, leg, k, schedule_take_us(&l->due[k]));
    }
    return at_us < end_us ? at_us : end_us;
}

/* Somebody who should be heard isn't yet. */
static bool silence(const struct load *l, size_t *by, size_t *from)
{
    for (enum media_kind k = 0; k < MEDIA_KINDS; k++) {
        if (l->o->streams[k].per_s > 0 && media_tally_silence(l->tally, l->o->senders, k, by, from))
            return true;
    }
    return false;
}

/* Until each hears each, where all are heard: links between nodes come up, caches fill. Nothing of it counts. */
static int warm_up(struct load *l, char why[static MEDIA_LOAD_TEXT])
{
    int64_t now_us = clock_mono_us(), end_us = now_us + WARM_MOST_US;
    size_t by = 0, from = 0;
    int err = 0;
    while (err == 0 && l->o->all_heard && silence(l, &by, &from)) {
        if (l->out->legs_lost > 0) {
            snprintf(why, MEDIA_LOAD_TEXT, "%s", l->out->lost_why);
            return -ECONNRESET;
        }
        if (now_us > end_us) {
            snprintf(why, MEDIA_LOAD_TEXT, "leg %zu doesn't hear leg %zu after %d s", by + 1, from + 1,
                     WARM_MOST_US / 1000000);
            return -ETIMEDOUT;
        }
        for (size_t i = 0; i < l->n; i++) {
            for (enum media_kind k = 0; k < MEDIA_KINDS; k++) {
                if (i % l->o->shape.participants < l->o->senders && l->o->streams[k].per_s > 0)
                    send_one(l, i, k, now_us);
            }
        }
        for (int64_t until_us = now_us + WARM_US; err == 0 && now_us < until_us; now_us = clock_mono_us())
            err = turn(l, until_us);
    }
    media_tally_begin(l->tally);
    l->before = leg_counts(l);
    l->heard = l->heard_bytes = l->sent = l->out->not_sent = 0;
    memset(&l->out->latency, 0, sizeof l->out->latency);
    memset(&l->out->lateness, 0, sizeof l->out->lateness);
    return err;
}

/* ---- what is measured ---- */

static int64_t servers_cpu_ns(const struct load *l)
{
    int64_t sum = 0;
    for (size_t i = 0; i < l->o->n_servers; i++) {
        int64_t ns = clock_process_cpu_ns(l->o->servers[i]);
        if (ns < 0)
            return -1;
        sum += ns;
    }
    return l->o->n_servers > 0 ? sum : -1;
}

static int64_t servers_memory(const struct load *l)
{
    int64_t sum = 0;
    for (size_t i = 0; i < l->o->n_servers; i++) {
        int64_t bytes = process_memory(l->o->servers[i]);
        if (bytes < 0)
            return -1;
        sum += bytes;
    }
    return l->o->n_servers > 0 ? sum : -1;
}

/* The figures of the window are differences of what this takes twice. */
static void mark(struct load *l, int sign)
{
    struct media_load_result *out = l->out;
    int64_t cpu_ns = servers_cpu_ns(l);
    out->window_s += sign * (double)clock_mono_us() / 1e6;
    out->window_sent += (uint64_t)sign * l->sent;
    out->window_heard += (uint64_t)sign * l->heard;
    out->window_heard_bytes += (uint64_t)sign * l->heard_bytes;
    l->cpu_known = l->cpu_known && cpu_ns >= 0;
    out->server_cpu_ns += sign * cpu_ns;
}

static void show_progress(struct load *l, int64_t now_us)
{
    if (!l->o->progress || now_us < l->progress_us)
        return;
    l->progress_us = now_us + PROGRESS_US;
    fprintf(stderr, "\r%3" PRId64 " s: %" PRIu64 " packets sent, %" PRIu64 " heard, p99 %.1f ms ",
            (now_us - l->began_us) / 1000000, l->sent, l->heard,
            (double)histogram_quantile(&l->out->latency, 0.99) / 1000);
}

static int send_all(struct load *l)
{
    int64_t end_us = l->began_us + l->o->seconds * 1000000, now_us = l->began_us, next_us = now_us;
    int err = 0;
    while (err == 0 && (now_us < end_us || (next_us < end_us && now_us < end_us + OVERTIME_US))) {
        if (!l->counting && now_us >= l->began_us + UNCOUNTED_US) {
            l->counting = true;
            mark(l, -1);
        }
        next_us = send_due(l, end_us);
        err = turn(l, next_us);
        now_us = clock_mono_us();
        show_progress(l, now_us);
    }
    if (l->counting)
        mark(l, 1);
    return err;
}

/* Until all that is on its way has come, or nothing has for a while. */
static int drain(struct load *l)
{
    int64_t end_us = clock_mono_us() + DRAIN_MOST_US, now_us = 0;
    int err = 0;
    struct media_tally_figures *f = &l->out->tally;
    l->heard_us = clock_mono_us();
    do {
        err = turn(l, clock_mono_us() + STEP_US);
        media_tally_figures(l->tally, f);
        now_us = clock_mono_us();
    } while (err == 0 && f->missing > 0 && now_us < end_us && now_us < l->heard_us + DRAIN_QUIET_US);
    return err;
}

static void collect(struct load *l)
{
    struct leg_counts now = leg_counts(l);
    /* What came late of before has filled a gap of before. */
    l->out->gaps = now.gaps > l->before.gaps ? (uint64_t)(now.gaps - l->before.gaps) : 0;
    l->out->refused = now.refused > l->before.refused ? (uint64_t)(now.refused - l->before.refused) : 0;
    for (size_t i = 0; i < l->n; i++) {
        const struct load_leg *leg = &l->legs[i];
        if (!leg->io)
            snprintf(l->out->suite, sizeof l->out->suite, "%s", srtp_suite_name(l->o->keyed[i].suite));
        else if (ladder_io_leg(leg->io))
            snprintf(l->out->suite, sizeof l->out->suite, "%s", media_leg_suite(ladder_io_leg(leg->io)));
    }
}

static void tear_down(struct load *l)
{
    for (size_t i = 0; l->legs && i < l->n; i++) {
        if (!l->legs[i].load)
            continue; /* it wasn't opened */
        if (l->legs[i].io)
            ladder_io_leave(l->legs[i].io);
        else if (l->o->keyed)
            keyed_leg_close(&l->legs[i].keyed, l->poller);
        ladder_io_destroy(l->legs[i].io);
    }
    free(l->legs);
    media_tally_destroy(l->tally);
    curl_loop_destroy(l->curl);
    sys_poller_destroy(l->poller);
}

static int set_up(struct load *l)
{
    l->n = l->o->shape.meetings * l->o->shape.participants;
    l->legs = calloc(l->n, sizeof *l->legs);
    if (!l->legs)
        return -ENOMEM;
    int err = media_tally_new(&l->tally, l->o->shape);
    if (err == 0)
        err = sys_poller_new(&l->poller);
    return err == 0 ? curl_loop_new(&l->curl, l->poller) : err;
}

static void start_schedules(struct load *l)
{
    l->began_us = l->heard_us = clock_mono_us();
    l->progress_us = l->began_us + PROGRESS_US;
    double senders = (double)(l->o->shape.meetings * l->o->senders);
    for (enum media_kind k = 0; k < MEDIA_KINDS; k++) {
        double per_s = l->o->streams[k].per_s;
        schedule_init(&l->due[k], SCHEDULE_FIXED, per_s > 0 ? per_s * senders : 1, 0, l->began_us);
    }
}

int media_load_run(const struct media_load_opts *o, struct media_load_result *out,
                   char why[static MEDIA_LOAD_TEXT])
{
    struct load l = {.o = o, .out = out, .cpu_known = true};
    memset(out, 0, sizeof *out);
    out->server_memory_before = servers_memory(&l);
    if (o->n_servers > 0 && out->server_memory_before < 0) {
        snprintf(why, MEDIA_LOAD_TEXT, "a process that is to be looked at isn't there");
        return -ESRCH;
    }
    why[0] = '\0';
    int err = set_up(&l);
    if (err == 0)
        err = bring_up(&l, why);
    out->server_memory_up = servers_memory(&l);
    if (err == 0)
        err = warm_up(&l, why);
    if (err == 0) {
        start_schedules(&l);
        err = send_all(&l);
    }
    out->server_memory_sending = servers_memory(&l);
    if (err == 0)
        err = drain(&l);
    if (o->progress)
        fprintf(stderr, "\r\033[K");
    if (err == 0)
        collect(&l);
    if (err < 0 && why[0] == '\0')
        snprintf(why, MEDIA_LOAD_TEXT, "no sockets or memory for the load: %s", strerror(-err));
    if (!l.counting || !l.cpu_known)
        out->server_cpu_ns = -1;
    tear_down(&l);
    return err;
}
