/* link: berth_agent_core */
/* A name server that gives no answer: nothing of the agent's waits for it, whatever ends in the middle of a lookup. */
#include "check.h"

#include "agent/berth.h"
#include "agent/pac.h"
#include "sys/clock.h"

#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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
                                                       const struct addrinfo *hints, struct addrinfo **out);
int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **out)
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

static void turn(struct berth_agent *a)
{
    struct pollfd fd = {.fd = berth_agent_fd(a), .events = POLLIN};
    int timeout = berth_agent_timeout(a);
    poll(&fd, 1, timeout < 0 || timeout > 50 ? 50 : timeout);
    assert_int_equal(berth_agent_dispatch(a), 0);
}

/* Until *what isn't zero. */
static void run(struct berth_agent *a, const int *what)
{
    int64_t deadline = clock_mono_us() + 60 * 1000000;
    while (count(what) == 0) {
        turn(a);
        assert_true(clock_mono_us() < deadline);
    }
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_probe_does_not_wait_for_the_proxys_name),
        cmocka_unit_test(a_ladder_does_not_wait_for_the_proxys_name),
        cmocka_unit_test(a_call_does_not_wait_for_the_controllers_name),
        cmocka_unit_test(destroying_does_not_wait_either),
        cmocka_unit_test(a_script_is_not_waited_for_longer_than_its_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
