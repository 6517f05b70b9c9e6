#include "core/stun_behaviour.h"

#include "check.h"

#include <string.h>

static const uint8_t txid[STUN_TXID_LEN] = "behaviour..";

static struct addr address(const char *text)
{
    struct addr a;
    assert_int_equal(addr_parse(&a, text), 0);
    return a;
}

static struct stun_behaviour four(bool v6, bool response_port)
{
    struct stun_behaviour b = {.response_port = response_port};
    for (int ip = 0; ip < 2; ip++)
        for (int port = 0; port < 2; port++)
            b.at[ip][port] = address(
                v6 ? (ip ? (port ? "[2001:db8::2]:2" : "[2001:db8::2]:1")
                         : (port ? "[2001:db8::1]:2" : "[2001:db8::1]:1"))
                   : (ip ? (port ? "192.0.2.2:2" : "192.0.2.2:1") : (port ? "192.0.2.1:2" : "192.0.2.1:1")));
    return b;
}

struct request {
    uint8_t bytes[STUN_MESSAGE_MAX];
    size_t len;
};

struct wanted {
    int change; /* -1: no CHANGE-REQUEST */
    int port;   /* 0: no RESPONSE-PORT */
    size_t padding;
    bool fingerprint;
};

static struct request request(struct wanted w)
{
    struct request r;
    struct stun_writer b;
    static const uint8_t zeros[STUN_MESSAGE_MAX];
    const uint8_t port[4] = {(uint8_t)(w.port >> 8), (uint8_t)w.port};
    stun_begin(&b, r.bytes, sizeof r.bytes, STUN_REQUEST, STUN_BINDING, txid);
    if (w.change >= 0)
        stun_put_u32(&b, STUN_ATTR_CHANGE_REQUEST, (uint32_t)w.change);
    if (w.port != 0)
        stun_put(&b, STUN_ATTR_RESPONSE_PORT, port, sizeof port);
    if (w.padding > 0)
        stun_put(&b, STUN_ATTR_PADDING, zeros, w.padding);
    if (w.fingerprint)
        stun_put_fingerprint(&b);
    assert_int_equal(stun_finish(&b, &r.len), 0);
    return r;
}

struct result {
    struct stun_behaviour_answer answer;
    struct stun_msg m;
    uint8_t out[STUN_MESSAGE_MAX];
};

static void ask(struct result *r, const struct stun_behaviour *b, struct stun_place at,
                const struct request *q, const char *source)
{
    const struct addr from = address(source);
    r->answer = stun_behaviour_answer(b, at, q->bytes, q->len, &from, r->out, sizeof r->out);
    if (r->answer.len > 0)
        assert_int_equal(stun_parse(&r->m, r->out, r->answer.len), 0);
}

static void assert_addr(const struct stun_msg *m, uint16_t type, const struct addr *expected)
{
    struct stun_attr a;
    struct addr got;
    assert_true(stun_find(m, type, &a));
    assert_int_equal(stun_attr_addr(&a, &got), 0);
    assert_true(addr_eq(&got, expected));
}

static int error_of(const struct stun_msg *m)
{
    struct stun_attr a;
    struct slice reason;
    int code = 0;
    assert_int_equal(m->cls, STUN_ERROR);
    assert_true(stun_find(m, STUN_ATTR_ERROR_CODE, &a));
    assert_int_equal(stun_attr_error(&a, &code, &reason), 0);
    assert_false(stun_find(m, STUN_ATTR_OTHER_ADDRESS, &a));
    return code;
}

/* Every place asked, every CHANGE-REQUEST, both families: the answer's place and the addresses that it names. */
static void test_every_change_request(void **state)
{
    static const int changes[] = {-1, 0, STUN_CHANGE_IP, STUN_CHANGE_PORT, STUN_CHANGE_IP | STUN_CHANGE_PORT};
    for (unsigned n = 0; n < 4 * 5 * 2; n++) {
        const struct stun_place at = {n & 1, n >> 1 & 1};
        bool v6 = n >= 20;
        int change = changes[n / 4 % 5];
        const struct stun_behaviour b = four(v6, false);
        const struct request q = request((struct wanted){.change = change, .fingerprint = n & 1});
        struct result r;
        ask(&r, &b, at, &q, v6 ? "[2001:db8::9]:4000" : "198.51.100.7:4000");
        assert_int_equal(r.m.cls, STUN_SUCCESS);
        int asked = change < 0 ? 0 : change;
        assert_int_equal(r.answer.from.ip, at.ip ^ ((asked & STUN_CHANGE_IP) != 0));
        assert_int_equal(r.answer.from.port, at.port ^ ((asked & STUN_CHANGE_PORT) != 0));
        assert_addr(&r.m, STUN_ATTR_RESPONSE_ORIGIN, &b.at[r.answer.from.ip][r.answer.from.port]);
        assert_addr(&r.m, STUN_ATTR_OTHER_ADDRESS, &b.at[!at.ip][!at.port]);
        struct addr mapped;
        assert_int_equal(stun_mapped_address(&r.m, &mapped), 0);
        assert_true(addr_eq(&mapped, &r.answer.to));
        assert_int_equal(mapped.port, 4000);
        assert_true(r.answer.len <= STUN_BINDING_ANSWER_MAX);
    }
}

static void test_padding_is_never_longer_than_the_request(void **state)
{
    const struct stun_behaviour b = four(false, false);
    for (size_t padding = 1; padding <= 1500; padding += 7) {
        for (int fingerprint = 0; fingerprint < 2; fingerprint++) {
            const struct request q =
                request((struct wanted){.change = -1, .padding = padding, .fingerprint = fingerprint});
            struct result r;
            struct stun_attr a;
            ask(&r, &b, (struct stun_place){0, 0}, &q, "198.51.100.7:4000");
            assert_int_equal(r.m.cls, STUN_SUCCESS);
            if (q.len > 80) {
                assert_int_equal(r.answer.len, q.len);
                assert_true(stun_find(&r.m, STUN_ATTR_PADDING, &a));
            } else {
                assert_true(r.answer.len <= 80);
            }
            assert_int_equal(stun_check_fingerprint(&r.m) == 0, fingerprint);
        }
    }
    const struct request small = request((struct wanted){.change = -1});
    struct result r;
    struct stun_attr a;
    ask(&r, &b, (struct stun_place){0, 0}, &small, "198.51.100.7:4000");
    assert_false(stun_find(&r.m, STUN_ATTR_PADDING, &a));
    assert_int_equal(r.answer.len, STUN_HEADER_LEN + 3 * 12);
}

static void test_response_port_is_unknown_unless_allowed(void **state)
{
    const struct request q = request((struct wanted){.change = STUN_CHANGE_IP, .port = 5000});
    const struct stun_behaviour off = four(false, false), on = four(false, true);
    struct result r;
    ask(&r, &off, (struct stun_place){1, 0}, &q, "198.51.100.7:4000");
    assert_int_equal(error_of(&r.m), 420);
    assert_int_equal(r.answer.from.ip, 1); /* errors come from where they were asked */
    assert_int_equal(r.answer.to.port, 4000);
    ask(&r, &on, (struct stun_place){1, 0}, &q, "198.51.100.7:4000");
    assert_int_equal(r.m.cls, STUN_SUCCESS);
    assert_int_equal(r.answer.from.ip, 0);
    assert_int_equal(r.answer.to.port, 5000);
    struct addr mapped;
    assert_int_equal(stun_mapped_address(&r.m, &mapped), 0);
    assert_int_equal(mapped.port, 4000);
}

static void test_wrong_wishes_are_refused_where_they_were_asked(void **state)
{
    const struct stun_behaviour b = four(false, true);
    const struct stun_place at = {1, 1};
    struct request q = request((struct wanted){.change = 6, .port = 5000, .padding = 100});
    struct result r;
    ask(&r, &b, at, &q, "198.51.100.7:4000"); /* RESPONSE-PORT with PADDING */
    assert_int_equal(error_of(&r.m), 400);
    assert_int_equal(r.answer.from.ip, 1);
    assert_int_equal(r.answer.from.port, 1);
    assert_int_equal(r.answer.to.port, 4000);

    struct stun_writer w;
    for (size_t len = 0; len <= 8; len++) {
        stun_begin(&w, q.bytes, sizeof q.bytes, STUN_REQUEST, STUN_BINDING, txid);
        stun_put(&w, STUN_ATTR_CHANGE_REQUEST, "\0\0\0\6\0\0\0\0", len);
        assert_int_equal(stun_finish(&w, &q.len), 0);
        ask(&r, &b, at, &q, "198.51.100.7:4000");
        if (len == 4)
            assert_int_equal(r.m.cls, STUN_SUCCESS);
        else
            assert_int_equal(error_of(&r.m), 400);
    }
    for (size_t len = 0; len <= 8; len++) { /* 2 or, with its reserved bytes, 4 */
        stun_begin(&w, q.bytes, sizeof q.bytes, STUN_REQUEST, STUN_BINDING, txid);
        stun_put(&w, STUN_ATTR_RESPONSE_PORT, "\x10\x00\0\0\0\0\0\0", len);
        assert_int_equal(stun_finish(&w, &q.len), 0);
        ask(&r, &b, at, &q, "198.51.100.7:4000");
        if (len >= 2 && len <= 4)
            assert_int_equal(r.answer.to.port, 0x1000);
        else
            assert_int_equal(error_of(&r.m), 400);
    }
}

static void test_unknown_attributes_and_silence_are_as_ever(void **state)
{
    const struct stun_behaviour b = four(false, false);
    struct request q;
    struct stun_writer w;
    struct result r;
    stun_begin(&w, q.bytes, sizeof q.bytes, STUN_REQUEST, STUN_BINDING, txid);
    stun_put_u32(&w, STUN_ATTR_CHANGE_REQUEST, STUN_CHANGE_IP);
    stun_put(&w, 0x7001, NULL, 0);
    assert_int_equal(stun_finish(&w, &q.len), 0);
    ask(&r, &b, (struct stun_place){0, 1}, &q, "198.51.100.7:4000");
    assert_int_equal(error_of(&r.m), 420);
    struct stun_attr a;
    assert_true(stun_find(&r.m, STUN_ATTR_UNKNOWN_ATTRIBUTES, &a));
    assert_int_equal(a.len, 2); /* CHANGE-REQUEST is known here */
    assert_int_equal(r.answer.from.ip, 0);

    q.len -= 1;
    ask(&r, &b, (struct stun_place){0, 1}, &q, "198.51.100.7:4000");
    assert_int_equal(r.answer.len, 0);
    q = request((struct wanted){.change = 2});
    q.bytes[0] = 0x01; /* an answer isn't answered */
    q.bytes[1] = 0x01;
    ask(&r, &b, (struct stun_place){0, 1}, &q, "198.51.100.7:4000");
    assert_int_equal(r.answer.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_change_request),
        cmocka_unit_test(test_padding_is_never_longer_than_the_request),
        cmocka_unit_test(test_response_port_is_unknown_unless_allowed),
        cmocka_unit_test(test_wrong_wishes_are_refused_where_they_were_asked),
        cmocka_unit_test(test_unknown_attributes_and_silence_are_as_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
