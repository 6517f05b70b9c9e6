/* Invariant: position p is that of entries[p - 1], whose text is the p-th of the elements; the table has room for
 * twice as many as there can be. */
#include "report_dict.h"

#include "core/doc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ELEMENT_MAX = 4 + ADDR_TEXT_LEN, SLOT_BITS_MIN = 4 };
_Static_assert((int)ADDR_TEXT_LEN >= (int)NODE_ID_MAX, "a name fits where an address does");

struct report_dict_entry {
    uint64_t id; /* differs where they do, nearly always */
    const void *what;
};

void report_dict_keygen(struct report_dict_key *key)
{
    randombytes_buf(key, sizeof(*key));
    key->places |= 1;
}

int report_dict_init(struct report_dict *d, size_t most, const struct report_dict_key *key)
{
    unsigned bits = SLOT_BITS_MIN;

    memset(d, 0, sizeof(*d));
    while ((size_t)1 << bits < most * 2)
        bits++;
    d->key = key;
    d->shift = 64 - bits;
    d->table = calloc((size_t)1 << bits, sizeof(*d->table));
    d->entries = malloc((most + 1) * sizeof(*d->entries));
    d->elements = malloc(most * ELEMENT_MAX + 1);
    return d->table != NULL && d->entries != NULL && d->elements != NULL ? 0 : -ENOMEM;
}

void report_dict_clear(struct report_dict *d)
{
    free(d->table);
    free(d->entries);
    free(d->elements);
}

/* Where its position stands, or is to stand. */
static uint16_t *place_of(const struct report_dict *d, uint64_t id)
{
    return &d->table[id * d->key->places >> d->shift];
}

static uint16_t *next_place(const struct report_dict *d, uint16_t *place)
{
    return place + 1 < d->table + ((size_t)1 << (64 - d->shift)) ? place + 1 : d->table;
}

/* A new one, whose text of `len` bytes stands behind the room for its length already. */
static void put(struct report_dict *d, uint16_t *place, uint64_t id, const void *what, size_t len)
{
    const uint8_t length[4] = {0, 0, (uint8_t)(len >> 8), (uint8_t)len};

    memcpy(d->elements + d->bytes, length, sizeof(length));
    d->bytes += sizeof(length) + len;
    d->entries[d->n] = (struct report_dict_entry){id, what};
    *place = (uint16_t)++d->n;
}

static uint8_t *room_for_text(const struct report_dict *d)
{
    return d->elements + d->bytes + 4;
}

int16_t report_dict_name(struct report_dict *d, const char *name)
{
    size_t len = strlen(name);
    uint16_t *place;
    uint64_t id;

    (void)crypto_shorthash((uint8_t *)&id, (const uint8_t *)name, len, d->key->names);
    for (place = place_of(d, id); *place != 0; place = next_place(d, place))
        if (d->entries[*place - 1].id == id && strcmp(d->entries[*place - 1].what, name) == 0)
            return (int16_t)*place;
    memcpy(room_for_text(d), name, len);
    put(d, place, id, name, len);
    return (int16_t)*place;
}

static uint64_t addr_id(const struct report_dict *d, const struct addr *a)
{
    uint64_t id = (uint64_t)a->ip[0] << 40 | (uint64_t)a->ip[1] << 32 | (uint64_t)a->ip[2] << 24 |
                  (uint64_t)a->ip[3] << 16 | a->port;

    if (a->family == ADDR_V4)
        return id;
    (void)crypto_shorthash((uint8_t *)&id, a->ip, sizeof(a->ip), d->key->names);
    return id ^ a->port;
}

int16_t report_dict_addr(struct report_dict *d, const struct addr *a)
{
    uint16_t *place;
    uint64_t id;

    if (!addr_is_set(a))
        return 0;
    id = addr_id(d, a);
    for (place = place_of(d, id); *place != 0; place = next_place(d, place))
        if (d->entries[*place - 1].id == id && addr_eq(d->entries[*place - 1].what, a))
            return (int16_t)*place;
    put(d, place, id, a, addr_write(a, (char *)room_for_text(d)));
    return (int16_t)*place;
}
