/* Numbered migrations under an advisory lock, one transaction each. Invariant: berth_schema's highest version says exactly which
 * migrations have been committed. */
#include "migrate.h"

#include "db.h"
#include "schema.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIGRATE_LOCK "7305804402566"

/* Long enough for a rewrite of large tables and for others who migrate. */
#define MIGRATE_TIMEOUT_US (15LL * 60 * 1000 * 1000)

int schema_version_needed(void)
{
    return schema_migrations[schema_migrations_n - 1].version;
}

int schema_version_read(struct db_sync *d)
{
    PGresult *res = db_sync_exec(d, "select coalesce(max(version), 0) from berth_schema", NULL, 0);
    int version;

    if (res == NULL) /* 42P01: there is no such table */
        return strcmp(d->sqlstate, "42P01") == 0 ? 0 : -EIO;
    version = (int)db_get_i64(res, 0, 0);
    PQclear(res);
    return version;
}

static int apply(struct db_sync *d, const struct schema_migration *m, struct log *log)
{
    size_t len = strlen(m->sql) + 256;
    char *script = malloc(len);
    int r;

    if (script == NULL)
        return -ENOMEM;
    snprintf(script, len, "begin;\n%s\n;insert into berth_schema (version, name) values (%d, '%s');\ncommit;",
             m->sql, m->version, m->name);
    r = db_sync_script(d, script);
    free(script);
    if (r != 0)
        log_event(log, LOG_ERROR, "migrate", "failed", LOG_I("version", m->version), LOG_S("name", m->name),
                  LOG_S("error", d->error));
    else
        log_event(log, LOG_INFO, "migrate", "applied", LOG_I("version", m->version), LOG_S("name", m->name));
    return r;
}

/* The lock is held; it ends with the connection. */
static int bring_up(struct db_sync *d, struct log *log)
{
    int have, r = 0;

    if (db_sync_script(
            d, "create table if not exists berth_schema (version int primary key, name text not null, "
               "applied_at timestamptz not null default now())") != 0)
        return -EIO;
    have = schema_version_read(d);
    if (have < 0)
        return have;
    if (have > schema_version_needed()) {
        log_event(log, LOG_ERROR, "migrate", "schema_is_newer", LOG_I("database", have),
                  LOG_I("program", schema_version_needed()),
                  LOG_S("hint", "this berth-controller is older than the one that migrated the database"));
        return -EPROTONOSUPPORT;
    }
    for (size_t i = 0; i < schema_migrations_n && r == 0; i++)
        if (schema_migrations[i].version > have)
            r = apply(d, &schema_migrations[i], log);
    if (r == 0)
        log_event(log, LOG_INFO, "migrate", "up_to_date", LOG_I("version", schema_version_needed()),
                  LOG_I("from", have));
    return r;
}

int migrate_run(const char *conninfo, struct log *log)
{
    struct db_sync d;
    int r;

    db_sync_init(&d, -1, MIGRATE_TIMEOUT_US);
    r = db_sync_connect(&d, conninfo);
    if (r == 0 &&
        db_sync_script(&d, "set client_min_messages = warning; select pg_advisory_lock(" MIGRATE_LOCK ")") !=
            0)
        r = -EIO;
    if (r == 0)
        r = bring_up(&d, log);
    if (r != 0 && r != -EPROTONOSUPPORT)
        log_event(log, LOG_ERROR, "migrate", "gave_up", LOG_S("error", d.error));
    db_sync_close(&d);
    return r;
}
