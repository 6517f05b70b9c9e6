/* link: berth_shared berth_sys test_support */
/* What becomes of reports, and of probes beside them, with a controller that is slow, away or talks nonsense. */
#include "agent_node.h"

#include "agent/berth.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

/* Answers in the loop of the test, and closes after each answer. An answer NULL: never. */
struct controller {
    int fd, client;
    char in[8192];
    size_t len;
    const char *list, *stored; /* the answers, with their status line's end */
    int posts;
    char url[64];
};

struct heard {
    int done, probing, deliveries;
    struct berth_summary summary;
    struct berth_delivery delivery[4];
    char left_out[BERTH_ERROR_TEXT]; /* what the log says of the list */
};

#define LIST                                                                                          \
    "200 OK\r\n\r\n{\"version\":\"1\",\"nodes\":[{\"node\":\"a\",\"cluster\":\"c\",\"region\":\"r\"," \
    "\"class\":\"cloud\",\"addresses\":{\"udp\":[\"127.0.0.1:9\"]}}]}"

static void controller_open(struct controller *c)
{
    struct addr any = {.family = ADDR_V4, .ip = {127, 0, 0, 1}}, at;
    *c = (struct controller){.client = -1, .list = LIST};
    c->fd = socket_listen_tcp(&any, false, 8);
    assert_true(c->fd >= 0);
    assert_int_equal(socket_local_addr(c->fd, &at), 0);
    snprintf(c->url, sizeof c->url, "http://127.0.0.1:%u", at.port);
}

static void controller_hang_up(struct controller *c)
{
    if (c->client >= 0)
        close(c->client);
    c->client = -1;
    c->len = 0;
    c->in[0] = '\0';
}

static void controller_close(struct controller *c)
{
    controller_hang_up(c);
    close(c->fd);
}

static bool whole_request(const struct controller *c)
{
    const char *end = strstr(c->in, "\r\n\r\n");
    const char *length = strcasestr(c->in, "content-length:");
    size_t body = length ? strtoul(length + strlen("content-length:"), NULL, 10) : 0;
    return end && c->len >= (size_t)(end - c->in) + 4 + body;
}

static void controller_step(struct controller *c)
{
    if (c->client < 0)
        c->client = accept(c->fd, NULL, NULL);
    if (c->client < 0)
        return;
    ssize_t n = recv(c->client, c->in + c->len, sizeof c->in - 1 - c->len, MSG_DONTWAIT);
    if (n == 0)
        controller_hang_up(c);
    if (n <= 0)
        return;
    c->len += (size_t)n;
    c->in[c->len] = '\0';
    if (!whole_request(c))
        return;
    bool post = strncmp(c->in, "POST", 4) == 0;
    const char *answer = post ? c->stored : c->list;
    c->posts += post;
    if (!answer)
        return;
    dprintf(c->client, "HTTP/1.1 %s", answer);
    controller_hang_up(c);
}

static void on_done(void *user, struct berth_agent *agent, const struct berth_summary *summary)
{
    struct heard *h = user;
    h->summary = *summary;
    h->done++;
}

static void on_delivery(void *user, struct berth_agent *agent, const struct berth_delivery *delivery)
{
    struct heard *h = user;
    assert_true(h->deliveries < 4);
    h->delivery[h->deliveries++] = *delivery;
}

static void on_state(void *user, struct berth_agent *agent, int new_state)
{
    ((struct heard *)user)->probing += new_state == BERTH_STATE_PROBING;
}

static void on_log(void *user, struct berth_agent *agent, int level, const char *event, const char *text)
{
    struct heard *h = user;
    if (strcmp(event, "list_left_out") == 0)
        snprintf(h->left_out, sizeof h->left_out, "%s", text);
}

static struct berth_agent *agent_of(const struct controller *c, struct heard *h)
{
    struct berth_options o = {
        .size = sizeof o,
        .controller = c->url,
        .token = "k.s",
        .agent_id = "test",
        .policy = {.samples = 1, .timeout_ms = 50},
        .proxy = "none",
        .callbacks = {.done = on_done, .delivery = on_delivery, .state = on_state, .log = on_log},
        .user = h};
    struct berth_agent *a;
    assert_int_equal(berth_agent_create(&a, &o), 0);
    return a;
}

/* Until *what is `wanted`. */
static void run_until(struct berth_agent *a, struct controller *c, const int *what, int wanted)
{
    int64_t deadline = clock_mono_us() + 30 * 1000000;
    while (*what < wanted) {
        struct pollfd fds[] = {{.fd = berth_agent_fd(a), .events = POLLIN},
                               {.fd = c->client < 0 ? c->fd : c->client, .events = POLLIN}};
        poll(fds, 2, berth_agent_timeout(a));
        if (fds[1].revents != 0)
            controller_step(c);
        assert_int_equal(berth_agent_dispatch(a), 0);
        assert_true(clock_mono_us() < deadline);
    }
}

static void cancelling_a_probe_that_waits_for_a_delivery(void **state)
{
    struct controller c;
    struct heard h = {0};
    controller_open(&c);
    struct berth_agent *a = agent_of(&c, &h);
    assert_int_equal(berth_agent_probe(a, BERTH_PROBE_REPORT), 0);
    run_until(a, &c, &c.posts, 1);
    assert_int_equal(h.done, 1);
    assert_int_equal(berth_agent_state(a), BERTH_STATE_REPORTING);
    assert_int_equal(berth_agent_probe(a, 0), 0);
    assert_int_equal(berth_agent_cancel(a), 0);
    assert_int_equal(berth_agent_dispatch(a), 0);
    assert_int_equal(h.done, 2);
    assert_int_equal(h.summary.error, -ECANCELED);
    assert_int_equal(berth_agent_state(a), BERTH_STATE_REPORTING); /* which goes on */
    assert_int_equal(berth_agent_dispatch(a), 0);
    assert_true(berth_agent_timeout(a) != 0);
    dprintf(c.client, "HTTP/1.1 201 Created\r\n\r\n{}");
    controller_hang_up(&c);
    run_until(a, &c, &h.deliveries, 1);
    assert_int_equal(h.delivery[0].error, 0);
    assert_int_equal(h.done, 2);
    berth_agent_destroy(a);
    controller_close(&c);
}

static void a_newer_report_takes_the_place(void **state)
{
    struct controller c;
    struct heard h = {0};
    controller_open(&c);
    struct berth_agent *a = agent_of(&c, &h);
    c.stored = "503 Service Unavailable\r\n\r\n";
    assert_int_equal(berth_agent_probe(a, BERTH_PROBE_REPORT), 0);
    run_until(a, &c, &h.deliveries, 1);
    assert_int_equal(h.delivery[0].error, BERTH_E_UNAVAILABLE);
    assert_true(h.delivery[0].retry_in_us > 0);
    c.stored = "201 Created\r\n\r\n{}";
    assert_int_equal(berth_agent_probe(a, BERTH_PROBE_REPORT), 0);
    run_until(a, &c, &h.deliveries, 3);
    assert_int_equal(h.delivery[1].error, BERTH_E_REPLACED);
    assert_int_equal(h.delivery[1].retry_in_us, -1);
    assert_string_equal(h.delivery[1].report_id, h.delivery[0].report_id);
    assert_int_equal(h.delivery[2].error, 0);
    assert_string_not_equal(h.delivery[2].report_id, h.delivery[0].report_id);
    berth_agent_destroy(a);
    controller_close(&c);
}

static void *no_memory(size_t n)
{
    return NULL;
}

static void a_report_without_memory(void **state)
{
    struct controller c;
    struct heard h = {0};
    controller_open(&c);
    struct berth_agent *a = agent_of(&c, &h);
    assert_int_equal(berth_agent_probe(a, BERTH_PROBE_REPORT), 0);
    run_until(a, &c, &h.probing, 1);
    assert_int_equal(h.done, 0);
    json_set_alloc_funcs(no_memory, free);
    run_until(a, &c, &h.done, 1);
    json_set_alloc_funcs(malloc, free);
    run_until(a, &c, &h.deliveries, 1);
    assert_int_equal(h.summary.error, 0);
    assert_int_equal(h.delivery[0].error, -ENOMEM);
    assert_int_equal(h.delivery[0].retry_in_us, -1);
    assert_int_equal(c.posts, 0);
    assert_int_equal(berth_agent_state(a), BERTH_STATE_IDLE);
    berth_agent_destroy(a);
    controller_close(&c);
}

/* Refused before anything is built of it. */
static void an_answer_nested_too_deep(void **state)
{
    static const char *const starts[] = {"200 OK", "400 Bad Request"};
    for (size_t i = 0; i < 2; i++) {
        struct controller c;
        struct heard h = {0};
        char text[1024];
        int len = snprintf(text, sizeof text, "%s\r\n\r\n{\"code\":\"deep\",\"nodes\":", starts[i]);
        memset(text + len, '[', 100);
        memset(text + len + 100, ']', 100);
        memcpy(text + len + 200, "}", 2);
        controller_open(&c);
        c.list = text;
        struct berth_agent *a = agent_of(&c, &h);
        assert_int_equal(berth_agent_probe(a, 0), 0);
        run_until(a, &c, &h.done, 1);
        assert_int_equal(h.summary.error, i == 0 ? BERTH_E_PROTOCOL : BERTH_E_REFUSED);
        if (i == 0)
            assert_non_null(strstr(h.summary.detail, "nested deeper"));
        else
            assert_string_equal(h.summary.detail, "400");
        berth_agent_destroy(a);
        controller_close(&c);
    }
}

#define ENTRY(name, class, udp) \
    "{\"node\":\"" name         \
    "\",\"cluster\":\"c\",\"region\":\"r\",\"class\":\"" class "\",\"addresses\":{\"udp\":[" udp "]}}"

/* What can't be read of the list is left out and told; the rest is probed. */
static void a_list_with_bad_entries(void **state)
{
    struct controller c;
    struct heard h = {0};
    struct berth_node_info node;
    controller_open(&c);
    c.list = "200 OK\r\n\r\n{\"version\":\"1\",\"nodes\":[7," ENTRY("a", "edge", "") "," ENTRY(
        "b", "cloud", "\"127.0.0.1:9\",\"nowhere\"") "," ENTRY("b", "mesh",
                                                               "") "," ENTRY("c", "mesh",
                                                                             "\"127.0.0.1:9\"") "]}";
    struct berth_agent *a = agent_of(&c, &h);
    assert_int_equal(berth_agent_probe(a, 0), 0);
    run_until(a, &c, &h.done, 1);
    assert_int_equal(h.summary.error, 0);
    assert_int_equal(h.summary.nodes, 2);
    assert_int_equal(h.summary.left_out, 3);
    assert_int_equal(h.summary.addresses_left_out, 1);
    assert_string_equal(h.left_out, "3 of 5 entries are left out, and addresses of others: 1; the first: "
                                    "/nodes/0 a node must be an object");
    assert_int_equal(berth_agent_node_count(a), 2);
    assert_int_equal(berth_agent_node(a, 0, &node), 0);
    assert_string_equal(node.node, "b");
    assert_int_equal(berth_agent_node(a, 1, &node), 0);
    assert_string_equal(node.node, "c");
    berth_agent_destroy(a);
    controller_close(&c);
}

/* Nothing of it can be read: an error, not an empty list. */
static void a_list_of_bad_entries_alone(void **state)
{
    struct controller c;
    struct heard h = {0};
    controller_open(&c);
    c.list = "200 OK\r\n\r\n{\"version\":\"1\",\"nodes\":[" ENTRY("a", "edge", "") "]}";
    struct berth_agent *a = agent_of(&c, &h);
    assert_int_equal(berth_agent_probe(a, 0), 0);
    run_until(a, &c, &h.done, 1);
    assert_int_equal(h.summary.error, BERTH_E_PROTOCOL);
    assert_string_equal(h.summary.detail, "the list of nodes: /nodes/0/class class must be cloud or mesh");
    berth_agent_destroy(a);
    controller_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cancelling_a_probe_that_waits_for_a_delivery),
        cmocka_unit_test(a_newer_report_takes_the_place),
        cmocka_unit_test(a_report_without_memory),
        cmocka_unit_test(an_answer_nested_too_deep),
        cmocka_unit_test(a_list_with_bad_entries),
        cmocka_unit_test(a_list_of_bad_entries_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
