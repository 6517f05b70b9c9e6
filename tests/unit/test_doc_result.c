/* link: berth_core */
/* A result row: round trips, and each member that may be wrong, told by its pointer. */
#include "check.h"

#include "core/doc.h"

#include <stdio.h>
#include <string.h>

static int from_text(const char *text, struct probe_result *r, struct doc_error *e)
{
    json_t *j = doc_parse(text, strlen(text), e);
    if (!j)
        fail_msg("not JSON: %s", text);
    int answer = probe_result_from_json(j, r, e);
    json_decref(j);
    return answer;
}

/* A reachable row with one part more; a part that comes first may replace nothing: members occur once. */
#define ROW(status, more) "{\"node\":\"n1\",\"transport\":\"udp\",\"status\":\"" status "\"" more "}"
#define RTT               ",\"rtt_us\":{\"min\":1,\"median\":2,\"p95\":3}"

static const char row_udp[] =
    "{\"node\":\"n1\",\"transport\":\"udp\",\"status\":\"reachable\",\"address\":\"1.2.3.4:5\","
    "\"rtt_us\":{\"min\":0,\"median\":0,\"p95\":60000000},\"sent\":5,\"received\":4,"
    "\"mapped_address\":\"5.6.7.8:9\",\"framing\":\"stun\"}";
static const char row_proxy[] =
    "{\"node\":\"n:1\",\"transport\":\"proxy\",\"status\":\"reachable\",\"address\":\"[::1]:443\","
    "\"rtt_us\":{\"min\":7,\"median\":8,\"p95\":9},\"sent\":1,\"received\":1,\"connect_us\":10,\"tls_us\":11,"
    "\"mapped_address\":\"[2001:db8::1]:9\",\"via_proxy\":{\"url\":\"http://proxy:3128\","
    "\"scheme\":\"http\",\"auth\":\"ntlm\",\"tls_intercepted\":true},\"framing\":\"websocket\"}";
static const char row_intercepted[] =
    "{\"node\":\"n1\",\"transport\":\"tls\",\"status\":\"tls_error\",\"connect_us\":4,"
    "\"via_proxy\":{\"tls_intercepted\":true}}";

static void test_round_trip(void **state)
{
    static const char *const same[] = {ROW("timeout", ""), ROW("untested", ",\"sent\":0"), row_udp, row_proxy,
                                       row_intercepted};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        struct probe_result r;
        struct doc_error e;
        if (from_text(same[i], &r, &e) < 0)
            fail_msg("%s: %s", same[i], e.detail);
        json_t *j = probe_result_to_json(&r);
        char text[1024];
        size_t len = json_dumpb(j, text, sizeof text - 1, JSON_COMPACT | JSON_PRESERVE_ORDER);
        assert_true(len < sizeof text);
        text[len] = '\0';
        assert_string_equal(text, same[i]);
        json_decref(j);
    }
}

static void test_wrong_members(void **state)
{
    static const struct {
        const char *row, *pointer;
    } cases[] = {
        {"[]", ""},
        {"{}", "/node"},
        {"{\"node\":\"\",\"transport\":\"udp\",\"status\":\"timeout\"}", "/node"},
        {"{\"node\":\"a b\",\"transport\":\"udp\",\"status\":\"timeout\"}", "/node"},
        {"{\"node\":null,\"transport\":\"udp\",\"status\":\"timeout\"}", "/node"},
        {"{\"node\":\"n\",\"status\":\"timeout\"}", "/transport"},
        {"{\"node\":\"n\",\"transport\":\"quic\",\"status\":\"timeout\"}", "/transport"},
        {"{\"node\":\"n\",\"transport\":1,\"status\":\"timeout\"}", "/transport"},
        {ROW("fine", ""), "/status"},
        {ROW("unknown", ""), "/status"},
        {ROW("reachable", ""), "/rtt_us"},
        {ROW("reachable", ",\"rtt_us\":5"), "/rtt_us"},
        {ROW("reachable", ",\"rtt_us\":null"), "/rtt_us"},
        {ROW("reachable", ",\"rtt_us\":{}"), "/rtt_us/min"},
        {ROW("reachable", ",\"rtt_us\":{\"min\":-1,\"median\":2,\"p95\":3}"), "/rtt_us/min"},
        {ROW("reachable", ",\"rtt_us\":{\"min\":1,\"p95\":3}"), "/rtt_us/median"},
        {ROW("reachable", ",\"rtt_us\":{\"min\":1,\"median\":2.5,\"p95\":3}"), "/rtt_us/median"},
        {ROW("reachable", ",\"rtt_us\":{\"min\":1,\"median\":2,\"p95\":60000001}"), "/rtt_us/p95"},
        {ROW("reachable", ",\"rtt_us\":{\"min\":3,\"median\":2,\"p95\":3}"), "/rtt_us"},
        {ROW("reachable", ",\"rtt_us\":{\"min\":1,\"median\":4,\"p95\":3}"), "/rtt_us"},
        {ROW("timeout", ",\"sent\":-1"), "/sent"},
        {ROW("timeout", ",\"sent\":1000001"), "/sent"},
        {ROW("timeout", ",\"sent\":\"5\""), "/sent"},
        {ROW("timeout", ",\"sent\":1,\"received\":2"), "/received"},
        {ROW("timeout", ",\"connect_us\":-1"), "/connect_us"},
        {ROW("timeout", ",\"tls_us\":60000001"), "/tls_us"},
        {ROW("timeout", ",\"address\":\"example.org:5\""), "/address"},
        {ROW("timeout", ",\"address\":\"1.2.3.4\""), "/address"},
        {ROW("timeout", ",\"address\":\"1.2.3.4:0\""), "/address"},
        {ROW("timeout", ",\"mapped_address\":\"::1:5:x\""), "/mapped_address"},
        {ROW("timeout", ",\"mapped_address\":{}"), "/mapped_address"},
        {ROW("timeout", ",\"via_proxy\":true"), "/via_proxy"},
        {ROW("timeout", ",\"via_proxy\":{\"url\":5}"), "/via_proxy/url"},
        {ROW("timeout", ",\"via_proxy\":{\"url\":\"http://a b\"}"), "/via_proxy/url"},
        {ROW("timeout", ",\"via_proxy\":{\"url\":\"http://\\u00e9\"}"), "/via_proxy/url"},
        {ROW("timeout", ",\"via_proxy\":{\"scheme\":\"0123456789abcdef\"}"), "/via_proxy/scheme"},
        {ROW("timeout", ",\"via_proxy\":{\"tls_intercepted\":1}"), "/via_proxy/tls_intercepted"},
        {ROW("timeout", ",\"framing\":\"rtp\""), "/framing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct probe_result r = {.sent = 77};
        struct doc_error e = {0};
        if (from_text(cases[i].row, &r, &e) == 0)
            fail_msg("accepted: %s", cases[i].row);
        assert_string_equal(e.pointer, cases[i].pointer);
        assert_string_equal(e.code, "invalid_member");
        assert_int_equal(r.sent, 77);
    }
}

static void test_unknown_members_are_ignored(void **state)
{
    struct probe_result r;
    struct doc_error e;
    assert_int_equal(from_text(ROW("reachable", RTT ",\"jitter_us\":5,\"x\":{\"y\":[]}"), &r, &e), 0);
    assert_int_equal(r.rtt_median_us, 2);
    assert_int_equal(r.sent, NOT_MEASURED);
    assert_false(addr_is_set(&r.address));
}

/* A name and password in a proxy's URL go no further. */
static void test_proxy_credentials_are_left_out(void **state)
{
    static const struct {
        const char *url, *want;
    } cases[] = {{"http://user:secret@proxy:3128/", "http://proxy:3128/"},
                 {"http://u:p@ss@proxy", "http://proxy"},
                 {"user:secret@proxy:3128", "proxy:3128"},
                 {"http://proxy/?q=a@b", "http://proxy/?q=a@b"},
                 {"http://secret@", "http://"},
                 {"http://proxy", "http://proxy"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct probe_result r, copy;
        char row[256];
        struct doc_error e;
        snprintf(row, sizeof row, ROW("timeout", ",\"via_proxy\":{\"url\":\"%s\"}"), cases[i].url);
        assert_int_equal(from_text(row, &r, &e), 0);
        assert_true(r.via_proxy);
        assert_string_equal(r.proxy_url, cases[i].want);
        probe_result_init(&copy);
        strcpy(copy.proxy_url, cases[i].url);
        copy.via_proxy = true;
        json_t *j = probe_result_to_json(&copy);
        const char *url = NULL;
        assert_int_equal(json_unpack(j, "{s:{s:s}}", "via_proxy", "url", &url), 0);
        assert_string_equal(url, cases[i].want);
        json_decref(j);
    }
}

static void test_longest_url(void **state)
{
    char row[512], url[PROXY_URL_MAX + 2];
    struct probe_result r;
    struct doc_error e;
    memset(url, 'u', sizeof url);
    url[PROXY_URL_MAX] = '\0';
    snprintf(row, sizeof row, ROW("timeout", ",\"via_proxy\":{\"url\":\"%s\"}"), url);
    assert_int_equal(from_text(row, &r, &e), 0);
    url[PROXY_URL_MAX] = 'u';
    url[PROXY_URL_MAX + 1] = '\0';
    snprintf(row, sizeof row, ROW("timeout", ",\"via_proxy\":{\"url\":\"%s\"}"), url);
    assert_true(from_text(row, &r, &e) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_wrong_members),
        cmocka_unit_test(test_unknown_members_are_ignored),
        cmocka_unit_test(test_proxy_credentials_are_left_out),
        cmocka_unit_test(test_longest_url),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
