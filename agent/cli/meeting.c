/* berth meeting create|list|show|delete|leave. */
#include "commands.h"
#include "core/doc.h"
#include "list.h"
#include "who.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct table_column columns[] = {
    {"MEETING", TABLE_LEFT, true}, {"CREATED", TABLE_LEFT, false}, {"PEOPLE", TABLE_RIGHT, false},
    {"NODES", TABLE_LEFT, true},   {"POLICY", TABLE_LEFT, false},
};
static const char *const members[] = {"id", "created_at", "participants", "nodes", "policy"};

static void append(char *out, size_t cap, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Behind a comma where something stands there already. */
static void append(char *out, size_t cap, const char *fmt, ...)
{
    size_t len = strlen(out);
    va_list ap;
    if (len > 0 && len + 2 < cap) {
        memcpy(out + len, ", ", 3);
        len += 2;
    }
    va_start(ap, fmt);
    vsnprintf(out + len, cap - len, fmt, ap);
    va_end(ap);
}

static void append_each(char *out, size_t cap, const char *before, const json_t *list)
{
    json_t *v;
    size_t i;
    json_array_foreach(list, i, v)
    {
        if (json_is_string(v))
            append(out, cap, "%s%s", before, json_string_value(v));
    }
}

static void append_figure(char *out, size_t cap, const char *fmt, const json_t *v)
{
    char text[64];
    if (!json_is_integer(v))
        return;
    snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, json_integer_value(v));
    append(out, cap, "%s%s", text, fmt);
}

/* "in eu, not in us, private, over tls, for 20, 900 kbit/s each, ...", as the options of create would say it. */
static void policy_text(const json_t *p, char *out, size_t cap)
{
    const json_t *regions = json_object_get(p, "regions"), *mesh = json_object_get(p, "mesh_within_ms");
    out[0] = '\0';
    append_each(out, cap, "in ", json_object_get(regions, "allow"));
    append_each(out, cap, "not in ", json_object_get(regions, "deny"));
    if (json_is_true(json_object_get(p, "private")))
        append(out, cap, "private");
    append_each(out, cap, "over ", json_object_get(p, "transports"));
    append_figure(out, cap, " people", json_object_get(p, "expected_size"));
    append_figure(out, cap, " kbit/s each", json_object_get(p, "bitrate_kbps"));
    append_figure(out, cap, " heard at once", json_object_get(p, "last_n"));
    if (json_is_integer(mesh))
        append(out, cap, "own nodes within %" JSON_INTEGER_FORMAT " ms", json_integer_value(mesh));
    if (json_is_true(json_object_get(p, "cap_worst")))
        append(out, cap, "the worst-off first");
}

/* "n2 (2), n1 (1)"; where there is one, its name alone. */
static void nodes_text(const json_t *nodes, char *out, size_t cap)
{
    json_t *one;
    size_t i;
    out[0] = '\0';
    json_array_foreach(nodes, i, one)
    {
        const char *name = json_string_value(json_object_get(one, "node"));
        if (name != NULL && json_array_size(nodes) == 1)
            append(out, cap, "%s", name);
        else if (name != NULL)
            append(out, cap, "%s (%" JSON_INTEGER_FORMAT ")", name,
                   json_integer_value(json_object_get(one, "participants")));
    }
}

/* What a table says of a meeting in place of its objects. */
static void put_texts(json_t *meeting)
{
    char text[2048];
    policy_text(json_object_get(meeting, "policy"), text, sizeof(text));
    json_object_set_new(meeting, "policy", json_string(text));
    nodes_text(json_object_get(meeting, "nodes"), text, sizeof(text));
    json_object_set_new(meeting, "nodes", json_string(text[0] != '\0' ? text : "-"));
}

static enum cli_exit print_one(const struct cli *c, json_t *meeting)
{
    if (!c->o.json)
        put_texts(meeting);
    return list_print_one(c, meeting, columns, members, 5);
}

static json_t *strings(const struct config_list *l)
{
    json_t *a = json_array();
    for (size_t i = 0; i < l->n; i++)
        json_array_append_new(a, json_string(l->v[i]));
    return a;
}

/* The policy that the options describe; NULL: none is. */
static json_t *policy(const struct cli_options *o)
{
    json_t *p = json_object(), *regions = json_object();
    if (o->allow_region.n > 0)
        json_object_set_new(regions, "allow", strings(&o->allow_region));
    if (o->deny_region.n > 0)
        json_object_set_new(regions, "deny", strings(&o->deny_region));
    if (json_object_size(regions) > 0)
        json_object_set(p, "regions", regions);
    json_decref(regions);
    if (o->private_only)
        json_object_set_new(p, "private", json_true());
    if (o->transports.n > 0)
        json_object_set_new(p, "transports", strings(&o->transports));
    if (o->expected_size > 0)
        json_object_set_new(p, "expected_size", json_integer(o->expected_size));
    if (o->bitrate_kbps > 0)
        json_object_set_new(p, "bitrate_kbps", json_integer(o->bitrate_kbps));
    if (o->last_n > 0)
        json_object_set_new(p, "last_n", json_integer(o->last_n));
    if (o->mesh_within_ms >= 0)
        json_object_set_new(p, "mesh_within_ms", json_integer(o->mesh_within_ms));
    if (o->cap_worst)
        json_object_set_new(p, "cap_worst", json_true());
    if (json_object_size(p) > 0)
        return p;
    json_decref(p);
    return NULL;
}

enum cli_exit cmd_meeting_create(struct cli *c)
{
    enum transport transport;
    json_t *answer;
    for (size_t i = 0; i < c->o.transports.n; i++) {
        if (transport_parse(c->o.transports.v[i], &transport) != 0)
            return cli_fail(c, CLI_USAGE, "--transport is udp, tcp, tls or proxy, not '%.40s'",
                            c->o.transports.v[i]);
    }
    json_t *body =
        json_pack("{s:s*, s:o*}", "id", c->words.n > 0 ? c->words.v[0] : NULL, "policy", policy(&c->o));
    bool made;
    enum cli_exit code =
        call_make(c, CALL_TOKEN_OWN, "make the meeting", "/v1/meetings", body, &answer, &made);
    if (code == CLI_OK)
        code = print_one(c, answer);
    if (code == CLI_OK && !made && !c->o.json)
        cli_say(c, "It was there already, as shown.");
    return code;
}

enum cli_exit cmd_meeting_list(struct cli *c)
{
    json_t *list, *meeting;
    size_t i;
    enum cli_exit code = call_list(c, CALL_TOKEN_OWN, "list the meetings", "/v1/meetings", &list);
    if (code != CLI_OK)
        return code;
    json_array_foreach(json_object_get(list, "items"), i, meeting)
    {
        if (!c->o.json)
            put_texts(meeting);
    }
    return list_print(c, list, columns, members, 5);
}

static enum cli_exit print_participants(const struct cli *c, json_t *list)
{
    static const struct table_column who[] = {
        {"PARTICIPANT", TABLE_LEFT, true},
        {"NODE", TABLE_LEFT, true},
        {"TRANSPORT", TABLE_LEFT, false},
    };
    static const char *const what[] = {"participant", "node", "transport"};
    fputc('\n', c->out);
    return list_print(c, list, who, what, 3);
}

/* JSON: the meeting, and its participants as another member. */
enum cli_exit cmd_meeting_show(struct cli *c)
{
    char path[CALL_PATH_MAX], people[CALL_PATH_MAX];
    json_t *meeting = NULL, *list = NULL;
    enum cli_exit code = call_path(c, path, "/v1/meetings/", c->words.v[0], "");
    if (code == CLI_OK)
        code = call_path(c, people, "/v1/meetings/", c->words.v[0], "/participants");
    if (code == CLI_OK)
        code = call(c, CALL_TOKEN_OWN, "show the meeting", "GET", path, NULL, &meeting);
    if (code == CLI_OK)
        code = call_list(c, CALL_TOKEN_OWN, "list the meeting's participants", people, &list);
    if (code != CLI_OK) {
        json_decref(meeting);
        return code;
    }
    if (c->o.json) {
        json_object_set(meeting, "participants", json_object_get(list, "items"));
        json_decref(list);
        return print_one(c, meeting);
    }
    code = print_one(c, meeting);
    if (code != CLI_OK) {
        json_decref(list);
        return code;
    }
    return print_participants(c, list);
}

enum cli_exit cmd_meeting_delete(struct cli *c)
{
    return list_delete(c, CALL_TOKEN_OWN, "/v1/meetings/", "meeting", "deleted");
}

enum cli_exit cmd_meeting_leave(struct cli *c)
{
    char path[CALL_PATH_MAX], named[AGENT_ID_MAX + 1];
    const char *agent = who_is(c, named);
    json_t *answer;
    enum cli_exit code = call_path(c, path, "/v1/meetings/", c->words.v[0], "");
    if (code == CLI_OK)
        code = call_path_add(c, path, "/participants/", agent);
    if (code == CLI_OK)
        code = call(c, CALL_TOKEN_OWN, "leave the meeting", "DELETE", path, NULL, &answer);
    if (code != CLI_OK)
        return code;
    json_decref(answer);
    if (!c->o.json) {
        cli_say(c, "%s has left %s.", agent, c->words.v[0]);
        return CLI_OK;
    }
    json_t *j = json_pack("{s:s, s:s, s:b}", "meeting", c->words.v[0], "participant", agent, "deleted", 1);
    code = cli_print_json(c, j);
    json_decref(j);
    return code;
}
