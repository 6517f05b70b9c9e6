/* link: berth_controller_lib */
/* A node's health in virtual time: a story each, told by turns of two seconds. */
#include "health.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { TURN_US = 2000000, S = 1000000 };

struct story {
    struct health h;
    struct health_evidence e;
    int64_t now_us;
};

static struct story begin(void)
{
    return (struct story){.now_us = 1000 * (int64_t)S};
}

/* It says so when something changed, and only then (or where something spoke against it twice at one time): what it
 * doesn't tell is not kept. */
static void step(struct health *h, const struct health_evidence *e, int64_t now_us)
{
    struct health was = *h;
    bool told = health_step(h, e, now_us);
    bool changed = h->state != was.state || h->cause != was.cause || h->since_us != was.since_us ||
                   h->bad_us != was.bad_us || h->strikes != was.strikes;

    assert_true(told == changed || (told && was.bad_us == now_us));
}

/* Turns, with the same evidence, for so long or until it has this state. How long it took. */
static int64_t until(struct story *s, enum health_state wanted, int64_t most_s)
{
    int64_t started = s->now_us;

    while (s->h.state != wanted && s->now_us - started < most_s * S) {
        s->now_us += TURN_US;
        step(&s->h, &s->e, s->now_us);
    }
    assert_int_equal(s->h.state, wanted);
    return (s->now_us - started) / S;
}

static void stays(struct story *s, enum health_state state, int64_t for_s)
{
    for (int64_t end = s->now_us + for_s * S; s->now_us < end; s->now_us += TURN_US) {
        step(&s->h, &s->e, s->now_us);
        assert_int_equal(s->h.state, state);
    }
}

static void test_silence_and_back(void **state)
{
    struct story s = begin();

    (void)state;
    stays(&s, HEALTH_IN_SERVICE, 60);
    s.e.heartbeat_age_us = HEALTH_SUSPECT_AGE_US - 1;
    stays(&s, HEALTH_IN_SERVICE, 60);
    s.e.heartbeat_age_us = HEALTH_SUSPECT_AGE_US;
    assert_true(until(&s, HEALTH_SUSPECT, 10) <= 2);
    s.e.heartbeat_age_us = 0;
    assert_in_range(until(&s, HEALTH_IN_SERVICE, 60), 8, 12);
    s.e.heartbeat_age_us = HEALTH_DEAD_AGE_US;
    assert_true(until(&s, HEALTH_QUARANTINED, 10) <= 2);
    assert_int_equal(s.h.cause, HEALTH_SILENCE);
    stays(&s, HEALTH_QUARANTINED, 600);
    s.e.heartbeat_age_us = 0;
    assert_in_range(until(&s, HEALTH_PROBATION, 60), 3, 8);
    assert_in_range(until(&s, HEALTH_IN_SERVICE, 120), 58, 62);
}

static void test_each_time_longer(void **state)
{
    struct story s = begin();
    int64_t before = 0;

    (void)state;
    for (int i = 0; i < 12; i++) {
        s.e.heartbeat_age_us = HEALTH_DEAD_AGE_US;
        until(&s, HEALTH_QUARANTINED, 10);
        s.e.heartbeat_age_us = 0;
        int64_t took = until(&s, HEALTH_PROBATION, 2000);
        assert_true(i >= HEALTH_STRIKES_MAX ? took == before : took > before);
        before = took;
    }
    assert_in_range(before, 640, 644);
    until(&s, HEALTH_IN_SERVICE, 120);
    stays(&s, HEALTH_IN_SERVICE, 3700);
    assert_int_equal(s.h.strikes, 0);
}

/* What an hour ahead had to say about it is of no consequence once the clock is back. */
static void test_the_clock_goes_back(void **state)
{
    struct story s = begin();

    (void)state;
    s.now_us += 3600 * (int64_t)S;
    s.e.heartbeat_age_us = 3600 * (int64_t)S;
    assert_true(until(&s, HEALTH_QUARANTINED, 10) <= 2);
    s.now_us -= 3600 * (int64_t)S;
    s.e.heartbeat_age_us = 0;
    assert_in_range(until(&s, HEALTH_PROBATION, 60), 3, 10);
    assert_in_range(until(&s, HEALTH_IN_SERVICE, 120), 58, 62);
}

static void test_planned_silence_is_no_fault(void **state)
{
    struct story s = begin();

    (void)state;
    s.e.heartbeat_age_us = 3600 * (int64_t)S;
    s.e.planned = true;
    stays(&s, HEALTH_IN_SERVICE, 60);
    s.e.planned = false;
    s.e.doubt = true;
    stays(&s, HEALTH_IN_SERVICE, 60);
}

/* What the others pay for it is the price of failures in a decision, which docs/placement.md states. */
static void test_one_org_makes_no_cloud_node_dear_for_others(void **state)
{
    struct story s = begin();
    double one[] = {1e6}, two[] = {1e6, 1.4}, some[] = {1e6, 1.5}, both[] = {3, 3};

    (void)state;
    s.e.failures = one;
    s.e.n_failures = 1;
    s.e.probes_fail = 1;
    stays(&s, HEALTH_IN_SERVICE, 3600);
    s.e.probes_fail = 0;
    s.e.n_failures = 2;
    s.e.failures = two; /* what the second adds is too little */
    stays(&s, HEALTH_IN_SERVICE, 600);
    s.e.failures = some; /* two of its agents, a while ago */
    until(&s, HEALTH_SUSPECT, 10);
    stays(&s, HEALTH_SUSPECT, 600);
    s.e.failures = both;
    until(&s, HEALTH_QUARANTINED, 10);
    assert_int_equal(s.h.cause, HEALTH_FAILURES);
    s = begin();
    s.e.mesh = true; /* its own agents do */
    s.e.failures = one;
    s.e.n_failures = 1;
    until(&s, HEALTH_QUARANTINED, 10);
}

/* Then nobody is harmed by what it says, and nobody else could say it. */
static void test_an_org_alone_makes_a_cloud_node_suspect(void **state)
{
    struct story s = begin();
    double one[] = {1e6};

    (void)state;
    s.e.alone = true;
    s.e.failures = one;
    s.e.n_failures = 1;
    until(&s, HEALTH_SUSPECT, 10);
    stays(&s, HEALTH_SUSPECT, 600);
    s.e.n_failures = 0;
    until(&s, HEALTH_IN_SERVICE, 20);
    s.e.probes_fail = 1;
    until(&s, HEALTH_SUSPECT, 10);
    stays(&s, HEALTH_SUSPECT, 600);
    s.e.alone = false; /* another comes, and says nothing */
    until(&s, HEALTH_IN_SERVICE, 20);
}

/* Quarantined by `cause`, which is over; whether this keeps it there. */
static bool held(enum health_cause cause, double *by_org, size_t orgs, int64_t probes_fail)
{
    struct story s = begin();
    double dead[] = {3, 3};

    if (cause == HEALTH_SILENCE)
        s.e.heartbeat_age_us = HEALTH_DEAD_AGE_US;
    else if (cause == HEALTH_PROBES)
        s.e.probes_fail = 2;
    else
        s.e = (struct health_evidence){.failures = dead, .n_failures = 2};
    until(&s, HEALTH_QUARANTINED, 10);
    assert_int_equal(s.h.cause, cause);
    s.e = (struct health_evidence){.failures = by_org, .n_failures = orgs, .probes_fail = probes_fail};
    for (int64_t end = s.now_us + 600 * (int64_t)S; s.now_us < end; s.now_us += TURN_US) {
        step(&s.h, &s.e, s.now_us);
        if (s.h.state == HEALTH_IN_SERVICE)
            return false;
    }
    return true;
}

/* Also on probation, where half is enough: half of one org's is all that it has. */
static void test_one_org_never_prolongs_a_quarantine(void **state)
{
    double one[] = {1e6, 0.1}, two[] = {3, 3}, faint[] = {1e6, 0.8};

    (void)state;
    for (enum health_cause cause = HEALTH_SILENCE; cause < HEALTH_CAUSES; cause++) {
        assert_false(held(cause, one, 2, 0));
        assert_false(held(cause, one, 0, 1));
        assert_false(held(cause, one, 2, 1));
        assert_true(held(cause, two, 2, 0));
        assert_true(held(cause, two, 0, 2));
    }
    assert_true(held(HEALTH_FAILURES, faint, 2,
                     0)); /* who was quarantined for failures comes back once there are few */
}

static void test_failures_decay(void **state)
{
    struct story s = begin();
    double by_org[] = {4, 4};

    (void)state;
    s.e.failures = by_org;
    s.e.n_failures = 2;
    until(&s, HEALTH_QUARANTINED, 10);
    for (int64_t t = 0; t < 600 && s.h.state != HEALTH_IN_SERVICE; t += TURN_US / S) {
        by_org[0] *= 0.97716; /* half in a minute */
        by_org[1] *= 0.97716;
        s.now_us += TURN_US;
        step(&s.h, &s.e, s.now_us);
    }
    assert_int_equal(s.h.state, HEALTH_IN_SERVICE);
}

static void test_few_failures_of_many_participants(void **state)
{
    struct story s = begin();
    double by_org[] = {10, 10, 10};

    (void)state;
    s.e.failures = by_org;
    s.e.n_failures = 3;
    s.e.participants = 1000;
    stays(&s, HEALTH_IN_SERVICE, 60);
    s.e.participants = 300;
    until(&s, HEALTH_QUARANTINED, 10);
}

static void test_probes(void **state)
{
    struct story s = begin();

    (void)state;
    s.e.probes_fail = 1;
    stays(&s, HEALTH_IN_SERVICE, 60);
    s.e.probes_fail = 2;
    s.e.probes_work = 2;
    stays(&s, HEALTH_IN_SERVICE, 60);
    s.e.probes_work = 1;
    until(&s, HEALTH_SUSPECT, 10);
    s.e.probes_fail = 5;
    s.e.probes_work = 3;
    stays(&s, HEALTH_SUSPECT, 8);
    s.e.probes_work = 2;
    until(&s, HEALTH_QUARANTINED, 10);
    s = begin();
    s.e.mesh = true;
    s.e.probes_fail = 1;
    until(&s, HEALTH_SUSPECT, 10);
    stays(&s, HEALTH_SUSPECT, 600);
}

/* ---- all at once ---- */

static struct health_hearing hear(size_t heard, size_t silent, int64_t age_us)
{
    struct health_hearing n = {0};

    for (size_t i = 0; i < heard; i++)
        health_hear(&n, HEALTH_IN_SERVICE, false, HEALTH_HEARD_AGE_US - 1);
    for (size_t i = 0; i < silent; i++)
        health_hear(&n, HEALTH_IN_SERVICE, false, age_us);
    return n;
}

static void test_whose_silence_is_doubted(void **state)
{
    struct health_hearing n = hear(0, HEALTH_DOUBT_NODES - 1, HEALTH_DEAD_AGE_US);

    (void)state;
    assert_false(health_doubts(&n));
    health_hear(&n, HEALTH_QUARANTINED, false, HEALTH_DEAD_AGE_US); /* was known to be dead */
    health_hear(&n, HEALTH_IN_SERVICE, true, HEALTH_DEAD_AGE_US);   /* drained */
    health_hear(&n, HEALTH_IN_SERVICE, false, -1);                  /* never heard of */
    assert_false(health_doubts(&n));
    n = hear(0, HEALTH_DOUBT_NODES, HEALTH_HEARD_AGE_US);
    assert_true(health_doubts(&n));
    n = hear(5, 5, HEALTH_DEAD_AGE_US);
    assert_false(health_doubts(&n));
    n = hear(4, 5, HEALTH_DEAD_AGE_US);
    assert_true(health_doubts(&n));
    n = hear(4, 5, HEALTH_GONE_AGE_US); /* after ten minutes they are what they seem to be */
    assert_false(health_doubts(&n));
    n = hear(0, 5, HEALTH_GONE_AGE_US); /* not so while nobody is heard at all */
    assert_true(health_doubts(&n));
}

static void test_when_a_doubt_ends(void **state)
{
    struct health_hearing most_silent = hear(1, 2, HEALTH_HEARD_AGE_US),
                          most_heard = hear(2, 1, HEALTH_HEARD_AGE_US), all_heard = hear(3, 0, 0);
    int64_t heard = 0, now = 100 * (int64_t)S;

    (void)state;
    assert_false(health_doubt_next(false, &heard, &most_heard, now));
    assert_true(health_doubt_next(false, &heard, &most_silent, now));
    assert_true(health_doubt_next(true, &heard, &most_heard, now)); /* they are given time to come back */
    assert_true(health_doubt_next(true, &heard, &most_heard, now + HEALTH_GRACE_US - 1));
    assert_false(health_doubt_next(true, &heard, &most_heard, now + HEALTH_GRACE_US));
    heard = now + 3600 * (int64_t)S; /* noted before the clock went back */
    assert_true(health_doubt_next(true, &heard, &most_heard, now));
    assert_int_equal(heard, now);
    assert_true(health_doubt_next(true, &heard, &most_silent, now));
    assert_int_equal(heard, 0);
    assert_false(health_doubt_next(true, &heard, &all_heard, now));
}

/* Nodes tell at times of their own: when all fall silent at once, the last that told is heard for longest. Whatever
 * the phases, nobody is quarantined before the doubt begins. */
static void test_all_fall_silent_at_once(void **state)
{
    enum { NODES = 10, PHASE_US = 500000, STEP_US = 100000, BEAT_US = 5000000 };

    (void)state;
    for (int64_t turn_at = 0; turn_at < TURN_US; turn_at += STEP_US) {
        for (int dead = NODES / 2 + 1; dead <= NODES; dead++) {
            struct health h[NODES] = {{0}};
            int64_t heard = 0;
            bool doubt = false;

            for (int64_t t = turn_at; t < 60 * (int64_t)S; t += TURN_US) {
                struct health_hearing n = {0};
                struct health_evidence e[NODES] = {{0}};

                for (int i = 0; i < NODES; i++) {
                    e[i].heartbeat_age_us =
                        i < dead ? t + (int64_t)i * PHASE_US : (t + (int64_t)i * PHASE_US) % BEAT_US;
                    health_hear(&n, h[i].state, false, e[i].heartbeat_age_us);
                }
                doubt = health_doubt_next(doubt, &heard, &n, t + S);
                for (int i = 0; i < NODES; i++) {
                    e[i].doubt = doubt;
                    step(&h[i], &e[i], t + S);
                    assert_int_not_equal(h[i].state, HEALTH_QUARANTINED);
                }
            }
            assert_true(doubt);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_silence_and_back),
        cmocka_unit_test(test_each_time_longer),
        cmocka_unit_test(test_the_clock_goes_back),
        cmocka_unit_test(test_planned_silence_is_no_fault),
        cmocka_unit_test(test_one_org_makes_no_cloud_node_dear_for_others),
        cmocka_unit_test(test_an_org_alone_makes_a_cloud_node_suspect),
        cmocka_unit_test(test_one_org_never_prolongs_a_quarantine),
        cmocka_unit_test(test_failures_decay),
        cmocka_unit_test(test_few_failures_of_many_participants),
        cmocka_unit_test(test_probes),
        cmocka_unit_test(test_whose_silence_is_doubted),
        cmocka_unit_test(test_when_a_doubt_ends),
        cmocka_unit_test(test_all_fall_silent_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
