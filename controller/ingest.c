/* Group commit of reports. Invariant: an item is in exactly one place: the queue, or one batch, which is under way or to be retried; it
 * leaves through item_done and nowhere else. */
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

struct ingest {
    struct worker *worker;
    struct list queue;
    struct ingest_batch *retries; /* parts of batches that failed */
    size_t rows, bytes;           /* in all places */
    size_t batches;               /* under way */
};

struct ingest_batch {
    struct ingest *in;
    struct ingest_batch *next; /* of in->retries */
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
    if (outcome == INGEST_NEW)
        counter_add(&in->worker->counters, reports_new, 1);
    else if (outcome == INGEST_REPEAT)
        counter_add(&in->worker->counters, reports_repeat, 1);
    else if (outcome == INGEST_FAILED)
        counter_add(&in->worker->counters, reports_failed, 1);
    else
        counter_add(&in->worker->counters, reports_refused, 1);
    if (r == NULL)
        return;
    r->item = NULL;
    done(r, outcome, received_us, expires_us);
}

static void item_result(struct ingest *in, struct ingest_item *item, const PGresult *res)
{
    static const char *const names[] = {"new", "repeat", "expired", "future"};
    enum ingest_outcome outcome = INGEST_FAILED;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && PQntuples(res) == 1; i++)
        if (strcmp(db_get(res, 0, 0), names[i]) == 0)
            outcome = (enum ingest_outcome)i;
    if (outcome == INGEST_FAILED)
        item_done(in, item, INGEST_FAILED, 0, 0);
    else
        item_done(in, item, outcome, db_get_i64(res, 0, 1), db_get_i64(res, 0, 2));
}

static void flush(struct ingest *in);

static void batch_give_up(struct ingest *in, struct ingest_batch *b)
{
    for (size_t i = 0; i < b->n; i++)
        item_done(in, b->items[i], INGEST_FAILED, 0, 0);
    free(b);
}

/* Rows `from` to `to` of a batch are to be tried again. */
static void retry_part(struct ingest *in, const struct ingest_batch *b, size_t from, size_t to)
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
    part->n = to - from;
    memcpy(part->items, &b->items[from], part->n * sizeof(part->items[0]));
    part->next = in->retries;
    in->retries = part;
    counter_add(&in->worker->counters, report_retries, part->n);
}

/* Where a row's own data is at fault (classes 22 and 23) it is told, and what was before and behind it is tried again; else the
 * transaction met with something that passes, or that only a part of it meets: it is tried again by halves. */
static void batch_failed(struct ingest *in, const struct ingest_batch *b, const struct db_result *result)
{
    bool refused = result->error == -ECANCELED;
    bool data = refused && result->failed < b->n &&
                (strncmp(result->sqlstate, "22", 2) == 0 || strncmp(result->sqlstate, "23", 2) == 0);
    bool homeless =
        data && strcmp(result->sqlstate, "23514") == 0 && atomic_load(&in->worker->ctl->partition_now);

    if (refused)
        log_event(in->worker->ctl->log, LOG_WARN, "ingest", "commit_failed", LOG_I("reports", b->n),
                  LOG_S("sqlstate", result->sqlstate), LOG_S("error", result->message));
    if (data) {
        item_done(in, b->items[result->failed], homeless ? INGEST_NO_PLACE : INGEST_FAILED, 0, 0);
        retry_part(in, b, result->failed + 1, b->n);
        retry_part(in, b, 0, result->failed);
    } else if (refused && b->n > 1) {
        retry_part(in, b, b->n / 2, b->n);
        retry_part(in, b, 0, b->n / 2);
    } else {
        for (size_t i = 0; i < b->n; i++)
            item_done(in, b->items[i], INGEST_FAILED, 0, 0);
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
    for (size_t i = 0; i < b->n && result->error == 0; i++)
        item_result(in, b->items[i], i < result->n ? result->res[i] : NULL);
    free(b);
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
            item_done(in, item, INGEST_FAILED, 0, 0);
            continue;
        }
        bytes += item->row.bytes;
        b->items[b->n++] = item;
    }
}

static void batch_send(struct ingest *in, struct ingest_batch *b)
{
    int64_t deadline = b->items[b->n - 1]->deadline_us; /* the last to come has the most time */
    struct db_batch *db = NULL;
    int e = db_begin(in->worker->db, DB_INGEST, NULL, deadline, &db);

    for (size_t i = 0; i < b->n && e == 0; i++)
        db_add(db, &report_insert_stmt, b->items[i]->row.params, b->items[i]->row.n_params);
    if (e == 0)
        e = db_send(db, on_commit, b);
    if (e == 0)
        in->batches++;
    else
        batch_give_up(in, b);
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

    if (in == NULL)
        return -ENOMEM;
    in->worker = w;
    list_init(&in->queue);
    *out = in;
    return 0;
}

void ingest_destroy(struct ingest *in)
{
    assert(in == NULL || in->rows == 0);
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
    in->rows++;
    in->bytes += item->row.bytes;
    list_push(&in->queue, item);
    flush(in);
    return 0;
}

void ingest_detach(struct ingest_item *item)
{
    item->request = NULL;
}
