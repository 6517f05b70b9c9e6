/* Which streams there are, and what becomes of them over time. Invariant: every stream is in `all`, in its bucket
 * and counted in its org from streams_open to stream_free, and an org exactly while it has one. */
#include "streams_internal.h"

#include "auth.h"
#include "sys/clock.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* ---- tables ---- */

static h2o_linklist_t *org_bucket(struct streams *s, const char *org)
{
    return &s->orgs[outbox_agent_hash(org, "") % STREAM_ORG_BUCKETS];
}

struct stream_org *streams_org(struct streams *s, const char *org)
{
    h2o_linklist_t *bucket = org_bucket(s, org);

    for (h2o_linklist_t *at = bucket->next; at != bucket; at = at->next) {
        struct stream_org *o = H2O_STRUCT_FROM_MEMBER(struct stream_org, in_bucket, at);
        if (strcmp(o->org, org) == 0)
            return o;
    }
    return NULL;
}

static struct stream_org *org_new(struct streams *s, const char *org)
{
    struct stream_org *o = calloc(1, sizeof(*o));

    if (o == NULL)
        return NULL;
    snprintf(o->org, sizeof(o->org), "%s", org);
    h2o_linklist_init_anchor(&o->waiting);
    h2o_linklist_insert(org_bucket(s, org), &o->in_bucket);
    return o;
}

static void unlink_if(h2o_linklist_t *l)
{
    if (h2o_linklist_is_linked(l))
        h2o_linklist_unlink(l);
}

static void org_leave(struct stream_org *o)
{
    if (--o->n > 0)
        return;
    unlink_if(&o->in_turn);
    h2o_linklist_unlink(&o->in_bucket);
    free(o);
}

void stream_free(struct stream *st)
{
    struct streams *s = st->streams;

    if (st->read != NULL)
        stream_read_forget(st);
    unlink_if(&st->in_waiting);
    h2o_linklist_unlink(&st->in_all);
    h2o_linklist_unlink(&st->in_bucket);
    if (h2o_linklist_is_empty(&st->org->waiting))
        unlink_if(&st->org->in_turn);
    org_leave(st->org);
    s->n--;
    counter_add(&s->worker->counters, streams_closed, 1);
    free(st->buf);
    free(st);
}

void stream_want(struct stream *st)
{
    if (st->read != NULL || st->writing) {
        st->again = true;
        return;
    }
    if (st->ending != NULL || h2o_linklist_is_linked(&st->in_waiting))
        return;
    h2o_linklist_insert(&st->org->waiting, &st->in_waiting);
    if (!h2o_linklist_is_linked(&st->org->in_turn))
        h2o_linklist_insert(&st->streams->turns, &st->org->in_turn);
}

/* ---- opening ---- */

/* Where the agent has as many as it may, the oldest goes. */
static void make_room(struct streams *s, uint64_t hash, const char *org, const char *agent)
{
    h2o_linklist_t *bucket = &s->buckets[hash % STREAM_BUCKETS];
    struct stream *oldest = NULL;
    size_t n = 0;

    for (h2o_linklist_t *at = bucket->next; at != bucket; at = at->next) {
        struct stream *st = H2O_STRUCT_FROM_MEMBER(struct stream, in_bucket, at);
        if (st->hash != hash || st->ending != NULL || strcmp(st->org->org, org) != 0 ||
            strcmp(st->agent, agent) != 0)
            continue;
        n++;
        oldest = oldest == NULL ? st : oldest; /* new ones come last */
    }
    if (n >= STREAMS_OF_AGENT_MAX)
        stream_end(oldest, "replaced");
}

static struct stream *stream_new(struct streams *s, const struct caller *caller,
                                 const struct stream_start *from)
{
    struct stream *st = calloc(1, sizeof(*st));
    struct stream_org *o = streams_org(s, caller->org);

    o = o != NULL || st == NULL ? o : org_new(s, caller->org);
    if (o == NULL || st == NULL) {
        free(st);
        return NULL;
    }
    st->streams = s;
    st->org = o;
    st->hash = outbox_agent_hash(caller->org, from->agent);
    st->position = from->position;
    st->expires_s = caller->expires_s;
    st->opened_us = st->wrote_us = clock_mono_us();
    st->life_us =
        (int64_t)STREAM_LIFE_S * 1000000 / 2 + (int64_t)randombytes_uniform(STREAM_LIFE_S / 2) * 1000000;
    memcpy(st->key_id, caller->key_id, sizeof(st->key_id));
    snprintf(st->agent, sizeof(st->agent), "%s", from->agent);
    o->n++;
    s->n++;
    h2o_linklist_insert(&s->all, &st->in_all);
    h2o_linklist_insert(&s->buckets[st->hash % STREAM_BUCKETS], &st->in_bucket);
    counter_add(&s->worker->counters, streams_opened, 1);
    return st;
}

/* False: answered. */
static bool has_room(struct streams *s, struct api_request *r)
{
    const struct options *o = r->ctl->options;
    const struct stream_org *mine = streams_org(s, r->caller.org);
    const char *detail = NULL;

    if (s->ended)
        detail = "this controller is stopping; connect again";
    else if (s->n >= (size_t)o->max_streams)
        detail = "there are as many streams as may be; try again soon";
    else if (o->max_org_streams > 0 && mine != NULL && mine->n >= (size_t)o->max_org_streams)
        detail = "the org has as many streams as it may have; try again soon";
    if (detail == NULL)
        return true;
    counter_add(&s->worker->counters, streams_refused, 1);
    api_header(r, "retry-after", "5");
    api_problem(r, 503, "overloaded", detail);
    return false;
}

void streams_open(struct streams *s, struct api_request *r, const struct stream_start *from)
{
    struct stream *st;

    make_room(s, outbox_agent_hash(r->caller.org, from->agent), r->caller.org, from->agent);
    if (!has_room(s, r))
        return;
    st = stream_new(s, &r->caller, from);
    if (st == NULL)
        api_problem(r, 503, "overloaded", "out of memory; try again soon");
    else
        stream_answer(st, r);
}

/* ---- news ---- */

static void hear(struct outbox_listener *l, const struct outbox_news *n)
{
    struct streams *s = H2O_STRUCT_FROM_MEMBER(struct streams, listener, l);
    bool send;

    pthread_mutex_lock(&s->lock);
    outbox_news_merge(&s->news, n);
    send = !s->sent;
    s->sent = true;
    pthread_mutex_unlock(&s->lock);
    if (send)
        h2o_multithread_send_message(&s->receiver, &s->message);
}

static void want_agent(struct streams *s, uint64_t hash)
{
    h2o_linklist_t *bucket = &s->buckets[hash % STREAM_BUCKETS];

    for (h2o_linklist_t *at = bucket->next; at != bucket; at = at->next) {
        struct stream *st = H2O_STRUCT_FROM_MEMBER(struct stream, in_bucket, at);
        if (st->hash == hash)
            stream_want(st);
    }
}

static void on_news(h2o_multithread_receiver_t *receiver, h2o_linklist_t *messages)
{
    struct streams *s = H2O_STRUCT_FROM_MEMBER(struct streams, receiver, receiver);
    struct outbox_news news;

    while (!h2o_linklist_is_empty(messages))
        h2o_linklist_unlink(messages->next);
    pthread_mutex_lock(&s->lock);
    news = s->news;
    s->news.n = 0;
    s->news.all = s->sent = false;
    pthread_mutex_unlock(&s->lock);
    for (size_t i = 0; i < news.n; i++)
        want_agent(s, news.agents[i]);
    if (news.all) {
        s->to_check = s->n;
        streams_check(s);
    }
    streams_read(s);
}

/* ---- time ---- */

/* Why this one may not go on; NULL: it may. */
static const char *reason_to_end(const struct streams *s, const struct stream *st, int64_t now_us,
                                 int64_t unix_s, bool revoked_changed)
{
    if (st->expires_s != 0 && unix_s >= st->expires_s)
        return "expired";
    if (revoked_changed && auth_is_revoked(s->revoked->data, st->key_id, st->org->org))
        return "revoked";
    return now_us - st->opened_us >= st->life_us ? "age" : NULL;
}

/* Holds the newest of a slot; true where it is another one than before. */
static bool renew(struct snapshot **held, struct snapshot_slot *slot)
{
    struct snapshot *now = snapshot_acquire(slot), *before = *held;

    *held = now;
    snapshot_release(before);
    return now != NULL && now != before;
}

static void sweep_one(struct streams *s, struct stream *st, int64_t now_us, const char *why)
{
    if (st->writing && now_us - st->wrote_us >= s->keepalive_us && st->sock != NULL) {
        counter_add(&s->worker->counters, streams_stalled, 1);
        stream_close(st);
    } else if (why != NULL && st->ending == NULL) {
        stream_end(st, why);
    } else {
        stream_comment(st, now_us);
    }
}

static void sweep(struct streams *s, int64_t now_us)
{
    struct worker *w = s->worker;
    bool had_keys = s->keys != NULL;
    bool keys_changed = renew(&s->keys, &w->ctl->slots[SNAPSHOT_KEYS]) && had_keys;
    bool revoked_changed = renew(&s->revoked, &w->ctl->slots[SNAPSHOT_AUTH]);
    int64_t unix_s = controller_unix_us(w->ctl) / 1000000;
    h2o_linklist_t *at = s->all.next, *next;

    for (; at != &s->all; at = next) {
        struct stream *st = H2O_STRUCT_FROM_MEMBER(struct stream, in_all, at);
        const char *why = keys_changed ? "keys" : reason_to_end(s, st, now_us, unix_s, revoked_changed);
        next = at->next; /* it may end here */
        sweep_one(s, st, now_us, why);
    }
}

void streams_turn(struct streams *s, int64_t now_us)
{
    size_t share = (s->n * (size_t)STREAM_SWEEP_US + STREAM_CHECK_US - 1) / STREAM_CHECK_US;

    if (now_us < s->sweep_at_us)
        return;
    s->sweep_at_us = now_us + STREAM_SWEEP_US;
    sweep(s, now_us);
    s->to_check = s->to_check > share ? s->to_check : share;
    streams_check(s);
    streams_read(s);
}

/* ---- the whole ---- */

int streams_new(struct streams **out, struct worker *w, h2o_multithread_queue_t *queue)
{
    struct streams *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return -ENOMEM;
    s->worker = w;
    s->queue = queue;
    s->keepalive_us = w->ctl->options->stream_keepalive_s * 1000000;
    h2o_linklist_init_anchor(&s->all);
    h2o_linklist_init_anchor(&s->turns);
    for (size_t i = 0; i < STREAM_BUCKETS; i++)
        h2o_linklist_init_anchor(&s->buckets[i]);
    for (size_t i = 0; i < STREAM_ORG_BUCKETS; i++)
        h2o_linklist_init_anchor(&s->orgs[i]);
    pthread_mutex_init(&s->lock, NULL);
    h2o_multithread_register_receiver(queue, &s->receiver, on_news);
    s->listener.hear = hear;
    outbox_board_join(w->ctl->outbox, &s->listener);
    *out = s;
    return 0;
}

void streams_end(struct streams *s)
{
    h2o_linklist_t *at, *next;

    if (s->ended)
        return;
    s->ended = true;
    for (at = s->all.next; at != &s->all; at = next) {
        struct stream *st = H2O_STRUCT_FROM_MEMBER(struct stream, in_all, at);
        next = at->next;
        if (st->ending == NULL)
            stream_end(st, "shutdown");
    }
}

void streams_close(struct streams *s)
{
    if (s == NULL)
        return;
    outbox_board_leave(s->worker->ctl->outbox, &s->listener);
    h2o_multithread_unregister_receiver(s->queue, &s->receiver);
    s->ended = true;
    while (!h2o_linklist_is_empty(&s->all))
        stream_close(H2O_STRUCT_FROM_MEMBER(struct stream, in_all, s->all.next));
}

void streams_destroy(struct streams *s)
{
    if (s == NULL)
        return;
    snapshot_release(s->keys);
    snapshot_release(s->revoked);
    pthread_mutex_destroy(&s->lock);
    free(s);
}
