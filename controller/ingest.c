/* Group commit of reports. Invariant: an item is in exactly one place: the queue, or one batch, which is under way or
 * to be retried; it leaves through item_done and nowhere else. */
#include "ingest.h"

#include "sys/clock.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct ingest_item {
    struct ingest_item *next;
    struct api_request *request; /* NULL: gone */
    ingest_done_cb *done;
    int64_t deadline_us;
    struct report_row row;
};

struct list {
    struct ingest_item *head, **tail;
    size_t n;
};

enum { SIZES = 7 }; /* of statements: 1, 2, 4 and so on rows */
_Static_assert(1 << (SIZES - 1) == INGEST_STATEMENT_ROWS, "each power of two has its statement");
_Static_assert(REPORT_INSERT_PARAMS + INGEST_STATEMENT_ROWS * REPORT_PARAMS <= DB_PARAMS_MAX,
               "the largest statement's parameters fit");

struct insert {
    struct db_stmt stmt;
    char name[32], *text;
};

struct ingest {
    struct worker *worker;
    struct insert inserts[SIZES];
    struct db_param *params; /* room for those of the largest statement */
    struct list queue;
    struct ingest_batch *retries; /* parts of batches that failed */
    size_t rows, bytes;           /* in all places */
    size_t batches;               /* under way */
};

struct ingest_batch {
    struct ingest *in;
    struct ingest_batch *next; /* of in->retries */
    bool single;               /* a row a statement, so that a bad one is known */
    size_t n;
    struct ingest_item *items[INGEST_BATCH_ROWS];
};

static void list_init(struct list *l)
{
    l->head = NULL;
    l->tail = &l->head;
    l->n = 0;
}

static void list_push(struct list *l, struct ingest_item *item)
{
    item->next = NULL;
    *l->tail = item;
    l->tail = &item->next;
    l->n++;
}

static struct ingest_item *list_pop(struct list *l)
{
    struct ingest_item *item = l->head;

    l->head = item->next;
    if (l->head == NULL)
        l->tail = &l->head;
    l->n--;
    return item;
}

static void item_done(struct ingest *in, struct ingest_item *item, enum ingest_outcome outcome,
                      int64_t received_us, int64_t expires_us)
{
    struct api_request *r = item->request;
    ingest_done_cb *done = item->done;

    in->rows--;
    in->bytes -= item->row.bytes;
    report_row_clear(&item->row);
    free(item);
    if (outcome == INGEST_FAILED || outcome == INGEST_LATE)
        counter_add(&in->worker->counters, reports_failed, 1);
    else if (outcome == INGEST_EXPIRED || outcome == INGEST_FUTURE || outcome == INGEST_NO_PLACE)
        counter_add(&in->worker->counters, reports_refused, 1);
    if (r == NULL)
        return;
    r->item = NULL;
    db_wait_end(&r->waited, in->worker->db);
    done(r, outcome, received_us, expires_us);
}

/* ---- what became of a statement's rows ---- */

/* The rows of the statement that begins with row `at`, and its size's place. A quarter of it may be left empty: that
 * is less than another statement. */
static size_t statement_rows(const struct ingest_batch *b, size_t at, size_t *size)
{
    size_t left = b->n - at, room = 1;

    for (*size = 0; !b->single && *size + 1 < SIZES && room < left; ++*size)
        room *= 2;
    if (room > left && room - left > room / 4) {
        room /= 2;
        --*size;
    }
    return room < left ? room : left;
}

static bool same_report(const struct report_row *a, const struct report_row *b)
{
    return a->measured_at_us == b->measured_at_us &&
           strcmp(a->params[REPORT_PARAM_ID].value, b->params[REPORT_PARAM_ID].value) == 0 &&
           strcmp(a->params[REPORT_PARAM_AGENT].value, b->params[REPORT_PARAM_AGENT].value) == 0 &&
           strcmp(a->params[REPORT_PARAM_ORG].value, b->params[REPORT_PARAM_ORG].value) == 0;
}

/* Does the batch bring it twice? Then it is the first that went in, if any. */
static bool came_before(const struct ingest_batch *b, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (same_report(&b->items[k]->row, &b->items[i]->row))
            return true;
    return false;
}

/* As the statement has judged, by the time that it tells. */
static enum ingest_outcome outcome_in_time(const struct ingest *in, const struct report_row *row,
                                           int64_t now_us)
{
    int64_t lifetime_us = in->worker->ctl->options->report_lifetime_s * 1000000;

    if (row->measured_at_us > now_us + REPORT_AHEAD_US)
        return INGEST_FUTURE;
    return row->measured_at_us + lifetime_us <= now_us ? INGEST_EXPIRED : INGEST_NEW;
}

/* Of rows `from` to `to`, which were one statement. */
static void statement_outcomes(struct ingest *in, const struct ingest_batch *b, size_t from, size_t to,
                               const PGresult *res, enum ingest_outcome *out)
{
    int64_t now_us = db_get_i64(res, 0, 0);
    size_t went_in = (size_t)db_get_i64(res, 0, 1), in_time = 0;

    for (size_t i = from; i < to; i++) {
        out[i] = outcome_in_time(in, &b->items[i]->row, now_us);
        in_time += out[i] == INGEST_NEW;
    }
    counter_add(&in->worker->counters, reports_new, went_in);
    counter_add(&in->worker->counters, reports_repeat, in_time - went_in);
    for (size_t i = from; i < to && went_in < in_time; i++)
        if (out[i] == INGEST_NEW)
            out[i] = went_in == 0 || came_before(b, i) ? INGEST_REPEAT : INGEST_UNSURE;
}

static void batch_committed(struct ingest *in, const struct ingest_batch *b, const struct db_result *result)
{
    enum ingest_outcome outcomes[INGEST_BATCH_ROWS];
    int64_t now_us = 0;
    size_t rows, size, told = 0;

    for (size_t i = 0; i < result->n && told < b->n && PQntuples(result->res[i]) == 1; i++, told += rows) {
        rows = statement_rows(b, told, &size);
        statement_outcomes(in, b, told, told + rows, result->res[i], outcomes);
        now_us = db_get_i64(result->res[i], 0, 0); /* a transaction's: the same in all */
    }
    for (size_t i = 0; i < b->n; i++) {
        const struct report_row *row = &b->items[i]->row;
        int64_t from_us = row->measured_at_us < now_us ? row->measured_at_us : now_us;
        item_done(in, b->items[i], i < told ? outcomes[i] : INGEST_FAILED, now_us, from_us + row->alive_us);
    }
}

static void flush(struct ingest *in);

static void batch_give_up(struct ingest *in, struct ingest_batch *b, int error)
{
    for (size_t i = 0; i < b->n; i++)
        item_done(in, b->items[i], error == -ETIMEDOUT ? INGEST_LATE : INGEST_FAILED, 0, 0);
    free(b);
}

/* Rows `from` to `to` of a batch are to be tried again. */
static void retry_part(struct ingest *in, const struct ingest_batch *b, size_t from, size_t to, bool single)
{
    struct ingest_batch *part;

    if (from >= to)
        return;
    part = calloc(1, sizeof(*part));
    if (part == NULL) {
        for (size_t i = from; i < to; i++)
            item_done(in, b->items[i], INGEST_FAILED, 0, 0);
        return;
    }
    part->in = in;
    part->single = single;
    part->n = to - from;
    memcpy(part->items, &b->items[from], part->n * sizeof(part->items[0]));
    part->next = in->retries;
    in->retries = part;
    counter_add(&in->worker->counters, report_retries, part->n);
}

/* Where a row's own data is at fault (classes 22 and 23) the rows of its statement are tried again one by one, until it
 * is a statement by itself and is told; what was before and behind is tried again; else the transaction met with
 * something that passes, or that only a part of it meets: it is tried again by halves. */
static void batch_failed(struct ingest *in, const struct ingest_batch *b, const struct db_result *result)
{
    bool refused = result->error == -ECANCELED;
    bool data =
        refused && (strncmp(result->sqlstate, "22", 2) == 0 || strncmp(result->sqlstate, "23", 2) == 0);
    bool homeless =
        data && strcmp(result->sqlstate, "23514") == 0 && atomic_load(&in->worker->ctl->partition_now);
    size_t from = 0, rows = 0, size;

    for (size_t i = 0; i <= result->failed && from + rows < b->n; i++) {
        from += rows;
        rows = statement_rows(b, from, &size);
        data = data && (i == result->failed || from + rows < b->n); /* else it failed at the commit */
    }
    if (refused)
        log_event(in->worker->ctl->log, LOG_WARN, "ingest", "commit_failed", LOG_I("reports", b->n),
                  LOG_S("sqlstate", result->sqlstate), LOG_S("error", result->message));
    if (data) {
        retry_part(in, b, from + rows, b->n, false);
        if (rows > 1)
            retry_part(in, b, from, from + rows, true);
        else
            item_done(in, b->items[from], homeless ? INGEST_NO_PLACE : INGEST_FAILED, 0, 0);
        retry_part(in, b, 0, from, false);
    } else if (refused && b->n > 1) {
        retry_part(in, b, b->n / 2, b->n, b->single);
        retry_part(in, b, 0, b->n / 2, b->single);
    } else {
        for (size_t i = 0; i < b->n; i++)
            item_done(in, b->items[i], db_too_late(result) ? INGEST_LATE : INGEST_FAILED, 0, 0);
    }
}

static void on_commit(void *ctx, const struct db_result *result)
{
    struct ingest_batch *b = ctx;
    struct ingest *in = b->in;

    in->batches--;
    counter_add(&in->worker->counters, report_commits, 1);
    if (result->error != 0)
        batch_failed(in, b, result);
    else
        batch_committed(in, b, result);
    free(b);
    if (result->error != 0) /* no turn may follow */
        flush(in);
}

/* Moves items from the queue to the batch, as many as fit; who has waited too long is told. */
static void batch_fill(struct ingest *in, struct ingest_batch *b)
{
    int64_t now = clock_mono_us();
    size_t bytes = 0;

    while (in->queue.head != NULL && b->n < INGEST_BATCH_ROWS &&
           (b->n == 0 || bytes + in->queue.head->row.bytes <= INGEST_BATCH_BYTES)) {
        struct ingest_item *item = list_pop(&in->queue);
        if (item->deadline_us <= now) {
            item_done(in, item, INGEST_LATE, 0, 0);
            continue;
        }
        bytes += item->row.bytes;
        b->items[b->n++] = item;
    }
}

static void statement_add(struct ingest *in, const struct ingest_batch *b, size_t from, size_t rows,
                          size_t size, struct db_batch *db)
{
    char lifetime[24];
    size_t n = 0;

    in->params[n++] = db_i64(lifetime, in->worker->ctl->options->report_lifetime_s);
    for (size_t i = from; i < from + rows; i++, n += REPORT_PARAMS)
        memcpy(&in->params[n], b->items[i]->row.params, sizeof(b->items[i]->row.params));
    memset(&in->params[n], 0, (((size_t)1 << size) - rows) * REPORT_PARAMS * sizeof(*in->params));
    n = REPORT_INSERT_PARAMS + REPORT_PARAMS * ((size_t)1 << size);
    db_add(db, &in->inserts[size].stmt, in->params, n);
}

static void batch_send(struct ingest *in, struct ingest_batch *b)
{
    int64_t deadline = b->items[b->n - 1]->deadline_us; /* the last to come has the most time */
    struct db_batch *db = NULL;
    int e = db_begin(in->worker->db, DB_INGEST, NULL, deadline, &db);

    for (size_t at = 0, rows, size; at < b->n && e == 0; at += rows) {
        rows = statement_rows(b, at, &size);
        statement_add(in, b, at, rows, size, db);
    }
    if (e == 0)
        e = db_send(db, on_commit, b);
    if (e == 0)
        in->batches++;
    else
        batch_give_up(in, b, e);
}

/* What must be retried goes first; NULL: out of memory. */
static struct ingest_batch *batch_next(struct ingest *in)
{
    struct ingest_batch *b = in->retries;

    if (b != NULL) {
        in->retries = b->next;
        return b;
    }
    b = calloc(1, sizeof(*b));
    if (b == NULL)
        return NULL;
    b->in = in;
    batch_fill(in, b);
    return b;
}

/* A batch goes out when none is under way, or when it is full. */
static void flush(struct ingest *in)
{
    while (in->batches < INGEST_BATCHES_MAX &&
           (in->retries != NULL ||
            (in->queue.n > 0 && (in->batches == 0 || in->queue.n >= INGEST_BATCH_ROWS)))) {
        struct ingest_batch *b = batch_next(in);
        if (b == NULL) { /* tried again with the next report or commit */
            if (in->batches == 0)
                item_done(in, list_pop(&in->queue), INGEST_FAILED, 0, 0);
            return;
        }
        if (b->n > 0)
            batch_send(in, b);
        else
            free(b);
    }
}

int ingest_new(struct ingest **out, struct worker *w)
{
    struct ingest *in = calloc(1, sizeof(*in));
    bool whole;

    if (in == NULL)
        return -ENOMEM;
    in->worker = w;
    list_init(&in->queue);
    in->params =
        calloc(REPORT_INSERT_PARAMS + INGEST_STATEMENT_ROWS * (size_t)REPORT_PARAMS, sizeof(*in->params));
    whole = in->params != NULL;
    for (size_t i = 0; i < SIZES; i++) {
        struct insert *insert = &in->inserts[i];
        insert->text = report_insert_text((size_t)1 << i);
        snprintf(insert->name, sizeof(insert->name), "berth_report_insert_%d", 1 << i);
        insert->stmt = (struct db_stmt){insert->name, insert->text};
        whole = whole && insert->text != NULL;
    }
    if (!whole) {
        ingest_destroy(in);
        return -ENOMEM;
    }
    *out = in;
    return 0;
}

void ingest_destroy(struct ingest *in)
{
    if (in == NULL)
        return;
    assert(in->rows == 0);
    for (size_t i = 0; i < SIZES; i++)
        free(in->inserts[i].text);
    free(in->params);
    free(in);
}

int ingest_put(struct ingest *in, struct api_request *r, struct report_row *row, ingest_done_cb *done)
{
    struct ingest_item *item;

    if (!db_is_up(in->worker->db, DB_INGEST))
        return -ENOTCONN;
    if (in->rows >= INGEST_QUEUE_ROWS || in->bytes + row->bytes > INGEST_QUEUE_BYTES)
        return -EAGAIN;
    item = calloc(1, sizeof(*item));
    if (item == NULL)
        return -ENOMEM;
    item->request = r;
    item->done = done;
    item->deadline_us = r->deadline_us;
    item->row = *row;
    memset(row, 0, sizeof(*row));
    r->item = item;
    db_wait_begin(&r->waited, in->worker->db);
    in->rows++;
    in->bytes += item->row.bytes;
    list_push(&in->queue, item);
    return 0;
}

void ingest_turn(struct ingest *in)
{
    flush(in);
}

void ingest_detach(struct ingest_item *item)
{
    item->request = NULL;
}
