/* link: berth_shared berth_sys test_support */
/* Name lookups where the DNS server is silent, in namespaces of the test's own: skipped where those are not permitted. */
#include "agent_node.h"
#include "agent_turn.h"

#include "agent/berth.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>

struct world {
    struct agent_node node;
    int dns; /* hears questions, and never answers; -1: no namespaces */
};

static int own_resolv_conf(void)
{
    char path[] = "/tmp/berth-resolv-XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0)
        return -1;
    dprintf(fd, "nameserver 127.0.0.1\noptions timeout:30 attempts:1\n");
    close(fd);
    int rc = mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL);
    if (rc == 0)
        rc = mount(path, "/etc/resolv.conf", "none", MS_BIND, NULL);
    unlink(path);
    return rc;
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    struct addr at = {.family = ADDR_V4, .port = 53, .ip = {127, 0, 0, 1}};
    assert_non_null(w);
    *state = w;
    w->dns = -1;
    int mine = CLONE_NEWNET | CLONE_NEWNS;
    if (unshare(mine) != 0 && unshare(CLONE_NEWUSER | mine) != 0)
        return 0;
    if (system("ip link set lo up") != 0 || own_resolv_conf() != 0)
        return 0;
    w->dns = socket_bind_udp(&at, false);
    if (w->dns >= 0)
        agent_node_start(&w->node, "127.0.0.1");
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    if (w->dns >= 0) {
        agent_node_stop(&w->node);
        close(w->dns);
    }
    free(w);
    return 0;
}

struct heard {
    int done;
    struct berth_summary summary;
    char unresolved[BERTH_ERROR_TEXT];
};

static void on_done(void *user, struct berth_agent *agent, const struct berth_summary *summary)
{
    struct heard *h = user;
    h->summary = *summary;
    h->done++;
}

static void on_log(void *user, struct berth_agent *agent, int level, const char *event, const char *text)
{
    struct heard *h = user;
    if (strcmp(event, "resolve_failed") == 0)
        snprintf(h->unresolved, sizeof h->unresolved, "%s", text);
}

/* One probe of these, with a budget of a second. */
static void probe(struct heard *h, const struct berth_node *nodes, size_t n)
{
    struct berth_options o = {.size = sizeof o,
                              .nodes = nodes,
                              .n_nodes = n,
                              .policy = {.budget_ms = 1000, .samples = 1},
                              .proxy = "none",
                              .callbacks = {.done = on_done, .log = on_log},
                              .user = h};
    struct berth_agent *a;
    int64_t began = clock_mono_us();
    assert_int_equal(berth_agent_create(&a, &o), 0);
    assert_int_equal(berth_agent_probe(a, 0), 0);
    while (h->done == 0)
        agent_turn(a, began + 25 * 1000000); /* the lookups alone would take 30 s */
    assert_true(clock_mono_us() - began >= 1000000);
    berth_agent_destroy(a);
}

static void what_has_an_address_is_probed(void **state)
{
    struct world *w = *state;
    struct heard h = {0};
    if (w->dns < 0)
        skip();
    struct berth_node nodes[12] = {0}; /* more than are looked up at once */
    for (size_t i = 0; i < 12; i++)
        nodes[i] = (struct berth_node){.host = "slow.test", .udp = {5004}};
    nodes[0].host = "slowest.test";
    nodes[11] = (struct berth_node){.host = "127.0.0.1", .udp = {w->node.udp}};
    probe(&h, nodes, 12);
    assert_int_equal(h.summary.error, 0);
    assert_int_equal(h.summary.reachable, 1);
    assert_string_equal(h.unresolved, "slowest.test and 10 more: no address in time");
}

static void the_host_is_named(void **state)
{
    struct world *w = *state;
    struct heard h = {0};
    if (w->dns < 0)
        skip();
    struct berth_node node = {.host = "slow.test", .udp = {5004}};
    probe(&h, &node, 1);
    assert_int_equal(h.summary.error, BERTH_E_RESOLVE);
    assert_string_equal(h.summary.detail, "slow.test: no address in time");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_has_an_address_is_probed),
        cmocka_unit_test(the_host_is_named),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
