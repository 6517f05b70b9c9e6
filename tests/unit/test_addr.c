/* link: berth_core */
/* Addresses as text both ways, prefixes, order, and host:port. */
#include "check.h"

#include "core/addr.h"

#include <errno.h>
#include <string.h>

static void test_text_both_ways(void **state)
{
    static const char *const same[] = {"1.2.3.4:5",       "0.0.0.0:0",          "255.255.255.255:65535",
                                       "[::1]:3478",      "[2001:db8::1]:1",    "[::]:0",
                                       "[fe80::1%2]:443", "[::ffff:1.2.3.4]:5", "[fe80::1%4294967295]:1"};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        struct addr a;
        char text[ADDR_TEXT_LEN];
        assert_int_equal(addr_parse(&a, same[i]), 0);
        assert_string_equal(addr_format(&a, text), same[i]);
    }
}

static void test_the_longest_text_fits(void **state)
{
    struct addr a = {.family = ADDR_V6, .port = 65535, .scope = UINT32_MAX}, back;
    char text[ADDR_TEXT_LEN];
    memset(a.ip, 0xAB, sizeof a.ip);
    assert_int_equal(addr_parse(&back, addr_format(&a, text)), 0);
    assert_true(addr_eq(&a, &back));
    memset(a.ip, 0, 10);
    a.ip[10] = a.ip[11] = 0xFF; /* a mapped one is longer in text */
    assert_int_equal(addr_parse(&back, addr_format(&a, text)), 0);
    assert_true(addr_eq(&a, &back));
}

static void test_refused_texts(void **state)
{
    static const char *const wrong[] = {
        "",           ":",           "1.2.3.4",     "1.2.3.4:",       "1.2.3.4:65536",
        "1.2.3.4:-1", "1.2.3.4:+1",  "1.2.3:4",     "1.2.3.4:a",      "1.2.3.4: 1",
        " 1.2.3.4:1", "1.2.3.4:1 ",  "::1:80",      "[::1]",          "[::1]:",
        "[::1:80",    "[1.2.3.4]:5", "1.2.3.4%1:5", "[::1%]:5",       "[::1%eth0]:5",
        "[]:5",       "host:80",     "01.2.3.4:5",  "1.2.3.4:000001", "[::1%4294967296]:5",
        "[::1]x:5",   "256.1.1.1:1"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct addr a = {.port = 77};
        assert_int_equal(addr_parse(&a, wrong[i]), -EINVAL);
        assert_int_equal(a.port, 77); /* untouched */
    }
}

static void test_ip_alone(void **state)
{
    struct addr a, b;
    assert_int_equal(addr_parse_ip(&a, "10.0.0.1"), 0);
    assert_int_equal(a.port, 0);
    assert_int_equal(addr_parse_ip(&a, "::1"), 0);
    assert_int_equal(addr_parse_ip(&b, "[::1]"), 0);
    assert_true(addr_eq(&a, &b));
    assert_int_equal(addr_parse_ip(&a, "[10.0.0.1]"), -EINVAL);
    assert_int_equal(addr_parse_ip(&a, "10.0.0.1:5"), -EINVAL);
    assert_int_equal(addr_parse_ip(&a, "[::1"), -EINVAL);
    assert_int_equal(addr_parse_ip(&a, "["), -EINVAL);
    assert_int_equal(addr_parse_ip(&a, ""), -EINVAL);
}

static void test_kinds(void **state)
{
    static const struct {
        const char *text;
        bool wildcard, loopback;
    } cases[] = {{"0.0.0.0:1", true, false},   {"[::]:1", true, false},
                 {"127.0.0.1:1", false, true}, {"127.9.9.9:1", false, true},
                 {"[::1]:1", false, true},     {"[::ffff:127.0.0.1]:1", false, true},
                 {"10.0.0.1:1", false, false}, {"[::2]:1", false, false}};
    struct addr none = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct addr a;
        assert_int_equal(addr_parse(&a, cases[i].text), 0);
        assert_true(addr_is_set(&a));
        assert_int_equal(addr_is_wildcard(&a), cases[i].wildcard);
        assert_int_equal(addr_is_loopback(&a), cases[i].loopback);
    }
    assert_false(addr_is_set(&none));
    assert_false(addr_is_wildcard(&none));
    assert_false(addr_is_loopback(&none));
}

static void test_what_others_may_be_told(void **state)
{
    static const char *const targets[] = {
        "1.0.0.0",         "10.0.0.1",    "127.0.0.1",       "192.168.1.1", "169.253.255.255",
        "169.255.0.0",     "100.64.0.1",  "223.255.255.255", "::1",         "::2",
        "::ffff:10.0.0.1", "2001:db8::1", "fd00::1",         "fe7f::1",     "fec0::1"};
    static const char *const others[] = {
        "0.0.0.0",   "0.255.255.255",  "169.254.0.0",      "169.254.255.255",
        "224.0.0.0", "239.1.2.3",      "240.0.0.0",        "255.255.255.255",
        "::",        "::ffff:0.0.0.0", "::ffff:224.0.0.1", "::ffff:255.255.255.255",
        "fe80::",    "febf::1",        "fe80::1%2",        "2001:db8::1%2",
        "ff00::",    "ff02::1"};
    struct addr a = {0};
    assert_false(addr_is_unicast_target(&a));
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        assert_int_equal(addr_parse_ip(&a, targets[i]), 0);
        if (!addr_is_unicast_target(&a))
            fail_msg("refused: %s", targets[i]);
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_int_equal(addr_parse_ip(&a, others[i]), 0);
        if (addr_is_unicast_target(&a))
            fail_msg("accepted: %s", others[i]);
    }
}

static void test_unmap(void **state)
{
    struct addr a, b;
    assert_int_equal(addr_parse(&a, "[::ffff:1.2.3.4]:5"), 0);
    assert_int_equal(addr_parse(&b, "1.2.3.4:5"), 0);
    assert_false(addr_eq(&a, &b));
    addr_unmap(&a);
    assert_true(addr_eq(&a, &b));
    addr_unmap(&a);
    assert_true(addr_eq(&a, &b));
}

static void test_prefixes(void **state)
{
    static const struct {
        const char *text;
        unsigned bits;
        const char *want;
    } cases[] = {{"1.2.3.4:5", 32, "1.2.3.4"},     {"1.2.3.4:5", 24, "1.2.3.0"},
                 {"1.2.3.255:5", 25, "1.2.3.128"}, {"1.2.3.4:5", 0, "0.0.0.0"},
                 {"1.2.3.4:5", 200, "1.2.3.4"},    {"[2001:db8:1:2::3]:5", 48, "2001:db8:1::"},
                 {"[ff::1%9]:5", 128, "ff::1"},    {"[ffff::1]:5", 1, "8000::"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct addr a;
        char text[ADDR_TEXT_LEN];
        assert_int_equal(addr_parse(&a, cases[i].text), 0);
        struct addr p = addr_prefix(&a, cases[i].bits);
        assert_string_equal(addr_format_ip(&p, text), cases[i].want);
        assert_int_equal(p.port, 0);
    }
}

static void test_order(void **state)
{
    static const char *const rising[] = {"0.0.0.0:0", "1.2.3.4:5",     "1.2.3.4:6",     "1.2.3.5:1",
                                         "[::]:1",    "[fe80::1%1]:1", "[fe80::1%2]:1", "[fe80::1%1]:2"};
    enum { N = sizeof rising / sizeof rising[0] };
    for (size_t i = 0; i < N; i++) {
        for (size_t j = 0; j < N; j++) {
            struct addr a, b;
            assert_int_equal(addr_parse(&a, rising[i]), 0);
            assert_int_equal(addr_parse(&b, rising[j]), 0);
            assert_int_equal(addr_cmp(&a, &b), i < j ? -1 : i > j);
            assert_int_equal(addr_eq(&a, &b), i == j);
        }
    }
}

static void test_host_and_port(void **state)
{
    static const struct {
        const char *text, *host;
        uint16_t port;
    } right[] = {{"example.org", "example.org", 443},
                 {"example.org:80", "example.org", 80},
                 {"[2001:db8::1]:80", "2001:db8::1", 80},
                 {"[::1]", "::1", 443},
                 {"::1", "::1", 443},
                 {"1.2.3.4:5", "1.2.3.4", 5},
                 {"my_host-1:0", "my_host-1", 0}};
    static const char *const wrong[] = {"",      ":80",      "host:",   "host:99999", "host:80:90",
                                        "ho st", "[::1",     "[::1]80", "[host]:80",  "h/x:1",
                                        "[]:1",  "http://x", "host:8 0"};
    char host[HOST_MAX + 1];
    uint16_t port;
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        assert_int_equal(host_port_parse(right[i].text, 443, host, &port), 0);
        assert_string_equal(host, right[i].host);
        assert_int_equal(port, right[i].port);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(host_port_parse(wrong[i], 443, host, &port), -EINVAL);
    char longest[HOST_MAX + 2];
    memset(longest, 'a', sizeof longest);
    longest[HOST_MAX] = '\0';
    assert_int_equal(host_port_parse(longest, 1, host, &port), 0);
    longest[HOST_MAX] = 'a';
    longest[HOST_MAX + 1] = '\0';
    assert_int_equal(host_port_parse(longest, 1, host, &port), -EINVAL);
}

static void a_urls_place(void **state)
{
    (void)state;
    static const struct {
        const char *url, *host;
        uint16_t port;
    } right[] = {{"https://c", "c", 443},
                 {"HTTP://c/", "c", 80},
                 {"https://c:8443/v1?x#y", "c", 8443},
                 {"https://[2001:db8::1]:1", "2001:db8::1", 1},
                 {"https://192.0.2.1", "192.0.2.1", 443}};
    const char *const wrong[] = {"",           "c:1", "ftp://c", "https://", "https:///x", "https://c:99999",
                                 "https://u@c"};
    char host[HOST_MAX + 1];
    uint16_t port;
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        assert_int_equal(url_place_parse(right[i].url, host, &port), 0);
        assert_string_equal(host, right[i].host);
        assert_int_equal(port, right[i].port);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(url_place_parse(wrong[i], host, &port), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_both_ways), cmocka_unit_test(test_the_longest_text_fits),
        cmocka_unit_test(test_refused_texts),  cmocka_unit_test(test_ip_alone),
        cmocka_unit_test(test_kinds),          cmocka_unit_test(test_what_others_may_be_told),
        cmocka_unit_test(test_unmap),          cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_order),          cmocka_unit_test(test_host_and_port),
        cmocka_unit_test(a_urls_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
