/* link: berth_node_lib */
#include "node/registration.h"

#include "check.h"

#include <stdlib.h>
#include <string.h>

static json_t *parse(char *text)
{
    assert_non_null(text);
    json_t *o = json_loads(text, 0, NULL);
    assert_non_null(o);
    free(text);
    return o;
}

static void registration(void **state)
{
    (void)state;
    struct node_identity id = {.node = "n1",
                               .cluster = "c",
                               .region = "eu",
                               .tls_name = "n1.example",
                               .capacity = 500,
                               .capacity_kbps = 70000};
    struct node_addresses bound = {0}, advertised = {0};
    assert_int_equal(addr_parse(&bound.at[TRANSPORT_UDP][bound.n[TRANSPORT_UDP]++], "10.0.0.1:5004"), 0);
    assert_int_equal(
        addr_parse(&advertised.at[TRANSPORT_UDP][advertised.n[TRANSPORT_UDP]++], "[2001:db8::1]:5004"), 0);
    id.n_labels = 1;
    strcpy(id.labels[0].key, "rack");
    strcpy(id.labels[0].value, "7\"");
    id.has_location = true;
    id.lat = 52.37;
    id.lon = -4.9;
    id.turn[id.n_turn++] = "turn:t:3478";
    id.services[id.n_services++] = "livekit=wss://l/?a=b";

    json_t *o = parse(registration_body(&id, &bound, &advertised, "c3BraQ==", "a2V5"));
    assert_string_equal(json_string_value(json_object_get(o, "node")), "n1");
    assert_string_equal(json_string_value(json_object_get(o, "tls_name")), "n1.example");
    assert_int_equal(json_integer_value(json_object_get(o, "capacity")), 500);
    assert_int_equal(json_integer_value(json_object_get(o, "capacity_kbps")), 70000);
    assert_string_equal(json_string_value(json_object_get(json_object_get(o, "labels"), "rack")), "7\"");
    const json_t *spki = json_object_get(o, "tls_spki");
    assert_int_equal(json_array_size(spki), 1);
    assert_string_equal(json_string_value(json_array_get(spki, 0)), "c3BraQ==");
    json_t *udp = json_object_get(json_object_get(o, "addresses"), "udp");
    assert_string_equal(json_string_value(json_array_get(udp, 0)), "10.0.0.1:5004");
    udp = json_object_get(json_object_get(o, "advertise"), "udp");
    assert_string_equal(json_string_value(json_array_get(udp, 0)), "[2001:db8::1]:5004");
    double lon = json_real_value(json_object_get(json_object_get(o, "location"), "lon"));
    assert_true(lon > -4.91 && lon < -4.89);
    const json_t *services = json_object_get(o, "services");
    const json_t *urls = json_object_get(json_object_get(services, "turn"), "urls");
    assert_int_equal(json_array_size(urls), 1);
    assert_string_equal(json_string_value(json_array_get(urls, 0)), "turn:t:3478");
    assert_string_equal(json_string_value(json_object_get(services, "livekit")), "wss://l/?a=b");
    json_decref(o);

    id.n_turn = id.n_services = 0;
    id.has_location = false;
    id.tls_name = NULL;
    o = parse(registration_body(&id, &bound, NULL, NULL, NULL));
    assert_null(json_object_get(o, "advertise"));
    assert_null(json_object_get(o, "location"));
    assert_null(json_object_get(o, "services"));
    assert_null(json_object_get(o, "tls_name"));
    assert_null(json_object_get(o, "tls_spki"));
    json_decref(o);
}

static void heartbeats(void **state)
{
    (void)state;
    const struct heartbeat h = {.load = {0.25, 1000, 7, 9000000}};
    json_t *o = parse(heartbeat_body(&h));
    json_t *load = json_object_get(o, "load");
    assert_true(json_real_value(json_object_get(load, "cpu")) > 0.249);
    assert_int_equal(json_integer_value(json_object_get(load, "packets_per_s")), 1000);
    assert_int_equal(json_integer_value(json_object_get(load, "sessions")), 7);
    assert_int_equal(json_integer_value(json_object_get(load, "bandwidth_bps")), 9000000);
    assert_null(json_object_get(o, "draining"));
    assert_null(json_object_get(o, "stopping"));
    json_decref(o);
    const struct heartbeat last = {.draining = true, .stopping = true};
    o = parse(heartbeat_body(&last));
    assert_true(json_is_true(json_object_get(o, "draining")));
    assert_true(json_is_true(json_object_get(o, "stopping")));
    assert_null(json_object_get(o, "rtt"));
    assert_null(json_object_get(o, "media_key"));
    json_decref(o);
    const struct peer_rtt rtt[] = {{"n2", 12345}, {"n3", 7}};
    const struct heartbeat told = {.rtt = rtt, .n_rtt = 2, .media_key = "a2V5"};
    o = parse(heartbeat_body(&told));
    const json_t *list = json_object_get(o, "rtt");
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(json_string_value(json_object_get(o, "media_key")), "a2V5");
    assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "node")), "n2");
    assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 1), "rtt_us")), 7);
    json_decref(o);
}

static int answer(struct control_answer *a, const char *text)
{
    return control_answer_parse(a, text, strlen(text));
}

static void answers(void **state)
{
    (void)state;
    struct control_answer a = {.heartbeat_s = 5};
    assert_int_equal(answer(&a, "{\"heartbeat_s\":7,\"drain\":true,\"more\":[1]}"), 0);
    assert_int_equal(a.heartbeat_s, 7);
    assert_true(a.drain);
    static const char *const keep[] = {"{}", "{\"heartbeat_s\":0}", "{\"heartbeat_s\":-1,\"drain\":1}",
                                       "{\"heartbeat_s\":\"9\"}", "{\"heartbeat_s\":99999999}"};
    for (size_t i = 0; i < sizeof(keep) / sizeof(keep[0]); i++) {
        assert_int_equal(answer(&a, keep[i]), 0);
        assert_int_equal(a.heartbeat_s, 7);
        assert_true(a.drain);
    }
    char text[PEERS_VERSION_MAX + 40];
    assert_int_equal(answer(&a, "{\"peers_version\":\"v1\"}"), 0);
    assert_string_equal(a.peers_version, "v1");
    snprintf(text, sizeof(text), "{\"peers_version\":\"%0*d\"}", PEERS_VERSION_MAX + 1, 1);
    assert_int_equal(answer(&a, text), 0);
    assert_int_equal(answer(&a, "{\"peers_version\":5}"), 0);
    assert_string_equal(a.peers_version, "v1");
    static const char *const broken[] = {"", "[]", "5", "<html>", "{\"drain\":"};
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
        assert_int_not_equal(answer(&a, broken[i]), 0);
    assert_int_not_equal(control_answer_parse(&a, NULL, 0), 0);
}

/* docs/media.md, "Admission". */
static void ticket_keys(void **state)
{
    static const char good[] = "{\"id\":\"AQIDBA\",\"key\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"}";
    struct control_answer a = {.heartbeat_s = 5};
    char text[8192] = "";
    snprintf(text, sizeof(text),
             "{\"org\":\"acme\",\"now\":\"2026-01-02T03:04:05.000006Z\",\"ticket_keys\":[%s]}", good);
    assert_int_equal(answer(&a, text), 0);
    assert_string_equal(a.org, "acme");
    assert_true(a.now_us == INT64_C(1767323045000006));
    assert_int_equal(a.n_ticket_keys, 1);
    const uint8_t id[TICKET_KEY_ID_LEN] = {1, 2, 3, 4};
    assert_memory_equal(a.ticket_keys[0].id, id, sizeof(id));
    for (uint8_t i = 0; i < TICKET_KEY_LEN; i++)
        assert_int_equal(a.ticket_keys[0].key[i], i);

    /* What can't be read is left out, and nothing at all changes nothing. */
    static const char *const bad[] = {"5",
                                      "{}",
                                      "{\"id\":\"AQIDBA\"}",
                                      "{\"id\":\"AQID\",\"key\":\"AA\"}",
                                      "{\"id\":\"AQIDBA==\",\"key\":7}",
                                      "null",
                                      "[]"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(text, sizeof(text), "{\"ticket_keys\":[%s]}", bad[i]);
        assert_int_equal(answer(&a, text), 0);
        assert_int_equal(a.n_ticket_keys, 1);
        snprintf(text, sizeof(text), "{\"ticket_keys\":[%s,%s,%s]}", bad[i], good, good);
        assert_int_equal(answer(&a, text), 0);
        assert_int_equal(a.n_ticket_keys, 2);
        a.n_ticket_keys = 1;
    }
    static const char *const none[] = {"{\"ticket_keys\":[]}", "{\"ticket_keys\":{}}",
                                       "{\"ticket_keys\":\"x\"}", "{}"};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        assert_int_equal(answer(&a, none[i]), 0);
        assert_int_equal(a.n_ticket_keys, 1);
        assert_string_equal(a.org, "acme");
    }
    size_t len = (size_t)snprintf(text, sizeof(text), "{\"ticket_keys\":[%s", good);
    for (int i = 0; i < TICKET_KEYS_MAX + 5; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, ",%s", good);
    snprintf(text + len, sizeof(text) - len, "]}");
    assert_int_equal(answer(&a, text), 0);
    assert_int_equal(a.n_ticket_keys, TICKET_KEYS_MAX);
}

static void problems(void **state)
{
    (void)state;
    char code[PROBLEM_CODE_MAX];
    const char *text = "{\"type\":\"about:blank\",\"code\":\"unknown_node\"}";
    problem_code(code, text, strlen(text));
    assert_string_equal(code, "unknown_node");
    problem_code(code, "<html>", 6);
    assert_string_equal(code, "");
    problem_code(code, NULL, 0);
    assert_string_equal(code, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registration), cmocka_unit_test(heartbeats), cmocka_unit_test(answers),
        cmocka_unit_test(ticket_keys),  cmocka_unit_test(problems),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
