/* link: berth_load_parts */
#include "loadtest/stun_faults.h"

#include "check.h"

#include <stdlib.h>
#include <string.h>

static const char password[] = "secret";
static const uint8_t txid[STUN_TXID_LEN] = {1, 2, 3};

static struct addr local(uint16_t port)
{
    return (struct addr){.family = ADDR_V4, .port = port, .ip = {127, 0, 0, 1}};
}

/* Signed with `key`, where there is one. */
static size_t write_success(uint8_t out[static STUN_BINDING_ANSWER_MAX], const struct addr *mapped,
                            const char *key)
{
    struct stun_writer b;
    size_t len = 0;
    stun_begin(&b, out, STUN_BINDING_ANSWER_MAX, STUN_SUCCESS, STUN_BINDING, txid);
    stun_put_xor_addr(&b, STUN_ATTR_XOR_MAPPED_ADDRESS, mapped);
    if (key) {
        stun_put_integrity_sha256(&b, key, strlen(key));
        stun_put_fingerprint(&b);
    }
    assert_int_equal(stun_finish(&b, &len), 0);
    return len;
}

static size_t write_error(uint8_t out[static STUN_BINDING_ANSWER_MAX], int code)
{
    struct stun_writer b;
    size_t len = 0;
    stun_begin(&b, out, STUN_BINDING_ANSWER_MAX, STUN_ERROR, STUN_BINDING, txid);
    if (code != 0)
        stun_put_error(&b, code, NULL);
    assert_int_equal(stun_finish(&b, &len), 0);
    return len;
}

static bool judge(struct stun_faults *f, const uint8_t *bytes, size_t len, const char *key)
{
    const struct addr own = local(7);
    struct stun_msg m;
    return stun_answer_read(f, &m, bytes, len) && stun_answer_is_right(f, &m, key, &own);
}

static void expect(const struct stun_faults *f, const char *json, const char *text)
{
    char *told = NULL;
    size_t len = 0;
    void (*const tell[])(const struct stun_faults *, FILE *) = {stun_faults_json, stun_faults_text};
    for (size_t i = 0; i < 2; i++) {
        FILE *to = open_memstream(&told, &len);
        assert_non_null(to);
        tell[i](f, to);
        assert_int_equal(fclose(to), 0);
        assert_string_equal(told, i == 0 ? json : text);
        free(told);
    }
}

static void right_answers_count_nowhere(void **state)
{
    struct stun_faults f = {0};
    uint8_t bytes[STUN_BINDING_ANSWER_MAX];
    const struct addr own = local(7);
    assert_true(judge(&f, bytes, write_success(bytes, &own, NULL), NULL));
    assert_true(judge(&f, bytes, write_success(bytes, &own, password), NULL));
    assert_true(judge(&f, bytes, write_success(bytes, &own, password), password));
    assert_int_equal(stun_faults_sum(&f), 0);
    expect(&f, "{}", "");
}

static void each_kind_is_told_apart(void **state)
{
    struct stun_faults f = {0};
    uint8_t bytes[STUN_BINDING_ANSWER_MAX];
    const struct addr own = local(7), other = local(8);
    assert_false(judge(&f, bytes, write_success(bytes, &own, NULL) - 1, NULL)); /* cut short */
    assert_false(judge(&f, bytes, write_error(bytes, 0), NULL));                /* an error without a code */
    assert_false(judge(&f, bytes, write_success(bytes, &own, NULL), password));
    assert_false(judge(&f, bytes, write_success(bytes, &own, "other"), password));
    assert_false(judge(&f, bytes, write_success(bytes, &other, "other"), password));
    assert_false(judge(&f, bytes, write_success(bytes, &other, password), password));
    for (int code = STUN_ERROR_LEAST; code <= STUN_ERROR_MOST; code += STUN_ERROR_MOST - STUN_ERROR_LEAST)
        assert_false(judge(&f, bytes, write_error(bytes, code), password));
    stun_faults_add(&f, STUN_FAULT_TRANSACTION);
    assert_int_equal(stun_faults_sum(&f), 9);
    expect(&f,
           "{\"broken\":2,\"transaction\":1,\"integrity\":3,\"address\":1,\"error_300\":1,\"error_699\":1}",
           " (broken 2, transaction 1, integrity 3, address 1, error 300 1, error 699 1)");
}

static void a_request_is_no_answer(void **state)
{
    struct stun_faults f = {0};
    uint8_t bytes[STUN_BINDING_ANSWER_MAX];
    const struct addr own = local(7);
    size_t len = write_success(bytes, &own, NULL);
    bytes[0] = 0; /* a request's class, or an indication's */
    for (uint8_t cls = 0x01; cls <= 0x11; cls += 0x10) {
        bytes[1] = cls;
        assert_false(judge(&f, bytes, len, NULL));
    }
    assert_int_equal(f.kind[STUN_FAULT_BROKEN], 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_answers_count_nowhere),
        cmocka_unit_test(each_kind_is_told_apart),
        cmocka_unit_test(a_request_is_no_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
