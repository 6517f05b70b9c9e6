/* link: berth_agent_core */
/* The ladder against a simulated network in virtual time: who wins when, in what order it tries, and hundreds of bad networks. */
#include "check.h"

#include "agent_answer.h"
#include "ladder_sim.h"

enum { MS = 1000, SEEDS = 500 };

static struct ladder_policy policy(void)
{
    struct ladder_policy p;
    ladder_policy_init(&p);
    return p;
}

static struct world *full(uint64_t seed, enum way udp, enum way tcp, enum way tls, enum way proxy,
                          int64_t rtt_us)
{
    struct world *w = world_new(seed);
    world_add(w, TRANSPORT_UDP, "192.0.2.1:5004", udp, rtt_us);
    world_add(w, TRANSPORT_UDP, "192.0.2.1:3478", udp, rtt_us);
    world_add(w, TRANSPORT_TCP, "192.0.2.1:5004", tcp, rtt_us);
    world_add(w, TRANSPORT_TLS, "192.0.2.1:443", tls, rtt_us);
    world_add(w, TRANSPORT_PROXY, "192.0.2.1:443", proxy, rtt_us);
    return w;
}

/* Who wins when all of a transport behaves in one way, and when the decision falls: at the earliest and at the latest. */
static const struct {
    const char *name;
    enum way udp, tcp, tls, proxy;
    int rtt_ms;
    int winner; /* enum transport; -1: none */
    enum framing framing;
    int from_ms, to_ms;
} table[] = {
    {"open", WAY_ANSWERS, WAY_ANSWERS, WAY_ANSWERS, WAY_ANSWERS, 30, TRANSPORT_UDP, FRAMING_STUN, 30, 30},
    {"far away", WAY_ANSWERS, WAY_ANSWERS, WAY_ANSWERS, WAY_ANSWERS, 400, TRANSPORT_UDP, FRAMING_STUN, 400,
     400},
    {"udp dropped", WAY_DROPPED, WAY_ANSWERS, WAY_ANSWERS, WAY_ANSWERS, 30, TRANSPORT_TCP, FRAMING_STUN, 360,
     510},
    {"udp rejected", WAY_REJECTED, WAY_ANSWERS, WAY_ANSWERS, WAY_ANSWERS, 30, TRANSPORT_TCP, FRAMING_STUN,
     120, 120},
    {"tcp dropped too", WAY_DROPPED, WAY_DROPPED, WAY_ANSWERS, WAY_ANSWERS, 30, TRANSPORT_TLS, FRAMING_STUN,
     690, 840},
    {"udp and tcp rejected", WAY_REJECTED, WAY_REJECTED, WAY_ANSWERS, WAY_ANSWERS, 30, TRANSPORT_TLS,
     FRAMING_STUN, 180, 180},
    {"only the proxy", WAY_DROPPED, WAY_DROPPED, WAY_DROPPED, WAY_ANSWERS, 30, TRANSPORT_PROXY, FRAMING_STUN,
     990, 1140},
    {"the proxy wants a name", WAY_REJECTED, WAY_REJECTED, WAY_REJECTED, WAY_PROXY_WANTS_NAME, 30,
     TRANSPORT_PROXY, FRAMING_STUN, 240, 240},
    {"only websocket", WAY_REJECTED, WAY_REJECTED, WAY_ONLY_WEBSOCKET, WAY_REJECTED, 30, TRANSPORT_TLS,
     FRAMING_WEBSOCKET, 1250, 1360},
    {"a peer that talks otherwise", WAY_REJECTED, WAY_GARBAGE, WAY_ANSWERS, WAY_ANSWERS, 30, TRANSPORT_TLS,
     FRAMING_STUN, 210, 210},
    {"tls that is not ours", WAY_REJECTED, WAY_REJECTED, WAY_TLS_FAILS, WAY_ANSWERS, 30, TRANSPORT_PROXY,
     FRAMING_STUN, 180, 240},
    {"tcp answers and dies", WAY_DROPPED, WAY_DIES_AFTER_ANSWER, WAY_ANSWERS, WAY_ANSWERS, 30, TRANSPORT_TLS,
     FRAMING_STUN, 470, 620},
    {"all but the proxy answer and die", WAY_DROPPED, WAY_DIES_AFTER_ANSWER, WAY_DIES_AFTER_ANSWER,
     WAY_ANSWERS, 30, TRANSPORT_PROXY, FRAMING_STUN, 580, 730},
    {"all answer and die", WAY_DROPPED, WAY_DIES_AFTER_ANSWER, WAY_DIES_AFTER_ANSWER, WAY_DIES_AFTER_ANSWER,
     30, -1, FRAMING_NONE, 5000, 5900},
    {"rejected all over", WAY_REJECTED, WAY_REJECTED, WAY_REJECTED, WAY_PROXY_REFUSES, 30, -1, FRAMING_NONE,
     150, 180},
    {"dropped all over", WAY_DROPPED, WAY_DROPPED, WAY_DROPPED, WAY_DROPPED, 30, -1, FRAMING_NONE, 5000,
     5900},
    {"silent all over", WAY_DROPPED, WAY_SILENT, WAY_SILENT, WAY_SILENT, 30, -1, FRAMING_NONE, 5000, 5900},
    {"closed all over", WAY_REJECTED, WAY_CLOSES, WAY_CLOSES, WAY_CLOSES, 30, -1, FRAMING_NONE, 300, 1200},
};

static void check_one_stands(struct world *w)
{
    size_t winner = ladder_winner(w->ladder);
    for (size_t i = 0; i < w->n; i++) {
        struct ladder_outcome o;
        ladder_outcome(w->ladder, i, &o);
        bool open = w->generation[i] % 2 == 1;
        assert_int_equal(open, i == winner && w->places[i].transport != TRANSPORT_UDP);
        assert_int_equal(o.why[0] == '\0', i == winner);
        if (i == winner)
            assert_true(o.status == PROBE_REACHABLE && o.stun_us >= 0 && addr_is_set(&o.mapped));
    }
}

static void who_wins_when(void **state)
{
    struct ladder_policy p = policy();
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct world *w =
            full(i + 1, table[i].udp, table[i].tcp, table[i].tls, table[i].proxy, table[i].rtt_ms * MS);
        int64_t took = world_run(w, &p);
        size_t winner = ladder_winner(w->ladder);
        int transport = winner == LADDER_NONE ? -1 : (int)w->places[winner].transport;
        if (transport != table[i].winner || took < table[i].from_ms * MS || took > table[i].to_ms * MS)
            fail_msg("%s: %d after %lld us", table[i].name, transport, (long long)took);
        if (winner != LADDER_NONE) {
            struct ladder_outcome o;
            ladder_outcome(w->ladder, winner, &o);
            assert_int_equal(o.framing, table[i].framing);
            assert_int_equal(o.stun_us, table[i].rtt_ms * MS);
        }
        check_one_stands(w);
        world_free(w);
    }
}

/* UDP answers once in two: TCP may be first, but UDP wins if it answers in the grace; whatever wins, the rules hold. */
static void bad_networks(void **state)
{
    struct ladder_policy p = policy();
    size_t udp_wins = 0, lost = 0, doubled = 0, overtaken = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct ladder_outcome o;
        struct world *w = full(seed, WAY_ANSWERS, WAY_ANSWERS, WAY_ANSWERS, WAY_ANSWERS, 40 * MS);
        for (size_t i = 0; i < w->n; i++) {
            w->hosts[i].jitter_us = 400 * MS; /* more than the first pause: answers overtake */
            w->hosts[i].loss = (unsigned)(seed % 60);
            w->hosts[i].dup = 30;
        }
        int64_t took = world_run(w, &p);
        assert_true(took <= 1350 * MS); /* TCP alone answers by then, and the grace */
        size_t winner = ladder_winner(w->ladder);
        assert_true(winner != LADDER_NONE);
        ladder_outcome(w->ladder, winner, &o);
        assert_in_range(o.stun_us, 40 * MS,
                        440 * MS); /* one request's, whichever of them was answered first */
        udp_wins += w->places[winner].transport == TRANSPORT_UDP;
        lost += w->lost;
        doubled += w->doubled;
        overtaken += w->overtaken;
        check_one_stands(w);
        world_free(w);
    }
    assert_true(lost > SEEDS / 2 && doubled > SEEDS / 4 &&
                overtaken > SEEDS / 10); /* it was such a network */
    assert_true(udp_wins > SEEDS * 8 / 10);
}

/* Anything may happen to anything: it ends in time, with one or none, and says of each why. */
static void all_sorts_of_networks(void **state)
{
    struct ladder_policy p = policy();
    size_t none = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        uint64_t r = seed * 7919 + 1;
        enum way ways[4];
        for (size_t i = 0; i < 4; i++)
            ways[i] = (enum way)(check_random(&r) % (WAY_PROXY_WANTS_NAME + 1));
        struct world *w = full(seed, ways[0] > WAY_REJECTED ? WAY_DROPPED : ways[0], ways[1], ways[2],
                               ways[3], 1 + (int64_t)(check_random(&r) % (300 * MS)));
        for (size_t i = 0; i < w->n; i++) {
            w->hosts[i].jitter_us = 100 * MS;
            w->hosts[i].loss = 20;
            w->hosts[i].dup = 20;
        }
        assert_true(world_run(w, &p) <= p.timeout_ms * MS);
        bool udp_answers = w->hosts[0].way == WAY_ANSWERS, any = udp_answers;
        for (size_t i = 1; i < w->n; i++)
            any = any || w->hosts[i].way == WAY_ANSWERS;
        if (any)
            assert_true(ladder_winner(w->ladder) != LADDER_NONE);
        none += ladder_winner(w->ladder) == LADDER_NONE;
        check_one_stands(w);
        world_free(w);
    }
    assert_true(none > 0 && none < SEEDS);
}

static void a_better_rung_wins_within_the_grace(void **state)
{
    static const struct {
        int udp_rtt_ms;
        enum transport winner;
    } cases[] = {{460, TRANSPORT_UDP}, {509, TRANSPORT_UDP}, {511, TRANSPORT_TCP}, {900, TRANSPORT_TCP}};
    struct ladder_policy p = policy();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world *w = world_new(1); /* TCP answers at 300 + 2 x 30 = 360 ms */
        world_add(w, TRANSPORT_UDP, "192.0.2.1:5004", WAY_ANSWERS, cases[i].udp_rtt_ms * MS);
        world_add(w, TRANSPORT_TCP, "192.0.2.1:5004", WAY_ANSWERS, 30 * MS);
        world_run(w, &p);
        assert_int_equal(w->places[ladder_winner(w->ladder)].transport, cases[i].winner);
        struct ladder_outcome tcp;
        ladder_outcome(w->ladder, 1, &tcp);
        assert_int_equal(tcp.status, PROBE_REACHABLE); /* it did answer */
        assert_int_equal(tcp.began_us, 300 * MS);
        check_one_stands(w);
        world_free(w);
    }
}

/* TCP answers at 360 ms, so that TLS is not tried, and dies at 380 ms. */
static void a_leader_that_dies_leaves_the_race_to_the_others(void **state)
{
    struct ladder_policy p = policy();
    struct ladder_outcome o;
    struct world *w = full(1, WAY_DROPPED, WAY_DIES_AFTER_ANSWER, WAY_ANSWERS, WAY_PROXY_REFUSES, 30 * MS);
    world_run(w, &p);
    assert_int_equal(ladder_winner(w->ladder), 3);
    ladder_outcome(w->ladder, 2, &o);
    assert_int_equal(o.status, PROBE_REFUSED);
    assert_int_equal(o.answered_us, 360 * MS);
    assert_string_equal(o.why, "answered, and then: connection reset");
    ladder_outcome(w->ladder, 3, &o);
    assert_int_equal(o.began_us, 380 * MS);
    world_free(w);
}

/* TLS leads, TCP answers and is preferred, and dies: TLS is tried anew, for its stream was closed. */
static void a_leader_before_is_tried_again(void **state)
{
    struct ladder_policy p = policy();
    struct ladder_outcome o;
    struct world *w = world_new(1);
    world_add(w, TRANSPORT_UDP, "192.0.2.1:5004", WAY_DROPPED, 0);
    world_add(w, TRANSPORT_TCP, "192.0.2.1:5004", WAY_DIES_AFTER_ANSWER, 210 * MS); /* 300 + 2 x 210 */
    world_add(w, TRANSPORT_TLS, "192.0.2.1:443", WAY_ANSWERS, 20 * MS);             /* 600 + 3 x 20 */
    world_run(w, &p);
    assert_int_equal(ladder_winner(w->ladder), 2);
    ladder_outcome(w->ladder, 2, &o);
    assert_int_equal(o.began_us, 740 * MS);
    assert_int_equal(o.answered_us, 800 * MS);
    assert_int_equal(w->opened, 3);
    check_one_stands(w);
    world_free(w);
}

/* A TCP place that is asked; the action of the request is in *a. */
static struct ladder *asked(const struct ladder_place *place, struct ladder_action *a)
{
    struct ladder_policy p = policy();
    static const uint8_t seed[PROBER_SEED_LEN] = {1};
    struct ladder *l;
    assert_int_equal(ladder_new(&l, place, 1, &p, seed, 0), 0);
    assert_true(ladder_next_action(l, 0, a));
    ladder_on_connected(l, 0, 5);
    assert_true(ladder_next_action(l, 5, a));
    return l;
}

static size_t framed(uint8_t *out, size_t payload)
{
    size_t head = frame_header(FRAME_RFC4571, payload, out);
    memset(out + head, 0x80, payload);
    return head + payload;
}

/* Frames of any right length come before the answer and after it, in pieces of any length: what is unfinished is handed over. */
static void frames_around_the_answer_stay_whole(void **state)
{
    enum { UNFINISHED = 1500 };
    static const size_t lengths[] = {0, 1, FRAME_PAYLOAD_MAX - 1, FRAME_PAYLOAD_MAX};
    static uint8_t bytes[4 * (FRAME_HEADER_MAX + FRAME_PAYLOAD_MAX)];
    struct world *w = world_new(1);
    world_add(w, TRANSPORT_TCP, "192.0.2.1:5004", WAY_DROPPED, 0);
    for (size_t i = 0; i < 4; i++) {
        for (size_t piece = 1; piece < sizeof bytes; piece = piece * 3 + 1) {
            struct ladder_action a, unused;
            struct pending answer = {0};
            const uint8_t *rest;
            struct ladder *l = asked(w->places, &a);
            world_answer(&answer, a.bytes, a.len, 2);
            size_t n = framed(bytes, lengths[i]);
            memcpy(bytes + n, answer.bytes, answer.len);
            n += answer.len;
            n += framed(bytes + n, lengths[i]);
            framed(bytes + n, FRAME_PAYLOAD_MAX);
            for (size_t at = 0; at < n + UNFINISHED; at += piece)
                ladder_on_stream(l, 0, bytes + at, at + piece < n + UNFINISHED ? piece : n + UNFINISHED - at,
                                 20);
            assert_false(ladder_next_action(l, 20, &unused));
            assert_int_equal(ladder_winner(l), 0);
            assert_int_equal(ladder_rest(l, 0, &rest), UNFINISHED);
            assert_memory_equal(rest, bytes + n, UNFINISHED);
            ladder_destroy(l);
        }
    }
    world_free(w);
}

/* Of addresses of one rung the first to answer wins at once; IPv6 that leads nowhere costs one address delay. */
static void broken_ipv6_costs_one_delay(void **state)
{
    struct ladder_policy p = policy();
    struct world *w = world_new(1);
    world_add(w, TRANSPORT_TCP, "[2001:db8::1]:5004", WAY_DROPPED, 0);
    world_add(w, TRANSPORT_TCP, "[2001:db8::1]:80", WAY_DROPPED, 0);
    world_add(w, TRANSPORT_TCP, "192.0.2.1:5004", WAY_ANSWERS, 30 * MS);
    assert_int_equal(world_run(w, &p), 250 * MS + 60 * MS);
    assert_int_equal(ladder_winner(w->ladder), 2);
    check_one_stands(w);
    world_free(w);
}

static void the_families_take_turns_and_33434_is_last(void **state)
{
    static const char *const udp[] = {"192.0.2.1:33434", "192.0.2.1:5004", "192.0.2.1:3478",
                                      "[2001:db8::1]:5004", "[2001:db8::1]:33434"};
    static const size_t expected[] = {0, 2, 4, 3, 1, 5};
    struct world *w = world_new(1);
    size_t order[LADDER_PLACES_MAX];
    world_add(w, TRANSPORT_TLS, "192.0.2.1:443", WAY_DROPPED, 0);
    for (size_t i = 0; i < 5; i++)
        world_add(w, TRANSPORT_UDP, udp[i], WAY_DROPPED, 0);
    ladder_order(w->places, w->n, order); /* TLS first, since the policy says so */
    assert_memory_equal(order, expected, sizeof expected);
    world_free(w);
}

static void requests_are_sent_again_and_not_without_end(void **state)
{
    struct ladder_policy p = policy();
    struct world *w = world_new(1);
    world_add(w, TRANSPORT_UDP, "192.0.2.1:5004", WAY_DROPPED, 0);
    assert_int_equal(world_run(w, &p), 5000 * MS);
    assert_int_equal(w->datagrams, 5); /* at 0, 200, 600, 1400 and 3000 ms */
    struct ladder_outcome o;
    ladder_outcome(w->ladder, 0, &o);
    assert_string_equal(o.why, "no answer to STUN");
    assert_int_equal(o.status, PROBE_TIMEOUT);
    world_free(w);
}

static void the_whole_has_a_limit(void **state)
{
    struct ladder_policy p = policy();
    p.timeout_ms = 700;
    struct world *w = full(1, WAY_DROPPED, WAY_DROPPED, WAY_DROPPED, WAY_DROPPED, 0);
    assert_int_equal(world_run(w, &p), 700 * MS);
    static const char *const why[] = {"no answer to STUN", "no answer to STUN",
                                      "no answer to the TCP connect", "no answer to the TCP connect",
                                      "not tried: the time ran out"};
    for (size_t i = 0; i < 5; i++) {
        struct ladder_outcome o;
        ladder_outcome(w->ladder, i, &o);
        assert_string_equal(o.why, why[i]);
    }
    world_free(w);
}

static void strangers_are_not_believed(void **state)
{
    struct ladder_policy p = policy();
    uint8_t seed[PROBER_SEED_LEN] = {1};
    struct ladder_action a;
    struct pending answer = {0};
    struct ladder *l;
    struct world *w = world_new(1);
    world_add(w, TRANSPORT_UDP, "192.0.2.1:5004", WAY_DROPPED, 0);
    struct addr other = w->places[0].to;
    other.port++;
    assert_int_equal(ladder_new(&l, w->places, 1, &p, seed, 0), 0);
    assert_true(ladder_next_action(l, 0, &a));
    world_answer(&answer, a.bytes, a.len, 0);
    ladder_on_udp(l, &other, answer.bytes, answer.len, 10); /* from elsewhere */
    for (size_t i = 0; i < answer.len; i++) {
        answer.bytes[i] ^= 0x40;
        if (i < 2 || (i >= 4 && i < STUN_HEADER_LEN)) /* another type, cookie or transaction */
            ladder_on_udp(l, &w->places[0].to, answer.bytes, answer.len, 10);
        answer.bytes[i] ^= 0x40;
        if (i < answer.len - 1)
            ladder_on_udp(l, &w->places[0].to, answer.bytes, i, 10); /* cut short */
    }
    assert_false(ladder_next_action(l, 10, &a));
    assert_false(ladder_done(l));
    ladder_on_udp(l, &w->places[0].to, answer.bytes, answer.len, 20);
    assert_false(ladder_next_action(l, 20, &a));
    assert_true(ladder_done(l));
    assert_int_equal(ladder_winner(l), 0);
    ladder_destroy(l);
    world_free(w);
}

/* An answer with what we must understand and don't is none: another may still come, by datagram or stream. */
static void what_is_not_understood_wins_nothing(void **state)
{
    struct ladder_policy p = policy();
    uint8_t seed[PROBER_SEED_LEN] = {1};
    for (size_t i = 0; i < 2 * (size_t)ANSWER_CASES; i++) {
        const struct answer_case *c = &answer_cases[i / 2];
        bool stream = i % 2 == 1;
        size_t head = stream ? 2 : 0;
        uint8_t bytes[2 + ANSWER_MAX];
        struct ladder_action a;
        struct ladder *l;
        struct world *w = world_new(1);
        world_add(w, stream ? TRANSPORT_TCP : TRANSPORT_UDP, "192.0.2.1:5004", WAY_DROPPED, 0);
        assert_int_equal(ladder_new(&l, w->places, 1, &p, seed, 0), 0);
        assert_true(ladder_next_action(l, 0, &a));
        if (stream) {
            ladder_on_connected(l, 0, 5);
            assert_true(ladder_next_action(l, 5, &a));
        }
        for (int n = 0; n < 2; n++) { /* the case, and then what is expected of a node */
            size_t len = answer_make(a.bytes + head, n == 0 ? c->code : 0, n == 0 ? c->type : ANSWER_PLAIN,
                                     bytes + head);
            if (stream) {
                frame_header(FRAME_RFC4571, len, bytes);
                ladder_on_stream(l, 0, bytes, head + len, 10 + n);
            } else {
                ladder_on_udp(l, &w->places[0].to, bytes, len, 10 + n);
            }
            struct ladder_action unused;
            assert_false(ladder_next_action(l, 10 + n, &unused));
            assert_int_equal(ladder_winner(l), n == 1 || c->counts ? 0 : LADDER_NONE);
        }
        ladder_destroy(l);
        world_free(w);
    }
}

static void what_can_t_be_raced_is_refused(void **state)
{
    struct ladder_policy p = policy(), bad = p;
    uint8_t seed[PROBER_SEED_LEN] = {0};
    struct ladder_place one = {.transport = TRANSPORT_UDP};
    struct ladder *l = NULL;
    assert_int_equal(ladder_new(&l, &one, 1, &p, seed, 0), -EINVAL); /* no address */
    one.to = (struct addr){.family = ADDR_V4, .port = 1};
    assert_int_equal(ladder_new(&l, &one, 0, &p, seed, 0), -EINVAL);
    assert_int_equal(ladder_new(&l, &one, LADDER_PLACES_MAX + 1, &p, seed, 0), -EINVAL);
    bad.timeout_ms = 0;
    assert_int_equal(ladder_new(&l, &one, 1, &bad, seed, 0), -EINVAL);
    assert_null(l);
    ladder_destroy(NULL);
}

static ssize_t parse(const char *text, struct ladder_place out[static LADDER_PLACES_MAX], struct doc_error *e)
{
    json_t *j = json_loads(text, 0, NULL);
    assert_non_null(j);
    ssize_t n = ladder_from_json(j, out, e);
    json_decref(j);
    return n;
}

static void an_assignment_is_read(void **state)
{
    struct ladder_place p[LADDER_PLACES_MAX];
    struct doc_error e;
    assert_int_equal(
        parse("{\"ladder\":[{\"transport\":\"udp\",\"address\":\"192.0.2.1:5004\"},"
              "{\"transport\":\"pigeon\",\"address\":7},"
              "{\"transport\":\"tls\",\"address\":\"[2001:db8::1]:443\",\"tls_name\":\"n.example\"},"
              "{\"transport\":\"proxy\",\"address\":\"192.0.2.1:443\",\"tls_name\":\"n.example\","
              "\"proxy\":\"http://p:3128\"}],\"node\":\"n\"}",
              p, &e),
        3);
    assert_int_equal(p[1].transport, TRANSPORT_TLS);
    assert_string_equal(p[1].tls_name, "n.example");
    assert_int_equal(p[1].to.family, ADDR_V6);
    assert_string_equal(p[2].proxy, "http://p:3128");
    static const struct {
        const char *text, *pointer;
    } wrong[] = {
        {"{}", "/ladder"},
        {"{\"ladder\":[]}", "/ladder"},
        {"{\"ladder\":[7]}", "/ladder/0/transport"},
        {"{\"ladder\":[{\"transport\":\"udp\"}]}", "/ladder/0/address"},
        {"{\"ladder\":[{\"transport\":\"udp\",\"address\":\"1.2.3.4:0\"}]}", "/ladder/0/address"},
        {"{\"ladder\":[{\"transport\":\"tls\",\"address\":\"1.2.3.4:1\",\"tls_name\":1}]}",
         "/ladder/0/tls_name"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(parse(wrong[i].text, p, &e), -EINVAL);
        assert_string_equal(e.pointer, wrong[i].pointer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_wins_when),
        cmocka_unit_test(bad_networks),
        cmocka_unit_test(all_sorts_of_networks),
        cmocka_unit_test(a_better_rung_wins_within_the_grace),
        cmocka_unit_test(a_leader_that_dies_leaves_the_race_to_the_others),
        cmocka_unit_test(a_leader_before_is_tried_again),
        cmocka_unit_test(frames_around_the_answer_stay_whole),
        cmocka_unit_test(broken_ipv6_costs_one_delay),
        cmocka_unit_test(the_families_take_turns_and_33434_is_last),
        cmocka_unit_test(requests_are_sent_again_and_not_without_end),
        cmocka_unit_test(the_whole_has_a_limit),
        cmocka_unit_test(strangers_are_not_believed),
        cmocka_unit_test(what_is_not_understood_wins_nothing),
        cmocka_unit_test(what_can_t_be_raced_is_refused),
        cmocka_unit_test(an_assignment_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
