/* Paths with ids in them, and lists page by page. Invariant: whatever an id or a cursor holds, it stays one segment
 * or one value. */
#include "call.h"

#include <stdio.h>
#include <string.h>

enum { PAGES_MAX = 10000, CURSOR_MAX = 1024, REST_MAX = 64 };

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

/* "path?limit=100&cursor=..."; an empty cursor: the first page. */
static bool page_path(char *out, size_t cap, const char *path, const char *cursor)
{
    int n = snprintf(out, cap, "%s%climit=100", path, strchr(path, '?') != NULL ? '&' : '?');
    if (n < 0 || (size_t)n >= cap)
        return false;
    if (cursor[0] == '\0')
        return true;
    strncat(out, "&cursor=", cap - strlen(out) - 1);
    return append_encoded(out, cap, cursor);
}

static enum cli_exit get_page(const struct cli *c, enum call_token which, const char *what, const char *path,
                              const char *cursor, json_t **page)
{
    char paged[CALL_PATH_MAX + CURSOR_MAX];
    if (!page_path(paged, sizeof(paged), path, cursor))
        return cli_fail(c, CLI_CONTROLLER, "cannot %s: the cursor is too long", what);
    return call(c, which, what, "GET", paged, NULL, page);
}

/* The first one is the list; others' items are put to its own. */
static enum cli_exit add_page(const struct cli *c, const char *what, json_t *page, json_t **list)
{
    json_t *items = json_object_get(page, "items");
    int failed = 0;
    if (!json_is_array(items))
        return cli_fail(c, CLI_CONTROLLER, "cannot %s: the answer is no list", what);
    if (*list == NULL)
        *list = json_incref(page);
    else
        failed = json_array_extend(json_object_get(*list, "items"), items);
    if (failed == 0 && json_is_true(json_object_get(page, "sampled"))) /* one page's is the whole list's */
        failed = json_object_set_new(*list, "sampled", json_true());
    return failed == 0 ? CLI_OK : cli_fail(c, CLI_CONTROLLER, "out of memory");
}

/* Where the next page begins; empty behind the last. A controller that leads back to where we are would be asked forever. */
static enum cli_exit follow(const struct cli *c, const char *what, const json_t *page,
                            char cursor[static CURSOR_MAX])
{
    const char *next = json_string_value(json_object_get(page, "next"));
    if (next != NULL && (strcmp(next, cursor) == 0 || strlen(next) >= CURSOR_MAX))
        return cli_fail(c, CLI_CONTROLLER, "cannot %s: the controller's pages lead nowhere", what);
    memcpy(cursor, next != NULL ? next : "", next != NULL ? strlen(next) + 1 : 1);
    return CLI_OK;
}

enum cli_exit call_list(const struct cli *c, enum call_token which, const char *what, const char *path,
                        json_t **answer)
{
    char cursor[CURSOR_MAX] = "";
    json_t *list = NULL;
    enum cli_exit code = CLI_OK;
    int pages = 0;
    do {
        json_t *page = NULL;
        code = get_page(c, which, what, path, cursor, &page);
        if (code == CLI_OK)
            code = add_page(c, what, page, &list);
        if (code == CLI_OK)
            code = follow(c, what, page, cursor);
        if (code == CLI_OK && cursor[0] != '\0' && ++pages > PAGES_MAX)
            code = cli_fail(c, CLI_CONTROLLER, "cannot %s: the controller's pages lead nowhere", what);
        json_decref(page);
    } while (code == CLI_OK && cursor[0] != '\0');
    if (code != CLI_OK) {
        json_decref(list);
        return code;
    }
    (void)json_object_del(list, "next");
    *answer = list;
    return CLI_OK;
}
