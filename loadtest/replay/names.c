/* A hash table of names. Invariant: at most half of the slots are taken, so that every search ends at a free one. */
#include "names.h"

#include "core/hash.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS_FIRST = 64 };

/* Where the name is, or the free slot where it belongs. */
static size_t slot_of(const struct names *t, const char *name)
{
    size_t at = hash64_end(hash64_add(HASH64_BEGIN, name)) & (t->n_slots - 1);
    while (t->slots[at] != 0 && strcmp(t->text[t->slots[at] - 1], name) != 0)
        at = (at + 1) & (t->n_slots - 1);
    return at;
}

static int grow(struct names *t)
{
    if (t->n == t->cap) {
        size_t cap = t->cap > 0 ? t->cap * 2 : SLOTS_FIRST / 2;
        char **text = realloc(t->text, cap * sizeof *text);
        if (!text)
            return -ENOMEM;
        t->text = text;
        t->cap = cap;
    }
    if (2 * (t->n + 1) <= t->n_slots)
        return 0;
    size_t n_slots = t->n_slots > 0 ? t->n_slots * 2 : SLOTS_FIRST;
    size_t *slots = calloc(n_slots, sizeof *slots);
    if (!slots)
        return -ENOMEM;
    free(t->slots);
    t->slots = slots;
    t->n_slots = n_slots;
    for (size_t i = 0; i < t->n; i++)
        t->slots[slot_of(t, t->text[i])] = i + 1;
    return 0;
}

/* No JSON could say the name otherwise. */
static bool is_utf8(const char *name)
{
    json_t *text = json_string(name);
    bool is = text != NULL;
    json_decref(text);
    return is;
}

int names_add(struct names *t, const char *name, size_t *number)
{
    size_t found = names_find(t, name), len = strnlen(name, NAME_MAX_LEN + 1);
    if (len == 0 || len > NAME_MAX_LEN)
        return -EINVAL;
    if (found != NAMES_NONE) {
        *number = found;
        return 0;
    }
    if (!is_utf8(name))
        return -EINVAL;
    if (grow(t) < 0)
        return -ENOMEM;
    char *copy = strdup(name);
    if (!copy)
        return -ENOMEM;
    t->text[t->n] = copy;
    t->slots[slot_of(t, name)] = t->n + 1;
    *number = t->n++;
    return 0;
}

size_t names_find(const struct names *t, const char *name)
{
    if (t->n_slots == 0)
        return NAMES_NONE;
    size_t held = t->slots[slot_of(t, name)];
    return held > 0 ? held - 1 : NAMES_NONE;
}

void names_clear(struct names *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->text[i]);
    free(t->text);
    free(t->slots);
    *t = (struct names){0};
}
