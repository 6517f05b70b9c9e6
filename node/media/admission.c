/* Who is let in, stays and goes: handshakes and consent checks. Invariant: nothing changes but for a request with
 * the right integrity, and an address takes a session's place, or another session's address, only when it has
 * answered a challenge that was made for just that. */
#include "engine.h"

#include <sodium.h>
#include <string.h>

enum {
    CODE_BAD_REQUEST = 400,
    CODE_UNAUTHENTICATED = 401,
    CODE_FORBIDDEN = 403,
    CODE_MISMATCH = 437,
    CODE_STALE_NONCE = 438,
    CODE_QUOTA = 486,
    CODE_NO_CAPACITY = 508,
};

/* One request on its way. */
struct asking {
    struct media_home *h;
    const struct media_path *from;
    struct media_request r;
    size_t len;
    struct ticket t;
    char password[TICKET_PASSWORD_LEN + 1]; /* of the ticket */
    enum srtp_suite suite;
    const struct media_plan_peer *peer; /* of a link */
    bool copied;                        /* it has come before: it proves nothing */
    int64_t now_us, now_s;
};

uint64_t media_owner(enum ticket_kind kind, const char *who)
{
    const uint8_t key[crypto_generichash_KEYBYTES_MIN] = {(uint8_t)kind};
    uint8_t hash[crypto_generichash_BYTES_MIN];
    uint64_t owner;
    crypto_generichash(hash, sizeof hash, (const uint8_t *)who, strlen(who), key, sizeof key);
    memcpy(&owner, hash, sizeof owner);
    return owner;
}

/* ---- answers ---- */

static uint8_t *room(const struct asking *a)
{
    const struct media_sink *sink = &a->h->opts.sink;
    return sink->room(sink->ctx, a->from, MEDIA_CONTROL);
}

static void commit(const struct asking *a, size_t len)
{
    const struct media_sink *sink = &a->h->opts.sink;
    sink->commit(sink->ctx, a->from, MEDIA_CONTROL, len);
}

static void refuse(const struct asking *a, int code, const char *password, struct slice nonce)
{
    uint8_t *out = room(a);
    if (out)
        commit(a, media_write_error(out, &a->r, code, password, nonce));
}

static void refuse_plainly(const struct asking *a, int code, const char *password)
{
    refuse(a, code, password, (struct slice){NULL, 0});
}

static void welcome(const struct asking *a, const struct leg *l)
{
    uint8_t *out = room(a);
    if (out)
        commit(a, media_write_welcome(out, &a->r, l->password, &a->from->peer, &l->welcome));
}

/* ---- challenges ---- */

static void mix_in(crypto_generichash_state *st, const struct leg *l)
{
    static const struct leg nobody;
    l = l ? l : &nobody;
    crypto_generichash_update(st, l->session.bytes, sizeof l->session.bytes);
    crypto_generichash_update(st, (const uint8_t *)&l->moves, sizeof l->moves);
}

/* Does the request prove that who signed it receives at that address now? `session`: whose place or address is to
 * change; `there`: who is at the address. The nonce is good for this one change: what was copied moves nothing a
 * second time. False: it was answered with a challenge. */
static bool proven(const struct asking *a, const struct leg *session, const struct leg *there,
                   const char *password)
{
    uint8_t key[MEDIA_NONCE_KEY_LEN];
    char nonce[MEDIA_NONCE_LEN + 1];
    crypto_generichash_state st;
    crypto_generichash_init(&st, a->h->opts.nonce_key, sizeof a->h->opts.nonce_key, sizeof key);
    mix_in(&st, session);
    mix_in(&st, there);
    crypto_generichash_update(&st, &a->from->taken, sizeof a->from->taken);
    crypto_generichash_final(&st, key, sizeof key);
    if (!a->copied && a->r.nonce.p && media_nonce_holds(a->r.nonce, key, &a->from->peer, a->now_us))
        return true;
    media_nonce_make(nonce, key, &a->from->peer, a->now_us);
    refuse(a, CODE_STALE_NONCE, password, (struct slice){(const uint8_t *)nonce, MEDIA_NONCE_LEN});
    return false;
}

/* ---- copies ---- */

static uint8_t *hello_byte(const struct asking *a, size_t hour, uint8_t *bit)
{
    uint8_t bytes[STUN_TXID_LEN + MEDIA_RANDOM_LEN];
    memcpy(bytes, a->r.msg.txid, STUN_TXID_LEN);
    memcpy(bytes + STUN_TXID_LEN, a->r.hello.random, MEDIA_RANDOM_LEN);
    size_t place = media_hash(a->h, bytes, sizeof bytes) & (HOME_HELLO_BITS - 1);
    *bit = (uint8_t)(1u << place % 8);
    return &a->h->hellos[hour][place / 8];
}

/* Has this handshake begun a session before? Seldom another is taken for it, which costs that a challenge. */
static bool is_copy(const struct asking *a)
{
    uint8_t bit;
    return (*hello_byte(a, 0, &bit) & bit) || (*hello_byte(a, 1, &bit) & bit);
}

static void remember(const struct asking *a)
{
    struct media_home *h = a->h;
    uint8_t bit;
    if (a->now_us - h->hellos_us >= HOME_HELLO_KEPT_S * (int64_t)1000000) {
        uint8_t *before = h->hellos[1];
        h->hellos[1] = h->hellos[0];
        h->hellos[0] = before;
        memset(before, 0, HOME_HELLO_BITS / 8);
        h->hellos_us = a->now_us;
    }
    *hello_byte(a, 0, &bit) |= bit;
}

/* ---- handshakes ---- */

/* 0, or the code of its refusal. */
static int check_hello(struct asking *a)
{
    const struct media_request *r = &a->r;
    if (a->t.expires_s <= a->now_s || media_check_request(r, a->password) < 0)
        return CODE_UNAUTHENTICATED;
    if (!r->hello_ok)
        return CODE_BAD_REQUEST;
    if (r->hello.suites & 1u << SRTP_AES_128_GCM)
        a->suite = SRTP_AES_128_GCM;
    else if (r->hello.suites & 1u << SRTP_AES_CM_128_SHA1_80)
        a->suite = SRTP_AES_CM_128_SHA1_80;
    else
        return CODE_BAD_REQUEST;
    return 0;
}

/* Has who dials the key that the plan has of it? One of the two has started anew otherwise. */
static bool shares(const struct asking *a)
{
    struct media_session_id name;
    media_link_name(&name, a->peer->shared, a->r.hello.random);
    return sodium_memcmp(name.bytes, a->r.hello.name.bytes, sizeof name.bytes) == 0;
}

/* Does the plan still know who asks? 0, or the code of its refusal. */
static int check_plan(struct asking *a)
{
    const struct media_home *h = a->h;
    if (media_plan_is_removed(h->plan, &a->t))
        return CODE_UNAUTHENTICATED;
    if (a->t.kind != TICKET_LINK)
        return 0;
    a->peer = media_plan_peer(media_plan_meeting(h->plan, a->t.org, a->t.meeting), a->t.who);
    if (a->peer && shares(a))
        return 0;
    h->opts.sink.plan_is_old(h->opts.sink.ctx);
    return CODE_NO_CAPACITY;
}

static bool is_repeated(const struct asking *a, const struct leg *l)
{
    return memcmp(l->txid, a->r.msg.txid, sizeof l->txid) == 0 &&
           memcmp(l->agent_random, a->r.hello.random, sizeof l->agent_random) == 0 &&
           strcmp(l->password, a->password) == 0;
}

/* Room for one more on this node, this thread and in this meeting? Then it is taken. */
static bool take_seat(const struct asking *a, const struct meeting *m)
{
    struct media_home *h = a->h;
    if (h->n_legs >= HOME_LEGS_MAX || (m && m->n_legs >= MEDIA_MEETING_LEGS_MAX))
        return false;
    if (a->t.kind == TICKET_LINK)
        return true;
    int64_t before = atomic_fetch_add_explicit(h->opts.legs, 1, memory_order_relaxed);
    if (h->opts.legs_max == 0 || before < (int64_t)h->opts.legs_max)
        return true;
    atomic_fetch_sub_explicit(h->opts.legs, 1, memory_order_relaxed);
    return false;
}

static void give_seat_back(const struct asking *a)
{
    if (a->t.kind != TICKET_LINK)
        atomic_fetch_sub_explicit(a->h->opts.legs, 1, memory_order_relaxed);
}

/* The newest plan's word counts. */
static void take_terms(struct meeting *m, const struct ticket *t)
{
    const struct media_sink *sink = &m->home->opts.sink;
    const struct media_plan_meeting *planned = media_plan_meeting(m->home->plan, m->org, m->id);
    m->hub = planned && planned->hub;
    if (t->kind != TICKET_LINK && t->epoch >= m->last_n_epoch) { /* a link's says nothing of it */
        m->last_n = t->last_n > 0 ? t->last_n : MEDIA_LAST_N;
        m->last_n_epoch = t->epoch;
    }
    if (t->epoch < m->epoch)
        return;
    if (t->epoch > m->epoch && !(planned && planned->epoch >= t->epoch))
        sink->plan_is_old(sink->ctx);
    m->epoch = t->epoch;
}

/* The session, or NULL: it was refused. */
static struct leg *admit(struct asking *a)
{
    struct media_home *h = a->h;
    struct meeting *m = meeting_find(h, a->t.org, a->t.meeting);
    struct leg *l = NULL;
    const struct leg_terms terms = {&a->t, a->password, &a->r, a->suite, a->peer, NULL};
    if (h->n_meetings == 0)
        h->turn_us = a->now_us + HOME_TURN_US;
    if (!take_seat(a, m)) {
        refuse_plainly(a, CODE_QUOTA, a->password);
        return NULL;
    }
    m = m ? m : meeting_make(h, a->t.org, a->t.meeting);
    if (m)
        take_terms(m, &a->t);
    if (!m || leg_begin(&l, m, &terms, a->from, a->now_us) < 0) {
        give_seat_back(a);
        if (m)
            meeting_drop_empty(m);
        refuse_plainly(a, CODE_NO_CAPACITY, a->password);
        return NULL;
    }
    remember(a);
    welcome(a, l);
    return l;
}

/* Ends it; but the path that is asked from stays this home's: its next session is about to begin. True: it was this one's. */
static bool make_way(const struct asking *a, struct leg *l)
{
    bool here = l->has_path && media_path_eq(&l->path, a->from);
    if (here)
        leg_lose_path(l, a->now_us);
    leg_end(l, MEDIA_END_REPLACED, true);
    return here;
}

static void give_up_path(const struct asking *a)
{
    const struct media_sink *sink = &a->h->opts.sink;
    sink->detach(sink->ctx, a->from, MEDIA_END_REPLACED);
}

static void hello(struct asking *a)
{
    struct media_home *h = a->h;
    if (!h->keys || ticket_open(&a->t, a->password, h->keys, a->r.username.p, a->r.username.len) < 0) {
        refuse_plainly(a, h->keys ? CODE_UNAUTHENTICATED : CODE_NO_CAPACITY, NULL);
        return;
    }
    struct leg *there = home_leg_at(h, a->from);
    int code = check_hello(a);
    if (code == 0 && there && is_repeated(a, there)) {
        welcome(a, there);
        return;
    }
    if (code == 0)
        code = check_plan(a);
    if (code == 0 && h->draining && a->t.kind != TICKET_LINK) /* who is still here hears those elsewhere */
        code = CODE_NO_CAPACITY;
    struct meeting *m = code == 0 ? meeting_find(h, a->t.org, a->t.meeting) : NULL;
    struct leg *same = m ? meeting_leg_of(m, media_owner(a->t.kind, a->t.who)) : NULL;
    if (same && a->t.number < same->number)
        code = a->t.kind == TICKET_LINK ? CODE_UNAUTHENTICATED : CODE_FORBIDDEN;
    if (code == 0 && same && same->dialled && a->peer->dial) /* both have dialled: ours stays */
        code = CODE_QUOTA;
    if (code != 0) {
        refuse_plainly(a, code, a->password);
        return;
    }
    a->copied = is_copy(a);
    if ((a->copied || same || there || a->from->taken != 0) && !proven(a, same, there, a->password))
        return;
    bool was_here = same && make_way(a, same);
    if (there && there != same)
        was_here = make_way(a, there);
    if (!admit(a) && was_here)
        give_up_path(a);
}

/* ---- consent ---- */

static void answer_consent(const struct asking *a, struct leg *l)
{
    struct media_news news = {.move_soon = a->h->draining, .n_refused = l->n_refused};
    memcpy(news.refused, l->refused, l->n_refused * sizeof l->refused[0]);
    bool any = news.move_soon || news.n_refused > 0;
    uint8_t *out = room(a);
    if (!out)
        return;
    commit(a, media_write_consent_answer(out, &a->r, l->password, &a->from->peer, any ? &news : NULL));
    l->n_refused = 0;
}

/* Does it come from where the session is, and do packets from there come here? */
static bool is_at_its_own(const struct asking *a, const struct leg *l)
{
    return l->has_path && media_path_eq(&l->path, a->from) && a->from->taken == 0;
}

/* Requests that were copied could be sent for ever in the name of who is gone, so that the node goes on sending
 * there. Who leaves needs no proof: a copy of that finds no session. A stream is its own. */
static bool is_proof_due(const struct asking *a, const struct leg *l)
{
    return a->from->carrier == MEDIA_UDP && !a->r.leave && a->now_us - l->proven_us >= MEDIA_PROVEN_US;
}

/* A check that isn't of the session at its path counts there, apart from what that session sends: it may be forged.
 * Where its thread is wrong about there being one, it hears of that: what comes from there counts by its source
 * again. */
static bool stray_may_ask(const struct asking *a, struct leg *there)
{
    const struct media_sink *sink = &a->h->opts.sink;
    if (!there && a->from->known)
        sink->detach(sink->ctx, a->from, MEDIA_END_CLOSED);
    if (!there || media_limit_take(&there->strays, a->len, a->now_us))
        return true;
    there->stats.refused++;
    return false;
}

static void take_leave(const struct asking *a, struct leg *l)
{
    struct meeting *m = l->meeting->n_legs > 1 ? l->meeting : NULL; /* else it goes as well */
    leg_end(l, MEDIA_END_LEFT, true);
    if (m)
        link_tell_ended(m, a->now_us);
}

static void consent(struct asking *a)
{
    struct leg *l = home_leg_of(a->h, &a->r.session), *there = home_leg_at(a->h, a->from);
    if (l && l->dialled) /* it is this node that asks */
        l = NULL;
    if (!l || media_check_request(&a->r, l->password) < 0) {
        if (stray_may_ask(a, there))
            refuse_plainly(a, l ? CODE_UNAUTHENTICATED : CODE_MISMATCH, NULL);
        return;
    }
    bool at_its_own = is_at_its_own(a, l);
    bool may_be_answered =
        at_its_own ? a->r.leave || leg_may_send(l, a->len, a->now_us) : stray_may_ask(a, there);
    if (at_its_own && is_proof_due(a, l)) {
        if (!may_be_answered || !proven(a, l, NULL, l->password))
            return;
        l->moves++;
        l->proven_us = a->now_us;
    }
    if (!at_its_own) {
        if (!may_be_answered || !proven(a, l, there, l->password))
            return;
        bool was_there = there && there != l && make_way(a, there);
        l->moves++;
        l->proven_us = a->now_us;
        if (leg_move(l, a->from, a->now_us) < 0) {
            if (was_there)
                give_up_path(a);
            return;
        }
    }
    l->consent_us = a->now_us;
    l->confirmed = true;
    if (!may_be_answered)
        return;
    if (at_its_own) /* whoever has missed that, or would forget it */
        a->h->opts.sink.attach(a->h->opts.sink.ctx, a->from);
    answer_consent(a, l);
    if (a->r.leave)
        take_leave(a, l);
}

void media_home_stun(struct media_home *h, const struct media_path *from, const uint8_t *bytes, size_t len,
                     int64_t now_us, int64_t now_s)
{
    struct media_request r;
    media_read_request(&r, bytes, len);
    media_home_request(h, from, &r, now_us, now_s);
}

void media_home_request(struct media_home *h, const struct media_path *from, const struct media_request *r,
                        int64_t now_us, int64_t now_s)
{
    struct asking a = {.h = h, .from = from, .r = *r, .len = r->msg.len, .now_us = now_us, .now_s = now_s};
    if (a.r.kind == MEDIA_REQUEST_HELLO)
        hello(&a);
    else if (a.r.kind == MEDIA_REQUEST_CONSENT)
        consent(&a);
    sodium_memzero(a.password, sizeof a.password);
}
