/* link: berth_replay */
/* The replay's CSV files: what they mean, and that every fault is named with its file and line. */
#include "replay_world.h"

#include "loadtest/replay/csv.h"

#include <errno.h>
#include <stdio.h>

#define NODES "node,site,region,class,capacity,weight\n"

static void fields_and_quotes(void **state)
{
    const char *text = "\xef\xbb\xbf"
                       "a,\"b,\"\"c\"\"\",\r\n\n,\nlast";
    struct csv *c = malloc(sizeof *c);
    struct replay_error e;
    char *copy = text_copy(text, strlen(text));
    csv_init(c, "x.csv", copy, strlen(text));
    assert_int_equal(csv_next(c, &e), 1);
    assert_int_equal(c->n, 3);
    assert_string_equal(c->fields[0], "a");
    assert_string_equal(c->fields[1], "b,\"c\"");
    assert_string_equal(c->fields[2], "");
    assert_int_equal(csv_next(c, &e), 1);
    assert_int_equal(c->n, 2);
    assert_int_equal(c->line, 3);
    assert_int_equal(csv_next(c, &e), 1);
    assert_string_equal(c->fields[0], "last");
    assert_int_equal(csv_next(c, &e), 0);
    free(copy);
    free(c);
}

static void too_many_columns(void **state)
{
    struct csv *c = malloc(sizeof *c);
    struct replay_error e;
    for (size_t commas = CSV_FIELDS_MAX - 1; commas <= CSV_FIELDS_MAX; commas++) {
        char *text = malloc(commas + 1);
        memset(text, ',', commas);
        csv_init(c, "x.csv", text, commas);
        assert_int_equal(csv_next(c, &e), commas < CSV_FIELDS_MAX ? 1 : -EINVAL);
        free(text);
    }
    assert_non_null(strstr(e.text, "x.csv:1: more than 4097 columns"));
    free(c);
}

static void figures(void **state)
{
    static const char *const wrong[] = {"",    " 1",  "1 ", "nan", "inf",   "-1",  "-0.001", "0x10",
                                        "1e9", "1,5", "10", "x",   "1e999", "--1", "1e"};
    struct csv *c = calloc(1, sizeof *c);
    struct replay_error e;
    int64_t us = -1;
    char text[16];
    c->file = "x.csv";
    c->n = 1;
    c->fields[0] = text;
    snprintf(text, sizeof text, "9.9996");
    assert_int_equal(csv_ms(c, 0, "rtt", 10 * 1000, &us, &e), 0);
    assert_int_equal(us, 10000);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        snprintf(text, sizeof text, "%s", wrong[i]);
        if (csv_ms(c, 0, "rtt", 9999, &us, &e) != -EINVAL)
            fail_msg("'%s' was taken for %lld us", text, (long long)us);
    }
    free(c);
}

static void a_world(void **state)
{
    struct world w = {0};
    struct replay_error e;
    assert_int_equal(read_nodes(&w, NODES "a,s1,eu,cloud,10,2\nb,s2,,mesh,,\nc,s2,us,cloud,0,1\n", &e), 0);
    assert_int_equal(w.nodes.n, 3);
    assert_int_equal(w.node[0].capacity, 10);
    assert_true(w.node[0].weight == 2);
    assert_true(w.node[1].mesh);
    assert_string_equal(w.node[1].region, "none");
    /* node b has a column of its own; c goes by its site's; x is nobody's */
    assert_int_equal(read_matrix(&w, ",s1,b,s2,x\nhome,1,2.5,3,9\ns1,0,20,30,\ns2,40,,,\n", &e), 0);
    assert_int_equal(w.truth.n_sites, 3);
    assert_int_equal(matrix_row(&w.truth, 0)[1], 2500);
    assert_int_equal(matrix_row(&w.truth, 0)[2], 3000);
    assert_int_equal(matrix_row(&w.truth, 2)[1], WORLD_FAR_US);
    assert_int_equal(matrix_between(&w.truth, 0, 1), 30000); /* the mean of both ways */
    assert_int_equal(matrix_between(&w.truth, 1, 0), 30000);
    assert_int_equal(matrix_between(&w.truth, 0, 2), 35000);
    assert_int_equal(matrix_between(&w.truth, 1, 2), 0); /* one site */
    world_clear(&w);
}

static void measured(void **state)
{
    static const char text[] = ",a,b\nb,,\nhome,,7\n";
    struct world w = {0};
    struct matrix m = {0};
    struct replay_error e;
    assert_int_equal(read_nodes(&w, NODES "a,a,eu,cloud,,\nb,b,eu,cloud,,\n", &e), 0);
    assert_int_equal(read_matrix(&w, ",a,b\nhome,1,2\naway,,2\na,0,20\nb,20,0\n", &e), 0);
    char *copy = text_copy(text, strlen(text));
    assert_int_equal(world_read_measured(&w, "m.csv", copy, strlen(text), &m, &e), 0);
    free(copy);
    assert_int_equal(matrix_row(&m, 0)[0], WORLD_UNKNOWN); /* there is a figure, and it wasn't measured */
    assert_int_equal(matrix_row(&m, 0)[1], 7000);
    assert_int_equal(matrix_row(&m, 1)[0], WORLD_UNKNOWN); /* no row */
    assert_int_equal(matrix_between(&m, 0, 1), WORLD_UNKNOWN);
    matrix_clear(&m);
    world_clear(&w);
}

static void expect(const char *nodes, const char *matrix, const char *where)
{
    struct world w = {0};
    struct replay_error e = {{0}};
    int answer = read_nodes(&w, nodes, &e);
    if (answer == 0 && matrix)
        answer = read_matrix(&w, matrix, &e);
    if (answer != -EINVAL || strncmp(e.text, where, strlen(where)) != 0)
        fail_msg("%d '%s' where '%s' was expected", answer, e.text, where);
    world_clear(&w);
}

static void faults(void **state)
{
    static const char good[] = NODES "a,a,eu,cloud,,\nb,b,eu,cloud,,\n";
    expect("", NULL, "N.csv: no column 'node'");
    expect("node,site,region,class,capacity\n", NULL, "N.csv:1: no column 'weight'");
    expect(NODES, NULL, "N.csv: no nodes");
    expect(NODES "a,a,eu,cloud,,,\n", NULL, "N.csv:2: 7 columns");
    expect(NODES "a,a,eu,moon,,\n", NULL, "N.csv:2: class");
    expect(NODES "a,a,eu,cloud,-1,\n", NULL, "N.csv:2: capacity");
    expect(NODES "a,a,eu,cloud,1.5,\n", NULL, "N.csv:2: capacity");
    expect(NODES "a,a,eu,cloud,,nan\n", NULL, "N.csv:2: weight");
    expect(NODES "a,a,eu,cloud,,0\n", NULL, "N.csv:2: weight");
    expect(NODES ",a,eu,cloud,,\n", NULL, "N.csv:2: node");
    expect(NODES "a,,eu,cloud,,\n", NULL, "N.csv:2: site");
    expect(NODES "a,a,eu,cloud,,\n\na,a,eu,cloud,,\n", NULL, "N.csv:4: node 'a' is there twice");
    expect(NODES "\"a,a,eu,cloud,,\n", NULL, "N.csv:2: column 1");
    expect(good, "", "M.csv: no first row");
    expect(good, ",a\n", "M.csv:1: no column for node 'b'");
    expect(good, ",a,b,a\n", "M.csv:1: two columns");
    expect(good, ",a,b\na,0,1\n", "M.csv: no row for 'b'");
    expect(good, ",a,b\na,0,1\na,0,1\n", "M.csv:3: site 'a' is there twice");
    expect(good, ",a,b\na,0\n", "M.csv:2: 2 columns");
    expect(good, ",a,b\na,0,NaN\n", "M.csv:2: b: 'NaN' is not a number");
    expect(good, ",a,b\na,0,-1\n", "M.csv:2: b: -1 is not between");
    expect(good, ",a,b\na,0,10000\n", "M.csv:2: b: 10000 is not between");
    expect(good, ",a,b\n,0,1\n", "M.csv:2: site");
}

static void a_nul_byte(void **state)
{
    static const char text[] = NODES "a,a\0,eu,cloud,,\n";
    struct world w = {0};
    struct replay_error e;
    char *copy = text_copy(text, sizeof text - 1);
    assert_int_equal(world_read_nodes(&w, "N.csv", copy, sizeof text - 1, &e), -EINVAL);
    assert_non_null(strstr(e.text, "N.csv:2: a NUL byte"));
    free(copy);
    world_clear(&w);
}

static void too_many_nodes(void **state)
{
    char *text = malloc(WORLD_NODES_MAX * 32);
    struct world w = {0};
    struct replay_error e;
    int n = sprintf(text, NODES);
    for (int i = 0; i <= WORLD_NODES_MAX; i++)
        n += sprintf(text + n, "n%d,s,eu,cloud,,\n", i);
    assert_int_equal(read_nodes(&w, text, &e), -EINVAL);
    assert_non_null(strstr(e.text, "N.csv:4098: more than 4096 nodes"));
    world_clear(&w);
    free(text);
}

static void names(void **state)
{
    struct names t = {0};
    char name[NAME_MAX_LEN + 2];
    size_t number;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < 1000; i++) {
            snprintf(name, sizeof name, "name %zu", i);
            assert_int_equal(names_add(&t, name, &number), 0);
            assert_int_equal(number, i);
        }
    }
    assert_int_equal(names_find(&t, "name 1000"), NAMES_NONE);
    memset(name, 'x', sizeof name);
    name[NAME_MAX_LEN + 1] = '\0';
    assert_int_equal(names_add(&t, name, &number), -EINVAL);
    name[NAME_MAX_LEN] = '\0';
    assert_int_equal(names_add(&t, name, &number), 0);
    assert_int_equal(names_add(&t, "", &number), -EINVAL);
    names_clear(&t);
    assert_int_equal(names_find(&t, "name 1"), NAMES_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_and_quotes), cmocka_unit_test(too_many_columns), cmocka_unit_test(figures),
        cmocka_unit_test(a_world),           cmocka_unit_test(measured),         cmocka_unit_test(faults),
        cmocka_unit_test(a_nul_byte),        cmocka_unit_test(too_many_nodes),   cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
