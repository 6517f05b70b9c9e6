/* A meeting's policy, read and written. Invariant: two policies that mean the same are written alike. */
#include "meeting_policy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int regions_read(const json_t *j, const char *name, const char **out, size_t *n, struct doc_error *e)
{
    const json_t *list = json_object_get(j, name), *v;
    char pointer[64];
    size_t i, kept = 0;

    if (list == NULL || json_is_null(list))
        return 0;
    snprintf(pointer, sizeof(pointer), "/regions/%s", name);
    if (!json_is_array(list) || json_array_size(list) > POLICY_REGIONS_MAX)
        return doc_fail(e, pointer, "invalid_member", "a list of at most %d regions is wanted",
                        POLICY_REGIONS_MAX);
    json_array_foreach(list, i, v)
    {
        if (!json_is_string(v) || !id_valid(json_string_value(v), NODE_ID_MAX))
            return doc_fail(e, pointer, "invalid_member", "region %zu is no name of a region", i);
        out[i] = json_string_value(v);
    }
    qsort(out, json_array_size(list), sizeof(*out), by_name);
    for (i = 0; i < json_array_size(list); i++) {
        if (kept == 0 || strcmp(out[kept - 1], out[i]) != 0)
            out[kept++] = out[i];
    }
    *n = kept;
    return 0;
}

static int int_read(const json_t *j, const char *name, int64_t max, int64_t *out, struct doc_error *e)
{
    const json_t *v = json_object_get(j, name);
    char pointer[64];

    if (v == NULL || json_is_null(v))
        return 0;
    snprintf(pointer, sizeof(pointer), "/%s", name);
    if (!json_is_integer(v) || json_integer_value(v) < 1 || json_integer_value(v) > max)
        return doc_fail(e, pointer, "invalid_member", "a whole number from 1 to %lld is wanted",
                        (long long)max);
    *out = json_integer_value(v);
    return 0;
}

static int bool_read(const json_t *j, const char *name, bool *has, bool *out, struct doc_error *e)
{
    const json_t *v = json_object_get(j, name);
    char pointer[64];

    if (v == NULL || json_is_null(v))
        return 0;
    snprintf(pointer, sizeof(pointer), "/%s", name);
    if (!json_is_boolean(v))
        return doc_fail(e, pointer, "invalid_member", "true or false is wanted");
    *has = true;
    *out = json_is_true(v);
    return 0;
}

static int mesh_within_read(const json_t *j, struct meeting_policy *p, struct doc_error *e)
{
    const json_t *v = json_object_get(j, "mesh_within_ms");

    if (v == NULL || json_is_null(v))
        return 0;
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > POLICY_MESH_WITHIN_MAX_MS)
        return doc_fail(e, "/mesh_within_ms", "invalid_member", "a whole number from 0 to %d is wanted",
                        POLICY_MESH_WITHIN_MAX_MS);
    p->has_mesh_within = true;
    p->mesh_within_ms = json_integer_value(v);
    return 0;
}

static int transports_read(const json_t *j, struct meeting_policy *p, struct doc_error *e)
{
    const json_t *v = json_object_get(j, "transports");
    unsigned bits = 0;

    if (v == NULL || json_is_null(v))
        return 0;
    if (capabilities_from_json(v, &bits, e) != 0 || bits == 0)
        return doc_fail(e, "/transports", "invalid_member",
                        "a list of udp, tcp, tls, proxy is wanted, each at most once, one at least");
    p->transports = bits;
    return 0;
}

enum { MEMBER_NAMED_MAX = 64 };

/* Names of members as long as these need no escaping in a pointer and fit into it; of others only the parent is named. */
static bool nameable(const char *name)
{
    size_t len = strlen(name);

    return len <= MEMBER_NAMED_MAX && strcspn(name, "~/") == len;
}

static int check_known(const json_t *o, const char *at, const char *const *known, size_t n,
                       struct doc_error *e)
{
    char pointer[MEMBER_NAMED_MAX + 16];
    const char *name;
    const json_t *v;

    json_object_foreach((json_t *)(uintptr_t)o, name, v)
    {
        size_t i = 0;

        while (i < n && strcmp(name, known[i]) != 0)
            i++;
        if (i < n)
            continue;
        snprintf(pointer, sizeof(pointer), "%s%s%s", at, nameable(name) ? "/" : "",
                 nameable(name) ? name : "");
        return doc_fail(e, pointer, "invalid_member",
                        "a policy has no such member; it would be passed over, so it is refused");
    }
    return 0;
}

int meeting_policy_check_members(const json_t *j, struct doc_error *e)
{
    static const char *const members[] = {"regions",    "private",        "expected_size", "bitrate_kbps",
                                          "transports", "mesh_within_ms", "cap_worst",     "last_n"};
    static const char *const lists[] = {"allow", "deny"};
    int r = check_known(j, "", members, sizeof(members) / sizeof(members[0]), e);

    if (r != 0)
        return r;
    return check_known(json_object_get(j, "regions"), "/regions", lists, sizeof(lists) / sizeof(lists[0]), e);
}

int meeting_policy_from_json(const json_t *j, struct meeting_policy *p, struct doc_error *e)
{
    const json_t *regions = json_object_get(j, "regions");

    memset(p, 0, sizeof(*p));
    if (j == NULL || json_is_null(j))
        return 0;
    if (!json_is_object(j))
        return doc_fail(e, "", "invalid_member", "an object is wanted");
    if (regions != NULL && !json_is_null(regions) && !json_is_object(regions))
        return doc_fail(e, "/regions", "invalid_member", "an object with allow and deny is wanted");
    if (bool_read(j, "private", &p->has_private, &p->private_only, e) != 0 ||
        bool_read(j, "cap_worst", &p->has_cap, &p->cap_worst, e) != 0 || mesh_within_read(j, p, e) != 0)
        return -EINVAL;
    if (regions_read(regions, "allow", p->allow, &p->n_allow, e) != 0 ||
        regions_read(regions, "deny", p->deny, &p->n_deny, e) != 0 ||
        int_read(j, "expected_size", POLICY_SIZE_MAX, &p->expected_size, e) != 0 ||
        int_read(j, "bitrate_kbps", POLICY_BITRATE_MAX_KBPS, &p->bitrate_kbps, e) != 0 ||
        int_read(j, "last_n", POLICY_LAST_N_MAX, &p->last_n, e) != 0)
        return -EINVAL;
    return transports_read(j, p, e);
}

static void regions_write(json_t *regions, const char *name, const char *const *v, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_string(v[i]));
    if (n > 0)
        json_object_set(regions, name, list);
    json_decref(list);
}

json_t *meeting_policy_to_json(const struct meeting_policy *p)
{
    json_t *j = json_object(), *regions = json_object();

    regions_write(regions, "allow", p->allow, p->n_allow);
    regions_write(regions, "deny", p->deny, p->n_deny);
    if (json_object_size(regions) > 0)
        json_object_set(j, "regions", regions);
    json_decref(regions);
    if (p->has_private)
        json_object_set_new(j, "private", json_boolean(p->private_only));
    if (p->expected_size > 0)
        json_object_set_new(j, "expected_size", json_integer(p->expected_size));
    if (p->bitrate_kbps > 0)
        json_object_set_new(j, "bitrate_kbps", json_integer(p->bitrate_kbps));
    if (p->last_n > 0)
        json_object_set_new(j, "last_n", json_integer(p->last_n));
    if (p->has_mesh_within)
        json_object_set_new(j, "mesh_within_ms", json_integer(p->mesh_within_ms));
    if (p->has_cap)
        json_object_set_new(j, "cap_worst", json_boolean(p->cap_worst));
    if (p->transports != 0)
        json_object_set_new(j, "transports", capabilities_to_json(p->transports));
    return j;
}

struct place_policy meeting_policy_place(const struct meeting_policy *p)
{
    return (struct place_policy){
        .n_allow = p->n_allow,
        .n_deny = p->n_deny,
        .allow = p->allow,
        .deny = p->deny,
        .private_only = p->private_only,
        .transports = p->transports != 0 ? p->transports : TRANSPORTS_ALL,
        .expected_size = p->expected_size,
        .bitrate_kbps = meeting_policy_bitrate(p),
        .mesh_within_us = !p->has_mesh_within      ? 0
                          : p->mesh_within_ms == 0 ? -1
                                                   : p->mesh_within_ms * 1000,
        .cap_worst = p->cap_worst,
    };
}

int64_t meeting_policy_bitrate(const struct meeting_policy *p)
{
    return p->bitrate_kbps > 0 ? p->bitrate_kbps : POLICY_BITRATE_KBPS;
}
