/* The thread of dialled links: its orders, what homes have for it, its loop. Invariant: the thread alone touches
 * links and poller; new orders come, and counts are shown, under the lock. */
#include "dialer_internal.h"
#include "sys/clock.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CELLS_A_TURN = 4096,
    GIVE_WAY_US = 300 * 1000,    /* who isn't to dial leaves the other so long to do it */
    STANDS_US = 5 * 1000 * 1000, /* an accepted link counts so long after its home has told of it */
};

/* ---- from the homes ---- */

static struct dial *dial_of(const struct dialer *d, uint64_t stream)
{
    size_t slot = stream & ((1 << DIAL_SLOT_BITS) - 1);
    struct dial *x = slot < LINKS_ORDERS_MAX ? d->dials[slot] : NULL;
    return x && x->io && x->path.stream == stream ? x : NULL;
}

static struct dial *find(const struct dialer *d, uint64_t id)
{
    for (size_t i = 0; i < d->n_slots; i++)
        if (d->dials[i] && d->dials[i]->id == id)
            return d->dials[i];
    return NULL;
}

/* The other node's link is there. One that this node has shaken hands for, and is to dial, decides at the homes which stays. */
static void give_way(struct dialer *d, uint64_t id)
{
    struct dial *x = find(d, id);
    if (!x)
        return;
    x->stands_until_us = clock_mono_us() + STANDS_US;
    if (x->io && (!x->order.peer.dial || !ladder_io_leg(x->io)))
        dial_drop(x, "the other node has dialled", false);
}

static void dial_again(const struct dialer *d, uint64_t id)
{
    struct dial *x = find(d, id);
    if (!x)
        return;
    x->stands_until_us = 0;
    x->due_us = clock_mono_us() + (x->order.peer.dial ? 0 : GIVE_WAY_US);
}

static void take_cell(struct dialer *d, const struct media_cell *c)
{
    struct dial *x = dial_of(d, c->path.stream);
    if (c->kind == MEDIA_CELL_SEND) {
        dial_batch_add(d, x, c);
        return;
    }
    dial_batch_flush(d);
    switch ((enum media_cell_kind)c->kind) {
    case MEDIA_CELL_ATTACH:
        if (x)
            x->held_us = clock_mono_us();
        return;
    case MEDIA_CELL_DETACH:
        if (x)
            dial_drop(x, media_end_reason_name((enum media_end_reason)c->reason), true);
        return;
    case MEDIA_CELL_STANDS:
        give_way(d, c->path.stream);
        return;
    case MEDIA_CELL_FELL:
        dial_again(d, c->path.stream);
        return;
    default:
        return; /* a home's */
    }
}

static void on_bell(void *user, unsigned events)
{
    struct dialer *d = user;
    struct media_bell *bell = media_exchange_bell(d->opts.exchange, d->self);
    const size_t share = (size_t)CELLS_A_TURN / d->self;
    bool more = false;
    (void)events;
    media_bell_hear(bell);
    for (size_t from = 0; from < d->self; from++) {
        struct media_ring *ring = media_exchange_ring(d->opts.exchange, (uint8_t)from, d->self);
        struct media_cell *c;
        size_t n = 0;
        for (; n < share && (c = media_ring_peek(ring)); n++) {
            take_cell(d, c);
            media_ring_pop(ring);
        }
        more = more || n == share;
    }
    dial_batch_flush(d);
    if (more) /* connections have their turn first */
        media_bell_ring(bell);
}

/* ---- orders ---- */

static void forget(struct dialer *d, size_t slot)
{
    sodium_memzero(d->dials[slot], sizeof(*d->dials[slot]));
    free(d->dials[slot]);
    d->dials[slot] = NULL;
    while (d->n_slots > 0 && !d->dials[d->n_slots - 1])
        d->n_slots--;
}

/* Its home hears of it, too: what isn't ordered may well be planned. Until its ring has taken that, it isn't forgotten. */
static void leave(struct dialer *d, size_t slot)
{
    struct dial *x = d->dials[slot];
    dial_drop(x, "not ordered any more", false);
    x->wanted = false;
    if (x->gone == 0)
        forget(d, slot);
}

static void add(struct dialer *d, uint64_t id, const struct link_order *o)
{
    size_t slot = 0;
    while (slot < LINKS_ORDERS_MAX && d->dials[slot])
        slot++;
    struct dial *x = slot < LINKS_ORDERS_MAX ? calloc(1, sizeof(*x)) : NULL;
    if (!x)
        return; /* it comes with the next answer, if anything does */
    x->id = id;
    x->order = *o;
    x->dialer = d;
    x->wanted = true;
    x->home = media_home_of(o->org, o->meeting, d->self);
    x->backoff = (struct backoff){.first_us = DIAL_FIRST_US, .most_us = DIAL_MOST_US};
    x->due_us = clock_mono_us() + (o->peer.dial ? 0 : GIVE_WAY_US);
    d->dials[slot] = x;
    if (slot == d->n_slots)
        d->n_slots++;
}

static void renew(struct dialer *d, struct dial *x, const struct link_order *o)
{
    bool other = memcmp(x->order.peer.shared, o->peer.shared, sizeof(o->peer.shared)) != 0;
    bool fresh = strcmp(x->order.grant.username, o->grant.username) != 0;
    x->order = *o;
    x->wanted = true;
    if (other)
        dial_drop(x, "the other node has started again", false);
    if (x->io && ladder_io_leg(x->io))
        media_leg_set_grant(ladder_io_leg(x->io), &o->grant);
    if (other || (fresh && !x->io)) {
        backoff_reset(&x->backoff);
        x->due_us = clock_mono_us();
    }
}

static uint64_t order_id(const struct link_order *o)
{
    return media_plan_link_id(o->org, o->meeting, o->peer.who);
}

static void show_left_out(struct dialer *d, const struct links_left_out *now)
{
    const struct links_left_out before = d->counts.left_out;
    d->counts.left_out = *now;
    if (now->meetings > before.meetings || now->peers > before.peers || now->links > before.links)
        log_event(d->opts.log, LOG_WARN, "links", "links_left_out", LOG_I("meetings", now->meetings),
                  LOG_I("peers", now->peers), LOG_I("links", now->links),
                  LOG_S("hint", "participants on nodes that aren't linked don't hear each other: spread "
                                "the meetings over more nodes"));
}

void dialer_take_orders(struct dialer *d)
{
    pthread_mutex_lock(&d->lock);
    struct link_orders *o = d->orders;
    d->orders = NULL;
    pthread_mutex_unlock(&d->lock);
    if (!o)
        return;
    for (size_t i = 0; i < d->n_slots; i++)
        if (d->dials[i])
            d->dials[i]->wanted = false;
    for (size_t i = 0; i < o->n; i++) {
        struct dial *x = find(d, order_id(&o->at[i]));
        if (x)
            renew(d, x, &o->at[i]);
    }
    for (size_t i = d->n_slots; i-- > 0;)
        if (d->dials[i] && !d->dials[i]->wanted)
            leave(d, i);
    for (size_t i = 0; i < o->n; i++) /* where there is room now */
        if (!find(d, order_id(&o->at[i])))
            add(d, order_id(&o->at[i]), &o->at[i]);
    show_left_out(d, &o->left_out);
    link_orders_free(o);
}

/* ---- the thread ---- */

static void ring_bells(struct dialer *d)
{
    for (size_t i = 0; i < d->self; i++) {
        if (d->ringing[i])
            media_bell_ring(media_exchange_bell(d->opts.exchange, (uint8_t)i));
        d->ringing[i] = false;
    }
}

static void count(struct dialer *d)
{
    struct dialer_counts c = d->counts;
    c.wanted = 0;
    memset(c.links, 0, sizeof(c.links));
    for (size_t i = 0; i < d->n_slots; i++) {
        const struct dial *x = d->dials[i];
        if (!x || !x->wanted)
            continue;
        c.wanted++;
        if (x->n_keys > 0)
            c.links[dial_transport(x)]++;
    }
    pthread_mutex_lock(&d->lock);
    d->shown = c;
    pthread_mutex_unlock(&d->lock);
}

int64_t dialer_step_one(struct dialer *d, size_t slot, int64_t now_us)
{
    struct dial *x = d->dials[slot];
    if (x->wanted)
        return dial_step(x, slot, now_us);
    if (!dial_tell_gone(d, x))
        return now_us + DIAL_RETRY_US;
    forget(d, slot);
    return INT64_MAX;
}

/* Does what is due; when to come again. */
static int64_t step(struct dialer *d)
{
    int64_t due = INT64_MAX, now = clock_mono_us();
    dialer_take_orders(d);
    for (size_t i = 0; i < d->n_slots; i++) {
        int64_t at = d->dials[i] ? dialer_step_one(d, i, now) : INT64_MAX;
        due = at < due ? at : due;
    }
    curl_loop_step(d->curl, clock_mono_us());
    int64_t at = curl_loop_deadline(d->curl);
    ring_bells(d);
    return at < due ? at : due;
}

static void on_wakeup(void *user, unsigned events)
{
    (void)events;
    sys_wakeup_clear(((struct dialer *)user)->wakeup_fd);
}

static void run(void *arg)
{
    struct dialer *d = arg;
    while (!atomic_load(&d->stop)) {
        int64_t due = step(d), now = clock_mono_us();
        count(d);
        sys_wait(sys_poller_fd(d->poller), due == INT64_MAX ? -1 : due > now ? due - now : 0);
        int rc = sys_poller_dispatch(d->poller);
        if (rc < 0)
            log_event(d->opts.log, LOG_ERROR, "links", "poll_failed", LOG_S("error", strerror(-rc)));
    }
    for (size_t i = d->n_slots; i-- > 0;)
        if (d->dials[i]) {
            dial_drop(d->dials[i], "node_stopped", true); /* so are the homes */
            forget(d, i);
        }
}

/* ---- the face ---- */

void dialer_destroy(struct dialer *d)
{
    if (!d)
        return;
    if (d->poller) {
        sys_watch_remove(d->poller, &d->wakeup);
        sys_watch_remove(d->poller, &d->bell);
        curl_loop_destroy(d->curl);
    }
    sys_poller_destroy(d->poller);
    sys_close(d->wakeup_fd);
    SSL_CTX_free(d->tls);
    link_orders_free(d->orders);
    control_proxy_wipe(&d->proxy);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

static int make(struct dialer *d)
{
    char err[TLS_ERROR_TEXT];
    int bell_fd = media_exchange_bell(d->opts.exchange, d->self)->fd;
    d->wakeup_fd = sys_wakeup_open();
    int rc = d->wakeup_fd < 0 ? d->wakeup_fd : tls_client_ctx_new(&d->tls, d->opts.ca, err);
    if (rc == 0)
        rc = sys_poller_new(&d->poller);
    if (rc == 0)
        rc = curl_loop_new(&d->curl, d->poller);
    if (rc == 0)
        rc = sys_watch_add(d->poller, &d->wakeup, d->wakeup_fd, SYS_READ, on_wakeup, d);
    if (rc == 0)
        rc = sys_watch_add(d->poller, &d->bell, bell_fd, SYS_READ, on_bell, d);
    return rc;
}

int dialer_start(struct dialer **out, const struct dialer_opts *opts)
{
    struct dialer *d = calloc(1, sizeof(*d));
    if (!d)
        return -ENOMEM;
    d->opts = *opts;
    d->opts.proxy = NULL; /* a copy of our own */
    if (opts->proxy)
        d->proxy = *opts->proxy;
    d->self = (uint8_t)media_exchange_opts(opts->exchange)->threads;
    pthread_mutex_init(&d->lock, NULL);
    int rc = make(d);
    if (rc == 0)
        rc = sys_thread_start(&d->thread, run, d);
    if (rc != 0) {
        dialer_destroy(d);
        return rc;
    }
    *out = d;
    return 0;
}

void dialer_update(struct dialer *d, struct link_orders *orders)
{
    pthread_mutex_lock(&d->lock);
    struct link_orders *old = d->orders;
    d->orders = orders;
    pthread_mutex_unlock(&d->lock);
    link_orders_free(old);
    sys_wakeup_signal(d->wakeup_fd);
}

void dialer_stop(struct dialer *d)
{
    if (!d || !d->thread)
        return;
    atomic_store(&d->stop, true);
    sys_wakeup_signal(d->wakeup_fd);
    sys_thread_join(d->thread);
    d->thread = NULL;
}

/* ---- read by others ---- */

struct dialer_counts dialer_read(struct dialer *d)
{
    pthread_mutex_lock(&d->lock);
    struct dialer_counts c = d->shown;
    pthread_mutex_unlock(&d->lock);
    return c;
}

const struct node_stats *dialer_stats(const struct dialer *d)
{
    return &d->stats;
}

void dialer_metrics(const struct dialer_counts *c, struct metrics_text *m)
{
    static const char dials[] = "berth_node_link_dials_total";
    metrics_family(m, "berth_node_links_planned", METRIC_GAUGE,
                   "Links to other nodes that this one is to dial, or may");
    metrics_sample(m, "berth_node_links_planned", "", (double)c->wanted);
    metrics_family(m, "berth_node_links", METRIC_GAUGE,
                   "Links that this node has dialled, by what they run over");
    for (int t = 0; t < TRANSPORT_COUNT; t++) {
        char labels[32];
        snprintf(labels, sizeof(labels), "transport=\"%s\"", transport_name((enum transport)t));
        metrics_sample(m, "berth_node_links", labels, (double)c->links[t]);
    }
    metrics_family(m, "berth_node_links_left_out", METRIC_GAUGE,
                   "Joined meetings, their nodes and links to these that this node has no room for");
    metrics_sample(m, "berth_node_links_left_out", "of=\"meetings\"", (double)c->left_out.meetings);
    metrics_sample(m, "berth_node_links_left_out", "of=\"peers\"", (double)c->left_out.peers);
    metrics_sample(m, "berth_node_links_left_out", "of=\"links\"", (double)c->left_out.links);
    metrics_family(m, dials, METRIC_COUNTER, "Links dialled, by outcome");
#define X(field, labels) metrics_sample(m, dials, labels, (double)c->field);
    DIALER_RESULTS(X)
#undef X
    metrics_family(m, "berth_node_links_lost_total", METRIC_COUNTER, "Dialled links that were up and fell");
    metrics_sample(m, "berth_node_links_lost_total", "", (double)c->lost);
}
