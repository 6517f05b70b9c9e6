/* link: berth_controller_lib */
/* Telling master keys apart, without a database. */
#include "check.h"
#include "master_check.h"

#include <sodium.h>
#include <string.h>

static const struct master_keys a = {.n = 2, .key = {{1}, {2}}}, b = {.n = 2, .key = {{3}, {2}}},
                                c = {.n = 1, .key = {{3}}}, none = {.n = 0};

static void test_related(void **state)
{
    (void)state;
    assert_true(master_keys_related(&a, &a));
    assert_true(master_keys_related(&a, &b));
    assert_true(master_keys_related(&b, &c));
    assert_false(master_keys_related(&a, &c));
    assert_false(master_keys_related(&c, &a));
    assert_false(master_keys_related(&a, &none));
}

static void test_fingerprints(void **state)
{
    char one[MASTER_FINGERPRINT_TEXT], again[MASTER_FINGERPRINT_TEXT], other[MASTER_FINGERPRINT_TEXT];

    (void)state;
    master_fingerprint(a.key[0], one);
    master_fingerprint(a.key[0], again);
    master_fingerprint(a.key[1], other);
    assert_int_equal(strlen(one), MASTER_FINGERPRINT_TEXT - 1);
    assert_int_equal(strspn(one, "0123456789abcdef"), MASTER_FINGERPRINT_TEXT - 1);
    assert_string_equal(one, again);
    assert_string_not_equal(one, other);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(test_related),
                                              cmocka_unit_test(test_fingerprints)};

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
