/* Names and their numbers, 0, 1, 2, ... in the order of their first appearance. */
#ifndef BERTH_LOADTEST_REPLAY_NAMES_H
#define BERTH_LOADTEST_REPLAY_NAMES_H

#include <stddef.h>

enum { NAME_MAX_LEN = 128 };
#define NAMES_NONE ((size_t)-1)

struct names {
    size_t n;
    char **text; /* n; owned */
    size_t cap;
    size_t n_slots, *slots; /* open addressing: number + 1, 0 is free */
};

/* The name's number, added if it is new. -EINVAL: empty, longer than NAME_MAX_LEN, or not UTF-8; -ENOMEM. */
int names_add(struct names *t, const char *name, size_t *number) __attribute__((warn_unused_result));
size_t names_find(const struct names *t, const char *name); /* NAMES_NONE: not there */
void names_clear(struct names *t); /* a zeroed struct is empty; so is a cleared one */

#endif
