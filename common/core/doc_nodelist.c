/* The list of nodes to probe. Invariant: a parsed list names each node once, and every address has a port and is
 * one that agents may be told, or a wildcard, which stands for all of a machine's. What is not so is left out, and counted. */
#include "core/doc_json.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- addresses ---- */

json_t *node_addresses_to_json(const struct node_addresses *a)
{
    json_t *o = json_object();
    int failed = !o;
    for (unsigned t = 0; t < TRANSPORT_PROXY && !failed; t++) {
        if (a->n[t] == 0)
            continue;
        json_t *list = json_array();
        failed |= json_object_set_new(o, transport_name((enum transport)t), list); /* now o's */
        for (size_t i = 0; i < a->n[t] && !failed; i++)
            failed |= json_array_append_new(list, doc_addr_to_json(&a->at[t][i]));
    }
    if (failed) {
        json_decref(o);
        return NULL;
    }
    return o;
}

static int get_address(const json_t *j, struct addr *out, struct doc_error *e)
{
    struct addr a;
    const char *text = json_string_value(j);
    if (!text || addr_parse(&a, text) < 0 || a.port == 0)
        return doc_fail(e, "", "invalid_member", "an address is ip:port or [ipv6]:port");
    if (!addr_is_wildcard(&a) && !addr_is_unicast_target(&a))
        return doc_fail(e, "", "invalid_member",
                        "a multicast, reserved or link-local address is none for agents");
    *out = a;
    return 0;
}

static int fail_addresses(struct doc_error *e)
{
    return doc_fail(e, "", "invalid_member", "must be an array of at most %d addresses", NODE_ADDRESSES_MAX);
}

static int get_address_list(const json_t *list, struct addr at[static NODE_ADDRESSES_MAX], size_t *n,
                            struct doc_error *e)
{
    if (!json_is_array(list) || json_array_size(list) > NODE_ADDRESSES_MAX)
        return fail_addresses(e);
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (get_address(json_array_get(list, i), &at[i], e) < 0)
            return doc_fail_under(e, "/%zu", i);
    }
    *n = json_array_size(list);
    return 0;
}

int node_addresses_from_json(const json_t *j, struct node_addresses *a, struct doc_error *e)
{
    struct node_addresses parsed = {0};
    if (doc_check_object(j, "addresses", e) < 0)
        return -EINVAL;
    /* jansson iterates over what it is not going to change, through a pointer that is not const. */
    json_t *o = (json_t *)(uintptr_t)j;
    for (void *it = json_object_iter(o); it; it = json_object_iter_next(o, it)) {
        enum transport t;
        if (transport_parse(json_object_iter_key(it), &t) < 0 || t >= TRANSPORT_PROXY)
            return doc_fail(e, "", "invalid_member", "addresses are by udp, tcp and tls only");
        if (get_address_list(json_object_iter_value(it), parsed.at[t], &parsed.n[t], e) < 0)
            return doc_fail_under(e, "/%s", transport_name(t));
    }
    *a = parsed;
    return 0;
}

/* ---- keys ---- */

json_t *node_spki_to_json(const struct node_spki *s)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < s->n; i++)
        if (json_array_append_new(list, json_string(s->at[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static bool is_spki(const json_t *j)
{
    unsigned char digest[32];
    size_t len = 0;
    return json_is_string(j) && json_string_length(j) == SPKI_TEXT_LEN &&
           sodium_base642bin(digest, sizeof digest, json_string_value(j), SPKI_TEXT_LEN, NULL, &len, NULL,
                             sodium_base64_VARIANT_ORIGINAL) == 0 &&
           len == sizeof digest;
}

int node_spki_from_json(const json_t *j, struct node_spki *s, struct doc_error *e)
{
    struct node_spki read = {0};
    if (!json_is_array(j) || json_array_size(j) > NODE_SPKI_MAX)
        return doc_fail(e, "", "invalid_member", "an array of at most %d digests is wanted", NODE_SPKI_MAX);
    for (size_t i = 0; i < json_array_size(j); i++) {
        const json_t *v = json_array_get(j, i);
        if (!is_spki(v))
            return doc_fail(e, "", "invalid_member", "digest %zu is not the base64 of a SHA-256", i);
        memcpy(read.at[read.n++], json_string_value(v), SPKI_TEXT_LEN);
    }
    *s = read;
    return 0;
}

/* ---- entries ---- */

json_t *node_entry_to_json(const struct node_entry *n)
{
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:o}", "node", n->node, "cluster", n->cluster, "class",
                          n->mesh ? "mesh" : "cloud", "region", n->region, "addresses",
                          node_addresses_to_json(&n->addresses));
    bool ok = o != NULL;
    if (ok && n->tls_name[0] != '\0')
        ok = json_object_set_new(o, "tls_name", json_string(n->tls_name)) == 0;
    if (ok && n->tls_spki.n > 0)
        ok = json_object_set_new(o, "tls_spki", node_spki_to_json(&n->tls_spki)) == 0;
    if (!ok) {
        json_decref(o);
        return NULL;
    }
    return o;
}

static int get_tls_spki(const json_t *j, struct node_entry *n, struct doc_error *e)
{
    const json_t *list = json_object_get(j, "tls_spki");
    if (!list || json_is_null(list))
        return 0;
    return node_spki_from_json(list, &n->tls_spki, e) < 0 ? doc_fail_under(e, "/tls_spki") : 0;
}

static int get_tls_name(const json_t *j, struct node_entry *n, struct doc_error *e)
{
    const char *name = NULL;
    int answer = doc_get_string(j, "tls_name", DOC_OPTIONAL, &name, e);
    if (answer <= 0 || name[0] == '\0')
        return answer < 0 ? answer : 0;
    if (!host_valid(name))
        return doc_fail(e, "/tls_name", "invalid_member", "tls_name must be a host name or an IP");
    memcpy(n->tls_name, name, strlen(name) + 1);
    return 0;
}

/* All but the addresses, which are left to the caller. */
static int get_entry(const json_t *j, struct node_entry *n, const json_t **addresses, struct doc_error *e)
{
    const char *class = NULL;
    if (doc_check_object(j, "a node", e) < 0 ||
        doc_get_id(j, "node", DOC_REQUIRED, n->node, sizeof n->node, e) < 0 ||
        doc_get_id(j, "cluster", DOC_REQUIRED, n->cluster, sizeof n->cluster, e) < 0 ||
        doc_get_id(j, "region", DOC_REQUIRED, n->region, sizeof n->region, e) < 0 ||
        doc_get_string(j, "class", DOC_REQUIRED, &class, e) < 0 || get_tls_name(j, n, e) < 0 ||
        get_tls_spki(j, n, e) < 0 || doc_get_object(j, "addresses", DOC_REQUIRED, addresses, e) < 0)
        return -EINVAL;
    if (strcmp(class, "cloud") != 0 && strcmp(class, "mesh") != 0)
        return doc_fail(e, "/class", "invalid_member", "class must be cloud or mesh");
    n->mesh = strcmp(class, "mesh") == 0;
    return 0;
}

/* ---- the list ---- */

/* An agent goes on with what it can read: one bad entry of a newer or broken controller must not cost it all nodes. */
static void leave_out(struct nodelist *l, const struct doc_error *e)
{
    if (l->first_left_out.code[0] == '\0')
        l->first_left_out = *e;
}

/* Entry `index`'s addresses of one transport; what is no address is left out. */
static void take_addresses(const json_t *list, enum transport t, struct nodelist *l, size_t index)
{
    struct node_addresses *a = &l->nodes[l->n].addresses;
    struct doc_error e;
    for (size_t i = 0; i < json_array_size(list); i++) {
        int err = a->n[t] < NODE_ADDRESSES_MAX ? get_address(json_array_get(list, i), &a->at[t][a->n[t]], &e)
                                               : fail_addresses(&e);
        if (err == 0) {
            a->n[t]++;
            continue;
        }
        doc_fail_under(&e, "/nodes/%zu/addresses/%s/%zu", index, transport_name(t), i);
        leave_out(l, &e);
        l->n_addresses_left_out++;
    }
}

static void take_all_addresses(const json_t *j, struct nodelist *l, size_t index)
{
    json_t *o = (json_t *)(uintptr_t)j; /* as in node_addresses_from_json */
    for (void *it = json_object_iter(o); it; it = json_object_iter_next(o, it)) {
        const json_t *list = json_object_iter_value(it);
        struct doc_error e;
        enum transport t;
        if (transport_parse(json_object_iter_key(it), &t) == 0 && t < TRANSPORT_PROXY &&
            json_is_array(list)) {
            take_addresses(list, t, l, index);
            continue;
        }
        doc_fail(&e, "", "invalid_member", "addresses are arrays by udp, tcp and tls only");
        doc_fail_under(&e, "/nodes/%zu/addresses", index);
        leave_out(l, &e);
        l->n_addresses_left_out += json_is_array(list) ? json_array_size(list) : 1;
    }
}

static int name_order(const void *a, const void *b)
{
    const struct node_entry *x = *(struct node_entry *const *)a;
    const struct node_entry *y = *(struct node_entry *const *)b;
    int order = strcmp(x->node, y->node);
    return order != 0 ? order : x < y ? -1 : x > y;
}

/* A node listed twice would be probed twice and its report refused: the first entry stays. */
static int drop_repeated(struct nodelist *l)
{
    struct node_entry **sorted = calloc(l->n + 1, sizeof *sorted);
    size_t kept = 0;
    if (!sorted)
        return -ENOMEM;
    for (size_t i = 0; i < l->n; i++)
        sorted[i] = &l->nodes[i];
    qsort(sorted, l->n, sizeof *sorted, name_order);
    for (size_t i = 0, first = 0; i < l->n; i++) {
        struct doc_error e;
        if (i == first || strcmp(sorted[i]->node, sorted[first]->node) != 0) {
            first = i;
            continue;
        }
        doc_fail(&e, "/nodes", "invalid_member", "node %s occurs twice", sorted[i]->node);
        leave_out(l, &e);
        sorted[i]->node[0] = '\0';
    }
    free(sorted);
    for (size_t i = 0; i < l->n; i++) {
        if (l->nodes[i].node[0] == '\0')
            continue;
        if (kept != i)
            l->nodes[kept] = l->nodes[i];
        kept++;
    }
    l->n = kept;
    return 0;
}

static int get_nodes(const json_t *j, struct nodelist *l, struct doc_error *e)
{
    const json_t *nodes = NULL;
    if (doc_get_array(j, "nodes", DOC_REQUIRED, &nodes, e) < 0)
        return -EINVAL;
    l->n_listed = json_array_size(nodes);
    size_t n = l->n_listed < NODELIST_MAX ? l->n_listed : NODELIST_MAX;
    l->nodes = calloc(n + 1, sizeof *l->nodes);
    if (!l->nodes)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const json_t *addresses = NULL;
        struct doc_error why;
        if (get_entry(json_array_get(nodes, i), &l->nodes[l->n], &addresses, &why) < 0) {
            doc_fail_under(&why, "/nodes/%zu", i);
            leave_out(l, &why);
            l->nodes[l->n] = (struct node_entry){0};
            continue;
        }
        take_all_addresses(addresses, l, i);
        l->n++;
    }
    if (l->n == 0 && n > 0) { /* nothing of it makes sense: it is another document */
        *e = l->first_left_out;
        return -EINVAL;
    }
    if (n < l->n_listed) {
        struct doc_error why;
        doc_fail(&why, "/nodes", "invalid_member", "at most %d nodes", NODELIST_MAX);
        leave_out(l, &why);
    }
    return drop_repeated(l);
}

int nodelist_from_json(const json_t *j, struct nodelist *l, struct doc_error *e)
{
    struct nodelist parsed = {0};
    const json_t *policy = NULL;
    const char *version = NULL;
    probe_policy_init(&parsed.policy);
    if (doc_check_object(j, "the list of nodes", e) < 0 ||
        doc_get_string(j, "version", DOC_REQUIRED, &version, e) < 0 ||
        doc_get_object(j, "policy", DOC_OPTIONAL, &policy, e) < 0)
        return -EINVAL;
    if (strlen(version) >= sizeof parsed.version)
        return doc_fail(e, "/version", "invalid_member", "version is longer than %zu",
                        sizeof parsed.version - 1);
    memcpy(parsed.version, version, strlen(version) + 1);
    if (policy && probe_policy_from_json(policy, &parsed.policy, e) < 0)
        return doc_fail_under(e, "/policy");
    int answer = get_nodes(j, &parsed, e);
    if (answer < 0) {
        nodelist_clear(&parsed);
        return answer;
    }
    *l = parsed;
    return 0;
}

void nodelist_clear(struct nodelist *l)
{
    if (!l)
        return;
    free(l->nodes);
    *l = (struct nodelist){0};
}
