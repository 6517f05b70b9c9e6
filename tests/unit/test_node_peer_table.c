/* link: berth_node_lib */
#include "node/peer_table.h"

#include "check.h"

#include <stdlib.h>
#include <string.h>

enum { SECOND = 1000000, INTERVAL = 60 * SECOND };

/* n nodes p0, p1, ... with a UDP and a TLS address each. */
static struct nodelist list_of(size_t n)
{
    struct nodelist l = {.n = n, .nodes = calloc(n + 1, sizeof(struct node_entry))};
    assert_non_null(l.nodes);
    for (size_t i = 0; i < n; i++) {
        struct node_entry *e = &l.nodes[i];
        snprintf(e->node, sizeof(e->node), "p%zu", i);
        for (size_t t = TRANSPORT_UDP; t <= TRANSPORT_TLS; t += 2) {
            e->addresses.at[t][0] = (struct addr){.family = ADDR_V4, .port = (uint16_t)(1000 + t)};
            memcpy(e->addresses.at[t][0].ip, &i, 4);
            e->addresses.n[t] = 1;
        }
    }
    return l;
}

static void update(struct peer_table *t, struct nodelist l)
{
    assert_int_equal(peer_table_update(t, &l), 0);
    nodelist_clear(&l);
}

static struct peer_table table_of(size_t n)
{
    struct peer_table t;
    peer_table_init(&t, INTERVAL, 0, 0);
    update(&t, list_of(n));
    return t;
}

/* The entry that is in the table; of a node that isn't there: one without addresses. */
static struct node_entry entry_of(const struct peer_table *t, const char *node)
{
    struct node_entry e = {.node = {0}};
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(t->at[i].entry.node, node) == 0)
            return t->at[i].entry;
    snprintf(e.node, sizeof(e.node), "%s", node);
    return e;
}

static bool measured(struct peer_table *t, const char *node, int64_t rtt_us, int64_t now_us)
{
    const struct node_entry e = entry_of(t, node);
    return peer_table_measured(t, &e, rtt_us, now_us);
}

static bool failed(struct peer_table *t, const char *node, enum transport transport)
{
    const struct node_entry e = entry_of(t, node);
    return peer_table_failed(t, &e, transport);
}

/* How often each peer had its turn in `us`. */
static void count_turns(struct peer_table *t, int64_t from_us, int64_t us, unsigned *turns)
{
    for (int64_t now = from_us; now < from_us + us; now += 1000) {
        size_t i = peer_table_next(t, now);
        if (i != PEER_NONE)
            turns[i]++;
    }
}

static void nobody_is_probed_without_a_list(void **state)
{
    (void)state;
    struct peer_table t;
    peer_table_init(&t, INTERVAL, UINT32_MAX, 0);
    assert_int_equal(peer_table_next(&t, INTERVAL), PEER_NONE);
    assert_true(peer_table_deadline(&t) == INT64_MAX);
    struct peer_rtt out[PEER_TELL_MAX];
    assert_int_equal(peer_table_tell(&t, out, 0), 0);
    peer_table_clear(&t);
}

static void each_peer_once_an_interval(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 2, 7, PEER_ROUND_MAX};
    for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
        unsigned turns[PEER_ROUND_MAX] = {0};
        struct peer_table t = table_of(sizes[k]);
        count_turns(&t, 0, 10LL * INTERVAL, turns);
        for (size_t i = 0; i < sizes[k]; i++)
            assert_in_range(turns[i], 9, 10);
        peer_table_clear(&t);
    }
}

static void starts_are_spread(void **state)
{
    (void)state;
    struct peer_table t = table_of(6);
    assert_int_equal(peer_table_next(&t, 0), 0);
    assert_int_equal(peer_table_next(&t, 0), PEER_NONE);
    assert_int_equal(peer_table_deadline(&t), INTERVAL / 6);
    assert_int_equal(peer_table_next(&t, INTERVAL / 6 - 1), PEER_NONE);
    assert_int_equal(peer_table_next(&t, INTERVAL / 6), 1);
    assert_int_equal(peer_table_next(&t, INTERVAL * 5), 2); /* what was missed is not caught up with */
    assert_int_equal(peer_table_next(&t, INTERVAL * 5), PEER_NONE);
    peer_table_clear(&t);
}

static void many_peers_have_their_turn_one_after_another(void **state)
{
    (void)state;
    enum { PEERS = 3 * PEER_ROUND_MAX };
    unsigned *turns = calloc(PEERS, sizeof(*turns)), probes = 0;
    struct peer_table t = table_of(PEERS);
    count_turns(&t, 0, INTERVAL, turns);
    for (size_t i = 0; i < PEERS; i++) {
        assert_in_range(turns[i], 0, 1);
        probes += turns[i];
    }
    assert_in_range(probes, PEER_ROUND_MAX - 5, PEER_ROUND_MAX);
    count_turns(&t, INTERVAL, 3LL * INTERVAL, turns);
    for (size_t i = 0; i < PEERS; i++)
        assert_in_range(turns[i], 1, 2);
    free(turns);
    peer_table_clear(&t);
}

static void the_least_of_a_window_counts_smoothed(void **state)
{
    (void)state;
    struct peer_table t = table_of(1);
    measured(&t, "p0", 20000, 1);
    assert_int_equal(t.at[0].rtt_us, 20000);
    measured(&t, "p0", 90000, 2); /* a queue somewhere */
    assert_int_equal(t.at[0].rtt_us, 20000);
    measured(&t, "p0", 16000, 3);
    assert_int_equal(t.at[0].rtt_us, 19000);
    for (int i = 0; i < 100; i++)
        measured(&t, "p0", 50000, 4 + i); /* another way for good */
    assert_in_range(t.at[0].rtt_us, 49900, 50000);
    measured(&t, "nobody", 1, 200);
    peer_table_clear(&t);
}

static void told_is_what_changed(void **state)
{
    (void)state;
    struct peer_rtt out[PEER_TELL_MAX];
    struct peer_table t = table_of(2);
    measured(&t, "p1", 100000, 1);
    assert_int_equal(peer_table_tell(&t, out, 2), 1);
    assert_string_equal(out[0].node, "p1");
    assert_int_equal(out[0].rtt_us, 100000);
    peer_table_told(&t, false, 3); /* nobody heard it */
    assert_int_equal(peer_table_tell(&t, out, 4), 1);
    peer_table_told(&t, true, 5);
    measured(&t, "p1", 98000, 6);
    assert_int_equal(peer_table_tell(&t, out, 7), 0); /* less than a twentieth */
    for (int i = 0; i < 8; i++)
        measured(&t, "p1", 80000, 8 + i);
    assert_int_equal(peer_table_tell(&t, out, 20), 1);
    assert_in_range(out[0].rtt_us, 80000, 85000);
    peer_table_told(&t, true, 20);
    assert_int_equal(peer_table_tell(&t, out, 20 + 2 * PEER_TELL_AGAIN_US), 0); /* not measured since */
    measured(&t, "p1", 80000, 30);
    assert_int_equal(peer_table_tell(&t, out, 20 + PEER_TELL_AGAIN_US - 1), 0);
    assert_int_equal(peer_table_tell(&t, out, 20 + PEER_TELL_AGAIN_US), 1);
    peer_table_told(&t, true, 20 + PEER_TELL_AGAIN_US);
    measured(&t, "p0", 300, 40); /* small ones: a millisecond at least */
    assert_int_equal(peer_table_tell(&t, out, 41), 1);
    peer_table_told(&t, true, 41);
    for (int i = 0; i < 50; i++)
        measured(&t, "p0", 900, 42 + i);
    assert_int_equal(peer_table_tell(&t, out, 100), 0);
    peer_table_tell_all(&t, 101);
    assert_int_equal(peer_table_tell(&t, out, 102), 2);
    peer_table_clear(&t);
}

static void one_heartbeat_tells_so_much(void **state)
{
    (void)state;
    enum { PEERS = PEER_TELL_MAX + 10 };
    struct peer_rtt out[PEER_TELL_MAX];
    struct peer_table t = table_of(PEERS);
    char name[16];
    for (int i = 0; i < PEERS; i++) {
        snprintf(name, sizeof(name), "p%d", i);
        measured(&t, name, 10000, 1);
    }
    assert_int_equal(peer_table_tell(&t, out, 2), PEER_TELL_MAX);
    peer_table_told(&t, true, 2);
    assert_int_equal(peer_table_tell(&t, out, 3), 10);
    assert_string_equal(out[0].node, "p64");
    peer_table_told(&t, true, 3);
    assert_int_equal(peer_table_tell(&t, out, 4), 0);
    peer_table_clear(&t);
}

static void a_transport_that_fails_gives_way(void **state)
{
    (void)state;
    struct peer_table t = table_of(2);
    assert_int_equal(t.at[0].transport, TRANSPORT_UDP);
    failed(&t, "p0", TRANSPORT_UDP);
    assert_int_equal(t.at[0].transport, TRANSPORT_TLS); /* there is no TCP */
    failed(&t, "p0", TRANSPORT_UDP);                    /* an old one's end */
    assert_int_equal(t.at[0].transport, TRANSPORT_TLS);
    failed(&t, "p0", TRANSPORT_TLS);
    assert_int_equal(t.at[0].transport, TRANSPORT_UDP);
    failed(&t, "nobody", TRANSPORT_UDP);
    const struct peer_counts c = peer_table_counts(&t);
    assert_int_equal(c.failed, 4);
    assert_int_equal(c.known, 0);
    peer_table_clear(&t);
}

static void a_list_keeps_the_figures_of_who_stays(void **state)
{
    (void)state;
    struct peer_table t = table_of(3);
    for (int i = 0; i < 3; i++) {
        char name[16];
        snprintf(name, sizeof(name), "p%d", i);
        measured(&t, name, 1000 * (i + 1), 5);
    }
    struct nodelist l = list_of(4);
    l.nodes[1].addresses.at[TRANSPORT_UDP][0].port = 9; /* moved */
    memset(&l.nodes[3].addresses, 0, sizeof(l.nodes[3].addresses));
    update(&t, l);
    assert_int_equal(t.at[0].rtt_us, 1000);
    assert_int_equal(t.at[1].rtt_us, NOT_MEASURED);
    assert_int_equal(t.at[2].rtt_us, 3000);
    assert_int_equal(peer_table_counts(&t).known, 2);
    unsigned turns[4] = {0};
    count_turns(&t, 0, 2LL * INTERVAL, turns);
    assert_int_equal(turns[3], 0); /* it has no address */
    assert_true(turns[0] > 0 && turns[1] > 0 && turns[2] > 0);
    update(&t, list_of(1));
    assert_int_equal(t.n, 1);
    update(&t, list_of(0));
    assert_int_equal(peer_table_next(&t, 100LL * INTERVAL), PEER_NONE);
    peer_table_clear(&t);
}

static void a_probe_of_where_a_peer_was_says_nothing_of_where_it_is(void **state)
{
    (void)state;
    struct peer_rtt out[PEER_TELL_MAX];
    struct peer_table t = table_of(2);
    const struct node_entry before = entry_of(&t, "p0");
    struct nodelist l = list_of(2);
    l.nodes[0].addresses.at[TRANSPORT_UDP][0].port = 9;
    update(&t, l);
    peer_table_measured(&t, &before, 1000, 5);
    peer_table_failed(&t, &before, TRANSPORT_UDP);
    assert_int_equal(t.at[0].rtt_us, NOT_MEASURED);
    assert_int_equal(t.at[0].transport, TRANSPORT_UDP);
    assert_int_equal(peer_table_tell(&t, out, 6), 0);
    update(&t, list_of(2)); /* back again */
    peer_table_measured(&t, &before, 1000, 7);
    assert_int_equal(t.at[0].rtt_us, 1000);
    peer_table_clear(&t);
}

/* One lost probe is nothing; a row of them is said once, and the end of it once. */
static void whoever_never_answers_is_out_of_reach(void **state)
{
    struct peer_table t = table_of(2);
    (void)state;
    assert_false(measured(&t, "p0", 1000, 1));
    for (int i = 1; i < PEER_LOST_AFTER; i++)
        assert_false(failed(&t, "p0", i % 2 ? TRANSPORT_UDP : TRANSPORT_TLS));
    assert_false(measured(&t, "p0", 1000, 2)); /* just in time */
    for (int i = 1; i < PEER_LOST_AFTER; i++)
        assert_false(failed(&t, "p0", TRANSPORT_UDP));
    assert_int_equal(peer_table_counts(&t).lost, 0);
    assert_true(failed(&t, "p0", TRANSPORT_UDP));
    assert_false(failed(&t, "p0", TRANSPORT_UDP));
    assert_int_equal(peer_table_counts(&t).lost, 1);
    update(&t, list_of(2)); /* the same list again */
    assert_int_equal(peer_table_counts(&t).lost, 1);
    assert_true(measured(&t, "p0", 1000, 3));
    assert_false(measured(&t, "p0", 1000, 4));
    assert_int_equal(peer_table_counts(&t).lost, 0);
    assert_false(failed(&t, "nobody", TRANSPORT_UDP));
    peer_table_clear(&t);
}

/* Who is out of reach is told as such, once, and again after long; who is back, with its figure. */
static void out_of_reach_is_told(void **state)
{
    struct peer_table t = table_of(1);
    struct peer_rtt out[PEER_TELL_MAX];
    (void)state;
    for (int i = 1; i < PEER_LOST_AFTER; i++)
        failed(&t, "p0", TRANSPORT_UDP);
    assert_int_equal(peer_table_tell(&t, out, 1), 0);
    failed(&t, "p0", TRANSPORT_UDP);
    assert_int_equal(peer_table_tell(&t, out, 1), 1);
    assert_int_equal(out[0].rtt_us, NOT_MEASURED);
    peer_table_told(&t, true, 1);
    failed(&t, "p0", TRANSPORT_UDP);
    assert_int_equal(peer_table_tell(&t, out, 2), 0);
    assert_int_equal(peer_table_tell(&t, out, 1 + PEER_TELL_AGAIN_US), 1);
    peer_table_told(&t, false, 3); /* not heard: it is said again */
    assert_int_equal(peer_table_tell(&t, out, 1 + PEER_TELL_AGAIN_US), 1);
    peer_table_told(&t, true, 4);
    measured(&t, "p0", 100, 5);
    assert_int_equal(peer_table_tell(&t, out, 6), 1);
    assert_int_equal(out[0].rtt_us, 100);
    peer_table_clear(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whoever_never_answers_is_out_of_reach),
        cmocka_unit_test(out_of_reach_is_told),
        cmocka_unit_test(nobody_is_probed_without_a_list),
        cmocka_unit_test(each_peer_once_an_interval),
        cmocka_unit_test(starts_are_spread),
        cmocka_unit_test(many_peers_have_their_turn_one_after_another),
        cmocka_unit_test(the_least_of_a_window_counts_smoothed),
        cmocka_unit_test(told_is_what_changed),
        cmocka_unit_test(one_heartbeat_tells_so_much),
        cmocka_unit_test(a_transport_that_fails_gives_way),
        cmocka_unit_test(a_probe_of_where_a_peer_was_says_nothing_of_where_it_is),
        cmocka_unit_test(a_list_keeps_the_figures_of_who_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
