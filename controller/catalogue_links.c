/* A hash table of pairs, open addressing. Invariant: at most half of the slots are taken, so that looking is a step
 * or two; a slot's lesser key stands first, and each direction has its own figure. */
#include "catalogue_links.h"

#include <math.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS_LEAST = 64, ORG_SLOTS = 2 * LINKS_ORGS_MAX, LINK_NOT_TOLD = -1 };
enum {
    BASE_US = 1000,
    US_PER_KM = 14,
    EARTH_KM = 6371
}; /* fibre is laid with detours: light alone takes 10 us a km */

struct slot {
    struct link_id low, high; /* equal: free */
    int32_t rtt_us[2];        /* low to high, high to low; LINK_NOT_TOLD, LINK_NO_WAY */
    int64_t at_s[2];
};

struct org_pairs {
    uint64_t org; /* 0: free */
    size_t n;
};

struct links {
    _Atomic unsigned refs;
    size_t n, n_mesh, n_orgs, left_out;
    struct org_pairs orgs[ORG_SLOTS];
    size_t mask; /* slots - 1 */
    struct slot slots[];
};

struct link_id link_id(const char *org, const char *id, bool mesh)
{
    crypto_generichash_state h;
    struct link_id out;

    crypto_generichash_init(&h, NULL, 0, sizeof(out));
    crypto_generichash_update(&h, (const uint8_t *)org, strlen(org) + 1);
    crypto_generichash_update(&h, (const uint8_t *)id, strlen(id));
    crypto_generichash_final(&h, (uint8_t *)&out, sizeof(out));
    if (mesh) {
        struct link_id of_org;
        (void)crypto_generichash((uint8_t *)&of_org, sizeof(of_org), (const uint8_t *)org, strlen(org), NULL,
                                 0);
        out.b = of_org.b;
    }
    out.b = (out.b & ~1ULL) | mesh;
    return out;
}

static bool same(struct link_id x, struct link_id y)
{
    return x.a == y.a && x.b == y.b;
}

static bool before(struct link_id x, struct link_id y)
{
    return x.a != y.a ? x.a < y.a : x.b < y.b;
}

static bool is_free(const struct slot *s)
{
    return same(s->low, s->high);
}

static size_t place(struct link_id low, struct link_id high)
{
    uint64_t x = low.a * 0x9e3779b97f4a7c15ULL;

    x = (x ^ x >> 32 ^ high.a) * 0xd6e8feb86659fd93ULL;
    return (size_t)(x ^ x >> 32);
}

/* The pair's slot, or the free one where it would be. */
static size_t find_slot(const struct links *l, struct link_id low, struct link_id high)
{
    size_t i = place(low, high) & l->mask;

    while (!is_free(&l->slots[i]) && (!same(l->slots[i].low, low) || !same(l->slots[i].high, high)))
        i = (i + 1) & l->mask;
    return i;
}

static size_t slots_for(size_t pairs)
{
    size_t slots = SLOTS_LEAST;

    while (slots < 2 * pairs)
        slots *= 2;
    return slots;
}

struct links *links_new(const struct links *old, size_t more, int64_t now_s)
{
    size_t pairs = (old != NULL ? old->n : 0) + more;
    size_t slots = slots_for(pairs < LINKS_MAX ? pairs : LINKS_MAX);
    struct links *l = calloc(1, sizeof(*l) + slots * sizeof(l->slots[0]));

    if (l == NULL)
        return NULL;
    atomic_init(&l->refs, 1);
    l->mask = slots - 1;
    for (size_t i = 0; old != NULL && i <= old->mask; i++) {
        const struct slot *s = &old->slots[i];

        for (size_t d = 0; !is_free(s) && d < 2; d++) {
            if (s->rtt_us[d] != LINK_NOT_TOLD && now_s - s->at_s[d] < LINKS_STALE_S)
                (void)links_put(l, d == 0 ? s->low : s->high, d == 0 ? s->high : s->low, s->rtt_us[d],
                                s->at_s[d]);
        }
    }
    return l;
}

struct links *links_reserve(struct links *l, size_t more, int64_t now_s)
{
    struct links *larger;

    if (2 * (l->n + more) <= l->mask + 1)
        return l;
    larger = links_new(l, more > l->n ? more : l->n, now_s);
    links_unref(l);
    return larger;
}

struct links *links_ref(struct links *l)
{
    if (l != NULL)
        atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
    return l;
}

void links_unref(struct links *l)
{
    if (l != NULL && atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) == 1)
        free(l);
}

/* The org's count, or the free one where it would be. */
static struct org_pairs *find_org(struct links *l, uint64_t org)
{
    size_t i = (size_t)(org >> 1) % ORG_SLOTS;

    while (l->orgs[i].org != 0 && l->orgs[i].org != org)
        i = (i + 1) % ORG_SLOTS;
    return &l->orgs[i];
}

/* The mesh's pairs have room of their own, and each org's of them. `o`: the mesh node's org's; NULL: two cloud nodes. */
static bool has_room(const struct links *l, const struct org_pairs *o)
{
    if (2 * (l->n + 1) > l->mask + 1)
        return false;
    if (o == NULL)
        return l->n - l->n_mesh < LINKS_MAX - LINKS_MESH_MAX;
    return l->n_mesh < LINKS_MESH_MAX && o->n < LINKS_ORG_MAX && (o->org != 0 || l->n_orgs < LINKS_ORGS_MAX);
}

static bool add_pair(struct links *l, struct slot *s, struct link_id low, struct link_id high)
{
    uint64_t org = (low.b & 1) != 0 ? low.b : (high.b & 1) != 0 ? high.b : 0;
    struct org_pairs *o = org != 0 ? find_org(l, org) : NULL;

    if (!has_room(l, o)) {
        l->left_out++;
        return false;
    }
    *s = (struct slot){.low = low, .high = high, .rtt_us = {LINK_NOT_TOLD, LINK_NOT_TOLD}};
    l->n++;
    if (o != NULL) {
        l->n_orgs += o->org == 0;
        o->org = org;
        o->n++;
        l->n_mesh++;
    }
    return true;
}

bool links_put(struct links *l, struct link_id from, struct link_id to, int32_t rtt_us, int64_t at_s)
{
    bool forth = before(from, to);
    struct link_id low = forth ? from : to, high = forth ? to : from;
    struct slot *s;
    size_t d = forth ? 0 : 1;

    if (same(from, to))
        return false;
    s = &l->slots[find_slot(l, low, high)];
    if (is_free(s) && !add_pair(l, s, low, high))
        return false;
    if (s->rtt_us[d] == LINK_NOT_TOLD || at_s >= s->at_s[d]) {
        s->rtt_us[d] = rtt_us;
        s->at_s[d] = at_s;
    }
    return true;
}

static const struct slot *slot_of(const struct links *l, struct link_id a, struct link_id b)
{
    return &l->slots[before(a, b) ? find_slot(l, a, b) : find_slot(l, b, a)];
}

bool links_hold(const struct links *l, struct link_id from, struct link_id to, int32_t rtt_us, int64_t at_s)
{
    bool forth = before(from, to);
    const struct slot *s;
    size_t d = forth ? 0 : 1;

    if (l == NULL || same(from, to))
        return false;
    s = slot_of(l, from, to);
    return !is_free(s) && s->rtt_us[d] == rtt_us && s->at_s[d] == at_s;
}

bool links_find(const struct links *l, struct link_id a, struct link_id b, struct link *out)
{
    const struct slot *s;
    size_t d;

    if (l == NULL || same(a, b))
        return false;
    s = slot_of(l, a, b);
    if (is_free(s) || (s->rtt_us[0] < 0 && s->rtt_us[1] < 0))
        return false;
    d = s->rtt_us[0] < 0 || (s->rtt_us[1] >= 0 && s->rtt_us[1] < s->rtt_us[0]) ? 1 : 0;
    *out = (struct link){s->rtt_us[d], s->at_s[d]};
    return true;
}

bool links_apart(const struct links *l, struct link_id a, struct link_id b)
{
    const struct slot *s;

    if (l == NULL || same(a, b))
        return false;
    s = slot_of(l, a, b);
    return !is_free(s) && s->rtt_us[0] < 0 && s->rtt_us[1] < 0 &&
           (s->rtt_us[0] == LINK_NO_WAY || s->rtt_us[1] == LINK_NO_WAY);
}

struct links_counts links_counts(const struct links *l)
{
    struct links_counts c = {0};

    if (l == NULL)
        return c;
    c.left_out = l->left_out;
    for (size_t i = 0; i <= l->mask; i++) {
        const struct slot *s = &l->slots[i];
        bool figure = !is_free(s) && (s->rtt_us[0] >= 0 || s->rtt_us[1] >= 0);

        c.pairs += figure;
        c.mesh += figure && ((s->low.b | s->high.b) & 1) != 0;
        for (size_t d = 0; figure && d < 2; d++) {
            if (s->rtt_us[d] < 0)
                continue;
            c.newest_s = s->at_s[d] > c.newest_s ? s->at_s[d] : c.newest_s;
            c.oldest_s = c.oldest_s == 0 || s->at_s[d] < c.oldest_s ? s->at_s[d] : c.oldest_s;
        }
    }
    return c;
}

static double radians(double degrees)
{
    return degrees * 3.14159265358979323846 / 180;
}

int32_t link_rtt_by_place(double lat_a, double lon_a, double lat_b, double lon_b)
{
    double dlat = sin(radians(lat_b - lat_a) / 2), dlon = sin(radians(lon_b - lon_a) / 2);
    double h = dlat * dlat + cos(radians(lat_a)) * cos(radians(lat_b)) * dlon * dlon;
    double km = 2 * EARTH_KM * asin(sqrt(h < 1 ? h : 1));

    return (int32_t)(BASE_US + US_PER_KM * km);
}
