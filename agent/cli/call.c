/* REST calls of subcommands. Invariant: whatever fails is told once: what was wanted, what came instead, and what to do. */
#include "call.h"

#include "core/doc.h"
#include "sys/rest.h"
#include "way.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { TIMEOUT_MS = 20000, PAGES_MAX = 10000, CURSOR_MAX = 1024, REST_MAX = 64 };

const char *call_token_text(const struct cli *c, enum call_token which)
{
    bool admin = which == CALL_TOKEN_ADMIN && c->o.admin_token != NULL && !c->token_given;
    return admin ? c->o.admin_token : c->o.token;
}

static const char *advice_of_transport(const struct cli *c, CURLcode rc, const char *error)
{
    bool clear = strncasecmp(c->o.controller, "http:", 5) == 0;
    const char *of_way = way_advice(c, error);
    if (of_way != NULL)
        return of_way;
    if (clear && (rc == CURLE_GOT_NOTHING || rc == CURLE_RECV_ERROR || rc == CURLE_WEIRD_SERVER_REPLY ||
                  rc == CURLE_UNSUPPORTED_PROTOCOL))
        return "this seems to be an HTTPS port: say https:// in --controller (BERTH_CONTROLLER)";
    switch (rc) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return "check the name in --controller (BERTH_CONTROLLER)";
    case CURLE_PEER_FAILED_VERIFICATION:
        return "give the CA that signed the controller's certificate: --ca FILE, or BERTH_CA";
    case CURLE_SSL_CONNECT_ERROR:
        return "check the port in --controller (BERTH_CONTROLLER): perhaps no HTTPS is served there";
    case CURLE_OPERATION_TIMEDOUT:
        return "check that the network lets HTTPS to the controller through";
    default:
        return NULL;
    }
}

/* The detail says which keys the call takes: whose was given tells what else could be. */
static const char *advice_of_refusal(const struct cli *c, enum call_token which, const char *code)
{
    const char *token = call_token_text(c, which);
    bool is_admins = token != NULL && (strchr(token, '.') == NULL || token == c->o.admin_token);
    if (strcmp(code, "grant_missing") == 0)
        return "make a token that may: berth key token --grants";
    if (strcmp(code, "agent_mismatch") == 0)
        return "the token names its agent: leave --agent (BERTH_AGENT) out, or make a token for the other";
    return is_admins
               ? "give such a key with --token (BERTH_TOKEN)"
               : "the operator's admin key is given with --admin-token (BERTH_ADMIN_TOKEN), others with "
                 "--token (BERTH_TOKEN)";
}

/* Where the token of a call came from. */
static const char *token_option(const struct cli *c, enum call_token which)
{
    return c->o.admin_token != NULL && call_token_text(c, which) == c->o.admin_token
               ? "--admin-token (BERTH_ADMIN_TOKEN)"
               : "--token (BERTH_TOKEN)";
}

static bool begins(const struct cli *c, const char *words)
{
    return c->command != NULL && strncmp(c->command->name, words, strlen(words)) == 0;
}

/* No such node for this key: the cloud's are the operator's, and of mesh nodes several orgs may have one of this id. */
static const char *advice_of_node(const struct cli *c, enum call_token which)
{
    if (which == CALL_TOKEN_ADMIN && call_token_text(c, which) != c->o.admin_token)
        return "a node of the cloud is the operator's: give --admin-token, or set BERTH_ADMIN_TOKEN; what "
               "there is: berth node list";
    return "see berth node list; a mesh node of an organisation's is meant with --org ORG";
}

static const char *advice_of_status(long status, const char *code)
{
    if (strcmp(code, "token_expired") == 0)
        return "make a new token: berth key token";
    if (strcmp(code, "no_live_report") == 0)
        return "the last one has expired; a new one: berth probe --report";
    if (strcmp(code, "no_node") == 0)
        return "how nodes are: berth node list; what this network reaches: berth firewall; what the "
               "meeting's "
               "policy allows: berth meeting show (a private one takes nodes of the organisation's own, "
               "which "
               "enrol with a key of berth key create --kind node)";
    switch (status) {
    case 404:
        return "check the id; another organisation's things are not found either";
    case 451:
        return "the meeting's policy leaves no region: change its allowed or denied regions";
    default:
        return NULL;
    }
}

bool call_advise(const struct cli *c, enum call_token which, long status, const char *code)
{
    const char *advice = status == 403 ? advice_of_refusal(c, which, code) : advice_of_status(status, code);
    bool joins = begins(c, "join") || begins(c, "meeting join");
    if (status == 401 && strcmp(code, "token_expired") != 0)
        cli_advise(c, "check %s: it must be this controller's, and not revoked", token_option(c, which));
    else if (strcmp(code, "unknown_meeting") == 0 && joins)
        cli_advise(c, "make it: berth meeting create %s", c->words.v[0]);
    else if (strcmp(code, "conflict") == 0 && begins(c, "meeting create"))
        cli_advise(c, "a meeting keeps its policy: berth meeting delete %s, or take another id",
                   c->words.v[0]);
    else if (strcmp(code, "unknown_node") == 0 && begins(c, "node "))
        cli_advise(c, "%s", advice_of_node(c, which));
    else if (advice != NULL)
        cli_advise(c, "%s", advice);
    else
        return false;
    return true;
}

/* Members that have an option of their own. */
static const char *advice_of_pointer(const char *pointer)
{
    if (strcmp(pointer, "/org") == 0)
        return "--org ORG says which organisation is meant; \"cloud\" with --kind node, for the cloud's "
               "nodes";
    if (strcmp(pointer, "/agent") == 0)
        return "--agent ID says which agent is meant";
    return NULL;
}

static const char *text_member(const json_t *j, const char *name)
{
    const char *s = json_string_value(json_object_get(j, name));
    return s != NULL ? s : "";
}

/* The answer is none of 2xx: usually application/problem+json. */
static enum cli_exit fail_status(const struct cli *c, enum call_token which, const char *what,
                                 const struct rest_call *call, const json_t *problem)
{
    long status = rest_call_status(call);
    const char *code = text_member(problem, "code"), *detail = text_member(problem, "detail");
    const char *pointer = text_member(problem, "pointer");
    cli_fail(c, CLI_CONTROLLER, "cannot %s: %ld %s%s%s%s%s%s", what, status,
             code[0] != '\0' ? code : "without a code", detail[0] != '\0' ? ": " : "", detail,
             pointer[0] != '\0' ? " (at " : "", pointer, pointer[0] != '\0' ? ")" : "");
    const char *advice = advice_of_pointer(pointer);
    if (advice != NULL)
        cli_advise(c, "%s", advice);
    else if (call_advise(c, which, status, code))
        return CLI_CONTROLLER;
    else if (call->retry_after_s >= 0)
        cli_advise(c, "try again in %" PRId64 " s", call->retry_after_s);
    else if (status >= 500)
        cli_advise(c, "the controller's log tells more");
    return CLI_CONTROLLER;
}

static enum cli_exit finish(const struct cli *c, enum call_token which, const char *what,
                            const struct rest_call *call, CURLcode rc, json_t **answer)
{
    if (rc != CURLE_OK) {
        char shown[REST_URL_TEXT];
        const char *error = rest_call_error(call, rc);
        cli_fail(c, CLI_CONTROLLER, "cannot %s: %s: %s", what, rest_url_text(c->o.controller, shown), error);
        const char *advice = advice_of_transport(c, rc, error);
        if (advice != NULL)
            cli_advise(c, "%s", advice);
        return CLI_CONTROLLER;
    }
    struct doc_error e;
    json_t *j = call->body_len > 0 ? doc_parse(call->body, call->body_len, &e) : json_null();
    long status = rest_call_status(call);
    enum cli_exit code = CLI_OK;
    if (status < 200 || status > 299)
        code = fail_status(c, which, what, call, j);
    else if (j == NULL)
        code = cli_fail(c, CLI_CONTROLLER, "cannot %s: the answer: %s", what, e.detail);
    if (code != CLI_OK)
        json_decref(j);
    else
        *answer = j;
    return code;
}

/* Unix time by the server's clock, to the second; -1: it doesn't say. */
static int64_t date_of(const struct rest_call *call)
{
    struct curl_header *h;
    if (curl_easy_header(call->easy, "date", 0, CURLH_HEADER, -1, &h) != CURLHE_OK)
        return -1;
    return (int64_t)curl_getdate(h->value, NULL);
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

static enum cli_exit perform(const struct cli *c, enum call_token which, const char *what, const char *method,
                             const char *path, json_t *body, json_t **answer, int64_t *date_s, long *status)
{
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    bool no_memory = body != NULL && text == NULL;
    json_decref(body);
    if (no_memory)
        return cli_fail(c, CLI_CONTROLLER, "out of memory");
    struct rest_request r = {.method = method,
                             .base_url = c->o.controller,
                             .path = path,
                             .token = call_token_text(c, which),
                             .ca_file = c->o.ca,
                             .body = text,
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
        code = finish(c, which, what, &rest, go(&rest, &r, &way, c), answer);
    if (code == CLI_OK && date_s != NULL)
        *date_s = date_of(&rest);
    if (code == CLI_OK && status != NULL)
        *status = rest_call_status(&rest);
    rest_call_clear(&rest);
    way_clear(&way);
    free(text);
    return code;
}

enum cli_exit call(const struct cli *c, enum call_token which, const char *what, const char *method,
                   const char *path, json_t *body, json_t **answer)
{
    return perform(c, which, what, method, path, body, answer, NULL, NULL);
}

enum cli_exit call_make(const struct cli *c, enum call_token which, const char *what, const char *path,
                        json_t *body, json_t **answer, bool *made)
{
    long status = 0;
    enum cli_exit code = perform(c, which, what, "POST", path, body, answer, NULL, &status);
    *made = status == 201;
    return code;
}

enum cli_exit call_dated(const struct cli *c, enum call_token which, const char *what, const char *path,
                         json_t **answer, int64_t *date_s)
{
    return perform(c, which, what, "GET", path, NULL, answer, date_s, NULL);
}

/* Everything but RFC 3986's unreserved characters is encoded. False: no room. */
static bool append_encoded(char *out, size_t cap, const char *s)
{
    size_t len = strlen(out);
    for (; *s != '\0'; s++) {
        unsigned char ch = (unsigned char)*s;
        bool plain = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
                     (ch != '\0' && strchr("-._~", ch) != NULL);
        if (len + 4 > cap)
            return false;
        len += (size_t)snprintf(out + len, cap - len, plain ? "%c" : "%%%02X", ch);
    }
    return true;
}

enum cli_exit call_path_add(const struct cli *c, char path[static CALL_PATH_MAX], const char *text,
                            const char *id)
{
    size_t len = strlen(path), more = strlen(text);
    bool dots = strcmp(id, ".") == 0 || strcmp(id, "..") == 0; /* would be taken for a folder */
    bool fits = id[0] != '\0' && !dots && len + more < CALL_PATH_MAX;
    if (fits) {
        memcpy(path + len, text, more + 1);
        fits = append_encoded(path, CALL_PATH_MAX - REST_MAX, id);
    }
    return fits ? CLI_OK : cli_fail(c, CLI_USAGE, "'%.80s' is no id", id);
}

enum cli_exit call_path(const struct cli *c, char out[static CALL_PATH_MAX], const char *base, const char *id,
                        const char *rest)
{
    out[0] = '\0';
    enum cli_exit code = call_path_add(c, out, base, id);
    if (code == CLI_OK)
        snprintf(out + strlen(out), REST_MAX, "%s", rest);
    return code;
}

/* "path?limit=100&cursor=..." */
static bool page_path(char *out, size_t cap, const char *path, const char *cursor)
{
    int n = snprintf(out, cap, "%s%climit=100", path, strchr(path, '?') != NULL ? '&' : '?');
    if (n < 0 || (size_t)n >= cap)
        return false;
    if (cursor == NULL)
        return true;
    strncat(out, "&cursor=", cap - strlen(out) - 1);
    return append_encoded(out, cap, cursor);
}

enum cli_exit call_list(const struct cli *c, enum call_token which, const char *what, const char *path,
                        json_t **answer)
{
    json_t *items = json_array(), *page = NULL, *list = NULL;
    enum cli_exit code = CLI_OK;
    char cursor[CURSOR_MAX] = "";
    for (int i = 0; code == CLI_OK; i++) {
        char paged[CALL_PATH_MAX + CURSOR_MAX];
        bool fits = page_path(paged, sizeof(paged), path, i > 0 ? cursor : NULL);
        json_decref(page);
        page = NULL;
        if (!fits)
            code = cli_fail(c, CLI_CONTROLLER, "cannot %s: the cursor is too long", what);
        if (code == CLI_OK)
            code = call(c, which, what, "GET", paged, NULL, &page);
        if (code == CLI_OK && json_array_extend(items, json_object_get(page, "items")) != 0)
            code = cli_fail(c, CLI_CONTROLLER, "cannot %s: the answer is no list", what);
        if (code == CLI_OK && list == NULL)
            list = json_incref(page);
        if (code == CLI_OK &&
            json_is_true(json_object_get(page, "sampled"))) /* one page's is the whole list's */
            (void)json_object_set(list, "sampled", json_true());
        const char *next = json_string_value(json_object_get(page, "next"));
        if (next == NULL)
            break;
        if (strcmp(next, cursor) == 0 || strlen(next) >= sizeof(cursor) || i == PAGES_MAX)
            code = cli_fail(c, CLI_CONTROLLER, "cannot %s: the controller's pages lead nowhere", what);
        else
            memcpy(cursor, next, strlen(next) + 1);
    }
    if (code == CLI_OK && json_object_set(list, "items", items) != 0)
        code = cli_fail(c, CLI_CONTROLLER, "out of memory");
    json_decref(items);
    json_decref(page);
    if (code != CLI_OK) {
        json_decref(list);
        return code;
    }
    (void)json_object_del(list, "next");
    *answer = list;
    return CLI_OK;
}
