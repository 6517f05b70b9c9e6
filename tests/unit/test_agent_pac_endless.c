/* link: berth_agent_core test_support */
/* A PAC script that never ends: what asked goes on without a proxy, the script isn't run again, and nothing hangs. */
#include "check.h"

#include "agent/berth.h"
#include "agent/pac.h"
#include "agent/proxy_finder.h"
#include "support/certs.h"
#include "sys/clock.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char path[TEST_PATH_MAX], folder[TEST_PATH_MAX];

static int setup(void **state)
{
    test_dir_make(folder);
    test_path(path, folder, "proxy.pac");
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("function FindProxyForURL(url, host) { while (true) {} }\n", f);
    assert_int_equal(fclose(f), 0);
    return 0;
}

static int teardown(void **state)
{
    test_dir_remove(folder);
    return 0;
}

struct heard {
    int done;
    struct berth_summary summary;
    char problem[BERTH_ERROR_TEXT];
};

static void on_done(void *user, struct berth_agent *agent, const struct berth_summary *summary)
{
    struct heard *h = user;
    h->summary = *summary;
    h->done++;
}

static void on_log(void *user, struct berth_agent *agent, int level, const char *event, const char *text)
{
    struct heard *h = user;
    if (strcmp(event, "proxy_unknown") == 0)
        snprintf(h->problem, sizeof h->problem, "%s", text);
}

/* A node that isn't there: the proxies are what matters. */
static struct berth_agent *agent_new(struct heard *h)
{
    static const struct berth_node node = {.host = "127.0.0.1", .udp = {9}};
    struct berth_options o = {.size = sizeof o,
                              .agent_id = "ann",
                              .nodes = &node,
                              .n_nodes = 1,
                              .proxy_pac = path,
                              .policy = {.samples = 1, .timeout_ms = 50},
                              .callbacks = {.done = on_done, .log = on_log},
                              .user = h};
    struct berth_agent *a = NULL;
    return berth_agent_create(&a, &o) == 0 ? a : NULL;
}

static void step(struct berth_agent *a)
{
    struct pollfd fd = {.fd = berth_agent_fd(a), .events = POLLIN};
    int timeout = berth_agent_timeout(a);
    poll(&fd, 1, timeout < 0 || timeout > 20 ? 20 : timeout);
    (void)berth_agent_dispatch(a);
}

/* The engine is taken for the rest of a process, so each test has one of its own. `body` answers 0, or the line that failed. */
static void in_a_process(int (*body)(void))
{
    int status = -1;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(body() == 0 ? 0 : 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

#define CHECK(ok)                                            \
    do {                                                     \
        if (!(ok)) {                                         \
            fprintf(stderr, "line %d: %s\n", __LINE__, #ok); \
            return __LINE__;                                 \
        }                                                    \
    } while (0)

/* Has this process used so much of the processor since `began`? Only a running script does. */
static bool busy_for(clock_t began, clock_t tenths)
{
    return clock() - began >= tenths * CLOCKS_PER_SEC / 10;
}

static int destroy_in_the_middle(void)
{
    struct heard h = {0};
    int64_t deadline = clock_mono_us() + 30 * 1000000;
    struct berth_agent *a = agent_new(&h);
    clock_t began = clock();
    CHECK(a && berth_agent_probe(a, 0) == 0);
    while (!busy_for(began, 2)) {
        step(a);
        CHECK(clock_mono_us() < deadline);
    }
    CHECK(h.done == 0);
    berth_agent_destroy(a);
    return 0;
}

static void an_agent_is_destroyed_while_the_script_runs(void **state)
{
    in_a_process(destroy_in_the_middle);
}

static const char endless[] =
    "the PAC script does not end: none is run before it has, or the network is another";

static int probe_twice(void)
{
    struct heard h = {0};
    int64_t deadline = clock_mono_us() + 60 * 1000000;
    struct berth_agent *a = agent_new(&h);
    CHECK(a);
    for (int n = 1; n <= 2; n++) { /* the second time it is told, and not waited for */
        h.problem[0] = '\0';
        CHECK(berth_agent_probe(a, 0) == 0);
        while (h.done < n) {
            step(a);
            CHECK(clock_mono_us() < deadline);
        }
        CHECK(h.summary.error == 0);
        CHECK(h.summary.results == 3); /* no row by a proxy */
        CHECK(strncmp(h.problem, "PAC: ", 5) == 0 && strcmp(h.problem + 5, endless) == 0);
    }
    berth_agent_destroy(a);
    return 0;
}

static void a_probe_goes_on_without_a_proxy(void **state)
{
    in_a_process(probe_twice);
}

static void on_found(void *user)
{
    *(bool *)user = true;
}

static int wait_found(struct sys_poller *p, const bool *found)
{
    int64_t deadline = clock_mono_us() + 30 * 1000000;
    while (!*found) {
        sys_wait(sys_poller_fd(p), 100000);
        CHECK(sys_poller_dispatch(p) == 0);
        CHECK(clock_mono_us() < deadline);
    }
    return 0;
}

/* After a change of network the script is tried anew; while it still runs nothing runs beside it, for nobody in the process. */
static int change_the_network(void)
{
    static const char busy[] =
        "a PAC script that this process runs has not ended, and another can't be run beside it";
    struct sys_poller *p;
    struct proxy_finder *f, *other;
    struct proxy_destination d = {.host = "x.example", .port = 443};
    struct proxy_finder_options o = {.pac = path};
    int64_t deadline = clock_mono_us() + 30 * 1000000;
    clock_t began = clock();
    bool found = false;
    CHECK(sys_poller_new(&p) == 0 && proxy_finder_new(&f, p, &o) == 0 &&
          proxy_finder_new(&other, p, &o) == 0);
    CHECK(proxy_finder_ask(f, &d, 1, on_found, &found) == 0);
    while (!busy_for(began, PAC_RUN_MS / 100 + 5)) {
        sys_wait(sys_poller_fd(p), 10000);
        CHECK(sys_poller_dispatch(p) == 0 && !found && clock_mono_us() < deadline);
    }
    proxy_finder_give_up(f);
    for (int i = 0; i < 3; i++) {
        CHECK(strcmp(proxy_finder_problem(f), endless) == 0);
        CHECK(proxy_finder_ask(f, &d, 1, on_found, &found) == 1);
        CHECK(proxy_finder_lists(f)[0].n == 0);
        proxy_finder_forget(f); /* this is no other network */
    }
    proxy_finder_network_changed(f);
    CHECK(proxy_finder_ask(f, &d, 1, on_found, &found) == 0 && wait_found(p, &found) == 0);
    CHECK(strcmp(proxy_finder_problem(f), busy) == 0 && proxy_finder_lists(f)[0].n == 0);
    found = false;
    CHECK(proxy_finder_ask(other, &d, 1, on_found, &found) == 0 && wait_found(p, &found) == 0);
    CHECK(strcmp(proxy_finder_problem(other), busy) == 0 && proxy_finder_lists(other)[0].n == 0);
    proxy_finder_destroy(other);
    proxy_finder_destroy(f);
    sys_poller_destroy(p);
    return 0;
}

static void it_is_not_run_again_before_the_network_changes(void **state)
{
    in_a_process(change_the_network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_agent_is_destroyed_while_the_script_runs),
        cmocka_unit_test(a_probe_goes_on_without_a_proxy),
        cmocka_unit_test(it_is_not_run_again_before_the_network_changes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
