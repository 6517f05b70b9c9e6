/* link: berth_agent_core */
/* Options, names, and the queue of events. */
#include "check.h"

#include "agent/events.h"
#include "agent/options.h"

#include <errno.h>
#include <string.h>

static struct berth_options with_controller(void)
{
    return (struct berth_options){.size = sizeof(struct berth_options),
                                  .controller = "https://c.test",
                                  .token = "o_k.s",
                                  .agent_id = "a1"};
}

static void refused(const struct berth_options *o)
{
    struct agent_options got;
    assert_int_equal(agent_options_init(&got, o), -EINVAL);
}

static void bad_options_are_refused(void **state)
{
    struct berth_options o = with_controller();
    struct berth_node node = {.host = "n.test"};
    char long_host[400];
    memset(long_host, 'a', sizeof long_host - 1);
    long_host[sizeof long_host - 1] = '\0';
    refused(NULL);
    o.size = 0;
    refused(&o);
    o = with_controller();
    o.controller = NULL; /* and no nodes */
    refused(&o);
    o = with_controller();
    o.agent_id = "no spaces";
    refused(&o);
    o.agent_id = "";
    refused(&o);
    o = with_controller();
    o.name_agent = 3;
    refused(&o);
    o = with_controller();
    o.n_nodes = 1; /* but no array */
    refused(&o);
    o.nodes = &node;
    node.host = "";
    refused(&o);
    node.host = long_host;
    refused(&o);
    node = (struct berth_node){.host = "n.test", .tls_name = long_host};
    refused(&o);
    o.n_nodes = 1366;
    refused(&o);
    o = with_controller();
    o.policy.samples = 51;
    refused(&o);
    o.policy = (struct berth_policy){.timeout_ms = 49};
    refused(&o);
    o.policy = (struct berth_policy){.pace_per_s = -1};
    refused(&o);
}

static void everything_is_copied(void **state)
{
    char host[] = "n.test", token[] = "h.p.s", agent[] = "a1";
    struct berth_node node = {.host = host, .udp = {5, 6}};
    struct berth_options o = with_controller();
    struct agent_options got;
    o.nodes = &node;
    o.n_nodes = 1;
    o.token = token;
    o.agent_id = agent;
    assert_int_equal(agent_options_init(&got, &o), 0);
    memset(host, 'x', 3);
    memset(token, 'x', 3);
    memset(agent, 'x', 2);
    assert_string_equal(got.given[0].host, "n.test");
    assert_string_equal(got.given[0].node, "n.test");
    assert_string_equal(got.given[0].tls_name, "n.test");
    assert_int_equal(got.given[0].ports[TRANSPORT_UDP][1], 6);
    assert_int_equal(got.given[0].ports[TRANSPORT_TCP][0], 0);
    assert_string_equal(got.token, "h.p.s");
    assert_string_equal(got.agent_id, "a1");
    assert_null(agent_options_name(&got)); /* the JWT says who */
    assert_int_equal(agent_options_set_token(&got, "new"), 0);
    assert_string_equal(got.token, "new");
    assert_string_equal(agent_options_name(&got), "a1");
    got.name_agent = 2;
    assert_null(agent_options_name(&got));
    agent_options_clear(&got);
}

static void defaults(void **state)
{
    struct berth_node node = {.host = "2001:db8::1", .node = "six"};
    struct berth_options o = {.size = sizeof o, .nodes = &node, .n_nodes = 1};
    struct agent_options got;
    assert_int_equal(agent_options_init(&got, &o), 0);
    assert_string_equal(got.given[0].node, "six");
    assert_int_equal(got.given[0].ports[TRANSPORT_UDP][0], 5004);
    assert_int_equal(got.given[0].ports[TRANSPORT_UDP][1], 3478);
    assert_int_equal(got.given[0].ports[TRANSPORT_TCP][0], 5004);
    assert_int_equal(got.given[0].ports[TRANSPORT_TLS][0], 443);
    assert_true(agent_id_valid(got.agent_id)); /* the host's name */
    assert_string_equal(agent_options_name(&got), got.agent_id);
    agent_options_clear(&got);
}

static void overrides_the_servers_policy_where_asked(void **state)
{
    struct berth_options o = with_controller();
    struct agent_options got;
    struct probe_policy p;
    o.policy = (struct berth_policy){.samples = 9, .budget_ms = 1000};
    assert_int_equal(agent_options_init(&got, &o), 0);
    probe_policy_init(&p);
    agent_options_policy(&got, &p);
    assert_int_equal(p.samples, 9);
    assert_int_equal(p.budget_ms, 1000);
    assert_int_equal(p.timeout_ms, 1500);
    agent_options_clear(&got);
}

static void names_are_the_documents(void **state)
{
    static const char *const statuses[] = {"untested", "reachable", "timeout",
                                           "refused",  "tls_error", "proxy_error"};
    static const char *const transports[] = {"udp", "tcp", "tls", "proxy"};
    for (int i = 0; i < 6; i++)
        assert_string_equal(berth_status_name(i), statuses[i]);
    for (int i = 0; i < 4; i++)
        assert_string_equal(berth_transport_name(i), transports[i]);
    assert_string_equal(berth_status_name(6), "unknown");
    assert_string_equal(berth_status_name(-1), "unknown");
    assert_string_equal(berth_transport_name(4), "unknown");
    assert_string_equal(berth_state_name(BERTH_STATE_WAITING), "waiting");
    assert_string_equal(berth_state_name(6), "unknown");
    for (int e = BERTH_E_NO_NODES; e <= BERTH_E_UNREACHABLE; e++)
        assert_string_not_equal(berth_strerror(e), "unknown error");
    assert_string_equal(berth_strerror(-EINVAL), "Invalid argument");
    assert_string_equal(berth_strerror(-99999), "unknown error");
    assert_string_equal(berth_strerror(0), "success");
}

static void events_are_a_bounded_fifo(void **state)
{
    struct events q;
    struct event e;
    int next = 0, pushed = 0;
    assert_int_equal(events_open(&q), 0);
    for (int round = 0; round < 50; round++) { /* the head wanders */
        for (int i = 0; i < 7; i++)
            events_push(&q, EVENT_STATE)->u.state = pushed++;
        for (int i = 0; i < 5; i++) {
            assert_int_equal(events_pop(&q, &e), 1);
            assert_int_equal(e.u.state, next++);
        }
    }
    while (events_pop(&q, &e))
        assert_int_equal(e.u.state, next++);
    assert_int_equal(next, pushed);
    for (int i = 0; i < EVENTS_MAX - EVENTS_RESERVED; i++)
        assert_non_null(events_push(&q, EVENT_LOG));
    assert_null(events_push(&q, EVENT_LOG));
    assert_int_equal(q.dropped, 1);
    for (int i = 0; i < EVENTS_RESERVED; i++)
        assert_non_null(events_push(&q, EVENT_DONE));
    assert_null(events_push(&q, EVENT_DONE));
    assert_int_equal(q.dropped, 2);
    for (int i = 0; i < EVENTS_MAX; i++)
        assert_int_equal(events_pop(&q, &e), 1);
    assert_int_equal(e.kind, EVENT_DONE);
    assert_int_equal(events_pop(&q, &e), 0);
    assert_int_equal(q.cap, EVENTS_KEPT);
    events_close(&q);
}

static void events_texts_are_bounded(void **state)
{
    static char text[256 * 1024];
    const struct berth_event is = {.name = "x", .data = text, .detail = ""};
    struct events q;
    struct event e;
    size_t n = 0;
    assert_int_equal(events_open(&q), 0);
    memset(text, 'x', sizeof text - 1);
    while (events_push_stream(&q, 1, &is) && n < EVENTS_MAX)
        n++;
    assert_int_equal(n, EVENTS_BYTES_MAX / (sizeof text + 3));
    assert_non_null(events_push(&q, EVENT_STATE)); /* what has no text has room */
    assert_int_equal(events_pop(&q, &e), 1);
    event_clear(&e);
    assert_true(events_push_stream(&q, 1, &is));
    assert_false(events_push_stream(&q, 1, &is));
    while (events_pop(&q, &e))
        event_clear(&e);
    assert_true(events_push_stream(&q, 1, &is));
    events_close(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_options_are_refused),
        cmocka_unit_test(everything_is_copied),
        cmocka_unit_test(defaults),
        cmocka_unit_test(overrides_the_servers_policy_where_asked),
        cmocka_unit_test(names_are_the_documents),
        cmocka_unit_test(events_are_a_bounded_fifo),
        cmocka_unit_test(events_texts_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
