/* link: berth_node_lib */
#include "node/addresses.h"

#include "check.h"

#include <stdio.h>
#include <string.h>

static void put(struct node_addresses *a, enum transport t, const char *text)
{
    assert_int_equal(addr_parse(&a->at[t][a->n[t]++], text), 0);
}

/* "udp=1.2.3.4:5,1.2.3.4:6 tcp=..." */
static const char *show(const struct node_addresses *a)
{
    static char out[4096];
    size_t at = 0;
    char text[ADDR_TEXT_LEN];
    out[0] = '\0';
    for (int t = 0; t < TRANSPORT_PROXY; t++)
        for (size_t i = 0; i < a->n[t]; i++)
            at += (size_t)snprintf(out + at, sizeof(out) - at, "%s%s%s",
                                   i > 0    ? ","
                                   : at > 0 ? " "
                                            : "",
                                   i > 0    ? ""
                                   : t == 0 ? "udp="
                                   : t == 1 ? "tcp="
                                            : "tls=",
                                   addr_format(&a->at[t][i], text));
    return out;
}

static struct addr ip(const char *text)
{
    struct addr a;
    assert_int_equal(addr_parse_ip(&a, text), 0);
    return a;
}

static void wildcards_become_concrete(void **state)
{
    (void)state;
    const struct addr ips[] = {ip("10.0.0.1"), ip("2001:db8::1"), ip("10.0.0.2")};
    struct node_addresses bound = {0}, out;
    put(&bound, TRANSPORT_UDP, "0.0.0.0:5004");
    put(&bound, TRANSPORT_UDP, "[::]:5004");
    put(&bound, TRANSPORT_UDP, "10.0.0.1:5004"); /* told once */
    put(&bound, TRANSPORT_TCP, "127.0.0.1:80");
    put(&bound, TRANSPORT_TCP, "[fe80::1%2]:80"); /* served, but told to nobody */
    addresses_expand(&out, &bound, ips, 3);
    assert_string_equal(show(&out), "udp=10.0.0.1:5004,10.0.0.2:5004,[2001:db8::1]:5004 tcp=127.0.0.1:80");
}

static void expansion_is_bounded(void **state)
{
    (void)state;
    struct addr ips[64];
    struct node_addresses bound = {0}, out;
    for (size_t i = 0; i < 64; i++) {
        ips[i] = ip("10.0.0.0");
        ips[i].ip[3] = (uint8_t)i;
    }
    put(&bound, TRANSPORT_TLS, "0.0.0.0:443");
    put(&bound, TRANSPORT_TLS, "0.0.0.0:444");
    addresses_expand(&out, &bound, ips, 64);
    assert_int_equal(out.n[TRANSPORT_TLS], NODE_ADDRESSES_MAX);
}

static const struct {
    const char *specs[4], *result; /* NULL: refused */
} cases[] = {
    {{"203.0.113.9"}, "udp=203.0.113.9:5004,203.0.113.9:3478 tcp=203.0.113.9:5004 tls=203.0.113.9:443"},
    {{"203.0.113.9:5004"}, "udp=203.0.113.9:5004 tcp=203.0.113.9:5004 tls=10.0.0.1:443"},
    {{"tls=203.0.113.9:8443"}, "udp=10.0.0.1:5004,10.0.0.1:3478 tcp=10.0.0.1:5004 tls=203.0.113.9:8443"},
    {{"udp=203.0.113.9", "udp=[2001:db8::9]"},
     "udp=203.0.113.9:5004,203.0.113.9:3478,[2001:db8::9]:5004,[2001:db8::9]:3478 tcp=10.0.0.1:5004 "
     "tls=10.0.0.1:443"},
    {{"203.0.113.9", "2001:db8::9"},
     "udp=203.0.113.9:5004,203.0.113.9:3478,[2001:db8::9]:5004,[2001:db8::9]:3478 "
     "tcp=203.0.113.9:5004,[2001:db8::9]:5004 tls=203.0.113.9:443,[2001:db8::9]:443"},
    {{"203.0.113.9:9999"}, NULL},    /* no listener has that port */
    {{"sctp=203.0.113.9:1"}, NULL},  /* no such transport */
    {{"proxy=203.0.113.9:1"}, NULL}, /* nothing that a node listens on */
    {{"name.example"}, NULL},
    {{"udp=203.0.113.9:0"}, NULL},
    {{"0.0.0.0"}, NULL},
    {{"224.0.0.1"}, NULL},
    {{"udp=255.255.255.255:5004"}, NULL},
    {{"169.254.1.2"}, NULL},
    {{"fe80::1%2"}, NULL},
    {{""}, NULL},
};

static void advertised_instead_of_bound(void **state)
{
    (void)state;
    struct node_addresses bound = {0}, out;
    put(&bound, TRANSPORT_UDP, "10.0.0.1:5004");
    put(&bound, TRANSPORT_UDP, "10.0.0.1:3478");
    put(&bound, TRANSPORT_TCP, "10.0.0.1:5004");
    put(&bound, TRANSPORT_TLS, "10.0.0.1:443");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config_list specs = {0};
        char err[ADDRESSES_ERROR] = "";
        while (specs.n < 4 && cases[i].specs[specs.n]) {
            specs.v[specs.n] = cases[i].specs[specs.n];
            specs.n++;
        }
        int rc = addresses_advertise(&out, &bound, &bound, &specs, err);
        if (!cases[i].result) {
            assert_int_not_equal(rc, 0);
            assert_non_null(strstr(err, "--advertise"));
        } else {
            assert_int_equal(rc, 0);
            assert_string_equal(show(&out), cases[i].result);
        }
    }
}

static void the_machine_has_an_address(void **state)
{
    (void)state;
    struct addr ips[64];
    size_t n = addresses_of_machine(ips, 64);
    assert_true(n > 0 && n <= 64);
    for (size_t i = 0; i < n; i++)
        assert_true(addr_is_set(&ips[i]) && !addr_is_wildcard(&ips[i]));
}

static void addresses_are_shown_and_cut_where_there_is_no_room(void **state)
{
    struct node_addresses a = {0};
    char text[ADDRESSES_TEXT];
    assert_string_equal(addresses_text(&a, text), "");
    assert_false(addresses_have_wildcard(&a));
    put(&a, TRANSPORT_UDP, "192.0.2.1:5004");
    put(&a, TRANSPORT_TLS, "[2001:db8::1]:443");
    assert_string_equal(addresses_text(&a, text), "udp 192.0.2.1:5004 tls [2001:db8::1]:443");
    assert_false(addresses_have_wildcard(&a));
    for (int t = 0; t < TRANSPORT_PROXY; t++)
        while (a.n[t] < NODE_ADDRESSES_MAX)
            put(&a, (enum transport)t, "[2001:db8:1111:2222:3333:4444:5555:6666]:50000");
    addresses_text(&a, text);
    assert_int_equal(strlen(text) < ADDRESSES_TEXT, true);
    assert_string_equal(text + strlen(text) - 4, " ...");
    a = (struct node_addresses){0};
    put(&a, TRANSPORT_TCP, "[::]:1");
    assert_true(addresses_have_wildcard(&a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wildcards_become_concrete),
        cmocka_unit_test(expansion_is_bounded),
        cmocka_unit_test(advertised_instead_of_bound),
        cmocka_unit_test(the_machine_has_an_address),
        cmocka_unit_test(addresses_are_shown_and_cut_where_there_is_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
