/* The catalogue as lists in JSON. Invariant: a list's version depends on what stands in it of nodes and policy, and
 * on nothing else: not on load, nor on round trips. */
#include "catalogue.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- GET /v1/nodes ---- */

static char *policy_text(const struct probe_policy *policy)
{
    json_t *j = probe_policy_to_json(policy);
    char *text = j != NULL ? json_dumps(j, JSON_COMPACT) : NULL;

    json_decref(j);
    return text;
}

static const struct catalogue_node *next_listed(const struct catalogue *c, const char *org,
                                                struct catalogue_iter *it)
{
    const struct catalogue_node *n;

    do
        n = catalogue_next(c, org, it);
    while (n != NULL && !node_listed(catalogue_load_of(c, n)));
    return n;
}

void catalogue_version(const struct catalogue *c, const char *org, const struct probe_policy *policy,
                       char out[static CATALOGUE_VERSION_LEN + 1])
{
    struct catalogue_iter it = {0};
    const struct catalogue_node *n;
    crypto_generichash_state h;
    uint8_t digest[CATALOGUE_DIGEST_LEN];

    crypto_generichash_init(&h, NULL, 0, sizeof(digest));
    crypto_generichash_update(&h, (const uint8_t *)policy, sizeof(*policy));
    while ((n = next_listed(c, org, &it)) != NULL)
        crypto_generichash_update(&h, n->digest, sizeof(n->digest));
    crypto_generichash_final(&h, digest, sizeof(digest));
    sodium_bin2hex(out, CATALOGUE_VERSION_LEN + 1, digest, sizeof(digest));
}

static char *put(char *p, const char *s, size_t len)
{
    memcpy(p, s, len);
    return p + len;
}

char *catalogue_list_json(const struct catalogue *c, const char *org, const struct probe_policy *policy,
                          size_t *len)
{
    static const char end[] = "]}";
    struct catalogue_iter it = {0}, again = {0};
    const struct catalogue_node *n;
    char version[CATALOGUE_VERSION_LEN + 1], *pol = policy_text(policy), *text = NULL, *p;
    size_t cap;

    if (pol == NULL)
        return NULL;
    catalogue_version(c, org, policy, version);
    cap = strlen(pol) + 128;
    while ((n = next_listed(c, org, &it)) != NULL)
        cap += n->json_len + 1;
    text = malloc(cap);
    if (text == NULL)
        goto out;
    p = text + snprintf(text, cap, "{\"version\":\"%s\",\"policy\":%s,\"nodes\":[", version, pol);
    while ((n = next_listed(c, org, &again)) != NULL) {
        p = put(p, n->json, n->json_len);
        *p++ = ',';
    }
    if (p[-1] == ',')
        p--;
    p = put(p, end, sizeof(end)); /* with its NUL */
    *len = (size_t)(p - text) - 1;
out:
    free(pol);
    return text;
}

/* ---- GET /v1/nodes/{node}/peers ---- */

void catalogue_peers_version(const struct catalogue *c, const char *org,
                             char out[static CATALOGUE_VERSION_LEN + 1])
{
    static const struct probe_policy none = {0};

    catalogue_version(c, org, &none, out);
}

/* The entry without its closing brace, then what is known of the way there. */
static char *put_peer(char *p, const struct catalogue *c, const struct catalogue_node *of,
                      const struct catalogue_node *n, int64_t now_s)
{
    struct link link;

    p = put(p, n->json, n->json_len - 1);
    if (catalogue_link(c, of, n, &link))
        p += sprintf(p, ",\"rtt_us\":%d,\"rtt_age_s\":%lld", link.rtt_us,
                     (long long)(now_s > link.at_s ? now_s - link.at_s : 0));
    *p++ = '}';
    *p++ = ',';
    return p;
}

char *catalogue_peers_json(const struct catalogue *c, const struct catalogue_node *of, int64_t now_s,
                           size_t *len)
{
    enum { LINK_TEXT_MAX = 80 };
    static const char end[] = "]}";
    struct catalogue_iter it = {0}, again = {0};
    const struct catalogue_node *n;
    char version[CATALOGUE_VERSION_LEN + 1], *text, *p;
    size_t cap = 128;

    catalogue_peers_version(c, of->org, version);
    while ((n = next_listed(c, of->org, &it)) != NULL)
        cap += n->json_len + LINK_TEXT_MAX;
    text = malloc(cap);
    if (text == NULL)
        return NULL;
    p = text + snprintf(text, cap, "{\"version\":\"%s\",\"nodes\":[", version);
    while ((n = next_listed(c, of->org, &again)) != NULL) {
        if (n != of)
            p = put_peer(p, c, of, n, now_s);
    }
    if (p[-1] == ',')
        p--;
    p = put(p, end, sizeof(end)); /* with its NUL */
    *len = (size_t)(p - text) - 1;
    return text;
}
