/* An agent whose memory runs out, for tests: at one allocation of the library's after the other, in turn, a whole life of an
 * agent is lived in which that one fails, alone or with all that follow it for a while. It must be told so or go on, and
 * when there is memory again do all that it is asked.
 *
 *   starved-agent CONTROLLER TOKEN CA MEETING FIRST STEP SECONDS
 *
 * Tells a JSON line for each life, of what came of it; ends after the life that allocates less than what should have
 * failed, with status 1 where one went wrong. Linked with --wrap, so that each call of malloc() and the like of Berth's own comes here;
 * jansson's come by its hook. What curl, OpenSSL, libsrtp and the C library ask for themselves doesn't. */
#include "berth.h"

#include "sys/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { LIFE_US = 40 * 1000000, PACKET_LEN = 100, SSRC = 77 };

/* ---- memory ---- */

/* One for the whole program, as malloc() is; the resolver's and curl's threads allocate through libc alone. */
static struct {
    uint64_t count, fails_at; /* from 1; 0: never */
    bool goes_on;             /* until memory_is_back() */
    uint64_t failed;
} memory;

static bool fails(void)
{
    memory.count++;
    if (memory.fails_at == 0 || memory.count < memory.fails_at ||
        (memory.count > memory.fails_at && !memory.goes_on))
        return false;
    memory.failed++;
    errno = ENOMEM;
    return true;
}

static void memory_is_back(void)
{
    memory.goes_on = false;
    memory.fails_at = 0;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
char *__wrap_strdup(const char *text);
int __wrap_asprintf(char **out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    return fails() ? NULL : __real_realloc(p, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

int __wrap_asprintf(char **out, const char *fmt, ...)
{
    va_list ap;
    if (fails())
        return -1;
    va_start(ap, fmt);
    int n = vasprintf(out, fmt, ap);
    va_end(ap);
    return n;
}

/* ---- one life ---- */

struct life {
    uint64_t n; /* of the allocation that fails */
    struct berth_agent *agent;
    const char *meeting;
    int64_t until_us;
    int done, told, stored, given_up; /* told: of a report, whatever it was */
    int probe_error, call_error;      /* of the newest; 0: it went well */
    const char *step;                 /* under way, or at which it went wrong */
};

static void on_done(void *user, struct berth_agent *agent, const struct berth_summary *s)
{
    struct life *l = user;
    l->done++;
    l->probe_error = s->error;
}

static void on_delivery(void *user, struct berth_agent *agent, const struct berth_delivery *d)
{
    struct life *l = user;
    l->told++;
    l->stored += d->error == 0;
    l->given_up += d->error != 0 && d->retry_in_us < 0;
}

static void on_log(void *user, struct berth_agent *agent, int level, const char *event, const char *text)
{
    struct life *l = user;
    if (level >= BERTH_LOG_WARN)
        fprintf(stderr, "%" PRIu64 ", %s: %s: %s\n", l->n, l->step, event, text);
}

/* One turn of a client's loop. false: the agent is done for, or has had its time. */
static bool turn(struct life *l)
{
    struct pollfd fd = {.fd = berth_agent_fd(l->agent), .events = POLLIN};
    int timeout = berth_agent_timeout(l->agent);
    poll(&fd, 1, timeout < 0 || timeout > 20 ? 20 : timeout);
    return berth_agent_dispatch(l->agent) == 0 && clock_mono_us() < l->until_us;
}

/* Probes and reports, until a word has come of both; `whole`: until the report is stored. false as of turn(). */
static bool probe(struct life *l, bool whole)
{
    int done = l->done, told = l->told, stored = l->stored;
    l->probe_error = berth_agent_probe(l->agent, BERTH_PROBE_REPORT);
    if (l->probe_error != 0)
        return true;
    while (l->done == done || (l->probe_error == 0 && (l->told == told || (whole && l->stored == stored)))) {
        if (!turn(l))
            return false;
    }
    return true;
}

static int send_one(struct life *l, uint64_t call, uint16_t sequence)
{
    uint8_t packet[PACKET_LEN] = {0x80, 111, (uint8_t)(sequence >> 8), (uint8_t)sequence, [11] = SSRC};
    return berth_agent_send(l->agent, call, packet, sizeof packet);
}

static bool send_some(struct life *l, uint64_t call)
{
    for (uint16_t n = 0; n < 3; n++) {
        int err = send_one(l, call, n);
        if (l->call_error == 0)
            l->call_error = err;
        if (!turn(l))
            return false;
    }
    return true;
}

/* Joins, until the call is up or a word has come of why not (`whole`: until it is up or ended), sends, and leaves. false as of
 * turn(). */
static bool call(struct life *l, bool whole)
{
    struct berth_join_options o = {.size = sizeof o, .meeting = l->meeting, .user = l};
    struct berth_call c = {0};
    uint64_t id;
    l->call_error = berth_agent_join(l->agent, &o, &id);
    if (l->call_error != 0)
        return true;
    while (berth_agent_call(l->agent, id, &c) == 0 && c.state != BERTH_CALL_UP &&
           c.state != BERTH_CALL_ENDED && (whole || (c.error == 0 && c.reason[0] == '\0'))) {
        if (!turn(l)) {
            fprintf(stderr, "%" PRIu64 ", %s: the call is %s: %s\n", l->n, l->step,
                    berth_call_state_name(c.state), c.reason);
            return false;
        }
    }
    if (c.state != BERTH_CALL_UP)
        l->call_error = c.error != 0 ? c.error : -ENOTCONN;
    else if (!send_some(l, id))
        return false;
    berth_agent_leave(l->agent, id);
    memory_is_back(); /* the controller is told for ten seconds, else */
    while (berth_agent_call_count(l->agent) > 0) {
        if (!turn(l))
            return false;
    }
    return true;
}

/* What may fail, as long as a word comes of it. */
static bool live_starved(struct life *l)
{
    struct berth_follow_options follow = {.size = sizeof follow, .user = l};
    char *json = NULL;
    l->step = "probe";
    if (!probe(l, false))
        return false;
    l->step = "follow";
    int err = berth_agent_follow(l->agent, &follow);
    if (err == 0)
        err = berth_agent_results_json(l->agent, &json);
    berth_free(json);
    if (err != 0 && err != -ENOMEM)
        return false;
    l->step = "call";
    return call(l, false);
}

/* The same agent, and nothing may fail any more. */
static bool live_fed(struct life *l)
{
    memory_is_back();
    l->step = "probe again";
    if (!probe(l, true) || l->probe_error != 0)
        return false;
    l->step = "call again";
    return call(l, true) && l->call_error == 0;
}

/* false: it went wrong. *failed: how many allocations did. */
static bool one(char **argv, uint64_t n, bool goes_on, uint64_t *failed)
{
    struct life l = {.n = n, .meeting = argv[4], .until_us = clock_mono_us() + LIFE_US, .step = "create"};
    struct berth_options o = {.size = sizeof o,
                              .controller = argv[1],
                              .token = argv[2],
                              .ca_file = argv[3],
                              .proxy = "none",
                              .policy = {.samples = 1},
                              .callbacks = {.done = on_done, .delivery = on_delivery, .log = on_log},
                              .user = &l};
    memory.count = memory.failed = 0;
    memory.fails_at = n;
    memory.goes_on = goes_on;
    int err = berth_agent_create(&l.agent, &o);
    bool well = err == -ENOMEM;
    if (err == 0) {
        well = live_starved(&l) && live_fed(&l);
        memory_is_back();
        berth_agent_destroy(l.agent);
    }
    *failed = memory.failed;
    printf("{\"fails_at\":%" PRIu64 ",\"goes_on\":%s,\"failed\":%" PRIu64 ",\"allocations\":%" PRIu64
           ",\"create\":%d,\"stored\":%d,\"given_up\":%d,\"wrong\":\"%s\",\"probe_error\":%d,\"call_error\":%"
           "d}\n",
           n, goes_on ? "true" : "false", memory.failed, memory.count, err, l.stored, l.given_up,
           well ? "" : l.step, l.probe_error, l.call_error);
    fflush(stdout);
    return well;
}

int main(int argc, char **argv)
{
    if (argc != 8) {
        fputs("usage: starved-agent CONTROLLER TOKEN CA MEETING FIRST STEP SECONDS\n", stderr);
        return 2;
    }
    int64_t until = clock_mono_us() + strtoll(argv[7], NULL, 10) * 1000000;
    uint64_t first = strtoull(argv[5], NULL, 10), step = strtoull(argv[6], NULL, 10);
    json_set_alloc_funcs(__wrap_malloc, free);
    bool wrong = false;
    uint64_t failed = 1;
    for (uint64_t n = first; failed > 0 && clock_mono_us() + LIFE_US < until; n += step) {
        uint64_t alone;
        wrong = !one(argv, n, false, &alone) || wrong;
        wrong = !one(argv, n, true, &failed) || wrong;
    }
    return wrong;
}
