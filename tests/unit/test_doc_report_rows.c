/* link: berth_core */
/* A report read straight from its text, its results above all: the same as by way of JSON, for what agents write, for
 * whatever is made of it by chance, and for what is nearly right. */
#include "check.h"

#include "core/doc.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MUTATIONS = 40000 };

#define HEAD                                                                                            \
    "{\"report_id\":\"00000000-0000-4000-8000-000000000000\",\"measured_at\":\"2026-01-01T00:00:00Z\"," \
    "\"network\":{\"id\":\"home\",\"mapped_addresses\":[\"198.51.100.7\"]},\"results\":["
#define NETWORK(members)                                                                                \
    "{\"report_id\":\"00000000-0000-4000-8000-000000000000\",\"measured_at\":\"2026-01-01T00:00:00Z\"," \
    "\"network\":{" members "},\"results\":[]}"
#define CALL                                                                                         \
    "{\"node\":\"n1\",\"transport\":\"udp\",\"seconds\":60,\"ended\":\"left\",\"note\":\"m]\\\"}\"," \
    "\"rtt_us\":{"                                                                                   \
    "\"min\":1,\"median\":2,\"p95\":3},\"checks\":4}"
#define ROW "{\"node\":\"n1\",\"transport\":\"udp\",\"status\":\"timeout\""
#define RIGHT                                                                                               \
    "{\"node\":\"n1\",\"transport\":\"tls\",\"status\":\"reachable\",\"address\":\"192.0.2.1:443\",\"rtt_"  \
    "us\":"                                                                                                 \
    "{\"min\":1,\"median\":20,\"p95\":300},\"sent\":5,\"received\":4,\"connect_us\":0,\"tls_us\":60000000," \
    "\"mapped_address\":\"[2001:db8::1]:9\",\"framing\":\"websocket\"}"

/* Whether the short way took it. Where it did, the long one ends in the same report. */
static bool taken(const char *text, size_t len)
{
    struct doc_error e = {0};
    struct report r = {0}, r_long;
    int rc = report_read(text, len, &r);
    if (rc != 0) {
        assert_int_equal(rc, -EAGAIN);
        assert_null(r.results);
        return false;
    }
    json_t *j = doc_parse(text, len, &e);
    assert_non_null(j);
    assert_int_equal(report_from_json(j, &r_long, &e), 0);
    json_t *a = report_to_json(&r), *b = report_to_json(&r_long);
    assert_true(json_equal(a, b));
    json_decref(a);
    json_decref(b);
    report_clear(&r);
    report_clear(&r_long);
    json_decref(j);
    return true;
}

static void plain_ones_are_taken(void **state)
{
    static const char *const texts[] = {
        HEAD "]}",
        HEAD ROW "}]}",
        HEAD RIGHT "," ROW "}]}",
        " \t\r\n" HEAD " " ROW " , \n\"sent\" : 0 } , " RIGHT " ] , \"calls\" : [ ] } \n",
        HEAD "],\"agent\":\"a.1\",\"capabilities\":[]}",
        HEAD "],\"capabilities\":[\"tls\",\"udp\"],\"calls\":[" CALL "," CALL "]}",
        "{\"capabilities\":[\"proxy\"],\"agent\":\"b\",\"results\":[" ROW
        "}],\"network\":{\"mapped_addresses\":[],\"id\":"
        "\"x\"},\"measured_at\":\"2026-01-01T01:00:00.5+01:00\",\"report_id\":\"ABCDEF00-0000-4000-8000-"
        "00000000000F\"}",
        "{\"report_id\":\"00000000-0000-4000-8000-000000000000\",\"measured_at\":\"2026-01-01T00:00:00Z\","
        "\"network\":"
        "{\"id\":\"home\"},\"results\":[]}",
        HEAD ROW ",\"mapped_address\":\"255.255.255.255:65535\"}]}",
        HEAD ROW ",\"mapped_address\":\"0.0.0.0:1\"}]}",
        HEAD ROW ",\"mapped_address\":\"192.0.2.1:00443\"}]}",
        HEAD ROW ",\"mapped_address\":\"192.0.2.1\"}]}",
        /* members and figures in another order, or apart; what the row before had, its beginning, and what begins with it */
        HEAD "{\"status\":\"reachable\",\"rtt_us\":{\"p95\":3,\"min\":1,\"median\":2},\"framing\":\"stun\","
             "\"transport\":\"tcp\",\"node\":\"n1\"}]}",
        HEAD RIGHT ",{\"node\" : \"n1\",\"transport\": \"tcp\",\"status\": \"reachable\",\"rtt_us\": "
                   "{\"min\":1,\"median\":"
                   " 2,\"p95\":3}}]}",
        HEAD ROW
        ",\"address\":\"192.0.2.1:443\"},{\"node\":\"n11\",\"transport\":\"udp\",\"status\":\"refused\","
        "\"address\":\"192.0.2.1:5004\",\"mapped_address\":\"192.0.2.1:5\"},"
        "{\"node\":\"n\",\"transport\":\"tcp\",\"status\":\"timeout\",\"address\":\"192.0.2.11:443\","
        "\"mapped_address\":\"192.0.2.1:65535\"}]}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (!taken(texts[i], strlen(texts[i])))
            fail_msg("not taken: %s", texts[i]);
    }
}

static const char *const others[] = {
    "",
    "[]",
    "{}",
    "\"results\"",
    "{\"results\":{}}",
    "{\"a\":{\"results\":[]}}",
    "{\"results\":[]",
    "{\"results\":[]}}",
    HEAD "],\"more\":{}}", /* one that isn't known */
    HEAD "]} x",
    HEAD "],}",
    HEAD "],\"agent\":\"a\",\"agent\":\"a\"}",
    HEAD "],\"agent\":\"a b\"}",
    HEAD "],\"agent\":null}",
    HEAD "],\"capabilities\":[\"udp\",\"udp\"]}",
    HEAD "],\"capabilities\":[\"sctp\"]}",
    HEAD "],\"capabilities\":[\"udp\",]}",
    HEAD "],\"calls\":{}}",
    HEAD "],\"calls\":[1]}",
    HEAD "],\"calls\":[}}",
    HEAD "],\"calls\":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}",
    HEAD "],\"calls\":[\"\\",
    HEAD "],\"report_id\":\"00000000-0000-4000-8000-000000000000\"}",
    HEAD ROW "}," ROW "}]}", /* a pair twice */
    "{\"results\":[" RIGHT "],\"report_id\":\"x\"}",
    "{\"report_id\":\"00000000-0000-4000-8000-000000000000\",\"measured_at\":\"2026-01-01\",\"network\":{"
    "\"id\":"
    "\"home\"},\"results\":[]}",
    NETWORK(""),
    NETWORK("\"mapped_addresses\":[]"),
    NETWORK("\"id\":\"a b\",\"id\":\"home\""),
    NETWORK("\"id\":\"home\",\"id\":\"home\""),
    NETWORK("\"id\":\"home\",\"more\":1"),
    NETWORK("\"id\":\"home\",\"mapped_addresses\":[\"x\"]"),
    NETWORK("\"id\":\"home\",\"mapped_addresses\":[\"192.0.2.1\"],\"mapped_addresses\":[]"),
    HEAD "],\"results\":[]}",         /* twice */
    HEAD "],\"r\\u0065sults\":[]}",   /* twice, once in disguise */
    "{\"r\\u0065sults\":[" ROW "}]}", /* in disguise */
    HEAD ROW "},]}",
    HEAD ROW ",}]}",
    HEAD ROW "}{}]}",
    HEAD "[]]}",
    HEAD "null]}",
    HEAD ROW "]}",
    HEAD ROW ",\"node\":\"n2\"}]}", /* a member twice */
    HEAD ROW ",\"extra\":1}]}",     /* one that isn't known */
    HEAD ROW ",\"sent\":-1}]}",
    HEAD ROW ",\"sent\":01}]}",
    HEAD ROW ",\"sent\":1.0}]}",
    HEAD ROW ",\"sent\":1e1}]}",
    HEAD ROW ",\"sent\":1000001}]}",
    HEAD ROW ",\"sent\":}]}",
    HEAD ROW ",\"sent\":\"1\"}]}",
    HEAD ROW ",\"sent\":null}]}",
    HEAD ROW ",\"sent\":99999999999999999999}]}",
    HEAD ROW ",\"tls_us\":60000001}]}",
    HEAD ROW ",\"sent\":1,\"received\":2}]}",
    HEAD "{\"node\":\"n1\",\"transport\":\"udp\",\"status\":\"reachable\"}]}",
    HEAD "{\"node\":\"n1\",\"transport\":\"udp\"}]}",
    HEAD "{\"node\":\"n 1\",\"transport\":\"udp\",\"status\":\"timeout\"}]}",
    HEAD "{\"node\":\"n\\u0031\",\"transport\":\"udp\",\"status\":\"timeout\"}]}",
    HEAD "{\"node\":\"\",\"transport\":\"udp\",\"status\":\"timeout\"}]}",
    HEAD "{\"node\":\"n1\",\"transport\":\"UDP\",\"status\":\"timeout\"}]}",
    HEAD ROW ",\"framing\":\"none\"}]}",
    HEAD ROW ",\"address\":\"192.0.2.1\"}]}",
    HEAD ROW ",\"address\":\"192.0.2.1:0\"}]}",
    HEAD ROW ",\"mapped_address\":\"x\"}]}",
    HEAD ROW ",\"mapped_address\":\"\"}]}",
    HEAD ROW ",\"mapped_address\":\"256.0.2.1:1\"}]}",
    HEAD ROW ",\"mapped_address\":\"1920.0.2.1:1\"}]}",
    HEAD ROW ",\"mapped_address\":\"192.0.02.1:1\"}]}",
    HEAD ROW ",\"mapped_address\":\"192.0.2.1:65536\"}]}",
    HEAD ROW ",\"mapped_address\":\"192.0.2.1:443000\"}]}",
    HEAD ROW ",\"mapped_address\":\"192.0.2.1:1x\"}]}",
    HEAD ROW ",\"mapped_address\":\"192.0.2.1:\"}]}",
    HEAD ROW ",\"mapped_address\":\"192.0.2:1\"}]}",
    HEAD ROW ",\"mapped_address\":\"192.0.2.1.1:1\"}]}",
    HEAD ROW ",\"framing\":\"stun\n\"}]}",
    HEAD ROW ",\"framing\":\"stun\t\"}]}",
    HEAD ROW ",\"framing\":\"stu\"}]}",
    HEAD ROW ",\"rtt_us\":{\"min\":1,\"median\":2}}]}",
    HEAD ROW ",\"rtt_us\":{\"min\":3,\"median\":2,\"p95\":4}}]}",
    HEAD ROW ",\"rtt_us\":{\"min\":1,\"min\":1,\"median\":2,\"p95\":4}}]}",
    HEAD ROW ",\"rtt_us\":{}}]}",
    HEAD ROW ",\"rtt_us\":{\"min\":1,\"median\":2,\"p95\":4,\"min\":1}}]}",
    HEAD ROW ",\"rtt_us\":{\"min\":1,\"median\":2,\"p95\":60000001}}]}",
    HEAD ROW ",\"address\":\"192.0.2.1:443\"},{\"node\":\"n2\",\"transport\":\"udp\",\"status\":\"timeout\","
             "\"address\":\"192.0.2.1:0\"}]}",
    HEAD "{\"node\":\"n1\",\"transport\":\"udp\",\"status\":\"reachable\",\"rtt\":{}}]}",
    HEAD ROW ",\"via_proxy\":{\"url\":\"http://p\"}}]}",
};

static void others_are_left(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (taken(others[i], strlen(others[i])))
            fail_msg("taken: %s", others[i]);
    }
}

static void every_length_off_by_one(void **state)
{
    static const char text[] =
        HEAD RIGHT "," ROW "}],\"agent\":\"a\",\"capabilities\":[\"udp\"],\"calls\":[" CALL "]}";
    (void)state;
    for (size_t len = 0; len < sizeof(text) - 1; len++) {
        char *cut = malloc(len + 1); /* the sanitizer sees a look past its end */
        assert_non_null(cut);
        memcpy(cut, text, len);
        assert_false(taken(cut, len));
        free(cut);
    }
}

/* What chance makes of it is taken or not; where it is, both ways agree. */
static void chance(void **state)
{
    static const char text[] = HEAD RIGHT
        "," ROW
        ",\"sent\":12,\"received\":3}],\"agent\":\"a1\",\"capabilities\":[\"udp\",\"tls\"],\"calls\":[" CALL
        "]}",
                      bytes[] = "\",:{}[]\\0123456789eE.- nmsu\x80\x01";
    uint64_t seed = 0x9e3779b97f4a7c15U;
    size_t n_taken = 0;
    (void)state;
    for (size_t i = 0; i < MUTATIONS; i++) {
        char copy[sizeof(text)];
        memcpy(copy, text, sizeof(text));
        for (uint64_t k = check_random(&seed) % 3 + 1; k > 0; k--)
            copy[check_random(&seed) % (sizeof(text) - 1)] = bytes[check_random(&seed) % (sizeof(bytes) - 1)];
        n_taken += taken(copy, sizeof(text) - 1);
    }
    assert_true(n_taken > MUTATIONS / 100); /* digits and names may change */
}

static void more_rows_than_there_may_be(void **state)
{
    size_t cap = 128 * (REPORT_RESULTS_MAX + 2), len = 0;
    char *text = malloc(cap);
    (void)state;
    assert_non_null(text);
    for (size_t rows = REPORT_RESULTS_MAX; rows <= REPORT_RESULTS_MAX + 1; rows++) {
        len = (size_t)snprintf(text, cap, "%s", HEAD);
        for (size_t i = 0; i < rows; i++)
            len += (size_t)snprintf(text + len, cap - len,
                                    "%s{\"node\":\"n%zu\",\"transport\":\"udp\",\"status\":\"timeout\"}",
                                    i > 0 ? "," : "", i);
        len += (size_t)snprintf(text + len, cap - len, "]}");
        assert_int_equal(taken(text, len), rows == REPORT_RESULTS_MAX);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_ones_are_taken),        cmocka_unit_test(others_are_left),
        cmocka_unit_test(every_length_off_by_one),     cmocka_unit_test(chance),
        cmocka_unit_test(more_rows_than_there_may_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
