/* When to probe and when to deliver. Pure: times in, times out; randomness from its own generator. Times are monotonic
 * microseconds. */
#ifndef BERTH_AGENT_SCHEDULE_H
#define BERTH_AGENT_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#define SCHEDULE_NEVER INT64_MAX

enum {
    SCHEDULE_SETTLE_US = 2 * 1000 * 1000,      /* quiet for so long after a change of the network ... */
    SCHEDULE_SETTLE_MAX_US = 15 * 1000 * 1000, /* ... but no later than this after its first sign */
    SCHEDULE_BACKOFF_US = 1000 * 1000,         /* the first pause after a failure; it doubles */
    SCHEDULE_BACKOFF_MAX_US = 300 * 1000 * 1000,
    SCHEDULE_WALL_CHECK_US = 300 * 1000 * 1000, /* how often the wall clock is asked, while watching */
};

/* The quiet after a change of the network: one look at the end of a burst of signs. */
struct settle {
    int64_t at_us, since_us;
};
void settle_init(struct settle *s);
/* False: it was unsettled already. */
bool settle_changed(struct settle *s, int64_t now_us);
bool settle_done(struct settle *s, int64_t now_us); /* true once */

struct schedule {
    uint64_t random;
    bool watching;
    int64_t probe_at_us;
    int64_t wall_check_at_us; /* the monotonic clock stands still while the machine sleeps */
    int64_t overdue_wall_us;  /* Unix time after which the next probe is late */
    struct settle settle;
    int64_t deliver_at_us, valid_until_us; /* of the kept report */
    unsigned fetch_failures, delivery_failures;
};

void schedule_init(struct schedule *s, uint64_t seed);
/* Watching begins with a probe at once. Ending it leaves a kept report to be delivered. */
void schedule_watch(struct schedule *s, bool on, int64_t now_us);
void schedule_network_changed(struct schedule *s, int64_t now_us);
/* True once a change has settled: look whether the network is another one. */
bool schedule_settled(struct schedule *s, int64_t now_us);
/* True once when it is time to probe; schedule_probed or schedule_fetch_failed follows. */
bool schedule_probe_due(struct schedule *s, int64_t now_us);
void schedule_probe_now(struct schedule *s, int64_t now_us);
/* The next probe is at a random moment in the last quarter of reprobe_after. `wall_us`: Unix time. */
void schedule_probed(struct schedule *s, int64_t reprobe_after_us, int64_t now_us, int64_t wall_us);
/* To be called whenever something happens, and at the deadline: a machine that slept past the time probes when it wakes. */
void schedule_wall(struct schedule *s, int64_t now_us, int64_t wall_us);
/* `retry_after_us`: what the server asked for, or 0. Returns the pause, or SCHEDULE_NEVER where nothing watches. */
int64_t schedule_fetch_failed(struct schedule *s, int64_t retry_after_us, int64_t now_us);

/* A report is to be delivered now, and to be kept until then if that fails. */
void schedule_keep(struct schedule *s, int64_t valid_until_us, int64_t now_us);
bool schedule_delivery_due(struct schedule *s, int64_t now_us);
void schedule_deliver_now(struct schedule *s, int64_t now_us); /* if one is kept */
void schedule_delivered(struct schedule *s);                   /* or given up */
/* The pause until the next try, or SCHEDULE_NEVER: it would be too late, give it up. */
int64_t schedule_delivery_failed(struct schedule *s, int64_t retry_after_us, int64_t now_us);

/* A pause that doubles with each failure, and counts this one; with jitter, and no shorter than asked for. */
int64_t schedule_backoff(struct schedule *s, unsigned *failures, int64_t retry_after_us);
int64_t schedule_random(struct schedule *s, int64_t low, int64_t high);

int64_t schedule_deadline(const struct schedule *s);

#endif
