/* Keeping a plan. Invariant: who writes it has read nothing older than the epoch that it is kept under, and the database
 * has agreed to every node that somebody comes to. */
#include "join_keep.h"

#include "outbox.h"

#include <stdio.h>
#include <string.h>

/* Nothing is written, and nobody told, unless the epoch is the one that was read and every node still takes those who
 * come to it; nodes are asked in the order of their names, so that no two decisions wait for each other. Rows come as
 * arrays, one element a participant that moves or joins. */
static const struct db_stmt keep_stmt = {
    "join_keep",
    "with takes as materialized (select n.org, n.node, node_takes(n.org, n.node, n.more, $17::bigint) as word"
    "  from (select * from unnest($4::text[], $5::text[], $6::bigint[]) as v (org, node, more)"
    "   order by org collate \"C\", node collate \"C\" offset 0) n),"
    " won as (update meeting m set epoch = m.epoch + 1, node_org = $7, node = $8,"
    "  review_after = null, review_tries = 0"
    "  where m.org = $1 and m.id = $2 and m.epoch = $3::bigint"
    "  and not exists (select from takes where word <> 'ok') returning m.org, m.id),"
    " put as (insert into participant as p (org, meeting, agent, node_org, node, transport, ladder, network, "
    "capabilities, guessed, lease)"
    "  select won.org, won.id, v.agent, v.node_org, v.node, v.transport, v.ladder::smallint[], v.network, "
    "v.capabilities, v.guessed, case when (v.node_org, v.node) = (($4::text[])[1], ($5::text[])[1]) then "
    "$17::bigint end"
    "  from won, unnest($9::text[], $10::text[], $11::text[], $12::smallint[], $13::text[], $14::text[], "
    "$15::smallint[], $16::boolean[])"
    "   as v (agent, node_org, node, transport, ladder, network, capabilities, guessed)"
    "  on conflict (org, meeting, agent) do update set node_org = excluded.node_org, node = excluded.node,"
    "   transport = excluded.transport, ladder = excluded.ladder, network = excluded.network,"
    "   capabilities = excluded.capabilities, guessed = excluded.guessed,"
    "   lease = case when (p.node_org, p.node) = (excluded.node_org, excluded.node) then p.lease else "
    "excluded.lease end,"
    "   moved_at = case when (p.node_org, p.node) is distinct from (excluded.node_org, excluded.node)"
    "    then now() else p.moved_at end,"
    "   assigned_at = case when (p.node_org, p.node, p.transport)"
    "   is distinct from (excluded.node_org, excluded.node, excluded.transport) then now() else "
    "p.assigned_at end)"
    " select (select count(*) from won), t.org, t.node, t.word,"
    " case when (select count(*) from won) = 0 then " OUTBOX_VOID " end"
    " from (select 1) one left join takes t on t.word <> 'ok'"};

/* The same where a newcomer is all that changes, as mostly. That it isn't there yet is what the epoch says. */
static const struct db_stmt keep_newcomer_stmt = {
    "join_keep_newcomer",
    "with takes as materialized (select node_takes($4, $5, $6::bigint, $7::bigint) as word),"
    " won as (update meeting m set epoch = m.epoch + 1, node_org = $8, node = $9,"
    "  review_after = null, review_tries = 0"
    "  where m.org = $1 and m.id = $2 and m.epoch = $3::bigint and (select word from takes) = 'ok'"
    "  returning m.org, m.id),"
    " put as (insert into participant (org, meeting, agent, node_org, node, transport, ladder, network,"
    " capabilities, guessed, lease) select won.org, won.id, $10, $4, $5, $11::smallint, $12::smallint[], $13,"
    " $14::smallint, $15::boolean, $7::bigint from won)"
    " select (select count(*) from won), $4, $5, nullif(takes.word, 'ok'),"
    " case when (select count(*) from won) = 0 then " OUTBOX_VOID " end from takes"};

/* ---- its parameters ---- */

/* What both statements have: the meeting as it was read, and its node from now on. */
struct kept_meeting {
    struct db_param org, meeting, epoch, node_org, node, lease;
    char epoch_text[24], lease_text[24];
};

static void kept_meeting(struct kept_meeting *m, const struct join_scene *s, const struct join_ask *ask,
                         int64_t lease)
{
    bool common = s->plan.outcome == PLACE_COMMON;

    m->org = db_text(ask->org);
    m->meeting = db_text(ask->meeting);
    m->epoch = db_i64(m->epoch_text, s->epoch);
    m->node_org = db_text(common ? s->nodes[s->plan.node]->org : s->node_org);
    m->node = db_text(common ? s->nodes[s->plan.node]->id : s->node);
    m->lease = lease != 0 ? db_i64(m->lease_text, lease) : db_text(NULL);
}

static void add_newcomer(struct db_batch *b, const struct kept_meeting *m, const struct join_columns *c,
                         const struct join_needs *needs)
{
    const struct db_param p[] = {m->org,
                                 m->meeting,
                                 m->epoch,
                                 db_text(needs->org[0]),
                                 db_text(needs->node[0]),
                                 db_text(needs->more[0]),
                                 m->lease,
                                 m->node_org,
                                 m->node,
                                 db_text(c->agent[0]),
                                 db_text(c->transport[0]),
                                 db_text(c->ladder[0]),
                                 db_text(c->network[0]),
                                 db_text(c->capabilities[0]),
                                 db_text(c->guessed[0])};

    db_add(b, &keep_newcomer_stmt, p, sizeof(p) / sizeof(p[0]));
}

static void add_several(struct db_batch *b, struct join_scene *s, const struct kept_meeting *m,
                        const struct join_columns *c, const struct join_needs *needs)
{
    const struct db_param p[] = {
        m->org,
        m->meeting,
        m->epoch,
        db_text_array(&s->pool, needs->org, needs->n),
        db_text_array(&s->pool, needs->node, needs->n),
        db_text_array(&s->pool, needs->more, needs->n),
        m->node_org,
        m->node,
        db_text_array(&s->pool, c->agent, c->n),
        db_text_array(&s->pool, c->node_org, c->n),
        db_text_array(&s->pool, c->node, c->n),
        db_text_array(&s->pool, c->transport, c->n),
        db_text_array(&s->pool, c->ladder, c->n),
        db_text_array(&s->pool, c->network, c->n),
        db_text_array(&s->pool, c->capabilities, c->n),
        db_text_array(&s->pool, c->guessed, c->n),
        m->lease,
    };

    db_add(b, &keep_stmt, p, sizeof(p) / sizeof(p[0]));
}

/* A newcomer, and nothing else changes. */
static bool is_newcomer(const struct join_scene *s, const struct join_columns *c,
                        const struct join_needs *needs)
{
    return c->n == 1 && needs->n == 1 && s->me != PLACE_NONE && c->agent[0] == s->people[s->me].agent &&
           !s->people[s->me].stored;
}

void join_keep_add(struct db_batch *b, struct join_scene *s, const struct join_ask *ask,
                   const struct join_columns *c, const struct join_needs *needs, int64_t lease)
{
    struct kept_meeting m;

    kept_meeting(&m, s, ask, lease);
    if (is_newcomer(s, c, needs))
        add_newcomer(b, &m, c, needs);
    else
        add_several(b, s, &m, c, needs);
}

/* ---- what it answers ---- */

enum { KEPT_WON, KEPT_ORG, KEPT_NODE, KEPT_WORD }; /* the word of node_takes, where that isn't "ok" */

bool join_kept(const PGresult *res)
{
    return db_get_i64(res, 0, KEPT_WON) == 1;
}

bool join_kept_no_lease(const PGresult *res)
{
    return strcmp(db_get(res, 0, KEPT_WORD), "lease") == 0;
}

bool join_keep_correct(struct join_ask *ask, const PGresult *res)
{
    for (int row = 0; row < PQntuples(res); row++) {
        struct join_correction *c;

        if (db_null(res, row, KEPT_WORD) || strcmp(db_get(res, row, KEPT_WORD), "lease") == 0)
            continue;
        if (ask->n_corrections == JOIN_CORRECTIONS_MAX)
            return false;
        c = &ask->corrections[ask->n_corrections++];
        snprintf(c->org, sizeof(c->org), "%s", db_get(res, row, KEPT_ORG));
        snprintf(c->node, sizeof(c->node), "%s", db_get(res, row, KEPT_NODE));
        c->full = strcmp(db_get(res, row, KEPT_WORD), "full") == 0;
    }
    return true;
}
