/* Members of JSON objects with their checks. Invariant: an output is written only when the member was there and right. */
#include "core/doc_json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int doc_check_object(const json_t *j, const char *what, struct doc_error *e)
{
    return json_is_object(j) ? 0 : doc_fail(e, "", "invalid_member", "%s must be an object", what);
}

static int fail_member(struct doc_error *e, const char *name, const char *must)
{
    char pointer[sizeof e->pointer];
    snprintf(pointer, sizeof pointer, "/%s", name);
    return doc_fail(e, pointer, "invalid_member", "%s %s", name, must);
}

/* The member, or NULL with *answer set: 0 where it may be absent, else -EINVAL. */
static const json_t *get(const json_t *o, const char *name, enum doc_need need, int *answer,
                         struct doc_error *e)
{
    const json_t *j = json_object_get(o, name);
    if (!j)
        *answer = need == DOC_OPTIONAL ? 0 : fail_member(e, name, "is missing");
    return j;
}

int doc_get_object(const json_t *o, const char *name, enum doc_need need, const json_t **out,
                   struct doc_error *e)
{
    int answer;
    const json_t *j = get(o, name, need, &answer, e);
    if (!j)
        return answer;
    if (!json_is_object(j))
        return fail_member(e, name, "must be an object");
    *out = j;
    return 1;
}

int doc_get_array(const json_t *o, const char *name, enum doc_need need, const json_t **out,
                  struct doc_error *e)
{
    int answer;
    const json_t *j = get(o, name, need, &answer, e);
    if (!j)
        return answer;
    if (!json_is_array(j))
        return fail_member(e, name, "must be an array");
    *out = j;
    return 1;
}

int doc_get_string(const json_t *o, const char *name, enum doc_need need, const char **out,
                   struct doc_error *e)
{
    int answer;
    const json_t *j = get(o, name, need, &answer, e);
    if (!j)
        return answer;
    if (!json_is_string(j))
        return fail_member(e, name, "must be a string");
    *out = json_string_value(j);
    return 1;
}

int doc_get_int(const json_t *o, const char *name, enum doc_need need, int64_t min, int64_t max, int64_t *out,
                struct doc_error *e)
{
    int answer;
    const json_t *j = get(o, name, need, &answer, e);
    if (!j)
        return answer;
    if (!json_is_integer(j) || json_integer_value(j) < min || json_integer_value(j) > max) {
        char must[80];
        snprintf(must, sizeof must, "must be a whole number, %lld to %lld", (long long)min, (long long)max);
        return fail_member(e, name, must);
    }
    *out = json_integer_value(j);
    return 1;
}

int doc_get_bool(const json_t *o, const char *name, enum doc_need need, bool *out, struct doc_error *e)
{
    int answer;
    const json_t *j = get(o, name, need, &answer, e);
    if (!j)
        return answer;
    if (!json_is_boolean(j))
        return fail_member(e, name, "must be true or false");
    *out = json_is_true(j);
    return 1;
}

int doc_get_id(const json_t *o, const char *name, enum doc_need need, char *out, size_t cap,
               struct doc_error *e)
{
    const char *text = NULL;
    int answer = doc_get_string(o, name, need, &text, e);
    if (answer <= 0)
        return answer;
    if (!id_valid(text, cap - 1)) {
        char must[80];
        snprintf(must, sizeof must, "must be 1 to %zu of A-Z a-z 0-9 . _ : -", cap - 1);
        return fail_member(e, name, must);
    }
    /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): an answer over 0 has set it */
    memcpy(out, text, strlen(text) + 1);
    return 1;
}

int doc_get_rtt(const json_t *o, const char *name, enum doc_need need, int64_t *min_us, int64_t *median_us,
                int64_t *p95_us, struct doc_error *e)
{
    const json_t *rtt = NULL;
    int64_t min = 0, median = 0, p95 = 0;
    int answer = doc_get_object(o, name, need, &rtt, e);
    if (answer <= 0)
        return answer;
    if (doc_get_int(rtt, "min", DOC_REQUIRED, 0, RTT_MAX_US, &min, e) < 0 ||
        doc_get_int(rtt, "median", DOC_REQUIRED, 0, RTT_MAX_US, &median, e) < 0 ||
        doc_get_int(rtt, "p95", DOC_REQUIRED, 0, RTT_MAX_US, &p95, e) < 0)
        return doc_fail_under(e, "/%s", name);
    if (min > median || median > p95)
        return fail_member(e, name, "must rise: min, median, p95");
    *min_us = min;
    *median_us = median;
    *p95_us = p95;
    return 1;
}

int doc_set_measured(json_t *o, const char *name, int64_t v)
{
    return v == NOT_MEASURED ? 0 : json_object_set_new(o, name, json_integer(v));
}

int doc_set_text(json_t *o, const char *name, const char *v)
{
    return v[0] == '\0' ? 0 : json_object_set_new(o, name, json_string(v));
}

int doc_set_rtt(json_t *o, const char *name, int64_t min_us, int64_t median_us, int64_t p95_us)
{
    if (min_us == NOT_MEASURED)
        return 0;
    return json_object_set_new(o, name,
                               json_pack("{s:I, s:I, s:I}", "min", (json_int_t)min_us, "median",
                                         (json_int_t)median_us, "p95", (json_int_t)p95_us));
}

json_t *doc_addr_to_json(const struct addr *a)
{
    char text[ADDR_TEXT_LEN];
    return json_string(a->port == 0 ? addr_format_ip(a, text) : addr_format(a, text));
}

int doc_addr_parse(struct addr *a, const char *text)
{
    struct addr parsed;
    if (addr_parse_ip(&parsed, text) < 0 && (addr_parse(&parsed, text) < 0 || parsed.port == 0))
        return -EINVAL;
    *a = parsed;
    return 0;
}
