/* Joins for media load. Invariant: what can't be had ends the whole with one line that says which call it was and
 * what was answered. */
#include "media_assign.h"

#include "sys/rest.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

enum {
    CALL_MS = 20 * 1000,
    BUSY_TRIES = 30, /* of a call that is answered 429 or 503 */
    BUSY_MS = 1000,
    PATH_LEN = 256,
    ANSWER_SHOWN = 160,
};

/* *error: why there is no answer; the call's, or static. */
static int perform(const struct media_assign_opts *o, const char *method, const char *path, const char *body,
                   struct rest_call *c, long *status, const char **error)
{
    const struct rest_request r = {.method = method,
                                   .base_url = o->controller,
                                   .path = path,
                                   .token = o->token,
                                   .ca_file = o->ca_file,
                                   .body = body,
                                   .timeout_ms = CALL_MS};
    int err = rest_call_init(c, &r);
    *error = err == -EINVAL ? "not a URL or key that can be used" : strerror(-err);
    if (err < 0)
        return err;
    CURLcode code = curl_easy_perform(c->easy);
    *status = rest_call_status(c);
    *error = rest_call_error(c, code);
    return code == CURLE_OK ? 0 : -EIO;
}

/* *answer: NULL where nobody wants it. */
static int call(const struct media_assign_opts *o, const char *method, const char *path, const char *body,
                json_t **answer, char why[static MEDIA_ASSIGN_TEXT])
{
    for (int i = 0; i < BUSY_TRIES; i++) {
        struct rest_call c = {0};
        struct doc_error e;
        const char *error;
        long status = 0;
        int err = perform(o, method, path, body, &c, &status, &error);
        bool busy = err == 0 && (status == 429 || status == 503), well = status >= 200 && status < 300;
        if (err < 0)
            snprintf(why, MEDIA_ASSIGN_TEXT, "%s %s: %s", method, path, error);
        else
            snprintf(why, MEDIA_ASSIGN_TEXT, "%s %s: %ld %.*s", method, path, status, ANSWER_SHOWN,
                     c.body ? c.body : "");
        if (err == 0 && well && answer && !(*answer = doc_parse(c.body ? c.body : "", c.body_len, &e)))
            err = -EBADMSG;
        rest_call_clear(&c);
        if (!busy)
            return err < 0 ? err : well ? 0 : -EACCES;
        poll(NULL, 0, BUSY_MS);
    }
    return -EBUSY;
}

static int make_meeting(const struct media_assign_opts *o, size_t m, char why[static MEDIA_ASSIGN_TEXT])
{
    json_t *j =
        json_pack("{s:o, s:{s:I, s:I}}", "id", json_sprintf("%s-%zu", o->name, m + 1), "policy", "last_n",
                  (json_int_t)o->last_n, "expected_size", (json_int_t)o->shape.participants);
    char *body = j ? json_dumps(j, JSON_COMPACT) : NULL;
    int err = body ? call(o, "POST", "/v1/meetings", body, NULL, why) : -ENOMEM;
    free(body);
    json_decref(j);
    return err;
}

/* The lines of the transport that is wanted. */
static void choose(const struct media_assign_opts *o, const struct ladder_place *lines, size_t n,
                   struct media_assignment *out)
{
    enum transport line = o->transport == TRANSPORT_PROXY && o->proxy ? TRANSPORT_TLS : o->transport;
    out->n = 0;
    for (size_t i = 0; i < n; i++) {
        struct ladder_place *p = &out->places[out->n];
        if (lines[i].transport != line)
            continue;
        *p = lines[i];
        p->transport = o->transport;
        p->websocket = o->websocket;
        if (o->proxy)
            snprintf(p->proxy, sizeof p->proxy, "%s", o->proxy);
        out->n++;
    }
}

static int take_text(const json_t *from, const char *member, char *out, size_t cap)
{
    const char *text = json_string_value(json_object_get(from, member));
    if (!text || strlen(text) >= cap)
        return -EBADMSG;
    memcpy(out, text, strlen(text) + 1);
    return 0;
}

static int read_answer(const struct media_assign_opts *o, const json_t *j, struct media_assignment *out)
{
    struct ladder_place lines[LADDER_PLACES_MAX];
    struct doc_error e;
    const json_t *media = json_object_get(j, "media");
    ssize_t n = ladder_from_json(j, lines, &e);
    if (n < 0 || take_text(j, "node", out->node, sizeof out->node) < 0 ||
        take_text(media, "username", out->grant.username, sizeof out->grant.username) < 0 ||
        take_text(media, "password", out->grant.password, sizeof out->grant.password) < 0)
        return -EBADMSG;
    choose(o, lines, (size_t)n, out);
    return out->n > 0 ? 0 : -ENETUNREACH;
}

static int join(const struct media_assign_opts *o, size_t m, size_t p, struct media_assignment *out,
                char why[static MEDIA_ASSIGN_TEXT])
{
    char path[PATH_LEN], body[PATH_LEN];
    json_t *j = NULL;
    snprintf(path, sizeof path, "/v1/meetings/%s-%zu/participants", o->name, m + 1);
    snprintf(body, sizeof body, "{\"agent\": \"%s-%zu-%zu\"}", o->name, m + 1, p + 1);
    int err = call(o, "POST", path, body, &j, why);
    if (err == 0)
        err = read_answer(o, j, out);
    if (err == -EBADMSG)
        snprintf(why, MEDIA_ASSIGN_TEXT, "POST %s: the answer is no assignment with a ticket", path);
    else if (err == -ENETUNREACH)
        snprintf(why, MEDIA_ASSIGN_TEXT, "POST %s: the assignment to %s has no address for %s", path,
                 out->node, transport_name(o->transport));
    json_decref(j);
    return err;
}

int media_assign(const struct media_assign_opts *o, struct media_assignment *out, size_t *made,
                 char why[static MEDIA_ASSIGN_TEXT])
{
    int err = 0;
    *made = 0;
    for (size_t m = 0; err == 0 && m < o->shape.meetings; m++) {
        err = make_meeting(o, m, why);
        *made += err == 0;
        for (size_t p = 0; err == 0 && p < o->shape.participants; p++)
            err = join(o, m, p, &out[m * o->shape.participants + p], why);
    }
    return err;
}

void media_assign_end(const struct media_assign_opts *o, size_t made)
{
    for (size_t m = 0; m < made; m++) {
        char path[PATH_LEN], why[MEDIA_ASSIGN_TEXT];
        snprintf(path, sizeof path, "/v1/meetings/%s-%zu", o->name, m + 1);
        if (call(o, "DELETE", path, NULL, NULL, why) < 0)
            fprintf(stderr, "berth-load media: %s\n", why);
    }
}
