/* link: berth_node_lib */
#include "node/options.h"

#include "check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A command line, loaded and planned; 0 or a negative errno. It isn't copied: the plan's strings are in it. */
struct loaded {
    struct config *config;
    struct node_options o;
    struct node_plan plan;
    struct options_error e;
    int rc;
};

static void load_in(struct loaded *l, char *const *environment, const char *const *words)
{
    struct config_error ce;
    *l = (struct loaded){0};
    char *argv[40] = {NULL};
    int argc = 0;
    argv[argc++] = strdup("berth-node");
    for (; *words; words++)
        argv[argc++] = strdup(*words);
    const struct config_source src = {.keys = node_keys, .n_keys = node_n_keys, .argc = argc, .argv = argv};
    assert_int_equal(config_load(&l->config, &src, &l->o, NULL, &ce), 0);
    l->rc = options_plan(&l->plan, &l->o, &(struct options_machine){"host.example", 3, environment}, &l->e);
    for (int i = 0; i < argc; i++)
        free(argv[i]);
}
#define LOAD(l, ...) load_in(l, NULL, (const char *const[]){__VA_ARGS__, NULL})

static void standalone_is_what_was_asked_for(void **state)
{
    (void)state;
    struct loaded l;
    LOAD(&l, "--standalone", "--udp", "127.0.0.1:1", "--udp", "[::1]:2", "--tcp", "10.0.0.1:3");
    assert_int_equal(l.rc, 0);
    assert_int_equal(l.plan.bind.n[TRANSPORT_UDP], 2);
    assert_int_equal(l.plan.bind.at[TRANSPORT_UDP][1].family, ADDR_V6);
    assert_int_equal(l.plan.bind.n[TRANSPORT_TCP], 1);
    assert_int_equal(l.plan.bind.n[TRANSPORT_TLS], 0);
    assert_false(l.plan.has_metrics);
    assert_int_equal(l.plan.threads, 3);
    assert_string_equal(l.plan.identity.node, "host.example");
    config_destroy(l.config);
}

static void behaviour_takes_two_ports_of_one_ip(void **state)
{
    (void)state;
    struct loaded l;
    LOAD(&l, "--standalone", "--udp", "0.0.0.0:1", "--udp", "192.0.2.1:2", "--udp", "192.0.2.9:3", "--udp",
         "192.0.2.1:4", "--udp", "192.0.2.1:5", "--behaviour-alternate", "192.0.2.2");
    assert_int_equal(l.rc, 0);
    assert_true(l.plan.behaviour.on);
    assert_false(l.plan.behaviour.response_port);
    assert_int_equal(l.plan.behaviour.primary[0], 1);
    assert_int_equal(l.plan.behaviour.primary[1], 3);
    config_destroy(l.config);
    LOAD(&l, "--standalone", "--udp", "192.0.2.1:2", "--udp", "192.0.2.1:3", "--udp", "[2001:db8::1]:2",
         "--udp", "[2001:db8::1]:3", "--behaviour-alternate", "[2001:db8::2]", "--behaviour-response-port");
    assert_int_equal(l.rc, 0);
    assert_true(l.plan.behaviour.response_port);
    assert_int_equal(l.plan.behaviour.primary[0], 2);
    assert_int_equal(l.plan.behaviour.primary[1], 3);
    config_destroy(l.config);
    LOAD(&l, "--standalone", "--udp", "192.0.2.1:2");
    assert_int_equal(l.rc, 0);
    assert_false(l.plan.behaviour.on);
    config_destroy(l.config);
    /* the default addresses are wildcards */
    LOAD(&l, "--controller", "https://c", "--token", "t", "--cert", "c", "--key", "k",
         "--behaviour-alternate", "192.0.2.2");
    assert_int_equal(l.rc, -EINVAL);
    assert_non_null(strstr(l.e.text, "two --udp"));
    config_destroy(l.config);
}

#define CONTROLLED "--controller", "https://c", "--token", "t", "--udp", "192.0.2.1:2"

static void a_proxy_is_an_option_or_the_environments(void **state)
{
    (void)state;
    char *const environment[] = {"HTTPS_PROXY=http://second:1", "https_proxy=first.example:3128",
                                 "no_proxy=.example", NULL};
    struct rest_proxy r;
    struct loaded l;
    LOAD(&l, CONTROLLED);
    assert_int_equal(l.rc, 0);
    assert_null(control_proxy_rest(&l.plan.proxy, &r));
    config_destroy(l.config);
    load_in(&l, environment, (const char *const[]){CONTROLLED, NULL});
    assert_int_equal(l.rc, 0);
    assert_non_null(control_proxy_rest(&l.plan.proxy, &r));
    assert_string_equal(r.url, "http://first.example:3128");
    assert_string_equal(r.user, "");
    config_destroy(l.config);
    load_in(&l, environment,
            (const char *const[]){CONTROLLED, "--proxy", "https://carol:a%3Ab%40c@[2001:db8::1]:8443",
                                  "--no-proxy", "10.0.0.0/8", NULL});
    assert_int_equal(l.rc, 0);
    assert_non_null(control_proxy_rest(&l.plan.proxy, &r));
    assert_string_equal(r.url, "https://[2001:db8::1]:8443");
    assert_string_equal(r.user, "carol");
    assert_string_equal(r.password, "a:b@c");
    config_destroy(l.config);
    load_in(&l, environment, (const char *const[]){CONTROLLED, "--proxy", "none", NULL});
    assert_int_equal(l.rc, 0);
    assert_null(control_proxy_rest(&l.plan.proxy, &r));
    config_destroy(l.config);
    load_in(&l, environment,
            (const char *const[]){CONTROLLED, "--no-proxy", "c", NULL}); /* it is https://c */
    assert_int_equal(l.rc, 0);
    assert_null(control_proxy_rest(&l.plan.proxy, &r));
    assert_null(l.plan.proxy.problem);
    config_destroy(l.config);
}

static void an_environments_proxy_that_cant_be_used_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *proxy, *problem;
    } ways[] = {{"https_proxy=socks5://carol:secret@first.example:1", "SOCKS"},
                {"ALL_PROXY=http://carol:secret@first.example:99999", "URL"}};
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        struct rest_proxy r;
        char text[80];
        snprintf(text, sizeof(text), "%s", ways[i].proxy);
        char *const environment[] = {text, NULL};
        struct loaded l;
        load_in(&l, environment, (const char *const[]){CONTROLLED, NULL});
        assert_int_equal(l.rc, 0);
        assert_null(control_proxy_rest(&l.plan.proxy, &r));
        assert_non_null(l.plan.proxy.problem);
        assert_non_null(strstr(l.plan.proxy.problem, ways[i].problem));
        assert_null(strstr(l.plan.proxy.problem, "secret"));
        config_destroy(l.config);
        load_in(&l, environment, (const char *const[]){CONTROLLED, "--proxy", "none", NULL});
        assert_null(l.plan.proxy.problem);
        config_destroy(l.config);
    }
}

static void a_wrong_proxy_is_refused_without_its_password(void **state)
{
    (void)state;
    char host[2 * PROXY_URL_MAX], user[2 * PROXY_SECRET_MAX];
    memset(host, 'h', sizeof(host));
    memset(user, 'u', sizeof(user));
    memcpy(host, "http://", 7);
    memcpy(user, "http://", 7);
    memcpy(user + sizeof(user) - 7, "@h:123", 7);
    host[sizeof(host) - 1] = '\0';
    const char *const wrong[] = {"socks5://carol:secret@h:1",
                                 "http://",
                                 "http://carol:secret@:1",
                                 "ftp://h",
                                 "http://h:99999",
                                 "http://carol:secret@h/path",
                                 "auto",
                                 host,
                                 user};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct loaded l;
        LOAD(&l, CONTROLLED, "--proxy", wrong[i]);
        assert_int_equal(l.rc, -EINVAL);
        assert_non_null(strstr(l.e.text, "--proxy"));
        assert_null(strstr(l.e.text, "secret"));
        config_destroy(l.config);
    }
}

static void defaults_with_a_controller(void **state)
{
    (void)state;
    struct loaded l;
    LOAD(&l, "--controller", "https://c", "--token", "t", "--cert", "c", "--key", "k");
    assert_int_equal(l.rc, 0);
    assert_true(l.plan.bind_defaults);
    assert_int_equal(l.plan.bind.n[TRANSPORT_UDP], 6); /* 5004, 3478, 9000 on both families */
    assert_int_equal(l.plan.bind.at[TRANSPORT_UDP][0].port, 5004);
    assert_int_equal(l.plan.bind.at[TRANSPORT_UDP][2].port, 3478);
    assert_int_equal(l.plan.bind.at[TRANSPORT_TCP][0].port, 5004);
    assert_int_equal(l.plan.bind.at[TRANSPORT_TLS][0].port, 443);
    assert_true(l.plan.has_metrics);
    assert_int_equal(l.plan.metrics.port, 9641);
    assert_true(addr_is_loopback(&l.plan.metrics));
    config_destroy(l.config);
    LOAD(&l, "--controller", "https://c", "--token", "t", "--udp", "0.0.0.0:7", "--metrics", "off");
    assert_int_equal(l.rc, 0);
    assert_int_equal(l.plan.bind.n[TRANSPORT_TLS], 0);
    assert_false(l.plan.has_metrics);
    config_destroy(l.config);
}

static void identity(void **state)
{
    (void)state;
    struct loaded l;
    LOAD(&l, "--standalone", "--udp", "1.2.3.4:5", "--node", "n-1", "--region", "eu", "--cluster", "a",
         "--labels", "rack=7", "--labels", "note=", "--location", "52.37,-4.9", "--capacity", "9",
         "--capacity-kbps", "8000", "--turn", "turn:t:3478", "--turn", "turns:t:443?transport=tcp",
         "--services", "livekit=wss://l/?a=b");
    assert_int_equal(l.rc, 0);
    const struct node_identity *id = &l.plan.identity;
    assert_string_equal(id->node, "n-1");
    assert_int_equal(id->n_labels, 2);
    assert_string_equal(id->labels[0].key, "rack");
    assert_string_equal(id->labels[0].value, "7");
    assert_string_equal(id->labels[1].value, "");
    assert_true(id->has_location);
    assert_true(id->lat > 52.36 && id->lat < 52.38 && id->lon > -4.91 && id->lon < -4.89);
    assert_int_equal(id->capacity, 9);
    assert_int_equal(id->capacity_kbps, 8000);
    assert_int_equal(id->n_turn, 2);
    assert_string_equal(id->turn[1], "turns:t:443?transport=tcp");
    assert_int_equal(id->n_services, 1);
    config_destroy(l.config);
}

/* Each is refused, and the text names what to change. */
static void refusals(void **state)
{
    (void)state;
    static const struct {
        const char *words[8], *says;
    } cases[] = {
        {{"--standalone"}, "--udp"},
        {{"--udp", "1.2.3.4:5"}, "--controller"},
        {{"--controller", "https://c", "--udp", "1.2.3.4:5"}, "--token-file"},
        {{"--controller", "https://c", "--token", "t"}, "--cert"},
        {{"--standalone", "--tls", "1.2.3.4:5"}, "--cert"},
        {{"--standalone", "--udp", "1.2.3.4:5", "--cert", "x"}, "--key"},
        {{"--standalone", "--udp", "1.2.3.4"}, "ADDR:PORT"},
        {{"--standalone", "--udp", "host:5"}, "ADDR:PORT"},
        {{"--standalone", "--udp", "1.2.3.4:70000"}, "ADDR:PORT"},
        {{"--standalone", "--udp", "1.2.3.4:5", "--udp", "1.2.3.4:5"}, "twice"},
        {{"--standalone", "--udp", "1.2.3.4:5", "--metrics", "here"}, "--metrics"},
        {{"--standalone", "--udp", "1.2.3.4:5", "--node", "a b"}, "--node"},
        {{"--standalone", "--udp", "1.2.3.4:5", "--node", ""}, "--node"},
        {{"--standalone", "--udp", "1.2.3.4:5", "--labels", "x"}, "KEY=VALUE"},
        {{"--standalone", "--udp", "1.2.3.4:5", "--labels", "=x"}, "KEY=VALUE"},
        {{"--standalone", "--udp", "1.2.3.4:5", "--turn", "turn:"}, "--turn"},
        {{"--standalone", "--udp", "1.2.3.4:5", "--turn", "https://t"}, "--turn"},
        {{"--standalone", "--udp", "1.2.3.4:5", "--services", "x"}, "NAME=VALUE"},
        {{"--standalone", "--udp", "1.2.3.4:5", "--services", "=x"}, "NAME=VALUE"},
        {{"--standalone", "--udp", "1.2.3.4:5", "--services", "turn=turn:x"}, "--turn"},
        {{"--standalone", "--udp", "1.2.3.4:5", "--location", "91,0"}, "--location"},
        {{"--standalone", "--udp", "1.2.3.4:5", "--location", "1,nan"}, "--location"},
        {{"--standalone", "--udp", "1.2.3.4:5", "--location", "1,2x"}, "--location"},
        {{"--standalone", "--udp", "1.2.3.4:5", "--log-level", "loud"}, "--log-level"},
        {{"--standalone", "--udp", "1.2.3.4:5", "--log-format", "xml"}, "--log-format"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct loaded l;
        load_in(&l, NULL, cases[i].words);
        if (l.rc == 0 || !strstr(l.e.text, cases[i].says))
            fail_msg("case %zu: rc %d, '%s'", i, l.rc, l.e.text);
        config_destroy(l.config);
    }
}

static void too_many_addresses(void **state)
{
    (void)state;
    struct node_options o = {
        .standalone = true, .log_level = "info", .log_format = "json", .cluster = "c", .region = "r"};
    struct node_plan plan;
    struct options_error e;
    char text[CONFIG_LIST_MAX][32];
    for (size_t i = 0; i <= NODE_ADDRESSES_MAX; i++) {
        snprintf(text[i], sizeof(text[i]), "10.0.0.%zu:1", i);
        o.udp.v[o.udp.n++] = text[i];
    }
    assert_int_not_equal(options_plan(&plan, &o, &(struct options_machine){"h", 1, NULL}, &e), 0);
    o.udp.n = NODE_ADDRESSES_MAX;
    assert_int_equal(options_plan(&plan, &o, &(struct options_machine){"h", 1, NULL}, &e), 0);
}

struct changes {
    size_t n;
    const char *key[8];
};

static void note(void *ctx, const char *key)
{
    struct changes *c = ctx;
    assert_true(c->n < 8);
    c->key[c->n++] = key;
}

static void differences(void **state)
{
    (void)state;
    struct loaded a;
    LOAD(&a, "--standalone", "--udp", "1.2.3.4:5", "--labels", "a=1", "--stun-rate", "7");
    struct loaded b;
    LOAD(&b, "--standalone", "--udp", "1.2.3.4:6", "--labels", "a=1", "--stun-rate", "8");
    struct changes c = {0};
    options_diff(&a.o, &a.o, note, &c);
    assert_int_equal(c.n, 0);
    options_diff(&a.o, &b.o, note, &c);
    assert_int_equal(c.n, 2);
    assert_string_equal(c.key[0], "udp");
    assert_string_equal(c.key[1], "stun-rate");
    assert_false(options_is_reloadable("udp"));
    assert_true(options_is_reloadable("stun-rate"));
    config_destroy(a.config);
    config_destroy(b.config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(standalone_is_what_was_asked_for),
        cmocka_unit_test(behaviour_takes_two_ports_of_one_ip),
        cmocka_unit_test(a_proxy_is_an_option_or_the_environments),
        cmocka_unit_test(an_environments_proxy_that_cant_be_used_is_told),
        cmocka_unit_test(a_wrong_proxy_is_refused_without_its_password),
        cmocka_unit_test(defaults_with_a_controller),
        cmocka_unit_test(identity),
        cmocka_unit_test(refusals),
        cmocka_unit_test(too_many_addresses),
        cmocka_unit_test(differences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
