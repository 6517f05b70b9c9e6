/* What streams read of the outbox. Invariant: a stream's position is that of the last event given to its socket, so
 * what is lost with the socket is what its client has not seen; and no event is given to a key of which it isn't
 * known that it still counts. */
#include "streams_internal.h"

#include "admission.h"
#include "sys/clock.h"

#include <stdlib.h>
#include <string.h>

enum { CHECK_DEADLINE_US = 3 * 1000 * 1000 };
enum { COL_I, COL_LAST, COL_FLOOR, COL_SEQ, COL_KIND, COL_BODY, COL_NOW };

static const struct db_stmt read_stmt = {"stream_read",
                                         "select i, last, floor, seq, kind, body, berth_us(clock_timestamp())"
                                         " from outbox_read($1, $2::text[], $3::bigint[], $4::int)"};

/* Numbers alone, and of all orgs. */
static const struct db_stmt check_stmt = {
    "stream_check",
    "select h.org, h.agent, h.last from unnest($1::text[], $2::text[]) as asked (org, agent)"
    " join outbox_head h on h.org = asked.org collate \"C\" and h.agent = asked.agent collate \"C\""};

/* Streams of one org; NULL where one has gone meanwhile. */
struct stream_read {
    struct streams *streams;
    size_t n;
    struct stream *v[STREAM_READ_STREAMS];
};

/* ---- what has come ---- */

/* Where the stream is by the answer's first row; false: it goes on with what is new from now on. */
static bool place(struct stream *st, const PGresult *res, int row)
{
    int64_t last = db_get_i64(res, row, COL_LAST), floor = db_get_i64(res, row, COL_FLOOR);

    if (st->position >= floor && st->position <= last) {
        if (!st->placed)
            (void)stream_put(st, NULL, st->position, NULL);
        st->placed = true;
        return true;
    }
    st->placed = true;
    if (st->position == STREAM_FROM_NOW) {
        (void)stream_put(st, NULL, last, NULL);
    } else {
        (void)stream_put(st, "reset", last, "{}");
        counter_add(&st->streams->worker->counters, stream_resets, 1);
    }
    st->position = last;
    return false;
}

/* An assignment is stored without what is secret of it: that is made as it is told. */
static bool put_assignment(struct stream *st, const PGresult *res, int row)
{
    json_t *j = json_loads(db_get(res, row, COL_BODY), 0, NULL);
    const struct admission a = {st->org->org, json_string_value(json_object_get(j, "meeting")), st->agent,
                                db_get_i64(res, row, COL_NOW)};
    char *text;
    bool put;

    admission_complete(st->streams->worker->ctl, &a, j);
    text = j != NULL ? json_dumps(j, JSON_COMPACT) : NULL;
    json_decref(j);
    put = text != NULL && stream_put(st, "assignment", db_get_i64(res, row, COL_SEQ), text);
    free(text);
    return put;
}

static bool put_event(struct stream *st, const PGresult *res, int row)
{
    const char *kind = db_get(res, row, COL_KIND);

    if (strcmp(kind, "assignment") == 0)
        return put_assignment(st, res, row);
    return stream_put(st, kind, db_get_i64(res, row, COL_SEQ), db_get(res, row, COL_BODY));
}

/* The event of this row; false: no more of this answer. */
static bool take_event(struct stream *st, const PGresult *res, int row)
{
    int64_t seq = db_get_i64(res, row, COL_SEQ);

    if (db_null(res, row, COL_SEQ))
        return false;
    if (!put_event(st, res, row)) {
        st->again = true;
        return false;
    }
    counter_add(&st->streams->worker->counters, stream_events, 1);
    st->position = seq;
    return true;
}

/* All rows of one stream, from this one on. The row behind them. */
static int take_rows(struct stream *st, const PGresult *res, int row)
{
    int64_t i = db_get_i64(res, row, COL_I), last = db_get_i64(res, row, COL_LAST);
    bool more = st != NULL && st->ending == NULL && place(st, res, row), any = false;

    for (; row < PQntuples(res) && db_get_i64(res, row, COL_I) == i; row++) {
        more = more && take_event(st, res, row);
        any = any || more;
    }
    if (any && st->position < last)
        st->again = true;
    return row;
}

void stream_read_forget(struct stream *st)
{
    st->read->v[st->read_at] = NULL;
    st->read = NULL;
}

static void end_read(struct stream_read *r, bool failed)
{
    struct streams *s = r->streams;

    s->n_reads--;
    if (failed)
        s->read_at_us = clock_mono_us() + STREAM_READ_RETRY_US;
    for (size_t i = 0; i < r->n; i++) {
        struct stream *st = r->v[i];
        if (st == NULL)
            continue;
        st->read = NULL;
        st->again = st->again || failed;
        stream_flush(st);
        if (st->again && !st->writing)
            stream_want(st);
    }
    free(r);
    streams_read(s);
}

static void on_read(void *ctx, const struct db_result *result)
{
    struct stream_read *r = ctx;
    const PGresult *res = result->error == 0 ? result->res[0] : NULL;
    int row = 0;

    while (res != NULL && row < PQntuples(res)) {
        size_t i = (size_t)db_get_i64(res, row, COL_I) - 1;
        row = take_rows(i < r->n ? r->v[i] : NULL, res, row);
    }
    end_read(r, res == NULL);
}

/* ---- asking ---- */

/* Of one org, those that wait, but for who is being written a comment: it waits again when that is out. Perhaps none. */
static struct stream_read *gather(struct streams *s, struct stream_org *org)
{
    struct stream_read *r = calloc(1, sizeof(*r));

    if (r == NULL)
        return NULL;
    r->streams = s;
    while (r->n < STREAM_READ_STREAMS && !h2o_linklist_is_empty(&org->waiting)) {
        struct stream *st = H2O_STRUCT_FROM_MEMBER(struct stream, in_waiting, org->waiting.next);
        h2o_linklist_unlink(&st->in_waiting);
        st->again = st->writing;
        if (st->writing)
            continue;
        st->read = r;
        st->read_at = r->n;
        r->v[r->n++] = st;
    }
    h2o_linklist_unlink(&org->in_turn);
    if (!h2o_linklist_is_empty(&org->waiting))
        h2o_linklist_insert(&s->turns, &org->in_turn);
    return r;
}

static int send_read(struct stream_read *r, const char *org, h2o_mem_pool_t *pool)
{
    struct worker *w = r->streams->worker;
    const char **agents = h2o_mem_alloc_pool(pool, r->n * sizeof(*agents));
    const char **positions = h2o_mem_alloc_pool(pool, r->n * sizeof(*positions));
    int64_t deadline = clock_mono_us() + w->ctl->options->request_deadline_ms * 1000;
    char at_most[24];
    struct db_batch *b;
    int e = db_begin(w->db, DB_TENANT_SLOW, org, deadline, &b);

    if (e != 0)
        return e;
    for (size_t i = 0; i < r->n; i++) {
        char *text = h2o_mem_alloc_pool(pool, 24);
        (void)db_i64(text, r->v[i]->position);
        agents[i] = r->v[i]->agent;
        positions[i] = r->v[i]->position == STREAM_FROM_NOW ? NULL : text;
    }
    const struct db_param p[] = {db_text(org), db_text_array(pool, agents, r->n),
                                 db_text_array(pool, positions, r->n), db_i64(at_most, STREAM_READ_EVENTS)};
    db_add(b, &read_stmt, p, sizeof(p) / sizeof(p[0]));
    return db_send(b, on_read, r);
}

/* What was revoked must be known to be current. */
static bool keys_are_known(const struct streams *s, int64_t now)
{
    int64_t checked = atomic_load(&s->worker->ctl->slots[SNAPSHOT_AUTH].checked_us);

    return checked != 0 && now - checked < SNAPSHOT_FRESH_US;
}

void streams_read(struct streams *s)
{
    int64_t now = clock_mono_us();

    while (s->n_reads < STREAM_READS_MAX && !h2o_linklist_is_empty(&s->turns) && now >= s->read_at_us &&
           keys_are_known(s, now)) {
        struct stream_org *org = H2O_STRUCT_FROM_MEMBER(struct stream_org, in_turn, s->turns.next);
        struct stream_read *r = gather(s, org);
        h2o_mem_pool_t pool;
        int e;

        if (r == NULL)
            return;
        if (r->n == 0) {
            free(r);
            continue;
        }
        h2o_mem_init_pool(&pool);
        s->n_reads++;
        e = send_read(r, org->org, &pool);
        h2o_mem_clear_pool(&pool);
        if (e == 0)
            continue;
        s->read_at_us = now + STREAM_READ_RETRY_US;
        end_read(r, true);
    }
}

/* ---- the safety net ---- */

static void on_check(void *ctx, const struct db_result *result)
{
    struct streams *s = ctx;

    s->checking = false;
    for (int row = 0; result->error == 0 && row < PQntuples(result->res[0]); row++) {
        const PGresult *res = result->res[0];
        uint64_t hash = outbox_agent_hash(db_get(res, row, 0), db_get(res, row, 1));
        h2o_linklist_t *bucket = &s->buckets[hash % STREAM_BUCKETS];
        for (h2o_linklist_t *at = bucket->next; at != bucket; at = at->next) {
            struct stream *st = H2O_STRUCT_FROM_MEMBER(struct stream, in_bucket, at);
            if (st->hash == hash && st->position != db_get_i64(res, row, 2))
                stream_want(st);
        }
    }
    if (result->error == 0)
        streams_check(s);
    streams_read(s);
}

void streams_check(struct streams *s)
{
    size_t n = s->to_check < STREAM_CHECK_MAX ? s->to_check : STREAM_CHECK_MAX;
    const char **orgs, **agents;
    struct db_batch *b;
    h2o_mem_pool_t pool;

    n = n < s->n ? n : s->n;
    if (n == 0 || s->checking || s->ended ||
        db_begin(s->worker->db, DB_OPERATOR, NULL, clock_mono_us() + CHECK_DEADLINE_US, &b) != 0)
        return;
    h2o_mem_init_pool(&pool);
    orgs = h2o_mem_alloc_pool(&pool, n * sizeof(*orgs));
    agents = h2o_mem_alloc_pool(&pool, n * sizeof(*agents));
    for (size_t i = 0; i < n; i++) {
        struct stream *st = H2O_STRUCT_FROM_MEMBER(struct stream, in_all, s->all.next);
        h2o_linklist_unlink(&st->in_all);
        h2o_linklist_insert(&s->all, &st->in_all); /* as the last one */
        orgs[i] = st->org->org;
        agents[i] = st->agent;
    }
    const struct db_param p[] = {db_text_array(&pool, orgs, n), db_text_array(&pool, agents, n)};
    db_add(b, &check_stmt, p, sizeof(p) / sizeof(p[0]));
    s->to_check -= n;
    s->checking = db_send(b, on_check, s) == 0;
    h2o_mem_clear_pool(&pool);
}
