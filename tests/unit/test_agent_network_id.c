/* link: berth_agent_core */
/* The network's fingerprint. */
#include "check.h"

#include "agent/network_id.h"
#include "core/token.h"

#include <stdio.h>
#include <string.h>

static const char *const home[] = {"gateway wlan0 0101A8C0", "dns  192.168.1.1", "net wlan0 192.168.1.0",
                                   "hw wlan0 0011223344ff"};
enum { HOME_LINES = sizeof home / sizeof home[0] };

static struct sys_network network(size_t rotate)
{
    struct sys_network net = {.n = HOME_LINES};
    for (size_t i = 0; i < HOME_LINES; i++)
        snprintf(net.line[i], sizeof net.line[i], "%s", home[(i + rotate) % HOME_LINES]);
    return net;
}

static struct addr ip(const char *text)
{
    struct addr a;
    assert_int_equal(addr_parse_ip(&a, text), 0);
    return a;
}

static void order_does_not_matter(void **state)
{
    uint8_t key[NETWORK_ID_KEY_LEN] = {1};
    char first[NETWORK_ID_TEXT_LEN], id[NETWORK_ID_TEXT_LEN];
    struct addr mapped[] = {ip("198.51.100.7"), ip("2001:db8::7")};
    struct addr reversed[] = {mapped[1], mapped[0]};
    struct sys_network net = network(0);
    network_id_make(first, key, &net, mapped, 2);
    assert_int_equal(strlen(first), NETWORK_ID_TEXT_LEN - 1);
    assert_true(id_valid(first, 128));
    for (size_t r = 0; r < HOME_LINES; r++) {
        net = network(r);
        network_id_make(id, key, &net, reversed, 2);
        assert_string_equal(id, first);
    }
    reversed[0].port = 4711; /* a NAT's port is another for every socket */
    network_id_make(id, key, &net, reversed, 2);
    assert_string_equal(id, first);
}

static void everything_else_matters(void **state)
{
    uint8_t key[NETWORK_ID_KEY_LEN] = {1}, other_key[NETWORK_ID_KEY_LEN] = {2};
    char first[NETWORK_ID_TEXT_LEN], id[NETWORK_ID_TEXT_LEN];
    struct addr mapped = ip("198.51.100.7"), elsewhere = ip("198.51.100.8");
    struct sys_network net = network(0);
    network_id_make(first, key, &net, &mapped, 1);
    network_id_make(id, key, &net, &elsewhere, 1);
    assert_string_not_equal(id, first);
    network_id_make(id, key, &net, NULL, 0);
    assert_string_not_equal(id, first);
    network_id_make(id, other_key, &net, &mapped, 1);
    assert_string_not_equal(id, first);
    for (size_t i = 0; i < HOME_LINES; i++) {
        net = network(0);
        net.line[i][0] ^= 1;
        network_id_make(id, key, &net, &mapped, 1);
        assert_string_not_equal(id, first);
        net = network(0);
        memmove(net.line[i], net.line[i + 1], (HOME_LINES - i) * sizeof net.line[0]);
        net.n--;
        network_id_make(id, key, &net, &mapped, 1);
        assert_string_not_equal(id, first);
    }
}

static void keys_differ_by_machine_and_agent(void **state)
{
    uint8_t a[NETWORK_ID_KEY_LEN], b[NETWORK_ID_KEY_LEN], machine[16] = {1}, other[16] = {2};
    network_id_key(a, machine, "agent-1");
    network_id_key(b, machine, "agent-1");
    assert_memory_equal(a, b, sizeof a);
    network_id_key(b, other, "agent-1");
    assert_memory_not_equal(a, b, sizeof a);
    network_id_key(b, machine, "agent-2");
    assert_memory_not_equal(a, b, sizeof a);
    network_id_key(b, NULL, "agent-1");
    assert_memory_not_equal(a, b, sizeof a);
}

/* This machine's: it can be read, twice the same, and a full table is no harm. */
static void the_real_network_is_stable(void **state)
{
    static struct sys_network one, two;
    uint8_t key[NETWORK_ID_KEY_LEN] = {1};
    char a[NETWORK_ID_TEXT_LEN], b[NETWORK_ID_TEXT_LEN];
    struct addr mapped[40];
    sys_network_read(&one);
    sys_network_read(&two);
    assert_true(one.n <= SYS_NETWORK_LINES);
    network_id_make(a, key, &one, NULL, 0);
    network_id_make(b, key, &two, NULL, 0);
    assert_string_equal(a, b);
    one.n = SYS_NETWORK_LINES;
    memset(one.line, 'x', sizeof one.line);
    for (size_t i = 0; i < SYS_NETWORK_LINES; i++)
        one.line[i][SYS_NETWORK_LINE - 1] = '\0';
    for (size_t i = 0; i < 40; i++)
        mapped[i] = ip("2001:db8::1");
    network_id_make(a, key, &one, mapped, 40);
    assert_string_not_equal(a, b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_does_not_matter),
        cmocka_unit_test(everything_else_matters),
        cmocka_unit_test(keys_differ_by_machine_and_agent),
        cmocka_unit_test(the_real_network_is_stable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
