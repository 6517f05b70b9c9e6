/* link: berth_core */
/* The client transaction in virtual time. */
#include "check.h"

#include "core/stun.h"
#include "stun_vectors.h"

#include <string.h>

static const uint8_t txid[STUN_TXID_LEN] = {VECTOR_TXID};

/* Runs to the end, moving time from deadline to deadline; the moments of sending go to `sent`. */
static size_t run(struct stun_txn *t, int64_t sent[static 16], int64_t *failed_at)
{
    size_t n = 0;
    for (int64_t now = stun_txn_deadline(t);; now = stun_txn_deadline(t)) {
        assert_int_equal(stun_txn_step(t, now - 1), STUN_TXN_WAIT);
        enum stun_txn_step step = stun_txn_step(t, now);
        if (step == STUN_TXN_FAILED) {
            *failed_at = now;
            return n;
        }
        assert_int_equal(step, STUN_TXN_SEND);
        assert_true(n < 16);
        assert_int_equal(t->last_sent_us, now);
        sent[n++] = now;
    }
}

/* RFC 8489 6.2.1's example: 0, 500, 1500, 3500, 7500, 15500, 31500 ms, and failure at 39500 ms. */
static void test_udp_defaults(void **state)
{
    static const int64_t want_ms[] = {0, 500, 1500, 3500, 7500, 15500, 31500};
    struct stun_txn t;
    int64_t sent[16], failed_at;
    stun_txn_start(&t, txid, false, 0, 0, 0, 1000);
    assert_int_equal(run(&t, sent, &failed_at), 7);
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(sent[i], 1000 + want_ms[i] * 1000);
    assert_int_equal(failed_at, 1000 + 39500 * 1000);
    assert_int_equal(stun_txn_step(&t, failed_at + 1), STUN_TXN_FAILED);
}

static void test_udp_of_its_own(void **state)
{
    struct stun_txn t;
    int64_t sent[16], failed_at;
    stun_txn_start(&t, txid, false, 100, 3, 2, 0);
    assert_int_equal(run(&t, sent, &failed_at), 3);
    assert_int_equal(sent[1], 100);
    assert_int_equal(sent[2], 300);
    assert_int_equal(failed_at, 500);
}

static void test_reliable_is_sent_once(void **state)
{
    struct stun_txn t;
    int64_t sent[16], failed_at;
    stun_txn_start(&t, txid, true, 0, 0, 0, 5);
    assert_int_equal(run(&t, sent, &failed_at), 1);
    assert_int_equal(failed_at, 5 + 39500000);
}

static void test_a_late_step_sends_once(void **state)
{
    struct stun_txn t;
    stun_txn_start(&t, txid, false, 100, 7, 16, 0);
    assert_int_equal(stun_txn_step(&t, 0), STUN_TXN_SEND);
    assert_int_equal(stun_txn_step(&t, 10000), STUN_TXN_SEND);
    assert_int_equal(stun_txn_step(&t, 10000), STUN_TXN_WAIT);
    assert_int_equal(stun_txn_deadline(&t), 10200);
}

static void test_very_many_retransmissions_do_not_overflow(void **state)
{
    struct stun_txn t;
    int64_t now = 0;
    stun_txn_start(&t, txid, false, 1000, 70, 0, 0);
    for (unsigned i = 0; i < 70; i++) {
        assert_int_equal(stun_txn_step(&t, now), STUN_TXN_SEND);
        assert_true(stun_txn_deadline(&t) > now);
        now = stun_txn_deadline(&t);
    }
    assert_int_equal(stun_txn_step(&t, now), STUN_TXN_FAILED);
}

static void test_matching(void **state)
{
    struct stun_msg request, response;
    struct stun_txn t;
    assert_int_equal(stun_parse(&request, vector_request, sizeof vector_request), 0);
    assert_int_equal(stun_parse(&response, vector_response_v4, sizeof vector_response_v4), 0);
    stun_txn_start(&t, txid, false, 0, 0, 0, 0);
    assert_false(stun_txn_matches(&t, &response)); /* nothing was sent yet */
    assert_int_equal(stun_txn_step(&t, 0), STUN_TXN_SEND);
    assert_true(stun_txn_matches(&t, &response));
    assert_false(stun_txn_matches(&t, &request)); /* our own request, reflected */
    response.cls = STUN_INDICATION;
    assert_false(stun_txn_matches(&t, &response));
    response.cls = STUN_ERROR;
    assert_true(stun_txn_matches(&t, &response));
    t.txid[11] ^= 1;
    assert_false(stun_txn_matches(&t, &response));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_udp_defaults),
        cmocka_unit_test(test_udp_of_its_own),
        cmocka_unit_test(test_reliable_is_sent_once),
        cmocka_unit_test(test_a_late_step_sends_once),
        cmocka_unit_test(test_very_many_retransmissions_do_not_overflow),
        cmocka_unit_test(test_matching),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
