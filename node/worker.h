/* One thread that serves: a loop, its own sockets of every address, its streams and its counters. */
#ifndef BERTH_NODE_WORKER_H
#define BERTH_NODE_WORKER_H

#include "limits.h"
#include "media/exchange.h"
#include "media/figures.h"
#include "media/keys.h"
#include "sockets.h"
#include "stats.h"

#include <h2o.h>

struct worker;

/* What may change while it runs. */
struct worker_settings {
    int64_t stun_rate, stun_rate_prefix;
    int64_t first_timeout_ms, idle_timeout_ms;
};

struct worker_opts {
    struct thread_sockets *sockets; /* taken: each descriptor becomes -1 */
    const struct node_addresses *bound;
    struct node_behaviour behaviour;
    const struct addr *alternate; /* the two addresses of `behaviour`, where that is on */
    int *metrics_fd;              /* taken too; NULL or -1: none on this thread */
    h2o_globalconf_t *http;       /* on the TCP and TLS addresses; immutable from now on, as is the next */
    h2o_globalconf_t *http_metrics;
    h2o_handler_t *websocket; /* of `http` */
    struct tls_server *tls;   /* NULL where no TLS address is bound */
    struct limits_table *limits;
    struct listener_sources *sources; /* or NULL */
    struct listener_budget *budget;   /* of all but the metrics */
    struct media_exchange *media;     /* NULL: no media */
    uint8_t thread;                   /* this one's number in it */
    int64_t handshake_timeout_us;
    int64_t max_open; /* for each listener of this thread */
    struct worker_settings settings;
    struct log *log;
};

/* Starts the thread. Everything in opts outlives it. */
int worker_start(struct worker **out, const struct worker_opts *opts) __attribute__((warn_unused_result));
void worker_set(struct worker *w, const struct worker_settings *s);
/* New keys for tickets: held by the callee. */
void worker_set_media_plan(struct worker *w, struct media_plan_held *plan); /* held by the callee */
void worker_set_media_keys(struct worker *w, struct media_keys *keys);
/* Nobody new is admitted, and sessions are asked to go elsewhere; or no longer. */
void worker_drain_media(struct worker *w, bool on);
/* Who is still there then has had the time to go: ends as `drained`. */
void worker_end_media(struct worker *w);
/* Stops accepting; open connections live on, and UDP is answered. */
void worker_drain(struct worker *w);
/* Ends everything, joins. The counters may be read until worker_destroy. */
void worker_stop(struct worker *w);
void worker_destroy(struct worker *w);

/* Any thread. */
int64_t worker_open_connections(const struct worker *w);
int64_t
worker_alive_us(const struct worker *w); /* when its loop last turned; it does so at least every second */
void worker_totals(const struct worker *w, struct node_totals *counters, struct listener_totals *tcp,
                   struct listener_totals *tls);
/* Adds the media sessions by carrier. */
void worker_sessions(const struct worker *w, int64_t total[static MEDIA_CARRIERS]);

#endif
