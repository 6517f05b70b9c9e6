/* One key's value from text, and names that are nearly right. Invariant: the target points only at what the config owns. */
#include "sys/config_internal.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct config_string {
    struct config_string *next;
    char text[];
};

int config_fail(struct config_error *e, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->text, sizeof(e->text), fmt, ap);
    va_end(ap);
    return -EINVAL;
}

const char *config_keep(struct config *c, const char *text, size_t len)
{
    struct config_string *s = malloc(sizeof(*s) + len + 1);
    if (s == NULL)
        return NULL;
    memcpy(s->text, text, len);
    s->text[len] = '\0';
    s->next = c->strings;
    c->strings = s;
    return s->text;
}

void config_destroy(struct config *c)
{
    if (c == NULL)
        return;
    while (c->strings != NULL) {
        struct config_string *s = c->strings;
        c->strings = s->next;
        free(s);
    }
    free(c);
}

static void *target_of(const struct config_key *key, void *target)
{
    return (char *)target + key->offset;
}

void config_reset(const struct config_key *key, void *target)
{
    if (key->type == CONFIG_LIST)
        *(struct config_list *)target_of(key, target) = (struct config_list){0};
}

static int set_int(const struct config_key *key, int64_t *out, const char *text, const char *where,
                   struct config_error *e)
{
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || isspace((unsigned char)text[0]))
        return config_fail(e, "%s: '%.40s' is not a whole number", where, text);
    if (errno == ERANGE || v < key->min || v > key->max)
        return config_fail(e, "%s: %.40s is not within %" PRId64 " to %" PRId64, where, text, key->min,
                           key->max);
    *out = v;
    return 0;
}

static int set_bool(bool *out, const char *text, const char *where, struct config_error *e)
{
    static const char *const words[2][3] = {{"false", "no", "0"}, {"true", "yes", "1"}};
    for (size_t value = 0; value < 2; value++) {
        for (size_t i = 0; i < 3; i++) {
            if (strcasecmp(text, words[value][i]) == 0) {
                *out = value == 1;
                return 0;
            }
        }
    }
    return config_fail(e, "%s: '%.40s' is neither true nor false", where, text);
}

static int add_item(struct config *c, struct config_list *l, const char *text, size_t len, const char *where,
                    struct config_error *e)
{
    if (l->n == CONFIG_LIST_MAX)
        return config_fail(e, "%s: more than %d values", where, CONFIG_LIST_MAX);
    const char *kept = config_keep(c, text, len);
    if (kept == NULL)
        return -ENOMEM;
    l->v[l->n++] = kept;
    return 0;
}

/* Items between commas, trimmed; empty ones (a comma at the end) are skipped. */
static int add_items(struct config *c, struct config_list *l, const char *text, const char *where,
                     struct config_error *e)
{
    while (*text != '\0') {
        text += strspn(text, " \t,");
        size_t len = strcspn(text, ","), used = len;
        while (used > 0 && (text[used - 1] == ' ' || text[used - 1] == '\t'))
            used--;
        int rc = used > 0 ? add_item(c, l, text, used, where, e) : 0;
        if (rc != 0)
            return rc;
        text += len;
    }
    return 0;
}

int config_set(struct config *c, const struct config_key *key, void *target, const char *text, bool split,
               const char *where, struct config_error *e)
{
    void *at = target_of(key, target);
    switch (key->type) {
    case CONFIG_INT:
        return set_int(key, at, text, where, e);
    case CONFIG_BOOL:
        return set_bool(at, text, where, e);
    case CONFIG_LIST:
        return split ? add_items(c, at, text, where, e) : add_item(c, at, text, strlen(text), where, e);
    case CONFIG_STRING:
        break;
    }
    const char *kept = config_keep(c, text, strlen(text));
    if (kept == NULL)
        return -ENOMEM;
    *(const char **)at = kept;
    return 0;
}

const struct config_key *config_find(const struct config_key *keys, size_t n, const char *name, size_t len)
{
    for (size_t i = 0; i < n; i++) {
        if (strlen(keys[i].name) == len && memcmp(keys[i].name, name, len) == 0)
            return &keys[i];
    }
    return NULL;
}

/* Levenshtein's distance by one row; names longer than a name can be are far from all. */
static size_t distance(const char *a, const char *b)
{
    size_t row[CONFIG_NAME_MAX + 1];
    size_t n = strlen(b);
    if (n > CONFIG_NAME_MAX || strlen(a) > CONFIG_NAME_MAX)
        return CONFIG_NAME_MAX;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t least = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < least)
                least = row[j] + 1;
            if (row[j - 1] + 1 < least)
                least = row[j - 1] + 1;
            row[j] = least;
        }
    }
    return row[n];
}

const char *config_hint(const struct config_key *keys, size_t n, const char *name, bool in_file,
                        char buf[static CONFIG_NAME_MAX + 32])
{
    const struct config_key *best = NULL;
    size_t least = 3; /* two slips of the finger at most */
    for (size_t i = 0; i < n; i++) {
        if (in_file && keys[i].section == NULL)
            continue;
        size_t d = distance(name, keys[i].name);
        if (d < least && d < strlen(name)) {
            least = d;
            best = &keys[i];
        }
    }
    buf[0] = '\0';
    if (best != NULL)
        snprintf(buf, CONFIG_NAME_MAX + 32, ", did you mean '%s%.64s'?", in_file ? "" : "--", best->name);
    return buf;
}
