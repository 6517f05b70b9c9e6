/* link: berth_controller_lib */
/* Nodes that can't serve those on them any longer: each is found, however many there are. */
#include "lost_nodes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NODES = 600 };

static char ids[NODES][16];
static struct catalogue_row rows[NODES];
static struct catalogue_load loads[NODES];

static int reset(void **state)
{
    (void)state;
    for (size_t i = 0; i < NODES; i++) {
        snprintf(ids[i], sizeof(ids[i]), "n%04zu", i);
        rows[i] = (struct catalogue_row){.org = "cloud",
                                         .id = ids[i],
                                         .cluster = "c",
                                         .region = "eu",
                                         .tls_name = "n.example",
                                         .labels = "{}",
                                         .addresses = "{\"udp\":[\"192.0.2.1:5004\"]}"};
        loads[i] = (struct catalogue_load){.heartbeat_age_us = 1000, .assigned = 1};
    }
    return 0;
}

static struct catalogue *make(void)
{
    struct catalogue_nodes *nodes = catalogue_nodes_new(1, rows, NODES);
    struct catalogue *c = catalogue_new(nodes, loads);

    catalogue_nodes_unref(nodes);
    assert_non_null(c);
    return c;
}

/* Of one search; what of it `id` is among. */
static bool found(const struct lost_nodes *l, const char *id)
{
    for (size_t i = 0; i < l->n; i++) {
        if (strcmp(l->node[i], id) == 0)
            return true;
    }
    return false;
}

static void test_none_hides_behind_others(void **state)
{
    struct lost_nodes l = {0};
    struct catalogue *c;
    bool seen = false;

    (void)state;
    for (size_t i = 0; i < NODES - 1; i++)
        rows[i].deleted = true;
    rows[NODES - 1].drain = true;
    c = make();
    for (int search = 0; search < NODES / LOST_NODES_MAX + 1; search++) {
        lost_nodes_find(c, true, l.next, &l);
        assert_int_equal(l.n, LOST_NODES_MAX);
        seen = seen || found(&l, ids[NODES - 1]);
    }
    assert_true(seen);
    catalogue_destroy(c);
}

static void test_whom_nobody_is_on_is_passed_over(void **state)
{
    struct lost_nodes l = {0};
    struct catalogue *c;

    (void)state;
    for (size_t i = 0; i < NODES; i++) {
        rows[i].deleted = true;
        loads[i] = (struct catalogue_load){.heartbeat_age_us = -1, .assigned = i == NODES - 2};
    }
    c = make();
    lost_nodes_find(c, true, 0, &l);
    assert_int_equal(l.n, 1);
    assert_true(found(&l, ids[NODES - 2]));
    catalogue_destroy(c);
}

static void test_silence(void **state)
{
    static const struct {
        struct catalogue_load load;
        bool listened, lost;
    } cases[] = {
        {{.heartbeat_age_us = HEALTH_DEAD_AGE_US}, true, true},
        {{.heartbeat_age_us = HEALTH_DEAD_AGE_US - 1}, true, false},
        {{.heartbeat_age_us = HEALTH_DEAD_AGE_US}, false, false},
        {{.heartbeat_age_us = HEALTH_DEAD_AGE_US, .doubt = true}, true, false},
        {{.heartbeat_age_us = CATALOGUE_LISTED_US, .doubt = true},
         true,
         true}, /* nobody could come back to it */
        {{.heartbeat_age_us = 0, .stopping = true, .doubt = true}, false, true},
        {{.heartbeat_age_us = 0, .health = HEALTH_QUARANTINED, .cause = HEALTH_PROBES}, false, true},
        {{.heartbeat_age_us = 0, .health = HEALTH_QUARANTINED, .cause = HEALTH_SILENCE}, true, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct lost_nodes l = {0};
        struct catalogue *c;

        loads[0] = cases[i].load;
        loads[0].assigned = 1;
        c = make();
        lost_nodes_find(c, cases[i].listened, 0, &l);
        if (found(&l, ids[0]) != cases[i].lost)
            fail_msg("case %zu: found %d", i, !cases[i].lost);
        catalogue_destroy(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_none_hides_behind_others, reset),
        cmocka_unit_test_setup(test_whom_nobody_is_on_is_passed_over, reset),
        cmocka_unit_test_setup(test_silence, reset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
