/* Reports of many requests share one commit: a queue per worker, flushed as one transaction when the one before is back. */
#ifndef BERTH_CONTROLLER_INGEST_H
#define BERTH_CONTROLLER_INGEST_H

#include "api.h"
#include "report_store.h"

enum {
    INGEST_BATCH_ROWS = 128,
    INGEST_STATEMENT_ROWS = 64, /* a power of two: the most of one statement */
    INGEST_BATCH_BYTES = 4 * 1024 * 1024,
    INGEST_QUEUE_ROWS = 4096, /* waiting or under way; one more is refused */
    INGEST_QUEUE_BYTES = 64 * 1024 * 1024,
    INGEST_BATCHES_MAX = 4, /* transactions under way */
};

enum ingest_outcome {
    INGEST_NEW,
    INGEST_REPEAT,
    INGEST_UNSURE,
    INGEST_EXPIRED,
    INGEST_FUTURE,
    INGEST_NO_PLACE,
    INGEST_LATE,
    INGEST_FAILED
};
/* The row is committed (or refused). UNSURE: it is there, and whether it was before, the row's own received_at tells: its received_at_us is what
 * a new one has. NO_PLACE: no partition takes it, and none will. LATE: not in time, and FAILED: unknown or not stored; the client shall
 * try again. Runs on the worker's thread. */
typedef void ingest_done_cb(struct api_request *r, enum ingest_outcome outcome, int64_t received_at_us,
                            int64_t expires_at_us);

struct ingest;
struct ingest_item; /* one waiting report */

int ingest_new(struct ingest **out, struct worker *w) __attribute__((warn_unused_result));
/* After db_destroy: nothing may be under way. NULL is fine. */
void ingest_destroy(struct ingest *in);
/* Takes over the row on success. 0, -ENOTCONN (no database), -EAGAIN (queue full), -ENOMEM. r->item is set until the callback;
 * a request that goes before calls ingest_detach, and the callback isn't called. */
int ingest_put(struct ingest *in, struct api_request *r, struct report_row *row, ingest_done_cb *done)
    __attribute__((warn_unused_result));
/* Once a turn of the loop, when it has read what there was: what came together goes out together. */
void ingest_turn(struct ingest *in);
/* The one who waits has gone: the report is written all the same. */
void ingest_detach(struct ingest_item *item);

#endif
