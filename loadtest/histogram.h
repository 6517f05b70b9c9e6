/* Latencies in buckets whose width grows with the value: each is at most 1/64 of what is in it, from a microsecond
 * to twelve days. Pure, and of a fixed size; one thread at a time. A zeroed one is empty. */
#ifndef BERTH_LOADTEST_HISTOGRAM_H
#define BERTH_LOADTEST_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

enum {
    HISTOGRAM_PARTS_BITS = 6, /* 64 buckets for each power of two */
    HISTOGRAM_BITS = 40,      /* what is 2^40 us and more is in the last bucket */
    HISTOGRAM_BUCKETS = (HISTOGRAM_BITS - HISTOGRAM_PARTS_BITS + 1) << HISTOGRAM_PARTS_BITS,
    HISTOGRAM_TEXT_LEN = 256,
};

struct histogram {
    uint64_t n;
    int64_t min_us, max_us; /* exact; 0 where n is */
    double sum_us;
    uint64_t bucket[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *h, int64_t us); /* what is below 0 counts as 0 */
void histogram_merge(struct histogram *h, const struct histogram *other);
/* The least value that `share` (0 to 1) of all are at or below: the upper end of its bucket, but no more than the
 * greatest. 0: none. */
int64_t histogram_quantile(const struct histogram *h, double share);
double histogram_mean_us(const struct histogram *h);

/* {"n": 2, "mean_us": 1.5, "min_us": 1, "p50_us": 1, "p90_us": 2, "p99_us": 2, "p999_us": 2, "max_us": 2}, in which
 * an empty one has nothing but "n". */
void histogram_json(const struct histogram *h, char out[static HISTOGRAM_TEXT_LEN]);
/* The same for people, in milliseconds: "p50 1.20 ms, p90 ..."; "none" where there is none. */
void histogram_text(const struct histogram *h, char out[static HISTOGRAM_TEXT_LEN]);

#endif
