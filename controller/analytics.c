/* Analytics' arithmetic. Invariant: an item stands for at least one row, and a figure of it for at least one that has it. */
#include "analytics.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- figures of many ---- */

static int by_value(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

/* The nearest rank, as PostgreSQL's percentile_disc; sorts. n >= 1. */
static int64_t percentile(int64_t *v, size_t n, unsigned pct)
{
    size_t rank = (n * pct + 99) / 100;

    qsort(v, n, sizeof(*v), by_value);
    return v[rank > 0 ? rank - 1 : 0];
}

static int64_t sum(const int64_t *v, size_t n)
{
    int64_t total = 0;

    for (size_t i = 0; i < n; i++)
        total += v[i];
    return total;
}

/* ---- calls ---- */

static int by_node(const void *a, const void *b)
{
    const struct analytics_call *x = a, *y = b;
    int order = strcmp(x->node, y->node);

    return order != 0 ? order : (int)x->transport - (int)y->transport;
}

/* What the calls of one node and transport have: `v` has room for n. */
static json_t *error_json(const struct analytics_call *c, size_t n, int64_t *v, size_t *compared,
                          size_t *elsewhere)
{
    int64_t mean;

    *compared = *elsewhere = 0;
    for (size_t i = 0; i < n; i++) {
        if (c[i].expected.rtt_us == NOT_MEASURED)
            continue;
        if (c[i].expected.transport != c[i].transport)
            ++*elsewhere;
        else
            v[(*compared)++] = c[i].rtt_us - c[i].expected.rtt_us;
    }
    if (*compared == 0)
        return NULL;
    mean = sum(v, *compared) / (int64_t)*compared;
    for (size_t i = 0; i < *compared; i++)
        v[i] = llabs(v[i]);
    return json_pack("{s:I, s:I, s:I, s:I}", "mean", (json_int_t)mean, "mean_abs",
                     (json_int_t)(sum(v, *compared) / (int64_t)*compared), "median_abs",
                     (json_int_t)percentile(v, *compared, 50), "p95_abs",
                     (json_int_t)percentile(v, *compared, 95));
}

static void set_loss(json_t *item, const struct analytics_call *c, size_t n)
{
    int64_t received = 0, lost = 0;

    for (size_t i = 0; i < n; i++) {
        if (c[i].received < 0 || c[i].lost < 0)
            continue;
        received += c[i].received;
        lost += c[i].lost;
    }
    if (received + lost > 0)
        (void)json_object_set_new(item, "loss", json_real((double)lost / (double)(received + lost)));
}

static json_t *call_json(const struct analytics_call *c, size_t n, int64_t *v)
{
    size_t compared, elsewhere;
    json_t *error = error_json(c, n, v, &compared, &elsewhere);
    int64_t seconds = 0, median, p95;
    json_t *item;

    for (size_t i = 0; i < n; i++) {
        seconds += c[i].seconds;
        v[i] = c[i].rtt_us;
    }
    median = percentile(v, n, 50);
    p95 = percentile(v, n, 95);
    item = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:{s:I, s:I, s:I}}", "node", c->node, "transport",
                     transport_name(c->transport), "calls", (json_int_t)n, "seconds", (json_int_t)seconds,
                     "compared", (json_int_t)compared, "elsewhere", (json_int_t)elsewhere, "rtt_us", "min",
                     (json_int_t)v[0], "median", (json_int_t)median, "p95", (json_int_t)p95);
    if (error != NULL)
        (void)json_object_set_new(item, "error_us", error);
    if (item != NULL)
        set_loss(item, c, n);
    return item;
}

json_t *analytics_calls(struct analytics_call *calls, size_t n)
{
    json_t *items = json_array();
    int64_t *v = calloc(n + 1, sizeof(*v));

    if (v == NULL) {
        json_decref(items);
        return NULL;
    }
    qsort(calls, n, sizeof(*calls), by_node);
    for (size_t i = 0, next; i < n; i = next) {
        for (next = i + 1; next < n && by_node(&calls[i], &calls[next]) == 0; next++)
            ;
        (void)json_array_append_new(items, call_json(&calls[i], next - i, v));
    }
    free(v);
    return items;
}
