/* link: berth_agent_core test_support */
/* A name server that gives no answer: nothing of the agent's waits for it, whatever ends in the middle of a lookup. */
#include "agent_turn.h"
#include "check.h"

#include "agent/berth.h"
#include "agent/pac.h"
#include "agent/proxy_finder.h"
#include "agent/sys_process.h"
#include "support/certs.h"
#include "sys/clock.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SLOW "slow.test"
enum { HELD_S = 15 }; /* who waits for a lookup waits so long, and the test fails */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool held;
static int begun, ended;

static int wait_for_release(void)
{
    struct timespec until;
    int err = 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += HELD_S;
    pthread_mutex_lock(&mutex);
    begun++;
    while (held && err == 0)
        err = pthread_cond_timedwait(&changed, &mutex, &until);
    ended++;
    pthread_mutex_unlock(&mutex);
    return EAI_AGAIN;
}

/* Instead of libc's, for libcurl as for us. */
__attribute__((visibility("default"))) int getaddrinfo(const char *host, const char *service,
                                                       const struct addrinfo *hints, struct addrinfo **out)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (host && strcmp(host, SLOW) == 0)
        return wait_for_release();
    return real(host, service, hints, out);
}

static void hold(void)
{
    pthread_mutex_lock(&mutex);
    held = true;
    begun = ended = 0;
    pthread_mutex_unlock(&mutex);
}

static int count(const int *n)
{
    pthread_mutex_lock(&mutex);
    int is = *n;
    pthread_mutex_unlock(&mutex);
    return is;
}

/* Nothing has waited for the lookups, which end only now. */
static void release(void)
{
    int64_t deadline = clock_mono_us() + 30 * 1000000;
    assert_true(count(&begun) > 0);
    assert_int_equal(count(&ended), 0);
    pthread_mutex_lock(&mutex);
    held = false;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
    while (count(&ended) < count(&begun)) {
        assert_true(clock_mono_us() < deadline);
        poll(NULL, 0, 1);
    }
}

static void on_done(void *user, struct berth_agent *agent, const struct berth_summary *summary)
{
    *(int *)user = summary->error == 0 ? 1 : summary->error;
}

static struct berth_agent *agent_new(const struct berth_options *more, int *done)
{
    static const struct berth_node node = {.host = "127.0.0.1", .tls = {9}, .tls_name = "node.test"};
    struct berth_options o = *more;
    struct berth_agent *a = NULL;
    o.size = sizeof o;
    o.agent_id = "ann";
    o.nodes = o.controller ? NULL : &node;
    o.n_nodes = o.controller ? 0 : 1;
    o.policy = (struct berth_policy){.samples = 1, .timeout_ms = 300};
    o.callbacks.done = on_done;
    o.user = done;
    assert_int_equal(berth_agent_create(&a, &o), 0);
    hold();
    return a;
}

/* Until *what isn't zero. */
static void run(struct berth_agent *a, const int *what)
{
    int64_t deadline = clock_mono_us() + 60 * 1000000;
    while (count(what) == 0)
        agent_turn(a, deadline);
}

static const struct berth_options by_proxy = {.proxy = "http://" SLOW ":3128"};
static const struct berth_options by_controller = {.controller = "https://" SLOW ":443", .proxy = "none"};

static void a_probe_does_not_wait_for_the_proxys_name(void **state)
{
    int done = 0;
    struct berth_agent *a = agent_new(&by_proxy, &done);
    assert_int_equal(berth_agent_probe(a, 0), 0);
    run(a, &done);
    assert_int_equal(done, 1);
    berth_agent_destroy(a);
    release();
}

static void on_changed(void *user, struct berth_agent *agent, const struct berth_connection *c)
{
    *(int *)user += c->state == BERTH_CONNECTION_WAITING;
}

static void a_ladder_does_not_wait_for_the_proxys_name(void **state)
{
    int done = 0, failed = 0;
    uint64_t id;
    struct berth_agent *a = agent_new(&by_proxy, &done);
    const struct berth_rung rung = {BERTH_PROXY, "127.0.0.1:9", "node.test", NULL};
    struct berth_connect_options o = {.size = sizeof o,
                                      .rungs = &rung,
                                      .n_rungs = 1,
                                      .rung_timeout_ms = 300,
                                      .changed = on_changed,
                                      .user = &failed};
    assert_int_equal(berth_agent_connect(a, &o, &id), 0);
    run(a, &failed);
    assert_int_equal(berth_agent_disconnect(a, id), 0);
    berth_agent_destroy(a);
    release();
}

static void a_call_does_not_wait_for_the_controllers_name(void **state)
{
    int done = 0;
    struct berth_agent *a = agent_new(&by_controller, &done);
    assert_int_equal(berth_agent_probe(a, 0), 0);
    run(a, &begun);
    berth_agent_cancel(a);
    run(a, &done);
    assert_int_equal(done, -ECANCELED);
    berth_agent_destroy(a);
    release();
}

static void destroying_does_not_wait_either(void **state)
{
    const struct berth_options *const each[] = {&by_proxy, &by_controller};
    for (size_t i = 0; i < 2; i++) {
        int done = 0;
        struct berth_agent *a = agent_new(each[i], &done);
        assert_int_equal(berth_agent_probe(a, 0), 0);
        run(a, &begun);
        berth_agent_destroy(a);
        release();
    }
}

static void a_script_is_not_waited_for_longer_than_its_time(void **state)
{
    char *script = NULL;
    hold();
    assert_int_equal(pac_load(&script, "http://" SLOW "/proxy.pac"), -EIO);
    release();
}

/* ---- a script that takes its time ---- */

struct slow_script {
    struct sys_poller *poller;
    struct proxy_finder *finder;
    char folder[TEST_PATH_MAX], helper[TEST_PATH_MAX], begun[TEST_PATH_MAX], released[TEST_PATH_MAX];
};

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* What runs scripts says when it begins, and waits until it is released. */
static void make_script(struct slow_script *s)
{
    char path[TEST_PATH_MAX], real[PATH_MAX], text[2 * PATH_MAX + 2 * TEST_PATH_MAX];
    test_dir_make(s->folder);
    test_path(s->helper, s->folder, "helper");
    test_path(s->begun, s->folder, "begun");
    test_path(s->released, s->folder, "released");
    assert_int_equal(sys_helper_path(real, sizeof real, "", "berth-pac"), 0);
    snprintf(text, sizeof text, "#!/bin/sh\n: >%s\nwhile [ ! -e %s ]; do sleep 0.01; done\nexec %s\n",
             s->begun, s->released, real);
    write_file(s->helper, text);
    assert_int_equal(chmod(s->helper, 0700), 0);
    write_file(test_path(path, s->folder, "pac"),
               "function FindProxyForURL(u, h) { return 'PROXY slow.example:1'; }\n");
    const struct proxy_finder_options o = {.pac = path, .pac_helper = s->helper};
    assert_int_equal(sys_poller_new(&s->poller), 0);
    assert_int_equal(proxy_finder_new(&s->finder, s->poller, &o), 0);
}

static void end_script(struct slow_script *s)
{
    proxy_finder_destroy(s->finder);
    sys_poller_destroy(s->poller);
    test_dir_remove(s->folder);
}

static void on_found(void *user)
{
    ++*(int *)user;
}

static int ask(struct slow_script *s, const char *host, int *found)
{
    const struct proxy_destination d = {.host = host, .port = 443};
    return proxy_finder_ask(s->finder, &d, 1, on_found, found);
}

static size_t proxies(const struct slow_script *s)
{
    return proxy_finder_lists(s->finder)[0].n;
}

/* Asks, and holds the script until it has run too long. */
static void ask_for_too_long(struct slow_script *s)
{
    int found = 0;
    int64_t deadline = clock_mono_us() + 30 * 1000000, since = INT64_MAX;
    assert_int_equal(ask(s, "node.example", &found), 0);
    while (since == INT64_MAX || clock_mono_us() < since + (PAC_RUN_MS + 1) * 1000) {
        sys_wait(sys_poller_fd(s->poller), 10000);
        assert_int_equal(sys_poller_dispatch(s->poller), 0);
        assert_true(found == 0 && clock_mono_us() < deadline);
        if (since == INT64_MAX && access(s->begun, F_OK) == 0)
            since = clock_mono_us();
    }
}

/* Until what the question finds has come; how many proxies. */
static size_t ask_and_wait(struct slow_script *s, const char *host)
{
    int found = 0;
    int64_t deadline = clock_mono_us() + 30 * 1000000;
    int rc = ask(s, host, &found);
    assert_true(rc >= 0);
    while (rc == 0 && found == 0) {
        sys_wait(sys_poller_fd(s->poller), 10000);
        assert_int_equal(sys_poller_dispatch(s->poller), 0);
        assert_true(clock_mono_us() < deadline);
    }
    return proxies(s);
}

static const char still_runs[] =
    "the PAC script does not end: none is run before it has, or the network is another";

static void a_script_that_is_only_slow_answers_after_all(void **state)
{
    skip_under_valgrind(); /* which knows no pidfd_open, so that no script runs */
    struct slow_script s;
    int found = 0;
    int64_t deadline = clock_mono_us() + 60 * 1000000;
    make_script(&s);
    ask_for_too_long(&s);
    proxy_finder_give_up(s.finder);
    static const char *const hosts[] = {"node.example", "other.example"};
    for (size_t i = 0; i < 2; i++) { /* none is run beside it */
        assert_string_equal(proxy_finder_problem(s.finder), still_runs);
        assert_int_equal(ask(&s, hosts[i], &found), 1);
        assert_int_equal(proxies(&s), 0);
    }
    write_file(s.released, "");
    while (ask(&s, "node.example", &found) != 1 || proxies(&s) == 0)
        assert_true(clock_mono_us() < deadline);
    assert_string_equal(proxy_finder_problem(s.finder), "");
    assert_int_equal(ask_and_wait(&s, "other.example"), 1); /* it was not asked for that one */
    assert_int_equal(ask(&s, "node.example", &found), 1);
    assert_int_equal(proxies(&s), 1);
    proxy_finder_forget(s.finder);
    assert_int_equal(ask(&s, "node.example", &found), 0); /* afresh */
    end_script(&s);
    assert_int_equal(found, 0);
}

static void cancelling_does_not_judge_a_script(void **state)
{
    skip_under_valgrind(); /* which knows no pidfd_open, so that no script runs */
    struct slow_script s;
    int64_t deadline = clock_mono_us() + 60 * 1000000;
    make_script(&s);
    ask_for_too_long(&s);
    proxy_finder_cancel(s.finder);
    write_file(s.released, "");
    while (ask_and_wait(&s, "node.example") != 1) {
        assert_string_not_equal(proxy_finder_problem(s.finder), still_runs);
        assert_true(clock_mono_us() < deadline);
    }
    end_script(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_probe_does_not_wait_for_the_proxys_name),
        cmocka_unit_test(a_ladder_does_not_wait_for_the_proxys_name),
        cmocka_unit_test(a_call_does_not_wait_for_the_controllers_name),
        cmocka_unit_test(destroying_does_not_wait_either),
        cmocka_unit_test(a_script_is_not_waited_for_longer_than_its_time),
        cmocka_unit_test(a_script_that_is_only_slow_answers_after_all),
        cmocka_unit_test(cancelling_does_not_judge_a_script),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
