/* link: berth_agent_core */
/* A call's decisions in virtual time: joining, failures, moves, networks, controllers that are away, leaving. */
#include "check.h"

#include "agent/call.h"

#include <string.h>

enum { MS = 1000, S = 1000 * MS };

struct world {
    struct call c;
    int64_t now_us;
    enum call_ask asked; /* the newest question */
    int64_t asked_us;
    size_t n_asked, n_opened[CALL_LEGS], n_closed[CALL_LEGS];
};

/* Does what there is to do. */
static void act(struct world *w)
{
    size_t leg;
    enum call_action a;
    while ((a = call_next(&w->c, w->now_us, &leg)) != CALL_DO_NOTHING) {
        if (a == CALL_DO_ASK) {
            w->asked = w->c.asking;
            w->asked_us = w->now_us;
            w->n_asked++;
        } else if (a == CALL_DO_OPEN) {
            w->n_opened[leg]++;
        } else {
            w->n_closed[leg]++;
        }
    }
}

/* Until the time; what falls due is done. */
static void run(struct world *w, int64_t until_us)
{
    for (act(w); !w->c.gone && call_deadline(&w->c) <= until_us; act(w)) {
        int64_t at = call_deadline(&w->c);
        w->now_us = at > w->now_us ? at : w->now_us;
    }
    w->now_us = until_us;
}

static struct world joining(void)
{
    struct world w = {.now_us = S};
    call_init(&w.c, 7, w.now_us);
    act(&w);
    assert_int_equal(w.asked, CALL_ASK_JOIN);
    assert_int_equal(call_state(&w.c), BERTH_CALL_JOINING);
    return w;
}

static struct call_target target(const char *node, enum transport t, unsigned transports)
{
    struct call_target to = {.transport = t, .transports = transports};
    strcpy(to.node, node);
    return to;
}

static void answer(struct world *w, const char *node)
{
    struct call_target to = target(node, TRANSPORT_UDP, 1u << TRANSPORT_UDP | 1u << TRANSPORT_TLS);
    call_assigned(&w->c, &to, true, w->now_us);
    act(w);
}

static void event(struct world *w, const char *node)
{
    struct call_target to = target(node, TRANSPORT_UDP, 1u << TRANSPORT_UDP | 1u << TRANSPORT_TLS);
    call_assigned(&w->c, &to, false, w->now_us);
    act(w);
}

static struct world up_on(const char *node)
{
    struct world w = joining();
    answer(&w, node);
    assert_int_equal(call_state(&w.c), BERTH_CALL_CONNECTING);
    call_leg_up(&w.c, 0, w.now_us);
    act(&w);
    assert_int_equal(call_state(&w.c), BERTH_CALL_UP);
    return w;
}

static void a_path_that_comes_back_is_no_failure(void **state)
{
    struct world w = up_on("n1");
    call_leg_lost(&w.c, 0, 20 * MS, w.now_us);
    assert_int_equal(call_state(&w.c), BERTH_CALL_LOST);
    run(&w, w.now_us + CALL_RACE_US - MS);
    call_leg_up(&w.c, 0, w.now_us);
    run(&w, w.now_us + 100 * (int64_t)S);
    assert_int_equal(w.n_asked, 1);
    assert_true(w.c.came_up == 2 && w.c.moved == 0);
}

static void a_long_path_is_given_its_time(void **state)
{
    struct world w = up_on("n1");
    call_leg_lost(&w.c, 0, 600 * MS, w.now_us);
    run(&w, w.now_us + (int64_t)CALL_RACE_RTTS * 600 * MS - MS);
    assert_int_equal(w.n_asked, 1);
    run(&w, w.now_us + 2 * MS);
    assert_int_equal(w.asked, CALL_ASK_FAILURE);
}

static void a_node_that_is_lost_is_told_by_each_transport_and_left(void **state)
{
    struct world w = up_on("n1");
    int64_t lost = w.now_us;
    call_leg_lost(&w.c, 0, 20 * MS, w.now_us);
    run(&w, w.now_us + S);
    assert_int_equal(w.asked, CALL_ASK_FAILURE);
    assert_int_equal(w.asked_us - lost, CALL_RACE_US);
    assert_int_equal(w.c.failed_transport, TRANSPORT_UDP);
    struct call_target tls = target("n1", TRANSPORT_TLS, 1u << TRANSPORT_TLS);
    call_assigned(&w.c, &tls, true, w.now_us); /* which was tried as well */
    act(&w);
    assert_int_equal(w.asked, CALL_ASK_FAILURE);
    assert_int_equal(w.n_asked, 3);
    assert_int_equal(w.c.failed_transport, TRANSPORT_TLS);
    answer(&w, "n2");
    assert_true(w.n_opened[1] == 1 && w.n_closed[0] == 0); /* whichever is up first */
    call_leg_up(&w.c, 1, w.now_us);
    act(&w);
    assert_true(w.n_closed[0] == 1 && w.c.main == 1 && w.c.moved == 1);
    assert_int_equal(call_state(&w.c), BERTH_CALL_UP);
}

static void where_nothing_else_is_left_the_same_node_is_tried_again(void **state)
{
    struct world w = up_on("n1");
    call_leg_lost(&w.c, 0, 20 * MS, w.now_us);
    run(&w, w.now_us + S);
    for (int i = 0; i < 2; i++) /* the second time nothing is left to be told */
        answer(&w, "n1");
    assert_true(w.n_asked == 2 && w.n_opened[0] == 2);
    run(&w, w.now_us + CALL_CLIMB_US + MS);
    assert_int_equal(w.asked, CALL_ASK_FAILURE);
}

/* Failing for ever, answered at once: fewer and fewer questions. */
static void failures_come_ever_less_often(void **state)
{
    struct world w = up_on("n1");
    int64_t end = w.now_us + 600 * (int64_t)S, last = 0;
    char node[8] = "n0";
    call_leg_failed(&w.c, 0, w.now_us);
    for (size_t i = 0; w.now_us < end; i++) {
        act(&w);
        while (w.c.asking == CALL_ASK_NOTHING && w.now_us < end)
            run(&w, w.now_us + 100 * MS);
        last = w.now_us - w.asked_us < 100 * MS && i > 30 ? w.asked_us - last : w.asked_us;
        node[1] = (char)('2' + i % 5);
        answer(&w, node);
        call_leg_failed(&w.c, 0, w.now_us);
        call_leg_failed(&w.c, 1, w.now_us);
    }
    assert_true(w.n_asked > 10 && w.n_asked < 120);
}

static void who_is_refused_for_the_ticket_joins_again(void **state)
{
    struct world w = joining();
    answer(&w, "n1");
    call_leg_refused(&w.c, 0, 401, w.now_us);
    act(&w);
    assert_true(w.asked == CALL_ASK_JOIN && w.n_asked == 2);
    answer(&w, "n1");
    assert_int_equal(w.n_opened[0], 2); /* with the new ticket */
}

/* Whose place another takes, again and again, as soon as it is up. */
static void who_is_up_for_a_moment_only_asks_ever_less_often(void **state)
{
    struct world w = joining();
    int64_t end = w.now_us + 600 * (int64_t)S;
    answer(&w, "n1");
    while (w.now_us < end) {
        call_leg_up(&w.c, 0, w.now_us);
        run(&w, w.now_us + 400 * MS);
        call_leg_refused(&w.c, 0, 401, w.now_us);
        for (act(&w); w.c.asking == CALL_ASK_NOTHING && w.now_us < end;)
            run(&w, w.now_us + 100 * MS);
        answer(&w, "n1");
    }
    assert_true(w.n_asked > 10 && w.n_asked < 80);
    call_leg_up(&w.c, 0, w.now_us);
    run(&w, w.now_us + 11 * (int64_t)S);
    size_t before = w.n_asked;
    call_leg_refused(&w.c, 0, 401, w.now_us); /* it was up for long: at once */
    act(&w);
    assert_int_equal(w.n_asked, before + 1);
}

static void who_is_taken_over_ends_and_leaves_the_other_alone(void **state)
{
    struct world w = up_on("n1");
    call_leg_refused(&w.c, 0, 403, w.now_us);
    assert_int_equal(call_state(&w.c), BERTH_CALL_ENDED);
    assert_int_equal(w.c.error, BERTH_E_TAKEN_OVER);
    call_leave(&w.c, w.now_us);
    run(&w, w.now_us + 20 * (int64_t)S);
    assert_int_equal(w.n_asked, 1); /* the join */
    assert_true(w.c.gone);
}

static void who_is_refused_by_a_full_node_takes_the_next(void **state)
{
    static const int codes[] = {486, 508, 400};
    for (size_t i = 0; i < 3; i++) {
        struct world w = joining();
        answer(&w, "n1");
        call_leg_refused(&w.c, 0, codes[i], w.now_us);
        act(&w);
        assert_int_equal(w.asked, CALL_ASK_FAILURE);
        assert_string_equal(w.c.failed_node, "n1");
        answer(&w, "n2");
        assert_int_equal(w.n_opened[0], 2); /* nothing was up: in the same place */
        assert_int_equal(call_state(&w.c), BERTH_CALL_CONNECTING);
    }
}

static void a_move_is_made_before_it_is_broken(void **state)
{
    struct world w = up_on("n1");
    event(&w, "n2");
    assert_true(w.n_opened[1] == 1 && w.n_closed[0] == 0 && w.c.main == 0);
    assert_int_equal(call_state(&w.c), BERTH_CALL_UP);
    call_leg_up(&w.c, 1, w.now_us);
    act(&w);
    assert_true(w.c.main == 1 && w.n_closed[0] == 0 && w.c.moved == 1);
    run(&w, w.now_us + CALL_OVERLAP_US - MS);
    assert_int_equal(w.n_closed[0], 0);
    run(&w, w.now_us + 2 * MS);
    assert_int_equal(w.n_closed[0], 1);
    assert_int_equal(w.n_asked, 1);
}

static void a_second_move_takes_the_old_legs_place(void **state)
{
    struct world w = up_on("n1");
    event(&w, "n2");
    call_leg_up(&w.c, 1, w.now_us);
    event(&w, "n3");
    assert_int_equal(w.n_opened[0], 2);
    event(&w, "n2"); /* and back */
    assert_true(w.n_closed[0] == 1 && w.c.main == 1);
    assert_int_equal(call_state(&w.c), BERTH_CALL_UP);
}

static void a_new_node_that_fails_leaves_the_old_one_alone(void **state)
{
    struct world w = up_on("n1");
    event(&w, "n2");
    call_leg_failed(&w.c, 1, w.now_us);
    act(&w);
    assert_int_equal(w.asked, CALL_ASK_FAILURE);
    assert_string_equal(w.c.failed_node, "n2");
    answer(&w, "n1");
    assert_true(w.n_closed[1] == 1 && w.n_closed[0] == 0);
    assert_int_equal(call_state(&w.c), BERTH_CALL_UP);
}

static void a_node_that_drains_is_asked_about_until_it_is_left(void **state)
{
    struct world w = up_on("n1");
    call_move_soon(&w.c, true, w.now_us);
    run(&w, w.now_us + CALL_MOVE_SPREAD_US);
    assert_int_equal(w.n_asked, 2);
    for (size_t i = 0; i < 5; i++) { /* nobody has decided yet */
        answer(&w, "n1");
        call_move_soon(&w.c, true, w.now_us);
        run(&w, w.now_us + CALL_MOVE_AGAIN_US);
        assert_int_equal(w.n_asked, 3 + i);
    }
    answer(&w, "n2");
    call_leg_up(&w.c, 1, w.now_us);
    run(&w, w.now_us + 60 * (int64_t)S);
    assert_int_equal(w.n_asked, 7);
    assert_true(w.c.main == 1 && w.n_closed[0] == 1);
}

static void without_the_controller_what_runs_goes_on(void **state)
{
    struct world w = up_on("n1");
    call_ask_again(&w.c, w.now_us);
    int64_t end = w.now_us + 3600 * (int64_t)S;
    while (w.now_us < end) {
        act(&w);
        if (w.c.asking != CALL_ASK_NOTHING)
            call_unassigned(&w.c, w.n_asked % 2 ? 503 : 0, 0, w.now_us);
        run(&w, w.now_us + 100 * MS);
    }
    assert_int_equal(call_state(&w.c), BERTH_CALL_UP);
    assert_true(w.n_asked >= 3600 / 30 && w.n_asked <= 3600 / 15 + 10);
    answer(&w, "n1");
    assert_true(w.n_opened[0] == 1 && w.n_closed[0] == 0);
}

static void retry_after_is_kept(void **state)
{
    struct world w = joining();
    call_unassigned(&w.c, 429, 20 * (int64_t)S, w.now_us);
    run(&w, w.now_us + 20 * (int64_t)S - MS);
    assert_int_equal(w.n_asked, 1);
    run(&w, w.now_us + 2 * MS);
    assert_int_equal(w.n_asked, 2);
}

static void a_refusal_ends_only_what_has_not_begun(void **state)
{
    struct world w = joining();
    call_unassigned(&w.c, 403, 0, w.now_us);
    assert_int_equal(call_state(&w.c), BERTH_CALL_ENDED);
    assert_int_equal(w.c.error, BERTH_E_REFUSED);
    run(&w, w.now_us + 60 * (int64_t)S);
    assert_int_equal(w.n_asked, 1);
    w = up_on("n1"); /* the token has expired meanwhile */
    call_ask_again(&w.c, w.now_us);
    act(&w);
    call_unassigned(&w.c, 401, 0, w.now_us);
    run(&w, w.now_us + 10 * (int64_t)S);
    assert_true(call_state(&w.c) == BERTH_CALL_UP && w.n_asked == 2);
    call_ask_again(&w.c, w.now_us); /* with another token */
    act(&w);
    assert_int_equal(w.n_asked, 3);
}

/* The controller doesn't know the participant any more. */
static void a_failure_of_nobody_is_a_join(void **state)
{
    struct world w = up_on("n1");
    call_leg_failed(&w.c, 0, w.now_us);
    act(&w);
    call_unassigned(&w.c, 404, 0, w.now_us);
    act(&w);
    assert_int_equal(w.asked, CALL_ASK_JOIN);
}

static void another_network_is_given_time_and_asked_about(void **state)
{
    struct world w = up_on("n1");
    call_network_changed(&w.c, w.now_us);
    act(&w);
    assert_true(w.asked == CALL_ASK_JOIN && w.n_asked == 2);
    assert_int_equal(call_state(&w.c), BERTH_CALL_LOST);
    answer(&w, "n1");
    assert_int_equal(w.n_opened[0], 1); /* the race goes on */
    run(&w, w.now_us + CALL_CLIMB_US - MS);
    assert_int_equal(w.n_asked, 2);
    struct call_target tcp =
        target("n1", TRANSPORT_TCP, 1u << TRANSPORT_TCP); /* what this network lets through */
    call_assigned(&w.c, &tcp, false, w.now_us);
    act(&w);
    assert_int_equal(w.n_opened[0], 2);
}

static void leaving_is_told_and_ends(void **state)
{
    struct world w = up_on("n1");
    call_leave(&w.c, w.now_us);
    act(&w);
    assert_true(w.asked == CALL_ASK_LEAVE && w.n_closed[0] == 1 && !w.c.gone);
    assert_int_equal(call_state(&w.c), BERTH_CALL_ENDED);
    call_unassigned(&w.c, 204, 0, w.now_us);
    assert_true(w.c.gone);
    w = joining(); /* before the answer: that is waited for */
    call_leave(&w.c, w.now_us);
    act(&w);
    assert_int_equal(w.n_asked, 1);
    answer(&w, "n1");
    assert_true(w.asked == CALL_ASK_LEAVE && w.n_opened[0] == 0);
    call_unassigned(&w.c, 404, 0, w.now_us);
    assert_true(w.c.gone);
    w = up_on("n1"); /* nobody listens: not for ever */
    call_leave(&w.c, w.now_us);
    int64_t end = w.now_us + CALL_LEAVE_US + S;
    while (w.now_us < end) {
        act(&w);
        if (w.c.asking != CALL_ASK_NOTHING)
            call_unassigned(&w.c, 0, 0, w.now_us);
        run(&w, w.now_us + 100 * MS);
    }
    assert_true(w.c.gone && w.n_asked > 2);
}

/* ---- what the call measures ---- */

static struct world telling_on(const char *node)
{
    struct world w = joining();
    call_tell_every(&w.c, 100, w.now_us);
    answer(&w, node);
    call_leg_up(&w.c, 0, w.now_us);
    act(&w);
    return w;
}

static void what_it_measures_is_told_every_so_often(void **state)
{
    struct world w = telling_on("n1");
    run(&w, w.now_us + 100 * (int64_t)S);
    assert_true(w.asked == CALL_ASK_TELL && w.n_asked == 2);
    assert_true(w.asked_us >= 51 * (int64_t)S && w.asked_us <= 101 * (int64_t)S);
    run(&w, w.now_us + 1000 * (int64_t)S); /* no answer yet: none besides */
    assert_int_equal(w.n_asked, 2);
    call_told(&w.c, true, w.now_us);
    run(&w, w.now_us + 1000 * (int64_t)S);
    assert_int_equal(w.n_asked, 3);
    call_told(&w.c, false, w.now_us); /* it may not */
    run(&w, w.now_us + 1000 * (int64_t)S);
    assert_int_equal(w.n_asked, 3);
    w = up_on("n1"); /* nobody wants to know */
    run(&w, w.now_us + 100000 * (int64_t)S);
    assert_int_equal(w.n_asked, 1);
    call_tell_every(&w.c, INT64_MAX, w.now_us);
    assert_true(w.c.tell_every_us == (int64_t)CALL_TELL_MAX_S * S);
}

static void nothing_waits_for_what_is_told(void **state)
{
    struct world w = telling_on("n1");
    run(&w, w.now_us + 100 * (int64_t)S);
    assert_int_equal(w.asked, CALL_ASK_TELL);
    call_leg_lost(&w.c, 0, 20 * MS, w.now_us);
    run(&w, w.now_us + S);
    assert_int_equal(w.asked, CALL_ASK_FAILURE);
    answer(&w, "n2");
    call_leg_up(&w.c, 1, w.now_us);
    act(&w);
    size_t asked = w.n_asked;
    run(&w, w.now_us + 101 * (int64_t)S); /* it is told again */
    assert_true(w.asked == CALL_ASK_TELL && w.n_asked == asked + 1);
}

static void the_end_is_told_when_it_is_left(void **state)
{
    struct world w = telling_on("n1");
    call_leave(&w.c, w.now_us);
    act(&w);
    assert_int_equal(w.asked, CALL_ASK_LEAVE);
    call_unassigned(&w.c, 204, 0, w.now_us);
    act(&w);
    assert_true(w.asked == CALL_ASK_TELL && !w.c.gone);
    call_told(&w.c, true, w.now_us);
    assert_true(w.c.gone);
    w = telling_on("n1"); /* it is being told: leaving goes before */
    run(&w, w.now_us + 100 * (int64_t)S);
    call_leave(&w.c, w.now_us);
    act(&w);
    assert_int_equal(w.asked, CALL_ASK_LEAVE);
    call_unassigned(&w.c, 204, 0, w.now_us);
    act(&w);
    assert_int_equal(w.asked, CALL_ASK_TELL);
    run(&w, w.now_us + CALL_LEAVE_US); /* nobody answers: not for ever */
    assert_true(w.c.gone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_that_comes_back_is_no_failure),
        cmocka_unit_test(a_long_path_is_given_its_time),
        cmocka_unit_test(a_node_that_is_lost_is_told_by_each_transport_and_left),
        cmocka_unit_test(where_nothing_else_is_left_the_same_node_is_tried_again),
        cmocka_unit_test(failures_come_ever_less_often),
        cmocka_unit_test(who_is_refused_for_the_ticket_joins_again),
        cmocka_unit_test(who_is_up_for_a_moment_only_asks_ever_less_often),
        cmocka_unit_test(who_is_taken_over_ends_and_leaves_the_other_alone),
        cmocka_unit_test(who_is_refused_by_a_full_node_takes_the_next),
        cmocka_unit_test(a_move_is_made_before_it_is_broken),
        cmocka_unit_test(a_second_move_takes_the_old_legs_place),
        cmocka_unit_test(a_new_node_that_fails_leaves_the_old_one_alone),
        cmocka_unit_test(a_node_that_drains_is_asked_about_until_it_is_left),
        cmocka_unit_test(without_the_controller_what_runs_goes_on),
        cmocka_unit_test(retry_after_is_kept),
        cmocka_unit_test(a_refusal_ends_only_what_has_not_begun),
        cmocka_unit_test(a_failure_of_nobody_is_a_join),
        cmocka_unit_test(another_network_is_given_time_and_asked_about),
        cmocka_unit_test(leaving_is_told_and_ends),
        cmocka_unit_test(what_it_measures_is_told_every_so_often),
        cmocka_unit_test(nothing_waits_for_what_is_told),
        cmocka_unit_test(the_end_is_told_when_it_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
