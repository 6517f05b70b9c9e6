/* REST calls of subcommands. Invariant: whatever fails is told once: what was wanted, what came instead, and what to do. */
#include "call.h"

#include "call_advice.h"
#include "core/doc.h"
#include "sys/rest.h"
#include "way.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MS = 20000 };

struct asked {
    enum call_token which;
    const char *what, *method, *path;
};

struct told {
    json_t *answer;
    int64_t date_s;
    long status;
};

static const char *text_member(const json_t *j, const char *name)
{
    const char *s = json_string_value(json_object_get(j, name));
    return s != NULL ? s : "";
}

/* The answer is none of 2xx: usually application/problem+json. */
static enum cli_exit fail_status(const struct cli *c, const struct asked *a, const struct rest_call *call,
                                 const json_t *problem)
{
    long status = rest_call_status(call);
    const char *code = text_member(problem, "code"), *detail = text_member(problem, "detail");
    const char *pointer = text_member(problem, "pointer");
    cli_fail(c, CLI_CONTROLLER, "cannot %s: %ld %s%s%s%s%s%s", a->what, status,
             code[0] != '\0' ? code : "without a code", detail[0] != '\0' ? ": " : "", detail,
             pointer[0] != '\0' ? " (at " : "", pointer, pointer[0] != '\0' ? ")" : "");
    const char *advice = call_advice_of_pointer(pointer);
    if (advice != NULL)
        cli_advise(c, "%s", advice);
    else if (call_advise(c, a->which, status, code))
        return CLI_CONTROLLER;
    else if (call->retry_after_s >= 0)
        cli_advise(c, "try again in %" PRId64 " s", call->retry_after_s);
    else if (status >= 500)
        cli_advise(c, "the controller's log tells more");
    return CLI_CONTROLLER;
}

static enum cli_exit fail_transport(const struct cli *c, const struct asked *a, const struct rest_call *call,
                                    CURLcode rc)
{
    char shown[REST_URL_TEXT];
    const char *error = rest_call_error(call, rc), *advice = call_advice_of_transport(c, rc, error);
    cli_fail(c, CLI_CONTROLLER, "cannot %s: %s: %s", a->what, rest_url_text(c->o.controller, shown), error);
    if (advice != NULL)
        cli_advise(c, "%s", advice);
    return CLI_CONTROLLER;
}

/* Nobody was reached, so that nothing was sent yet: by the proxy that the network names, if it names one. */
static CURLcode go(struct rest_call *rest, struct rest_request *r, struct way *way, const struct cli *c)
{
    curl_off_t connected_us = 0;
    CURLcode rc = curl_easy_perform(rest->easy);
    curl_easy_getinfo(rest->easy, CURLINFO_CONNECT_TIME_T, &connected_us);
    if (rc == CURLE_OK || r->proxy != NULL || connected_us > 0 ||
        (r->proxy = way_ask_network(way, c)) == NULL)
        return rc;
    rest_call_clear(rest);
    return rest_call_init(rest, r) == 0 ? curl_easy_perform(rest->easy) : CURLE_OUT_OF_MEMORY;
}

static enum cli_exit finish(const struct cli *c, const struct asked *a, const struct rest_call *call,
                            CURLcode rc, struct told *told)
{
    if (rc != CURLE_OK)
        return fail_transport(c, a, call, rc);
    struct doc_error e;
    json_t *j = call->body_len > 0 ? doc_parse(call->body, call->body_len, &e) : json_null();
    long status = rest_call_status(call);
    enum cli_exit code = CLI_OK;
    if (status < 200 || status > 299)
        code = fail_status(c, a, call, j);
    else if (j == NULL)
        code = cli_fail(c, CLI_CONTROLLER, "cannot %s: the answer: %s", a->what, e.detail);
    if (code == CLI_OK)
        *told = (struct told){.answer = j, .date_s = rest_call_date(call), .status = status};
    else
        json_decref(j);
    return code;
}

static enum cli_exit exchange(const struct cli *c, const struct asked *a, const char *body, struct told *told)
{
    struct rest_request r = {.method = a->method,
                             .base_url = c->o.controller,
                             .path = a->path,
                             .token = call_token_text(c, a->which),
                             .ca_file = c->o.ca,
                             .body = body,
                             .timeout_ms = TIMEOUT_MS};
    struct rest_call rest;
    struct way way;
    char shown[REST_URL_TEXT];
    enum cli_exit code;
    r.proxy = way_find(&way, c);
    int rc = rest_call_init(&rest, &r);
    if (rc == -EINVAL)
        code = cli_fail(c, CLI_USAGE,
                        "--controller '%s' or the token can't be used: it takes https://host[:port], "
                        "or http:// to this machine",
                        rest_url_text(c->o.controller, shown));
    else if (rc != 0)
        code = cli_fail(c, CLI_CONTROLLER, "out of memory");
    else
        code = finish(c, a, &rest, go(&rest, &r, &way, c), told);
    rest_call_clear(&rest);
    way_clear(&way);
    return code;
}

/* `body` is stolen; NULL: none. */
static enum cli_exit perform(const struct cli *c, const struct asked *a, json_t *body, struct told *told)
{
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    bool no_memory = body != NULL && text == NULL;
    enum cli_exit code =
        no_memory ? cli_fail(c, CLI_CONTROLLER, "out of memory") : exchange(c, a, text, told);
    free(text);
    json_decref(body);
    return code;
}

enum cli_exit call(const struct cli *c, enum call_token which, const char *what, const char *method,
                   const char *path, json_t *body, json_t **answer)
{
    const struct asked a = {which, what, method, path};
    struct told told;
    enum cli_exit code = perform(c, &a, body, &told);
    if (code == CLI_OK)
        *answer = told.answer;
    return code;
}

enum cli_exit call_make(const struct cli *c, enum call_token which, const char *what, const char *path,
                        json_t *body, json_t **answer, bool *made)
{
    const struct asked a = {which, what, "POST", path};
    struct told told;
    enum cli_exit code = perform(c, &a, body, &told);
    if (code != CLI_OK)
        return code;
    *answer = told.answer;
    *made = told.status == 201;
    return CLI_OK;
}

enum cli_exit call_dated(const struct cli *c, enum call_token which, const char *what, const char *path,
                         json_t **answer, int64_t *date_s)
{
    const struct asked a = {which, what, "GET", path};
    struct told told;
    enum cli_exit code = perform(c, &a, NULL, &told);
    if (code != CLI_OK)
        return code;
    *answer = told.answer;
    *date_s = told.date_s;
    return CLI_OK;
}
