/* berth key create|list|revoke. Invariant: a key's secret is printed once, to standard output, and nowhere else. */
#include "commands.h"
#include "list.h"

#include <string.h>

/* Another organisation's keys are the operator's; one's own need no more than one's own key. */
static enum call_token token_for(const struct cli *c)
{
    return c->o.org != NULL || c->o.token == NULL ? CALL_TOKEN_ADMIN : CALL_TOKEN_OWN;
}

enum cli_exit cmd_key_create(struct cli *c)
{
    json_t *answer;
    if (strcmp(c->o.kind, "org") != 0 && strcmp(c->o.kind, "node") != 0)
        return cli_fail(c, CLI_USAGE, "--kind is org or node, not '%.40s'", c->o.kind);
    if (c->o.org == NULL && token_for(c) == CALL_TOKEN_ADMIN)
        return cli_fail(c, CLI_USAGE,
                        "--org ORG is missing: with the admin key say whose key it is to be (\"cloud\" with "
                        "--kind node, for the cloud's nodes)");
    json_t *body = json_pack("{s:s, s:s*}", "kind", c->o.kind, "org", c->o.org);
    enum cli_exit code = call(c, token_for(c), "make the key", "POST", "/v1/keys", body, &answer);
    if (code != CLI_OK)
        return code;
    const char *key = json_string_value(json_object_get(answer, "key"));
    if (c->o.json) {
        code = cli_print_json(c, answer);
    } else if (key == NULL) {
        code = cli_fail(c, CLI_CONTROLLER, "the controller's answer holds no key");
    } else {
        cli_say(c, "%s", key);
        if (c->out_terminal)
            fputs("Keep it: it is not shown again.\n", c->err);
    }
    json_decref(answer);
    return code;
}

enum cli_exit cmd_key_list(struct cli *c)
{
    static const struct table_column columns[] = {
        {"KEY", TABLE_LEFT, false},
        {"KIND", TABLE_LEFT, false},
        {"CREATED", TABLE_LEFT, false},
        {"REVOKED", TABLE_LEFT, false},
    };
    static const char *const members[] = {"key_id", "kind", "created_at", "revoked_at"};
    char path[CALL_PATH_MAX] = "/v1/keys";
    json_t *list;
    enum cli_exit code = c->o.org != NULL ? call_path(c, path, "/v1/keys?org=", c->o.org, "") : CLI_OK;
    if (code == CLI_OK)
        code = call_list(c, token_for(c), "list the keys", path, &list);
    return code == CLI_OK ? list_print(c, list, columns, members, 4) : code;
}

enum cli_exit cmd_key_revoke(struct cli *c)
{
    return list_delete(c, CALL_TOKEN_ADMIN, "/v1/keys/", "key", "revoked");
}
