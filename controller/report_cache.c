/* A table by hash, and a list by last use. Invariant: an entry is in both, and `bytes` is the sum of all entries' sizes, never more than bytes_max. */
#include "report_cache.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 1 << 14, BUCKETS_A_TURN = BUCKETS / REPORT_CACHE_TURNS };

struct entry {
    struct entry *next;          /* of its bucket */
    struct entry *newer, *older; /* by last use */
    uint64_t hash;
    size_t bytes;
    int64_t until_us, measured_at_us;
    const char *org, *agent, *report_id; /* behind the results, as the names are */
    struct report_kept kept;
    struct report_brief_result results[];
};

struct report_cache {
    uint8_t key[crypto_shorthash_KEYBYTES];
    size_t bytes, bytes_max;
    size_t at; /* the bucket that is looked at next for what has ended */
    struct entry *newest, *oldest;
    struct entry *buckets[BUCKETS];
};

int report_cache_new(struct report_cache **out, size_t bytes_max)
{
    struct report_cache *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return -ENOMEM;
    crypto_shorthash_keygen(c->key);
    c->bytes_max = bytes_max;
    *out = c;
    return 0;
}

void report_cache_destroy(struct report_cache *c)
{
    if (c == NULL)
        return;
    for (struct entry *e = c->newest, *older; e != NULL; e = older) {
        older = e->older;
        free(e);
    }
    free(c);
}

/* With a key of the cache's own: those who choose ids can't make them collide. */
static uint64_t hash_of(const struct report_cache *c, const struct report_key *key)
{
    const char *const parts[] = {key->org, key->agent, key->report_id};
    uint64_t h[4];

    for (size_t i = 0; i < 3; i++)
        crypto_shorthash((unsigned char *)&h[i], (const unsigned char *)parts[i], strlen(parts[i]), c->key);
    h[3] = (uint64_t)key->measured_at_us;
    crypto_shorthash((unsigned char *)&h[0], (const unsigned char *)h, sizeof(h), c->key);
    return h[0];
}
_Static_assert(sizeof(uint64_t) == crypto_shorthash_BYTES, "a hash is one number");

static void list_remove(struct report_cache *c, struct entry *e)
{
    *(e->newer != NULL ? &e->newer->older : &c->newest) = e->older;
    *(e->older != NULL ? &e->older->newer : &c->oldest) = e->newer;
}

static void list_push(struct report_cache *c, struct entry *e)
{
    e->newer = NULL;
    e->older = c->newest;
    *(c->newest != NULL ? &c->newest->newer : &c->oldest) = e;
    c->newest = e;
}

static void drop(struct report_cache *c, struct entry *e)
{
    struct entry **at = &c->buckets[e->hash % BUCKETS];

    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    list_remove(c, e);
    c->bytes -= e->bytes;
    free(e);
}

static struct entry *find(const struct report_cache *c, const struct report_key *key, uint64_t hash)
{
    struct entry *e = c->buckets[hash % BUCKETS];

    while (e != NULL && !(e->hash == hash && e->measured_at_us == key->measured_at_us &&
                          strcmp(e->report_id, key->report_id) == 0 && strcmp(e->agent, key->agent) == 0 &&
                          strcmp(e->org, key->org) == 0))
        e = e->next;
    return e;
}

const struct report_kept *report_cache_get(struct report_cache *c, const struct report_key *key)
{
    struct entry *e = find(c, key, hash_of(c, key));

    if (e == NULL)
        return NULL;
    list_remove(c, e);
    list_push(c, e);
    return &e->kept;
}

static const char *copy(char **to, const char *text)
{
    size_t len = strlen(text) + 1;
    char *at = *to;

    memcpy(at, text, len);
    *to = at + len;
    return at;
}

static struct entry *make(const struct report_key *key, const struct report_brief *b)
{
    size_t results = b->n_results * sizeof(b->results[0]);
    size_t bytes =
        sizeof(struct entry) + results + strlen(key->org) + strlen(key->agent) + strlen(key->report_id) + 3;
    struct entry *e;
    char *to;

    for (size_t i = 0; i < b->n_names; i++)
        bytes += strlen(b->names[i].id) + 1;
    e = malloc(bytes);
    if (e == NULL)
        return NULL;
    to = (char *)e->results + results;
    *e = (struct entry){.bytes = bytes,
                        .measured_at_us = key->measured_at_us,
                        .kept = {.has_capabilities = b->has_capabilities,
                                 .capabilities = b->capabilities,
                                 .n_names = b->n_names,
                                 .n_results = b->n_results,
                                 .names = to,
                                 .results = e->results}};
    if (results > 0)
        memcpy(e->results, b->results, results);
    for (size_t i = 0; i < b->n_names; i++)
        (void)copy(&to, b->names[i].id);
    e->org = copy(&to, key->org);
    e->agent = copy(&to, key->agent);
    e->report_id = copy(&to, key->report_id);
    return e;
}

void report_cache_put(struct report_cache *c, const struct report_key *key, const struct report_brief *b,
                      int64_t until_us)
{
    uint64_t hash = hash_of(c, key);
    struct entry *e = find(c, key, hash) == NULL ? make(key, b) : NULL;

    if (e == NULL)
        return;
    if (e->bytes > c->bytes_max) {
        free(e);
        return;
    }
    while (c->bytes + e->bytes > c->bytes_max)
        drop(c, c->oldest);
    e->hash = hash;
    e->until_us = until_us;
    e->next = c->buckets[hash % BUCKETS];
    c->buckets[hash % BUCKETS] = e;
    list_push(c, e);
    c->bytes += e->bytes;
}

void report_cache_turn(struct report_cache *c, int64_t now)
{
    for (size_t i = 0; c->bytes > 0 && i < BUCKETS_A_TURN; i++) {
        for (struct entry *e = c->buckets[c->at], *next; e != NULL; e = next) {
            next = e->next;
            if (e->until_us <= now)
                drop(c, e);
        }
        c->at = (c->at + 1) % BUCKETS;
    }
}

size_t report_cache_bytes(const struct report_cache *c)
{
    return c->bytes;
}
