/* The list of nodes to probe. Invariant: a parsed list names each node once, and every address has a port and is
 * one that agents may be told, or a wildcard, which stands for all of a machine's. */
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

static int get_address_list(const json_t *list, struct addr at[static NODE_ADDRESSES_MAX], size_t *n,
                            struct doc_error *e)
{
    if (!json_is_array(list) || json_array_size(list) > NODE_ADDRESSES_MAX)
        return doc_fail(e, "", "invalid_member", "must be an array of at most %d addresses",
                        NODE_ADDRESSES_MAX);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (!text || addr_parse(&at[i], text) < 0 || at[i].port == 0) {
            doc_fail(e, "", "invalid_member", "an address is ip:port or [ipv6]:port");
            return doc_fail_under(e, "/%zu", i);
        }
        if (!addr_is_wildcard(&at[i]) && !addr_is_unicast_target(&at[i])) {
            doc_fail(e, "", "invalid_member",
                     "a multicast, reserved or link-local address is none for agents");
            return doc_fail_under(e, "/%zu", i);
        }
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

static int node_entry_from_json(const json_t *j, struct node_entry *n, struct doc_error *e)
{
    const char *class = NULL;
    const json_t *addresses = NULL;
    if (doc_check_object(j, "a node", e) < 0 ||
        doc_get_id(j, "node", DOC_REQUIRED, n->node, sizeof n->node, e) < 0 ||
        doc_get_id(j, "cluster", DOC_REQUIRED, n->cluster, sizeof n->cluster, e) < 0 ||
        doc_get_id(j, "region", DOC_REQUIRED, n->region, sizeof n->region, e) < 0 ||
        doc_get_string(j, "class", DOC_REQUIRED, &class, e) < 0 || get_tls_name(j, n, e) < 0 ||
        get_tls_spki(j, n, e) < 0 || doc_get_object(j, "addresses", DOC_REQUIRED, &addresses, e) < 0)
        return -EINVAL;
    if (strcmp(class, "cloud") != 0 && strcmp(class, "mesh") != 0)
        return doc_fail(e, "/class", "invalid_member", "class must be cloud or mesh");
    n->mesh = strcmp(class, "mesh") == 0;
    if (node_addresses_from_json(addresses, &n->addresses, e) < 0)
        return doc_fail_under(e, "/addresses");
    return 0;
}

/* ---- the list ---- */

static int name_order(const void *a, const void *b)
{
    const struct node_entry *x = *(const struct node_entry *const *)a;
    const struct node_entry *y = *(const struct node_entry *const *)b;
    int order = strcmp(x->node, y->node);
    return order != 0 ? order : x < y ? -1 : x > y;
}

/* A node listed twice would be probed twice and its report refused. */
static int check_names(const struct nodelist *l, struct doc_error *e)
{
    const struct node_entry **sorted = calloc(l->n + 1, sizeof *sorted);
    if (!sorted)
        return -ENOMEM;
    for (size_t i = 0; i < l->n; i++)
        sorted[i] = &l->nodes[i];
    qsort(sorted, l->n, sizeof *sorted, name_order);
    const struct node_entry *repeated = NULL;
    for (size_t i = 1; i < l->n && !repeated; i++) {
        if (strcmp(sorted[i]->node, sorted[i - 1]->node) == 0)
            repeated = sorted[i];
    }
    free(sorted);
    if (!repeated)
        return 0;
    doc_fail(e, "", "invalid_member", "node %s occurs twice", repeated->node);
    return doc_fail_under(e, "/nodes/%zu", (size_t)(repeated - l->nodes));
}

static int get_nodes(const json_t *j, struct nodelist *l, struct doc_error *e)
{
    const json_t *nodes = NULL;
    if (doc_get_array(j, "nodes", DOC_REQUIRED, &nodes, e) < 0)
        return -EINVAL;
    size_t n = json_array_size(nodes);
    if (n > NODELIST_MAX)
        return doc_fail(e, "/nodes", "invalid_member", "at most %d nodes", NODELIST_MAX);
    l->nodes = calloc(n + 1, sizeof *l->nodes);
    if (!l->nodes)
        return -ENOMEM;
    for (; l->n < n; l->n++) {
        if (node_entry_from_json(json_array_get(nodes, l->n), &l->nodes[l->n], e) < 0)
            return doc_fail_under(e, "/nodes/%zu", l->n);
    }
    return check_names(l, e);
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
