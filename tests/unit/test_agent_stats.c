/* link: berth_agent_core */
/* Statistics of samples, and transaction ids. */
#include "check.h"

#include "probe/prober_stats.h"
#include "probe/prober_txid.h"

#include <string.h>

struct example {
    size_t n;
    int64_t v[12];
    int64_t min, median, p95;
};

static void examples_by_hand(void **state)
{
    static const struct example examples[] = {
        {1, {7}, 7, 7, 7},
        {2, {9, 5}, 5, 7, 9},
        {3, {30, 10, 20}, 10, 20, 30},
        {4, {4, 1, 3, 2}, 1, 2, 4},
        {5, {100, 1, 1, 1, 1}, 1, 1, 100},
        {6, {0, 0, 0, 0, 0, 0}, 0, 0, 0},
        {2, {INT64_MAX, INT64_MAX - 1}, INT64_MAX - 1, INT64_MAX - 1, INT64_MAX},
    };
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        int64_t v[12];
        struct rtt_stats s;
        memcpy(v, examples[i].v, sizeof v);
        rtt_stats_of(&s, v, examples[i].n);
        assert_int_equal(s.min_us, examples[i].min);
        assert_int_equal(s.median_us, examples[i].median);
        assert_int_equal(s.p95_us, examples[i].p95);
    }
}

static void the_95th_of_many(void **state)
{
    int64_t v[50];
    struct rtt_stats s;
    for (int i = 0; i < 50; i++)
        v[i] = (i * 37) % 50 + 1; /* 1 to 50 in disorder */
    rtt_stats_of(&s, v, 50);
    assert_int_equal(s.min_us, 1);
    assert_int_equal(s.median_us, 25);
    assert_int_equal(s.p95_us, 48); /* the 47.5th, rounded up */
    for (int i = 0; i < 20; i++)
        v[i] = 20 - i;
    rtt_stats_of(&s, v, 20);
    assert_int_equal(s.p95_us, 19);
}

static void an_id_names_its_sample(void **state)
{
    uint8_t seed[PROBER_SEED_LEN], other[PROBER_SEED_LEN] = {1}, id[STUN_TXID_LEN];
    uint64_t random = 42;
    for (int i = 0; i < 20000; i++) {
        struct sample_name in = {check_random(&random) % PROBER_TARGETS_MAX,
                                 check_random(&random) % NODE_ADDRESSES_MAX,
                                 check_random(&random) % PROBER_SAMPLES_MAX};
        struct sample_name out;
        for (size_t k = 0; k < sizeof seed; k++)
            seed[k] = (uint8_t)check_random(&random);
        txid_make(seed, &in, id);
        assert_true(txid_read(seed, id, &out));
        assert_int_equal(in.target, out.target);
        assert_int_equal(in.attempt, out.attempt);
        assert_int_equal(in.sample, out.sample);
        assert_false(txid_read(other, id, &out));
        id[check_random(&random) % sizeof id] ^= (uint8_t)(1u << check_random(&random) % 8);
        assert_false(txid_read(seed, id, &out));
    }
}

/* Neighbours have nothing in common that a stranger could count on. */
static void ids_look_random(void **state)
{
    uint8_t seed[PROBER_SEED_LEN] = {7}, a[STUN_TXID_LEN], b[STUN_TXID_LEN];
    unsigned differing = 0;
    enum { PAIRS = 1000 };
    for (size_t i = 0; i < PAIRS; i++) {
        txid_make(seed, &(struct sample_name){i, 0, 0}, a);
        txid_make(seed, &(struct sample_name){i, 0, 1}, b);
        for (size_t k = 0; k < sizeof a; k++)
            differing += (unsigned)__builtin_popcount((unsigned)(a[k] ^ b[k]));
    }
    assert_in_range(differing, PAIRS * 46, PAIRS * 50); /* 48 of 96 bits */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples_by_hand),
        cmocka_unit_test(the_95th_of_many),
        cmocka_unit_test(an_id_names_its_sample),
        cmocka_unit_test(ids_look_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
