/* Reads from the database what nodes have told of the ways between them. Invariant: the table is copied once a
 * round, however much is new, and rounds take an eighth of the time at most. */
#include "links_build.h"

#include "catalogue.h"
#include "controller.h"
#include "sys/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LINKS_PERIOD_US = 2 * 1000 * 1000,
    LINKS_SHARE = 8, /* looking takes this part of the time at most */
    LINKS_SWEEP_US = 60 * 1000 * 1000,
    LINKS_PAGE = 20000, /* figures fetched at once */
    LINKS_PAGES =
        4 * LINKS_MAX / LINKS_PAGE,      /* in one round: more than there is room for, both directions told */
    LINKS_OVERLAP_US = 10 * 1000 * 1000, /* a transaction may commit so long after it began */
};

/* How far the database has been read, and what was found. */
struct seen {
    struct links *links;
    int64_t at_us;                /* what was told before is in the table */
    int64_t due_us, sweep_due_us; /* monotonic: when to look again; when to forget what grew old */
};

enum { NOW, ORG, NODE, TO_ORG, TO_NODE, RTT, AT };

struct links *links_of(const void *data)
{
    return ((const struct seen *)data)->links;
}

static void seen_destroy(void *data)
{
    struct seen *s = data;

    if (s == NULL)
        return;
    links_unref(s->links);
    free(s);
}

static struct link_id row_link(const PGresult *res, int row, int col)
{
    const char *org = db_get(res, row, col);

    return link_id(org, db_get(res, row, col + 1), strcmp(org, CLOUD_ORG) != 0);
}

/* ---- a round ---- */

/* In no order, so that the database goes over the rows once, whatever their number. */
static int open_cursor(struct db_sync *db, const struct seen *s)
{
    char sql[512];

    snprintf(
        sql, sizeof(sql),
        "begin read only; declare figures no scroll cursor for select berth_us(now()), org, node, to_org, "
        "to_node, rtt_us, berth_us(at) from node_rtt where at >= berth_time(%lld) "
        "and at > now() - %d * interval '1 second'",
        (long long)s->at_us, LINKS_STALE_S);
    return db_sync_script(db, sql);
}

/* What is new of these rows goes into *fresh, which is made with the first such. -ENOMEM: *fresh is NULL. */
static int take(struct links **fresh, const struct links *old, const PGresult *res, int64_t *newest_us)
{
    size_t n = (size_t)PQntuples(res);
    int64_t now_s = n > 0 ? db_get_i64(res, 0, NOW) / 1000000 : 0;

    if (*fresh != NULL && (*fresh = links_reserve(*fresh, n, now_s)) == NULL)
        return -ENOMEM;
    for (int i = 0; i < (int)n; i++) {
        struct link_id from = row_link(res, i, ORG), to = row_link(res, i, TO_ORG);
        int32_t told_us = (int32_t)db_get_i64(res, i, RTT), rtt_us = told_us >= 0 ? told_us : LINK_NO_WAY;
        int64_t at_us = db_get_i64(res, i, AT);

        *newest_us = at_us > *newest_us ? at_us : *newest_us;
        if (*fresh == NULL && links_hold(old, from, to, rtt_us, at_us / 1000000))
            continue;
        if (*fresh == NULL && (*fresh = links_new(old, n, now_s)) == NULL)
            return -ENOMEM;
        (void)links_put(*fresh, from, to, rtt_us, at_us / 1000000);
    }
    return 0;
}

/* All that was told since. 0, and *fresh NULL where that is nothing. */
static int read_news(struct db_sync *db, const struct seen *s, struct links **fresh, int64_t *newest_us)
{
    int r = open_cursor(db, s), n = LINKS_PAGE;
    char sql[64];

    snprintf(sql, sizeof(sql), "fetch forward %d from figures", LINKS_PAGE);
    for (int page = 0; page < LINKS_PAGES && r == 0 && n == LINKS_PAGE; page++) {
        PGresult *res = db_sync_exec(db, sql, NULL, 0);

        r = res != NULL ? take(fresh, s->links, res, newest_us) : -EIO;
        n = res != NULL ? PQntuples(res) : 0;
        PQclear(res);
    }
    if (db->conn != NULL && db_sync_script(db, "rollback") != 0)
        db_sync_close(db);
    if (r != 0) {
        links_unref(*fresh);
        *fresh = NULL;
    }
    return r;
}

static int build(struct controller *ctl, struct db_sync *db, const void *old, void **data)
{
    struct seen *s = calloc(1, sizeof(*s));
    int64_t now = clock_mono_us(), newest_us = 0, took_us;
    struct links *fresh = NULL;
    int r = -ENOMEM;

    if (s == NULL)
        goto out;
    if (old != NULL)
        *s = *(const struct seen *)old;
    links_ref(s->links);
    r = SNAPSHOT_UNCHANGED;
    if (now < s->due_us)
        goto out;
    r = read_news(db, s, &fresh, &newest_us);
    if (r != 0)
        goto out;
    if (fresh == NULL && now >= s->sweep_due_us)
        fresh = links_new(s->links, 0, controller_unix_us(ctl) / 1000000);
    if (fresh != NULL) {
        links_unref(s->links);
        s->links = fresh;
        s->sweep_due_us = now + LINKS_SWEEP_US;
    }
    if (newest_us - LINKS_OVERLAP_US > s->at_us)
        s->at_us = newest_us - LINKS_OVERLAP_US;
    took_us = clock_mono_us() - now;
    s->due_us = now + (took_us > LINKS_PERIOD_US / LINKS_SHARE ? took_us * LINKS_SHARE : LINKS_PERIOD_US);
    *data = s;
    s = NULL;
out:
    seen_destroy(s);
    return r;
}

const struct snapshot_builder links_builder = {
    .name = "links",
    .period_us = LINKS_PERIOD_US,
    .optional = true,
    .build = build,
    .destroy = seen_destroy,
    .slot = SNAPSHOT_LINKS,
};
