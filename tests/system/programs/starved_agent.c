/* An agent whose memory runs out, for tests: at one allocation of the library's after the other, in turn, a whole life of an
 * agent is lived in which that one fails, alone or with all that follow it for a while. It must be told so or go on, and
 * when there is memory again do all that it is asked.
 *
 *   starved-agent CONTROLLER TOKEN CA MEETING FIRST STEP SECONDS
 *
 * Tells a JSON line for each life, of what came of it; ends after the life that allocates less than what should have failed, with status 1
 * where one went wrong. Linked with --wrap, so that each call of malloc() and the like of Berth's own comes here;
 * jansson's come by its hook. What curl, OpenSSL, libsrtp and the C library ask for themselves doesn't. */
#include "berth.h"

#include "sys/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIFE_US = 40 * 1000000, CALL_EARLY_US = 100 * 1000, PACKET_LEN = 100, SSRC = 77 };

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

/* ---- one life ---- */

struct life {
    struct berth_agent *agent;
    const char *meeting;
    int64_t until_us;
    int done, told, stored, given_up; /* told: of a report, whatever it was */
    int fatal;                        /* dispatch's error */
    int probe_error, call_error;
    uint64_t packets;
    char step[16];
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

static void on_packet(void *user, struct berth_agent *agent, const struct berth_packet *p)
{
    ((struct life *)user)->packets++;
}

/* One turn of a client's loop. false: the agent is done for, or has had its time. */
static bool turn(struct life *l)
{
    struct pollfd fd = {.fd = berth_agent_fd(l->agent), .events = POLLIN};
    int timeout = berth_agent_timeout(l->agent);
    poll(&fd, 1, timeout < 0 || timeout > 20 ? 20 : timeout);
    l->fatal = berth_agent_dispatch(l->agent);
    return l->fatal == 0 && clock_mono_us() < l->until_us;
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

static void send_one(struct life *l, uint64_t call, uint16_t sequence)
{
    uint8_t packet[PACKET_LEN] = {0x80, 111, (uint8_t)(sequence >> 8), (uint8_t)sequence, [11] = SSRC};
    berth_agent_send(l->agent, call, packet, sizeof packet);
}

/* Joins, until the call is up or a word has come of why not (`whole`: until it is up or ended), sends, and leaves. `call_error`:
 * 0 when it was up. false as of turn(). */
static bool call(struct life *l, bool whole)
{
    struct berth_join_options o = {.size = sizeof o, .meeting = l->meeting, .packet = on_packet, .user = l};
    struct berth_call c = {0};
    uint64_t id;
    l->call_error = berth_agent_join(l->agent, &o, &id);
    if (l->call_error != 0)
        return true;
    while (berth_agent_call(l->agent, id, &c) == 0 && c.state != BERTH_CALL_UP &&
           c.state != BERTH_CALL_ENDED && (whole || (c.error == 0 && c.reason[0] == '\0'))) {
        if (!turn(l)) {
            fprintf(stderr, "%" PRIu64 ", %s: the call is %s: %s\n", memory.fails_at, l->step,
                    berth_call_state_name(c.state), c.reason);
            return false;
        }
    }
    l->call_error = c.state == BERTH_CALL_UP ? 0 : c.error != 0 ? c.error : 1;
    for (uint16_t n = 0; n < 3; n++) {
        send_one(l, id, n);
        if (!turn(l))
            return false;
    }
    berth_agent_leave(l->agent, id);
    memory_is_back(); /* the controller is told for ten seconds, else */
    while (berth_agent_call_count(l->agent) > 0) {
        if (!turn(l))
            return false;
    }
    return true;
}

static bool follow(struct life *l)
{
    struct berth_follow_options o = {.size = sizeof o, .user = l};
    int err = berth_agent_follow(l->agent, &o);
    return err == 0 || err == -ENOMEM;
}

static void on_log(void *user, struct berth_agent *agent, int level, const char *event, const char *text)
{
    struct life *l = user;
    if (level >= BERTH_LOG_WARN)
        fprintf(stderr, "%" PRIu64 ", %s: %s: %s\n", memory.fails_at, l->step, event, text);
}

/* Notes the step that goes wrong; "" after the last. */
static bool said(struct life *l, bool ok, const char *step)
{
    snprintf(l->step, sizeof l->step, "%s", step);
    return ok;
}

/* Everything once while it may fail, and once more when it may not. */
static bool live(struct life *l)
{
    char *json = NULL;
    if (!said(l, probe(l, false), "probe") || !said(l, follow(l), "follow"))
        return false;
    if (berth_agent_results_json(l->agent, &json) == 0)
        berth_free(json);
    if (!said(l, call(l, false), "call"))
        return false;
    memory_is_back();
    if (!said(l, probe(l, true) && l->probe_error == 0, "probe again") ||
        !said(l, call(l, true) && l->call_error == 0, "call again"))
        return false;
    return said(l, true, "");
}

/* 0: it went well; 1: it did not; -1: nothing failed any more. */
static int one(char **argv, uint64_t fails_at, bool goes_on)
{
    struct life l = {.meeting = argv[4], .until_us = clock_mono_us() + LIFE_US};
    struct berth_options o = {.size = sizeof o,
                              .controller = argv[1],
                              .token = argv[2],
                              .ca_file = argv[3],
                              .proxy = "none",
                              .policy = {.samples = 1},
                              .callbacks = {.done = on_done, .delivery = on_delivery, .log = on_log},
                              .user = &l};
    int64_t began = clock_mono_us();
    memory.count = memory.failed = 0;
    memory.fails_at = fails_at;
    memory.goes_on = goes_on;
    int err = berth_agent_create(&l.agent, &o);
    bool well = err == -ENOMEM;
    if (err == 0) {
        well = live(&l) || l.fatal == -ENOMEM;
        memory_is_back();
        berth_agent_destroy(l.agent);
    }
    uint64_t failed = memory.failed;
    memory_is_back();
    printf("{\"fails_at\":%" PRIu64 ",\"goes_on\":%s,\"failed\":%" PRIu64 ",\"allocations\":%" PRIu64
           ",\"create\":%d,\"fatal\":%d,"
           "\"stored\":%d,\"given_up\":%d,\"packets\":%" PRIu64
           ",\"wrong\":\"%s\",\"probe_error\":%d,\"call_error\":%d,"
           "\"took_us\":%" PRId64 "}\n",
           fails_at, goes_on ? "true" : "false", failed, memory.count, err, l.fatal, l.stored, l.given_up,
           l.packets,
           well                ? ""
           : l.step[0] != '\0' ? l.step
                               : "create",
           l.probe_error, l.call_error, clock_mono_us() - began);
    fflush(stdout);
    return failed == 0 ? -1 : !well;
}

static void *hooked(size_t size)
{
    return __wrap_malloc(size);
}

int main(int argc, char **argv)
{
    if (argc != 8) {
        fputs("usage: starved-agent CONTROLLER TOKEN CA MEETING FIRST STEP SECONDS\n", stderr);
        return 2;
    }
    int64_t until = clock_mono_us() + strtoll(argv[7], NULL, 10) * 1000000;
    uint64_t first = strtoull(argv[5], NULL, 10), step = strtoull(argv[6], NULL, 10);
    json_set_alloc_funcs(hooked, free);
    bool wrong = false, over = false;
    for (uint64_t n = first; !over && clock_mono_us() < until; n += step) {
        for (int goes_on = 0; goes_on < 2; goes_on++) {
            int went = one(argv, n, goes_on > 0);
            over = over || went < 0;
            wrong = wrong || went > 0;
        }
    }
    return wrong;
}
