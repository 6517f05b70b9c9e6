/* link: berth_controller_lib */
/* What a firewall is told: prefixes that hold exactly the nodes' addresses, host names with wildcards, and every format of it. */
#include "ip_ranges.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void add(struct ip_ranges *r, enum ip_service s, const char *text)
{
    struct addr a;

    assert_int_equal(addr_parse(&a, text), 0);
    assert_int_equal(ip_ranges_add(r, s, &a), 0);
}

/* Finishes it, and asserts its prefixes: "a/32 b/31 ". */
static void assert_prefixes(struct ip_ranges *r, const char *want)
{
    const struct ip_prefix *p;
    char got[2048] = "", text[ADDR_TEXT_LEN + 4];
    size_t n;

    assert_int_equal(ip_ranges_finish(r), 0);
    n = ip_ranges_prefixes(r, &p);
    for (size_t i = 0; i < n; i++)
        snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s ", ip_prefix_format(&p[i], text));
    assert_string_equal(got, want);
    ip_ranges_destroy(r);
}

static void test_adjacent_addresses_merge(void **state)
{
    struct ip_ranges *r = ip_ranges_new();

    /* 7 and 8 are adjacent and yet no prefix; 8 to 11 are one; 9 comes twice. */
    for (int i = 11; i >= 7; i--) {
        char text[32];

        snprintf(text, sizeof(text), "203.0.113.%d:5004", i);
        add(r, IP_SERVICE_UDP, text);
    }
    add(r, IP_SERVICE_UDP, "203.0.113.9:3478");
    add(r, IP_SERVICE_TLS, "[2001:db8::1]:443");
    add(r, IP_SERVICE_TLS, "[2001:db8::]:443");
    add(r, IP_SERVICE_TLS, "[::ffff:192.0.2.1]:443");
    assert_prefixes(r, "192.0.2.1/32 203.0.113.7/32 203.0.113.8/30 2001:db8::/127 ");
}

static void test_what_no_firewall_can_allow(void **state)
{
    struct ip_ranges *r = ip_ranges_new();

    add(r, IP_SERVICE_UDP, "0.0.0.0:5004");
    add(r, IP_SERVICE_UDP, "[::]:5004");
    add(r, IP_SERVICE_UDP, "[fe80::1%1]:5004");
    assert_prefixes(r, "");
}

/* All of IPv4 can't be added one by one, but a /16 can; the whole of a prefix stays one, whatever the order. */
static void test_many(void **state)
{
    struct ip_ranges *r = ip_ranges_new();

    for (unsigned i = 0; i < 65536; i++) {
        unsigned k = (i * 40503u) & 0xFFFF; /* odd: every value once */
        struct addr a = {.family = ADDR_V4, .port = 1, .ip = {10, 9, (uint8_t)(k >> 8), (uint8_t)k}};

        assert_int_equal(ip_ranges_add(r, IP_SERVICE_TCP, &a), 0);
    }
    assert_prefixes(r, "10.9.0.0/16 ");
}

/* Random addresses of a /24: the prefixes hold each of them, nothing else, and no two could be one. */
static void test_exact(void **state)
{
    for (unsigned seed = 1; seed < 200; seed++) {
        struct ip_ranges *r = ip_ranges_new();
        const struct ip_prefix *p;
        bool in[256] = {false}, out[256] = {false};
        unsigned x = seed;
        size_t n;

        for (int i = 0; i < 90; i++) {
            struct addr a = {.family = ADDR_V4, .port = 5004, .ip = {198, 51, 100, 0}};

            x = x * 1103515245u + 12345u;
            a.ip[3] = (uint8_t)(x >> 16);
            in[a.ip[3]] = true;
            assert_int_equal(ip_ranges_add(r, IP_SERVICE_UDP, &a), 0);
        }
        assert_int_equal(ip_ranges_finish(r), 0);
        n = ip_ranges_prefixes(r, &p);
        for (size_t i = 0; i < n; i++) {
            unsigned size = 1u << (32 - p[i].bits);

            assert_int_equal(p[i].base.ip[3] % size, 0);
            for (unsigned k = 0; k < size; k++) {
                assert_false(out[p[i].base.ip[3] + k]);
                out[p[i].base.ip[3] + k] = true;
            }
            if (i > 0 && p[i].bits == p[i - 1].bits)
                assert_true(p[i].base.ip[3] / size != (p[i - 1].base.ip[3] / size | 1u));
        }
        assert_memory_equal(in, out, sizeof(in));
        ip_ranges_destroy(r);
    }
}

/* Finishes it, and asserts its host names: "a b ". */
static void assert_hosts(const char *const *names, size_t n, const char *controller, const char *want)
{
    struct ip_ranges *r = ip_ranges_new();
    const char *const *hosts;
    char got[1024] = "";
    size_t len;

    for (size_t i = 0; i < n; i++)
        assert_int_equal(ip_ranges_add_name(r, names[i]), 0);
    if (controller != NULL)
        assert_int_equal(ip_ranges_set_controller(r, controller, 443), 0);
    assert_int_equal(ip_ranges_finish(r), 0);
    len = ip_ranges_hosts(r, &hosts);
    for (size_t i = 0; i < len; i++)
        snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s ", hosts[i]);
    assert_string_equal(got, want);
    ip_ranges_destroy(r);
}

static void test_hosts(void **state)
{
    static const char *const shared[] = {"fra.nodes.example", "NYC.nodes.example", "fra.nodes.example",
                                         "alone.other.example"};
    static const char *const wide[] = {"a.co.uk", "b.co.uk", "a.com", "b.com", "x", "y"};
    static const char *const narrow[] = {"a.berth.io", "b.berth.io"};
    static const char *const odd[] = {"",           "192.0.2.1",  "2001:db8::1", "a b",
                                      "-x.example", "x..example", "x.example.",  "x.example\nallow all",
                                      "*.example"};

    assert_hosts(shared, 4, NULL, "*.nodes.example alone.other.example ");
    assert_hosts(shared, 1, NULL, "fra.nodes.example ");
    assert_hosts(shared, 4, "Berth.example", "*.nodes.example alone.other.example berth.example ");
    assert_hosts(shared, 4, "api.nodes.example", "*.nodes.example alone.other.example ");
    assert_hosts(wide, 6, NULL, "a.co.uk a.com b.co.uk b.com x y ");
    assert_hosts(narrow, 2, NULL, "*.berth.io ");
    assert_hosts(odd, 9, NULL, "");
}

/* Two nodes and a controller; `back`: added the other way round. */
static struct ip_ranges *two_nodes(bool back)
{
    static const char *const addresses[] = {"192.0.2.4:5004", "192.0.2.5:5004", "[2001:db8::4]:5004",
                                            "192.0.2.5:3478"};
    struct ip_ranges *r = ip_ranges_new();

    for (size_t i = 0; i < 4; i++)
        add(r, IP_SERVICE_UDP, addresses[back ? 3 - i : i]);
    add(r, IP_SERVICE_TCP, "192.0.2.5:5004");
    add(r, IP_SERVICE_TLS, back ? "192.0.2.5:443" : "192.0.2.4:443");
    add(r, IP_SERVICE_TLS, back ? "192.0.2.4:443" : "192.0.2.5:443");
    assert_int_equal(ip_ranges_add_name(r, back ? "b.n.example" : "a.n.example"), 0);
    assert_int_equal(ip_ranges_add_name(r, back ? "a.n.example" : "b.n.example"), 0);
    assert_int_equal(ip_ranges_set_controller(r, "berth.example", 8443), 0);
    add(r, IP_SERVICE_HTTPS, "192.0.2.4:8443");
    assert_int_equal(ip_ranges_finish(r), 0);
    return r;
}

static void assert_written(const struct ip_ranges *r, enum ip_ranges_format f, const char *want)
{
    size_t len;
    char *text = ip_ranges_write(r, f, &len);

    assert_non_null(text);
    assert_int_equal(len, strlen(text));
    if (strstr(text, want) == NULL)
        assert_string_equal(text, want);
    free(text);
}

static void test_formats(void **state)
{
    struct ip_ranges *r = two_nodes(false);

    assert_written(
        r, IP_RANGES_CSV,
        "transport,protocol,port,destination\r\nudp,udp,3478,192.0.2.5/32\r\n"
        "udp,udp,5004,192.0.2.4/31\r\nudp,udp,5004,2001:db8::4/128\r\ntcp,tcp,5004,192.0.2.5/32\r\n"
        "tls,tcp,443,192.0.2.4/31\r\ntls,tcp,443,*.n.example\r\nhttps,tcp,8443,192.0.2.4/32\r\n"
        "https,tcp,8443,berth.example\r\n");
    assert_written(r, IP_RANGES_NFTABLES,
                   "    ip daddr { 192.0.2.5/32 } udp dport 3478 accept comment \"berth udp\"\n"
                   "    ip daddr { 192.0.2.4/31 } udp dport 5004 accept comment \"berth udp\"\n"
                   "    ip6 daddr { 2001:db8::4/128 } udp dport 5004 accept comment \"berth udp\"\n");
    assert_written(r, IP_RANGES_SQUID,
                   "acl berth_connect method CONNECT\nacl berth_ports port 443 8443\n"
                   "acl berth_hosts dstdomain -n .n.example\nacl berth_hosts dstdomain -n berth.example\n"
                   "http_access allow berth_connect berth_ports berth_hosts\n"
                   "acl berth_ranges dst -n 192.0.2.4/31\n"
                   "http_access allow berth_connect berth_ports berth_ranges\n");
    assert_written(r, IP_RANGES_TEXT, "\nPorts\n  UDP 3478  (udp)\n  UDP 5004  (udp)\n  TCP 5004  (tcp)\n");
    assert_written(
        r, IP_RANGES_JSON,
        "\"ranges\":[\"192.0.2.4/31\",\"2001:db8::4/128\"],\"hosts\":[\"*.n.example\",\"berth.example\"],"
        "\"names\":[\"a.n.example\",\"b.n.example\",\"berth.example\"],\"ports\":[{\"transport\":\"udp\","
        "\"protocol\":\"udp\",\"port\":3478,\"ranges\":[\"192.0.2.5/32\"]}");
    ip_ranges_destroy(r);
}

static void test_the_order_of_adding_is_of_no_matter(void **state)
{
    struct ip_ranges *a = two_nodes(false), *b = two_nodes(true), *c = ip_ranges_new();

    assert_string_equal(ip_ranges_version(a), ip_ranges_version(b));
    for (unsigned f = 0; f < IP_RANGES_FORMATS; f++) {
        size_t la, lb;
        char *ta = ip_ranges_write(a, (enum ip_ranges_format)f, &la);
        char *tb = ip_ranges_write(b, (enum ip_ranges_format)f, &lb);

        assert_string_equal(ta, tb);
        free(ta);
        free(tb);
    }
    assert_int_equal(ip_ranges_finish(c), 0);
    assert_string_not_equal(ip_ranges_version(a), ip_ranges_version(c));
    ip_ranges_destroy(a);
    ip_ranges_destroy(b);
    ip_ranges_destroy(c);
}

/* squid takes ".n.example" for its parent and all below: a name that it has must not come again. */
static void test_squid_names_nothing_twice(void **state)
{
    struct ip_ranges *r = ip_ranges_new();
    static const char *const names[] = {"a.n.example",   "b.n.example",   "n.example", "x.deep.n.example",
                                        "a.w.n.example", "b.w.n.example", "an.example"};

    for (size_t i = 0; i < 7; i++)
        assert_int_equal(ip_ranges_add_name(r, names[i]), 0);
    assert_int_equal(ip_ranges_finish(r), 0);
    assert_written(r, IP_RANGES_SQUID,
                   "acl berth_hosts dstdomain -n .n.example\nacl berth_hosts dstdomain -n an.example\n"
                   "http_access allow berth_connect berth_ports berth_hosts\n");
    ip_ranges_destroy(r);
}

static void test_a_controller_without_addresses(void **state)
{
    struct ip_ranges *r = ip_ranges_new();

    assert_int_equal(ip_ranges_set_controller(r, "berth.example", 443), 0);
    assert_int_equal(ip_ranges_finish(r), 0);
    assert_written(r, IP_RANGES_CSV, "https,tcp,443,berth.example\r\n");
    assert_written(r, IP_RANGES_NFTABLES,
                   "# Not in here, for want of its addresses: berth.example, TCP port 443.\n");
    ip_ranges_destroy(r);
}

static void test_which_format(void **state)
{
    enum ip_ranges_format f;

    assert_int_equal(ip_ranges_format_parse("squid", &f), 0);
    assert_int_equal(f, IP_RANGES_SQUID);
    assert_true(ip_ranges_format_parse("JSON", &f) < 0);
    assert_true(ip_ranges_format_parse("", &f) < 0);
    assert_int_equal(ip_ranges_format_accepted(NULL), IP_RANGES_JSON);
    assert_int_equal(ip_ranges_format_accepted(""), IP_RANGES_JSON);
    assert_int_equal(ip_ranges_format_accepted("*/*"), IP_RANGES_JSON);
    assert_int_equal(ip_ranges_format_accepted("text/csv"), IP_RANGES_CSV);
    assert_int_equal(ip_ranges_format_accepted("text/html, Text/Plain;q=0.5 , */*;q=0.1"), IP_RANGES_TEXT);
    assert_int_equal(ip_ranges_format_accepted("text/plain;q=0.2,text/csv;q=0.9"), IP_RANGES_CSV);
    assert_int_equal(ip_ranges_format_accepted("text/plain;q=0,image/png"), IP_RANGES_JSON);
    assert_int_equal(ip_ranges_format_accepted(",;,q=,text/plain;q"), IP_RANGES_TEXT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adjacent_addresses_merge),
        cmocka_unit_test(test_what_no_firewall_can_allow),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_exact),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_the_order_of_adding_is_of_no_matter),
        cmocka_unit_test(test_squid_names_nothing_twice),
        cmocka_unit_test(test_a_controller_without_addresses),
        cmocka_unit_test(test_which_format),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
