/* Who has no live report is predicted. Invariant: a prediction is made of rows that were alive in the transaction of this look, and is
 * kept for nothing but to be compared with what the agent reports later. */
#include "join_predict.h"

#include "join_rows.h"
#include "outbox.h"
#include "pgarray.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct db_stmt predict_stmt = {
    "join_predict",
    "select source, network, agents, names, transport, tested, reached, rtt_us, spread_us"
    " from predict($1::text, $2::text[], $3::bigint, $4::bigint, $5::bigint, $6::bigint, $7::text)"};
enum {
    COL_SOURCE,
    COL_NETWORK,
    COL_AGENTS,
    COL_NAMES,
    COL_TRANSPORT,
    COL_TESTED,
    COL_REACHED,
    COL_RTT,
    COL_SPREAD
};

static const struct db_stmt keep_stmt = {
    "join_predict_keep",
    "insert into prediction (org, agent, source, node, rtt_us) select $1, $2, $3, $4, $5::int "
    "where " OUTBOX_NOT_VOID
    " on conflict (org, agent) do update set source = excluded.source, node = excluded.node,"
    " rtt_us = excluded.rtt_us, made_at = now(), looked_at = now()"};

/* ---- asking ---- */

static bool has(const struct join_predict *p, const char *network)
{
    for (size_t i = 0; i < p->n; i++) {
        if (p->networks[i] != NULL && strcmp(p->networks[i], network) == 0)
            return true;
    }
    return false;
}

static void add(struct join_predict *p, const char *network)
{
    char *name = p->names[p->n];

    p->networks[p->n++] = network != NULL ? name : NULL;
    if (network != NULL)
        snprintf(name, sizeof(p->names[0]), "%s", network);
}

bool join_predict_wanted(const struct join_scene *s, struct join_predict *p)
{
    const struct place_participant *who = s->problem.participants;

    p->newcomer = s->me != PLACE_NONE && !who[s->me].measured;
    p->n = 0;
    if (p->newcomer)
        add(p, s->network);
    for (size_t i = 0; i < s->problem.n_participants && p->n < JOIN_NETWORKS_MAX; i++) {
        const char *network = s->people[i].network;

        if (i != s->me && !who[i].measured && network != NULL && !has(p, network))
            add(p, network);
    }
    return p->n > 0;
}

void join_predict_newcomer(struct join_predict *p, const char *network)
{
    p->newcomer = true;
    p->n = 0;
    add(p, network);
}

static struct db_param net_param(char buf[static 24], int64_t net)
{
    return net != 0 ? db_i64(buf, net) : db_text(NULL);
}

void join_predict_read(struct db_batch *b, const struct join_ask *ask)
{
    const struct join_predict *p = ask->predict;
    char own4[24], own6[24], seen4[24], seen6[24];
    h2o_mem_pool_t pool;

    h2o_mem_init_pool(&pool);
    const struct db_param params[] = {
        db_text(p->newcomer ? ask->agent : NULL),
        db_text_array(&pool, p->networks, p->n),
        net_param(own4, p->own.net4),
        net_param(own6, p->own.net6),
        net_param(seen4, p->seen.net4),
        net_param(seen6, p->seen.net6),
        db_text(p->country[0] != '\0' ? p->country : NULL),
    };
    db_add(b, &predict_stmt, params, sizeof(params) / sizeof(params[0]));
    h2o_mem_clear_pool(&pool);
}

/* ---- the answer ---- */

/* Column after column. 0 or -EBADMSG. */
static int read_figures(struct join_scene *s, const PGresult *res, int row, struct predict_cell *cells,
                        size_t n)
{
    int64_t *v = join_scene_alloc(s, n, sizeof(*v));

    for (int col = COL_TRANSPORT; col <= COL_SPREAD; col++) {
        if (pgarray_ints(db_get(res, row, col), v, n) != 0)
            return -EBADMSG;
        for (size_t i = 0; i < n; i++) {
            struct predict_cell *c = &cells[i];

            if (col == COL_TRANSPORT && (v[i] < 0 || v[i] >= TRANSPORT_COUNT))
                return -EBADMSG;
            if (col == COL_TRANSPORT)
                c->transport = (enum transport)v[i];
            else
                *(col == COL_TESTED    ? &c->tested
                  : col == COL_REACHED ? &c->reached
                  : col == COL_RTT     ? &c->rtt_us
                                       : &c->spread_us) = v[i];
        }
    }
    return 0;
}

static int read_group(struct join_scene *s, const PGresult *res, int row, struct predict_group *g)
{
    struct pgarray a = pgarray_open(db_get(res, row, COL_NAMES));
    size_t cap = pgarray_most(db_get(res, row, COL_NAMES)), n = 0;
    struct predict_cell *cells = join_scene_alloc(s, cap, sizeof(*cells));
    char name[NODE_ID_MAX + 1];
    int more = 1;
    bool null;

    while (n < cap && (more = pgarray_next(&a, name, sizeof(name), &null)) == 1) {
        cells[n].node =
            join_scene_node(s, name, n > 0 && cells[n - 1].node != PLACE_NONE ? cells[n - 1].node : 0);
        n++;
    }
    if (more < 0 || predict_source_parse(db_get(res, row, COL_SOURCE), &g->source) != 0)
        return -EBADMSG;
    g->network = db_null(res, row, COL_NETWORK)
                     ? NULL
                     : h2o_strdup(&s->pool, db_get(res, row, COL_NETWORK), SIZE_MAX).base;
    g->agents = db_get_i64(res, row, COL_AGENTS);
    g->n = n;
    g->cells = cells;
    return read_figures(s, res, row, cells, n);
}

static const struct predict_group *find_group(const struct predict_group *groups, size_t n,
                                              const char *network, bool newcomer)
{
    const struct predict_group *other = NULL;

    for (size_t i = 0; i < n; i++) {
        if (groups[i].network == NULL)
            other = &groups[i];
        else if (network != NULL && strcmp(groups[i].network, network) == 0)
            return &groups[i];
    }
    return newcomer ? other : NULL;
}

int join_predict_apply(struct join_scene *s, const PGresult *res, struct place_participant *to)
{
    size_t n = (size_t)PQntuples(res);
    struct predict_group *groups = join_scene_alloc(s, n, sizeof(*groups));

    for (size_t i = 0; i < n; i++) {
        int rc = read_group(s, res, (int)i, &groups[i]);

        if (rc != 0)
            return rc;
    }
    for (size_t i = 0; i < s->problem.n_participants; i++) {
        const char *network = i == s->me ? s->network : s->people[i].network;
        const struct predict_group *g = to[i].measured ? NULL : find_group(groups, n, network, i == s->me);
        struct place_row *rows;

        if (g == NULL)
            continue;
        rows = join_scene_alloc(s, g->n, sizeof(*rows));
        to[i].n_rows = predict_rows(g, rows);
        to[i].rows = rows;
        to[i].confidence_pct = to[i].n_rows > 0 ? predict_confidence(g) : 0;
        if (to[i].n_rows > 0)
            s->people[i].prediction = g;
    }
    return 0;
}

/* ---- telling ---- */

int64_t join_predicted_rtt(const struct join_scene *s, size_t i)
{
    const struct predict_group *g = i != PLACE_NONE ? s->people[i].prediction : NULL;
    size_t node = g != NULL ? s->plan.seats[i].node : PLACE_NONE;

    return node != PLACE_NONE ? predict_rtt(g, node) : -1;
}

void join_predict_keep(struct db_batch *b, const struct join_scene *s, const struct join_ask *ask)
{
    int64_t rtt = join_predicted_rtt(s, s->me);
    char us[24];

    if (rtt < 0)
        return;
    const struct db_param p[] = {db_text(ask->org), db_text(ask->agent),
                                 db_text(predict_source_name(s->people[s->me].prediction->source)),
                                 db_text(s->nodes[s->plan.seats[s->me].node]->id), db_i64(us, rtt)};
    db_add(b, &keep_stmt, p, sizeof(p) / sizeof(p[0]));
}

static bool of_others(const struct predict_group *g)
{
    return g->source == PREDICT_OTHERS || g->source == PREDICT_COUNTRY;
}

json_t *join_predict_json(const struct join_scene *s, size_t i)
{
    const struct predict_group *g = s->people[i].prediction;
    int64_t rtt = join_predicted_rtt(s, i);
    json_t *j;

    if (g == NULL)
        return NULL;
    j = json_pack("{s:s,s:I}", "source", predict_source_name(g->source), "confidence_pct",
                  (json_int_t)predict_confidence(g));
    if (!of_others(g))
        (void)json_object_set_new(j, "agents", json_integer(g->agents));
    if (rtt >= 0)
        (void)json_object_set_new(j, "rtt_us", json_integer(rtt));
    return j;
}

void join_predict_words(const struct predict_group *g, char *out, size_t cap)
{
    static const char *const of[PREDICT_SOURCES] = {
        [PREDICT_NETWORK] = "of its network",
        [PREDICT_PREFIX] = "of its address prefix",
        [PREDICT_OTHERS] = "of its address prefix",
        [PREDICT_WIDER] = "of addresses near its own",
        [PREDICT_ORG_COUNTRY] = "of its organisation in its country",
        [PREDICT_ORG] = "of its organisation",
        [PREDICT_COUNTRY] = "of its country",
    };

    if (of_others(g))
        snprintf(out, cap, "at least five agents of other organisations %s", of[g->source]);
    else
        snprintf(out, cap, "%lld agent%s %s", (long long)g->agents, g->agents == 1 ? "" : "s", of[g->source]);
}
