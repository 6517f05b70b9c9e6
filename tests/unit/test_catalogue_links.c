/* link: berth_controller_lib */
#include "controller/catalogue_links.h"

#include "check.h"

#include <stdio.h>
#include <string.h>

enum { NOW = 1000000 };
#define ID(x)        ((struct link_id){(x), 0})
#define MESH(org, x) ((struct link_id){(x), 2 * (org) + 1})

static void nothing_is_known_at_first(void **state)
{
    struct link out;
    struct links *l = links_new(NULL, 0, NOW);

    (void)state;
    assert_false(links_find(NULL, ID(1), ID(2), &out));
    assert_false(links_find(l, ID(1), ID(2), &out));
    assert_int_equal(links_counts(NULL).pairs, 0);
    assert_int_equal(links_counts(l).pairs, 0);
    links_unref(l);
    links_unref(NULL);
}

static void the_lesser_direction_counts(void **state)
{
    struct link out;
    struct links *l = links_new(NULL, 10, NOW);

    (void)state;
    assert_true(links_put(l, ID(7), ID(3), 20000, NOW - 5));
    assert_true(links_find(l, ID(3), ID(7), &out));
    assert_int_equal(out.rtt_us, 20000);
    assert_int_equal(out.at_s, NOW - 5);
    assert_true(links_put(l, ID(3), ID(7), 25000, NOW));
    assert_true(links_find(l, ID(7), ID(3), &out));
    assert_int_equal(out.rtt_us, 20000);
    assert_true(links_put(l, ID(3), ID(7), 15000, NOW));
    assert_true(links_find(l, ID(7), ID(3), &out));
    assert_int_equal(out.rtt_us, 15000);
    assert_true(links_put(l, ID(3), ID(7), 1, NOW - 100)); /* an older one comes late */
    assert_true(links_find(l, ID(7), ID(3), &out));
    assert_int_equal(out.rtt_us, 15000);
    assert_false(links_put(l, ID(3), ID(3), 1, NOW));
    assert_false(links_find(l, ID(3), ID(3), &out));
    links_unref(l);
}

/* One direction's figure is a way; a failure without one is none, and silence says nothing. */
static void who_is_apart(void **state)
{
    struct link out;
    struct links *l = links_new(NULL, 10, NOW), *next;

    (void)state;
    assert_false(links_apart(NULL, ID(1), ID(2)));
    assert_false(links_apart(l, ID(1), ID(2)));
    assert_true(links_put(l, ID(1), ID(2), LINK_NO_WAY, NOW));
    assert_true(links_apart(l, ID(2), ID(1)));
    assert_false(links_find(l, ID(1), ID(2), &out));
    assert_true(links_put(l, ID(1), ID(2), 100, NOW - 100)); /* an older one comes late */
    assert_true(links_apart(l, ID(2), ID(1)));
    next = links_new(l, 0, NOW + LINKS_STALE_S - 1);
    assert_true(links_apart(next, ID(1), ID(2)));
    links_unref(next);
    next = links_new(l, 0, NOW + LINKS_STALE_S);
    assert_false(links_apart(next, ID(1), ID(2)));
    links_unref(next);
    assert_true(links_put(l, ID(2), ID(1), 300, NOW));
    assert_false(links_apart(l, ID(1), ID(2)));
    assert_true(links_find(l, ID(1), ID(2), &out));
    assert_int_equal(out.rtt_us, 300);
    assert_true(links_put(l, ID(2), ID(1), LINK_NO_WAY, NOW + 1));
    assert_true(links_apart(l, ID(1), ID(2)));
    links_unref(l);
}

static void what_is_stale_is_left_behind(void **state)
{
    struct link out;
    struct links *l = links_new(NULL, 10, NOW), *next;

    (void)state;
    assert_true(links_put(l, ID(1), ID(2), 100, NOW));
    assert_true(links_put(l, ID(2), ID(1), 50, NOW - LINKS_STALE_S / 2));
    assert_true(links_put(l, ID(1), ID(3), 100, NOW - 10));
    next = links_new(l, 5, NOW + LINKS_STALE_S / 2);
    assert_true(links_find(next, ID(1), ID(2), &out));
    assert_int_equal(out.rtt_us, 100); /* the other direction's time is over */
    assert_true(links_find(next, ID(1), ID(3), &out));
    links_unref(l);
    l = links_new(next, 0, NOW + LINKS_STALE_S - 5);
    assert_true(links_find(l, ID(1), ID(2), &out));
    assert_false(links_find(l, ID(1), ID(3), &out));
    assert_int_equal(links_counts(l).pairs, 1);
    assert_int_equal(links_counts(l).oldest_s, NOW);
    links_unref(next);
    links_unref(l);
}

/* As a table of all pairs would have it. */
static void many_pairs_are_all_found(void **state)
{
    enum { NODES = 300 };
    struct link_id keys[NODES];
    struct links *l = links_new(NULL, NODES * (NODES - 1) / 2, NOW);
    struct link out;
    char id[16];

    (void)state;
    for (int i = 0; i < NODES; i++) {
        snprintf(id, sizeof(id), "node-%d", i);
        keys[i] = link_id(i % 2 ? "cloud" : "acme", id, i % 2 == 0);
    }
    for (int a = 0; a < NODES; a++)
        for (int b = 0; b < a; b++)
            assert_true(links_put(l, keys[a], keys[b], a * NODES + b, NOW));
    for (int a = 0; a < NODES; a++)
        for (int b = 0; b < NODES; b++) {
            assert_int_equal(links_find(l, keys[a], keys[b], &out), a != b);
            if (a != b)
                assert_int_equal(out.rtt_us, (a > b ? a : b) * NODES + (a > b ? b : a));
        }
    assert_int_equal(links_counts(l).pairs, NODES * (NODES - 1) / 2);
    links_unref(l);
}

/* The cloud's and the mesh's pairs have each their room, and each org's. */
static void no_more_than_there_is_room_for(void **state)
{
    struct links *l = links_new(NULL, SIZE_MAX / 2, NOW), *small = links_new(NULL, 0, NOW);
    struct link out;

    (void)state;
    for (uint64_t i = 1; i <= LINKS_ORG_MAX; i++)
        assert_true(i % 2 ? links_put(l, ID(i), MESH(1, i), 5, NOW)
                          : links_put(l, MESH(1, i << 32), MESH(1, i), 5, NOW));
    assert_false(links_put(l, ID(1), MESH(1, 2), 5, NOW));
    assert_true(links_put(l, ID(1), MESH(2, 2), 5, NOW)); /* another org's */
    for (uint64_t org = 3; org <= LINKS_MESH_MAX / LINKS_ORG_MAX; org++)
        for (uint64_t i = 1; i <= LINKS_ORG_MAX; i++)
            assert_true(links_put(l, ID(i), MESH(org, i), 5, NOW));
    for (uint64_t i = 3; i <= LINKS_ORG_MAX + 1; i++)
        assert_true(links_put(l, ID(i), MESH(2, i), 5, NOW));
    assert_int_equal(links_counts(l).left_out, 1);
    assert_int_equal(links_counts(l).mesh, LINKS_MESH_MAX);
    assert_false(links_put(l, ID(1), MESH(100, 1), 5, NOW));
    for (uint64_t i = 1; i <= LINKS_MAX - LINKS_MESH_MAX; i++)
        assert_true(links_put(l, ID(i), ID(i << 32), 5, NOW));
    assert_false(links_put(l, ID(1), ID(2), 5, NOW));
    assert_int_equal(links_counts(l).left_out, 3);
    assert_int_equal(links_counts(l).pairs, LINKS_MAX);
    assert_true(links_put(l, ID(7), ID(7ULL << 32), 4, NOW)); /* whoever is in it stays up to date */
    assert_true(links_find(l, ID(7ULL << 32), ID(7), &out));
    assert_int_equal(out.rtt_us, 4);
    for (uint64_t i = 1; i <= 100; i++)
        (void)links_put(small, ID(i), ID(i << 32), 5, NOW);
    assert_int_equal(links_counts(small).pairs + links_counts(small).left_out, 100);
    links_unref(l);
    links_unref(small);
}

static void no_more_orgs_than_there_is_room_for(void **state)
{
    struct links *l = links_new(NULL, LINKS_ORGS_MAX + 1, NOW);

    (void)state;
    for (uint64_t org = 1; org <= LINKS_ORGS_MAX; org++)
        assert_true(links_put(l, ID(1), MESH(org, 1), 5, NOW));
    assert_false(links_put(l, ID(1), MESH(LINKS_ORGS_MAX + 1, 1), 5, NOW));
    assert_true(links_put(l, ID(2), MESH(LINKS_ORGS_MAX, 1), 5, NOW));
    assert_int_equal(links_counts(l).left_out, 1);
    links_unref(l);
}

static void room_is_made_as_more_come(void **state)
{
    struct links *l = links_new(NULL, 1, NOW);
    struct link out;

    (void)state;
    for (uint64_t i = 1; i <= 1000; i++) {
        l = links_reserve(l, 1, NOW);
        assert_non_null(l);
        assert_true(links_put(l, ID(i), MESH(i % 3, i), (int32_t)i, NOW));
    }
    for (uint64_t i = 1; i <= 1000; i++) {
        assert_true(links_find(l, ID(i), MESH(i % 3, i), &out));
        assert_int_equal(out.rtt_us, i);
        assert_true(links_hold(l, ID(i), MESH(i % 3, i), (int32_t)i, NOW));
    }
    assert_false(links_hold(l, ID(5), MESH(2, 5), 6, NOW));
    assert_false(links_hold(l, ID(5), MESH(2, 5), 5, NOW + 1));
    assert_false(links_hold(l, MESH(2, 5), ID(5), 5, NOW));
    assert_false(links_hold(l, ID(5), ID(6), 5, NOW));
    assert_false(links_hold(NULL, ID(5), ID(6), 5, NOW));
    links_unref(l);
}

static bool same(struct link_id x, struct link_id y)
{
    return x.a == y.a && x.b == y.b;
}

static void ids_differ(void **state)
{
    char longest[200], other[200];

    (void)state;
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    memcpy(other, longest, sizeof(other));
    other[0] = 'y';
    assert_true(same(link_id("a", "bc", true), link_id("a", "bc", true)));
    assert_false(same(link_id("a", "bc", true), link_id("ab", "c", true)));
    assert_false(same(link_id("a", "b", true), link_id("b", "a", true)));
    assert_false(same(link_id("a", "b", true), link_id("a", "b", false)));
    assert_int_equal(link_id("a", "b", true).b, link_id("a", "c", true).b);
    assert_int_not_equal(link_id("a", "b", true).b, link_id("c", "b", true).b);
    assert_false(same(link_id(longest, longest, true), link_id(longest, other, true)));
}

static void places_give_a_rough_figure(void **state)
{
    (void)state;
    assert_int_equal(link_rtt_by_place(52, 5, 52, 5), 1000);
    assert_in_range(link_rtt_by_place(52.37, 4.9, 50.11, 8.68), 3000, 9000);    /* Amsterdam, Frankfurt */
    assert_in_range(link_rtt_by_place(52.37, 4.9, 40.71, -74.0), 70000, 95000); /* Amsterdam, New York */
    assert_in_range(link_rtt_by_place(10, 179, 10, -179), 2000, 6000);          /* over the date line */
    assert_in_range(link_rtt_by_place(0, 0, 0, 180), 270000, 300000);           /* no farther than this */
    assert_in_range(link_rtt_by_place(90, 0, -90, 77), 270000, 300000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_known_at_first),
        cmocka_unit_test(the_lesser_direction_counts),
        cmocka_unit_test(what_is_stale_is_left_behind),
        cmocka_unit_test(many_pairs_are_all_found),
        cmocka_unit_test(no_more_than_there_is_room_for),
        cmocka_unit_test(no_more_orgs_than_there_is_room_for),
        cmocka_unit_test(room_is_made_as_more_come),
        cmocka_unit_test(ids_differ),
        cmocka_unit_test(places_give_a_rough_figure),
        cmocka_unit_test(who_is_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
