/* link: berth_agent_core */
/* NAT behaviour, path MTU and pinholes against models of NATs and paths; the questions' bytes. */
#include "check.h"

#include "agent/firewall_mtu.h"
#include "agent/firewall_nat.h"
#include "agent/firewall_pinhole.h"

#include <string.h>

static struct addr at(const char *text)
{
    struct addr a;
    assert_int_equal(addr_parse(&a, text), 0);
    return a;
}

/* ---- a NAT and a server, as a model ---- */

struct model {
    enum nat_kind mapping, filtering;
    bool no_other, other_ip_away, refuses_change;
    struct addr server, other;
    struct addr opened[NAT_SOCKETS][8]; /* to where each socket has sent */
    size_t n_opened[NAT_SOCKETS];
};

static struct addr mapped_for(const struct model *m, size_t socket, const struct addr *to)
{
    struct addr a = at("198.51.100.1:4000");
    a.port = (uint16_t)(a.port + 100 * socket);
    if (m->mapping >= NAT_ADDRESS_DEPENDENT && !addr_ip_eq(to, &m->server))
        a.port = (uint16_t)(a.port + 1);
    if (m->mapping == NAT_ADDRESS_AND_PORT_DEPENDENT)
        a.port = (uint16_t)(a.port + to->port % 7 * 2);
    return a;
}

static bool passes(const struct model *m, size_t socket, const struct addr *from)
{
    for (size_t i = 0; i < m->n_opened[socket]; i++) {
        const struct addr *o = &m->opened[socket][i];
        if (m->filtering == NAT_ENDPOINT_INDEPENDENT || addr_eq(o, from) ||
            (m->filtering == NAT_ADDRESS_DEPENDENT && addr_ip_eq(o, from)))
            return true;
    }
    return false;
}

static struct ask_reply reply(struct model *m, size_t socket, const struct ask *a)
{
    struct addr from = a->to;
    struct ask_reply r = {.answered = true, .mapped = mapped_for(m, socket, &a->to)};
    m->opened[socket][m->n_opened[socket]++] = a->to;
    if (m->other_ip_away && (addr_ip_eq(&a->to, &m->other) || (a->change & STUN_CHANGE_IP) != 0))
        return (struct ask_reply){0};
    if (m->refuses_change && a->change != 0)
        return (struct ask_reply){.answered = true, .error = 420, .from = from};
    if ((a->change & STUN_CHANGE_IP) != 0)
        memcpy(from.ip, m->other.ip, sizeof from.ip);
    if ((a->change & STUN_CHANGE_PORT) != 0)
        from.port = m->other.port;
    r.from = from;
    r.other = m->no_other ? (struct addr){0} : m->other;
    return passes(m, socket, &from) ? r : (struct ask_reply){0};
}

static struct nat_findings run(struct model *m)
{
    struct nat_test t;
    struct ask a;
    size_t socket, steps = 0;
    m->server = at("203.0.113.1:3478");
    m->other = at("203.0.113.9:3479");
    nat_test_begin(&t, &m->server);
    while (nat_test_next(&t, &a, &socket)) {
        struct ask_reply r = reply(m, socket, &a);
        assert_true(++steps < 8);
        nat_test_answer(&t, &r);
    }
    return t.found;
}

static void every_nat_is_told(void **state)
{
    for (int mapping = NAT_ENDPOINT_INDEPENDENT; mapping <= NAT_ADDRESS_AND_PORT_DEPENDENT; mapping++) {
        for (int filtering = NAT_ENDPOINT_INDEPENDENT; filtering <= NAT_ADDRESS_AND_PORT_DEPENDENT;
             filtering++) {
            struct model m = {.mapping = (enum nat_kind)mapping, .filtering = (enum nat_kind)filtering};
            struct nat_findings f = run(&m);
            assert_int_equal(f.mapping, mapping);
            assert_int_equal(f.filtering, filtering);
            assert_int_equal(f.evidence, NAT_BY_RFC5780);
        }
    }
}

static void what_cannot_be_told_is_unknown(void **state)
{
    struct model plain = {
        .mapping = NAT_ENDPOINT_INDEPENDENT, .filtering = NAT_ADDRESS_DEPENDENT, .no_other = true};
    struct nat_findings f = run(&plain);
    assert_int_equal(f.mapping, NAT_UNKNOWN);
    assert_int_equal(f.filtering, NAT_UNKNOWN);
    assert_int_equal(f.evidence, NAT_BY_NOTHING);
    struct model away = {
        .mapping = NAT_ENDPOINT_INDEPENDENT, .filtering = NAT_ENDPOINT_INDEPENDENT, .other_ip_away = true};
    f = run(&away); /* silence of a place that isn't reached convicts no filter */
    assert_int_equal(f.mapping, NAT_UNKNOWN);
    assert_int_equal(f.filtering, NAT_UNKNOWN);
    struct model refuses = {
        .mapping = NAT_ADDRESS_DEPENDENT, .filtering = NAT_ENDPOINT_INDEPENDENT, .refuses_change = true};
    f = run(&refuses);
    assert_int_equal(f.mapping, NAT_ADDRESS_DEPENDENT);
    assert_int_equal(f.filtering, NAT_UNKNOWN);
}

static void one_socket_seen_by_several_nodes(void **state)
{
    static const struct {
        const char *to[3], *mapped[3];
        size_t n;
        enum nat_kind mapping;
    } cases[] = {
        {{0}, {0}, 0, NAT_UNKNOWN},
        {{"192.0.2.1:1"}, {"198.51.100.1:1"}, 1, NAT_UNKNOWN},
        {{"192.0.2.1:1", "192.0.2.1:2"}, {"198.51.100.1:1", "198.51.100.1:1"}, 2, NAT_UNKNOWN},
        {{"192.0.2.1:1", "192.0.2.1:2"},
         {"198.51.100.1:1", "198.51.100.1:2"},
         2,
         NAT_ADDRESS_AND_PORT_DEPENDENT},
        {{"192.0.2.1:1", "192.0.2.2:1"}, {"198.51.100.1:1", "198.51.100.1:1"}, 2, NAT_ENDPOINT_INDEPENDENT},
        {{"192.0.2.1:1", "192.0.2.2:1"}, {"198.51.100.1:1", "198.51.100.1:2"}, 2, NAT_ENDPOINT_DEPENDENT},
        {{"192.0.2.1:1", "192.0.2.1:2", "192.0.2.2:1"},
         {"198.51.100.1:1", "198.51.100.1:1", "198.51.100.1:2"},
         3,
         NAT_ADDRESS_DEPENDENT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct nat_sight s[3];
        for (size_t k = 0; k < cases[i].n; k++)
            s[k] = (struct nat_sight){at(cases[i].to[k]), at(cases[i].mapped[k])};
        struct nat_findings f = nat_from_sights(s, cases[i].n);
        assert_int_equal(f.mapping, cases[i].mapping);
        assert_int_equal(f.filtering, NAT_UNKNOWN);
        assert_int_equal(f.evidence, cases[i].mapping == NAT_UNKNOWN ? NAT_BY_NOTHING : NAT_BY_NODES);
    }
}

/* ---- MTU ---- */

static void every_mtu_is_found(void **state)
{
    for (int family = ADDR_V4; family <= ADDR_V6; family += 2) {
        for (int64_t mtu = 500; mtu <= 1600; mtu++) {
            struct mtu_search s;
            size_t size, tries = 0;
            int64_t least = family == ADDR_V6 ? MTU_LEAST_V6 : MTU_LEAST_V4;
            int64_t expected = mtu > MTU_MOST ? MTU_MOST : mtu - mtu % MTU_STEP;
            mtu_search_begin(&s, (enum addr_family)family);
            while ((size = mtu_search_next(&s)) != 0) {
                assert_true(++tries < 12);
                mtu_search_tried(&s, size, (int64_t)size <= mtu);
            }
            assert_int_equal(mtu_search_found(&s), mtu < least ? -1 : expected);
            assert_true(mtu < MTU_MOST || tries == 1);
        }
    }
}

/* ---- pinholes ---- */

static void silences_rise_to_the_limit(void **state)
{
    for (int64_t limit = PINHOLE_LIMIT_LEAST_S; limit <= PINHOLE_LIMIT_MOST_S; limit++) {
        struct pinhole_sample s[PINHOLE_SAMPLES];
        size_t n = pinhole_plan(s, limit);
        assert_in_range(n, 1, PINHOLE_SAMPLES);
        assert_int_equal(s[n - 1].silence_s, limit);
        for (size_t i = 1; i < n; i++)
            assert_true(s[i].silence_s > s[i - 1].silence_s);
    }
}

static void pinholes_are_judged(void **state)
{
    static const struct {
        enum pinhole_state states[4];
        enum pinhole_method method;
        int64_t at_least, less_than;
    } cases[] = {
        {{PINHOLE_OPEN, PINHOLE_OPEN, PINHOLE_CLOSED, PINHOLE_CLOSED}, PINHOLE_BY_MAPPING, 20, 30},
        {{PINHOLE_CLOSED, PINHOLE_CLOSED, PINHOLE_CLOSED, PINHOLE_CLOSED}, PINHOLE_BY_MAPPING, -1, 10},
        {{PINHOLE_OPEN, PINHOLE_OPEN, PINHOLE_OPEN, PINHOLE_OPEN}, PINHOLE_BY_MAPPING, -1, -1},
        {{PINHOLE_OPEN, PINHOLE_OPEN, PINHOLE_OPEN, PINHOLE_OPEN}, PINHOLE_BY_RESPONSE_PORT, 40, -1},
        {{PINHOLE_OPEN, PINHOLE_UNSEEN, PINHOLE_CLOSED, PINHOLE_OPEN}, PINHOLE_BY_RESPONSE_PORT, 10, 30},
        {{0}, PINHOLE_BY_RESPONSE_PORT, -1, -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pinhole_sample s[4];
        for (size_t k = 0; k < 4; k++)
            s[k] = (struct pinhole_sample){10 * (int64_t)(k + 1), cases[i].states[k]};
        struct pinhole_found f = pinhole_judge(s, 4, cases[i].method);
        assert_int_equal(f.at_least_s, cases[i].at_least);
        assert_int_equal(f.less_than_s, cases[i].less_than);
    }
}

/* ---- questions ---- */

static const uint8_t txid[STUN_TXID_LEN] = "abcdefghijkl";

static void padding_makes_the_packet_that_was_asked_for(void **state)
{
    for (size_t size = 600; size <= MTU_MOST; size += MTU_STEP) {
        for (int v6 = 0; v6 < 2; v6++) {
            uint8_t bytes[STUN_MESSAGE_MAX];
            struct stun_msg m;
            struct ask a = {.to = at(v6 ? "[2001:db8::1]:5004" : "192.0.2.1:5004"), .packet_size = size};
            size_t len = ask_write(&a, txid, bytes, sizeof bytes);
            assert_int_equal(len + ask_overhead((enum addr_family)a.to.family), size);
            assert_int_equal(stun_parse(&m, bytes, len), 0);
        }
    }
}

static void questions_carry_what_is_asked(void **state)
{
    uint8_t bytes[STUN_MESSAGE_MAX];
    struct stun_msg m;
    struct stun_attr attr;
    struct ask a = {.to = at("192.0.2.1:5004"), .change = STUN_CHANGE_PORT, .response_port = 0x1234};
    size_t len = ask_write(&a, txid, bytes, sizeof bytes);
    assert_int_equal(stun_parse(&m, bytes, len), 0);
    assert_true(stun_find(&m, STUN_ATTR_CHANGE_REQUEST, &attr));
    assert_memory_equal(attr.value, "\0\0\0\2", 4);
    assert_true(stun_find(&m, STUN_ATTR_RESPONSE_PORT, &attr));
    assert_memory_equal(attr.value, "\x12\x34\0\0", 4);
    assert_int_equal(ask_write(&a, txid, bytes, 20), 0); /* no room */
}

static void only_its_own_answer_counts(void **state)
{
    uint8_t bytes[STUN_MESSAGE_MAX];
    struct stun_writer w;
    struct ask_reply r = {0};
    struct addr from = at("192.0.2.1:5004"), mapped = at("198.51.100.1:77"), other = at("192.0.2.2:5005");
    size_t len;
    stun_begin(&w, bytes, sizeof bytes, STUN_SUCCESS, STUN_BINDING, txid);
    stun_put_xor_addr(&w, STUN_ATTR_XOR_MAPPED_ADDRESS, &mapped);
    stun_put_addr(&w, STUN_ATTR_OTHER_ADDRESS, &other);
    assert_int_equal(stun_finish(&w, &len), 0);
    assert_true(ask_read(&r, txid, &from, bytes, len));
    assert_true(r.answered && r.error == 0);
    assert_true(addr_eq(&r.mapped, &mapped));
    assert_true(addr_eq(&r.other, &other));
    assert_true(addr_eq(&r.from, &from));
    for (size_t cut = 0; cut < len; cut++)
        assert_false(ask_read(&r, txid, &from, bytes, cut));
    assert_false(ask_read(&r, (const uint8_t *)"bbcdefghijkl", &from, bytes, len));
    stun_begin(&w, bytes, sizeof bytes, STUN_ERROR, STUN_BINDING, txid);
    stun_put_error(&w, 420, NULL);
    assert_int_equal(stun_finish(&w, &len), 0);
    assert_true(ask_read(&r, txid, &from, bytes, len));
    assert_int_equal(r.error, 420);
    assert_false(addr_is_set(&r.mapped));
    stun_begin(&w, bytes, sizeof bytes, STUN_SUCCESS, STUN_BINDING, txid);
    stun_put_xor_addr(&w, STUN_ATTR_XOR_MAPPED_ADDRESS, &mapped);
    stun_put_u32(&w, 0x7abc, 1); /* must be understood, and isn't: RFC 8489 6.3.3 */
    assert_int_equal(stun_finish(&w, &len), 0);
    assert_false(ask_read(&r, txid, &from, bytes, len));
    stun_begin(&w, bytes, sizeof bytes, STUN_REQUEST, STUN_BINDING, txid);
    assert_int_equal(stun_finish(&w, &len), 0);
    assert_false(ask_read(&r, txid, &from, bytes, len)); /* our own question, reflected */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_nat_is_told),
        cmocka_unit_test(what_cannot_be_told_is_unknown),
        cmocka_unit_test(one_socket_seen_by_several_nodes),
        cmocka_unit_test(every_mtu_is_found),
        cmocka_unit_test(silences_rise_to_the_limit),
        cmocka_unit_test(pinholes_are_judged),
        cmocka_unit_test(padding_makes_the_packet_that_was_asked_for),
        cmocka_unit_test(questions_carry_what_is_asked),
        cmocka_unit_test(only_its_own_answer_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
