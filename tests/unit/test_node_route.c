/* link: berth_node_lib */
#include "node/route.h"

#include "check.h"

#include <string.h>

static enum route text(const char *s)
{
    return route_first_bytes((const uint8_t *)s, strlen(s), ROUTE_HTTP_ANY);
}

static void requests_are_http(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "GET /livez HTTP/1.1\r\n", "POST / HTTP/1.1\r\n",  "PUT /x HTTP/1.1\r\n",
        "HEAD / HTTP/1.1\r\n",     "PATCH / HTTP/1.1\r\n", "DELETE /x HTTP/1.1\r\n",
        "OPTIONS * HTTP/1.1\r\n",  "TRACE / HTTP/1.1\r\n", "CONNECT a:1 HTTP/1.1\r\n"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        size_t method = strcspn(lines[i], " ") + 1;
        for (size_t len = 0; len < strlen(lines[i]); len++)
            assert_int_equal(route_first_bytes((const uint8_t *)lines[i], len, ROUTE_HTTP_ANY),
                             len < method ? ROUTE_MORE : ROUTE_HTTP);
    }
}

static void others_are_broken(void **state)
{
    (void)state;
    assert_int_equal(text("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), ROUTE_BROKEN);
    assert_int_equal(text("PR"), ROUTE_BROKEN);
    assert_int_equal(text("P"), ROUTE_MORE);
    assert_int_equal(text("GETX"), ROUTE_BROKEN);
    assert_int_equal(text("get / HTTP/1.1"), ROUTE_BROKEN);
    assert_int_equal(text("\x16\x03\x01"), ROUTE_BROKEN);
    assert_int_equal(text("\x80"), ROUTE_BROKEN);
}

static void small_bytes_are_stun(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 256; first++) {
        uint8_t bytes[4] = {(uint8_t)first, 1, 0, 0};
        for (int http = ROUTE_HTTP_ANY; http <= ROUTE_HTTP_GET; http++) {
            enum route r = route_first_bytes(bytes, sizeof(bytes), (enum route_http)http);
            assert_int_equal(r, first <= 8 ? ROUTE_STUN : ROUTE_BROKEN); /* a frame has 2048 bytes at most */
        }
    }
    assert_int_equal(route_first_bytes(NULL, 0, ROUTE_HTTP_ANY), ROUTE_MORE);
}

static void clear_ports_take_only_get(void **state)
{
    (void)state;
    const char *get = "GET / HTTP/1.1\r\n";
    for (size_t len = 1; len <= strlen(get); len++)
        assert_int_equal(route_first_bytes((const uint8_t *)get, len, ROUTE_HTTP_GET),
                         len < 4 ? ROUTE_MORE : ROUTE_HTTP);
    static const char *const others[] = {"P", "POST / HTTP/1.1\r\n", "HEAD", "CONNECT a:1", "GEX", "SSH-2.0"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_int_equal(route_first_bytes((const uint8_t *)others[i], strlen(others[i]), ROUTE_HTTP_GET),
                         ROUTE_BROKEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_http),
        cmocka_unit_test(others_are_broken),
        cmocka_unit_test(small_bytes_are_stun),
        cmocka_unit_test(clear_ports_take_only_get),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
