/* Pages of answers into sorted tables. Invariant: of a participant of a meeting there is one entry, with the
 * greatest number that was told; of a meeting there is one, as it was told last, and none that has no peers. */
#include "links.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- keys ---- */

void link_keys_make(struct link_keys *k)
{
    crypto_kx_keypair(k->public_key, k->secret_key);
}

void link_keys_text(const struct link_keys *k, char out[static LINK_KEY_TEXT_LEN + 1])
{
    sodium_bin2base64(out, LINK_KEY_TEXT_LEN + 1, k->public_key, sizeof(k->public_key),
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

/* Whoever dials, the one with the lesser key is crypto_kx's client: what that one receives with is what the other sends with. */
int link_keys_share(const struct link_keys *k, const uint8_t theirs[static crypto_kx_PUBLICKEYBYTES],
                    uint8_t shared[static MEDIA_SHARED_LEN])
{
    uint8_t rx[crypto_kx_SESSIONKEYBYTES], tx[crypto_kx_SESSIONKEYBYTES];
    _Static_assert((int)MEDIA_SHARED_LEN == (int)crypto_kx_SESSIONKEYBYTES, "one of the two");
    int order = memcmp(k->public_key, theirs, sizeof(k->public_key));
    int rc = order == 0  ? -1
             : order < 0 ? crypto_kx_client_session_keys(rx, tx, k->public_key, k->secret_key, theirs)
                         : crypto_kx_server_session_keys(rx, tx, k->public_key, k->secret_key, theirs);
    if (rc == 0)
        memcpy(shared, order < 0 ? rx : tx, MEDIA_SHARED_LEN);
    sodium_memzero(rx, sizeof(rx));
    sodium_memzero(tx, sizeof(tx));
    return rc == 0 ? 0 : -EINVAL;
}

/* ---- who was removed ---- */

static void meeting_clear(struct links_meeting *m)
{
    if (m->peers)
        sodium_memzero(m->peers, m->n_peers * sizeof(*m->peers));
    free(m->peers);
    m->peers = NULL;
    m->n_peers = 0;
}

void links_clear(struct links *l)
{
    for (size_t i = 0; i < l->n_meetings; i++)
        meeting_clear(&l->meetings[i]);
    free(l->meetings);
    free(l->removed);
    *l = (struct links){.n_removed = 0};
}

void links_forget_version(struct links *l)
{
    l->version[0] = '\0';
    l->more = l->in_round = false;
}

static bool copy(char *to, size_t cap, const json_t *o, const char *member)
{
    const char *text = json_string_value(json_object_get(o, member));
    size_t len = text ? strlen(text) : 0;
    if (len == 0 || len >= cap || len != json_string_length(json_object_get(o, member)))
        return false;
    memcpy(to, text, len + 1);
    return true;
}

static bool read_removed(struct media_plan_removed *r, const json_t *o)
{
    const json_t *number = json_object_get(o, "number");
    *r = (struct media_plan_removed){.number = json_integer_value(number)};
    return json_is_integer(number) && copy(r->org, sizeof(r->org), o, "org") &&
           copy(r->id, sizeof(r->id), o, "meeting") && copy(r->who, sizeof(r->who), o, "agent");
}

static int reserve(struct links *l, size_t more)
{
    size_t want = l->n_removed + more;
    if (want <= l->room)
        return 0;
    struct media_plan_removed *grown = realloc(l->removed, want * sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    l->removed = grown;
    l->room = want;
    return 0;
}

static int newest_first(const void *a, const void *b)
{
    const struct media_plan_removed *x = a, *y = b;
    return (x->number < y->number) - (x->number > y->number);
}

/* Sorts what was added behind the rest, leaves one of each, and no more than the bound. */
static void settle(struct links *l)
{
    size_t kept = 0;
    qsort(l->removed, l->n_removed, sizeof(*l->removed), media_plan_removed_cmp);
    for (size_t i = 0; i < l->n_removed; i++) {
        if (kept > 0 && media_plan_removed_cmp(&l->removed[kept - 1], &l->removed[i]) == 0) {
            if (l->removed[i].number > l->removed[kept - 1].number)
                l->removed[kept - 1].number = l->removed[i].number;
            continue;
        }
        l->removed[kept++] = l->removed[i];
    }
    l->n_removed = kept;
    if (kept <= LINKS_REMOVED_MAX)
        return;
    qsort(l->removed, kept, sizeof(*l->removed), newest_first);
    l->n_removed = LINKS_REMOVED_MAX;
    qsort(l->removed, l->n_removed, sizeof(*l->removed), media_plan_removed_cmp);
}

/* ---- joined nodes ---- */

static bool read_key(uint8_t key[static crypto_kx_PUBLICKEYBYTES], const json_t *o)
{
    const char *text = json_string_value(json_object_get(o, "key"));
    size_t len = 0;
    return text &&
           sodium_base642bin(key, crypto_kx_PUBLICKEYBYTES, text, strlen(text), NULL, &len, NULL,
                             sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0 &&
           len == crypto_kx_PUBLICKEYBYTES;
}

/* False: it can't be linked to. Without a ticket or addresses it may still dial. */
static bool read_peer(struct links_peer *p, const struct link_keys *keys, const struct links_meeting *m,
                      const json_t *o)
{
    uint8_t key[crypto_kx_PUBLICKEYBYTES];
    struct link_order *order = &p->order;
    const json_t *ticket = json_object_get(o, "ticket");
    const char *role = json_string_value(json_object_get(o, "role"));
    char org[ORG_ID_MAX + 1], node[TICKET_NODE_MAX + 1];
    struct doc_error e;
    *p = (struct links_peer){.has_ticket = false};
    if (!copy(org, sizeof(org), o, "org") || !copy(node, sizeof(node), o, "node") || !read_key(key, o) ||
        link_keys_share(keys, key, order->peer.shared) != 0)
        return false;
    int len = snprintf(order->peer.who, sizeof(order->peer.who), "%s/%s", org, node);
    order->peer.leaf = json_is_true(json_object_get(o, "leaf"));
    order->peer.dial = role && strcmp(role, "dial") == 0;
    memcpy(order->org, m->plan.org, sizeof(order->org));
    memcpy(order->meeting, m->plan.id, sizeof(order->meeting));
    (void)!copy(order->tls_name, sizeof(order->tls_name), o, "tls_name");
    p->has_ticket = node_addresses_from_json(json_object_get(o, "addresses"), &order->addresses, &e) == 0 &&
                    copy(order->grant.username, sizeof(order->grant.username), ticket, "username") &&
                    copy(order->grant.password, sizeof(order->grant.password), ticket, "password");
    return len > 0 && (size_t)len < sizeof(order->peer.who);
}

static int read_peers(struct links_meeting *m, const struct link_keys *keys, const json_t *list)
{
    size_t n = json_array_size(list) < LINKS_PEERS_MAX ? json_array_size(list) : LINKS_PEERS_MAX;
    m->left_out = json_array_size(list) - n;
    m->peers = n > 0 ? calloc(n, sizeof(*m->peers)) : NULL;
    if (n > 0 && !m->peers)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        m->n_peers += read_peer(&m->peers[m->n_peers], keys, m, json_array_get(list, i));
    return 0;
}

/* Where that meeting is, or would be. */
static size_t place_of(const struct links *l, const struct links_meeting *m, bool *there)
{
    size_t low = 0, high = l->n_meetings;
    *there = false;
    while (low < high && !*there) {
        size_t mid = (low + high) / 2;
        int order = media_plan_meeting_cmp(&l->meetings[mid].plan, &m->plan);
        *there = order == 0;
        low = order < 0 ? mid + 1 : low;
        high = order < 0 ? high : mid;
    }
    return high;
}

static void drop_meeting(struct links *l, size_t i)
{
    meeting_clear(&l->meetings[i]);
    memmove(l->meetings + i, l->meetings + i + 1, (--l->n_meetings - i) * sizeof(*l->meetings));
}

static struct links_peer *find_peer(const struct links_meeting *m, const char *who)
{
    for (size_t i = 0; i < m->n_peers; i++)
        if (strcmp(m->peers[i].order.peer.who, who) == 0)
            return &m->peers[i];
    return NULL;
}

/* Of the same links as before: which have been ordered; and where one is still to be dialled, and the answer has no
 * ticket, the one of before. */
static void inherit(struct links_meeting *m, const struct links_meeting *before)
{
    for (size_t i = 0; i < m->n_peers; i++) {
        struct links_peer *p = &m->peers[i];
        const struct links_peer *had = find_peer(before, p->order.peer.who);
        if (!had)
            continue;
        p->ordered = had->ordered;
        if (p->has_ticket || !had->has_ticket || !p->order.peer.dial)
            continue;
        p->order.grant = had->order.grant;
        p->order.addresses = had->order.addresses;
        memcpy(p->order.tls_name, had->order.tls_name, sizeof(p->order.tls_name));
        p->has_ticket = true;
    }
}

/* Takes what *m holds. */
static int put_meeting(struct links *l, struct links_meeting *m)
{
    bool there;
    size_t i = place_of(l, m, &there);
    if (there) {
        inherit(m, &l->meetings[i]);
        meeting_clear(&l->meetings[i]);
        l->meetings[i] = *m;
        if (m->n_peers == 0)
            drop_meeting(l, i);
        return 0;
    }
    if (!l->meetings)
        l->meetings = calloc(LINKS_MEETINGS_MAX, sizeof(*l->meetings));
    if (m->n_peers == 0 || !l->meetings || l->n_meetings == LINKS_MEETINGS_MAX) {
        l->left_out += m->n_peers > 0 && l->meetings;
        bool failed = m->n_peers > 0 && !l->meetings;
        meeting_clear(m);
        return failed ? -ENOMEM : 0;
    }
    memmove(l->meetings + i + 1, l->meetings + i, (l->n_meetings++ - i) * sizeof(*l->meetings));
    l->meetings[i] = *m;
    return 0;
}

static int read_meetings(struct links *l, const struct link_keys *keys, const json_t *list)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < json_array_size(list); i++) {
        const json_t *o = json_array_get(list, i);
        struct links_meeting m = {.round = l->round};
        if (!copy(m.plan.org, sizeof(m.plan.org), o, "org") ||
            !copy(m.plan.id, sizeof(m.plan.id), o, "meeting"))
            continue;
        m.plan.epoch = (uint64_t)json_integer_value(json_object_get(o, "epoch"));
        m.plan.hub = json_is_true(json_object_get(o, "is_hub"));
        rc = read_peers(&m, keys, json_object_get(o, "peers"));
        if (rc == 0)
            rc = put_meeting(l, &m);
    }
    return rc;
}

/* ---- answers ---- */

/* What an answer that told everything has not named is over. */
static void end_round(struct links *l)
{
    for (size_t i = l->n_meetings; i-- > 0;)
        if (l->meetings[i].round != l->round)
            drop_meeting(l, i);
    l->in_round = false;
}

static int take(struct links *l, const struct link_keys *keys, const json_t *o)
{
    const json_t *list = json_object_get(o, "removed");
    bool all = json_is_true(json_object_get(o, "all")), more = json_is_true(json_object_get(o, "more"));
    size_t n = json_array_size(list);
    int rc = n > 0 ? reserve(l, n) : 0;
    if (rc != 0)
        return rc;
    if (all && !l->in_round) {
        l->round++;
        l->left_out = 0;
    }
    l->in_round = all;
    rc = read_meetings(l, keys, json_object_get(o, "links"));
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < n; i++)
        l->n_removed += read_removed(&l->removed[l->n_removed], json_array_get(list, i));
    if (n > 0)
        settle(l);
    if (all && !more)
        end_round(l);
    l->more = more;
    return 0;
}

int links_update(struct links *l, const struct link_keys *keys, const char *body, size_t len)
{
    struct doc_error e;
    json_t *o = body ? doc_parse(body, len, &e) : NULL;
    char version[LINKS_VERSION_MAX + 1];
    int rc = -EBADMSG;
    if (json_is_array(json_object_get(o, "removed")) && json_is_array(json_object_get(o, "links")) &&
        copy(version, sizeof(version), o, "version"))
        rc = take(l, keys, o);
    if (rc == 0)
        memcpy(l->version, version, sizeof(version));
    json_decref(o);
    return rc;
}

/* ---- what comes of them ---- */

struct media_plan_held *links_plan(const struct links *l)
{
    struct media_plan_meeting *meetings = calloc(l->n_meetings + 1, sizeof(*meetings));
    struct media_plan_peer *peers = NULL;
    struct media_plan_held *held = NULL;
    size_t n_peers = 0, at = 0;
    for (size_t i = 0; i < l->n_meetings; i++)
        n_peers += l->meetings[i].n_peers;
    peers = calloc(n_peers + 1, sizeof(*peers));
    if (!meetings || !peers)
        goto out;
    for (size_t i = 0; i < l->n_meetings; i++) {
        const struct links_meeting *m = &l->meetings[i];
        meetings[i] = m->plan;
        meetings[i].peers = peers + at;
        meetings[i].n_peers = m->n_peers;
        for (size_t k = 0; k < m->n_peers; k++)
            peers[at++] = m->peers[k].order.peer;
    }
    held = media_plan_held_new(&(struct media_plan){l->n_meetings, l->n_removed, meetings, l->removed});
out:
    if (peers)
        sodium_memzero(peers, n_peers * sizeof(*peers));
    free(peers);
    free(meetings);
    return held;
}

void link_orders_free(struct link_orders *o)
{
    if (!o)
        return;
    sodium_memzero(o, sizeof(*o) + o->n * sizeof(o->at[0]));
    free(o);
}

static size_t count_orders(const struct links *l)
{
    size_t n = 0;
    for (size_t i = 0; i < l->n_meetings; i++)
        for (size_t k = 0; k < l->meetings[i].n_peers; k++)
            n += l->meetings[i].peers[k].has_ticket;
    return n;
}

/* Those that were ordered before, or the others, as far as there is room. */
static void add_orders(struct link_orders *o, size_t room, struct links *l, bool ordered)
{
    for (size_t i = 0; i < l->n_meetings; i++)
        for (size_t k = 0; k < l->meetings[i].n_peers; k++) {
            struct links_peer *p = &l->meetings[i].peers[k];
            if (p->ordered != ordered)
                continue;
            p->ordered = p->has_ticket && o->n < room;
            if (p->ordered)
                o->at[o->n++] = p->order;
        }
}

struct link_orders *links_orders(struct links *l)
{
    size_t n = count_orders(l), room = n < LINKS_ORDERS_MAX ? n : LINKS_ORDERS_MAX;
    struct link_orders *o = calloc(1, sizeof(*o) + room * sizeof(o->at[0]));
    if (!o)
        return NULL;
    o->left_out = (struct links_left_out){.meetings = l->left_out, .links = n - room};
    for (size_t i = 0; i < l->n_meetings; i++)
        o->left_out.peers += l->meetings[i].left_out;
    add_orders(o, room, l, true);
    add_orders(o, room, l, false);
    return o;
}
