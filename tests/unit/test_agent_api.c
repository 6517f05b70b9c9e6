/* link: berth_shared berth_sys test_support */
/* The public library, as an application links it, against a real node: in a foreign loop, in threads, several at once. */
#include "agent_node.h"

#include "agent/berth.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* What an agent has told; callbacks may come from its thread. */
struct heard {
    atomic_int done, results, states;
    struct berth_summary summary;
    struct berth_result rows[64];
    pthread_t thread;
};

static void on_result(void *user, struct berth_agent *agent, const struct berth_result *row)
{
    struct heard *h = user;
    h->rows[h->results] = *row;
    h->thread = pthread_self();
    h->results++;
}

static void on_done(void *user, struct berth_agent *agent, const struct berth_summary *summary)
{
    struct heard *h = user;
    h->summary = *summary;
    h->done++;
}

static void on_state(void *user, struct berth_agent *agent, int new_state)
{
    ((struct heard *)user)->states |= 1 << new_state;
}

static struct berth_options options(struct heard *h, const struct berth_node *nodes, size_t n)
{
    return (struct berth_options){.size = sizeof(struct berth_options),
                                  .agent_id = "test",
                                  .nodes = nodes,
                                  .n_nodes = n,
                                  .callbacks = {.result = on_result, .done = on_done, .state = on_state},
                                  .user = h};
}

static struct berth_node node_of(const struct agent_node *n)
{
    return (struct berth_node){.host = "127.0.0.1", .udp = {n->udp}, .tcp = {n->tcp}, .tls = {n->tls}};
}

/* A foreign loop: poll, and nothing else. */
static void run_until_done(struct berth_agent *a, struct heard *h, int times)
{
    int64_t deadline = clock_mono_us() + 30 * 1000000;
    while (h->done < times) {
        struct pollfd fds[] = {{.fd = berth_agent_fd(a), .events = POLLIN}};
        poll(fds, 1, berth_agent_timeout(a));
        assert_int_equal(berth_agent_dispatch(a), 0);
        assert_true(clock_mono_us() < deadline);
    }
}

static void wait_until_done(struct heard *h, int times)
{
    int64_t deadline = clock_mono_us() + 30 * 1000000;
    while (h->done < times) {
        assert_true(clock_mono_us() < deadline);
        poll(NULL, 0, 5);
    }
}

static void in_a_foreign_loop(void **state)
{
    struct agent_node *n = *state;
    struct heard h = {0};
    struct berth_node node = node_of(n);
    struct berth_options o = options(&h, &node, 1);
    struct berth_agent *a;
    struct berth_result row;
    o.ca_file = n->ca_file;
    assert_int_equal(berth_agent_create(&a, &o), 0);
    assert_int_equal(berth_agent_timeout(a), -1);
    assert_int_equal(berth_agent_state(a), BERTH_STATE_IDLE);
    assert_int_equal(berth_agent_probe(a, 0), 0);
    assert_int_equal(berth_agent_probe(a, 0), -EBUSY);
    assert_int_equal(berth_agent_timeout(a), 0);
    run_until_done(a, &h, 1);
    assert_int_equal(h.results, 3);
    assert_int_equal(h.summary.error, 0);
    assert_int_equal(h.summary.nodes, 1);
    assert_int_equal(h.summary.reachable, 1);
    assert_int_equal(strlen(h.summary.network_id), 32);
    assert_int_equal(berth_agent_result_count(a), 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(berth_agent_result(a, i, &row), 0);
        assert_int_equal(row.status, BERTH_REACHABLE);
        assert_int_equal(row.transport, i);
        assert_int_equal(row.sent, 5);
        assert_int_equal(row.received, 5);
        assert_true(row.rtt_min_us > 0 && row.rtt_min_us <= row.rtt_median_us &&
                    row.rtt_median_us <= row.rtt_p95_us);
        assert_true((row.connect_us >= 0) == (i > 0));
        assert_true((row.tls_us >= 0) == (i == 2));
        assert_memory_equal(row.mapped_address, "127.0.0.1:", 10);
        assert_string_equal(row.error, "");
    }
    assert_int_equal(berth_agent_result(a, 3, &row), -ENOENT);
    int seen = 1 << BERTH_STATE_RESOLVING | 1 << BERTH_STATE_PROBING | 1 << BERTH_STATE_IDLE;
    assert_int_equal(h.states, seen);
    assert_int_equal(berth_agent_timeout(a), -1);
    berth_agent_destroy(a);
}

static void over_ipv6(void **state)
{
    struct agent_node *n = *state;
    struct heard h = {0};
    struct berth_node node = node_of(n);
    struct berth_options o = options(&h, &node, 1);
    struct berth_agent *a;
    node.host = "::1";
    o.ca_file = n->ca_file;
    assert_int_equal(berth_agent_create(&a, &o), 0);
    assert_int_equal(berth_agent_probe(a, 0), 0);
    run_until_done(a, &h, 1);
    berth_agent_destroy(a);
    assert_int_equal(h.results, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(h.rows[i].status, BERTH_REACHABLE);
        assert_memory_equal(h.rows[i].address, "[::1]:", 6);
        assert_memory_equal(h.rows[i].mapped_address, "[::1]:", 6);
    }
}

static void json_and_node_getters(void **state)
{
    struct agent_node *n = *state;
    struct heard h = {0};
    struct berth_node node = {.host = "localhost", .node = "here", .udp = {n->udp}};
    struct berth_options o = options(&h, &node, 1);
    struct berth_agent *a;
    struct berth_node_info info;
    char *text = NULL;
    assert_int_equal(berth_agent_create(&a, &o), 0);
    assert_int_equal(berth_agent_results_json(a, &text), 0);
    assert_string_equal(text, "{\"nodes\":[]}");
    berth_free(text);
    assert_int_equal(berth_agent_probe(a, 0), 0);
    run_until_done(a, &h, 1);
    assert_int_equal(berth_agent_results_json(a, &text), 0);
    assert_non_null(
        strstr(text, "{\"nodes\":[{\"node\":\"here\",\"results\":[{\"node\":\"here\",\"transport\":\"udp\","
                     "\"status\":\"reachable\""));
    berth_free(text);
    assert_int_equal(berth_agent_node_count(a), 1);
    assert_int_equal(berth_agent_node(a, 0, &info), 0);
    assert_string_equal(info.node, "here");
    assert_int_equal(berth_agent_node(a, 1, &info), -ENOENT);
    berth_agent_destroy(a);
}

static void in_its_own_thread(void **state)
{
    struct agent_node *n = *state;
    struct heard h = {0};
    struct berth_node node = node_of(n);
    struct berth_options o = options(&h, &node, 1);
    struct berth_agent *a;
    o.ca_file = n->ca_file;
    assert_int_equal(berth_agent_create(&a, &o), 0);
    assert_int_equal(berth_agent_stop_thread(a), -ESRCH);
    assert_int_equal(berth_agent_start_thread(a), 0);
    assert_int_equal(berth_agent_start_thread(a), -EALREADY);
    assert_int_equal(berth_agent_dispatch(a), -EBUSY);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(berth_agent_probe(a, 0), 0);
        wait_until_done(&h, i);
        assert_int_equal(h.summary.reachable, 1);
    }
    assert_false(pthread_equal(h.thread, pthread_self()));
    assert_int_equal(berth_agent_stop_thread(a), 0);
    assert_int_equal(berth_agent_probe(a, 0), 0); /* and on in this one */
    run_until_done(a, &h, 4);
    assert_int_equal(h.results, 12);
    berth_agent_destroy(a);
}

/* One in a foreign loop, one in a thread, one destroyed in the middle of its probe. */
static void several_in_one_process(void **state)
{
    struct agent_node *n = *state;
    struct heard h1 = {0}, h2 = {0}, h3 = {0};
    struct berth_node node = node_of(n);
    struct berth_options o1 = options(&h1, &node, 1), o2 = options(&h2, &node, 1),
                         o3 = options(&h3, &node, 1);
    struct berth_agent *a1, *a2, *a3;
    o1.ca_file = o3.ca_file = n->ca_file; /* the second trusts nobody here */
    assert_int_equal(berth_agent_create(&a1, &o1), 0);
    assert_int_equal(berth_agent_create(&a2, &o2), 0);
    assert_int_equal(berth_agent_create(&a3, &o3), 0);
    assert_int_equal(berth_agent_start_thread(a2), 0);
    assert_int_equal(berth_agent_start_thread(a3), 0);
    assert_int_equal(berth_agent_probe(a3, 0), 0);
    assert_int_equal(berth_agent_probe(a2, 0), 0);
    assert_int_equal(berth_agent_probe(a1, 0), 0);
    berth_agent_destroy(a3);
    run_until_done(a1, &h1, 1);
    wait_until_done(&h2, 1);
    berth_agent_destroy(a2);
    berth_agent_destroy(a1);
    assert_int_equal(h3.done, 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(h1.rows[i].status, BERTH_REACHABLE);
        bool tls = h2.rows[i].transport == BERTH_TLS;
        assert_int_equal(h2.rows[i].status, tls ? BERTH_TLS_ERROR : BERTH_REACHABLE);
        assert_true((strstr(h2.rows[i].error, "issuer") != NULL) == tls);
    }
}

static const struct berth_result *row_of(const struct heard *h, const char *node, int transport)
{
    static const struct berth_result none;
    for (int i = 0; i < h->results; i++) {
        if (strcmp(h->rows[i].node, node) == 0 && h->rows[i].transport == transport)
            return &h->rows[i];
    }
    fail_msg("no row %s %s", node, berth_transport_name(transport));
    return &none;
}

/* A TCP listener whose queue is full: it takes no connection and refuses none. */
static int blackhole_tcp(uint16_t *port, int fillers[static 4])
{
    struct addr any = {.family = ADDR_V4, .ip = {127, 0, 0, 1}}, at;
    int fd = socket_listen_tcp(&any, false, 0);
    struct sockaddr_storage ss;
    assert_true(fd >= 0);
    assert_int_equal(socket_local_addr(fd, &at), 0);
    socklen_t len = sockaddr_from_addr(&ss, &at);
    for (int i = 0; i < 4; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        int rc = connect(fillers[i], (const struct sockaddr *)&ss, len);
        assert_true(rc == 0 || errno == EINPROGRESS);
    }
    *port = at.port;
    return fd;
}

/* Each transport of each node has its own fate and its own status. */
static void every_status_from_its_own_evidence(void **state)
{
    struct agent_node *n = *state;
    struct heard h = {0};
    int fillers[4];
    uint16_t full;
    int listener = blackhole_tcp(&full, fillers);
    struct addr any = {.family = ADDR_V4, .ip = {127, 0, 0, 1}}, deaf;
    int mute = socket_bind_udp(&any, false); /* a socket that nobody reads */
    assert_true(mute >= 0);
    assert_int_equal(socket_local_addr(mute, &deaf), 0);
    struct berth_node nodes[] = {
        {.host = "127.0.0.1",
         .node = "half",
         .udp = {n->udp},
         .tcp = {free_port(false)},
         .tls = {free_port(false)}},
        {.host = "127.0.0.1", .node = "dead", .udp = {free_port(true)}, .tcp = {full}, .tls = {full}},
        {.host = "127.0.0.1", .node = "deaf", .udp = {deaf.port}, .tls = {n->tcp}},
        {.host = "127.0.0.1", .node = "name", .tls_name = "other.test", .tls = {n->tls}},
        {.host = "localhost",
         .node = "second",
         .udp = {deaf.port, n->udp},
         .tcp = {free_port(false), n->tcp}},
        {.host = "127.0.0.1", .node = "alias", .tls_name = "node.test", .tls = {n->tls}},
    };
    struct berth_options o = options(&h, nodes, sizeof nodes / sizeof nodes[0]);
    struct berth_agent *a;
    o.ca_file = n->ca_file;
    o.policy = (struct berth_policy){.timeout_ms = 600, .node_budget_ms = 10000};
    assert_int_equal(berth_agent_create(&a, &o), 0);
    assert_int_equal(berth_agent_probe(a, 0), 0);
    run_until_done(a, &h, 1);
    assert_int_equal(row_of(&h, "half", BERTH_UDP)->status, BERTH_REACHABLE);
    assert_int_equal(row_of(&h, "half", BERTH_TCP)->status, BERTH_REFUSED);
    assert_int_equal(row_of(&h, "half", BERTH_TLS)->status, BERTH_REFUSED);
    assert_int_equal(row_of(&h, "dead", BERTH_UDP)->status, BERTH_REFUSED);
    assert_int_equal(row_of(&h, "dead", BERTH_TCP)->status, BERTH_TIMEOUT);
    assert_int_equal(row_of(&h, "dead", BERTH_TLS)->status, BERTH_TIMEOUT);
    assert_int_equal(row_of(&h, "deaf", BERTH_UDP)->status, BERTH_TIMEOUT);
    assert_int_equal(row_of(&h, "deaf", BERTH_UDP)->sent, 5);
    assert_int_equal(row_of(&h, "deaf", BERTH_TCP)->status, BERTH_UNTESTED);
    assert_int_equal(row_of(&h, "deaf", BERTH_TLS)->status, BERTH_TLS_ERROR); /* plain STUN listens there */
    assert_int_equal(row_of(&h, "name", BERTH_TLS)->status, BERTH_TLS_ERROR);
    assert_non_null(strstr(row_of(&h, "name", BERTH_TLS)->error, "ostname"));
    assert_int_equal(row_of(&h, "second", BERTH_UDP)->status, BERTH_REACHABLE);
    assert_int_equal(row_of(&h, "second", BERTH_TCP)->status, BERTH_REACHABLE);
    assert_int_equal(row_of(&h, "alias", BERTH_TLS)->status, BERTH_REACHABLE);
    assert_int_equal(h.summary.reachable, 3);
    berth_agent_destroy(a);
    for (int i = 0; i < 4; i++)
        close(fillers[i]);
    close(listener);
    close(mute);
}

static void a_name_without_address(void **state)
{
    struct heard h = {0};
    struct berth_node node = {.host = "nothing.invalid", .udp = {5004}};
    struct berth_options o = options(&h, &node, 1);
    struct berth_agent *a;
    assert_int_equal(berth_agent_create(&a, &o), 0);
    assert_int_equal(berth_agent_probe(a, 0), 0);
    run_until_done(a, &h, 1);
    assert_int_equal(h.summary.error, BERTH_E_RESOLVE);
    assert_string_equal(h.summary.detail, "nothing.invalid: no address");
    berth_agent_destroy(a);
}

static void cancelling_and_destroying_in_the_middle(void **state)
{
    struct agent_node *n = *state;
    struct berth_node node = node_of(n);
    node.udp[0] = free_port(true);
    for (int dispatches = 0; dispatches < 12; dispatches++) {
        struct heard h = {0};
        struct berth_options o = options(&h, &node, 1);
        struct berth_agent *a;
        assert_int_equal(berth_agent_create(&a, &o), 0);
        assert_int_equal(berth_agent_cancel(a), 0); /* nothing to cancel */
        assert_int_equal(berth_agent_probe(a, 0), 0);
        for (int i = 0; i < dispatches && h.done == 0; i++) {
            struct pollfd fds[] = {{.fd = berth_agent_fd(a), .events = POLLIN}};
            poll(fds, 1, berth_agent_timeout(a));
            assert_int_equal(berth_agent_dispatch(a), 0);
        }
        if (dispatches % 2 == 0 && h.done == 0) {
            assert_int_equal(berth_agent_cancel(a), 0);
            run_until_done(a, &h, 1);
            assert_int_equal(h.summary.error, -ECANCELED);
            assert_int_equal(berth_agent_probe(a, 0), 0); /* and anew */
        }
        berth_agent_destroy(a);
    }
}

/* A callback may call anything but the three that would wait for itself. */
static void probe_again(void *user, struct berth_agent *agent, const struct berth_summary *summary)
{
    struct heard *h = user;
    char *text;
    assert_int_equal(berth_agent_results_json(agent, &text), 0);
    berth_free(text);
    assert_int_equal(berth_agent_dispatch(agent), -EBUSY);
    assert_true(berth_agent_stop_thread(agent) < 0);
    if (h->done == 0)
        assert_int_equal(berth_agent_probe(agent, 0), 0);
    h->done++;
}

static void callbacks_may_call_back(void **state)
{
    struct agent_node *n = *state;
    for (int threaded = 0; threaded < 2; threaded++) {
        struct heard h = {0};
        struct berth_node node = {.host = "127.0.0.1", .udp = {n->udp}};
        struct berth_options o = options(&h, &node, 1);
        struct berth_agent *a;
        o.callbacks.done = probe_again;
        assert_int_equal(berth_agent_create(&a, &o), 0);
        assert_int_equal(berth_agent_probe(a, 0), 0);
        if (threaded) {
            assert_int_equal(berth_agent_start_thread(a), 0);
            wait_until_done(&h, 2);
        } else {
            run_until_done(a, &h, 2);
        }
        berth_agent_destroy(a);
    }
}

static void mistakes_are_answered(void **state)
{
    struct berth_agent *a = NULL;
    struct berth_options o = {.size = sizeof o};
    struct berth_node node = {.host = "127.0.0.1"};
    assert_int_equal(berth_agent_create(NULL, &o), -EINVAL);
    assert_int_equal(berth_agent_create(&a, NULL), -EINVAL);
    assert_int_equal(berth_agent_create(&a, &o), -EINVAL); /* neither controller nor nodes */
    o.nodes = &node;
    o.n_nodes = 1;
    o.ca_file = "/does/not/exist";
    assert_true(berth_agent_create(&a, &o) < 0);
    assert_null(a);
    o.ca_file = NULL;
    assert_int_equal(berth_agent_create(&a, &o), 0);
    assert_int_equal(berth_agent_probe(a, BERTH_PROBE_REPORT), -EINVAL); /* to whom? */
    assert_int_equal(berth_agent_probe(a, 2), -EINVAL);
    assert_int_equal(berth_agent_set_token(a, NULL), -EINVAL);
    berth_agent_destroy(a);
    berth_agent_destroy(NULL);
}

static void on_log(void *user, struct berth_agent *agent, int level, const char *event, const char *text)
{
    struct heard *h = user;
    if (strcmp(event, "thread_failed") != 0)
        return;
    assert_int_equal(level, BERTH_LOG_ERROR);
    assert_string_equal(text, berth_strerror(-EINVAL));
    h->done++;
}

/* The agent's descriptor is spoilt: its thread ends with what dispatch says, which is told and kept. */
static void a_thread_that_fails(void **state)
{
    struct heard h = {0};
    struct berth_node node = node_of(*state);
    struct berth_options o = options(&h, &node, 1);
    struct berth_agent *a;
    o.callbacks.log = on_log;
    assert_int_equal(berth_agent_create(&a, &o), 0);
    int other = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(other >= 0);
    assert_true(dup2(other, berth_agent_fd(a)) >= 0);
    close(other);
    for (int times = 1; times <= 2; times++) {
        assert_int_equal(berth_agent_start_thread(a), 0);
        wait_until_done(&h, times);
        assert_int_equal(berth_agent_start_thread(a), -EALREADY);
        assert_int_equal(berth_agent_stop_thread(a), -EINVAL);
        assert_int_equal(berth_agent_stop_thread(a), -ESRCH);
    }
    berth_agent_destroy(a);
}

/* The controller's address refuses: the probe ends with that, and says so. */
static void an_unreachable_controller(void **state)
{
    struct heard h = {0};
    struct berth_options o = options(&h, NULL, 0);
    struct berth_agent *a;
    char url[64];
    snprintf(url, sizeof url, "https://127.0.0.1:%u", free_port(false));
    o.controller = url;
    o.token = "k.s";
    assert_int_equal(berth_agent_create(&a, &o), 0);
    assert_int_equal(berth_agent_probe(a, BERTH_PROBE_REPORT), 0);
    run_until_done(a, &h, 1);
    assert_int_equal(h.summary.error, BERTH_E_UNREACHABLE);
    assert_string_not_equal(h.summary.detail, "");
    assert_int_equal(berth_agent_timeout(a), -1); /* one probe was asked for, and that was it */
    berth_agent_destroy(a);
    o.controller = "http://example.com"; /* a token in the clear: not even tried */
    assert_int_equal(berth_agent_create(&a, &o), 0);
    assert_int_equal(berth_agent_probe(a, 0), 0);
    run_until_done(a, &h, 2);
    assert_int_equal(h.summary.error, -EINVAL);
    berth_agent_destroy(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_a_foreign_loop),       cmocka_unit_test(over_ipv6),
        cmocka_unit_test(json_and_node_getters),   cmocka_unit_test(in_its_own_thread),
        cmocka_unit_test(several_in_one_process),  cmocka_unit_test(every_status_from_its_own_evidence),
        cmocka_unit_test(a_name_without_address),  cmocka_unit_test(cancelling_and_destroying_in_the_middle),
        cmocka_unit_test(callbacks_may_call_back), cmocka_unit_test(mistakes_are_answered),
        cmocka_unit_test(a_thread_that_fails),     cmocka_unit_test(an_unreachable_controller),
    };
    return cmocka_run_group_tests(tests, agent_node_setup, agent_node_teardown);
}
