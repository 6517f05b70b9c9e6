/* Which meetings are decided on again, and when. Invariant: a meeting waits once, however many reasons there are;
 * and however many people a node has, its meetings are decided one by one, a few at a time. */
#include "reviews.h"

#include "api_meetings.h"
#include "catalogue.h"
#include "join_run.h"
#include "lost_nodes.h"
#include "sys/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct waiting {
    char org[ORG_ID_MAX + 1];
    char meeting[MEETING_ID_MAX + 1];
};

struct reported {
    char org[ORG_ID_MAX + 1];
    char agent[AGENT_ID_MAX + 1];
};

/* One under way. */
struct review {
    struct join_run run; /* first: its end leads back here */
    struct reviews *all;
    struct waiting of;
    bool busy;
};

struct reviews {
    struct worker *worker;
    bool closed;
    bool claiming, asking; /* a batch is under way */
    bool found;            /* the last claim found something: there may be more */
    int64_t began_us, claim_us, ask_us;
    size_t lost_at;  /* where the next search for nodes that can't serve begins */
    size_t first, n; /* of the ring */
    size_t n_reported;
    struct waiting ring[REVIEWS_MAX];
    struct reported reported[REVIEWS_REPORTS_MAX];
    struct review running[REVIEWS_AT_ONCE];
};

int reviews_new(struct reviews **out, struct worker *w)
{
    struct reviews *all = calloc(1, sizeof(*all));

    if (all == NULL)
        return -ENOMEM;
    all->worker = w;
    all->began_us = clock_mono_us();
    *out = all;
    return 0;
}

void reviews_close(struct reviews *all)
{
    if (all == NULL)
        return;
    all->closed = true;
    for (size_t i = 0; i < REVIEWS_AT_ONCE; i++) {
        if (all->running[i].busy)
            join_run_drop(&all->running[i].run);
        all->running[i].busy = false;
    }
}

void reviews_destroy(struct reviews *all)
{
    free(all);
}

/* ---- the list ---- */

static bool same(const struct waiting *a, const char *org, const char *meeting)
{
    return strcmp(a->meeting, meeting) == 0 && strcmp(a->org, org) == 0;
}

void reviews_add(struct reviews *all, const char *org, const char *meeting)
{
    struct waiting *to;

    for (size_t k = 0; k < all->n; k++) {
        if (same(&all->ring[(all->first + k) % REVIEWS_MAX], org, meeting))
            return;
    }
    if (all->n == REVIEWS_MAX) {
        counter_add(&all->worker->counters, reviews_left_out, 1);
        return;
    }
    to = &all->ring[(all->first + all->n++) % REVIEWS_MAX];
    snprintf(to->org, sizeof(to->org), "%s", org);
    snprintf(to->meeting, sizeof(to->meeting), "%s", meeting);
}

static void add_rows(struct reviews *all, const struct db_result *result)
{
    for (int row = 0; row < PQntuples(result->res[0]); row++)
        reviews_add(all, db_get(result->res[0], row, 0), db_get(result->res[0], row, 1));
}

/* ---- deciding ---- */

static void done(struct join_run *run, const struct join_end *end)
{
    struct review *v = (struct review *)run;
    struct worker *w = v->all->worker;

    v->busy = false;
    if (end->failed == NULL && end->code == NULL) {
        if (end->moved > 0)
            counter_add(&w->counters, reviews_moved, 1);
        else
            counter_add(&w->counters, reviews_same, 1);
        return;
    }
    counter_add(&w->counters, reviews_failed, 1);
    log_event(w->ctl->log, LOG_DEBUG, "reviews", "not_decided", LOG_S("org", v->of.org),
              LOG_S("meeting", v->of.meeting),
              LOG_S("code", end->code != NULL ? end->code : end->failed->sqlstate));
}

static void start(struct reviews *all, struct review *v, int64_t now)
{
    memset(v, 0, sizeof(*v));
    v->of = all->ring[all->first];
    all->first = (all->first + 1) % REVIEWS_MAX;
    all->n--;
    v->all = all;
    v->busy = true;
    v->run.worker = all->worker;
    v->run.ask = (struct join_ask){.org = v->of.org, .meeting = v->of.meeting, .capabilities = -1};
    v->run.started_us = now;
    v->run.deadline_us = now + REVIEWS_DEADLINE_US;
    v->run.done = done;
    join_run_start(&v->run);
}

/* ---- who has measured ---- */

void reviews_reported(struct reviews *all, const char *org, const char *agent)
{
    struct reported *to = &all->reported[all->n_reported];

    if (all->n_reported == REVIEWS_REPORTS_MAX) {
        counter_add(&all->worker->counters, reviews_left_out, 1);
        return;
    }
    snprintf(to->org, sizeof(to->org), "%s", org);
    snprintf(to->agent, sizeof(to->agent), "%s", agent);
    all->n_reported++;
}

static const struct db_stmt meetings_stmt = {
    "review_meetings", "select org, meeting from review_meetings($1::text[], $2::text[])"};

static void asked(void *ctx, const struct db_result *result)
{
    struct reviews *all = ctx;

    all->asking = false;
    if (!all->closed && result->error == 0)
        add_rows(all, result);
}

static void ask_meetings(struct reviews *all, int64_t now)
{
    const char *org[REVIEWS_REPORTS_MAX], *agent[REVIEWS_REPORTS_MAX];
    h2o_mem_pool_t pool;
    struct db_batch *b;

    all->ask_us = now + REVIEWS_TURN_US;
    if (db_begin(all->worker->db, DB_OPERATOR, NULL, now + REVIEWS_DEADLINE_US, &b) != 0)
        return;
    for (size_t i = 0; i < all->n_reported; i++) {
        org[i] = all->reported[i].org;
        agent[i] = all->reported[i].agent;
    }
    h2o_mem_init_pool(&pool);
    const struct db_param p[] = {db_text_array(&pool, org, all->n_reported),
                                 db_text_array(&pool, agent, all->n_reported)};
    db_add(b, &meetings_stmt, p, 2);
    h2o_mem_clear_pool(&pool);
    all->n_reported = 0;
    all->asking = db_send(b, asked, all) == 0;
}

/* ---- nodes that can't serve any longer ---- */

static const struct db_stmt claim_stmt = {
    "review_claim", "select org, meeting from review_claim($1::text[], $2::text[], $3::bigint)"};

static void claimed(void *ctx, const struct db_result *result)
{
    struct reviews *all = ctx;

    all->claiming = false;
    if (all->closed || result->error != 0)
        return;
    all->found = PQntuples(result->res[0]) > 0;
    if (all->found)
        all->claim_us = clock_mono_us() + REVIEWS_TURN_US;
    add_rows(all, result);
}

static void claim(struct reviews *all, const struct lost_nodes *lost, int64_t now)
{
    h2o_mem_pool_t pool;
    struct db_batch *b;
    char most[24];

    if (db_begin(all->worker->db, DB_OPERATOR, NULL, now + REVIEWS_DEADLINE_US, &b) != 0)
        return;
    h2o_mem_init_pool(&pool);
    const struct db_param p[] = {db_text_array(&pool, lost->org, lost->n),
                                 db_text_array(&pool, lost->node, lost->n),
                                 db_i64(most, REVIEWS_CLAIMED_MAX)};
    db_add(b, &claim_stmt, p, 3);
    h2o_mem_clear_pool(&pool);
    all->claiming = db_send(b, claimed, all) == 0;
}

/* A node that is drained is seen with the next catalogue; what is left of its meetings comes turn by turn. */
static void look_for_lost(struct reviews *all, int64_t now)
{
    struct snapshot *s = snapshot_acquire(&all->worker->ctl->slots[SNAPSHOT_CATALOGUE]);
    struct lost_nodes lost = {0};

    all->claim_us = now + REVIEWS_IDLE_US;
    if (s != NULL)
        lost_nodes_find(s->data, now - all->began_us >= CATALOGUE_HEALTHY_US, all->lost_at, &lost);
    all->lost_at = lost.next;
    if (lost.n > 0)
        claim(all, &lost, now);
    snapshot_release(s);
}

bool reviews_hurry(const struct reviews *all)
{
    return all != NULL && !all->closed && (all->n > 0 || all->n_reported > 0 || all->found);
}

void reviews_turn(struct reviews *all, int64_t now)
{
    if (all == NULL || all->closed)
        return;
    if (all->n_reported > 0 && !all->asking && now >= all->ask_us)
        ask_meetings(all, now);
    if (all->worker->index == 0 && !all->claiming && all->n < REVIEWS_CLAIMED_MAX && now >= all->claim_us)
        look_for_lost(all, now);
    for (size_t i = 0; i < REVIEWS_AT_ONCE && all->n > 0; i++) {
        if (!all->running[i].busy)
            start(all, &all->running[i], now);
    }
}
