/* link: berth_agent_core test_support */
/* A PAC script that never ends: what asked goes on without a proxy, its process ends, and nothing hangs. */
#include "agent_turn.h"
#include "check.h"

#include "agent/berth.h"
#include "agent/proxy_finder.h"
#include "support/certs.h"
#include "sys/clock.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

static char path[TEST_PATH_MAX], folder[TEST_PATH_MAX];

static void write_script(const char *to, const char *text)
{
    FILE *f = fopen(to, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static int setup(void **state)
{
    test_dir_make(folder);
    test_path(path, folder, "proxy.pac");
    write_script(path, "function FindProxyForURL(url, host) { while (true) {} }\n");
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

/* Until this process has children (`any`), or none: the script's. */
static void wait_for_children(bool any, struct berth_agent *a)
{
    int64_t deadline = clock_mono_us() + 30 * 1000000;
    siginfo_t info;
    while ((waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0) != any) {
        assert_true(clock_mono_us() < deadline);
        if (a)
            agent_turn(a, deadline);
    }
}

static void an_agent_is_destroyed_while_the_script_runs(void **state)
{
    skip_under_valgrind(); /* which knows no pidfd_open, so that no script runs */
    struct heard h = {0};
    struct berth_agent *a = agent_new(&h);
    assert_non_null(a);
    assert_int_equal(berth_agent_probe(a, 0), 0);
    wait_for_children(true, a);
    assert_int_equal(h.done, 0);
    berth_agent_destroy(a);
    wait_for_children(false, NULL);
}

static void a_probe_goes_on_without_a_proxy(void **state)
{
    skip_under_valgrind(); /* which knows no pidfd_open, so that no script runs */
    struct heard h = {0};
    int64_t deadline = clock_mono_us() + 60 * 1000000;
    struct berth_agent *a = agent_new(&h);
    assert_non_null(a);
    for (int n = 1; n <= 2; n++) {
        h.problem[0] = '\0';
        assert_int_equal(berth_agent_probe(a, 0), 0);
        while (h.done < n)
            agent_turn(a, deadline);
        assert_int_equal(h.summary.error, 0);
        assert_int_equal(h.summary.results, 3); /* no row by a proxy */
        assert_int_equal(strncmp(h.problem, "PAC: the PAC script ", 20), 0);
    }
    berth_agent_destroy(a);
    wait_for_children(false, NULL);
}

static void on_found(void *user)
{
    *(bool *)user = true;
}

static void another_script_runs_beside_it(void **state)
{
    skip_under_valgrind(); /* which knows no pidfd_open, so that no script runs */
    struct sys_poller *p;
    struct proxy_finder *f, *other;
    char good[TEST_PATH_MAX];
    write_script(test_path(good, folder, "good.pac"),
                 "function FindProxyForURL(u, h) { return 'PROXY p:1'; }\n");
    struct proxy_destination d = {.host = "x.example", .port = 443};
    struct proxy_finder_options o = {.pac = path}, other_o = {.pac = good};
    int64_t deadline = clock_mono_us() + 30 * 1000000;
    bool found = false, other_found = false;
    assert_int_equal(sys_poller_new(&p), 0);
    assert_int_equal(proxy_finder_new(&f, p, &o), 0);
    assert_int_equal(proxy_finder_new(&other, p, &other_o), 0);
    assert_int_equal(proxy_finder_ask(f, &d, 1, on_found, &found), 0);
    wait_for_children(true, NULL);
    assert_int_equal(proxy_finder_ask(other, &d, 1, on_found, &other_found), 0);
    while (!found || !other_found) {
        sys_wait(sys_poller_fd(p), 10000);
        assert_int_equal(sys_poller_dispatch(p), 0);
        assert_true(clock_mono_us() < deadline);
    }
    assert_string_equal(proxy_finder_problem(f),
                        "the PAC script was ended: it takes too much memory, stack or time");
    assert_string_equal(proxy_finder_problem(other), "");
    assert_int_equal(proxy_finder_lists(other)[0].n, 1);
    found = false; /* it isn't banned */
    assert_int_equal(proxy_finder_ask(f, &d, 1, on_found, &found), 0);
    proxy_finder_destroy(other);
    proxy_finder_destroy(f);
    sys_poller_destroy(p);
    wait_for_children(false, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_agent_is_destroyed_while_the_script_runs),
        cmocka_unit_test(a_probe_goes_on_without_a_proxy),
        cmocka_unit_test(another_script_runs_beside_it),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
