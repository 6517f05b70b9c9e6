/* link: berth_controller_lib */
/* News of the outbox: what a NOTIFY carries, whatever its length or text, and what stays on the board until it is sent. */
#include "outbox.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- what a NOTIFY says ---- */

static void read_back(const struct outbox_news *n, struct outbox_news *out)
{
    static char text[OUTBOX_NEWS_TEXT];

    memset(out, 0xff, sizeof(*out));
    out->all = false;
    outbox_news_write(n, text);
    assert_true(strlen(text) < 8000); /* PostgreSQL's bound */
    outbox_news_read(out, text);
}

static void test_text_of_any_number(void **state)
{
    static struct outbox_news n, back;

    (void)state;
    for (uint64_t i = 1; i <= OUTBOX_NEWS_MAX; i++) {
        outbox_news_add(&n, i * 0x9e3779b97f4a7c15U);
        outbox_news_add(&n, i * 0x9e3779b97f4a7c15U); /* the same again is nothing new */
        read_back(&n, &back);
        assert_false(back.all);
        assert_int_equal(back.n, i);
        assert_memory_equal(back.agents, n.agents, i * sizeof(n.agents[0]));
    }
    outbox_news_add(&n, 7); /* one more than has a place */
    read_back(&n, &back);
    assert_true(back.all);
}

static void test_text_that_is_not_ours_speaks_of_all(void **state)
{
    static char long_text[16 * (OUTBOX_NEWS_MAX + 1) + 1];
    static const char *const texts[] = {
        "", "*", "x", "0123456789abcde", "0123456789abcdef0", "0123456789abcdeg"};
    static struct outbox_news n;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        outbox_news_read(&n, texts[i]);
        assert_true(n.all);
    }
    memset(long_text, 'a', sizeof(long_text) - 1);
    outbox_news_read(&n, long_text);
    assert_true(n.all);
}

static void test_agents_of_different_orgs_differ(void **state)
{
    (void)state;
    assert_true(outbox_agent_hash("o1", "a") != outbox_agent_hash("o2", "a"));
    assert_true(outbox_agent_hash("o1", "a") != outbox_agent_hash("o1", "b"));
    assert_true(outbox_agent_hash("o", "1a") != outbox_agent_hash("o1", "a"));
}

/* ---- the board ---- */

static const struct outbox_event event = {"a1", "probe", "{}"};

static bool is_readable(const struct outbox_board *b)
{
    struct pollfd p = {.fd = outbox_board_fd(b), .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

static void test_what_could_not_be_sent_stays(void **state)
{
    static struct outbox_news n;
    struct outbox_board *b;

    (void)state;
    assert_int_equal(outbox_board_new(&b), 0);
    assert_false(is_readable(b));
    outbox_tell(b, "o", &event, 0);
    assert_false(is_readable(b));
    assert_false(outbox_board_take(b, &n));
    outbox_tell(b, "o", &event, 1);
    outbox_tell(b, "o", &event, 1);
    assert_true(is_readable(b));
    assert_true(outbox_board_take(b, &n));
    assert_int_equal(n.n, 1);
    assert_int_equal(n.agents[0], outbox_agent_hash("o", "a1"));
    assert_false(is_readable(b));
    outbox_tell(b, "p", &event, 1);
    outbox_board_return(b, &n);
    assert_true(is_readable(b));
    assert_true(outbox_board_take(b, &n));
    assert_int_equal(n.n, 2);
    assert_false(outbox_board_take(b, &n));
    outbox_board_destroy(b);
    outbox_board_destroy(NULL);
}

struct ear {
    struct outbox_listener listener;
    size_t heard;
};

static void hear(struct outbox_listener *l, const struct outbox_news *n)
{
    ((struct ear *)(void *)l)->heard += n->n;
}

static void test_listeners_come_and_go(void **state)
{
    static struct outbox_news n;
    struct ear ears[3] = {{{hear, NULL}, 0}, {{hear, NULL}, 0}, {{hear, NULL}, 0}};
    struct outbox_board *b;

    (void)state;
    assert_int_equal(outbox_board_new(&b), 0);
    outbox_news_add(&n, 1);
    for (size_t i = 0; i < 3; i++)
        outbox_board_join(b, &ears[i].listener);
    outbox_board_hear(b, &n);
    outbox_board_leave(b, &ears[1].listener);
    outbox_board_leave(b, &ears[1].listener);
    outbox_board_hear(b, &n);
    assert_int_equal(ears[0].heard, 2);
    assert_int_equal(ears[1].heard, 1);
    assert_int_equal(ears[2].heard, 2);
    outbox_board_destroy(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_of_any_number),
        cmocka_unit_test(test_text_that_is_not_ours_speaks_of_all),
        cmocka_unit_test(test_agents_of_different_orgs_differ),
        cmocka_unit_test(test_what_could_not_be_sent_stays),
        cmocka_unit_test(test_listeners_come_and_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
