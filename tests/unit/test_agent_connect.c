/* link: berth_agent_core test_support */
/* Connecting through the public functions to a real berth-node on loopback. */
#include "agent_node.h"
#include "agent_turn.h"

#include "agent/berth.h"

#include <errno.h>
#include <stdlib.h>

/* An agent whose only business is to connect. */
static struct berth_agent *agent_new(const struct agent_node *n)
{
    struct berth_node node = {.host = "127.0.0.1", .udp = {n->udp}};
    struct berth_options o = {.size = sizeof o,
                              .nodes = &node,
                              .n_nodes = 1,
                              .agent_id = "ann",
                              .ca_file = n->ca_file,
                              .proxy = "none"};
    struct berth_agent *a = NULL;
    assert_int_equal(berth_agent_create(&a, &o), 0);
    return a;
}

struct seen {
    int racing, up, waiting;
    char detail[BERTH_ERROR_TEXT];
};

static void on_changed(void *user, struct berth_agent *agent, const struct berth_connection *c)
{
    struct seen *s = user;
    s->racing += c->state == BERTH_CONNECTION_RACING;
    s->up += c->state == BERTH_CONNECTION_UP;
    s->waiting += c->state == BERTH_CONNECTION_WAITING;
    memcpy(s->detail, c->detail, sizeof s->detail);
}

struct ladder_text {
    char udp[32], tcp[32], tls[32], dead[32];
};

static struct ladder_text addresses(const struct agent_node *n)
{
    struct ladder_text t;
    snprintf(t.udp, sizeof t.udp, "127.0.0.1:%u", n->udp);
    snprintf(t.tcp, sizeof t.tcp, "127.0.0.1:%u", n->tcp);
    snprintf(t.tls, sizeof t.tls, "[::1]:%u", n->tls);
    snprintf(t.dead, sizeof t.dead, "127.0.0.1:%u", free_port(false));
    return t;
}

static struct berth_connection now(struct berth_agent *a, uint64_t id)
{
    struct berth_connection c;
    assert_int_equal(berth_agent_connection(a, id, &c), 0);
    return c;
}

/* Until it is in the state with so many keep-alives answered. */
static struct berth_connection run(struct berth_agent *a, uint64_t id, int state, int64_t received)
{
    int64_t deadline = clock_mono_us() + 30 * 1000000;
    struct berth_connection c = now(a, id);
    while (c.state != state || c.received < received) {
        agent_turn(a, deadline);
        c = now(a, id);
    }
    return c;
}

static void each_transport_carries_a_connection(void **state)
{
    const struct agent_node *n = *state;
    const struct ladder_text t = addresses(n);
    const struct berth_rung rungs[] = {{BERTH_UDP, t.udp, NULL, NULL},
                                       {BERTH_TCP, t.tcp, NULL, NULL},
                                       {BERTH_TLS, t.tls, "node.test", NULL}};
    struct berth_agent *a = agent_new(n);
    for (size_t first = 0; first < 3; first++) {
        struct seen seen = {0};
        struct berth_connect_options o = {.size = sizeof o,
                                          .rungs = rungs + first,
                                          .n_rungs = 3 - first,
                                          .keepalive_ms = 100,
                                          .changed = on_changed,
                                          .user = &seen};
        uint64_t id = 0;
        assert_int_equal(berth_agent_connect(a, &o, &id), 0);
        assert_int_equal(now(a, id).state, BERTH_CONNECTION_RACING);
        struct berth_connection c = run(a, id, BERTH_CONNECTION_UP, 3);
        assert_int_equal(c.transport, rungs[first].transport);
        assert_string_equal(c.address, rungs[first].address);
        assert_int_equal(c.winner, 0);
        assert_int_equal(c.framing, BERTH_FRAMING_STUN);
        assert_true(c.rtt_min_us >= 0 && c.rtt_min_us <= c.rtt_median_us && c.rtt_median_us <= c.rtt_p95_us);
        assert_int_equal(c.lost, 0);
        assert_true(strncmp(c.mapped_address, first == 2 ? "[::1]:" : "127.0.0.1:", first == 2 ? 6 : 10) ==
                    0);
        struct berth_rung_result r;
        assert_int_equal(berth_agent_rung(a, id, 0, &r), 0);
        assert_true(r.won && r.status == BERTH_REACHABLE && r.stun_us >= 0);
        assert_true((r.connect_us >= 0) == (first > 0) && (r.tls_us >= 0) == (first == 2));
        assert_int_equal(berth_agent_rung(a, id, c.n_rungs, &r), -ENOENT);
        assert_true(seen.up == 1 && seen.waiting == 0);
        assert_int_equal(berth_agent_disconnect(a, id), 0);
        assert_int_equal(berth_agent_disconnect(a, id), -ENOENT);
        assert_int_equal(berth_agent_timeout(a), -1); /* nothing is left to do */
    }
    berth_agent_destroy(a);
}

static void an_assignment_is_taken_as_the_controller_gave_it(void **state)
{
    const struct agent_node *n = *state;
    const struct ladder_text t = addresses(n);
    char text[512];
    uint64_t id;
    snprintf(text, sizeof text,
             "{\"node\":\"n1\",\"ladder\":[{\"transport\":\"tcp\",\"address\":\"%s\"},{\"transport\":\"tls\","
             "\"address\":\"%s\",\"tls_name\":\"other.test\"},{\"transport\":\"tls\",\"address\":\"%s\","
             "\"tls_name\":\"node.test\"}]}",
             t.dead, t.tls, t.tls);
    struct berth_agent *a = agent_new(n);
    struct berth_connect_options o = {.size = sizeof o, .assignment = text};
    assert_int_equal(berth_agent_connect(a, &o, &id), 0);
    struct berth_connection c = run(a, id, BERTH_CONNECTION_UP, 0);
    assert_int_equal(c.winner, 2);
    struct berth_rung_result r;
    assert_int_equal(berth_agent_rung(a, id, 0, &r), 0);
    assert_int_equal(r.status, BERTH_REFUSED);
    assert_string_equal(r.why, "connection refused");
    assert_int_equal(berth_agent_rung(a, id, 1, &r), 0); /* a name that the certificate does not carry */
    assert_int_equal(r.status, BERTH_TLS_ERROR);
    berth_agent_destroy(a);
}

static void where_no_rung_works_it_says_so_and_tries_again(void **state)
{
    const struct ladder_text t = addresses(*state);
    const struct berth_rung rungs[] = {{BERTH_TCP, t.dead, NULL, NULL},
                                       {BERTH_PROXY, t.tls, "node.test", NULL}};
    struct seen seen = {0};
    struct berth_connect_options o = {
        .size = sizeof o, .rungs = rungs, .n_rungs = 2, .changed = on_changed, .user = &seen};
    uint64_t id;
    struct berth_agent *a = agent_new(*state);
    assert_int_equal(berth_agent_connect(a, &o, &id), 0);
    struct berth_connection c = run(a, id, BERTH_CONNECTION_WAITING, 0);
    char detail[BERTH_ERROR_TEXT];
    snprintf(detail, sizeof detail, "no rung of the ladder works: tcp %s connection refused", t.dead);
    assert_int_equal(c.winner, 2);
    assert_string_equal(c.detail, detail);
    struct berth_rung_result r;
    assert_int_equal(berth_agent_rung(a, id, 1, &r), 0);
    assert_int_equal(r.status, BERTH_PROXY_ERROR);
    assert_string_equal(r.why, "no proxy is known");
    assert_in_range(c.retry_in_us, 300 * 1000, 1000 * 1000);
    int64_t deadline = clock_mono_us() + 30 * 1000000;
    while (seen.waiting < 2)
        agent_turn(a, deadline);
    assert_int_equal(seen.racing, 1);
    berth_agent_destroy(a);
}

/* What `pac` says of the proxies of a ladder's only rung, after the race. */
static struct berth_rung_result proxied(const struct agent_node *n, const char *pac, const char *named,
                                        struct berth_connection *c)
{
    const struct ladder_text t = addresses(n);
    const struct berth_rung rung = {BERTH_PROXY, t.tls, "node.test", named};
    struct berth_connect_options o = {.size = sizeof o, .rungs = &rung, .n_rungs = 1};
    struct berth_node node = {.host = "127.0.0.1", .udp = {n->udp}};
    struct berth_options from = {.size = sizeof from,
                                 .nodes = &node,
                                 .n_nodes = 1,
                                 .agent_id = "ann",
                                 .ca_file = n->ca_file,
                                 .proxy_pac = pac};
    struct berth_rung_result r;
    struct berth_agent *a = NULL;
    uint64_t id;
    assert_int_equal(berth_agent_create(&a, &from), 0);
    assert_int_equal(berth_agent_connect(a, &o, &id), 0);
    *c = run(a, id, BERTH_CONNECTION_WAITING, 0);
    assert_int_equal(berth_agent_rung(a, id, 0, &r), 0);
    berth_agent_destroy(a);
    assert_int_equal(r.status, BERTH_PROXY_ERROR);
    return r;
}

static void a_script_names_the_proxy_of_a_rung(void **state)
{
    skip_under_valgrind(); /* which knows no pidfd_open, so that no script runs */
    struct agent_node *n = *state;
    const struct ladder_text t = addresses(n);
    char path[TEST_PATH_MAX], proxy[64];
    struct berth_connection c;
    struct berth_rung_result r;
    test_path(path, n->dir, "proxy.pac");
    snprintf(proxy, sizeof proxy, "http://%s", t.dead);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "function FindProxyForURL(u, h) { return h == 'node.test' ? 'PROXY %s' : 'DIRECT'; }\n",
            t.dead);
    assert_int_equal(fclose(f), 0);
    r = proxied(n, path, NULL, &c); /* the script is loaded while the race waits */
    assert_string_equal(r.proxy, proxy);
    assert_string_equal(r.why, "the proxy can't be reached");
    assert_non_null(strstr(c.detail, "no rung of the ladder works: proxy "));
    assert_non_null(strstr(c.detail, "the proxy can't be reached"));
    r = proxied(n, "/no/such/script", NULL, &c);
    assert_string_equal(r.why, "no proxy is known");
    assert_non_null(
        strstr(c.detail, "no rung of the ladder works; PAC: the PAC script can't be loaded: proxy "));
    r = proxied(n, "/no/such/script", "http://user@proxy:1", &c);
    assert_string_equal(r.why, "that is no proxy's URL");
}

static void a_lost_connection_is_told_and_raced_again(void **state)
{
    struct agent_node *n = *state;
    const struct ladder_text t = addresses(n);
    const struct berth_rung rungs[] = {{BERTH_TLS, t.tls, "node.test", NULL}};
    struct seen seen = {0};
    struct berth_connect_options o = {.size = sizeof o,
                                      .rungs = rungs,
                                      .n_rungs = 1,
                                      .keepalive_ms = 100,
                                      .changed = on_changed,
                                      .user = &seen};
    uint64_t id;
    struct berth_agent *a = agent_new(n);
    assert_int_equal(berth_agent_connect(a, &o, &id), 0);
    run(a, id, BERTH_CONNECTION_UP, 1);
    agent_node_stop(n);
    struct berth_connection c = run(a, id, BERTH_CONNECTION_WAITING, 0);
    assert_true(strncmp(c.detail, "the connection was lost", 23) == 0);
    agent_node_start(n, "127.0.0.1"); /* elsewhere: the ladder no longer leads to it */
    assert_int_equal(seen.up, 1);
    berth_agent_destroy(a);
}

static void bad_options_are_refused(void **state)
{
    const struct berth_rung good = {BERTH_UDP, "127.0.0.1:1", NULL, NULL};
    const struct berth_rung bad[] = {{BERTH_UDP, NULL, NULL, NULL},
                                     {9, "127.0.0.1:1", NULL, NULL},
                                     {BERTH_UDP, "127.0.0.1", NULL, NULL},
                                     {BERTH_TCP, "127.0.0.1:0", NULL, NULL}};
    struct berth_agent *a = agent_new(*state);
    uint64_t id = 77, ids[BERTH_CONNECTIONS_MAX];
    struct berth_connect_options o = {.size = sizeof o};
    assert_int_equal(berth_agent_connect(a, NULL, &id), -EINVAL);
    assert_int_equal(berth_agent_connect(a, &o, &id), -EINVAL); /* no ladder */
    o.n_rungs = 1;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        o.rungs = &bad[i];
        assert_int_equal(berth_agent_connect(a, &o, &id), -EINVAL);
    }
    o.rungs = &good;
    o.assignment = "{}"; /* one or the other */
    assert_int_equal(berth_agent_connect(a, &o, &id), -EINVAL);
    o.assignment = NULL;
    o.keepalive_ms = 26000;
    assert_int_equal(berth_agent_connect(a, &o, &id), -EINVAL);
    o.keepalive_ms = 0;
    o.size--;
    assert_int_equal(berth_agent_connect(a, &o, &id), -EINVAL);
    o.size++;
    assert_int_equal(id, 77);
    for (size_t i = 0; i < BERTH_CONNECTIONS_MAX; i++)
        assert_int_equal(berth_agent_connect(a, &o, &ids[i]), 0);
    assert_int_equal(berth_agent_connect(a, &o, &id), -EMFILE);
    assert_int_equal(berth_agent_disconnect(a, ids[3]), 0);
    assert_int_equal(berth_agent_connect(a, &o, &id), 0);
    char network[BERTH_NETWORK_ID_TEXT];
    assert_int_equal(berth_agent_network_id(a, network), -ENOENT); /* nothing was reported */
    berth_agent_destroy(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_transport_carries_a_connection),
        cmocka_unit_test(an_assignment_is_taken_as_the_controller_gave_it),
        cmocka_unit_test(where_no_rung_works_it_says_so_and_tries_again),
        cmocka_unit_test(a_script_names_the_proxy_of_a_rung),
        cmocka_unit_test(bad_options_are_refused),
        cmocka_unit_test(a_lost_connection_is_told_and_raced_again),
    };
    return cmocka_run_group_tests(tests, agent_node_setup, agent_node_teardown);
}
