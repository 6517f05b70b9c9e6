/* link: test_media */
/* Who the media engine lets in, whom it refuses and how, and that what is copied or altered moves nothing. */
#include "media_nonce.h"

#include "node/media/engine.h"
#include "support/media/sim.h"

#include <stdio.h>
#include <string.h>

static size_t n_legs;
static void count_leg(void *user, const struct media_leg_info *leg)
{
    n_legs++;
}

static size_t legs(struct sim *s)
{
    n_legs = 0;
    media_home_each(s->home, count_leg, NULL);
    assert_int_equal(s->legs, n_legs);
    return n_legs;
}

static struct sim_agent *agent(struct sim *s, const char *who)
{
    struct ticket t = sim_ticket(s, "m", who);
    return sim_agent(s, &t);
}

static void test_welcome(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a = agent(s, "ann");
    struct media_answer answer;
    assert_int_equal(sim_hello(a, NONE), 0);
    assert_int_equal(sim_answer(a, &answer), 0);
    assert_true(addr_eq(&answer.mapped, &a->path.peer));
    assert_int_equal(answer.welcome.suite, SRTP_AES_128_GCM);
    assert_int_equal(answer.welcome.last_n, MEDIA_LAST_N);
    assert_int_equal(answer.welcome.session.bytes[0], 1);
    assert_int_equal(legs(s), 1);
    assert_int_equal(s->attached, 1);
    assert_int_equal(sim_consent(a, true, NONE, NULL), 0);
    assert_int_equal(legs(s), 0);
    assert_int_equal(s->ended[0], MEDIA_END_LEFT);
    assert_string_equal(s->last_ended, "ann");
    assert_int_equal(s->detached, 1);
    assert_int_equal(sim_consent(a, false, NONE, NULL), 437);
}

static void test_suites(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a = agent(s, "ann"), *b = agent(s, "bob");
    struct media_answer answer;
    a->hello.suites = 1u << SRTP_AES_CM_128_SHA1_80;
    assert_int_equal(sim_hello(a, NONE), 0);
    assert_int_equal(sim_answer(a, &answer), 0);
    assert_int_equal(answer.welcome.suite, SRTP_AES_CM_128_SHA1_80);
    b->hello.suites = 1u << 5;
    assert_int_equal(sim_hello(b, NONE), 400);
    assert_int_equal(sim_answer(b, &answer), 0);
    assert_true(answer.authentic);
    assert_int_equal(legs(s), 1);
}

static void test_refusals(void **state)
{
    struct sim *s = *state;
    struct ticket t = sim_ticket(s, "m", "old");
    t.expires_s = s->now_s;
    struct sim_agent *old = sim_agent(s, &t), *wrong = agent(s, "wrong"), *broken = agent(s, "broken");
    struct media_answer answer;
    assert_int_equal(sim_hello(old, NONE), 401);
    assert_int_equal(sim_answer(old, &answer), 0);
    assert_true(answer.authentic);
    wrong->grant.password[0] ^= 1; /* the integrity is another's, and so it the answer's */
    assert_int_equal(sim_hello(wrong, NONE), -1);
    assert_int_equal(wrong->answers, 1);
    broken->hello.audio_level_ext = 15; /* no id of RFC 8285 */
    assert_int_equal(sim_hello(broken, NONE), 400);
    assert_int_equal(legs(s), 0);
    assert_int_equal(s->attached, 0);
}

/* Every bit of a ticket's first and last bytes and one of each of the others, and a cut at every place. */
static void test_altered_tickets(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a = agent(s, "ann");
    char whole[sizeof a->grant.username];
    memcpy(whole, a->grant.username, sizeof whole);
    size_t len = strlen(whole);
    for (size_t i = 0; i < len; i++) {
        memcpy(a->grant.username, whole, sizeof whole);
        a->grant.username[i] = whole[i] == 'A' ? 'B' : 'A';
        assert_int_equal(sim_hello(a, NONE), 401);
        memcpy(a->grant.username, whole, sizeof whole);
        a->grant.username[i] = '\0';
        assert_int_equal(sim_hello(a, NONE), 401);
    }
    assert_int_equal(legs(s), 0);
    memcpy(a->grant.username, whole, sizeof whole);
    assert_int_equal(sim_hello(a, NONE), 0);
}

static void test_other_nodes_tickets(void **state)
{
    struct sim *s = *state;
    struct ticket_keys others = s->keys;
    struct sim_agent *a = agent(s, "ann");
    memcpy(others.node, "n2", 3);
    media_home_set_keys(s->home, &others);
    assert_int_equal(sim_hello(a, NONE), 401);
    media_home_set_keys(s->home, NULL);
    assert_int_equal(sim_hello(a, NONE), 508);
    media_home_set_keys(s->home, &s->keys);
    assert_int_equal(sim_hello(a, NONE), 0);
}

static void test_drain(void **state)
{
    struct sim *s = *state;
    struct media_news news;
    struct sim_agent *a = sim_join(s, "m", 1), *b = agent(s, "bob");
    media_home_drain(s->home, true);
    assert_int_equal(sim_hello(b, NONE), 508);
    assert_int_equal(sim_consent(a, false, NONE, &news), 0);
    assert_true(news.move_soon);
    media_home_drain(s->home, false);
    assert_int_equal(sim_consent(a, false, NONE, &news), 0);
    assert_false(news.move_soon);
    assert_int_equal(sim_hello(b, NONE), 0);
}

static void test_full_node(void **state)
{
    struct sim *s = *state;
    struct sim_agent *late = agent(s, "late");
    sim_stop(s);
    assert_int_equal(sim_start(s, 3), 0);
    for (size_t i = 0; i < 3; i++)
        assert_non_null(sim_join(s, "m", i));
    late = agent(s, "late");
    assert_int_equal(sim_hello(late, NONE), 486);
    assert_int_equal(sim_handshake(s->agents[0]), 0); /* who is there may begin anew */
    assert_int_equal(sim_consent(s->agents[0], true, NONE, NULL), 0);
    assert_int_equal(sim_hello(late, NONE), 0);
    assert_int_equal(legs(s), 3);
}

static void test_full_thread(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a = agent(s, "ann");
    s->home->n_legs = HOME_LEGS_MAX; /* as if there were so many */
    assert_int_equal(sim_hello(a, NONE), 486);
    s->home->n_legs = HOME_LEGS_MAX - 1;
    assert_int_equal(sim_hello(a, NONE), 0);
    s->home->n_legs = 1;
    assert_int_equal(legs(s), 1);
}

static void test_full_meeting(void **state)
{
    struct sim *s = *state;
    for (size_t i = 0; i < MEDIA_MEETING_LEGS_MAX; i++)
        assert_non_null(sim_join(s, "m", i));
    struct sim_agent *late = agent(s, "late");
    assert_int_equal(sim_hello(late, NONE), 486);
    assert_non_null(sim_join(s, "other", 0));
    assert_int_equal(legs(s), MEDIA_MEETING_LEGS_MAX + 1);
}

/* The same datagram again, as UDP's retransmission has it: the same answer to the byte, and nothing else. */
static void test_repeated(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a = agent(s, "ann");
    uint8_t hello[MEDIA_MESSAGE_MAX], first[MEDIA_MESSAGE_MAX];
    memset(a->txid, 7, sizeof a->txid);
    size_t len = media_write_hello(hello, a->txid, &a->grant, &a->hello, NONE);
    sim_stun(s, &a->path, hello, len);
    assert_true(a->answer_len > 0);
    size_t first_len = a->answer_len;
    memcpy(first, a->answer, first_len);
    for (int i = 0; i < 3; i++) {
        a->answer_len = 0;
        sim_stun(s, &a->path, hello, len);
        assert_int_equal(a->answer_len, first_len);
        assert_memory_equal(a->answer, first, first_len);
    }
    assert_int_equal(legs(s), 1);
    assert_int_equal(s->attached, 1);
    assert_int_equal(s->ended_n, 0);
}

/* A NAT gives the agent another port: two round trips, and packets come there; the copy of either request moves nothing back. */
static void test_rebinding(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a = sim_join(s, "m", 1), *other = sim_join(s, "m", 2);
    uint8_t room[MEDIA_NONCE_MAX], copied[MEDIA_MESSAGE_MAX], txid[STUN_TXID_LEN] = {9};
    struct media_path before = a->path;
    a->path.peer.port = 5001;
    assert_int_equal(sim_consent(a, false, NONE, NULL), 438);
    struct slice nonce = sim_nonce(a, room);
    size_t len = media_write_consent(copied, txid, a->grant.password, &a->session, false, nonce);
    assert_int_equal(sim_consent(a, false, nonce, NULL), 0);
    sim_send(other, 100);
    assert_int_equal(a->rtp_in, 1);
    assert_int_equal(s->to_nobody, 0);
    assert_int_equal(s->attached, 5);
    assert_int_equal(s->detached, 1);
    /* Back to the first address, and then the copy of the request that moved it away. */
    a->path = before;
    assert_int_equal(sim_consent(a, false, NONE, NULL), 438);
    assert_int_equal(sim_consent(a, false, sim_nonce(a, room), NULL), 0);
    struct media_path elsewhere = before;
    elsewhere.peer.port = 5001;
    sim_stun(s, &elsewhere, copied, len);
    sim_send(other, 100);
    assert_int_equal(a->rtp_in, 2);
    assert_int_equal(legs(s), 2);
}

static void test_nonces(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a = sim_join(s, "m", 1);
    uint8_t room[MEDIA_NONCE_MAX];
    a->path.peer.port = 5001;
    assert_int_equal(sim_consent(a, false, NONE, NULL), 438);
    struct slice nonce = sim_nonce(a, room);
    a->path.peer.port = 5002; /* another address than the one that it was made for */
    assert_int_equal(sim_consent(a, false, nonce, NULL), 438);
    nonce = sim_nonce(a, room);
    s->now_us += (MEDIA_NONCE_LIFE_S + 1) * 1000000LL;
    assert_int_equal(sim_consent(a, false, nonce, NULL), 438);
    assert_int_equal(sim_consent(a, true, NONE, NULL), 438); /* nobody leaves from elsewhere either */
    assert_int_equal(legs(s), 1);
    assert_int_equal(sim_consent(a, true, sim_nonce(a, room), NULL), 0);
    assert_int_equal(legs(s), 0);
}

/* One address is one session's: another who proves it is there takes it; who can't, doesn't. */
static void test_taken_address(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a = sim_join(s, "m", 1), *b = agent(s, "bob");
    b->path = a->path;
    assert_int_equal(
        sim_hello(b, NONE),
        -1); /* the simulation gives the answer to the first who is there: the challenge isn't seen */
    assert_int_equal(s->ended_n, 0);
    a->path.peer.port = 1;
    assert_int_equal(sim_handshake(b), 0);
    assert_int_equal(s->ended_n, 1);
    assert_int_equal(s->ended[0], MEDIA_END_REPLACED);
    assert_string_equal(s->last_ended, "p1");
    assert_int_equal(s->detached, 0); /* it is in use all the time */
    assert_int_equal(legs(s), 1);
}

/* What comes from an address is another home's: who would have it come here proves that it is there, newly for each change. */
static void test_address_of_another_home(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a = agent(s, "ann");
    uint8_t room[MEDIA_NONCE_MAX], copied[MEDIA_MESSAGE_MAX], txid[STUN_TXID_LEN] = {9};
    a->path.taken = 1;
    assert_int_equal(sim_hello(a, NONE), 438);
    assert_int_equal(s->attached, 0);
    assert_int_equal(legs(s), 0);
    a->path.taken = 3; /* the challenge was for another's */
    assert_int_equal(sim_hello(a, sim_nonce(a, room)), 438);
    assert_int_equal(sim_hello(a, sim_nonce(a, room)), 0);
    assert_int_equal(s->attached, 1);
    a->path.taken = 0;
    assert_int_equal(sim_consent(a, false, NONE, NULL), 0);
    assert_int_equal(
        s->attached,
        2);            /* each consent says again whose the path is: a word that gets lost costs no session */
    a->path.taken = 1; /* since another home has taken it */
    assert_int_equal(sim_consent(a, false, NONE, NULL), 438);
    assert_int_equal(s->attached, 2);
    struct slice nonce = sim_nonce(a, room);
    size_t len = media_write_consent(copied, txid, a->grant.password, &a->session, false, nonce);
    assert_int_equal(sim_consent(a, false, nonce, NULL), 0);
    assert_int_equal(s->attached, 3);
    assert_int_equal(s->detached, 0); /* it is in use all the time */
    sim_stun(s, &a->path, copied, len);
    assert_int_equal(s->attached, 3);
    assert_int_equal(s->ended_n, 0);
    assert_int_equal(legs(s), 1);
}

static void test_replaced(void **state)
{
    struct sim *s = *state;
    struct ticket t = sim_ticket(s, "m", "ann");
    struct sim_agent *old = sim_agent(s, &t);
    t.number = 2;
    struct sim_agent *new = sim_agent(s, &t);
    assert_int_equal(sim_handshake(old), 0);
    assert_int_equal(sim_hello(new, NONE), 438);
    assert_int_equal(sim_handshake(new), 0);
    assert_int_equal(s->ended_n, 1);
    assert_int_equal(s->ended[0], MEDIA_END_REPLACED);
    assert_int_equal(sim_handshake(old), 403);
    assert_int_equal(sim_consent(old, false, NONE, NULL), 437);
    assert_int_equal(sim_consent(new, false, NONE, NULL), 0);
    assert_int_equal(legs(s), 1);
}

static void test_consent(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a = sim_join(s, "m", 1), *b = sim_join(s, "m", 2);
    for (int i = 0; i < 13; i++) {
        sim_pass(s, 1000000);
        assert_int_equal(sim_consent(a, false, NONE, NULL), 0);
    }
    sim_send(a, 100);
    assert_int_equal(b->rtp_in, 1);
    sim_pass(s, 2000000);
    sim_send(a, 100); /* b hasn't asked for 15 s */
    assert_int_equal(b->rtp_in, 1);
    assert_int_equal(sim_consent(a, false, NONE, NULL), 0);
    sim_pass(s, 14000000);
    assert_int_equal(legs(s), 2);
    sim_pass(s, 2000000);
    assert_int_equal(legs(s), 1);
    assert_int_equal(s->ended[0], MEDIA_END_CONSENT_LOST);
    assert_string_equal(s->last_ended, "p2");
    sim_pass(s, 20000000);
    assert_int_equal(legs(s), 0);
    assert_true(media_home_deadline(s->home) == INT64_MAX);
}

/* Consent checks count towards their sender's limit, as all that is authentic: a flood of them is answered no faster
 * than packets are taken, keeps the session alive all the same, and ends it as any other flood. */
static void test_a_flood_of_consent(void **state)
{
    struct sim *s = *state;
    enum { FLOOD = 10 * 4000 + 1000 };
    struct sim_agent *a = sim_join(s, "m", 1);
    size_t before = a->answers;
    for (int i = 0; i < FLOOD; i++)
        (void)!sim_consent(a, false, NONE, NULL);
    assert_in_range(a->answers - before, 3900, 4000);
    assert_int_equal(legs(s), 1);
    for (int second = 0; second < 12 && legs(s) == 1; second++) {
        for (int tenth = 0; tenth < 10; tenth++) {
            for (int i = 0; i < FLOOD / 10; i++)
                (void)!sim_consent(a, false, NONE, NULL);
            sim_pass(s, 100000);
        }
    }
    assert_int_equal(legs(s), 0);
    assert_int_equal(s->ended[0], MEDIA_END_OVER_LIMIT);
}

/* Checks of no session, of another's and with another's integrity, from where a session is: answered no more often
 * than is of use, whoever has sent them, and that session loses nothing by it. */
static void test_a_flood_of_stray_consent(void **state)
{
    struct sim *s = *state;
    enum { FLOOD = 5000, ANSWERED_MOST = 200 };
    struct sim_agent *a = sim_join(s, "m", 1), *b = sim_join(s, "m", 2);
    const struct media_session_id own = a->session;
    uint64_t refused = sim_stats(a).refused;
    for (int kind = 0; kind < 3; kind++) {
        struct sim_agent *as = kind == 2 ? b : a;
        struct media_path before = as->path;
        size_t answers = a->answers + b->answers;
        a->session = kind == 1 ? b->session : own;
        a->session.bytes[7] ^= kind == 0;
        as->path = a->path; /* kind 2: rightly signed, but from where `a` is, with no proof */
        for (int i = 0; i < FLOOD; i++)
            (void)!sim_consent(as, false, NONE, NULL);
        as->path = before;
        assert_in_range(a->answers + b->answers - answers, 1, ANSWERED_MOST);
        sim_pass(s, 2000000);
    }
    a->session = own;
    assert_true(sim_stats(a).refused - refused >= 3 * (FLOOD - ANSWERED_MOST));
    assert_int_equal(sim_stats(a).over_limit, 0);
    assert_int_equal(sim_consent(a, false, NONE, NULL), 0);
    sim_send(a, 100);
    assert_int_equal(b->rtp_in, 1);
    assert_int_equal(legs(s), 2);
}

/* A thread that takes a path for a session's, which isn't there any more, hears of it. */
static void test_a_path_that_is_known_wrongly(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a = sim_join(s, "m", 1);
    assert_int_equal(sim_consent(a, true, NONE, NULL), 0);
    size_t before = s->detached;
    assert_int_equal(sim_consent(a, false, NONE, NULL), 437);
    assert_int_equal(s->detached, before);
    a->path.known = true;
    assert_int_equal(sim_consent(a, false, NONE, NULL), 437);
    assert_int_equal(s->detached, before + 1);
    a->path.known = false;
}

/* Over a stream nobody else can speak. */
static void test_streams_prove_nothing(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a = agent(s, "ann");
    a->path = (struct media_path){.carrier = MEDIA_TCP, .thread = 1, .stream = 77, .peer = a->path.peer};
    assert_int_equal(sim_handshake(a), 0);
    for (int i = 0; i < 8; i++) {
        sim_pass(s, 10000000 - 1000000 * (i == 0));
        assert_int_equal(sim_consent(a, false, NONE, NULL), 0);
    }
    assert_int_equal(legs(s), 1);
}

/* Nothing authentic ever comes: the session is no use to anybody, and ends soon. */
static void test_unconfirmed(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a = agent(s, "ann");
    assert_int_equal(sim_handshake(a), 0);
    sim_pass(s, 9000000);
    assert_int_equal(legs(s), 1);
    sim_pass(s, 2100000);
    assert_int_equal(legs(s), 0);
    assert_int_equal(s->ended[0], MEDIA_END_CONSENT_LOST);
}

static void test_wrong_consent(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a = sim_join(s, "m", 1), *b = sim_join(s, "m", 2);
    struct media_session_id own = a->session;
    a->session = b->session;
    assert_int_equal(sim_consent(a, true, NONE, NULL), 401);
    a->session.bytes[7] ^= 1;
    assert_int_equal(sim_consent(a, true, NONE, NULL), 437);
    a->session = own;
    assert_int_equal(sim_consent(a, false, NONE, NULL), 0);
    assert_int_equal(legs(s), 2);
}

static void test_streams(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a = agent(s, "ann"), *b = sim_join(s, "m", 2);
    uint8_t room[MEDIA_NONCE_MAX];
    a->path = (struct media_path){.carrier = MEDIA_TCP, .thread = 1, .stream = 77, .peer = a->path.peer};
    assert_int_equal(sim_handshake(a), 0);
    assert_int_equal(sim_consent(a, false, NONE, NULL), 0);
    media_home_gone(s->home, &a->path, s->now_us);
    assert_int_equal(s->detached, 0);
    sim_send(b, 100);
    assert_int_equal(a->rtp_in, 0);
    sim_pass(s, 5000000);
    a->path.stream = 78; /* the session goes on over another connection */
    assert_int_equal(sim_consent(a, false, NONE, NULL), 438);
    assert_int_equal(sim_consent(a, false, sim_nonce(a, room), NULL), 0);
    sim_send(b, 100);
    assert_int_equal(a->rtp_in, 1);
    media_home_gone(s->home, &a->path, s->now_us);
    sim_pass(s, 9000000);
    assert_int_equal(legs(s), 2);
    sim_pass(s, 2100000);
    assert_int_equal(legs(s), 1);
    assert_int_equal(s->ended[0], MEDIA_END_CLOSED);
}

static void test_all_removed(void **state)
{
    struct sim *s = *state;
    for (size_t i = 0; i < 4; i++)
        assert_non_null(sim_join(s, i % 2 ? "m" : "n", i));
    media_home_remove_all(s->home, MEDIA_END_DRAINED);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(s->ended[i], MEDIA_END_DRAINED);
    assert_int_equal(legs(s), 0);
    assert_int_equal(s->detached, 4);
    media_home_remove_all(s->home, MEDIA_END_DRAINED);
    assert_int_equal(s->ended_n, 4);
}

static void test_route(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a = agent(s, "ann");
    uint8_t bytes[MEDIA_MESSAGE_MAX], out[MEDIA_MESSAGE_MAX];
    struct media_request r;
    struct media_answer answer;
    size_t out_len;
    size_t len = media_write_hello(bytes, a->txid, &a->grant, &a->hello, NONE);
    media_read_request(&r, bytes, len);
    int home = media_route(&r, &s->keys, 7, s->now_s, out, &out_len);
    assert_in_range(home, 0, 6);
    assert_int_equal(out_len, 0);
    assert_int_equal(media_route(&r, &s->keys, 1, s->now_s, out, &out_len), 0);
    assert_int_equal(media_route(&r, NULL, 7, s->now_s, out, &out_len), -1);
    assert_int_equal(media_read_answer(&answer, out, out_len, a->txid, a->grant.password), 0);
    assert_int_equal(answer.error, 508);
    a->grant.username[9] ^= 2;
    len = media_write_hello(bytes, a->txid, &a->grant, &a->hello, NONE);
    media_read_request(&r, bytes, len);
    assert_int_equal(media_route(&r, &s->keys, 7, s->now_s, out, &out_len), -1);
    assert_true(out_len > 0 && out_len <= len);
    a->session.bytes[0] = 3;
    len = media_write_consent(bytes, a->txid, a->grant.password, &a->session, false, NONE);
    media_read_request(&r, bytes, len);
    assert_int_equal(media_route(&r, &s->keys, 7, s->now_s, out, &out_len), 3);
    assert_int_equal(media_route(&r, &s->keys, 3, s->now_s, out, &out_len), -1);
    assert_true(out_len > 0 && out_len <= len);
    media_read_request(&r, bytes, 3);
    assert_int_equal(media_route(&r, &s->keys, 3, s->now_s, out, &out_len), -1);
    assert_int_equal(out_len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_welcome, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_suites, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_refusals, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_altered_tickets, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_other_nodes_tickets, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_drain, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_full_node, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_full_thread, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_full_meeting, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_repeated, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_rebinding, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_nonces, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_taken_address, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_address_of_another_home, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_replaced, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_consent, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_a_flood_of_consent, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_a_flood_of_stray_consent, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_a_path_that_is_known_wrongly, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_streams_prove_nothing, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_unconfirmed, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_wrong_consent, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_streams, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_all_removed, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_route, sim_setup, sim_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
