/* Tables of the controller's objects by their members' names. */
#include "list.h"

enum cli_exit list_print(const struct cli *c, json_t *list, const struct table_column *columns,
                         const char *const *members, size_t n)
{
    enum cli_exit code;
    json_t *item;
    size_t i;
    if (c->o.json) {
        code = cli_print_json(c, list);
    } else {
        struct table *t = table_new(columns, n, 0);
        json_array_foreach(json_object_get(list, "items"), i, item)
        {
            char buf[TABLE_COLUMNS_MAX][64];
            const char *cells[TABLE_COLUMNS_MAX];
            for (size_t m = 0; m < n; m++)
                cells[m] = cli_cell(item, members[m], buf[m]);
            if (t != NULL)
                table_row(t, cells);
        }
        code = cli_print_table(c, t);
    }
    json_decref(list);
    return code;
}

enum cli_exit list_print_one(const struct cli *c, json_t *object, const struct table_column *columns,
                             const char *const *members, size_t n)
{
    if (c->o.json) {
        enum cli_exit code = cli_print_json(c, object);
        json_decref(object);
        return code;
    }
    return list_print(c, json_pack("{s:[o]}", "items", object), columns, members, n);
}

enum cli_exit list_delete(const struct cli *c, enum call_token which, const char *base, const char *name,
                          const char *done)
{
    char path[CALL_PATH_MAX];
    enum cli_exit code = call_path(c, path, base, c->words.v[0], "");
    return code == CLI_OK ? list_delete_at(c, which, path, name, done) : code;
}

enum cli_exit list_delete_at(const struct cli *c, enum call_token which, const char *path, const char *name,
                             const char *done)
{
    char what[64];
    json_t *answer;
    snprintf(what, sizeof(what), "delete the %s", name);
    enum cli_exit code = call(c, which, what, "DELETE", path, NULL, &answer);
    if (code != CLI_OK)
        return code;
    json_decref(answer);
    if (!c->o.json) {
        cli_say(c, "The %s %s is %s.", name, c->words.v[0], done);
        return CLI_OK;
    }
    json_t *j = json_pack("{s:s, s:b}", name, c->words.v[0], "deleted", 1);
    code = cli_print_json(c, j);
    json_decref(j);
    return code;
}
