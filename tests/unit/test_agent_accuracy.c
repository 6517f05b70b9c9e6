/* link: berth_agent_core test_support */
/* How near a reported UDP round trip is to the path's, with one node and with two hundred. The figures are printed; what is
 * asserted is that every node is reached and no sample lost, since a shared machine's timing is no test. */
#include "agent_node.h"
#include "agent_turn.h"

#include "agent/berth.h"
#include "core/stun.h"
#include "probe/sys.h"

#include <stdlib.h>

enum { MANY = 200, PINGS = 200 };

static int setup(void **state)
{
    struct agent_node *n = calloc(1, sizeof *n);
    assert_non_null(n);
    *state = n;
    agent_node_start(n, "0.0.0.0");
    return 0;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int64_t median(int64_t *v, size_t n)
{
    qsort(v, n, sizeof v[0], compare);
    return v[n / 2];
}

/* The path's real round trip, by one socket that does nothing else: a request every 2 ms, received stamped by the kernel. */
static int64_t real_round_trip(uint16_t port)
{
    static struct sys_datagram d;
    struct addr to = {.family = ADDR_V4, .port = port, .ip = {127, 0, 0, 1}};
    int64_t rtt[PINGS];
    int fd = sys_udp_open(ADDR_V4);
    assert_true(fd >= 0);
    for (size_t i = 0; i < PINGS; i++) {
        uint8_t request[STUN_HEADER_LEN], txid[STUN_TXID_LEN] = {(uint8_t)i};
        struct stun_writer w;
        size_t len;
        stun_begin(&w, request, sizeof request, STUN_REQUEST, STUN_BINDING, txid);
        assert_int_equal(stun_finish(&w, &len), 0);
        int64_t sent = clock_mono_us();
        assert_int_equal(sys_udp_send(fd, &to, request, len), 0);
        sys_wait(fd, 2000000);
        assert_int_equal(sys_udp_receive(fd, &d), 1);
        assert_true(d.received_us >= sent);
        rtt[i] = d.received_us - sent;
        poll(NULL, 0, 2);
    }
    close(fd);
    return median(rtt, PINGS);
}

static void on_done(void *user, struct berth_agent *agent, const struct berth_summary *summary)
{
    *(struct berth_summary *)user = *summary;
}

/* The median of what the agent reports for `n` nodes at 127.0.0.1 and on. */
static int64_t reported(uint16_t port, size_t n, int64_t samples, struct berth_summary *summary)
{
    static char hosts[MANY][16];
    static struct berth_node nodes[MANY];
    int64_t rtt[MANY];
    struct berth_agent *a;
    for (size_t i = 0; i < n; i++) {
        snprintf(hosts[i], sizeof hosts[i], "127.0.0.%zu", i + 1);
        nodes[i] = (struct berth_node){.host = hosts[i], .udp = {port}};
    }
    struct berth_options o = {.size = sizeof o, .nodes = nodes, .n_nodes = n, .callbacks = {.done = on_done}};
    o.policy.samples = samples;
    o.user = summary;
    *summary = (struct berth_summary){0};
    assert_int_equal(berth_agent_create(&a, &o), 0);
    assert_int_equal(berth_agent_probe(a, 0), 0);
    int64_t deadline = clock_mono_us() + 60 * 1000000;
    while (summary->results == 0)
        agent_turn(a, deadline);
    for (size_t i = 0; i < n; i++) {
        struct berth_result r;
        assert_int_equal(berth_agent_result(a, 3 * i, &r), 0);
        assert_int_equal(r.status, BERTH_REACHABLE);
        assert_int_equal(r.sent, samples);
        assert_int_equal(r.received, samples);
        rtt[i] = r.rtt_median_us;
    }
    berth_agent_destroy(a);
    return median(rtt, n);
}

static void one_node_and_two_hundred(void **state)
{
    struct agent_node *n = *state;
    struct berth_summary summary;
    for (int round = 0; round < 3; round++) {
        int64_t real = real_round_trip(n->udp);
        int64_t one = reported(n->udp, 1, 20, &summary);
        int64_t many = reported(n->udp, MANY, 5, &summary);
        print_message(
            "path %lld us; reported for 1 node %lld us (%+lld), for %d nodes %lld us (%+lld), in %lld ms\n",
            (long long)real, (long long)one, (long long)(one - real), MANY, (long long)many,
            (long long)(many - real), (long long)(summary.duration_us / 1000));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_node_and_two_hundred)};
    return cmocka_run_group_tests(tests, setup, agent_node_teardown);
}
