/* The outbox (schema/0005): what agents are told through GET /v1/stream. Who decides something puts it there with the very
 * transaction that keeps the decision, and says so once that is committed:
 *
 *     db_add(b, &keep_stmt, ...);                  the decision; see outbox_add where it depends on a condition
 *     outbox_add(b, pool, org, events, n);         what is told of it
 *     api_db_send(r, b, kept);
 *     ... in kept(), once it has been committed:
 *     outbox_tell(r->ctl->outbox, org, events, n);
 *
 * Nothing else is to be done: whichever controllers and threads have streams of these agents read it from the database. */
#ifndef BERTH_CONTROLLER_OUTBOX_H
#define BERTH_CONTROLLER_OUTBOX_H

#include "db.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUTBOX_CHANNEL "berth_outbox"

enum {
    OUTBOX_NEWS_MAX = 400,            /* agents named in one NOTIFY; with more it speaks of all */
    OUTBOX_NEWS_TEXT = 16 * 400 + 1,  /* PostgreSQL takes 7999 bytes */
    OUTBOX_NEWS_PAUSE_US = 50 * 1000, /* between two NOTIFYs of one controller */
    OUTBOX_DROP_MAX = 5000,           /* events dropped at once, in a fraction of a statement's time */
    OUTBOX_DROPS_MAX = 20,            /* ... and so often in a turn */
};

/* ---- putting ---- */

/* `kind`: "assignment" (the participant was moved by somebody else's join, a node's end or the like; who asks gets
 * an answer and needs no event) or "probe". `body`: the event's data, a JSON object as text. Of an assignment: what
 * the answer to a join is, with "meeting" besides, and in "why" the reason for the move. It is stored for an hour or
 * so, so it holds no secret. Where it is larger than 32 KiB, why/candidates is left out. */
struct outbox_event {
    const char *agent, *kind, *body;
};

/* Adds one statement to a batch of this org (of a tenant's role), with nothing to tell none, so who moves nobody pays
 * nothing. Where an earlier statement of the batch may come to nothing without failing, as a conditional update does, it
 * says so by OUTBOX_VOID: then nothing is put. Its result is one more in db_result, and may be ignored. Any order of
 * agents is fine. */
void outbox_add(struct db_batch *b, h2o_mem_pool_t *pool, const char *org, const struct outbox_event *v,
                size_t n);
#define OUTBOX_VOID     "set_config('berth.outbox_void', '1', true)"
#define OUTBOX_NOT_VOID "coalesce(current_setting('berth.outbox_void', true), '') <> '1'"

struct outbox_board;
/* They have been committed. Any thread. Too often does no harm; never, and they come some seconds later. */
void outbox_tell(struct outbox_board *b, const char *org, const struct outbox_event *v, size_t n);

/* ---- what a NOTIFY says: pure. News may be too many and never too few: who hears them looks into the database. ---- */

struct outbox_news {
    bool all;
    size_t n;
    uint64_t agents[OUTBOX_NEWS_MAX]; /* hashes; two agents may share one */
};

uint64_t outbox_agent_hash(const char *org, const char *agent);
void outbox_news_add(struct outbox_news *n, uint64_t agent);
void outbox_news_merge(struct outbox_news *n, const struct outbox_news *more);
bool outbox_news_empty(const struct outbox_news *n);
/* 16 hex digits an agent, or "*". */
void outbox_news_write(const struct outbox_news *n, char text[static OUTBOX_NEWS_TEXT]);
/* What can't be read speaks of all: another version may have written it. */
void outbox_news_read(struct outbox_news *n, const char *text);

/* ---- between threads ---- */

/* One a controller; outlives its threads. */
int outbox_board_new(struct outbox_board **out) __attribute__((warn_unused_result));
void outbox_board_destroy(struct outbox_board *b); /* NULL is fine */

/* The control thread's: readable while there is something to take. */
int outbox_board_fd(const struct outbox_board *b);
bool outbox_board_take(struct outbox_board *b, struct outbox_news *out);       /* false: nothing */
void outbox_board_return(struct outbox_board *b, const struct outbox_news *n); /* could not be sent */
void outbox_board_hear(struct outbox_board *b, const struct outbox_news *n);   /* calls every listener */

/* A worker's, in its own memory. `hear` runs on the control thread and only passes on; never after outbox_board_leave. */
struct outbox_listener {
    void (*hear)(struct outbox_listener *l, const struct outbox_news *n);
    struct outbox_listener *next;
};
void outbox_board_join(struct outbox_board *b, struct outbox_listener *l);
void outbox_board_leave(struct outbox_board *b, struct outbox_listener *l);

#endif
