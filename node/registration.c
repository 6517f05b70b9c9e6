/* JSON out and in. Invariant: what is missing in an answer changes nothing. */
#include "registration.h"

#include "core/timefmt.h"

#include <errno.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { HEARTBEAT_MAX_S = 3600 };

/* Takes `value`; false: out of memory. */
static bool put(json_t *o, const char *key, json_t *value)
{
    return json_object_set_new(o, key, value) == 0;
}

static json_t *labels_json(const struct node_identity *id)
{
    json_t *o = json_object();
    for (size_t i = 0; o && i < id->n_labels; i++)
        if (!put(o, id->labels[i].key, json_string(id->labels[i].value))) {
            json_decref(o);
            return NULL;
        }
    return o;
}

static json_t *turn_json(const struct node_identity *id)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < id->n_turn; i++)
        if (json_array_append_new(list, json_string(id->turn[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    return json_pack("{s:o}", "urls", list);
}

static json_t *services_json(const struct node_identity *id)
{
    json_t *o = json_object();
    bool ok = o != NULL;
    if (ok && id->n_turn > 0)
        ok = put(o, "turn", turn_json(id));
    for (size_t i = 0; ok && i < id->n_services; i++) {
        const char *text = id->services[i], *eq = strchr(text, '=');
        char name[NODE_LABEL_MAX + 1];
        snprintf(name, sizeof(name), "%.*s", (int)(eq - text), text);
        ok = put(o, name, json_string(eq + 1));
    }
    if (ok)
        return o;
    json_decref(o);
    return NULL;
}

char *registration_body(const struct node_identity *id, const struct node_addresses *addresses,
                        const struct node_addresses *advertise, const char *spki, const char *media_key)
{
    json_t *o = json_object();
    bool ok = o && put(o, "node", json_string(id->node)) && put(o, "cluster", json_string(id->cluster)) &&
              put(o, "region", json_string(id->region)) &&
              put(o, "addresses", node_addresses_to_json(addresses)) &&
              put(o, "capacity", json_integer(id->capacity)) &&
              put(o, "capacity_kbps", json_integer(id->capacity_kbps)) && put(o, "labels", labels_json(id));
    if (ok && advertise)
        ok = put(o, "advertise", node_addresses_to_json(advertise));
    if (ok && id->tls_name)
        ok = put(o, "tls_name", json_string(id->tls_name));
    if (ok && spki)
        ok = put(o, "tls_spki", json_pack("[s]", spki));
    if (ok && media_key)
        ok = put(o, "media_key", json_string(media_key));
    if (ok && id->n_turn + id->n_services > 0)
        ok = put(o, "services", services_json(id));
    if (ok && id->has_location)
        ok = put(o, "location", json_pack("{s:f,s:f}", "lat", id->lat, "lon", id->lon));
    char *text = ok ? json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(o);
    return text;
}

static json_t *rtt_or_null(int64_t us)
{
    return us >= 0 ? json_integer(us) : json_null();
}

static json_t *rtt_json(const struct heartbeat *h)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < h->n_rtt; i++)
        if (json_array_append_new(list, json_pack("{s:s,s:o}", "node", h->rtt[i].node, "rtt_us",
                                                  rtt_or_null(h->rtt[i].rtt_us))) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

char *heartbeat_body(const struct heartbeat *h)
{
    json_t *o = json_pack("{s:{s:f,s:I,s:I,s:I}}", "load", "cpu", h->load.cpu, "packets_per_s",
                          (json_int_t)h->load.packets_per_s, "sessions", (json_int_t)h->load.sessions,
                          "bandwidth_bps", (json_int_t)h->load.bandwidth_bps);
    bool ok = o != NULL;
    if (ok && h->draining)
        ok = put(o, "draining", json_true());
    if (ok && h->stopping)
        ok = put(o, "stopping", json_true());
    if (ok && h->media_key)
        ok = put(o, "media_key", json_string(h->media_key));
    if (ok && h->n_rtt > 0)
        ok = put(o, "rtt", rtt_json(h));
    if (ok && h->links_version && h->links_version[0] != '\0')
        ok = put(o, "links_version", json_string(h->links_version));
    char *text = ok ? json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(4)) : NULL;
    json_decref(o);
    return text;
}

static bool key_of_json(struct ticket_key *k, const json_t *j)
{
    const char *id = json_string_value(json_object_get(j, "id"));
    const char *key = json_string_value(json_object_get(j, "key"));
    size_t id_len = 0, key_len = 0;
    return id && key &&
           sodium_base642bin(k->id, sizeof(k->id), id, strlen(id), NULL, &id_len, NULL,
                             sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0 &&
           sodium_base642bin(k->key, sizeof(k->key), key, strlen(key), NULL, &key_len, NULL,
                             sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0 &&
           id_len == sizeof(k->id) && key_len == sizeof(k->key);
}

static void read_ticket_keys(struct control_answer *a, const json_t *list)
{
    struct ticket_key keys[TICKET_KEYS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(list) && n < TICKET_KEYS_MAX; i++)
        n += key_of_json(&keys[n], json_array_get(list, i));
    if (n > 0) {
        memcpy(a->ticket_keys, keys, n * sizeof(keys[0]));
        a->n_ticket_keys = n;
    }
    sodium_memzero(keys, sizeof(keys));
}

/* The document's copies of secrets; those of the parser are the heap's. */
static void wipe_ticket_keys(const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *key = json_object_get(json_array_get(list, i), "key");
        if (json_is_string(key))
            sodium_memzero((char *)(uintptr_t)json_string_value(key), json_string_length(key));
    }
}

static void read_media(struct control_answer *a, const json_t *o)
{
    const json_t *keys = json_object_get(o, "ticket_keys");
    const char *org = json_string_value(json_object_get(o, "org"));
    const char *now = json_string_value(json_object_get(o, "now"));
    if (org && strlen(org) <= ORG_ID_MAX)
        snprintf(a->org, sizeof(a->org), "%s", org);
    if (now && time_parse(now, &a->now_us) != 0)
        a->now_us = 0;
    read_ticket_keys(a, keys);
    wipe_ticket_keys(keys);
}

int control_answer_parse(struct control_answer *a, const char *body, size_t len)
{
    json_t *o = body ? json_loadb(body, len, 0, NULL) : NULL;
    if (!json_is_object(o)) {
        json_decref(o);
        return -EBADMSG;
    }
    json_int_t s = json_integer_value(json_object_get(o, "heartbeat_s"));
    if (s >= 1 && s <= HEARTBEAT_MAX_S)
        a->heartbeat_s = s;
    const json_t *drain = json_object_get(o, "drain");
    if (json_is_boolean(drain))
        a->drain = json_is_true(drain);
    const char *version = json_string_value(json_object_get(o, "peers_version"));
    if (version && strlen(version) <= PEERS_VERSION_MAX)
        snprintf(a->peers_version, sizeof(a->peers_version), "%s", version);
    a->links_changed = json_is_true(json_object_get(o, "links_changed"));
    read_media(a, o);
    json_decref(o);
    return 0;
}

void problem_code(char code[static PROBLEM_CODE_MAX], const char *body, size_t len)
{
    json_t *o = body ? json_loadb(body, len, 0, NULL) : NULL;
    const char *text = json_string_value(json_object_get(o, "code"));
    snprintf(code, PROBLEM_CODE_MAX, "%s", text ? text : "");
    json_decref(o);
}
