/* Keeping a path open and knowing that it is: a STUN request at a steady interval, sooner where the last one was not
 * answered, and the verdict that the path is lost. Pure: times and bytes in, bytes and the next deadline out. */
#ifndef BERTH_PATH_KEEPALIVE_H
#define BERTH_PATH_KEEPALIVE_H

#include "probe/prober_stats.h"
#include "probe/prober_txid.h"

enum {
    KEEPALIVE_MS = 5000,                 /* by default; a pinhole of 30 s stays open with five of six lost */
    KEEPALIVE_LEAST_MS = 100,            /* between any two requests, and so the least interval */
    KEEPALIVE_MOST_MS = 25000,           /* the longest interval */
    KEEPALIVE_RETRY_US = 1000 * 1000,    /* a request is sent again after this silence ... */
    KEEPALIVE_LOST_US = 8 * 1000 * 1000, /* ... and the path is lost after this long without any answer */
    KEEPALIVE_FLIGHT = KEEPALIVE_LOST_US / (KEEPALIVE_LEAST_MS * 1000) + 1, /* more can't be waited for */
    KEEPALIVE_RTTS = 64, /* the newest that count for the figures */
};

struct keepalive {
    uint8_t seed[PROBER_SEED_LEN];
    int64_t interval_us;
    int64_t send_us;    /* the next request */
    int64_t last_us;    /* the one before */
    int64_t hurried_us; /* when keepalive_hurry was called last */
    int64_t
        answered_us; /* when the newest request that was answered was sent; before the first the beginning */
    int64_t silent_since_us; /* the first request that nothing answered yet; PROBER_NEVER: none */
    uint32_t next;
    struct {
        uint32_t number;
        bool waiting;
        int64_t sent_us;
    } flight[KEEPALIVE_FLIGHT];
    int64_t sent, received;
    int64_t rtt_us[KEEPALIVE_RTTS], last_rtt_us; /* NOT_MEASURED: none yet */
    size_t n_rtts;                               /* ever */
    struct addr mapped;                          /* of the newest answer */
};

/* The path has just been heard of. */
void keepalive_start(struct keepalive *k, const uint8_t seed[static PROBER_SEED_LEN], int64_t interval_us,
                     const struct addr *mapped, int64_t now_us);
/* True where a request is due: it is in `out`. keepalive_sent follows if the very moment is known. */
bool keepalive_next(struct keepalive *k, int64_t now_us, uint8_t out[static PROBER_MESSAGE_LEN]);
void keepalive_sent(struct keepalive *k, int64_t sent_us);
/* Asks as soon as it may: the network may have changed. */
void keepalive_hurry(struct keepalive *k, int64_t now_us);
/* Has a request been answered that was sent since? */
bool keepalive_stands(const struct keepalive *k);
/* Is it an answer to one of the requests? What else comes over the path is not for us. */
bool keepalive_heard(struct keepalive *k, const uint8_t *bytes, size_t len, int64_t now_us);
bool keepalive_lost(const struct keepalive *k, int64_t now_us);
int64_t keepalive_deadline(const struct keepalive *k);
/* Requests that were not answered, those on their way left out. */
int64_t keepalive_missing(const struct keepalive *k, int64_t now_us);
/* Of the newest round trips; false: there was none. */
bool keepalive_rtt(const struct keepalive *k, struct rtt_stats *out);

#endif
