/* The process: what is shared by all threads (immutable, or made to be shared), and what each worker owns. */
#ifndef BERTH_CONTROLLER_CONTROLLER_H
#define BERTH_CONTROLLER_CONTROLLER_H

#include "calibration.h"
#include "core/limiter.h"
#include "counters.h"
#include "db.h"
#include "events.h"
#include "join_turn.h"
#include "options.h"
#include "predict_judge.h"
#include "snapshot.h"
#include "sys/clock.h"
#include "sys/log.h"

#include <h2o.h>

/* Kinds of snapshots. KEYS: master and admin keys (from files); AUTH: revoked keys and deleted orgs; CATALOGUE:
 * nodes; LINKS: round trips between them, which the catalogue's builder alone takes. */
enum controller_snapshot {
    SNAPSHOT_KEYS,
    SNAPSHOT_AUTH,
    SNAPSHOT_CATALOGUE,
    SNAPSHOT_LINKS,
    CONTROLLER_SNAPSHOTS_MAX
};

enum {
    SNAPSHOT_FRESH_US = 4 * 1000 * 1000, /* older ones serve nobody: a revoked key stops within 5 s */
    SNAPSHOT_PERIOD_US = 1000 * 1000,
};

struct router;
struct ingest;
struct outbox_board;
struct report_cache;
struct reviews;
struct leases;
struct streams;
struct ip_ranges_cache;
struct geo;

struct controller {
    const struct options *options;
    struct log *log;
    struct router *router;
    struct limiter *limiter;     /* NULL: no limits */
    struct limiter *figures;     /* of round trips between an org's mesh nodes and others */
    struct snapshot_slot *slots; /* CONTROLLER_SNAPSHOTS_MAX of them */
    _Atomic int64_t db_up;       /* connections of workers that are up */
    _Atomic int64_t db_served;   /* roles of workers of which a connection is up */
    _Atomic int schema_version;  /* as the control thread last saw it; 0: unknown */
    _Atomic bool keys_fit;       /* the master keys are the database's: until that is known, no key is made */
    _Atomic bool keys_foreign;   /* they are another installation's: the program is to end */
    _Atomic bool partition_now;  /* a report measured now has a partition to go to */
    _Atomic int64_t clock_us;    /* see controller_unix_us; 0: not known yet */
    struct outbox_board *outbox; /* whom there is news for */
    const struct geo *geo;       /* NULL: no countries */
    uint8_t boot_id[8];          /* random: request ids differ between processes */
    struct predict_errors *predict_errors;
    _Atomic int64_t events_open[EVENT_SEVERITIES]; /* as last seen */
    size_t n_workers;
    struct worker *workers;
};

/* One thread: its loop, HTTP context and database connections. */
struct worker {
    h2o_context_t http; /* req->conn->ctx leads back here: see worker_of */
    h2o_loop_t *loop;
    struct controller *ctl;
    struct db *db;
    struct ingest *ingest;             /* reports waiting for their commit */
    struct reviews *reviews;           /* meetings that are decided on again */
    struct join_turns joins;           /* under way or waiting */
    struct report_cache *reports;      /* what joins have read of reports */
    struct leases *leases;             /* seats of nodes in demand */
    struct streams *streams;           /* GET /v1/stream */
    struct events_recent events;       /* that it raised */
    struct ip_ranges_cache *ip_ranges; /* of the cloud; NULL: not asked for yet */
    struct counters counters;
    struct calibration calibration;
    size_t index;
    uint64_t requests; /* for request ids */
};

static inline struct worker *worker_of(h2o_req_t *req)
{
    return H2O_STRUCT_FROM_MEMBER(struct worker, http, req->conn->ctx);
}

/* Unix time as the database has it: the one clock that reports, tokens and tickets end by, whatever the host's time
 * of day is. Before the database has been asked it is the host's. */
static inline int64_t controller_unix_us(const struct controller *ctl)
{
    int64_t ahead_us = atomic_load(&ctl->clock_us);
    return ahead_us != 0 ? clock_mono_us() + ahead_us : clock_wall_us();
}

/* `now_us`: what the database has just said. */
static inline void controller_told_unix_us(struct controller *ctl, int64_t now_us)
{
    atomic_store(&ctl->clock_us, now_us - clock_mono_us());
}

/* What is built from the database, by a thread each; controller/modules.c lists the builders. */
extern const struct snapshot_builder *const controller_builders[];
extern const size_t controller_builders_n;

#endif
