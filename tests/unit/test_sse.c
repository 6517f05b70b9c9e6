/* link: berth_core */
/* Server-sent events: fields, line ends, ids, bounds; the same however the bytes come. */
#include "core/sse.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char trace[1024];
static size_t refuse_at, n_events;

static bool note(void *user, const struct sse_event *e)
{
    size_t len = strlen(trace);

    (void)user;
    if (++n_events == refuse_at)
        return false;
    snprintf(trace + len, sizeof(trace) - len, "[%s|%s|%s]", e->name, e->id, e->data);
    return true;
}

static int feed(struct sse *s, char *buf, size_t cap, const char *bytes, size_t len, size_t step)
{
    int r = 0;

    sse_init(s, buf, cap);
    trace[0] = '\0';
    n_events = 0;
    for (size_t at = 0; at < len && r == 0; at += step)
        r = sse_feed(s, bytes + at, len - at < step ? len - at : step, note, NULL);
    return r;
}

static void test_streams(void **state)
{
    static const struct {
        const char *stream, *events, *last_id;
    } cases[] = {
        {"data: x\n\n", "[message||x]", ""},
        {"event: probe\nid: 7\ndata: {}\n\n", "[probe|7|{}]", "7"},
        {"data:x\r\n\r\n", "[message||x]", ""},
        {"data:x\r\r", "[message||x]", ""},
        {"data: a\ndata:  b\ndata\n\n", "[message||a\n b\n]", ""},
        {"data\n\n", "[message||]", ""},
        {"data: x\n", "", ""},                                   /* not at its end */
        {"id: 5\n\n", "", "5"},                                  /* a position alone */
        {"id: 5\n\ndata: x\n\n", "[message|5|x]", "5"},          /* which stays */
        {"id: 5\n\nid\ndata: x\n\n", "[message||x]", ""},        /* until it is taken back */
        {"id: 5\n\nid: 6\ndata: x\n", "", "5"},                  /* 6 hasn't come whole */
        {":\n\n: hello\n\ndata: x\n\n", "[message||x]", ""},     /* comments */
        {"event: a\n\ndata: x\n\n", "[message||x]", ""},         /* without data it is none */
        {"retry: 5\nother: x\ndata: x\n\n", "[message||x]", ""}, /* not ours */
        {"\xEF\xBB\xBF"
         "data: x\n\n",
         "[message||x]", ""}, /* a byte order mark */
        {"data: x\n\n\xEF\xBB\xBF"
         "data: x\n\n",
         "[message||x]", ""}, /* only at the beginning */
        {"Data: x\n data: x\n\n", "", ""},
        {"data: x: y\n\n", "[message||x: y]", ""},
        {"event: 0123456789012345678901234567890123456789012345678901234567890123\ndata: x\n\n",
         "[message||x]", ""},
    };
    struct sse s;
    char buf[256];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t step = 1; step <= strlen(cases[i].stream); step++) {
            assert_int_equal(feed(&s, buf, sizeof(buf), cases[i].stream, strlen(cases[i].stream), step), 0);
            assert_string_equal(trace, cases[i].events);
            assert_string_equal(s.last_id, cases[i].last_id);
        }
    }
}

static void test_a_nul_is_no_id(void **state)
{
    static const char stream[] = "id: 4\n\nid: a\0b\nevent: a\0b\ndata: x\n\n";
    struct sse s;
    char buf[64];

    (void)state;
    assert_int_equal(feed(&s, buf, sizeof(buf), stream, sizeof(stream) - 1, 1), 0);
    assert_string_equal(trace, "[message|4|x]");
}

/* An event's data and the line under way share the room. */
static void test_room(void **state)
{
    char stream[128], buf[64];
    struct sse s;

    (void)state;
    for (size_t n = 1; n < 100; n++) {
        int len = snprintf(stream, sizeof(stream), "data: %0*d\n\n", (int)n, 7);
        int fits = n + strlen("data: ") < sizeof(buf) ? 0 : -EMSGSIZE;
        for (size_t step = 1; step <= (size_t)len; step += 7) {
            assert_int_equal(feed(&s, buf, sizeof(buf), stream, (size_t)len, step), fits);
            assert_int_equal(n_events, fits == 0);
        }
    }
    snprintf(stream, sizeof(stream), "data: %030d\ndata: %020d\ndata: %010d\n", 1, 2, 3);
    assert_int_equal(feed(&s, buf, sizeof(buf), stream, strlen(stream), 9), -EMSGSIZE);
}

static void test_what_is_not_taken_is_asked_for_again(void **state)
{
    static const char stream[] = "id: 1\ndata: a\n\nid: 2\ndata: b\n\nid: 3\ndata: c\n\n";
    struct sse s;
    char buf[64];

    (void)state;
    refuse_at = 2;
    assert_int_equal(feed(&s, buf, sizeof(buf), stream, sizeof(stream) - 1, 5), -ECANCELED);
    refuse_at = 0;
    assert_string_equal(trace, "[message|1|a]");
    assert_string_equal(s.last_id, "1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_a_nul_is_no_id),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_what_is_not_taken_is_asked_for_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
