/* Pages of removals into a sorted table. Invariant: of a participant of a meeting there is one entry, with the greatest number that was told. */
#include "links.h"

#include "core/doc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void links_clear(struct links *l)
{
    free(l->removed);
    *l = (struct links){.n_removed = 0};
}

static bool copy(char *to, size_t cap, const json_t *o, const char *member)
{
    const char *text = json_string_value(json_object_get(o, member));
    size_t len = text ? strlen(text) : 0;
    if (len == 0 || len >= cap || len != json_string_length(json_object_get(o, member)))
        return false;
    memcpy(to, text, len + 1);
    return true;
}

static bool read_removed(struct media_plan_removed *r, const json_t *o)
{
    const json_t *number = json_object_get(o, "number");
    *r = (struct media_plan_removed){.number = json_integer_value(number)};
    return json_is_integer(number) && copy(r->org, sizeof(r->org), o, "org") &&
           copy(r->id, sizeof(r->id), o, "meeting") && copy(r->who, sizeof(r->who), o, "agent");
}

static int reserve(struct links *l, size_t more)
{
    size_t want = l->n_removed + more;
    if (want <= l->room)
        return 0;
    struct media_plan_removed *grown = realloc(l->removed, want * sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    l->removed = grown;
    l->room = want;
    return 0;
}

static int newest_first(const void *a, const void *b)
{
    const struct media_plan_removed *x = a, *y = b;
    return (x->number < y->number) - (x->number > y->number);
}

/* Sorts what was added behind the rest, leaves one of each, and no more than the bound. */
static void settle(struct links *l)
{
    size_t kept = 0;
    qsort(l->removed, l->n_removed, sizeof(*l->removed), media_plan_removed_cmp);
    for (size_t i = 0; i < l->n_removed; i++) {
        if (kept > 0 && media_plan_removed_cmp(&l->removed[kept - 1], &l->removed[i]) == 0) {
            if (l->removed[i].number > l->removed[kept - 1].number)
                l->removed[kept - 1].number = l->removed[i].number;
            continue;
        }
        l->removed[kept++] = l->removed[i];
    }
    l->n_removed = kept;
    if (kept <= LINKS_REMOVED_MAX)
        return;
    qsort(l->removed, kept, sizeof(*l->removed), newest_first);
    l->n_removed = LINKS_REMOVED_MAX;
    qsort(l->removed, l->n_removed, sizeof(*l->removed), media_plan_removed_cmp);
}

int links_update(struct links *l, const char *body, size_t len)
{
    struct doc_error e;
    json_t *o = body ? doc_parse(body, len, &e) : NULL;
    const json_t *list = json_object_get(o, "removed");
    char version[LINKS_VERSION_MAX + 1];
    int rc = -EBADMSG;
    if (!json_is_array(list) || !copy(version, sizeof(version), o, "version"))
        goto out;
    size_t n = json_array_size(list);
    rc = n > 0 ? reserve(l, n) : 0;
    if (rc != 0)
        goto out;
    for (size_t i = 0; i < n; i++)
        l->n_removed += read_removed(&l->removed[l->n_removed], json_array_get(list, i));
    if (n > 0)
        settle(l);
    memcpy(l->version, version, sizeof(version));
    l->more = json_is_true(json_object_get(o, "more"));
out:
    json_decref(o);
    return rc;
}

struct media_plan_held *links_plan(const struct links *l)
{
    return media_plan_held_new(l->removed, l->n_removed);
}
