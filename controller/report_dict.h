/* A report's names, or its addresses: each stands once, in the order in which they come, and is known by its position
 * from 1. What comes out are the elements of PostgreSQL's array of text, ready to be sent. */
#ifndef BERTH_CONTROLLER_REPORT_DICT_H
#define BERTH_CONTROLLER_REPORT_DICT_H

#include "core/addr.h"

#include <sodium.h>
#include <stddef.h>
#include <stdint.h>

/* Reports come from anybody: under a key that nobody knows, nothing that they hold makes many meet in one place. */
struct report_dict_key {
    uint8_t names[crypto_shorthash_KEYBYTES];
    uint64_t places; /* odd */
};
void report_dict_keygen(struct report_dict_key *key);

struct report_dict {
    const struct report_dict_key *key;
    unsigned shift; /* a hash's top bits are its place */
    size_t n, bytes;
    uint8_t *elements; /* that many bytes */
    struct report_dict_entry *entries;
    uint16_t *table; /* positions, 0: free */
};
/* Room for `most` different ones. 0 or -ENOMEM. */
int report_dict_init(struct report_dict *d, size_t most, const struct report_dict_key *key)
    __attribute__((warn_unused_result));
void report_dict_clear(struct report_dict *d); /* also of a zeroed one */
/* What is put in must stay where it is. A name is NODE_ID_MAX long at most. */
int16_t report_dict_name(struct report_dict *d, const char *name);
int16_t report_dict_addr(struct report_dict *d, const struct addr *a); /* 0 where it is none */

#endif
