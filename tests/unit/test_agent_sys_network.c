/* link: berth_agent_core */
/* What of a machine's network tells it from another, in a namespace of its own where it can be changed: skipped where that is not
 * permitted. */
#include "check.h"

#include "agent/network_id.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

static bool permitted;

static int setup(void **state)
{
    bool own = unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
    permitted = own && system("ip link set lo up && ip link add lan0 type veth peer name lan1 && "
                              "ip link set lan1 up && ip link set lan0 up && "
                              "ip address add 192.0.2.2/24 dev lan0") == 0;
    return 0;
}

static void now(char id[static NETWORK_ID_TEXT_LEN])
{
    static const uint8_t key[NETWORK_ID_KEY_LEN] = {1};
    struct sys_network net;
    sys_network_read(&net);
    network_id_make(id, key, &net, NULL, 0);
}

/* Each step, and whether it makes another network of it. */
static void check(const char *const steps[], const bool another[], size_t n)
{
    char before[NETWORK_ID_TEXT_LEN], after[NETWORK_ID_TEXT_LEN];
    if (!permitted)
        skip();
    now(before);
    for (size_t i = 0; i < n; i++) {
        if (system(steps[i]) != 0)
            fail_msg("%s", steps[i]);
        now(after);
        if ((strcmp(before, after) != 0) != another[i])
            fail_msg("%s: %s network", steps[i], another[i] ? "the same" : "another");
        memcpy(before, after, sizeof before);
    }
}

static void only_what_leads_out_counts(void **state)
{
    static const char *const steps[] = {
        "ip route add default via 192.0.2.1",
        "ip link add br-1234 type bridge && ip address add 172.30.0.1/16 dev br-1234 && ip link set br-1234 "
        "up",
        "ip link add veth7 type veth peer name veth8 && ip address add 172.31.0.1/16 dev veth7 && "
        "ip link set veth7 up",
        "ip link del br-1234 && ip link del veth7",
        "ip address add 192.0.2.3/24 dev lan0",    /* in the same prefix */
        "ip address add 198.51.100.2/24 dev lan0", /* in one more */
        "ip address del 198.51.100.2/24 dev lan0",
    };
    static const bool another[] = {true, false, false, false, false, true, true};
    check(steps, another, sizeof another);
}

/* It leads somewhere without a default route as well. */
static void a_tunnel_counts(void **state)
{
    static const char *const steps[] = {
        "ip tuntap add dev tun7 mode tun && ip link set tun7 up && ip address add 10.8.0.2/24 dev tun7",
        "ip link del tun7"};
    static const bool another[] = {true, true};
    check(steps, another, sizeof another);
}

static void where_nothing_leads_out_all_counts(void **state)
{
    static const char *const steps[] = {
        "ip route del default",
        "ip link add lan2 type bridge && ip address add 172.30.0.1/16 dev lan2 && ip link set lan2 up",
        "ip link del lan2"};
    static const bool another[] = {true, true, true};
    check(steps, another, sizeof another);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_leads_out_counts),
        cmocka_unit_test(a_tunnel_counts),
        cmocka_unit_test(where_nothing_leads_out_all_counts),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
