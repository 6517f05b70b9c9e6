/* Pages of lists. Invariant: a cursor is a place in the caller's own list, not a count, so a page never shows a row
 * twice whatever has come and gone since the page before. */
#include "api.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { API_LIST_PARAMS_MAX = 4 };

/* A list under way. */
struct listing {
    struct api_page page;
    const struct api_list *list;
};

/* The database takes nothing else; jansson makes strings of nothing else. */
static bool is_utf8(const char *s)
{
    json_t *string = json_string(s);

    json_decref(string);
    return string != NULL;
}

static bool read_cursor(const char *cursor, struct api_page *page)
{
    size_t len = 0;

    if (sodium_base642bin((uint8_t *)page->after, API_CURSOR_MAX, cursor, strlen(cursor), NULL, &len, NULL,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
        return false;
    page->after[len] = '\0';
    return strlen(page->after) == len && is_utf8(page->after);
}

bool api_page(struct api_request *r, struct api_page *page)
{
    const char *limit = api_query(r, "limit"), *cursor = api_query(r, "cursor");
    char *end = NULL;

    memset(page, 0, sizeof(*page));
    page->limit = API_PAGE_DEFAULT;
    if (limit != NULL) {
        long n = strtol(limit, &end, 10);
        if (end == limit || *end != '\0' || n < 1 || n > API_PAGE_MAX) {
            api_problem(r, 400, "bad_request", "limit must be 1 to 500");
            return false;
        }
        page->limit = (int)n;
    }
    if (cursor != NULL && !read_cursor(cursor, page)) {
        api_problem(r, 400, "bad_request", "this cursor is none of ours");
        return false;
    }
    return true;
}

json_t *api_page_next(const char *last)
{
    char cursor[API_CURSOR_MAX * 4 / 3 + 8];

    if (last == NULL || strlen(last) > API_CURSOR_MAX)
        return json_null();
    return json_string(sodium_bin2base64(cursor, sizeof(cursor), (const uint8_t *)last, strlen(last),
                                         sodium_base64_VARIANT_URLSAFE_NO_PADDING));
}

void api_page_json(struct api_request *r, json_t *items, const char *last)
{
    api_json(r, 200, json_pack("{s:o,s:o}", "items", items, "next", api_page_next(last)));
}

static void on_listed(struct api_request *r, const struct db_result *result)
{
    const struct listing *l = r->state;
    const PGresult *res = result->res[0];
    int n = PQntuples(res), shown = n > l->page.limit ? l->page.limit : n;
    json_t *items = json_array();

    for (int i = 0; i < shown; i++)
        (void)json_array_append_new(items, l->list->item(res, i));
    api_page_json(r, items, n > shown ? db_get(res, shown - 1, 0) : NULL);
}

void api_list(struct api_request *r, const struct api_list *list, const struct db_param *own, size_t n)
{
    struct listing *l = api_alloc(r, sizeof(*l));
    struct db_param p[API_LIST_PARAMS_MAX];
    struct db_batch *b;
    char rows[24];

    assert(n + 2 <= API_LIST_PARAMS_MAX);
    r->state = l;
    l->list = list;
    if (!api_page(r, &l->page) || (b = api_db_begin(r, list->role)) == NULL)
        return;
    if (n > 0)
        memcpy(p, own, n * sizeof(p[0]));
    p[n] = db_text(l->page.after);
    p[n + 1] = db_i64(rows, l->page.limit + 1);
    db_add(b, list->stmt, p, n + 2);
    api_db_send(r, b, on_listed);
}
