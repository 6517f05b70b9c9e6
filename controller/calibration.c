/* How far placement's figures are from calls'. Invariant: a node's id is written before it is counted, so whoever
 * reads the page while another thread adds sees whole lines. */
#include "calibration.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool calibration_error(const struct call_stretch *c, int64_t *error_us)
{
    if (c->expected.rtt_us == NOT_MEASURED || c->expected.transport != c->transport)
        return false;
    *error_us = c->rtt_min_us - c->expected.rtt_us;
    return true;
}

/* ---- adding ---- */

static struct calibration_node *line_of(struct calibration *k, const char *node)
{
    size_t n = atomic_load_explicit(&k->n, memory_order_relaxed);

    for (size_t i = 1; node != NULL && i <= n; i++) {
        if (strcmp(k->nodes[i].id, node) == 0)
            return &k->nodes[i];
    }
    if (node == NULL || n == CALIBRATION_NODES_MAX)
        return &k->nodes[0];
    snprintf(k->nodes[n + 1].id, sizeof(k->nodes[0].id), "%s", node);
    atomic_store_explicit(&k->n, n + 1, memory_order_release);
    return &k->nodes[n + 1];
}

static void add(_Atomic uint64_t *to, int64_t v)
{
    atomic_fetch_add_explicit(to, (uint64_t)v, memory_order_relaxed);
}

void calibration_add(struct calibration *k, const char *node, const struct call_stretch *c)
{
    struct calibration_cell *cell = &line_of(k, node)->of[c->transport];
    int64_t error;

    add(&cell->told, 1);
    if (!calibration_error(c, &error)) {
        add(&cell->elsewhere, c->expected.rtt_us != NOT_MEASURED);
        return;
    }
    add(&cell->compared, 1);
    add(error >= 0 ? &cell->longer_us : &cell->shorter_us, llabs(error));
    predict_error_add(&k->error[c->expected.predicted], llabs(error));
}

/* ---- the page ---- */

struct line {
    const char *id;
    enum transport transport;
    uint64_t told, compared, elsewhere, longer_us, shorter_us;
};

static uint64_t read(const _Atomic uint64_t *v)
{
    return atomic_load_explicit(v, memory_order_relaxed);
}

static size_t collect(const struct calibration *k, struct line *out)
{
    size_t n = 0, last = atomic_load_explicit(&k->n, memory_order_acquire);

    for (size_t i = 0; i <= last; i++) {
        for (unsigned t = 0; t < TRANSPORT_COUNT; t++) {
            const struct calibration_cell *c = &k->nodes[i].of[t];

            if (read(&c->told) > 0)
                out[n++] = (struct line){.id = i > 0 ? k->nodes[i].id : CALIBRATION_OTHER,
                                         .transport = (enum transport)t,
                                         .told = read(&c->told),
                                         .compared = read(&c->compared),
                                         .elsewhere = read(&c->elsewhere),
                                         .longer_us = read(&c->longer_us),
                                         .shorter_us = read(&c->shorter_us)};
        }
    }
    return n;
}

static int order(const void *a, const void *b)
{
    const struct line *x = a, *y = b;
    int by_id = strcmp(x->id, y->id);

    return by_id != 0 ? by_id : (int)x->transport - (int)y->transport;
}

/* Sorted, the same line of several workers becomes one. */
static size_t fold(struct line *l, size_t n)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++) {
        if (kept == 0 || order(&l[kept - 1], &l[i]) != 0) {
            l[kept++] = l[i];
            continue;
        }
        l[kept - 1].told += l[i].told;
        l[kept - 1].compared += l[i].compared;
        l[kept - 1].elsewhere += l[i].elsewhere;
        l[kept - 1].longer_us += l[i].longer_us;
        l[kept - 1].shorter_us += l[i].shorter_us;
    }
    return kept;
}

static void sample(struct metrics_text *m, const char *family, const struct line *l, const char *more,
                   double v)
{
    char id[2 * NODE_ID_MAX + 1], labels[2 * NODE_ID_MAX + 80];

    metrics_escape(l->id, id, sizeof(id));
    snprintf(labels, sizeof(labels), "node=\"%s\",transport=\"%s\"%s", id, transport_name(l->transport),
             more);
    metrics_sample(m, family, labels, v);
}

static void write_lines(const struct line *l, size_t n, struct metrics_text *m)
{
    metrics_family(m, "berth_calls_told_total", METRIC_COUNTER,
                   "Calls, or stretches of them, that agents told of.");
    for (size_t i = 0; i < n; i++)
        sample(m, "berth_calls_told_total", &l[i], "", (double)l[i].told);
    metrics_family(m, "berth_calls_elsewhere_total", METRIC_COUNTER,
                   "Of these, those that came up over another transport than was counted on.");
    for (size_t i = 0; i < n; i++)
        sample(m, "berth_calls_elsewhere_total", &l[i], "", (double)l[i].elsewhere);
    metrics_family(m, "berth_calls_compared_total", METRIC_COUNTER,
                   "Of these, those whose round trip is compared with what placement counted on.");
    for (size_t i = 0; i < n; i++)
        sample(m, "berth_calls_compared_total", &l[i], "", (double)l[i].compared);
    metrics_family(m, "berth_calls_rtt_off_ms_total", METRIC_COUNTER,
                   "By how much round trips in calls were longer or shorter than that.");
    for (size_t i = 0; i < n; i++) {
        sample(m, "berth_calls_rtt_off_ms_total", &l[i], ",by=\"longer\"", (double)l[i].longer_us / 1000);
        sample(m, "berth_calls_rtt_off_ms_total", &l[i], ",by=\"shorter\"", (double)l[i].shorter_us / 1000);
    }
}

static void write_errors(struct calibration *const *all, size_t n, struct metrics_text *m)
{
    static const char *const labels[2] = {"counted_on=\"report\"", "counted_on=\"prediction\""};

    metrics_family(m, "berth_calls_rtt_error_ms", METRIC_HISTOGRAM,
                   "How far round trips in calls were from what placement counted on.");
    for (size_t by = 0; by < 2; by++) {
        struct predict_error sum = {0};

        for (size_t i = 0; i < n; i++)
            predict_error_join(&sum, &all[i]->error[by]);
        predict_error_write(&sum, "berth_calls_rtt_error_ms", labels[by], m);
    }
}

void calibration_write(struct calibration *const *all, size_t n, struct metrics_text *m)
{
    struct line *lines = calloc(n * (CALIBRATION_NODES_MAX + 1) * TRANSPORT_COUNT + 1, sizeof(*lines));
    size_t found = 0;

    write_errors(all, n, m);
    for (size_t i = 0; i < n && lines != NULL; i++)
        found += collect(all[i], lines + found);
    if (lines != NULL)
        qsort(lines, found, sizeof(*lines), order);
    if (lines != NULL)
        write_lines(lines, fold(lines, found), m);
    free(lines);
}
