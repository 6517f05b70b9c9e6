/* Reads the catalogue from the database. Invariant: a version is read before the nodes it stands for, so a copy can
 * be newer than its version says but never older. */
#include "catalogue.h"

#include "controller.h"
#include "links_build.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Deleted nodes stay known for one report lifetime: an agent may report on a list that it got before. */
static const char nodes_sql[] =
    "select org, id, cluster, region, tls_name, labels, location, services, addresses, advertised, capacity,"
    " berth_us(created_at), drain, deleted_at is not null, tls_spki, weight, capacity_kbps"
    " from node where deleted_at is null or deleted_at > now() - $1::bigint * interval '1 second'"
    " order by org, id";

/* A failure counts half as much after five minutes; an org's no more than three agents'. */
#define FAILURE_HALF_LIFE_S "300"
#define FAILURE_ORG_MOST    "3"

static const char loads_sql[] =
    "select l.org, l.node, greatest(berth_us(clock_timestamp()) - berth_us(l.heartbeat_at), 0), l.cpu, "
    "l.packets_per_s,"
    " l.sessions, l.bandwidth_bps, l.draining, l.stopping,"
    " greatest(coalesce(t.n, 0) + coalesce(c.n, 0), 0)::bigint, coalesce(f.score, 0), l.assigned,"
    " coalesce(h.state, 0), coalesce(n.drain, false) or l.draining or l.stopping,"
    " exists (select from health_doubt d where d.org = l.org), coalesce(h.cause, 0)"
    " from node_load l"
    " left join tally t on t.org = l.org and t.what = 'participants' and t.name = l.node"
    " left join (select org, name, sum(n) as n from tally_change where what = 'participants' group by 1, 2) c"
    " on c.org = l.org and c.name = l.node"
    " left join node_failure_scores(" FAILURE_HALF_LIFE_S ", " FAILURE_ORG_MOST ") f"
    " on f.node_org = l.org and f.node = l.node"
    " left join node_health h on h.org = l.org and h.node = l.node"
    " left join node n on n.org = l.org and n.id = l.node"
    " union all" /* deleted, and somebody is on it still */
    " select n.org, n.id, -1, null, 0, 0, 0, false, false, 1, 0, 0, 0, true, false, 0 from node n"
    " where n.deleted_at > now() - $1::bigint * interval '1 second'"
    " and exists (select from participant p where p.node_org = n.org and p.node = n.id)"
    " order by 1, 2";

static const char *text_or_null(const PGresult *res, int row, int col)
{
    return PQgetisnull(res, row, col) ? NULL : PQgetvalue(res, row, col);
}

static int64_t number(const PGresult *res, int row, int col)
{
    return strtoll(PQgetvalue(res, row, col), NULL, 10);
}

static bool truth(const PGresult *res, int row, int col)
{
    return PQgetvalue(res, row, col)[0] == 't';
}

static void row_read(struct catalogue_row *r, const PGresult *res, int i)
{
    *r = (struct catalogue_row){
        .org = PQgetvalue(res, i, 0),
        .id = PQgetvalue(res, i, 1),
        .cluster = PQgetvalue(res, i, 2),
        .region = PQgetvalue(res, i, 3),
        .tls_name = PQgetvalue(res, i, 4),
        .labels = text_or_null(res, i, 5),
        .location = text_or_null(res, i, 6),
        .services = text_or_null(res, i, 7),
        .addresses = PQgetvalue(res, i, 8),
        .advertised = text_or_null(res, i, 9),
        .capacity = number(res, i, 10),
        .created_at_us = number(res, i, 11),
        .drain = truth(res, i, 12),
        .deleted = truth(res, i, 13),
        .tls_spki = text_or_null(res, i, 14),
        .weight = strtod(PQgetvalue(res, i, 15), NULL),
        .capacity_kbps = number(res, i, 16),
    };
}

static int read_version(struct db_sync *db, int64_t *version)
{
    PGresult *res = db_sync_exec(db, "select version from catalogue", NULL, 0);
    int r = res != NULL && PQntuples(res) == 1 ? 0 : -EIO;

    if (r == 0)
        *version = number(res, 0, 0);
    PQclear(res);
    return r;
}

static int read_nodes(struct db_sync *db, int64_t version, int64_t known_s, struct catalogue_nodes **out)
{
    struct catalogue_row *rows = NULL;
    char seconds[24];
    const char *const params[] = {seconds};
    PGresult *res;
    int n, r;

    snprintf(seconds, sizeof(seconds), "%lld", (long long)known_s);
    res = db_sync_exec(db, nodes_sql, params, 1);
    if (res == NULL)
        return -EIO;
    n = PQntuples(res);
    r = -ENOMEM;
    rows = calloc((size_t)n + 1, sizeof(*rows));
    if (rows == NULL)
        goto out;
    for (int i = 0; i < n; i++)
        row_read(&rows[i], res, i);
    *out = catalogue_nodes_new(version, rows, (size_t)n);
    r = *out != NULL ? 0 : -ENOMEM;
out:
    free(rows);
    PQclear(res);
    return r;
}

static void load_read(struct catalogue_load *l, const PGresult *res, int i)
{
    *l = (struct catalogue_load){
        .heartbeat_age_us = number(res, i, 2),
        .told = !PQgetisnull(res, i, 3),
        .cpu = PQgetisnull(res, i, 3) ? 1 : strtod(PQgetvalue(res, i, 3), NULL),
        .packets_per_s = number(res, i, 4),
        .sessions = number(res, i, 5),
        .bandwidth_bps = number(res, i, 6),
        .draining = truth(res, i, 7),
        .stopping = truth(res, i, 8),
        .assigned = number(res, i, 9),
        .failures = strtod(PQgetvalue(res, i, 10), NULL),
        .assigned_told = number(res, i, 11),
        .health = (enum health_state)number(res, i, 12),
        .doubt = truth(res, i, 14),
        .cause = (enum health_cause)number(res, i, 15),
    };
}

static bool same_org(const PGresult *res, int a, int b)
{
    return strcmp(PQgetvalue(res, a, 0), PQgetvalue(res, b, 0)) == 0;
}

/* Where most nodes of an org are silent at once, that counts before a controller's turn has come to say so: the same
 * rule of the same figures. Rows are sorted by org. */
static bool doubted(const PGresult *res, int first, int end)
{
    struct health_hearing hearing = {0};

    for (int k = first; k < end; k++)
        health_hear(&hearing, (enum health_state)number(res, k, 12), truth(res, k, 13), number(res, k, 2));
    return health_doubts(&hearing);
}

static void take_load(const struct catalogue_nodes *nodes, struct catalogue_load *loads, const PGresult *res,
                      int row, bool doubt)
{
    size_t i = catalogue_nodes_index(nodes, PQgetvalue(res, row, 0), PQgetvalue(res, row, 1));

    if (i == catalogue_nodes_count(nodes))
        return;
    load_read(&loads[i], res, row);
    loads[i].doubt = loads[i].doubt || doubt;
}

/* Both sides are sorted by (org, id); a node without a row has never been heard of. */
static int read_loads(struct db_sync *db, struct catalogue_nodes *nodes, int64_t known_s,
                      struct catalogue **out)
{
    struct catalogue_load *loads = NULL;
    size_t n = catalogue_nodes_count(nodes);
    char seconds[24];
    const char *const params[] = {seconds};
    PGresult *res;
    int r = -ENOMEM;

    snprintf(seconds, sizeof(seconds), "%lld", (long long)known_s);
    res = db_sync_exec(db, loads_sql, params, 1);
    if (res == NULL)
        return -EIO;
    loads = calloc(n + 1, sizeof(*loads));
    if (loads == NULL)
        goto out;
    for (size_t i = 0; i < n; i++)
        loads[i] = (struct catalogue_load){.heartbeat_age_us = -1, .cpu = 1};
    for (int k = 0, end = 0; k < PQntuples(res); k = end) {
        bool doubt;

        while (end < PQntuples(res) && same_org(res, k, end))
            end++;
        doubt = doubted(res, k, end);
        for (int row = k; row < end; row++)
            take_load(nodes, loads, res, row, doubt);
    }
    *out = catalogue_new(nodes, loads);
    r = *out != NULL ? 0 : -ENOMEM;
out:
    free(loads);
    PQclear(res);
    return r;
}

/* A catalogue without round trips, or with older ones, serves all the same. */
static void give_links(struct controller *ctl, struct catalogue *c)
{
    struct snapshot *s = snapshot_acquire(&ctl->slots[SNAPSHOT_LINKS]);

    if (s != NULL)
        catalogue_set_links(c, links_of(s->data));
    snapshot_release(s);
}

static int build(struct controller *ctl, struct db_sync *db, const void *old, void **data)
{
    struct catalogue_nodes *nodes = old != NULL ? catalogue_shared(old) : NULL, *fresh = NULL;
    struct catalogue *c = NULL;
    int64_t version;
    int r = read_version(db, &version);

    if (r != 0)
        return r;
    if (nodes == NULL || catalogue_nodes_version(nodes) != version) {
        r = read_nodes(db, version, ctl->options->report_lifetime_s, &fresh);
        if (r != 0)
            return r;
        nodes = fresh;
    }
    r = read_loads(db, nodes, ctl->options->report_lifetime_s, &c);
    catalogue_nodes_unref(fresh);
    if (r == 0) {
        give_links(ctl, c);
        *data = c;
    }
    return r;
}

const struct snapshot_builder catalogue_builder = {
    .name = "catalogue",
    .channel = "berth_catalogue",
    .period_us = SNAPSHOT_PERIOD_US,
    .build = build,
    .destroy = catalogue_destroy,
    .slot = SNAPSHOT_CATALOGUE,
};
