/* link: berth_shared berth_sys test_support */
/* Calls by the public functions where there is no controller: mistakes, bounds, what is told, leaving. */
#include "agent_node.h"
#include "agent_turn.h"

#include "agent/berth.h"

#include <errno.h>

struct heard {
    int changed, state;
    char reason[BERTH_ERROR_TEXT];
};

static void on_changed(void *user, struct berth_agent *agent, const struct berth_call *c)
{
    struct heard *h = user;
    h->changed++;
    h->state = c->state;
    memcpy(h->reason, c->reason, sizeof h->reason);
}

/* Nobody listens at its controller's port. */
static struct berth_agent *agent_new(void)
{
    char url[64];
    snprintf(url, sizeof url, "https://127.0.0.1:%u", free_port(false));
    struct berth_options o = {
        .size = sizeof o, .controller = url, .token = "k.s", .agent_id = "ann", .proxy = "none"};
    struct berth_agent *a = NULL;
    assert_int_equal(berth_agent_create(&a, &o), 0);
    return a;
}

static struct berth_join_options options(struct heard *h)
{
    return (struct berth_join_options){
        .size = sizeof(struct berth_join_options), .meeting = "m1", .changed = on_changed, .user = h};
}

static void mistakes_are_answered(void **state)
{
    struct heard h = {0};
    struct berth_agent *a = agent_new();
    uint64_t call = 0;
    const char *const meetings[] = {NULL, "", "a/b", "a b", "\xc3\xa4"};
    struct berth_join_options o = options(&h);
    assert_int_equal(berth_agent_join(a, NULL, &call), -EINVAL);
    for (size_t i = 0; i < sizeof meetings / sizeof *meetings; i++) {
        o.meeting = meetings[i];
        assert_int_equal(berth_agent_join(a, &o, &call), -EINVAL);
    }
    char longest[BERTH_MEETING_TEXT + 1];
    memset(longest, 'm', sizeof longest);
    longest[BERTH_MEETING_TEXT] = '\0';
    o.meeting = longest;
    assert_int_equal(berth_agent_join(a, &o, &call), -EINVAL);
    struct berth_join_options bad[8];
    for (size_t i = 0; i < 8; i++)
        bad[i] = options(&h);
    bad[0].size--;
    bad[1].audio_level_ext = 15;
    bad[2].transport_wide_ext = -1;
    bad[3].audio_level_ext = bad[3].transport_wide_ext = 2;
    bad[4].keepalive_ms = 25001;
    bad[5].rung_delay_ms = -1;
    bad[6].assignment = "{}";
    bad[7].assignment = "no JSON";
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(berth_agent_join(a, &bad[i], &call), -EINVAL);
    struct berth_call c;
    assert_int_equal(berth_agent_call(a, 1, &c), -ENOENT);
    assert_int_equal(berth_agent_leave(a, 0), -ENOENT);
    assert_int_equal(berth_agent_send(a, 1, "x", 1), -ENOENT);
    assert_int_equal(berth_agent_call_count(a), 0);
    assert_int_equal(berth_agent_timeout(a), -1); /* nothing was begun */
    berth_agent_destroy(a);
    const struct berth_node node = {.host = "127.0.0.1"};
    const struct berth_options alone = {
        .size = sizeof alone, .nodes = &node, .n_nodes = 1, .agent_id = "ann"};
    assert_int_equal(berth_agent_create(&a, &alone), 0);
    o = options(&h);
    assert_int_equal(berth_agent_join(a, &o, &call), -EINVAL); /* no controller */
    berth_agent_destroy(a);
}

static void without_a_controller_it_goes_on_asking(void **state)
{
    struct heard h = {.state = -1};
    struct berth_agent *a = agent_new();
    const struct berth_join_options o = options(&h);
    struct berth_call c = {0};
    uint64_t call = 0;
    static const uint8_t packet[BERTH_PACKET_MAX + 1] = {0x80};
    int64_t deadline = clock_mono_us() + 60 * 1000000;
    assert_int_equal(berth_agent_join(a, &o, &call), 0);
    while (h.changed < 2) { /* joining, and then why it goes no further */
        agent_turn(a, deadline);
        assert_int_equal(berth_agent_call(a, call, &c), 0);
    }
    assert_true(c.error == BERTH_E_UNREACHABLE && c.http_status == 0);
    assert_true(c.state == BERTH_CALL_JOINING && h.state == BERTH_CALL_JOINING);
    assert_string_equal(h.reason, c.reason);
    assert_true(c.reason[0] != '\0' && c.up_us == -1 && c.transport == -1 && c.rtt_us == -1);
    assert_int_equal(berth_agent_send(a, call, packet, 100), -ENOTCONN);
    assert_int_equal(berth_agent_send(a, call, packet, sizeof packet), -EMSGSIZE);
    assert_int_equal(berth_agent_call(a, call, &c), 0);
    assert_int_equal(c.send_dropped, 1);
    assert_true(berth_agent_timeout(a) >= 0);
    assert_int_equal(berth_agent_leave(a, call), 0);
    assert_int_equal(berth_agent_leave(a, call), -ENOENT);
    while (berth_agent_call_count(a) > 0)
        agent_turn(a, deadline);
    assert_int_equal(h.changed, 2);
    while (berth_agent_timeout(a) >= 0) /* and the stream isn't followed any more */
        agent_turn(a, deadline);
    berth_agent_destroy(a);
}

static void so_many_calls_and_no_more(void **state)
{
    struct heard h = {0};
    struct berth_agent *a = agent_new();
    const struct berth_join_options o = options(&h);
    uint64_t call[BERTH_CALLS_MAX + 1];
    for (size_t round = 0; round < 5; round++) { /* also with those that are still being left */
        for (size_t i = 0; i < BERTH_CALLS_MAX; i++)
            assert_int_equal(berth_agent_join(a, &o, &call[i]), 0);
        assert_int_equal(berth_agent_join(a, &o, &call[BERTH_CALLS_MAX]), -EMFILE);
        for (size_t i = 0; i < BERTH_CALLS_MAX; i++)
            assert_int_equal(berth_agent_leave(a, call[i]), 0);
        assert_true(berth_agent_call_count(a) <= 2 * BERTH_CALLS_MAX);
    }
    assert_int_equal(berth_agent_join(a, &o, &call[0]), 0);
    berth_agent_destroy(a); /* in the middle of it */
}

static void names_of_states(void **state)
{
    assert_string_equal(berth_call_state_name(BERTH_CALL_JOINING), "joining");
    assert_string_equal(berth_call_state_name(BERTH_CALL_ENDED), "ended");
    assert_string_equal(berth_call_state_name(5), "unknown");
    assert_string_equal(berth_call_state_name(-1), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_are_answered),
        cmocka_unit_test(without_a_controller_it_goes_on_asking),
        cmocka_unit_test(so_many_calls_and_no_more),
        cmocka_unit_test(names_of_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
