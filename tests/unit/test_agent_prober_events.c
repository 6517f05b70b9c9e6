/* link: berth_agent_core */
/* What the prober is told and must not count, and any event at any time. */
#include "check.h"

#include "agent_answer.h"
#include "agent_sim.h"

struct one_udp {
    struct sim *s;
    struct addr at;
    struct prober_target_spec spec;
    struct prober_action sent;
    uint8_t answer[STUN_BINDING_ANSWER_MAX];
    size_t answer_len;
};

/* One UDP target whose first request has left; the answer to it is made, and not delivered. */
static void one_udp_new(struct one_udp *u)
{
    struct probe_policy policy = sim_policy();
    policy.samples = 1;
    u->s = sim_new(1);
    u->at = sim_addr(1, 5004);
    u->spec = sim_target(0, TRANSPORT_UDP, &u->at, 1);
    sim_start(u->s, &policy, &u->spec, 1);
    assert_true(prober_next_action(u->s->prober, u->s->now_us, &u->sent));
    struct addr us = sim_addr(9, 9);
    u->answer_len = stun_binding_answer(u->sent.bytes, sizeof u->sent.bytes, &us,
                                        &(struct stun_binding_opts){0}, u->answer, sizeof u->answer);
    assert_true(u->answer_len > 0);
}

static void only_the_address_asked_may_answer(void **state)
{
    struct one_udp u;
    one_udp_new(&u);
    struct addr other_port = u.at, other_ip = u.at;
    other_port.port++;
    other_ip.ip[3]++;
    prober_on_udp(u.s->prober, &other_port, u.answer, u.answer_len, u.s->now_us + 10);
    prober_on_udp(u.s->prober, &other_ip, u.answer, u.answer_len, u.s->now_us + 10);
    for (size_t i = 8; i < 20; i++) { /* a guessed transaction id */
        u.answer[i] ^= 1;
        prober_on_udp(u.s->prober, &u.at, u.answer, u.answer_len, u.s->now_us + 10);
        u.answer[i] ^= 1;
    }
    prober_on_udp(u.s->prober, &u.at, u.sent.bytes, sizeof u.sent.bytes, u.s->now_us + 10); /* an echo */
    for (size_t len = 0; len < u.answer_len; len++)
        prober_on_udp(u.s->prober, &u.at, u.answer, len, u.s->now_us + 10);
    assert_int_equal(sim_result(u.s, 0).status, PROBE_UNTESTED);
    prober_on_udp(u.s->prober, &u.at, u.answer, u.answer_len, u.s->now_us + 1234);
    assert_int_equal(sim_result(u.s, 0).status, PROBE_REACHABLE);
    assert_int_equal(sim_result(u.s, 0).rtt_min_us, 1234);
    sim_destroy(u.s);
}

/* One with what we must understand and don't is discarded; the sample is lost. */
static void what_is_not_understood_is_no_answer(void **state)
{
    for (size_t i = 0; i < ANSWER_CASES; i++) {
        const struct answer_case *c = &answer_cases[i];
        struct one_udp u;
        struct prober_action a;
        uint8_t bytes[ANSWER_MAX];
        one_udp_new(&u);
        size_t len = answer_make(u.sent.bytes, c->code, c->type, bytes);
        prober_on_udp(u.s->prober, &u.at, bytes, len, u.s->now_us + 10);
        assert_int_equal(sim_result(u.s, 0).status, c->counts ? PROBE_REACHABLE : PROBE_UNTESTED);
        assert_false(prober_next_action(u.s->prober, u.s->now_us + 1500000, &a));
        assert_int_equal(sim_result(u.s, 0).status, c->counts ? PROBE_REACHABLE : PROBE_TIMEOUT);
        assert_int_equal(sim_result(u.s, 0).received, c->counts);
        sim_destroy(u.s);
    }
}

/* The same on a stream, which goes on. */
static void what_is_not_understood_is_no_answer_on_a_stream(void **state)
{
    for (size_t i = 0; i < ANSWER_CASES; i++) {
        const struct answer_case *c = &answer_cases[i];
        struct sim *s = sim_new(1);
        struct addr at = sim_addr(1, 5004);
        struct prober_target_spec spec = sim_target(0, TRANSPORT_TCP, &at, 1);
        struct probe_policy policy = sim_policy();
        struct prober_action a;
        uint8_t bytes[ANSWER_MAX];
        policy.samples = 1;
        sim_start(s, &policy, &spec, 1);
        assert_true(prober_next_action(s->prober, s->now_us, &a) && a.kind == PROBER_OPEN);
        prober_on_connected(s->prober, a.stream, s->now_us);
        s->now_us = prober_deadline(s->prober);
        assert_true(prober_next_action(s->prober, s->now_us, &a) && a.kind == PROBER_SEND_STREAM);
        size_t len = answer_make(a.bytes, c->code, c->type, bytes);
        prober_on_stream(s->prober, a.stream, bytes, len, s->now_us + 10);
        assert_int_equal(sim_result(s, 0).status, c->counts ? PROBE_REACHABLE : PROBE_UNTESTED);
        len = answer_make(a.bytes, 0, ANSWER_PLAIN, bytes);
        prober_on_stream(s->prober, a.stream, bytes, len, s->now_us + 20);
        assert_int_equal(sim_result(s, 0).status, PROBE_REACHABLE);
        assert_int_equal(sim_result(s, 0).rtt_min_us, c->counts ? 10 : 20);
        sim_destroy(s);
    }
}

static void a_late_answer_is_a_lost_sample(void **state)
{
    struct one_udp u;
    one_udp_new(&u);
    prober_on_udp(u.s->prober, &u.at, u.answer, u.answer_len, u.s->now_us + 1500000);
    struct prober_action a;
    assert_false(prober_next_action(u.s->prober, u.s->now_us + 1500000, &a));
    assert_int_equal(sim_result(u.s, 0).status, PROBE_TIMEOUT);
    assert_int_equal(sim_result(u.s, 0).sent, 1);
    assert_int_equal(sim_result(u.s, 0).received, 0);
    sim_destroy(u.s);
}

static void the_time_of_sending_is_the_shells(void **state)
{
    struct one_udp u;
    one_udp_new(&u);
    prober_sent(u.s->prober, &u.sent, u.s->now_us + 700);
    prober_on_udp(u.s->prober, &u.at, u.answer, u.answer_len, u.s->now_us + 1000);
    assert_int_equal(sim_result(u.s, 0).rtt_min_us, 300);
    sim_destroy(u.s);
}

/* A forged ICMP error needs the transaction id, and a bounce from elsewhere is none of ours. */
static void a_forged_bounce_does_nothing(void **state)
{
    struct one_udp u;
    one_udp_new(&u);
    struct addr other = u.at;
    other.port++;
    prober_on_udp_error(u.s->prober, &other, u.sent.bytes, sizeof u.sent.bytes, ECONNREFUSED, u.s->now_us);
    prober_on_udp_error(u.s->prober, &u.at, u.sent.bytes, 19, ECONNREFUSED, u.s->now_us);
    u.sent.bytes[19] ^= 1;
    prober_on_udp_error(u.s->prober, &u.at, u.sent.bytes, sizeof u.sent.bytes, ECONNREFUSED, u.s->now_us);
    assert_int_equal(sim_result(u.s, 0).status, PROBE_UNTESTED);
    u.sent.bytes[19] ^= 1;
    prober_on_udp_error(u.s->prober, &u.at, u.sent.bytes, sizeof u.sent.bytes, ECONNREFUSED, u.s->now_us);
    assert_int_equal(sim_result(u.s, 0).status, PROBE_REFUSED);
    sim_destroy(u.s);
}

static void our_own_shortage_is_no_refusal(void **state)
{
    struct one_udp u;
    one_udp_new(&u);
    prober_send_failed(u.s->prober, &u.sent, ENOBUFS, u.s->now_us);
    assert_int_equal(sim_result(u.s, 0).status, PROBE_UNTESTED);
    prober_on_udp(u.s->prober, &u.at, u.answer, u.answer_len, u.s->now_us + 10);
    assert_int_equal(sim_result(u.s, 0).status, PROBE_REACHABLE);
    sim_destroy(u.s);
}

static void no_socket_means_untested(void **state)
{
    struct one_udp u;
    one_udp_new(&u);
    prober_send_failed(u.s->prober, &u.sent, EMFILE, u.s->now_us);
    assert_int_equal(sim_result(u.s, 0).status, PROBE_UNTESTED);
    assert_true(prober_done(u.s->prober));
    sim_destroy(u.s);
}

/* Any event at any time on anything: the probe still ends within its budget, and every row makes sense. */
static void one_random_event(struct sim *s, const struct prober_action *last)
{
    struct prober *p = s->prober;
    uint8_t bytes[STUN_BINDING_ANSWER_MAX];
    struct addr us = sim_addr(9, 9);
    size_t stream = sim_random(s) % 10;
    size_t len = stun_binding_answer(last->bytes, sizeof last->bytes, &us, &(struct stun_binding_opts){0},
                                     bytes, sizeof bytes);
    if (sim_random(s) % 3 == 0)
        bytes[sim_random(s) % (len > 0 ? len : 1)] ^= (uint8_t)(1u << sim_random(s) % 8);
    if (sim_random(s) % 4 == 0)
        len = sim_random(s) % (len + 1);
    switch (sim_random(s) % 9) {
    case 0:
        prober_on_udp(p, &last->to, bytes, len, s->now_us);
        break;
    case 1:
        prober_on_udp_error(p, &last->to, last->bytes, sim_random(s) % 21, (int)(sim_random(s) % 130),
                            s->now_us);
        break;
    case 2:
        prober_on_connected(p, stream, s->now_us);
        break;
    case 3:
        prober_on_secured(p, stream, s->now_us);
        break;
    case 4:
        prober_on_stream(p, stream, bytes, len, s->now_us);
        break;
    case 5:
        prober_on_stream_error(p, stream, (int)(sim_random(s) % 130), s->now_us);
        break;
    case 6:
        prober_on_tls_error(p, stream, "no", s->now_us);
        break;
    case 7:
        prober_on_connected(p, SIZE_MAX, s->now_us);
        break;
    default:
        if (last->kind != PROBER_CLOSE && last->target < 9)
            prober_send_failed(p, last, (int)(sim_random(s) % 130), s->now_us);
        break;
    }
}

static void any_event_at_any_time(void **state)
{
    enum { SEEDS = 1500, NODES = 3, TARGETS = NODES * 3 };
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct sim *s = sim_new(seed);
        struct addr at[TARGETS][2];
        struct prober_target_spec specs[TARGETS];
        struct prober_action a, last = {.kind = PROBER_CLOSE};
        for (size_t i = 0; i < TARGETS; i++) {
            at[i][0] = sim_addr(i / 3, 1);
            at[i][1] = sim_addr(i / 3, 2);
            specs[i] = sim_target(i / 3, (enum transport)(i % 3), at[i], 1 + i % 2);
        }
        struct probe_policy policy = sim_policy();
        policy.budget_ms = 3000;
        sim_start(s, &policy, specs, TARGETS);
        int64_t began = s->now_us;
        while (!prober_done(s->prober)) {
            assert_true(s->now_us - began <= 3100000);
            s->now_us += (int64_t)(sim_random(s) % 3000);
            while (prober_next_action(s->prober, s->now_us, &a)) {
                last = a;
                if (sim_random(s) % 2 == 0)
                    one_random_event(s, &last);
            }
            one_random_event(s, &last);
        }
        for (size_t i = 0; i < TARGETS; i++) {
            struct probe_result r = sim_result(s, i);
            assert_true(r.received <= r.sent && r.sent <= 5);
            assert_int_equal(r.status == PROBE_REACHABLE, r.received > 0);
            assert_int_equal(r.status == PROBE_REACHABLE, r.rtt_min_us != NOT_MEASURED);
        }
        sim_destroy(s);
    }
}

static void every_request_has_its_own_transaction(void **state)
{
    enum { NODES = 20 };
    static uint8_t seen[NODES * 5][STUN_TXID_LEN];
    struct sim *s = sim_new(5);
    struct addr at[NODES];
    struct prober_target_spec specs[NODES];
    size_t n = 0;
    for (size_t i = 0; i < NODES; i++) {
        at[i] = sim_addr(i, 1);
        specs[i] = sim_target(i, TRANSPORT_UDP, &at[i], 1);
    }
    struct probe_policy policy = sim_policy();
    sim_start(s, &policy, specs, NODES);
    while (n < NODES * 5) {
        struct prober_action a;
        if (!prober_next_action(s->prober, s->now_us, &a)) {
            s->now_us = prober_deadline(s->prober);
            continue;
        }
        memcpy(seen[n], a.bytes + 8, STUN_TXID_LEN);
        for (size_t i = 0; i < n; i++)
            assert_memory_not_equal(seen[i], seen[n], 4);
        n++;
    }
    sim_destroy(s);
}

/* More bytes than any message, in one unfinished message after another. */
static void a_chatty_stream_is_cut_off(void **state)
{
    struct sim *s = sim_new(1);
    struct addr at = sim_addr(1, 5004);
    struct prober_target_spec spec = sim_target(0, TRANSPORT_TCP, &at, 1);
    struct probe_policy policy = sim_policy();
    struct prober_action a;
    uint8_t noise[5000] = {0x01, 0x01, 0xff, 0xfc, 0x21, 0x12, 0xa4, 0x42};
    sim_start(s, &policy, &spec, 1);
    assert_true(prober_next_action(s->prober, s->now_us, &a) && a.kind == PROBER_OPEN);
    prober_on_connected(s->prober, a.stream, s->now_us);
    prober_on_stream(s->prober, a.stream, noise, sizeof noise, s->now_us);
    assert_int_equal(sim_result(s, 0).status, PROBE_REFUSED);
    prober_on_stream(s->prober, a.stream, noise, sizeof noise, s->now_us); /* nobody listens any more */
    assert_true(prober_next_action(s->prober, s->now_us, &a) && a.kind == PROBER_CLOSE);
    assert_true(prober_done(s->prober));
    sim_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_address_asked_may_answer),
        cmocka_unit_test(what_is_not_understood_is_no_answer),
        cmocka_unit_test(what_is_not_understood_is_no_answer_on_a_stream),
        cmocka_unit_test(a_late_answer_is_a_lost_sample),
        cmocka_unit_test(the_time_of_sending_is_the_shells),
        cmocka_unit_test(a_forged_bounce_does_nothing),
        cmocka_unit_test(our_own_shortage_is_no_refusal),
        cmocka_unit_test(no_socket_means_untested),
        cmocka_unit_test(any_event_at_any_time),
        cmocka_unit_test(every_request_has_its_own_transaction),
        cmocka_unit_test(a_chatty_stream_is_cut_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
