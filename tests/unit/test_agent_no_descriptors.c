/* link: berth_agent_core */
/* No descriptor is free: who can't look for proxies says so, and goes no other way. */
#include "agent_turn.h"
#include "check.h"

#include "agent/berth.h"
#include "sys/clock.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { DESCRIPTORS = 64 };

static void on_done(void *user, struct berth_agent *agent, const struct berth_summary *summary)
{
    *(struct berth_summary *)user = *summary;
}

static int probe(struct berth_agent *a, struct berth_summary *s)
{
    int64_t deadline = clock_mono_us() + 30 * 1000000;
    s->error = 1;
    assert_int_equal(berth_agent_probe(a, 0), 0);
    while (s->error == 1)
        agent_turn(a, deadline);
    return s->error;
}

static void a_search_that_can_t_begin_is_an_error(void **state)
{
    struct berth_summary summary;
    struct berth_options o = {.size = sizeof o,
                              .agent_id = "ann",
                              .token = "t",
                              .controller = "https://127.0.0.1:1",
                              .proxy_pac = "/no/such/script",
                              .callbacks = {.done = on_done},
                              .user = &summary};
    struct rlimit limit, few;
    struct berth_agent *a;
    int taken[DESCRIPTORS], n = 0;
    assert_int_equal(berth_agent_create(&a, &o), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    few = (struct rlimit){.rlim_cur = DESCRIPTORS, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    while (n < DESCRIPTORS && (taken[n] = dup(0)) >= 0)
        n++;
    assert_int_equal(errno, EMFILE);
    assert_int_equal(probe(a, &summary), -EMFILE);
    assert_string_equal(summary.detail, "the way to the controller can't be looked for");
    while (n > 0)
        close(taken[--n]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(probe(a, &summary), BERTH_E_UNREACHABLE);
    berth_agent_destroy(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_search_that_can_t_begin_is_an_error)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
