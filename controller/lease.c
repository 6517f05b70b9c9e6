/* A worker's leases of seats. Invariant: no seat of a lease is handed out again unless the join that had it is known
 * to have failed; one whose end is unknown keeps it until the lease ends. */
#include "lease.h"

#include "controller.h"
#include "core/token.h"
#include "sys/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A node that is joined now and then, and its lease. */
struct lease_node {
    struct leases *all;
    char org[ORG_ID_MAX + 1], node[NODE_ID_MAX + 1]; /* "": free */
    int64_t lease, seats, left;                      /* 0: none */
    int64_t ends_us;
    int64_t used_us;   /* when it was last asked for */
    int64_t window_us; /* since when joins are counted */
    unsigned asked;    /* in this window */
    int64_t quiet_us;  /* no request before then */
    bool pending;      /* a request is under way */
};

struct leases {
    struct worker *worker;
    struct lease_node nodes[LEASE_NODES_MAX];
    size_t n_ended;
    int64_t ended[LEASE_ENDED_MAX];
    size_t n_ending; /* of them, the first ones, are in a request that is under way */
};

static const struct db_stmt take_stmt = {
    "capacity_lease_take", "select lease, lease_seats from capacity_lease_take($1, $2, $3::bigint, "
                           "$4::bigint, $5::bigint)"};
static const struct db_stmt end_stmt = {"capacity_lease_end", "select capacity_lease_end($1::bigint[])"};

int leases_new(struct leases **out, struct worker *w)
{
    struct leases *l = calloc(1, sizeof(*l));

    if (l == NULL)
        return -ENOMEM;
    l->worker = w;
    for (size_t i = 0; i < LEASE_NODES_MAX; i++)
        l->nodes[i].all = l;
    *out = l;
    return 0;
}

void leases_destroy(struct leases *l)
{
    free(l);
}

/* What is left of it goes back to the node. */
static void let_go(struct lease_node *n)
{
    struct leases *l = n->all;

    if (n->lease != 0 && l->n_ended < LEASE_ENDED_MAX)
        l->ended[l->n_ended++] = n->lease;
    n->lease = n->seats = n->left = 0;
}

/* ---- asking for one ---- */

static void taken(void *ctx, const struct db_result *result)
{
    struct lease_node *n = ctx;
    int64_t now = clock_mono_us();

    n->pending = false;
    if (result->error != 0 || PQntuples(result->res[0]) == 0) {
        n->quiet_us = now + LEASE_WINDOW_US;
        return;
    }
    let_go(n);
    n->lease = db_get_i64(result->res[0], 0, 0);
    n->seats = n->left = db_get_i64(result->res[0], 0, 1);
    n->ends_us = now + LEASE_LIFE_US;
}

static void ask(struct lease_node *n, int64_t now)
{
    char least[24], most[24], life[24];
    const struct db_param p[] = {db_text(n->org), db_text(n->node), db_i64(least, LEASE_SEATS_MIN),
                                 db_i64(most, LEASE_SEATS_MAX), db_i64(life, LEASE_LIFE_US / 1000)};
    struct db_batch *b;

    n->quiet_us = now + LEASE_WINDOW_US;
    if (db_begin(n->all->worker->db, DB_OPERATOR, NULL, now + LEASE_ASK_US, &b) != 0)
        return;
    db_add(b, &take_stmt, p, sizeof(p) / sizeof(p[0]));
    n->pending = db_send(b, taken, n) == 0;
    if (n->pending)
        n->quiet_us = 0;
}

/* ---- nodes ---- */

/* The node's place; a new one takes that of the node that was asked for longest ago. NULL: all wait for the database. */
static struct lease_node *find(struct leases *l, const char *org, const char *node)
{
    struct lease_node *oldest = NULL;

    for (size_t i = 0; i < LEASE_NODES_MAX; i++) {
        struct lease_node *n = &l->nodes[i];

        if (strcmp(n->node, node) == 0 && strcmp(n->org, org) == 0)
            return n;
        if (!n->pending && (oldest == NULL || n->used_us < oldest->used_us))
            oldest = n;
    }
    if (oldest == NULL)
        return NULL;
    let_go(oldest);
    *oldest = (struct lease_node){.all = l};
    snprintf(oldest->org, sizeof(oldest->org), "%s", org);
    snprintf(oldest->node, sizeof(oldest->node), "%s", node);
    return oldest;
}

static bool in_demand(struct lease_node *n, int64_t now)
{
    if (now - n->window_us >= LEASE_WINDOW_US) {
        n->window_us = now;
        n->asked = 0;
    }
    return ++n->asked >= LEASE_DEMAND;
}

int64_t lease_take(struct leases *l, const char *org, const char *node, int64_t seats)
{
    int64_t now = clock_mono_us();
    struct lease_node *n = seats > 0 ? find(l, org, node) : NULL;
    bool demand;

    if (n == NULL)
        return 0;
    demand = in_demand(n, now);
    n->used_us = now;
    if (n->lease != 0 && now >= n->ends_us)
        let_go(n);
    if ((n->left <= n->seats / 4 || now >= n->ends_us - LEASE_SPARE_US) && (demand || n->lease != 0) &&
        !n->pending && now >= n->quiet_us)
        ask(n, now);
    if (n->left < seats)
        return 0;
    n->left -= seats;
    return n->lease;
}

void lease_lost(struct leases *l, int64_t lease)
{
    for (size_t i = 0; i < LEASE_NODES_MAX; i++) {
        if (l->nodes[i].lease == lease)
            let_go(&l->nodes[i]);
    }
}

void lease_give_back(struct leases *l, int64_t lease, int64_t seats)
{
    for (size_t i = 0; lease != 0 && i < LEASE_NODES_MAX; i++) {
        if (l->nodes[i].lease == lease)
            l->nodes[i].left += seats;
    }
}

/* ---- giving back ---- */

/* A lease that a join still holds is tried again, and the others with it. */
static void ended(void *ctx, const struct db_result *result)
{
    struct leases *l = ctx;
    size_t n = l->n_ending;

    l->n_ending = 0;
    if (result->error != 0 || db_get_i64(result->res[0], 0, 0) < (int64_t)n)
        return;
    l->n_ended -= n;
    memmove(l->ended, l->ended + n, l->n_ended * sizeof(l->ended[0]));
}

static void give_back(struct leases *l, int64_t now)
{
    char ids[LEASE_ENDED_MAX * 21 + 3];
    size_t len = 0;
    struct db_param param;
    struct db_batch *b;

    for (size_t i = 0; i < l->n_ended; i++)
        len += (size_t)snprintf(ids + len, sizeof(ids) - len, "%c%lld", i == 0 ? '{' : ',',
                                (long long)l->ended[i]);
    memcpy(ids + len, "}", 2);
    if (db_begin(l->worker->db, DB_OPERATOR, NULL, now + LEASE_ASK_US, &b) != 0)
        return;
    param = db_text(ids);
    db_add(b, &end_stmt, &param, 1);
    if (db_send(b, ended, l) == 0)
        l->n_ending = l->n_ended;
}

void leases_turn(struct leases *l, int64_t now)
{
    for (size_t i = 0; i < LEASE_NODES_MAX; i++) {
        struct lease_node *n = &l->nodes[i];

        if (n->lease != 0 && (now - n->used_us >= LEASE_IDLE_US || now >= n->ends_us))
            let_go(n);
    }
    if (l->n_ended > 0 && l->n_ending == 0)
        give_back(l, now);
}
