/* The prober's thread. Invariant: a probe works on a copy of what the table says of its peer, so the list may change
 * at any time; the thread alone touches probes and poller, the table is touched under the lock alone. */
#include "peers.h"

#include "probe/probe_io.h"
#include "sys/clock.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    PROBES_MAX = 16, /* at once; a peer that doesn't answer holds one for two or three seconds */
    PROBE_SAMPLES = 4,
    PROBE_SPACING_MS = 100,
    PROBE_TIMEOUT_MS = 1500,
    PROBE_BUDGET_MS = 5000,
    PROBE_PACE_PER_S = 100,
};

/* One peer being probed. */
struct probe {
    struct probe_io *io; /* NULL: free */
    struct node_entry entry;
    enum transport transport;
    struct prober_target_spec target;
};

struct peers {
    struct sys_thread *thread;
    struct sys_poller *poller;
    struct sys_watch wakeup;
    int wakeup_fd;
    SSL_CTX *tls;
    struct log *log;
    struct probe probes[PROBES_MAX];
    _Atomic bool stop;
    pthread_mutex_t lock; /* of what follows */
    struct peer_table table;
};

/* ---- one probe ---- */

static int begin(struct peers *p, struct probe *b)
{
    struct prober_plan plan = {.targets = &b->target, .n_targets = 1};
    probe_policy_init(&plan.policy);
    plan.policy.samples = PROBE_SAMPLES;
    plan.policy.spacing_ms = PROBE_SPACING_MS;
    plan.policy.timeout_ms = PROBE_TIMEOUT_MS;
    plan.policy.node_budget_ms = plan.policy.budget_ms = PROBE_BUDGET_MS;
    plan.policy.pace_per_s = PROBE_PACE_PER_S;
    b->target = (struct prober_target_spec){.transport = b->transport,
                                            .addrs = b->entry.addresses.at[b->transport],
                                            .n_addrs = b->entry.addresses.n[b->transport],
                                            .tls_name = b->entry.tls_name,
                                            .keys = &b->entry.tls_spki};
    randombytes_buf(plan.seed, sizeof(plan.seed));
    int rc = probe_io_new(&b->io, p->poller, p->tls, &plan);
    sodium_memzero(plan.seed, sizeof(plan.seed));
    return rc;
}

static void end(struct peers *p, struct probe *b)
{
    struct probe_result r;
    char error[PROBER_ERROR_TEXT];
    prober_result(probe_io_prober(b->io), 0, &r, error);
    bool ok = r.status == PROBE_REACHABLE && r.rtt_min_us != NOT_MEASURED && !r.tls_intercepted;
    pthread_mutex_lock(&p->lock);
    bool turned = ok ? peer_table_measured(&p->table, &b->entry, r.rtt_min_us, clock_mono_us())
                     : peer_table_failed(&p->table, &b->entry, b->transport);
    pthread_mutex_unlock(&p->lock);
    if (!ok)
        log_event(p->log, LOG_DEBUG, "peers", "no_round_trip", LOG_S("node", b->entry.node),
                  LOG_S("transport", transport_name(b->transport)),
                  LOG_S("status", probe_status_name(r.status)), LOG_S("error", error));
    if (turned && ok)
        log_event(p->log, LOG_INFO, "peers", "peer_reachable_again", LOG_S("node", b->entry.node));
    else if (turned)
        log_event(p->log, LOG_WARN, "peers", "peer_unreachable", LOG_S("node", b->entry.node),
                  LOG_S("last_status", probe_status_name(r.status)),
                  LOG_S("hint", "it answers over none of its transports: if it runs, look at the firewalls "
                                "between the two"));
    probe_io_destroy(b->io);
    b->io = NULL;
}

/* ---- the thread ---- */

static struct probe *free_probe(struct peers *p)
{
    for (size_t i = 0; i < PROBES_MAX; i++)
        if (!p->probes[i].io)
            return &p->probes[i];
    return NULL;
}

/* Takes the turn of one peer; false: it is nobody's. */
static bool take_turn(struct peers *p, struct probe *b)
{
    pthread_mutex_lock(&p->lock);
    size_t i = peer_table_next(&p->table, clock_mono_us());
    if (i != PEER_NONE) {
        b->entry = p->table.at[i].entry;
        b->transport = p->table.at[i].transport;
    }
    pthread_mutex_unlock(&p->lock);
    return i != PEER_NONE;
}

static int64_t table_deadline(struct peers *p)
{
    pthread_mutex_lock(&p->lock);
    int64_t due = peer_table_deadline(&p->table);
    pthread_mutex_unlock(&p->lock);
    return due;
}

/* Does what is due; when to come again. */
static int64_t step(struct peers *p)
{
    struct probe *b = free_probe(p);
    if (b && take_turn(p, b) && begin(p, b) != 0)
        log_event(p->log, LOG_WARN, "peers", "probe_failed", LOG_S("node", b->entry.node),
                  LOG_S("error", "no memory or descriptors"));
    int64_t due = free_probe(p) ? table_deadline(p) : INT64_MAX;
    for (size_t i = 0; i < PROBES_MAX; i++) {
        b = &p->probes[i];
        if (!b->io)
            continue;
        probe_io_step(b->io);
        int64_t at = probe_io_deadline(b->io);
        if (prober_done(probe_io_prober(b->io))) {
            end(p, b);
            at = 0; /* a probe is free again */
        }
        due = at < due ? at : due;
    }
    return due;
}

static void on_wakeup(void *user, unsigned events)
{
    sys_wakeup_clear(((struct peers *)user)->wakeup_fd);
}

static void run(void *arg)
{
    struct peers *p = arg;
    while (!atomic_load(&p->stop)) {
        int64_t due = step(p), now = clock_mono_us();
        sys_wait(sys_poller_fd(p->poller), due == INT64_MAX ? -1 : due > now ? due - now : 0);
        int rc = sys_poller_dispatch(p->poller);
        if (rc < 0)
            log_event(p->log, LOG_ERROR, "peers", "poll_failed", LOG_S("error", strerror(-rc)));
    }
    for (size_t i = 0; i < PROBES_MAX; i++)
        probe_io_destroy(p->probes[i].io);
}

/* ---- the face ---- */

static void peers_free(struct peers *p)
{
    if (p->poller)
        sys_watch_remove(p->poller, &p->wakeup);
    sys_poller_destroy(p->poller);
    sys_close(p->wakeup_fd);
    SSL_CTX_free(p->tls);
    peer_table_clear(&p->table);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

int peers_start(struct peers **out, const struct peers_opts *opts)
{
    char err[TLS_ERROR_TEXT];
    struct peers *p = calloc(1, sizeof(*p));
    if (!p)
        return -ENOMEM;
    p->log = opts->log;
    pthread_mutex_init(&p->lock, NULL);
    peer_table_init(&p->table, opts->interval_us, randombytes_random(), clock_mono_us());
    p->wakeup_fd = sys_wakeup_open();
    int rc = p->wakeup_fd < 0 ? p->wakeup_fd : tls_client_ctx_new(&p->tls, opts->ca, err);
    if (rc == 0)
        rc = sys_poller_new(&p->poller);
    if (rc == 0)
        rc = sys_watch_add(p->poller, &p->wakeup, p->wakeup_fd, SYS_READ, on_wakeup, p);
    if (rc == 0)
        rc = sys_thread_start(&p->thread, run, p);
    if (rc != 0) {
        peers_free(p);
        return rc;
    }
    *out = p;
    return 0;
}

void peers_stop(struct peers *p)
{
    if (!p)
        return;
    atomic_store(&p->stop, true);
    sys_wakeup_signal(p->wakeup_fd);
    sys_thread_join(p->thread);
    peers_free(p);
}

int peers_update(struct peers *p, const char *body, size_t len)
{
    struct doc_error e;
    struct nodelist list;
    json_t *j = body ? doc_parse(body, len, &e) : NULL;
    if (!j)
        return -EBADMSG;
    int rc = nodelist_from_json(j, &list, &e);
    json_decref(j);
    if (rc != 0)
        return rc == -ENOMEM ? rc : -EBADMSG;
    pthread_mutex_lock(&p->lock);
    rc = peer_table_update(&p->table, &list);
    pthread_mutex_unlock(&p->lock);
    nodelist_clear(&list);
    sys_wakeup_signal(p->wakeup_fd);
    return rc;
}

size_t peers_tell(struct peers *p, struct peer_rtt out[static PEER_TELL_MAX])
{
    pthread_mutex_lock(&p->lock);
    size_t n = peer_table_tell(&p->table, out, clock_mono_us());
    pthread_mutex_unlock(&p->lock);
    return n;
}

void peers_told(struct peers *p, bool heard)
{
    pthread_mutex_lock(&p->lock);
    peer_table_told(&p->table, heard, clock_mono_us());
    pthread_mutex_unlock(&p->lock);
}

void peers_tell_all(struct peers *p)
{
    pthread_mutex_lock(&p->lock);
    peer_table_tell_all(&p->table, clock_mono_us());
    pthread_mutex_unlock(&p->lock);
}

struct peer_counts peers_counts(struct peers *p, int64_t *age_us)
{
    pthread_mutex_lock(&p->lock);
    struct peer_counts c = peer_table_counts(&p->table);
    pthread_mutex_unlock(&p->lock);
    *age_us = c.newest_us > 0 ? clock_mono_us() - c.newest_us : -1;
    return c;
}
