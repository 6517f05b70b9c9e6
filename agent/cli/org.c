/* berth org create|list|show|delete: the operator's calls. */
#include "commands.h"
#include "list.h"

static const struct table_column columns[] = {
    {"ORG", TABLE_LEFT, false},
    {"CREATED", TABLE_LEFT, false},
    {"NAME", TABLE_LEFT, false},
};
static const char *const members[] = {"id", "created_at", "name"};

enum cli_exit cmd_org_create(struct cli *c)
{
    json_t *answer;
    enum cli_exit code = call(c, CALL_TOKEN_ADMIN, "make the organisation", "POST", "/v1/orgs",
                              json_pack("{s:s}", "name", c->words.v[0]), &answer);
    return code == CLI_OK ? list_print_one(c, answer, columns, members, 3) : code;
}

enum cli_exit cmd_org_list(struct cli *c)
{
    json_t *list;
    enum cli_exit code = call_list(c, CALL_TOKEN_ADMIN, "list the organisations", "/v1/orgs", &list);
    return code == CLI_OK ? list_print(c, list, columns, members, 3) : code;
}

enum cli_exit cmd_org_show(struct cli *c)
{
    char path[CALL_PATH_MAX];
    json_t *org;
    enum cli_exit code = call_path(c, path, "/v1/orgs/", c->words.v[0], "");
    if (code == CLI_OK)
        code = call(c, CALL_TOKEN_ADMIN, "show the organisation", "GET", path, NULL, &org);
    return code == CLI_OK ? list_print_one(c, org, columns, members, 3) : code;
}

enum cli_exit cmd_org_delete(struct cli *c)
{
    return list_delete(c, CALL_TOKEN_ADMIN, "/v1/orgs/", "org", "deleted");
}
