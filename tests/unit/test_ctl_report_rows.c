/* link: berth_controller_lib */
/* Reports to rows and back, through PGresults as libpq makes them; and the arrays in between. */
#include "check.h"
#include "pgarray.h"
#include "report_store.h"

#include <errno.h>
#include <libpq-fe.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- arrays ---- */

static int count_of(const char *text)
{
    struct pgarray a = pgarray_open(text);
    char out[16];
    bool null;
    int n = 0, r;

    while ((r = pgarray_next(&a, out, sizeof(out), &null)) == 1)
        n++;
    return r == 0 ? n : r;
}

static void test_array_text(void **state)
{
    struct pgarray a = pgarray_open("{a,\"b \\\"c\\\\\",NULL,\"NULL\",\"\"}");
    static const char *const want[] = {"a", "b \"c\\", "", "NULL", ""};
    char out[16];
    bool null;

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(pgarray_next(&a, out, sizeof(out), &null), 1);
        assert_string_equal(out, want[i]);
        assert_int_equal(null, i == 2);
    }
    assert_int_equal(pgarray_next(&a, out, sizeof(out), &null), 0);
    assert_int_equal(count_of("{}"), 0);
    assert_int_equal(count_of("{1,2,3}"), 3);
}

static void test_broken_arrays(void **state)
{
    static const char *const broken[] = {"",
                                         "a",
                                         "{",
                                         "{a",
                                         "{a,",
                                         "{a,}",
                                         "{,a}",
                                         "{,}",
                                         "{\"a",
                                         "{\\",
                                         "{a}b",
                                         "{\"a\"b}",
                                         "{a\\",
                                         "{}}",
                                         "{\"a\"",
                                         "{\"\\",
                                         "{aaaaaaaaaaaaaaaa}"};

    (void)state;
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
        assert_int_equal(count_of(broken[i]), -EBADMSG);
}

/* Whatever the bytes are, reading ends within them. */
static void test_random_arrays(void **state)
{
    static const char alphabet[] = "{},\"\\a1N";
    uint64_t seed = 7;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        size_t len = check_random(&seed) % 12;
        char *text = malloc(len + 1);
        assert_non_null(text);
        for (size_t i = 0; i < len; i++)
            text[i] = alphabet[check_random(&seed) % (sizeof(alphabet) - 1)];
        text[len] = '\0';
        assert_true(count_of(text) >= -EBADMSG);
        free(text);
    }
}

static void test_ints(void **state)
{
    static const char *const broken[] = {"",    "{",     "{1",   "{1,", "{,1}", "{1,}",
                                         "{-}", "{--1}", "{1}}", "1}",  "{+1}", "{ 1}"};
    int64_t v[3];

    (void)state;
    assert_int_equal(pgarray_ints("{1,-1,2147483647}", v, 3), 0);
    assert_true(v[0] == 1 && v[1] == -1 && v[2] == INT32_MAX);
    assert_int_equal(pgarray_ints("{1,2}", v, 3), -EBADMSG);
    assert_int_equal(pgarray_ints("{1,2,3,4}", v, 3), -EBADMSG);
    assert_int_equal(pgarray_ints("{1,NULL,3}", v, 3), -EBADMSG);
    assert_int_equal(pgarray_ints("{1,x,3}", v, 3), -EBADMSG);
    assert_int_equal(pgarray_ints("{}", v, 0), 0);
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
        assert_int_equal(pgarray_int_list(broken[i], v, 3), -EBADMSG);
    assert_int_equal(pgarray_int_list("{}", v, 0), 0);
    assert_int_equal(pgarray_int_list("{7,8}", v, 3), 2);
    assert_int_equal(pgarray_int_list("{1,2,3,4}", v, 3), -EBADMSG);
    assert_int_equal(pgarray_int_list("{-999999999999999999}", v, 3), 1);
    assert_true(v[0] == -999999999999999999);
    assert_int_equal(pgarray_int_list("{1000000000000000000}", v, 3), -EBADMSG); /* PGARRAY_DIGITS_MAX */
    assert_true(pgarray_most("{1,2,3}") == 3 && pgarray_most("{}") == 1);
}

static void test_binary(void **state)
{
    static const uint8_t want[] = {0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 21, 0, 0, 0,    2,
                                   0, 0, 0, 1, 0, 0, 0, 2, 0, 7, 0, 0,  0, 2, 0xff, 0xff};
    static const uint8_t wide[] = {0, 0, 0, 4, 1, 2, 3, 4, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xfe};
    uint8_t out[64];
    struct wire_wr w = wire_wr_init(out, sizeof(out));

    (void)state;
    pgarray_int2s(&w, (const int16_t[]){7, -1}, 2);
    assert_int_equal(wire_wr_len(&w), pgarray_int_size(2, 2));
    assert_memory_equal(out, want, sizeof(want));
    w = wire_wr_init(out, sizeof(out));
    pgarray_int4s(&w, (const int32_t[]){0x01020304, -2}, 2);
    assert_int_equal(wire_wr_len(&w), pgarray_int_size(2, 4));
    assert_memory_equal(out + PGARRAY_HEADER, wide, sizeof(wide));
    w = wire_wr_init(out, sizeof(out));
    pgarray_int4s(&w, NULL, 0);
    assert_int_equal(wire_wr_len(&w), 12);
    w = wire_wr_init(out, PGARRAY_HEADER + 15);
    pgarray_int4s(&w, (const int32_t[]){1, 2}, 2);
    assert_true(w.bad);
}

/* ---- rows ---- */

/* The row's parameters as the server would print them: binary arrays to text. */
static void print_array(const struct db_param *p, char *out, size_t cap)
{
    struct wire_rd rd = wire_rd_init(p->value, p->len);
    uint32_t dims = wire_rd_u32(&rd), n = 0;
    size_t at = 0;

    (void)wire_rd_u32(&rd);
    uint32_t oid = wire_rd_u32(&rd);
    if (dims == 1) {
        n = wire_rd_u32(&rd);
        (void)wire_rd_u32(&rd);
    }
    at += (size_t)snprintf(out, cap, "{");
    for (uint32_t i = 0; i < n; i++) {
        uint32_t len = wire_rd_u32(&rd);
        struct slice s = wire_rd_bytes(&rd, len);
        const char *comma = i > 0 ? "," : "";
        if (oid == PGARRAY_TEXT_OID)
            at += (size_t)snprintf(out + at, cap - at, "%s\"%.*s\"", comma, (int)s.len, (const char *)s.p);
        else if (oid == PGARRAY_INT2_OID)
            at += (size_t)snprintf(out + at, cap - at, "%s%d", comma, (int16_t)(s.p[0] << 8 | s.p[1]));
        else
            at += (size_t)snprintf(
                out + at, cap - at, "%s%d", comma,
                (int32_t)((uint32_t)s.p[0] << 24 | (uint32_t)s.p[1] << 16 | (uint32_t)s.p[2] << 8 | s.p[3]));
    }
    assert_false(rd.bad);
    assert_int_equal(wire_rd_left(&rd), 0);
    snprintf(out + at, cap - at, "}");
}

enum { FIELD_MAX = 1 << 16 };

/* Which parameter of the insert is which column of REPORT_COLUMNS. */
static const int param_of[REPORT_COLUMNS_N] = {1,  2,  3,  -1, -1, 5,  6,  7,  8,  9,  10, 11, 12,
                                               13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 27};

static PGresult *as_result(const struct report_row *row)
{
    static char text[FIELD_MAX];
    PGresAttDesc columns[REPORT_COLUMNS_N];
    PGresult *res = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);

    memset(columns, 0, sizeof(columns));
    for (int i = 0; i < REPORT_COLUMNS_N; i++)
        columns[i].name = text;
    text[0] = '\0';
    assert_int_equal(PQsetResultAttrs(res, REPORT_COLUMNS_N, columns), 1);
    for (int i = 0; i < REPORT_COLUMNS_N; i++) {
        const struct db_param *p = param_of[i] >= 0 ? &row->params[param_of[i]] : NULL;
        char *value = text;
        int len;
        if (p == NULL)
            snprintf(text, sizeof(text), "1800000000000000");
        else if (p->binary)
            print_array(p, text, sizeof(text));
        else if (p->value == NULL)
            value = NULL;
        else
            snprintf(text, sizeof(text), "%s", (const char *)p->value);
        len = value != NULL ? (int)strlen(value) : -1;
        assert_int_equal(PQsetvalue(res, 0, i, value, len), 1);
    }
    return res;
}

static struct report parse(const char *json)
{
    struct report r;
    struct doc_error e;
    json_t *j = json_loads(json, 0, NULL);

    assert_non_null(j);
    assert_int_equal(report_from_json(j, &r, &e), 0);
    json_decref(j);
    return r;
}

#define HEAD                                                                                                 \
    "{\"report_id\":\"11111111-2222-3333-4444-555555555555\",\"agent\":\"a1\",\"network\":{\"id\":\"home\"," \
    "\"mapped_addresses\":[\"192.0.2.9\",\"[2001:db8::9]:77\"]},\"measured_at\":\"2026-01-02T03:04:05."      \
    "678901Z\","

static const char *const documents[] = {
    HEAD "\"results\":[]}",
    HEAD
    "\"results\":[],\"calls\":[{\"node\":\"n1\",\"transport\":\"tcp\",\"seconds\":9,\"rtt_us\":{\"min\":1,"
    "\"median\":2,\"p95\":3},\"ended\":\"left\",\"expected\":{\"transport\":\"udp\",\"rtt_us\":7,"
    "\"predicted\":false}}]}",
    HEAD "\"capabilities\":[],\"results\":[{\"node\":\"n1\",\"transport\":\"udp\",\"status\":\"timeout\"}]}",
    HEAD "\"capabilities\":[\"udp\",\"proxy\"],\"results\":["
         "{\"node\":\"NULL\",\"transport\":\"udp\",\"status\":\"reachable\",\"address\":\"192.0.2.1:5004\","
         "\"rtt_us\":{\"min\":1,"
         "\"median\":2,\"p95\":60000000},\"sent\":5,\"received\":4,\"mapped_address\":\"192.0.2.9:1\"},"
         "{\"node\":\"NULL\",\"transport\":\"tls\",\"status\":\"reachable\",\"address\":\"[2001:db8::1]:"
         "443\",\"rtt_us\":{\"min\":0,"
         "\"median\":0,\"p95\":0},\"connect_us\":7,\"tls_us\":8,\"framing\":\"websocket\"},"
         "{\"node\":\"n2\",\"transport\":\"proxy\",\"status\":\"reachable\",\"address\":\"192.0.2.1:5004\","
         "\"rtt_us\":{\"min\":1,"
         "\"median\":2,\"p95\":3},\"via_proxy\":{\"url\":\"http://"
         "p:1\",\"scheme\":\"http\",\"auth\":\"basic\",\"tls_intercepted\":true},"
         "\"framing\":\"stun\"},"
         "{\"node\":\"n2\",\"transport\":\"tls\",\"status\":\"tls_error\",\"via_proxy\":{\"tls_intercepted\":"
         "true}}]}",
};

static void test_there_and_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
        struct report r = parse(documents[i]);
        struct report_row row;
        struct stored_report back;
        assert_int_equal(report_row_encode(&row, &r, "oabc", "a1", 7200, ""), 0);
        PGresult *res = as_result(&row);
        assert_int_equal(report_row_decode(&back, res, 0, 0), 0);
        json_t *sent = report_to_json(&r), *got;
        back.report.measured_at_us = r.measured_at_us; /* the server turns it into a timestamp and back */
        got = report_to_json(&back.report);
        assert_true(json_equal(sent, got));
        assert_true(back.expires_at_us == 1800000000000000);
        json_decref(sent);
        json_decref(got);
        report_clear(&back.report);
        PQclear(res);
        report_row_clear(&row);
        report_clear(&r);
    }
}

/* A row that was tampered with is refused, never misread. */
static void test_broken_rows(void **state)
{
    static const char *const values[] = {"{99}", "{-1}",   "{}",  "{1,1,1,1,1}", "garbage",
                                         "",     "{NULL}", "{x}", "[]",          "{\"1\":{}}"};
    struct report r = parse(documents[3]);
    struct report_row row;
    int broken = 0;

    (void)state;
    assert_int_equal(report_row_encode(&row, &r, "oabc", "a1", 7200, ""), 0);
    for (int col = 6; col < REPORT_COLUMNS_N; col++) {
        for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
            PGresult *res = as_result(&row);
            struct stored_report back;
            char value[32];
            snprintf(value, sizeof(value), "%s", values[i]);
            assert_int_equal(PQsetvalue(res, 0, col, value, (int)strlen(value)), 1);
            int e = report_row_decode(&back, res, 0, 0);
            assert_true(e == 0 || e == -EBADMSG);
            broken += e != 0;
            if (e == 0)
                report_clear(&back.report);
            PQclear(res);
        }
    }
    assert_true(broken > 100);
    report_row_clear(&row);
    report_clear(&r);
}

/* The columns of REPORT_BRIEF_COLUMNS among REPORT_COLUMNS. */
static const int brief_of[REPORT_BRIEF_COLUMNS_N] = {0, 7, 8, 10, 11, 12, 16, 19, 20};

static PGresult *as_brief(const struct report_row *row)
{
    PGresult *all = as_result(row), *res = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc columns[REPORT_BRIEF_COLUMNS_N];
    char name[] = "";

    memset(columns, 0, sizeof(columns));
    for (int i = 0; i < REPORT_BRIEF_COLUMNS_N; i++)
        columns[i].name = name;
    assert_int_equal(PQsetResultAttrs(res, REPORT_BRIEF_COLUMNS_N, columns), 1);
    for (int i = 0; i < REPORT_BRIEF_COLUMNS_N; i++) {
        int from = brief_of[i], len = PQgetisnull(all, 0, from) ? -1 : PQgetlength(all, 0, from);
        assert_int_equal(PQsetvalue(res, 0, i, len < 0 ? NULL : PQgetvalue(all, 0, from), len), 1);
    }
    PQclear(all);
    return res;
}

/* The brief says what the whole says. */
static void test_brief(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
        struct report r = parse(documents[i]);
        struct report_row row;
        struct report_brief b;
        assert_int_equal(report_row_encode(&row, &r, "oabc", "a1", 7200, ""), 0);
        PGresult *res = as_brief(&row);
        assert_int_equal(report_brief_decode(&b, res, 0, 0), 0);
        assert_string_equal(b.agent, "a1");
        assert_true(b.has_capabilities == r.has_capabilities && b.capabilities == r.capabilities);
        assert_int_equal(b.n_results, r.n_results);
        for (size_t k = 0; k < r.n_results; k++) {
            assert_string_equal(b.names[b.results[k].name].id, r.results[k].node);
            assert_int_equal(b.results[k].transport, r.results[k].transport);
            assert_int_equal(b.results[k].status, r.results[k].status);
            assert_int_equal(b.results[k].rtt_min_us, r.results[k].rtt_min_us);
            assert_int_equal(b.results[k].sent, report_count(r.results[k].sent));
            assert_int_equal(b.results[k].lost, report_lost(b.results[k].sent, r.results[k].received));
        }
        report_brief_clear(&b);
        PQclear(res);
        report_row_clear(&row);
        report_clear(&r);
    }
}

static void test_counts_of_a_brief(void **state)
{
    (void)state;
    assert_int_equal(report_count(NOT_MEASURED), 0);
    assert_int_equal(report_count(255), 255);
    assert_int_equal(report_count(1000), 255);
    assert_int_equal(report_lost(5, 3), 2);
    assert_int_equal(report_lost(5, 6), 0);
    assert_int_equal(report_lost(5, NOT_MEASURED), 0);
    assert_int_equal(report_lost(0, 0), 0);
}

static void test_broken_briefs(void **state)
{
    static const char *const values[] = {"{99}",    "{-2}", "{}",     "{1,1,1,1,1}",
                                         "garbage", "",     "{NULL}", "{0,0,0,99999999999}"};
    struct report r = parse(documents[3]);
    struct report_row row;
    int broken = 0;

    (void)state;
    assert_int_equal(report_row_encode(&row, &r, "oabc", "a1", 7200, ""), 0);
    for (int col = 2; col < REPORT_BRIEF_COLUMNS_N; col++) {
        for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
            PGresult *res = as_brief(&row);
            struct report_brief b;
            char value[32];
            snprintf(value, sizeof(value), "%s", values[i]);
            assert_int_equal(PQsetvalue(res, 0, col, value, (int)strlen(value)), 1);
            int e = report_brief_decode(&b, res, 0, 0);
            assert_true(e == 0 || e == -EBADMSG);
            broken += e != 0;
            if (e == 0)
                report_brief_clear(&b);
            PQclear(res);
        }
    }
    assert_true(broken > 30);
    report_row_clear(&row);
    report_clear(&r);
}

/* More positions than a report has rows. */
static void test_too_many_rows(void **state)
{
    struct report r = parse(documents[3]);
    struct report_row row;
    struct report_brief b;
    struct stored_report back;
    size_t len = 2 * (REPORT_RESULTS_MAX + 1) + 1;
    char *text = malloc(len + 1);

    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < len; i++)
        text[i] = i % 2 == 0 ? ',' : '1';
    text[0] = '{';
    text[len - 1] = '}';
    text[len] = '\0';
    assert_int_equal(report_row_encode(&row, &r, "oabc", "a1", 7200, ""), 0);
    PGresult *brief = as_brief(&row), *whole = as_result(&row);
    assert_int_equal(PQsetvalue(brief, 0, 3, text, (int)len), 1);
    assert_int_equal(PQsetvalue(whole, 0, 10, text, (int)len), 1);
    assert_int_equal(report_brief_decode(&b, brief, 0, 0), -EBADMSG);
    assert_int_equal(report_row_decode(&back, whole, 0, 0), -EBADMSG);
    PQclear(brief);
    PQclear(whole);
    free(text);
    report_row_clear(&row);
    report_clear(&r);
}

/* Each parameter once, from 1 on, and no more of them than a statement may have. */
static void test_insert_texts(void **state)
{
    (void)state;
    for (size_t rows = 1; REPORT_INSERT_PARAMS + rows * REPORT_PARAMS <= DB_PARAMS_MAX; rows *= 2) {
        char *text = report_insert_text(rows);
        size_t n = 0;
        assert_non_null(text);
        for (const char *p = strchr(text, '$'); p != NULL; p = strchr(p + 1, '$'), n++)
            assert_int_equal(strtoul(p + 1, NULL, 10),
                             n < rows * REPORT_PARAMS ? REPORT_INSERT_PARAMS + n + 1 : 1);
        assert_int_equal(n, REPORT_INSERT_PARAMS + rows * REPORT_PARAMS);
        free(text);
    }
}

static int setup(void **state)
{
    (void)state;
    return sodium_init() < 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_array_text),    cmocka_unit_test(test_broken_arrays),
        cmocka_unit_test(test_random_arrays), cmocka_unit_test(test_ints),
        cmocka_unit_test(test_binary),        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_brief),         cmocka_unit_test(test_counts_of_a_brief),
        cmocka_unit_test(test_broken_briefs), cmocka_unit_test(test_too_many_rows),
        cmocka_unit_test(test_broken_rows),   cmocka_unit_test(test_insert_texts),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
