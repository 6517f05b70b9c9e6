/* link: berth_placement berth_core m */
/* Meetings that people join and leave while nodes fill, drain, fail and come back: what must hold of every decision on the way. */
#include "placement_map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { STEP_US = 20000000, INTERVAL_US = 60000000, GAIN_US = 10000 };

/* A participant's mean one-way latency, with everybody where `nodes` says. */
static int64_t own_latency(const struct map *m, const size_t *nodes, size_t i)
{
    int64_t sum = 0, others = (int64_t)m->p.n_participants - 1;

    for (size_t j = 0; j <= (size_t)others; j++) {
        if (j != i)
            sum += m->rows[i][nodes[i]].rtt_us + m->rows[j][nodes[j]].rtt_us +
                   m->between[nodes[i] * m->p.n_nodes + nodes[j]];
    }
    return others > 0 ? sum / (2 * others) : m->rows[i][nodes[i]].rtt_us / 2;
}

static bool usable(const struct map *m, size_t node)
{
    return m->nodes[node].state != PLACE_DRAINING && m->nodes[node].state != PLACE_QUARANTINED;
}

/* Takes the plan over, as a controller does. */
static void settle(struct map *m)
{
    for (size_t i = 0; i < m->p.n_participants; i++) {
        struct place_participant *who = &m->people[i];
        size_t node = m->seats[i].node;

        if (who->moved_ago_us > 0)
            who->moved_ago_us += STEP_US;
        if (node == who->present)
            continue;
        if (who->present != PLACE_NONE) {
            m->nodes[who->present].assigned--;
            who->moved_ago_us = 1;
        }
        if (node != PLACE_NONE)
            m->nodes[node].assigned++;
        who->present = node;
    }
}

static void leave(struct map *m, size_t i)
{
    size_t last = --m->p.n_participants;
    struct place_participant gone = m->people[i];

    if (gone.present != PLACE_NONE)
        m->nodes[gone.present].assigned--;
    if (i == last)
        return;
    m->people[i] = m->people[last];
    memcpy(m->rows[i], m->rows[last], sizeof m->rows[i]);
    m->people[i].rows = m->rows[i];
    memcpy(m->names[i], m->names[last], sizeof m->names[i]);
    m->people[i].agent = m->names[i];
}

static void check_nodes(const struct map *m, uint32_t seed)
{
    int64_t coming[MAP_NODES] = {0};

    for (size_t i = 0; i < m->p.n_participants; i++) {
        size_t node = m->seats[i].node;

        if (node == PLACE_NONE)
            continue;
        if (!usable(m, node))
            fail_msg("seed %u: %s was given to %s", seed, m->ids[node], m->names[i]);
        coming[node] += node != m->people[i].present;
    }
    for (size_t n = 0; n < m->p.n_nodes; n++) {
        const struct place_node *node = &m->nodes[n];

        if (coming[n] > 0 && node->capacity > 0 && node->assigned + coming[n] > node->capacity)
            fail_msg("seed %u: %s is filled past its capacity", seed, m->ids[n]);
    }
}

/* Whoever could have stayed was moved for 10 ms and a third at least, and not within a minute of the last time. */
static int check_moves(const struct map *m, uint32_t seed)
{
    int moves = 0;

    for (size_t i = 0; i < m->p.n_participants; i++) {
        const struct place_participant *who = &m->people[i];
        const struct place_seat *s = &m->seats[i];

        if (who->present == PLACE_NONE || s->node == who->present || !usable(m, who->present))
            continue;
        moves++;
        assert_int_equal(s->reason, PLACE_WHY_MOVED);
        if (s->gain_us < GAIN_US - 2 || (s->gain_us + 2) * 100 < (s->gain_us + s->latency_us) * 33)
            fail_msg("seed %u: %s is moved for %lld us, with %lld left", seed, m->names[i],
                     (long long)s->gain_us, (long long)s->latency_us);
        if (who->moved_ago_us > 0 && who->moved_ago_us < INTERVAL_US)
            fail_msg("seed %u: %s is moved twice in a minute", seed, m->names[i]);
    }
    return moves;
}

static void happen(struct map *m)
{
    struct place_node *n = &m->nodes[map_random(m, (uint32_t)m->p.n_nodes)];
    size_t people = m->p.n_participants;

    switch (map_random(m, 8)) {
    case 0:
        n->state = (enum place_state)map_random(m, PLACE_DRAINING + 1);
        break;
    case 1:
        n->capacity = map_random(m, 2) ? 0 : n->assigned + map_random(m, 3);
        break;
    case 2:
        if (people > 1)
            leave(m, map_random(m, (uint32_t)people));
        break;
    default:
        if (people < MAP_PEOPLE)
            map_add_person(m);
    }
}

static void test_every_decision_on_the_way(void **state)
{
    static struct map m;
    int moves = 0, seats = 0;

    for (uint32_t seed = 1; seed <= 150; seed++) {
        map_init(&m, seed, 3 + seed % 12, 1);
        for (int step = 0; step < 40; step++) {
            size_t last = m.p.n_participants;

            place_decide(&m.p, &m.plan);
            check_nodes(&m, seed);
            moves += check_moves(&m, seed);
            seats += (int)last;
            settle(&m);
            happen(&m);
            for (size_t i = 0; i < m.p.n_participants; i++) /* names stay unique */
                snprintf(m.names[i], sizeof m.names[i], "p%02zu", i);
        }
    }
    assert_true(moves > 0);
    assert_true(moves * 10 < seats);
}

/* The gain that a seat tells is what the mover itself gains. */
static void test_a_move_tells_its_gain(void **state)
{
    static struct map m;
    size_t nodes[MAP_PEOPLE];
    int moves = 0, others = 0;

    for (uint32_t seed = 1; seed <= 400; seed++) {
        map_init(&m, seed, 12, 4);
        for (size_t i = 0; i < 4; i++)
            m.people[i].present = nodes[i] = map_random(&m, 12);
        place_decide(&m.p, &m.plan);
        for (size_t i = 0; i < 4; i++) {
            int64_t before, stayed;
            size_t then[MAP_PEOPLE];

            if (m.seats[i].reason != PLACE_WHY_MOVED)
                continue;
            moves++;
            before = own_latency(&m, nodes, i);
            map_seats(&m, then);
            then[i] =
                nodes[i]; /* all others move, and it doesn't: what it gains by others is not its move's */
            stayed = own_latency(&m, then, i);
            assert_true(llabs(before - m.seats[i].gain_us - m.seats[i].latency_us) <= 4);
            assert_true(stayed - m.seats[i].latency_us >= GAIN_US / 2 - 4);
            others += stayed < before - 4;
        }
        assert_true(m.plan.cost_us <= m.plan.present_cost_us);
    }
    assert_true(moves > 50 && others > 10);
}

static void test_joining_late_moves_nobody_for_little(void **state)
{
    static struct map m;

    map_init(&m, 7, 2, 2);
    for (size_t i = 0; i < 2; i++) {
        m.rows[i][0].rtt_us = 20000;
        m.rows[i][1].rtt_us = i == 0 ? 20000 : 12000; /* node 1 is better by 4 ms */
    }
    m.people[0].present = 0;
    m.between[1] = m.between[2] = 30000;
    place_decide(&m.p, &m.plan);
    assert_int_equal(m.seats[0].node, 0);
    assert_int_equal(m.seats[0].reason, PLACE_WHY_STAYS);
    assert_int_equal(m.seats[1].node, 0);
}

static void test_one_lost_probe_changes_nothing(void **state)
{
    static struct map m;

    map_init(&m, 7, 2, 1);
    m.rows[0][0].rtt_us = m.rows[0][1].rtt_us = 20000;
    m.rows[0][0].lost = 1;
    place_decide(&m.p, &m.plan);
    assert_int_equal(m.seats[0].node, 0);
    m.rows[0][0].lost = 2; /* of 5: a fifth, less the one that says nothing */
    place_decide(&m.p, &m.plan);
    assert_int_equal(m.seats[0].node, 1);
    m.people[0].present = 0;
    m.rows[0][0].rtt_us = -1;
    m.rows[0][0].reachable = false;
    m.rows[0][0].samples = m.rows[0][0].lost = 1; /* a single probe, and it was lost */
    place_decide(&m.p, &m.plan);
    assert_int_equal(m.seats[0].node, 0);
    m.rows[0][0].samples = m.rows[0][0].lost = 5;
    place_decide(&m.p, &m.plan);
    assert_int_equal(m.seats[0].node, 1);
    assert_int_equal(m.seats[0].reason, PLACE_WHY_FORCED);
}

/* Its report has expired: nothing is known of it any more, and it stays. */
static void test_an_expired_report_moves_nobody(void **state)
{
    static struct map m;

    for (uint32_t seed = 1; seed <= 100; seed++) {
        size_t nodes[MAP_PEOPLE] = {0};

        map_init(&m, seed, 10, 6);
        place_decide(&m.p, &m.plan);
        map_seats(&m, nodes);
        for (size_t i = 0; i < 6; i++)
            m.people[i].present = nodes[i];
        for (size_t gone = 0; gone < 6; gone++) {
            m.people[gone].measured = false;
            m.people[gone].n_rows = 0;
            place_decide(&m.p, &m.plan);
            for (size_t i = 0; i < 6; i++)
                assert_int_equal(m.seats[i].node, nodes[i]);
        }
    }
}

/* A move that would be worth it waits until the last one is a minute old, and the answer says so. */
static void test_moved_too_lately(void **state)
{
    static struct map m;

    map_init(&m, 7, 2, 1);
    m.rows[0][0].rtt_us = 100000;
    m.rows[0][1].rtt_us = 20000;
    m.people[0].present = 0;
    m.people[0].moved_ago_us = INTERVAL_US - 1;
    place_decide(&m.p, &m.plan);
    assert_int_equal(m.seats[0].node, 0);
    assert_int_equal(m.seats[0].reason, PLACE_WHY_STAYS_LATELY);
    m.people[0].moved_ago_us = INTERVAL_US;
    place_decide(&m.p, &m.plan);
    assert_int_equal(m.seats[0].node, 1);
    assert_int_equal(m.seats[0].reason, PLACE_WHY_MOVED);
    m.rows[0][1].rtt_us = 95000;
    m.people[0].moved_ago_us = 1;
    place_decide(&m.p, &m.plan);
    assert_int_equal(m.seats[0].reason, PLACE_WHY_STAYS);
}

/* Nothing was known of the first to join, so its node was a guess: it follows the others, and only then. */
static void test_who_was_seated_by_guess_follows(void **state)
{
    static struct map m;

    map_init(&m, 3, 2, 3);
    m.people[0].measured = false;
    m.people[0].n_rows = 0;
    m.people[0].present = 0;
    for (size_t i = 1; i < 3; i++) {
        m.rows[i][0].rtt_us = 150000;
        m.rows[i][1].rtt_us = 5000;
    }
    m.between[1] = m.between[2] = 145000;
    place_decide(&m.p, &m.plan);
    assert_int_equal(m.seats[0].node, 0);
    m.people[0].guessed = true;
    place_decide(&m.p, &m.plan);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(m.seats[i].node, 1);
    assert_int_equal(m.seats[0].reason, PLACE_WHY_MOVED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_decision_on_the_way),
        cmocka_unit_test(test_a_move_tells_its_gain),
        cmocka_unit_test(test_joining_late_moves_nobody_for_little),
        cmocka_unit_test(test_one_lost_probe_changes_nothing),
        cmocka_unit_test(test_an_expired_report_moves_nobody),
        cmocka_unit_test(test_moved_too_lately),
        cmocka_unit_test(test_who_was_seated_by_guess_follows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
