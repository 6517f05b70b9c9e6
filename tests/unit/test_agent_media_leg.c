/* link: berth_agent_core */
/* The agent's end of a media session against common/media's node side, in virtual time: handshakes over bad paths,
 * every refusal, consent's rhythm, when a path is lost, addresses that change, restarts, figures. */
#include "media_sim.h"

#include <errno.h>
#include <stdlib.h>

static struct media_sim *sim_of(uint64_t seed)
{
    struct media_sim *s = calloc(1, sizeof *s);
    assert_non_null(s);
    sim_start(s, seed);
    return s;
}

static void drop(struct media_sim *s)
{
    sim_end(s);
    free(s);
}

/* A session that stands. */
static struct media_sim *sim_up(uint64_t seed)
{
    struct media_sim *s = sim_of(seed);
    sim_join(s);
    sim_run(s, s->now_us + 3 * SIM_S, MEDIA_LEG_UP);
    assert_int_equal(media_leg_state(s->leg), MEDIA_LEG_UP);
    return s;
}

static struct media_leg_figures figures(const struct media_sim *s)
{
    struct media_leg_figures f;
    media_leg_figures(s->leg, s->now_us, &f);
    return f;
}

static void packets_go_both_ways_after_one_round_trip(void **state)
{
    for (int suite = 0; suite < SRTP_SUITES; suite++) {
        struct media_sim *s = sim_of(1);
        s->suite = (enum srtp_suite)suite;
        sim_join(s);
        assert_int_equal(sim_speak(s), -ENOTCONN);
        assert_string_equal(media_leg_suite(s->leg), "");
        sim_run(s, s->now_us + SIM_S, MEDIA_LEG_UP);
        assert_int_equal(s->now_us, SIM_S + 40 * SIM_MS);
        assert_string_equal(media_leg_suite(s->leg),
                            suite == SRTP_AES_128_GCM ? "AEAD_AES_128_GCM" : "AES_CM_128_HMAC_SHA1_80");
        sim_talk(s, 10 * SIM_S);
        sim_run(s, s->now_us + SIM_S, -1);
        assert_int_equal(s->n_rtp, 500);
        assert_int_equal(s->got_rtp, 500);
        struct media_leg_figures f = figures(s);
        assert_int_equal(f.packets_sent, 500);
        assert_int_equal(f.bytes_sent, 500 * SIM_AUDIO_LEN);
        assert_int_equal(f.packets_received, 500);
        assert_int_equal(f.packets_lost, 0);
        assert_int_equal(f.packets_refused, 0);
        assert_int_equal(f.jitter_us, 0);
        assert_int_equal(f.rtt_us, 40 * SIM_MS);
        assert_true(addr_eq(&f.mapped, &s->from));
        drop(s);
    }
}

static void rtcp_goes_both_ways(void **state)
{
    struct media_sim *s = sim_up(2);
    bool video;
    const uint8_t report[8] = {0x80, 201, 0, 1, 0, 0, 0, 0x77};
    for (int i = 0; i < 2; i++) {
        _Alignas(4) uint8_t bytes[sizeof report + SRTP_OVERHEAD];
        size_t len = sizeof report;
        memcpy(bytes, report, len);
        assert_int_equal(i == 0 ? media_leg_protect(s->leg, bytes, &len, s->now_us, &video)
                                : srtp_leg_protect_rtcp(s->srtp, bytes, &len),
                         0);
        sim_send(s, i == 0, bytes, len);
    }
    sim_run(s, s->now_us + SIM_S, -1);
    assert_true(s->n_rtcp == 1 && s->got_rtcp == 1);
    drop(s);
}

static void what_is_no_packet_is_not_sent(void **state)
{
    struct media_sim *s = sim_up(3);
    _Alignas(4) uint8_t bytes[64 + SRTP_OVERHEAD] = {0};
    bool video;
    size_t len = 64; /* STUN's place */
    assert_int_equal(media_leg_protect(s->leg, bytes, &len, s->now_us, &video), -EINVAL);
    bytes[0] = 0x80;
    len = 11; /* an RTP header's less one */
    assert_int_equal(media_leg_protect(s->leg, bytes, &len, s->now_us, &video), -EINVAL);
    len = 0;
    assert_int_equal(media_leg_protect(s->leg, bytes, &len, s->now_us, &video), -EINVAL);
    drop(s);
}

static void a_handshake_comes_through_loss_and_doubles(void **state)
{
    size_t up = 0;
    enum { RUNS = 200 };
    for (uint64_t seed = 1; seed <= RUNS; seed++) {
        struct media_sim *s = sim_of(seed);
        s->loss = 30;
        s->dup = 30;
        s->jitter_us = 150 * SIM_MS;
        s->challenges = seed % 2 == 0;
        sim_join(s);
        sim_run(s, s->now_us + 4 * SIM_S, MEDIA_LEG_UP);
        if (media_leg_state(s->leg) == MEDIA_LEG_UP) {
            up++;
            s->loss = s->dup = 0;
            assert_int_equal(sim_speak(s), 0);
            sim_run(s, s->now_us + SIM_S, -1);
            assert_true(s->n_rtp == 1 && s->n_refused == 0);
        } else {
            assert_int_equal(media_leg_state(s->leg), MEDIA_LEG_LOST);
        }
        assert_true(s->n_hellos <= 2 * 2 * 5); /* requests, doubled, challenged */
        drop(s);
    }
    assert_true(up > RUNS * 85 / 100);
}

static void a_node_that_says_nothing_is_given_up(void **state)
{
    struct media_sim *s = sim_of(4);
    s->dead_up = true;
    sim_join(s);
    sim_run(s, s->now_us + 10 * SIM_S, MEDIA_LEG_LOST);
    assert_int_equal(media_leg_state(s->leg), MEDIA_LEG_LOST);
    assert_true(s->now_us - SIM_S <= MEDIA_SHAKE_US);
    assert_string_equal(media_leg_why(s->leg), "the handshake gets no answer");
    drop(s);
}

static void every_refusal_is_told(void **state)
{
    static const int codes[] = {400, 401, 437, 486, 508, 500};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        struct media_sim *s = sim_of(5 + i);
        s->refuse = codes[i];
        sim_join(s);
        sim_run(s, s->now_us + SIM_S, MEDIA_LEG_REFUSED);
        assert_int_equal(media_leg_state(s->leg), MEDIA_LEG_REFUSED);
        assert_int_equal(media_leg_refusal(s->leg), codes[i]);
        assert_true(strlen(media_leg_why(s->leg)) > 0);
        assert_int_equal(sim_speak(s), -ENOTCONN);
        assert_int_equal(media_leg_deadline(s->leg), INT64_MAX);
        drop(s);
    }
    struct media_sim *s = sim_of(20); /* another node's keys */
    sim_join(s);
    strcpy(s->keys.node, "n2");
    sim_run(s, s->now_us + SIM_S, MEDIA_LEG_REFUSED);
    assert_int_equal(media_leg_refusal(s->leg), 401);
    drop(s);
}

/* A nonce that never holds is answered only so often. */
static void endless_challenges_are_an_end(void **state)
{
    struct media_sim *s = sim_of(6);
    s->challenges = true;
    sim_join(s);
    for (int i = 0; i < 50 && media_leg_state(s->leg) == MEDIA_LEG_SHAKING; i++) {
        s->from.port++;
        sim_run(s, s->now_us + 25 * SIM_MS, MEDIA_LEG_REFUSED);
    }
    assert_int_equal(media_leg_refusal(s->leg), 438);
    assert_true(s->n_hellos <= MEDIA_CHALLENGES_MAX + 1);
    drop(s);
}

/* An answer without the right integrity, to a request of ours, welcomes nobody. */
static void a_forged_welcome_is_none(void **state)
{
    struct media_sim *s = sim_of(7);
    uint8_t hello[MEDIA_MESSAGE_MAX], out[MEDIA_MESSAGE_MAX];
    struct media_request r;
    sim_join(s);
    size_t len = media_leg_next(s->leg, s->now_us, hello);
    media_read_request(&r, hello, len);
    assert_int_equal(r.kind, MEDIA_REQUEST_HELLO);
    assert_true(media_leg_is_ours(s->leg, hello, len));
    size_t n = media_write_welcome(out, &r, "not the password", &s->from, &s->welcome);
    assert_int_equal(media_leg_heard(s->leg, out, &n, s->now_us), PACKET_OTHER);
    assert_int_equal(media_leg_state(s->leg), MEDIA_LEG_SHAKING);
    sim_run(s, s->now_us + SIM_S, MEDIA_LEG_UP);
    assert_int_equal(media_leg_state(s->leg), MEDIA_LEG_UP);
    drop(s);
}

static void consent_is_asked_every_five_seconds_or_so(void **state)
{
    struct media_sim *s = sim_up(8);
    int64_t least = INT64_MAX, most = 0, sum = 0;
    sim_run(s, s->now_us + 2000 * (int64_t)SIM_S, -1);
    for (size_t i = 1; i < s->n_consents; i++) {
        int64_t gap = s->consents_us[i] - s->consents_us[i - 1];
        least = gap < least ? gap : least;
        most = gap > most ? gap : most;
        sum += gap;
    }
    assert_true(s->n_consents > 380 && s->n_consents < 420);
    assert_true(least >= 4 * SIM_S && most <= 6 * SIM_S && most - least > SIM_S);
    assert_true(sum / (int64_t)s->n_consents > 4800 * SIM_MS && sum / (int64_t)s->n_consents < 5200 * SIM_MS);
    assert_int_equal(figures(s).missing, 0);
    drop(s);
}

static void a_lossy_path_is_kept(void **state)
{
    struct media_sim *s = sim_up(9);
    s->loss = 20;
    sim_run(s, s->now_us + 1000 * (int64_t)SIM_S, MEDIA_LEG_LOST);
    assert_int_equal(media_leg_state(s->leg), MEDIA_LEG_UP);
    assert_true(figures(s).missing > 0);
    drop(s);
}

/* Idle: at the next check, and 3 s more. In talk: 3 s after the last packet. */
static void a_dead_path_is_lost_in_three_seconds(void **state)
{
    struct media_sim *s = sim_up(10);
    s->dead_down = true;
    int64_t died = s->now_us;
    sim_run(s, s->now_us + 30 * SIM_S, MEDIA_LEG_LOST);
    assert_true(s->now_us - died >= MEDIA_LOST_US && s->now_us - died <= 6 * SIM_S + MEDIA_LOST_US);
    assert_string_equal(media_leg_why(s->leg), "consent checks get no answer");
    drop(s);
    for (uint64_t seed = 1; seed <= 20; seed++) {
        s = sim_up(10 + seed);
        sim_talk(s, (2 + (int64_t)seed % 7) * SIM_S);
        s->dead_down = s->dead_up = true;
        died = s->now_us;
        sim_run(s, s->now_us + 30 * SIM_S, MEDIA_LEG_LOST);
        assert_int_equal(media_leg_state(s->leg), MEDIA_LEG_LOST);
        assert_true(s->now_us - died <= MEDIA_LOST_US + 40 * SIM_MS); /* packets were on their way */
        drop(s);
    }
}

/* Who falls silent is no lost path: it is asked once, and answered. */
static void silence_alone_loses_nothing(void **state)
{
    struct media_sim *s = sim_up(11);
    sim_talk(s, 2 * SIM_S);
    int64_t asked = figures(s).asked;
    sim_run(s, s->now_us + 600 * SIM_MS, -1);
    assert_int_equal(figures(s).asked, asked + 1);
    sim_run(s, s->now_us + 100 * (int64_t)SIM_S, -1);
    assert_int_equal(media_leg_state(s->leg), MEDIA_LEG_UP);
    drop(s);
}

/* A loop that stood still for a minute concludes nothing from that. */
static void a_caller_that_slept_asks_before_it_gives_up(void **state)
{
    struct media_sim *s = sim_up(12);
    uint8_t out[MEDIA_MESSAGE_MAX];
    sim_talk(s, 2 * SIM_S);
    s->now_us += 60 * SIM_S;
    assert_true(media_leg_next(s->leg, s->now_us, out) > 0);
    assert_int_equal(media_leg_next(s->leg, s->now_us, out), 0);
    assert_int_equal(media_leg_state(s->leg), MEDIA_LEG_UP);
    sim_run(s, s->now_us + 10 * SIM_S, MEDIA_LEG_LOST);
    assert_int_equal(media_leg_state(s->leg), MEDIA_LEG_UP);
    drop(s);
}

/* A NAT rebinds: challenged, proven, and on. */
static void another_address_is_proven(void **state)
{
    struct media_sim *s = sim_up(13);
    s->from.port = 5151;
    s->now_us += SIM_MS;
    media_leg_hurry(s->leg, s->now_us);
    assert_false(media_leg_stands(s->leg));
    sim_run(s, s->now_us + SIM_S, -1);
    assert_true(media_leg_stands(s->leg));
    struct media_leg_figures f = figures(s);
    assert_true(addr_eq(&s->at, &s->from) && addr_eq(&f.mapped, &s->from));
    assert_int_equal(s->n_handshakes, 1);
    drop(s);
}

/* The node asks once a minute whether we are still there: answered at once, on good paths and bad ones, with no
 * handshake and nothing missing. */
static void a_proof_is_given_whenever_it_is_asked_for(void **state)
{
    for (unsigned loss = 0; loss <= 20; loss += 20) {
        struct media_sim *s = sim_up(21);
        s->proof_every_us = 60 * SIM_S;
        s->proven_us = s->now_us;
        s->loss = loss;
        size_t heard = s->got_rtp;
        sim_talk(s, 600 * (int64_t)SIM_S);
        s->loss = 0;
        sim_run(s, s->now_us + SIM_S, -1);
        assert_int_equal(media_leg_state(s->leg), MEDIA_LEG_UP);
        assert_true(media_leg_stands(s->leg));
        assert_int_equal(s->n_handshakes, 1);
        assert_true(s->n_challenges >= 9);
        assert_true(s->now_us - s->proven_us <= 60 * SIM_S + 10 * SIM_S);
        if (loss == 0) {
            assert_int_equal(s->n_challenges, 9);
            assert_int_equal(figures(s).missing, 0);
            assert_int_equal(s->got_rtp - heard, 600 * 50);
        }
        drop(s);
    }
}

/* Who stands on the way sees requests, and can't sign: what the node would have signed counts from it alone. */
static void a_forged_error_is_none(void **state)
{
    static const int codes[] = {400, 403, 438, 486, 500};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        struct media_sim *s = sim_of(30 + i);
        uint8_t hello[MEDIA_MESSAGE_MAX], out[MEDIA_MESSAGE_MAX];
        struct media_request r;
        sim_join(s);
        size_t len = media_leg_next(s->leg, s->now_us, hello);
        media_read_request(&r, hello, len);
        size_t n = media_write_error(out, &r, codes[i], NULL, (struct slice){(const uint8_t *)"nonce", 5});
        assert_int_equal(media_leg_heard(s->leg, out, &n, s->now_us), PACKET_OTHER);
        sim_run(s, s->now_us + SIM_S, MEDIA_LEG_UP);
        assert_int_equal(media_leg_state(s->leg), MEDIA_LEG_UP);
        drop(s);
    }
}

static void a_node_that_forgets_us_each_time_is_given_up(void **state)
{
    struct media_sim *s = sim_of(36);
    sim_join(s);
    for (int i = 0; i < 200 && media_leg_state(s->leg) != MEDIA_LEG_REFUSED; i++) {
        size_t before = s->n_handshakes;
        sim_run(s, s->now_us + 10 * SIM_MS, MEDIA_LEG_REFUSED);
        if (s->n_handshakes != before)
            sim_node_restarts(s);
    }
    assert_int_equal(media_leg_state(s->leg), MEDIA_LEG_REFUSED);
    assert_int_equal(media_leg_refusal(s->leg), 437);
    assert_true(s->n_handshakes <= MEDIA_FRUITLESS_MAX + 1);
    drop(s);
}

static void a_node_that_forgot_us_is_greeted_anew(void **state)
{
    struct media_sim *s = sim_up(14);
    sim_talk(s, SIM_S);
    sim_node_restarts(s);
    sim_talk(s, 8 * SIM_S);
    assert_int_equal(media_leg_state(s->leg), MEDIA_LEG_UP);
    assert_int_equal(s->n_handshakes, 2);
    size_t before = s->n_rtp;
    assert_int_equal(sim_speak(s), 0);
    sim_run(s, s->now_us + SIM_S, -1);
    assert_int_equal(s->n_rtp, before + 1);
    sim_node_restarts(s);
    s->refuse = 401; /* the ticket has expired meanwhile */
    sim_run(s, s->now_us + 10 * SIM_S, MEDIA_LEG_REFUSED);
    assert_int_equal(media_leg_refusal(s->leg), 401);
    drop(s);
}

/* A newer ticket serves the next handshake; the session keeps its own. */
static void a_newer_ticket_is_for_the_next_handshake(void **state)
{
    struct media_sim *s = sim_up(15);
    struct ticket_grant newer = sim_grant(s);
    char old[TICKET_PASSWORD_LEN + 1];
    memcpy(old, s->password, sizeof old);
    media_leg_set_grant(s->leg, &newer);
    sim_run(s, s->now_us + 20 * SIM_S, -1);
    assert_true(s->n_consents >= 3 && s->n_handshakes == 1);
    sim_node_restarts(s);
    sim_run(s, s->now_us + 10 * SIM_S, -1);
    assert_int_equal(s->n_handshakes, 2);
    assert_string_equal(s->password, newer.password);
    assert_string_not_equal(s->password, old);
    drop(s);
}

static void news_are_told(void **state)
{
    struct media_sim *s = sim_up(16);
    uint64_t number;
    assert_false(media_leg_news(s->leg, &number)->move_soon);
    assert_int_equal(number, 0);
    s->news = (struct media_news){.move_soon = true, .n_refused = 2, .refused = {0xdeadbeef, 5}};
    sim_run(s, s->now_us + 6 * SIM_S, -1);
    const struct media_news *n = media_leg_news(s->leg, &number);
    assert_true(number >= 1 && n->move_soon && n->n_refused == 2);
    assert_int_equal(n->refused[0], 0xdeadbeef);
    drop(s);
}

static void leaving_ends_it_at_the_node(void **state)
{
    struct media_sim *s = sim_of(17);
    uint8_t out[MEDIA_MESSAGE_MAX];
    sim_join(s);
    assert_int_equal(media_leg_leave(s->leg, out), 0);
    sim_run(s, s->now_us + SIM_S, MEDIA_LEG_UP);
    size_t len = media_leg_leave(s->leg, out);
    assert_true(len > 0);
    sim_send(s, true, out, len);
    sim_run(s, s->now_us + SIM_S, -1);
    assert_int_equal(s->n_left, 1);
    drop(s);
}

static void losses_doubles_and_replays_are_counted(void **state)
{
    struct media_sim *s = sim_up(18);
    s->loss = 10;
    s->dup = 10;
    s->jitter_us = 60 * SIM_MS; /* they overtake one another */
    sim_talk(s, 60 * (int64_t)SIM_S);
    s->loss = 0;
    sim_node_speaks(s, s->sequence); /* the last one arrives, so that all before are missed */
    sim_run(s, s->now_us + SIM_S, -1);
    struct media_leg_figures f = figures(s);
    assert_int_equal(f.packets_received, (int64_t)s->got_rtp);
    assert_true(f.packets_lost > 200 && f.packets_lost < 400);
    int64_t expected = f.packets_received + f.packets_lost; /* but for losses before the first to arrive */
    assert_true(expected <= 3001 && expected >= 2995);
    assert_true(f.packets_refused > 150); /* the doubles */
    assert_true(f.jitter_us > 5 * SIM_MS && f.jitter_us < 40 * SIM_MS);
    drop(s);
}

/* No request leaves sooner than 100 ms after another, however often somebody asks for it. */
static void hurrying_has_a_limit(void **state)
{
    struct media_sim *s = sim_up(19);
    for (int i = 0; i < 1000; i++) {
        media_leg_hurry(s->leg, s->now_us);
        sim_run(s, s->now_us + SIM_MS, -1);
    }
    assert_true(figures(s).asked <= 11);
    drop(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_go_both_ways_after_one_round_trip),
        cmocka_unit_test(rtcp_goes_both_ways),
        cmocka_unit_test(what_is_no_packet_is_not_sent),
        cmocka_unit_test(a_handshake_comes_through_loss_and_doubles),
        cmocka_unit_test(a_node_that_says_nothing_is_given_up),
        cmocka_unit_test(every_refusal_is_told),
        cmocka_unit_test(endless_challenges_are_an_end),
        cmocka_unit_test(a_forged_welcome_is_none),
        cmocka_unit_test(consent_is_asked_every_five_seconds_or_so),
        cmocka_unit_test(a_lossy_path_is_kept),
        cmocka_unit_test(a_dead_path_is_lost_in_three_seconds),
        cmocka_unit_test(silence_alone_loses_nothing),
        cmocka_unit_test(a_caller_that_slept_asks_before_it_gives_up),
        cmocka_unit_test(another_address_is_proven),
        cmocka_unit_test(a_proof_is_given_whenever_it_is_asked_for),
        cmocka_unit_test(a_forged_error_is_none),
        cmocka_unit_test(a_node_that_forgets_us_each_time_is_given_up),
        cmocka_unit_test(a_node_that_forgot_us_is_greeted_anew),
        cmocka_unit_test(a_newer_ticket_is_for_the_next_handshake),
        cmocka_unit_test(news_are_told),
        cmocka_unit_test(leaving_ends_it_at_the_node),
        cmocka_unit_test(losses_doubles_and_replays_are_counted),
        cmocka_unit_test(hurrying_has_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
