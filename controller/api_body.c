/* Members of a body. Invariant: false means that the request has been answered. */
#include "api_body.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

bool body_refuse(struct api_request *r, const char *at, const char *name, const char *detail)
{
    char pointer[128];

    snprintf(pointer, sizeof(pointer), "%s/%s", at, name);
    api_problem_at(r, 422, "invalid_member", pointer, detail);
    return false;
}

static const json_t *member(const json_t *in, const char *name)
{
    const json_t *j = json_object_get(in, name);

    return j == NULL || json_is_null(j) ? NULL : j;
}

bool body_id(struct api_request *r, const char *name, size_t max, bool required, const char **out)
{
    const json_t *j = member(r->body, name);
    char detail[128];

    if (j == NULL && !required)
        return true;
    if (j == NULL)
        return body_refuse(r, "", name, "this member is required");
    snprintf(detail, sizeof(detail), "1 to %zu characters of A-Z a-z 0-9 . _ : - are allowed.", max);
    if (!json_is_string(j) || strlen(json_string_value(j)) != json_string_length(j) ||
        !id_valid(json_string_value(j), max))
        return body_refuse(r, "", name, detail);
    *out = json_string_value(j);
    return true;
}

static bool printable(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
            return false;
    }
    return true;
}

bool body_text(struct api_request *r, const char *name, size_t max, bool required, const char **out)
{
    const json_t *j = member(r->body, name);
    char detail[128];
    size_t len;

    if (j == NULL && !required)
        return true;
    if (j == NULL)
        return body_refuse(r, "", name, "this member is required");
    len = json_is_string(j) ? json_string_length(j) : 0;
    snprintf(detail, sizeof(detail), "A string of 1 to %zu bytes without control characters is wanted.", max);
    if (len == 0 || len > max || !printable(json_string_value(j), len))
        return body_refuse(r, "", name, detail);
    *out = json_string_value(j);
    return true;
}

bool body_bool(struct api_request *r, const char *name, bool *out)
{
    const json_t *j = member(r->body, name);

    if (j != NULL && !json_is_boolean(j))
        return body_refuse(r, "", name, "true or false is wanted.");
    if (j != NULL)
        *out = json_is_true(j);
    return true;
}

bool body_int(struct api_request *r, const json_t *in, const char *at, const char *name, int64_t min,
              int64_t max, int64_t *out)
{
    const json_t *j = member(in, name);
    char detail[128];

    if (j == NULL)
        return true;
    if (!json_is_integer(j) || json_integer_value(j) < min || json_integer_value(j) > max) {
        snprintf(detail, sizeof(detail), "A whole number from %lld to %lld is wanted.", (long long)min,
                 (long long)max);
        return body_refuse(r, at, name, detail);
    }
    *out = json_integer_value(j);
    return true;
}

bool body_number(struct api_request *r, const json_t *in, const char *at, const char *name, double min,
                 double max, double *out)
{
    const json_t *j = member(in, name);
    char detail[128];
    double v;

    if (j == NULL)
        return true;
    v = json_number_value(j);
    if (!json_is_number(j) || !isfinite(v) || v < min || v > max) {
        snprintf(detail, sizeof(detail), "A number from %g to %g is wanted.", min, max);
        return body_refuse(r, at, name, detail);
    }
    *out = v;
    return true;
}

bool body_object(struct api_request *r, const char *name, const json_t **out)
{
    const json_t *j = member(r->body, name);

    *out = NULL;
    if (j != NULL && !json_is_object(j))
        return body_refuse(r, "", name, "an object is wanted");
    *out = j;
    return true;
}
