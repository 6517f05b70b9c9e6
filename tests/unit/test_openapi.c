/* link: berth_controller_lib */
/* The served documentation is JSON, and speaks of exactly the calls that there are. */
#include "api.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

extern const char openapi_json[];
extern const size_t openapi_json_len;

static json_t *document(void)
{
    json_t *j = json_loadb(openapi_json, openapi_json_len, JSON_REJECT_DUPLICATES, NULL);

    assert_non_null(j);
    return j;
}

/* "/v1/nodes/{node}" and "/v1/nodes/{id}" are one path. */
static void without_names(const char *path, char out[static 128])
{
    size_t n = 0;
    bool inside = false;

    for (; *path != '\0' && n < 126; path++) {
        if (!inside)
            out[n++] = *path;
        if (*path == '{' || *path == '}')
            inside = *path == '{';
        if (*path == '}')
            out[n++] = '}';
    }
    out[n] = '\0';
}

static bool documented(const json_t *paths, const struct api_route *route)
{
    char want[128], got[128];
    const char *path, *method;
    json_t *item, *operation;

    without_names(route->pattern, want);
    json_object_foreach((json_t *)(uintptr_t)paths, path, item)
    {
        without_names(path, got);
        json_object_foreach(item, method, operation)
        {
            if (strcmp(got, want) == 0 && strcasecmp(method, route->method) == 0)
                return true;
        }
    }
    return false;
}

static void test_every_route_is_documented(void **state)
{
    json_t *j = document();
    size_t routes = 0, operations = 0;
    const char *path;
    json_t *item;

    for (size_t m = 0; m < api_modules_n; m++) {
        for (size_t i = 0; i < api_modules[m].n_routes; i++, routes++) {
            const struct api_route *route = &api_modules[m].routes[i];

            if (!documented(json_object_get(j, "paths"), route))
                fail_msg("%s %s is not in docs/openapi.json", route->method, route->pattern);
        }
    }
    json_object_foreach(json_object_get(j, "paths"), path, item) operations += json_object_size(item);
    assert_int_equal(operations, routes);
    json_decref(j);
}

/* Follows "#/a/b"; NULL where it leads nowhere. */
static const json_t *resolve(const json_t *root, const char *ref)
{
    char part[128];
    size_t len;

    if (strncmp(ref, "#/", 2) != 0)
        return NULL;
    for (ref += 2; root != NULL && *ref != '\0'; ref += len + (ref[len] == '/')) {
        len = strcspn(ref, "/");
        snprintf(part, sizeof(part), "%.*s", (int)len, ref);
        root = json_object_get(root, part);
    }
    return root;
}

enum { STACK = 4096 };

static void test_every_reference_resolves(void **state)
{
    static json_t *stack[STACK];
    json_t *j = document(), *v;
    size_t n = 0, refs = 0, i;
    const char *key;

    stack[n++] = j;
    while (n > 0) {
        json_t *at = stack[--n];

        json_object_foreach(at, key, v)
        {
            if (strcmp(key, "$ref") == 0) {
                refs++;
                if (resolve(j, json_string_value(v)) == NULL)
                    fail_msg("%s leads nowhere", json_string_value(v));
            }
            assert_true(n < STACK);
            stack[n++] = v;
        }
        json_array_foreach(at, i, v)
        {
            assert_true(n < STACK);
            stack[n++] = v;
        }
    }
    assert_true(refs > 50);
    json_decref(j);
}

static void test_header(void **state)
{
    json_t *j = document();

    assert_string_equal(json_string_value(json_object_get(j, "openapi")), "3.1.0");
    assert_string_equal(json_string_value(json_object_get(json_object_get(j, "info"), "version")),
                        BERTH_VERSION);
    json_decref(j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_route_is_documented),
        cmocka_unit_test(test_every_reference_resolves),
        cmocka_unit_test(test_header),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
