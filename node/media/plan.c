/* Looking things up in a plan. Invariant: it is only read. */
#include "plan.h"

#include <assert.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct media_plan_held {
    _Atomic size_t held;
    struct media_plan plan;
    struct media_plan_meeting *meetings;
    struct media_plan_peer *peers; /* of all meetings */
    size_t n_peers;
    struct media_plan_removed *removed;
};

static void destroy(struct media_plan_held *p)
{
    free(p->meetings);
    if (p->peers)
        sodium_memzero(p->peers, p->n_peers * sizeof(*p->peers));
    free(p->peers);
    free(p->removed);
    free(p);
}

/* NULL where there is nothing, too. */
static void *copy_of(const void *from, size_t n, size_t size)
{
    void *to = n > 0 ? calloc(n, size) : NULL;
    if (to && from)
        memcpy(to, from, n * size);
    return to;
}

static void copy_peers(struct media_plan_held *p, const struct media_plan *plan)
{
    size_t at = 0;
    for (size_t i = 0; i < plan->n_meetings; i++) {
        const struct media_plan_meeting *m = &plan->meetings[i];
        p->meetings[i].peers = p->peers + at;
        if (m->n_peers > 0)
            memcpy(p->peers + at, m->peers, m->n_peers * sizeof(*m->peers));
        at += m->n_peers;
    }
}

struct media_plan_held *media_plan_held_new(const struct media_plan *plan)
{
    struct media_plan_held *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    atomic_init(&p->held, 1);
    for (size_t i = 0; i < plan->n_meetings; i++)
        p->n_peers += plan->meetings[i].n_peers;
    p->meetings = copy_of(plan->meetings, plan->n_meetings, sizeof(*p->meetings));
    p->peers = copy_of(NULL, p->n_peers, sizeof(*p->peers));
    p->removed = copy_of(plan->removed, plan->n_removed, sizeof(*p->removed));
    if ((!p->meetings && plan->n_meetings > 0) || (!p->peers && p->n_peers > 0) ||
        (!p->removed && plan->n_removed > 0)) {
        destroy(p);
        return NULL;
    }
    copy_peers(p, plan);
    p->plan = (struct media_plan){plan->n_meetings, plan->n_removed, p->meetings, p->removed};
    return p;
}

struct media_plan_held *media_plan_hold(struct media_plan_held *p)
{
    if (p)
        atomic_fetch_add_explicit(&p->held, 1, memory_order_relaxed);
    return p;
}

void media_plan_release(struct media_plan_held *p)
{
    if (p && atomic_fetch_sub_explicit(&p->held, 1, memory_order_acq_rel) == 1)
        destroy(p);
}

const struct media_plan *media_plan_of(const struct media_plan_held *p)
{
    return p ? &p->plan : NULL;
}

int media_plan_meeting_cmp(const void *a, const void *b)
{
    const struct media_plan_meeting *x = a, *y = b;
    int by_org = strcmp(x->org, y->org);
    return by_org != 0 ? by_org : strcmp(x->id, y->id);
}

int media_plan_removed_cmp(const void *a, const void *b)
{
    const struct media_plan_removed *x = a, *y = b;
    int by_org = strcmp(x->org, y->org);
    int by_id = by_org != 0 ? by_org : strcmp(x->id, y->id);
    return by_id != 0 ? by_id : strcmp(x->who, y->who);
}

const struct media_plan_meeting *media_plan_meeting(const struct media_plan *plan, const char *org,
                                                    const char *id)
{
    struct media_plan_meeting key = {.n_peers = 0};
    if (!plan || plan->n_meetings == 0)
        return NULL;
    memcpy(key.org, org, strnlen(org, sizeof key.org - 1));
    memcpy(key.id, id, strnlen(id, sizeof key.id - 1));
    return bsearch(&key, plan->meetings, plan->n_meetings, sizeof key, media_plan_meeting_cmp);
}

const struct media_plan_peer *media_plan_peer(const struct media_plan_meeting *m, const char *who)
{
    for (size_t i = 0; m && i < m->n_peers; i++) {
        if (strcmp(m->peers[i].who, who) == 0)
            return &m->peers[i];
    }
    return NULL;
}

void media_plan_hash_name(char out[static AGENT_ID_MAX + 1], const char *org, const char *id, const char *who)
{
    static_assert(AGENT_ID_MAX >= 1 + 2 * crypto_hash_sha256_BYTES, "a hash is a name as any other");
    const char *const parts[] = {org, "/", id, "/", who};
    crypto_hash_sha256_state st;
    uint8_t hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_init(&st);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        crypto_hash_sha256_update(&st, (const uint8_t *)parts[i], strlen(parts[i]));
    crypto_hash_sha256_final(&st, hash);
    out[0] = '~';
    sodium_bin2hex(out + 1, 2 * sizeof hash + 1, hash, sizeof hash);
}

static bool is_told_of(const struct media_plan *plan, const struct media_plan_removed *key)
{
    const struct media_plan_removed *r =
        bsearch(key, plan->removed, plan->n_removed, sizeof *key, media_plan_removed_cmp);
    return r && key->number <= r->number;
}

bool media_plan_is_removed(const struct media_plan *plan, const struct ticket *t)
{
    struct media_plan_removed key = {.number = t->number};
    if (!plan || plan->n_removed == 0 || t->kind != TICKET_PARTICIPANT)
        return false;
    memcpy(key.org, t->org, sizeof key.org);
    memcpy(key.id, t->meeting, sizeof key.id);
    memcpy(key.who, t->who, sizeof key.who);
    if (is_told_of(plan, &key))
        return true;
    media_plan_hash_name(key.who, t->org, t->meeting, t->who);
    return is_told_of(plan, &key);
}

uint64_t media_plan_link_id(const char *org, const char *meeting, const char *who)
{
    uint8_t hash[crypto_generichash_BYTES_MIN];
    uint64_t id;
    crypto_generichash_state st;
    crypto_generichash_init(&st, NULL, 0, sizeof hash);
    crypto_generichash_update(&st, (const uint8_t *)org, strlen(org) + 1);
    crypto_generichash_update(&st, (const uint8_t *)meeting, strlen(meeting) + 1);
    crypto_generichash_update(&st, (const uint8_t *)who, strlen(who) + 1);
    crypto_generichash_final(&st, hash, sizeof hash);
    memcpy(&id, hash, sizeof id);
    return id;
}
