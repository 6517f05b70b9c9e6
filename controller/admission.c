/* Tickets and TURN credentials of an assignment. Invariant: whatever is secret here is derived from the newest
 * master key for one node, and goes into the answer alone. */
#include "admission.h"

#include "auth.h"
#include "catalogue.h"
#include "core/timefmt.h"
#include "core/turn_url.h"
#include "media/ticket.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { SECOND_US = 1000 * 1000, SHA1_LEN = 20, TURN_USERNAME_MAX = 24 + AGENT_ID_MAX };

/* ---- master keys ---- */

static const struct master_keys *hold_keys(const struct controller *ctl, struct snapshot **held)
{
    *held = snapshot_acquire(&ctl->slots[SNAPSHOT_KEYS]);
    return *held != NULL ? &((const struct auth_keys *)(*held)->data)->master : NULL;
}

static json_t *base64_json(const uint8_t *bytes, size_t len)
{
    char text[sodium_base64_ENCODED_LEN(TICKET_KEY_LEN, sodium_base64_VARIANT_URLSAFE_NO_PADDING)];
    json_t *j;

    sodium_bin2base64(text, sizeof(text), bytes, len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    j = json_string(text);
    sodium_memzero(text, sizeof(text));
    return j;
}

json_t *admission_node_keys(const struct controller *ctl, const char *org, const char *node, int64_t now_us)
{
    struct snapshot *held;
    const struct master_keys *mk = hold_keys(ctl, &held);
    int64_t today = now_us / SECOND_US / TICKET_DAY_S;
    json_t *list = json_array();
    struct ticket_key key;

    for (size_t i = 0; mk != NULL && i < mk->n; i++) {
        for (int64_t day = today - 1; day <= today + 1; day++) {
            ticket_key_derive(&key, mk->key[i], org, node, day);
            json_array_append_new(list, json_pack("{s:o, s:o}", "id", base64_json(key.id, sizeof(key.id)),
                                                  "key", base64_json(key.key, sizeof(key.key))));
        }
    }
    sodium_memzero(&key, sizeof(key));
    snapshot_release(held);
    return list;
}

/* ---- the ticket ---- */

json_t *admission_terms(const char *node_org, int64_t epoch, const struct meeting_policy *p)
{
    json_t *j = json_pack("{s:s, s:I}", "node_org", node_org, "epoch", (json_int_t)epoch);

    if (p->bitrate_kbps > 0)
        json_object_set_new(j, "bitrate_kbps", json_integer(p->bitrate_kbps));
    if (p->last_n > 0)
        json_object_set_new(j, "last_n", json_integer(p->last_n));
    return j;
}

/* False: it can't be kept in one, which no id that was ever accepted is the cause of. */
static bool copy_id(char *to, size_t cap, const char *id)
{
    size_t len = id != NULL ? strlen(id) : 0;

    if (len == 0 || len >= cap)
        return false;
    memcpy(to, id, len + 1);
    return true;
}

static void put_ticket(json_t *media, const struct master_keys *mk, const struct ticket *t,
                       const char *node_org, const char *node, int64_t now_us)
{
    uint8_t nonce[TICKET_NONCE_LEN];
    char time[TIME_TEXT_LEN];
    struct ticket_key key;
    struct ticket_grant grant;

    randombytes_buf(nonce, sizeof(nonce));
    ticket_key_derive(&key, mk->key[0], node_org, node, now_us / SECOND_US / TICKET_DAY_S);
    if (ticket_seal(&grant, t, &key, node_org, node, nonce) == 0) {
        json_object_set_new(media, "username", json_string(grant.username));
        json_object_set_new(media, "password", json_string(grant.password));
        json_object_set_new(media, "expires_at", json_string(time_format(t->expires_s * SECOND_US, time)));
    }
    sodium_memzero(&key, sizeof(key));
    sodium_memzero(&grant, sizeof(grant));
}

static void admit(json_t *media, const struct master_keys *mk, const struct admission *a,
                  const char *node_org, const char *node, int64_t expires_s)
{
    struct ticket t = {
        .kind = TICKET_PARTICIPANT,
        .number = a->now_us,
        .expires_s = expires_s,
        .epoch = (uint64_t)json_integer_value(json_object_get(media, "epoch")),
        .kbps = (uint32_t)json_integer_value(json_object_get(media, "bitrate_kbps")),
        .last_n = (uint16_t)json_integer_value(json_object_get(media, "last_n")),
    };

    if (copy_id(t.org, sizeof(t.org), a->org) && copy_id(t.meeting, sizeof(t.meeting), a->meeting) &&
        copy_id(t.who, sizeof(t.who), a->agent))
        put_ticket(media, mk, &t, node_org, node, a->now_us);
}

json_t *admission_link(const struct controller *ctl, const struct admission_link *l, int64_t now_us)
{
    struct ticket t = {.kind = TICKET_LINK,
                       .number = now_us,
                       .expires_s = now_us / SECOND_US + TICKET_DAY_S,
                       .epoch = (uint64_t)l->epoch};
    char who[ORG_ID_MAX + 1 + TICKET_NODE_MAX + 1];
    struct snapshot *held;
    const struct master_keys *mk = hold_keys(ctl, &held);
    json_t *j = json_object();

    snprintf(who, sizeof(who), "%s/%s", l->who_org, l->who_node);
    if (mk != NULL && copy_id(t.org, sizeof(t.org), l->org) &&
        copy_id(t.meeting, sizeof(t.meeting), l->meeting) && copy_id(t.who, sizeof(t.who), who))
        put_ticket(j, mk, &t, l->to_org, l->to_node, now_us);
    snapshot_release(held);
    return j;
}

/* ---- services beside the node ---- */

/* Nothing else is handed out with credentials. */
static bool is_turn_url(const json_t *j)
{
    const char *text = json_string_value(j);

    return text != NULL && strlen(text) == json_string_length(j) && turn_url_valid(text);
}

bool admission_turn_valid(const json_t *turn)
{
    const json_t *urls = json_object_get(turn, "urls"), *url;
    size_t i;

    if (turn == NULL)
        return true;
    if (!json_is_array(urls) || json_object_size(turn) != 1 || json_array_size(urls) == 0 ||
        json_array_size(urls) > TURN_URLS_MAX)
        return false;
    json_array_foreach(urls, i, url)
    {
        if (!is_turn_url(url))
            return false;
    }
    return true;
}

/* The text that both sides key HMAC-SHA1 with: a secret of this node's alone. */
static void turn_secret(char out[static TURN_SECRET_LEN + 1], const uint8_t master[static MASTER_KEY_LEN],
                        const char *org, const char *node)
{
    static const char context[] = "berth-turn-secret-1";
    uint8_t hash[32];
    crypto_generichash_state st;

    crypto_generichash_init(&st, master, MASTER_KEY_LEN, sizeof(hash));
    crypto_generichash_update(&st, (const uint8_t *)context, sizeof(context)); /* each with its NUL */
    crypto_generichash_update(&st, (const uint8_t *)org, strlen(org) + 1);
    crypto_generichash_update(&st, (const uint8_t *)node, strlen(node) + 1);
    crypto_generichash_final(&st, hash, sizeof(hash));
    sodium_bin2base64(out, TURN_SECRET_LEN + 1, hash, sizeof(hash), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(hash, sizeof(hash));
    sodium_memzero(&st, sizeof(st));
}

json_t *admission_turn_secrets(const struct controller *ctl, const char *org, const char *node)
{
    struct snapshot *held;
    const struct master_keys *mk = hold_keys(ctl, &held);
    char secret[TURN_SECRET_LEN + 1];
    json_t *list = json_array();

    for (size_t i = 0; mk != NULL && i < mk->n; i++) {
        turn_secret(secret, mk->key[i], org, node);
        json_array_append_new(list, json_string(secret));
    }
    sodium_memzero(secret, sizeof(secret));
    snapshot_release(held);
    return list;
}

/* As coturn's use-auth-secret wants it: the username is "<expiry>:<whoever>", the credential
 * base64(HMAC-SHA1(secret, username)). */
static json_t *turn_server(const json_t *turn, const char *secret, const char *agent, int64_t expires_s)
{
    char username[TURN_USERNAME_MAX + 1],
        credential[sodium_base64_ENCODED_LEN(SHA1_LEN, sodium_base64_VARIANT_ORIGINAL)];
    uint8_t mac[SHA1_LEN];
    unsigned len = sizeof(mac);

    snprintf(username, sizeof(username), "%" PRId64 ":%s", expires_s, agent);
    if (HMAC(EVP_sha1(), secret, (int)strlen(secret), (const uint8_t *)username, strlen(username), mac,
             &len) == NULL)
        return NULL;
    sodium_bin2base64(credential, sizeof(credential), mac, sizeof(mac), sodium_base64_VARIANT_ORIGINAL);
    return json_pack("{s:O, s:s, s:s}", "urls", json_object_get(turn, "urls"), "username", username,
                     "credential", credential);
}

static void put_services(json_t *assignment, const struct master_keys *mk, const struct admission *a,
                         const char *node_org, const char *node, const json_t *services, int64_t expires_s)
{
    json_t *ice = json_array(), *others = json_object(), *value;
    const char *name;
    char secret[TURN_SECRET_LEN + 1];

    turn_secret(secret, mk->key[0], node_org, node);
    json_object_foreach((json_t *)(uintptr_t)services, name, value)
    {
        if (strcmp(name, "turn") == 0)
            json_array_append_new(ice, turn_server(value, secret, a->agent, expires_s));
        else
            json_object_set(others, name, value);
    }
    sodium_memzero(secret, sizeof(secret));
    json_object_set_new(assignment, "ice_servers", ice);
    json_object_set_new(assignment, "services", others);
}

/* What its node offers, now. New reference; NULL: nothing. */
static json_t *services_of(const struct controller *ctl, const char *org, const char *node)
{
    struct snapshot *held = snapshot_acquire(&ctl->slots[SNAPSHOT_CATALOGUE]);
    const struct catalogue_node *n = held != NULL ? catalogue_find(held->data, org, node) : NULL;
    json_t *services = n != NULL && n->services != NULL ? json_loads(n->services, 0, NULL) : NULL;

    if (held != NULL)
        snapshot_release(held);
    return services;
}

/* ---- all of it ---- */

static void put_report(const struct options *o, json_t *report)
{
    if (report != NULL && o->call_report_s > 0)
        json_object_set_new(report, "every_s", json_integer(o->call_report_s));
}

void admission_complete(const struct controller *ctl, const struct admission *a, json_t *assignment)
{
    json_t *media = json_object_get(assignment, "media");
    json_t *node_org = json_incref(json_object_get(media, "node_org")), *services;
    const char *node = json_string_value(json_object_get(assignment, "node"));
    int64_t expires_s = a->now_us / SECOND_US + ctl->options->ticket_lifetime_s;
    const struct master_keys *mk;
    struct snapshot *held;

    if (!json_is_string(node_org) || node == NULL) {
        json_decref(node_org);
        return;
    }
    json_object_del(media, "node_org");
    put_report(ctl->options, json_object_get(assignment, "report"));
    mk = hold_keys(ctl, &held);
    services = services_of(ctl, json_string_value(node_org), node);
    if (mk != NULL) {
        admit(media, mk, a, json_string_value(node_org), node, expires_s);
        put_services(assignment, mk, a, json_string_value(node_org), node, services, expires_s);
    }
    json_decref(services);
    json_decref(node_org);
    if (held != NULL)
        snapshot_release(held);
}
