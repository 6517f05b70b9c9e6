/* link: berth_controller_lib */
/* A report's names and addresses stand once each, in their order, whatever they are, and their elements are as
 * PostgreSQL wants them. */
#include "check.h"

#include "core/doc.h"
#include "report_dict.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MANY = REPORT_RESULTS_MAX * 2 };

/* The text of element number `n`, from 1. */
static const char *element(const struct report_dict *d, int16_t n, char out[static ADDR_TEXT_LEN + 1])
{
    const uint8_t *p = d->elements;
    for (int16_t i = 1; i < n; i++)
        p += 4 + ((size_t)p[2] << 8 | p[3]);
    size_t len = (size_t)p[2] << 8 | p[3];
    assert_true(p[0] == 0 && p[1] == 0 && len <= ADDR_TEXT_LEN && p + 4 + len <= d->elements + d->bytes);
    memcpy(out, p + 4, len);
    out[len] = '\0';
    return out;
}

static void names_stand_once(void **state)
{
    static const char *const names[] = {"n1", "n2", "n1", "n", "n11", "n2"};
    static const int16_t at[] = {1, 2, 1, 3, 4, 2};
    char longest[NODE_ID_MAX + 1], text[ADDR_TEXT_LEN + 1];
    struct report_dict_key key;
    struct report_dict d;
    (void)state;
    report_dict_keygen(&key);
    assert_int_equal(report_dict_init(&d, 5, &key), 0);
    for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++)
        assert_int_equal(report_dict_name(&d, names[i]), at[i]);
    memset(longest, 'x', NODE_ID_MAX);
    longest[NODE_ID_MAX] = '\0';
    assert_int_equal(report_dict_name(&d, longest), 5);
    assert_int_equal(d.n, 5);
    assert_string_equal(element(&d, 2, text), "n2");
    assert_string_equal(element(&d, 4, text), "n11");
    assert_string_equal(element(&d, 5, text), longest);
    report_dict_clear(&d);
}

/* Alike in all but one thing. */
static void addresses_stand_once(void **state)
{
    static const char *const texts[] = {"192.0.2.1:443",     "192.0.2.1:5004",         "192.0.2.2:443",
                                        "[2001:db8::1]:443", "[2001:db8::1]:5004",     "[2001:db8::2]:443",
                                        "[c000:201::]:443",  "[::ffff:192.0.2.1]:443", "[fe80::1%1]:443",
                                        "[fe80::1%2]:443",   "255.255.255.255:65535",  "0.0.0.0:1"};
    enum { N = sizeof(texts) / sizeof(texts[0]) };
    struct addr at[2 * N], none = {0}, ip;
    struct report_dict_key key;
    char text[ADDR_TEXT_LEN + 1];
    struct report_dict d;
    (void)state;
    report_dict_keygen(&key);
    assert_int_equal(report_dict_init(&d, N + 1, &key), 0);
    for (size_t i = 0; i < 2 * N; i++) {
        assert_int_equal(addr_parse(&at[i], texts[i % N]), 0);
        assert_int_equal(report_dict_addr(&d, &at[i]), (int)(i % N) + 1);
    }
    assert_int_equal(report_dict_addr(&d, &none), 0);
    assert_int_equal(addr_parse_ip(&ip, "192.0.2.1"), 0);
    assert_int_equal(report_dict_addr(&d, &ip), N + 1);
    for (size_t i = 0; i < N; i++)
        assert_string_equal(element(&d, (int16_t)(i + 1), text), texts[i]);
    assert_string_equal(element(&d, N + 1, text), "192.0.2.1");
    report_dict_clear(&d);
}

/* As many as a report can have, each twice. */
static void many(void **state)
{
    struct addr *at = calloc(MANY, sizeof(*at));
    struct report_dict_key key;
    struct report_dict d;
    (void)state;
    assert_non_null(at);
    report_dict_keygen(&key);
    assert_int_equal(report_dict_init(&d, MANY, &key), 0);
    for (size_t i = 0; i < MANY; i++) {
        at[i] = (struct addr){
            .family = i % 2 ? ADDR_V6 : ADDR_V4, .port = (uint16_t)(i / 2 + 1), .ip = {192, 0, 2, 1}};
        assert_int_equal(report_dict_addr(&d, &at[i]), (int)i + 1);
    }
    for (size_t i = 0; i < MANY; i++) {
        struct addr again = at[i];
        assert_int_equal(report_dict_addr(&d, &again), (int)i + 1);
    }
    report_dict_clear(&d);
    free(at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_stand_once),
        cmocka_unit_test(addresses_stand_once),
        cmocka_unit_test(many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
