/* link: berth_agent_core test_support */
/* Watching in a network namespace of its own, where the network can be changed: skipped where that is not permitted. */
#include "agent_node.h"

#include "agent/berth.h"

#include <sched.h>
#include <stdlib.h>

static int setup(void **state)
{
    struct agent_node *n = calloc(1, sizeof *n);
    assert_non_null(n);
    *state = n;
    if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
        return 0;
    if (system("ip link set lo up && ip link add berth0 type veth peer name berth1 && ip link set berth1 up "
               "&& ip link set berth0 up && "
               "ip address add 192.0.2.2/24 dev berth0") != 0)
        return 0;
    agent_node_start(n, "127.0.0.1");
    return 0;
}

struct heard {
    int done, changes;
    char network_id[BERTH_NETWORK_ID_TEXT];
};

static void on_done(void *user, struct berth_agent *agent, const struct berth_summary *summary)
{
    struct heard *h = user;
    h->done++;
    memcpy(h->network_id, summary->network_id, sizeof h->network_id);
}

static void on_log(void *user, struct berth_agent *agent, int level, const char *event, const char *text)
{
    ((struct heard *)user)->changes += strcmp(event, "network_changed") == 0;
}

/* Until so many probes have ended, or the time is over. */
static void run(struct berth_agent *a, const struct heard *h, int probes, int64_t seconds)
{
    int64_t deadline = clock_mono_us() + seconds * 1000000;
    while (h->done < probes && clock_mono_us() < deadline) {
        struct pollfd fds[] = {{.fd = berth_agent_fd(a), .events = POLLIN}};
        int timeout = berth_agent_timeout(a);
        poll(fds, 1, timeout < 0 || timeout > 200 ? 200 : timeout);
        assert_int_equal(berth_agent_dispatch(a), 0);
    }
}

static void probes_when_the_network_has_changed(void **state)
{
    struct agent_node *n = *state;
    struct heard h = {0};
    char first[BERTH_NETWORK_ID_TEXT];
    if (n->pid == 0)
        skip();
    struct berth_node node = {.host = "127.0.0.1", .udp = {n->udp}};
    struct berth_options o = {.size = sizeof o,
                              .nodes = &node,
                              .n_nodes = 1,
                              .agent_id = "watcher",
                              .callbacks = {.done = on_done, .log = on_log},
                              .user = &h};
    struct berth_agent *a;
    assert_int_equal(berth_agent_create(&a, &o), 0);
    assert_int_equal(berth_agent_watch(a, 1), 0);
    run(a, &h, 1, 20);
    assert_int_equal(h.done, 1);
    memcpy(first, h.network_id, sizeof first);
    assert_int_equal(berth_agent_state(a), BERTH_STATE_WAITING);

    /* The same network said again, and a second address in it: nothing to probe for. */
    assert_int_equal(
        system("ip address replace 192.0.2.2/24 dev berth0 && ip address add 192.0.2.3/24 dev berth0"), 0);
    run(a, &h, 2, 4);
    assert_int_equal(h.done, 1);
    assert_int_equal(h.changes, 0);

    /* Another network. */
    int64_t began = clock_mono_us();
    assert_int_equal(system("ip address flush dev berth0 && ip address add 198.51.100.2/24 dev berth0"), 0);
    run(a, &h, 2, 20);
    assert_int_equal(h.done, 2);
    assert_int_equal(h.changes, 1);
    assert_true(clock_mono_us() - began >= 2000000); /* it was let settle */
    assert_string_not_equal(h.network_id, first);

    /* Back again: the same fingerprint as before. */
    assert_int_equal(system("ip address flush dev berth0 && ip address add 192.0.2.2/24 dev berth0"), 0);
    run(a, &h, 3, 20);
    assert_int_equal(h.done, 3);
    assert_string_equal(h.network_id, first);

    assert_int_equal(berth_agent_watch(a, 0), 0);
    assert_int_equal(berth_agent_state(a), BERTH_STATE_IDLE);
    assert_int_equal(berth_agent_timeout(a), -1);
    berth_agent_destroy(a);
}

/* What is about the network and not about the path: the connection stays. Where the path is another, it is raced again. */
static void a_connection_that_stands_is_not_raced_again(void **state)
{
    struct agent_node *n = *state;
    struct heard h = {0};
    struct berth_connection c = {0};
    char address[32];
    uint64_t id;
    if (n->pid == 0)
        skip();
    struct berth_node node = {.host = "127.0.0.1", .udp = {n->udp}};
    struct berth_options o = {.size = sizeof o,
                              .nodes = &node,
                              .n_nodes = 1,
                              .agent_id = "caller",
                              .callbacks = {.log = on_log},
                              .user = &h};
    const struct berth_rung rung = {BERTH_UDP, address, NULL, NULL};
    struct berth_connect_options co = {.size = sizeof co, .rungs = &rung, .n_rungs = 1};
    struct berth_agent *a;
    snprintf(address, sizeof address, "127.0.0.1:%u", n->udp);
    assert_int_equal(berth_agent_create(&a, &o), 0);
    assert_int_equal(berth_agent_connect(a, &co, &id), 0);
    for (int changes = 0; changes < 3; changes++) {
        static const char *const steps[] = {"true",
                                            "ip address add 198.51.100.2/24 dev berth0", /* one more prefix */
                                            /* packets to the node leave from elsewhere */
                                            "ip address add 192.0.2.9/32 dev lo && ip route replace local "
                                            "127.0.0.1 dev lo table local src 192.0.2.9 && "
                                            "ip address del 198.51.100.2/24 dev berth0"};
        int64_t deadline = clock_mono_us() + 30 * 1000000;
        assert_int_equal(system(steps[changes]), 0);
        while (h.changes < changes || c.state != BERTH_CONNECTION_UP) {
            struct pollfd fd = {.fd = berth_agent_fd(a), .events = POLLIN};
            poll(&fd, 1, 50);
            assert_int_equal(berth_agent_dispatch(a), 0);
            assert_int_equal(berth_agent_connection(a, id, &c), 0);
            assert_true(clock_mono_us() < deadline);
        }
        assert_int_equal(c.came_up, changes < 2 ? 1 : 2);
    }
    berth_agent_destroy(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(probes_when_the_network_has_changed),
                                       cmocka_unit_test(a_connection_that_stands_is_not_raced_again)};
    return cmocka_run_group_tests(tests, setup, agent_node_teardown);
}
