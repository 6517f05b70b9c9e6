/* link: berth_load_parts */
/* The swarm's clocks and its reports: how often each agent comes, and that what is sent is a report. */
#include "check.h"

#include "loadtest/swarm_agents.h"
#include "loadtest/swarm_reports.h"

#include <string.h>

enum { AGENTS = 1000, NODES = 30 };

static void everybody_comes_once_a_period(void **state)
{
    struct swarm_agents *s;
    size_t times[AGENTS] = {0};
    int64_t before = 0;
    (void)state;
    assert_int_equal(swarm_agents_new(&s, AGENTS, 100, 5, 1000), 0); /* a period of 10 s */
    while (swarm_agents_peek_us(s) < 1000 + 100 * INT64_C(1000000)) {
        assert_true(swarm_agents_peek_us(s) >= before);
        before = swarm_agents_peek_us(s);
        times[swarm_agents_take(s)]++;
    }
    for (size_t i = 0; i < AGENTS; i++)
        assert_in_range(times[i], 8, 12); /* 10, and a tenth either way */
    swarm_agents_destroy(s);
}

static void whoever_is_skipped_comes_afterwards(void **state)
{
    struct swarm_agents *s;
    size_t times[AGENTS] = {0};
    const int64_t until_us = 1000 + 100 * INT64_C(1000000);
    (void)state;
    assert_int_equal(swarm_agents_new(&s, AGENTS, 100, 5, 1000), 0);
    uint64_t n = swarm_agents_skip(s, until_us);
    assert_in_range(n, 8 * AGENTS, 12 * AGENTS); /* as often as they come */
    assert_int_equal(swarm_agents_skip(s, until_us), 0);
    for (int64_t before = until_us; swarm_agents_peek_us(s) < until_us + 100 * INT64_C(1000000);) {
        assert_true(swarm_agents_peek_us(s) >= before);
        before = swarm_agents_peek_us(s);
        times[swarm_agents_take(s)]++;
    }
    for (size_t i = 0; i < AGENTS; i++)
        assert_in_range(times[i], 8, 12);
    swarm_agents_destroy(s);
}

static void every_document_is_a_report_of_its_own(void **state)
{
    struct swarm_reports *s;
    char first[37] = "";
    (void)state;
    assert_int_equal(swarm_reports_new(&s, NODES, 3), 0);
    for (uint64_t n = 0; n < 2 * SWARM_KINDS; n++) {
        size_t len;
        struct report r;
        struct doc_error e;
        char id[37];
        const char *text = swarm_report_json(s, n, n % 7, INT64_C(1700000000000000) + (int64_t)n, &len);
        json_t *j = json_loadb(text, len, 0, NULL);
        assert_non_null(j);
        assert_int_equal(report_from_json(j, &r, &e), 0);
        swarm_report_id(s, n, id);
        assert_string_equal(r.report_id, id);
        assert_string_not_equal(id, first);
        memcpy(first, id, sizeof(first));
        assert_int_equal(r.agent[SWARM_AGENT_LEN - 1], '0' + (int)(n % 7));
        assert_int_equal(r.measured_at_us, INT64_C(1700000000000000) + (int64_t)n);
        assert_int_equal(r.n_results, 3 * NODES);
        json_t *sent = json_object_get(j, "results"), *meant = report_to_json(swarm_report(s, n));
        assert_true(json_equal(sent, json_object_get(meant, "results")));
        json_decref(meant);
        report_clear(&r);
        json_decref(j);
    }
    swarm_reports_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody_comes_once_a_period),
        cmocka_unit_test(whoever_is_skipped_comes_afterwards),
        cmocka_unit_test(every_document_is_a_report_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
