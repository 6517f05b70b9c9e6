/* link: berth_controller_lib */
/* Paths to handlers, and the small decoders in front of them. */
#include "check.h"
#include "router.h"

#include <errno.h>
#include <string.h>

static void handler(struct api_request *r)
{
    (void)r;
}

static const struct api_route routes[] = {
    {"GET", "/v1/things", CALLER_ORG, 0, API_BODY_NONE, handler},
    {"POST", "/v1/things", CALLER_ORG, 0, API_BODY_NONE, handler},
    {"GET", "/v1/things/{thing}", CALLER_ORG, 0, API_BODY_NONE, handler},
    {"DELETE", "/v1/things/special", CALLER_ORG, 0, API_BODY_NONE, handler},
    {"GET", "/v1/things/{thing}/parts/{part}", CALLER_ORG, 0, API_BODY_NONE, handler},
};
static const struct api_module module = {routes, sizeof(routes) / sizeof(routes[0])};

struct expected {
    const char *method, *path;
    int route; /* -1: none */
    const char *allow;
    const char *params[2];
};

static const struct expected cases[] = {
    {"GET", "/v1/things", 0, "GET, HEAD, POST", {NULL, NULL}},
    {"HEAD", "/v1/things", 0, "GET, HEAD, POST", {NULL, NULL}},
    {"POST", "/v1/things", 1, "GET, HEAD, POST", {NULL, NULL}},
    {"PUT", "/v1/things", -1, "GET, HEAD, POST", {NULL, NULL}},
    {"get", "/v1/things", -1, "GET, HEAD, POST", {NULL, NULL}},
    {"GET", "/v1/things/a%2Fb", 2, "GET, HEAD", {"a/b", NULL}},
    {"GET", "/v1/things/a+b", 2, "GET, HEAD", {"a+b", NULL}},
    {"GET", "/v1/things/x/parts/y%20z", 4, "GET, HEAD", {"x", "y z"}},
    {"DELETE", "/v1/things/special", 3, "DELETE", {NULL, NULL}},
    {"GET", "/v1/things/special", -1, "DELETE", {NULL, NULL}}, /* the literal path wins, and has no GET */
    {"GET", "/v1/things/%00", -1, "", {NULL, NULL}},
    {"GET", "/v1/things/%zz", -1, "", {NULL, NULL}},
    {"GET", "/v1/things/%2", -1, "", {NULL, NULL}},
    {"GET", "/v1/things/", -1, "", {NULL, NULL}},
    {"GET", "/v1//things", -1, "", {NULL, NULL}},
    {"GET", "/v1/things/x/parts", -1, "", {NULL, NULL}},
    {"GET", "/", -1, "", {NULL, NULL}},
    {"GET", "", -1, "", {NULL, NULL}},
    {"GET", "*", -1, "", {NULL, NULL}},
    {"GET", "/a/b/c/d/e/f/g/h/i/j", -1, "", {NULL, NULL}},
};

static void test_find(void **state)
{
    struct router *r = NULL;

    (void)state;
    assert_int_equal(router_new(&r, &module, 1), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct expected *e = &cases[i];
        struct router_match m;
        router_find(r, e->method, strlen(e->method), e->path, strlen(e->path), &m);
        assert_ptr_equal(m.route, e->route >= 0 ? &routes[e->route] : NULL);
        assert_string_equal(m.allow[0] != '\0' && m.path_known ? m.allow : "", e->allow);
        for (size_t k = 0; k < 2 && e->params[k] != NULL; k++)
            assert_string_equal(m.param[k], e->params[k]);
    }
    router_destroy(r);
}

static void test_a_parameter_too_long_is_no_match(void **state)
{
    char path[ROUTER_PARAM_MAX + 64] = "/v1/things/";
    struct router *r = NULL;
    struct router_match m;

    (void)state;
    assert_int_equal(router_new(&r, &module, 1), 0);
    memset(path + strlen(path), 'x', ROUTER_PARAM_MAX);
    router_find(r, "GET", 3, path, strlen(path), &m);
    assert_ptr_equal(m.route, &routes[2]);
    path[strlen(path)] = 'x';
    router_find(r, "GET", 3, path, strlen(path), &m);
    assert_null(m.route);
    router_destroy(r);
}

static void test_refused_tables(void **state)
{
    static const struct api_route twice[] = {{"GET", "/a", 1, 0, API_BODY_NONE, handler},
                                             {"GET", "/a", 1, 0, API_BODY_NONE, handler}};
    static const struct api_route deep[] = {{"GET", "/a/b/c/d/e/f/g/h/i", 1, 0, API_BODY_NONE, handler}};
    static const struct api_route many[] = {{"GET", "/{a}/{b}/{c}/{d}/{e}", 1, 0, API_BODY_NONE, handler}};
    const struct api_module bad[] = {{twice, 2}, {deep, 1}, {many, 1}};
    struct router *r = NULL;

    (void)state;
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(router_new(&r, &bad[i], 1), -EINVAL);
}

/* The program's own table holds together. */
static void test_the_real_table(void **state)
{
    struct router *r = NULL;

    (void)state;
    assert_int_equal(router_new(&r, api_modules, api_modules_n), 0);
    router_destroy(r);
}

static void test_percent_decode(void **state)
{
    char out[8];

    (void)state;
    assert_true(percent_decode("a%41+", 5, true, out, sizeof(out)));
    assert_string_equal(out, "aA ");
    assert_true(percent_decode("a+", 2, false, out, sizeof(out)));
    assert_string_equal(out, "a+");
    assert_true(percent_decode("1234567", 7, false, out, sizeof(out)));
    assert_false(percent_decode("12345678", 8, false, out, sizeof(out)));
    assert_false(percent_decode("%0", 2, false, out, sizeof(out)));
    assert_false(percent_decode("%", 1, false, out, sizeof(out)));
    assert_false(percent_decode("%g0", 3, false, out, sizeof(out)));
    assert_false(percent_decode("%00", 3, false, out, sizeof(out)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),           cmocka_unit_test(test_a_parameter_too_long_is_no_match),
        cmocka_unit_test(test_refused_tables), cmocka_unit_test(test_the_real_table),
        cmocka_unit_test(test_percent_decode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
