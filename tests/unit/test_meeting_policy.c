/* link: berth_controller_lib */
/* A meeting's policy: what is accepted, what is refused and where, and that equal policies are written alike. */
#include "meeting_policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The normal form as text, to be freed; NULL with the error's pointer copied where it is refused. */
static char *normal(const char *text, char pointer[static 96])
{
    json_t *j = json_loads(text, JSON_DECODE_ANY, NULL), *back;
    struct meeting_policy p;
    struct doc_error e;
    char *out;

    assert_non_null(j);
    if (meeting_policy_from_json(j, &p, &e) != 0) {
        memcpy(pointer, e.pointer, 96);
        assert_string_equal(e.code, "invalid_member");
        assert_true(e.detail[0] != '\0');
        json_decref(j);
        return NULL;
    }
    back = meeting_policy_to_json(&p);
    assert_non_null(back);
    out = json_dumps(back, JSON_COMPACT);
    json_decref(back);
    json_decref(j);
    return out;
}

static void assert_normal(const char *text, const char *want)
{
    char pointer[96], *got = normal(text, pointer);

    assert_non_null(got);
    assert_string_equal(got, want);
    free(got);
}

static void assert_refused(const char *text, const char *at)
{
    char pointer[96], *got = normal(text, pointer);

    assert_null(got);
    assert_string_equal(pointer, at);
}

static void assert_member(const char *text, const char *at)
{
    json_t *j = json_loads(text, JSON_DECODE_ANY, NULL);
    struct doc_error e;

    assert_non_null(j);
    if (at == NULL) {
        assert_int_equal(meeting_policy_check_members(j, &e), 0);
    } else {
        assert_int_not_equal(meeting_policy_check_members(j, &e), 0);
        assert_string_equal(e.code, "invalid_member");
        assert_string_equal(e.pointer, at);
    }
    json_decref(j);
}

#define LETTERS_32 "abcdefghijklmnopqrstuvwxyzabcdef"

static void test_unknown_members(void **state)
{
    (void)state;
    assert_member("{}", NULL);
    assert_member("null", NULL);
    assert_member("[]", NULL);
    assert_member("{\"regions\":{\"allow\":[],\"deny\":[]},\"private\":true,\"expected_size\":2,"
                  "\"bitrate_kbps\":3,\"last_n\":500,\"transports\":[\"tls\"]}",
                  NULL);
    assert_member("{\"regions\":[\"deny\"]}", NULL); /* of the wrong type: meeting_policy_from_json says so */
    assert_member("{\"region\":{\"deny\":[\"us\"]}}", "/region");
    assert_member("{\"Private\":true}", "/Private");
    assert_member("{\"private\":true,\"denied\":null}", "/denied");
    assert_member("{\"regions\":{\"allow\":[\"eu\"],\"denies\":[\"us\"]}}", "/regions/denies");
    assert_member("{\"\":1}", "/");
    assert_member("{\"a/b\":1}", "");
    assert_member("{\"" LETTERS_32 LETTERS_32 "\":1}", "/" LETTERS_32 LETTERS_32);
    assert_member("{\"" LETTERS_32 LETTERS_32 "g\":1}", "");
    assert_member("{\"regions\":{\"" LETTERS_32 LETTERS_32 "\":1}}", "/regions/" LETTERS_32 LETTERS_32);
}

static void test_accepted(void **state)
{
    assert_normal("{}", "{}");
    assert_normal("null", "{}");
    assert_normal("{\"regions\":{\"allow\":[],\"deny\":null},\"colour\":\"red\"}", "{}");
    assert_normal("{\"regions\":{\"allow\":[\"us\",\"eu\",\"us\"]}}",
                  "{\"regions\":{\"allow\":[\"eu\",\"us\"]}}");
    assert_normal("{\"last_n\":3}", "{\"last_n\":3}");
    assert_normal(
        "{\"transports\":[\"proxy\",\"tls\"],\"bitrate_kbps\":300,\"expected_size\":12,\"private\":false}",
        "{\"private\":false,\"expected_size\":12,\"bitrate_kbps\":300,\"transports\":[\"tls\",\"proxy\"]}");
}

static void test_refused(void **state)
{
    assert_refused("[]", "");
    assert_refused("{\"regions\":[]}", "/regions");
    assert_refused("{\"regions\":{\"allow\":\"eu\"}}", "/regions/allow");
    assert_refused("{\"regions\":{\"deny\":[\"eu\",7]}}", "/regions/deny");
    assert_refused("{\"regions\":{\"deny\":[\"\"]}}", "/regions/deny");
    assert_refused("{\"private\":1}", "/private");
    assert_refused("{\"expected_size\":0}", "/expected_size");
    assert_refused("{\"expected_size\":1.5}", "/expected_size");
    assert_refused("{\"last_n\":0}", "/last_n");
    assert_refused("{\"bitrate_kbps\":\"5\"}", "/bitrate_kbps");
    assert_refused("{\"bitrate_kbps\":1000001}", "/bitrate_kbps");
    assert_refused("{\"transports\":[]}", "/transports");
    assert_refused("{\"transports\":[\"udp\",\"udp\"]}", "/transports");
    assert_refused("{\"transports\":[\"quic\"]}", "/transports");
}

static void test_regions_are_bounded(void **state)
{
    json_t *list = json_array(), *j;
    struct meeting_policy p;
    struct doc_error e;

    for (int i = 0; i < POLICY_REGIONS_MAX; i++)
        json_array_append_new(list, json_sprintf("r%d", i));
    j = json_pack("{s:{s:O}}", "regions", "allow", list);
    assert_int_equal(meeting_policy_from_json(j, &p, &e), 0);
    assert_int_equal(p.n_allow, POLICY_REGIONS_MAX);
    json_array_append_new(list, json_string("one-more"));
    assert_int_not_equal(meeting_policy_from_json(j, &p, &e), 0);
    json_decref(j);
    json_decref(list);
}

static void test_transports_default_to_all(void **state)
{
    struct meeting_policy p = {0};

    assert_int_equal(meeting_policy_place(&p).transports, TRANSPORTS_ALL);
    p.transports = 1u << TRANSPORT_TLS;
    assert_int_equal(meeting_policy_place(&p).transports, 1u << TRANSPORT_TLS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_members),
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_regions_are_bounded),
        cmocka_unit_test(test_transports_default_to_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
