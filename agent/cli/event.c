/* berth event list: what the operator is to know of. */
#include "commands.h"
#include "list.h"

#include <stdio.h>

/* The sentence comes last: where it doesn't fit, it has a line of its own. */
static const struct table_column columns[] = {
    {"RAISED", TABLE_LEFT, false}, {"CLEARED", TABLE_LEFT, false}, {"SEVERITY", TABLE_LEFT, false},
    {"KIND", TABLE_LEFT, false},   {"ORG", TABLE_LEFT, true},      {"SUBJECT", TABLE_LEFT, true},
    {"WHAT", TABLE_LEFT, false},
};
static const char *const members[] = {"raised_at", "cleared_at", "severity", "kind",
                                      "org",       "subject",    "detail"};

enum cli_exit cmd_event_list(struct cli *c)
{
    char path[CALL_PATH_MAX];
    json_t *list;
    enum cli_exit code = CLI_OK;
    if (c->o.severity != NULL)
        code = call_path(c, path, "/v1/events?severity=", c->o.severity, c->o.open ? "&open=true" : "");
    else
        snprintf(path, sizeof(path), "/v1/events%s", c->o.open ? "?open=true" : "");
    if (code == CLI_OK)
        code = call_list(c, CALL_TOKEN_ADMIN, "list the events", path, &list);
    if (code != CLI_OK)
        return code;
    if (!c->o.json && json_array_size(json_object_get(list, "items")) == 0) {
        cli_say(c, c->o.open ? "Nothing is wrong." : "There were no such events.");
        json_decref(list);
        return CLI_OK;
    }
    return list_print(c, list, columns, members, sizeof(columns) / sizeof(columns[0]));
}
