/* Latencies in log buckets. Invariant: the buckets' counts add up to n, and each value's bucket holds it between two
 * powers of two, cut into 1 << HISTOGRAM_PARTS_BITS equal parts (values below that have a bucket each). */
#include "histogram.h"

#include <inttypes.h>
#include <stdio.h>

enum { PARTS = 1 << HISTOGRAM_PARTS_BITS };

static size_t bucket_of(int64_t us)
{
    uint64_t v = (uint64_t)us;
    if (v >= UINT64_C(1) << HISTOGRAM_BITS)
        return HISTOGRAM_BUCKETS - 1;
    if (v < PARTS)
        return (size_t)v;
    unsigned shift = 63 - HISTOGRAM_PARTS_BITS - (unsigned)__builtin_clzll(v);
    return (size_t)shift * PARTS + (size_t)(v >> shift);
}

/* The greatest value that the bucket holds. */
static int64_t top_of(size_t bucket)
{
    if (bucket < 2 * PARTS)
        return (int64_t)bucket;
    unsigned shift = (unsigned)(bucket / PARTS) - 1;
    return (int64_t)(((uint64_t)(bucket - (size_t)shift * PARTS) + 1) << shift) - 1;
}

void histogram_add(struct histogram *h, int64_t us)
{
    if (us < 0)
        us = 0;
    if (h->n == 0 || us < h->min_us)
        h->min_us = us;
    if (us > h->max_us)
        h->max_us = us;
    h->n++;
    h->sum_us += (double)us;
    h->bucket[bucket_of(us)]++;
}

void histogram_merge(struct histogram *h, const struct histogram *other)
{
    if (other->n == 0)
        return;
    if (h->n == 0 || other->min_us < h->min_us)
        h->min_us = other->min_us;
    if (other->max_us > h->max_us)
        h->max_us = other->max_us;
    h->n += other->n;
    h->sum_us += other->sum_us;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
        h->bucket[i] += other->bucket[i];
}

int64_t histogram_quantile(const struct histogram *h, double share)
{
    double wanted = share * (double)h->n - 1e-6; /* what a product of the two may be beside a whole number */
    uint64_t seen = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->bucket[i];
        if (seen > 0 && (double)seen >= wanted) {
            int64_t top = top_of(i);
            return i == HISTOGRAM_BUCKETS - 1 || top > h->max_us ? h->max_us : top;
        }
    }
    return h->max_us;
}

double histogram_mean_us(const struct histogram *h)
{
    return h->n > 0 ? h->sum_us / (double)h->n : 0;
}

void histogram_json(const struct histogram *h, char out[static HISTOGRAM_TEXT_LEN])
{
    if (h->n == 0)
        snprintf(out, HISTOGRAM_TEXT_LEN, "{\"n\": 0}");
    else
        snprintf(out, HISTOGRAM_TEXT_LEN,
                 "{\"n\": %" PRIu64 ", \"mean_us\": %.1f, \"min_us\": %" PRId64 ", \"p50_us\": %" PRId64
                 ", \"p90_us\": %" PRId64 ", \"p99_us\": %" PRId64 ", \"p999_us\": %" PRId64
                 ", \"max_us\": %" PRId64 "}",
                 h->n, histogram_mean_us(h), h->min_us, histogram_quantile(h, 0.5),
                 histogram_quantile(h, 0.9), histogram_quantile(h, 0.99), histogram_quantile(h, 0.999),
                 h->max_us);
}

void histogram_text(const struct histogram *h, char out[static HISTOGRAM_TEXT_LEN])
{
    if (h->n == 0)
        snprintf(out, HISTOGRAM_TEXT_LEN, "none");
    else
        snprintf(out, HISTOGRAM_TEXT_LEN,
                 "p50 %.2f ms, p90 %.2f ms, p99 %.2f ms, p99.9 %.2f ms, most %.2f ms",
                 (double)histogram_quantile(h, 0.5) / 1000, (double)histogram_quantile(h, 0.9) / 1000,
                 (double)histogram_quantile(h, 0.99) / 1000, (double)histogram_quantile(h, 0.999) / 1000,
                 (double)h->max_us / 1000);
}
