/* link: berth_cli */
/* What is told of a call: each thing once, in order, and for how long nobody was heard. */
#include "check.h"

#include "agent/cli/story.h"

#include <stdio.h>
#include <string.h>

enum { S = 1000 * 1000 };

static const struct story_event *news(struct story *s, int state, const char *node, const char *reason,
                                      int64_t now_us)
{
    struct berth_call c = {.state = state, .transport = state == BERTH_CALL_UP ? BERTH_UDP : -1};
    snprintf(c.node, sizeof c.node, "%s", node);
    snprintf(c.reason, sizeof c.reason, "%s", reason);
    return story_changed(s, &c, now_us);
}

static void assert_line(const struct story_event *e, const char *line)
{
    char text[STORY_LINE_MAX];
    assert_non_null(e);
    story_line(e, text);
    assert_string_equal(text, line);
}

static void a_loss_and_the_return_on_another_node(void **state)
{
    struct story s;
    char text[STORY_LINE_MAX];
    story_init(&s, 100 * S);
    assert_null(news(&s, BERTH_CALL_CONNECTING, "n2", "", 100 * S));
    assert_line(news(&s, BERTH_CALL_UP, "n2", "", 101 * S), "up on n2 over udp");
    assert_false(story_return_line(&s.events[0], text));
    story_heard(&s, 104 * S);
    assert_line(news(&s, BERTH_CALL_LOST, "n2", "n2: the connection was lost: port unreachable", 105 * S),
                "lost n2: port unreachable");
    assert_line(news(&s, BERTH_CALL_LOST, "n2",
                     "n2: no rung of the ladder works: udp 127.0.0.2:5004 port unreachable", 105 * S),
                "n2 was not reached: udp 127.0.0.2:5004 port unreachable");
    assert_null(news(&s, BERTH_CALL_LOST, "n1",
                     "n2: no rung of the ladder works: udp 127.0.0.2:5004 port unreachable", 105 * S));
    assert_non_null(story_newest(&s, STORY_WAITING, STORY_UNREACHED));
    assert_line(news(&s, BERTH_CALL_UP, "n1", "", 106 * S), "up on n1 over udp");
    assert_true(story_return_line(&s.events[3], text));
    assert_string_equal(text, "n2 -> n1 at 6 s (port unreachable)"); /* nobody was heard again yet */
    story_heard(&s, 106 * S + S / 5);
    story_heard(&s, 107 * S);
    assert_true(story_return_line(&s.events[3], text));
    assert_string_equal(text, "n2 -> n1 at 6 s (port unreachable), 2.2 s without media");
    assert_line(news(&s, BERTH_CALL_ENDED, "", "404 unknown_meeting: no", 108 * S),
                "ended: 404 unknown_meeting: no");
    assert_null(news(&s, BERTH_CALL_ENDED, "", "404 unknown_meeting: no", 109 * S));
    assert_true(s.n == 5 && s.left_out == 0);
}

static void a_move_loses_nothing(void **state)
{
    struct story s;
    char text[STORY_LINE_MAX];
    story_init(&s, 0);
    news(&s, BERTH_CALL_UP, "n2", "", S);
    assert_null(news(&s, BERTH_CALL_UP, "n2", "", 2 * S));
    story_heard(&s, 5 * S);
    const struct story_event *e = news(&s, BERTH_CALL_UP, "n1", "ann is moved.", 5 * S + 10000);
    assert_line(e, "moved to n1 over udp: ann is moved.");
    story_heard(&s, 5 * S + 20000);
    assert_true(e->silent_us == 20000 && story_return_line(e, text));
    assert_string_equal(text, "n2 -> n1 at 5 s, 0.0 s without media: ann is moved.");
    json_t *j = story_json(&s);
    char *dump = json_dumps(j, JSON_COMPACT);
    assert_string_equal(dump,
                        "[{\"at_us\":1000000,\"event\":\"up\",\"node\":\"n2\",\"transport\":\"udp\"},"
                        "{\"at_us\":5010000,\"event\":\"moved\",\"node\":\"n1\",\"from\":\"n2\","
                        "\"transport\":\"udp\",\"reason\":\"ann is moved.\",\"without_media_us\":20000}]");
    free(dump);
    json_decref(j);
}

/* The longest that the library has: nothing is written past a line. */
static void texts_of_any_length(void **state)
{
    struct story s;
    char reason[BERTH_ERROR_TEXT], node[BERTH_NODE_MAX + 1], text[STORY_LINE_MAX];
    memset(node, 'n', sizeof node);
    node[BERTH_NODE_MAX] = '\0';
    snprintf(reason, sizeof reason, "%s: no rung of the ladder works; %0150d", node, 1);
    story_init(&s, 0);
    news(&s, BERTH_CALL_UP, node, "", 1);
    story_line(news(&s, BERTH_CALL_LOST, node, reason, 2), text);
    assert_true(strlen(s.events[1].reason) < BERTH_ERROR_TEXT);
    node[0] = 'm';
    assert_true(story_return_line(news(&s, BERTH_CALL_UP, node, reason, INT64_MAX / 2), text));
}

static void the_newest_are_kept(void **state)
{
    struct story s;
    story_init(&s, 0);
    for (int i = 0; i < STORY_MAX; i++) {
        news(&s, BERTH_CALL_UP, "n1", "", 2 * i);
        news(&s, BERTH_CALL_LOST, "n1", "gone", 2 * i + 1);
    }
    assert_true(s.n == STORY_MAX && s.left_out == STORY_MAX);
    assert_true(s.events[0].at_us == STORY_MAX && s.events[0].kind == STORY_UP);
    assert_true(s.events[STORY_MAX - 1].at_us == 2 * STORY_MAX - 1);
    assert_null(story_newest(&s, STORY_MOVED, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loss_and_the_return_on_another_node),
        cmocka_unit_test(a_move_loses_nothing),
        cmocka_unit_test(texts_of_any_length),
        cmocka_unit_test(the_newest_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
