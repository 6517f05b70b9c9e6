/* link: test_media */
/* What somebody has copied from the wire and sends again, from wherever: it begins nothing, moves nothing, and keeps
 * nothing alive. */
#include "media_nonce.h"

#include "node/media/engine.h"
#include "support/media/sim.h"

#include <string.h>

static struct sim_agent *agent(struct sim *s, const char *who)
{
    struct ticket t = sim_ticket(s, "m", who);
    return sim_agent(s, &t);
}

/* A handshake that somebody has held back, from another address, from its own, while there is a session and afterwards. */
static void test_copied_handshake(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a = agent(s, "ann"), *other = sim_join(s, "m", 2), *thief = agent(s, "thief");
    uint8_t copied[MEDIA_MESSAGE_MAX];
    memset(a->txid, 7, sizeof a->txid);
    size_t len = media_write_hello(copied, a->txid, &a->grant, &a->hello, NONE);
    assert_int_equal(sim_handshake(a), 0);
    assert_int_equal(sim_consent(a, false, NONE, NULL), 0);
    sim_stun(s, &thief->path, copied, len); /* from elsewhere */
    sim_stun(s, &a->path, copied, len);     /* in its name */
    assert_int_equal(s->ended_n, 0);
    sim_send(other, 100);
    assert_int_equal(a->rtp_in, 1);
    assert_int_equal(thief->rtp_in + thief->broken_in, 0);
    assert_int_equal(sim_consent(a, true, NONE, NULL), 0);
    /* Its session has ended. What was held back begins one that nobody can use, once, and nothing is sent to its
     * address but the answer. */
    sim_stun(s, &thief->path, copied, len);
    sim_send(other, 100);
    assert_int_equal(thief->rtp_in + thief->broken_in, 0);
    assert_int_equal(sim_handshake(a), 0);
    assert_int_equal(sim_consent(a, false, NONE, NULL), 0);
    sim_send(other, 100);
    assert_int_equal(a->rtp_in, 2);
    assert_int_equal(s->legs, 2);
}

/* The handshake that began a session begins no other, from anywhere, however that one ended: no seat is taken with
 * it. Its owner, who can sign another, is let in. */
static void test_copied_handshake_of_who_has_gone(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a = agent(s, "ann"), *thief = agent(s, "thief");
    uint8_t copied[MEDIA_MESSAGE_MAX], room[MEDIA_NONCE_MAX], other[MEDIA_MESSAGE_MAX];
    memset(a->txid, 7, sizeof a->txid);
    size_t len = media_write_hello(copied, a->txid, &a->grant, &a->hello, NONE);
    sim_stun(s, &a->path, copied, len);
    assert_int_equal(s->legs, 1);
    sim_pass(s, HOME_UNCONFIRMED_US + HOME_TURNS * HOME_TURN_US);
    assert_int_equal(s->legs, 0);
    for (int hour = 0; hour < 2; hour++) { /* also once others have come an hour later */
        struct sim_agent *next = agent(s, hour == 0 ? "bob" : "cho");
        assert_int_equal(sim_handshake(next), 0);
        const struct sim_agent *from[] = {thief, a};
        for (size_t i = 0; i < 2; i++) {
            a->answer_len = 0;
            sim_stun(s, &from[i]->path, copied, len);
            assert_int_equal(s->legs, 1);
        }
        assert_int_equal(sim_consent(next, true, NONE, NULL), 0);
        sim_pass(s, HOME_HELLO_KEPT_S * (int64_t)1000000);
    }
    /* Its answer to the challenge is another request; a copy of that is none. */
    a->answer_len = 0;
    sim_stun(s, &a->path, copied, len);
    struct slice nonce = sim_nonce(a, room);
    a->txid[0]++;
    len = media_write_hello(other, a->txid, &a->grant, &a->hello, nonce);
    sim_stun(s, &a->path, other, len);
    assert_int_equal(s->legs, 1);
    sim_pass(s, HOME_UNCONFIRMED_US + HOME_TURNS * HOME_TURN_US);
    assert_int_equal(s->legs, 0);
    sim_stun(s, &a->path, other, len);
    assert_int_equal(s->legs, 0);
    assert_int_equal(sim_handshake(a), 0);
}

/* Copies of a session's checks keep nothing alive: once a minute a new proof is needed, good for that once. Who
 * leaves needs none. */
static void test_copied_consent(void **state)
{
    struct sim *s = *state;
    struct sim_agent *a = sim_join(s, "m", 1), *b = sim_join(s, "m", 2);
    uint8_t plain[MEDIA_MESSAGE_MAX], proof[MEDIA_MESSAGE_MAX], room[MEDIA_NONCE_MAX],
        txid[STUN_TXID_LEN] = {9};
    size_t plain_len = media_write_consent(plain, txid, a->grant.password, &a->session, false, NONE);
    for (int i = 0; i < 5; i++) {
        sim_pass(s, 10000000);
        sim_stun(s, &a->path, plain, plain_len);
        assert_int_equal(sim_consent(b, false, NONE, NULL), 0);
    }
    sim_pass(s, 10000000);
    assert_int_equal(s->legs, 2);
    assert_int_equal(sim_consent(a, false, NONE, NULL), 438);
    struct slice nonce = sim_nonce(a, room);
    size_t proof_len = media_write_consent(proof, txid, a->grant.password, &a->session, false, nonce);
    assert_int_equal(sim_consent(a, false, nonce, NULL), 0);
    assert_int_equal(sim_consent(a, false, NONE, NULL), 0);
    assert_int_equal(s->detached, 0);
    s->now_us += MEDIA_PROVEN_US - 1; /* the nonce's own minute isn't over */
    assert_int_equal(sim_consent(a, false, NONE, NULL), 0);
    s->now_us += 1;
    sim_stun(s, &a->path, proof, proof_len);
    assert_int_equal(sim_consent(a, false, NONE, NULL), 438);
    assert_int_equal(sim_consent(b, true, NONE, NULL), 0);
    assert_int_equal(s->legs, 1);
    for (int i = 0; i < 4; i++) { /* a has gone; somebody has kept what it sent */
        sim_stun(s, &a->path, plain, plain_len);
        sim_stun(s, &a->path, proof, proof_len);
        sim_pass(s, 10000000);
    }
    assert_int_equal(s->legs, 0);
    assert_int_equal(s->ended[1], MEDIA_END_CONSENT_LOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_copied_handshake, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_copied_handshake_of_who_has_gone, sim_setup, sim_teardown),
        cmocka_unit_test_setup_teardown(test_copied_consent, sim_setup, sim_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
