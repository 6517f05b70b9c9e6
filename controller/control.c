/* One blocking connection as the operator role, for what is done every second and for the outbox. Invariant: nothing
 * that requests can't do without depends on how long this takes: the snapshots have threads of their own. */
#include "control.h"

#include "auth.h"
#include "health_turn.h"
#include "master_check.h"
#include "migrate.h"
#include "outbox.h"
#include "sys/clock.h"
#include "watch.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    CONTROL_RETRY_MS = 250,
    CONTROL_EAGER_US = 50 * 1000, /* while no partition is there yet */
    CONTROL_FOLD_MAX = 10000, /* changes of counts added up at once, in a fraction of a statement's time */
    BUILDERS_MAX = 8,
};

struct control {
    struct controller *ctl;
    pthread_t thread;
    bool started;
    int stop_fd;
    struct db_sync db;
    struct watch *watches[BUILDERS_MAX];
    int64_t checks_due_us, tell_at_us;
    struct snapshot *fit; /* the keys that fitted last; NULL: none yet */
    bool told;            /* that the database is away, or has another schema: once, until it is well again */
};

/* A report must not die before its time because another controller's lifetime is shorter: partitions are kept for the
 * longest; one at -infinity is being dropped already. And without a partition for what is measured now, no report can
 * be taken. */
static void watch_partitions(struct control *c)
{
    char seconds[24];
    const char *params[1] = {seconds};
    PGresult *res;

    (void)db_i64(seconds, c->ctl->options->report_lifetime_s);
    res = db_sync_exec(
        &c->db,
        "with kept as (update report_partition set keep_until = hi + $1::bigint * interval '1 second' "
        "where keep_until < hi + $1::bigint * interval '1 second' and keep_until > '-infinity') "
        "select exists (select from report_partition where lo <= now() and now() < hi)",
        params, 1);
    if (res != NULL)
        atomic_store(&c->ctl->partition_now, db_get_bool(res, 0, 0));
    PQclear(res);
}

/* True when the schema has what this program needs. Migrations only add, so one that is newer has it too:
 * controllers go on while they are replaced one by one. */
static bool check_schema(struct control *c)
{
    int version = schema_version_read(&c->db);

    if (version < 0)
        return false;
    atomic_store(&c->ctl->schema_version, version);
    if (version >= schema_version_needed())
        return true;
    if (!c->told)
        log_event(c->ctl->log, LOG_ERROR, "control", "wrong_schema", LOG_I("database", version),
                  LOG_I("program", schema_version_needed()), LOG_S("hint", "run berth-controller migrate"));
    c->told = true;
    return false;
}

/* True when no other installation's keys are in this database. Looked at for every list of keys that comes into force. */
static bool check_master_keys(struct control *c)
{
    struct snapshot *s = snapshot_acquire(&c->ctl->slots[SNAPSHOT_KEYS]);
    const struct auth_keys *keys = s->data, *before = c->fit != NULL ? c->fit->data : NULL;
    int fit = 0;

    if (!atomic_load(&c->ctl->keys_foreign))
        fit =
            s == c->fit ? 1 : master_keys_fit(&c->db, &keys->master, before != NULL ? &before->master : NULL);
    if (fit == 1) {
        snapshot_release(c->fit);
        c->fit = s;
        atomic_store(&c->ctl->keys_fit, true);
        return true;
    }
    snapshot_release(s);
    if (fit == 0 && !atomic_exchange(&c->ctl->keys_foreign, true))
        log_event(c->ctl->log, LOG_ERROR, "control", "foreign_master_key",
                  LOG_S("error", "the keys in this database were made with other master keys"),
                  LOG_S("hint", "use the other controllers' master key file; if that is lost for good, "
                                "\"delete from master_key\" in the database voids all keys and lets this "
                                "one in"));
    return false;
}

/* One controller at a time adds up what has changed; the others find the lock taken. And leases of controllers that
 * were killed end. */
static void fold_counts(struct control *c)
{
    char at_most[24];
    const char *params[1] = {at_most};
    PGresult *res;

    (void)db_i64(at_most, CONTROL_FOLD_MAX);
    res = db_sync_exec(&c->db,
                       "select tally_fold($1::bigint), capacity_lease_sweep(), node_failure_drop($1::bigint)",
                       params, 1);
    if (res == NULL && !c->db.stopped)
        log_event(c->ctl->log, LOG_WARN, "control", "counts_not_added_up", LOG_S("error", c->db.error));
    PQclear(res);
}

/* How many events are open, for the metrics. */
static void count_events(struct control *c)
{
    int64_t n[EVENT_SEVERITIES] = {0};
    PGresult *res = db_sync_exec(
        &c->db, "select severity, count(*) from event where cleared_at is null group by 1", NULL, 0);

    for (int i = 0; res != NULL && i < PQntuples(res); i++) {
        enum event_severity s = event_severity_parse(db_get(res, i, 0));
        if (s < EVENT_SEVERITIES)
            n[s] = db_get_i64(res, i, 1);
    }
    for (size_t s = 0; res != NULL && s < EVENT_SEVERITIES; s++)
        atomic_store(&c->ctl->events_open[s], n[s]);
    PQclear(res);
}

static bool connect_up(struct control *c)
{
    int r = db_sync_connect_operator(&c->db, c->ctl->options->database);

    /* Before the first migration there is no such role. */
    if (r == -EIO && (strcmp(c->db.sqlstate, "22023") == 0 || strcmp(c->db.sqlstate, "42704") == 0))
        (void)check_schema(c);
    if (r == 0)
        r = db_sync_script(&c->db, "listen " OUTBOX_CHANNEL);
    c->checks_due_us = 0;
    if (r == 0) {
        const struct outbox_news missed = {.all = true};
        outbox_board_hear(c->ctl->outbox, &missed);
        return true;
    }
    if (!c->told && !c->db.stopped)
        log_event(c->ctl->log, LOG_WARN, "control", "database_unavailable", LOG_S("error", c->db.error));
    c->told = true;
    db_sync_close(&c->db);
    return false;
}

static void pause_or_stop(struct control *c)
{
    struct pollfd p = {.fd = c->stop_fd, .events = POLLIN};

    if (poll(&p, 1, CONTROL_RETRY_MS) > 0)
        c->db.stopped = true;
}

static bool checks(struct control *c, int64_t now)
{
    if (now < c->checks_due_us)
        return true;
    if (!check_schema(c) || !check_master_keys(c)) {
        if (c->db.conn != NULL)
            pause_or_stop(c);
        return false;
    }
    watch_partitions(c);
    if (c->db.conn != NULL)
        fold_counts(c);
    if (c->db.conn != NULL)
        count_events(c);
    if (c->db.conn != NULL)
        health_turn(c->ctl, &c->db);
    c->checks_due_us = now + (atomic_load(&c->ctl->partition_now) ? SNAPSHOT_PERIOD_US : CONTROL_EAGER_US);
    return true;
}

/* ---- the outbox ---- */

/* News of all workers in one NOTIFY, and that not too often: each is a commit that no other NOTIFY may overlap. It
 * need not be durable. */
static void tell_news(struct control *c)
{
    struct outbox_news news;
    char text[OUTBOX_NEWS_TEXT], *sql;
    int r;

    if (clock_mono_us() < c->tell_at_us || !outbox_board_take(c->ctl->outbox, &news))
        return;
    outbox_news_write(&news, text);
    r = asprintf(&sql, "begin; set local synchronous_commit = off; notify " OUTBOX_CHANNEL ", '%s'; commit",
                 text);
    if (r >= 0) {
        r = db_sync_script(&c->db, sql);
        free(sql);
    }
    c->tell_at_us = clock_mono_us() + OUTBOX_NEWS_PAUSE_US;
    if (r >= 0)
        return;
    outbox_board_return(c->ctl->outbox, &news);
    if (!c->db.stopped)
        log_event(c->ctl->log, LOG_WARN, "control", "news_not_told", LOG_S("error", c->db.error));
    if (c->db.conn != NULL && db_sync_script(&c->db, "rollback") != 0)
        db_sync_close(&c->db);
}

/* How long to wait: the workers' news are let wait for the end of the pause. */
static int64_t until(struct control *c, int64_t now)
{
    bool pause = now < c->tell_at_us;
    int64_t next = pause && c->tell_at_us < c->checks_due_us ? c->tell_at_us : c->checks_due_us;

    c->db.wake_fd = pause ? -1 : outbox_board_fd(c->ctl->outbox);
    return next > now ? next - now : 0;
}

/* Until there is something to do, or a notification. */
static void wait_for_news(struct control *c)
{
    struct db_notice n;

    tell_news(c);
    while (c->db.conn != NULL && db_sync_notify(&c->db, until(c, clock_mono_us()), &n) == 1) {
        struct outbox_news news;
        outbox_news_read(&news, n.payload);
        outbox_board_hear(c->ctl->outbox, &news);
    }
}

static void turn(struct control *c)
{
    if (!checks(c, clock_mono_us()))
        return;
    if (c->told && c->db.conn != NULL) {
        log_event(c->ctl->log, LOG_INFO, "control", "database_available",
                  LOG_I("schema", schema_version_needed()));
        c->told = false;
    }
    wait_for_news(c);
}

static void *control_main(void *arg)
{
    struct control *c = arg;

    while (!c->db.stopped) {
        if (c->db.conn != NULL || connect_up(c))
            turn(c);
        else if (!c->db.stopped)
            pause_or_stop(c);
    }
    db_sync_close(&c->db);
    return NULL;
}

static int start_all(struct control *c)
{
    int r = -pthread_create(&c->thread, NULL, control_main, c);

    c->started = r == 0;
    for (size_t i = 0; i < controller_builders_n && r == 0; i++)
        r = watch_start(&c->watches[i], c->ctl, controller_builders[i], c->stop_fd);
    return r;
}

int control_start(struct control **out, struct controller *ctl)
{
    struct control *c = calloc(1, sizeof(*c));
    int r;

    if (c == NULL || controller_builders_n > BUILDERS_MAX) {
        free(c);
        return -ENOMEM;
    }
    c->ctl = ctl;
    c->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->stop_fd < 0) {
        r = -errno;
        free(c);
        return r;
    }
    db_sync_init(&c->db, c->stop_fd, CONTROL_TIMEOUT_US);
    r = start_all(c);
    if (r != 0) {
        control_stop(c);
        return r;
    }
    *out = c;
    return 0;
}

void control_stop(struct control *c)
{
    uint64_t one = 1;

    if (c == NULL)
        return;
    if (write(c->stop_fd, &one, sizeof(one)) < 0) {
        /* An eventfd that is full is readable already. */
    }
    for (size_t i = 0; i < BUILDERS_MAX; i++)
        watch_join(c->watches[i]);
    if (c->started)
        pthread_join(c->thread, NULL);
    snapshot_release(c->fit);
    close(c->stop_fd);
    free(c);
}

bool control_ready(struct controller *ctl, char *reason, size_t cap)
{
    int version = atomic_load(&ctl->schema_version);
    int64_t now = clock_mono_us();

    if (version != 0 && version < schema_version_needed()) {
        snprintf(reason, cap,
                 "the database's schema is version %d, this program needs %d: run berth-controller migrate",
                 version, schema_version_needed());
        return false;
    }
    for (size_t i = 0; i < controller_builders_n; i++) {
        int64_t checked = atomic_load(&ctl->slots[controller_builders[i]->slot].checked_us);
        if (!controller_builders[i]->optional && (checked == 0 || now - checked >= SNAPSHOT_FRESH_US)) {
            snprintf(reason, cap, "the database is away, or was never migrated");
            return false;
        }
    }
    if (!atomic_load(&ctl->partition_now)) {
        snprintf(reason, cap, "there is no partition for new reports: no controller keeps house");
        return false;
    }
    if (atomic_load(&ctl->db_served) < (int64_t)(ctl->n_workers * DB_ROLE_COUNT)) {
        snprintf(reason, cap, "connections to the database are down that have no other in their place");
        return false;
    }
    return true;
}
