/* JSON documents: reading text, names of enums, errors. Invariant: text is checked for depth before jansson builds
 * anything from it, so that no input makes it recurse further than JSON_DEPTH_MAX. */
#include "core/doc_json.h"

#include "core/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const transport_names[TRANSPORT_COUNT] = {
    [TRANSPORT_UDP] = "udp",
    [TRANSPORT_TCP] = "tcp",
    [TRANSPORT_TLS] = "tls",
    [TRANSPORT_PROXY] = "proxy",
};

static const char *const status_names[PROBE_STATUS_COUNT] = {
    [PROBE_UNTESTED] = "untested", [PROBE_REACHABLE] = "reachable", [PROBE_TIMEOUT] = "timeout",
    [PROBE_REFUSED] = "refused",   [PROBE_TLS_ERROR] = "tls_error", [PROBE_PROXY_ERROR] = "proxy_error",
};

const char *transport_name(enum transport t)
{
    return (unsigned)t < TRANSPORT_COUNT ? transport_names[t] : "unknown";
}

int transport_parse(const char *s, enum transport *t)
{
    for (unsigned i = 0; i < TRANSPORT_COUNT; i++) {
        if (strcmp(s, transport_names[i]) == 0) {
            *t = (enum transport)i;
            return 0;
        }
    }
    return -EINVAL;
}

const char *probe_status_name(enum probe_status s)
{
    return (unsigned)s < PROBE_STATUS_COUNT ? status_names[s] : "unknown";
}

int doc_fail(struct doc_error *e, const char *pointer, const char *code, const char *fmt, ...)
{
    va_list args;
    snprintf(e->pointer, sizeof e->pointer, "%s", pointer);
    utf8_cut(e->pointer);
    snprintf(e->code, sizeof e->code, "%s", code);
    va_start(args, fmt);
    vsnprintf(e->detail, sizeof e->detail, fmt, args);
    va_end(args);
    utf8_cut(e->detail);
    return -EINVAL;
}

int doc_fail_under(struct doc_error *e, const char *fmt, ...)
{
    char pointer[sizeof e->pointer];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(pointer, sizeof pointer, fmt, args);
    va_end(args);
    if (len >= 0 && (size_t)len < sizeof pointer)
        snprintf(pointer + len, sizeof pointer - (size_t)len, "%s", e->pointer);
    memcpy(e->pointer, pointer, sizeof pointer);
    return -EINVAL;
}

/* The greatest depth of brackets outside strings; what isn't JSON at all is left to the parser to find. */
static size_t nesting(const char *p, size_t len)
{
    size_t depth = 0, deepest = 0;
    bool in_string = false;
    for (size_t i = 0; i < len; i++) {
        if (in_string) {
            if (p[i] == '\\')
                i++;
            else if (p[i] == '"')
                in_string = false;
        } else if (p[i] == '"') {
            in_string = true;
        } else if (p[i] == '{' || p[i] == '[') {
            if (++depth > deepest)
                deepest = depth;
        } else if ((p[i] == '}' || p[i] == ']') && depth > 0) {
            depth--;
        }
    }
    return deepest;
}

json_t *doc_parse(const char *buf, size_t len, struct doc_error *e)
{
    json_error_t error = {.line = 0}; /* where memory runs out early, jansson leaves it as it was */
    if (nesting(buf, len) > JSON_DEPTH_MAX) {
        doc_fail(e, "", "bad_json", "nested deeper than %d", JSON_DEPTH_MAX);
        return NULL;
    }
    json_t *j = json_loadb(buf, len, JSON_REJECT_DUPLICATES, &error);
    if (j)
        return j;
    /* jansson's own text quotes the input, which need not be UTF-8. */
    enum json_error_code code = json_error_code(&error);
    if (code == json_error_out_of_memory ||
        code == json_error_unknown) /* the latter: memory, in its tables */
        doc_fail(e, "", "internal", "out of memory");
    else if (code == json_error_duplicate_key)
        doc_fail(e, "", "bad_json", "a member occurs twice, at line %d", error.line);
    else
        doc_fail(e, "", "bad_json", "not JSON, at line %d, column %d", error.line, error.column);
    return NULL;
}

int doc_parse_errno(const struct doc_error *e)
{
    return strcmp(e->code, "internal") == 0 ? -ENOMEM : -EINVAL;
}

char *doc_text_with(const json_t *object, const char *name, const char *value)
{
    char *text = object != NULL && value != NULL ? json_dumps(object, DOC_COMPACT) : NULL;
    size_t len = text != NULL ? strlen(text) : 0, more = len + sizeof("\"\":,") + 1;
    char *whole = text != NULL ? realloc(text, more + strlen(name) + strlen(value)) : NULL;

    if (whole == NULL) {
        free(text);
        return NULL;
    }
    sprintf(whole + len - 1, "%s\"%s\":%s}", json_object_size(object) > 0 ? "," : "", name, value);
    return whole;
}
