/* link: berth_agent_core */
/* What a call reads of an assignment: its node, transports and ticket, and what is none. */
#include "check.h"

#include "agent/call_assignment.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LADDER                                                                                   \
    "\"ladder\":[{\"transport\":\"tcp\",\"address\":\"192.0.2.1:5004\"},{\"transport\":\"tls\"," \
    "\"address\":\"192.0.2.1:443\",\"tls_name\":\"n\"}]"
#define WHO "\"participant\":\"ann\",\"node\":\"n1\""

static void all_of_it_is_read(void **state)
{
    struct call_assignment a;
    assert_int_equal(
        call_assignment_read(
            &a,
            "{" WHO ",\"transport\":\"tls\"," LADDER ",\"meeting\":\"m1\",\"media\":{\"username\":"
            "\"ticket\",\"password\":\"secret\",\"epoch\":7,\"expires_at\":\"x\"},"
            "\"report\":{\"every_s\":900,\"expected\":"
            "{\"transport\":\"udp\",\"rtt_us\":20000,\"predicted\":true}},\"why\":{\"sentence\":\"So.\"}}"),
        0);
    assert_string_equal(a.to.node, "n1");
    assert_string_equal(a.participant, "ann");
    assert_string_equal(a.meeting, "m1");
    assert_int_equal(a.to.transport, TRANSPORT_TLS);
    assert_int_equal(a.to.transports, 1u << TRANSPORT_TCP | 1u << TRANSPORT_TLS);
    assert_true(a.has_grant && a.epoch == 7);
    assert_string_equal(a.grant.username, "ticket");
    assert_string_equal(a.grant.password, "secret");
    assert_true(a.tell_every_s == 900 && a.expected.rtt_us == 20000 && a.expected.predicted);
    assert_string_equal(a.why, "So.");
}

/* An older controller says nothing of it, and is told nothing. */
static void what_is_wrong_about_telling_is_left_out(void **state)
{
    static const char *const said[] = {"", "\"report\":5,", "\"report\":{\"every_s\":-1},",
                                       "\"report\":{\"every_s\":\"900\",\"expected\":{\"rtt_us\":1}},"};
    char text[512];
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        struct call_assignment a;
        snprintf(text, sizeof text, "{" WHO ",%s" LADDER "}", said[i]);
        assert_int_equal(call_assignment_read(&a, text), 0);
        assert_true(a.tell_every_s == 0 && a.expected.rtt_us == NOT_MEASURED);
    }
}

static void a_transport_that_the_ladder_has_not_is_its_first(void **state)
{
    static const char *const said[] = {"", "\"transport\":\"udp\",", "\"transport\":\"pigeon\",",
                                       "\"transport\":5,"};
    char text[512];
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        struct call_assignment a;
        snprintf(text, sizeof text, "{" WHO ",%s" LADDER "}", said[i]);
        assert_int_equal(call_assignment_read(&a, text), 0);
        assert_int_equal(a.to.transport, TRANSPORT_TCP);
        assert_true(!a.has_grant && a.epoch == 0 && a.meeting[0] == '\0');
    }
}

static void half_a_ticket_is_none(void **state)
{
    struct call_assignment a;
    char text[2048], longest[STUN_USERNAME_MAX + 2];
    memset(longest, 'u', sizeof longest);
    for (size_t len = STUN_USERNAME_MAX; len <= STUN_USERNAME_MAX + 1; len++) {
        snprintf(text, sizeof text,
                 "{" WHO "," LADDER ",\"media\":{\"username\":\"%.*s\",\"password\":\"p\"}}", (int)len,
                 longest);
        assert_int_equal(call_assignment_read(&a, text), 0);
        assert_int_equal(a.has_grant, len == STUN_USERNAME_MAX);
    }
    assert_int_equal(call_assignment_read(&a, "{" WHO "," LADDER ",\"media\":{\"username\":\"u\"}}"), 0);
    assert_false(a.has_grant);
    assert_int_equal(call_assignment_read(&a, "{" WHO "," LADDER ",\"media\":[]}"), 0);
    assert_false(a.has_grant);
}

static void what_is_no_assignment_is_refused(void **state)
{
    static const char *const texts[] = {"",
                                        "[]",
                                        "{}",
                                        "{" WHO "}",
                                        "{" WHO ",\"ladder\":[]}",
                                        "{" WHO ",\"ladder\":5}",
                                        "{\"node\":\"n1\"," LADDER "}",
                                        "{\"participant\":\"ann\"," LADDER "}",
                                        "{\"participant\":\"\",\"node\":\"n1\"," LADDER "}",
                                        "{\"participant\":\"ann\",\"node\":7," LADDER "}",
                                        "{\"participant\":\"ann\",\"node\":\"a\\u0000b\"," LADDER "}",
                                        "{" WHO "," LADDER "} x"};
    struct call_assignment a;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_int_equal(call_assignment_read(&a, texts[i]), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_it_is_read),
        cmocka_unit_test(what_is_wrong_about_telling_is_left_out),
        cmocka_unit_test(a_transport_that_the_ladder_has_not_is_its_first),
        cmocka_unit_test(half_a_ticket_is_none),
        cmocka_unit_test(what_is_no_assignment_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
