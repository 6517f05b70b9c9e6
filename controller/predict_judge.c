/* From predictions that were kept to a histogram for each source. Invariant: each is judged once, by whichever
 * controller took its row. */
#include "predict_judge.h"

#include "db.h"

#include <errno.h>
#include <stdio.h>

enum { JUDGE_MAX = 500 }; /* looked at in one turn: those that were not for longest */

static const int64_t bounds_ms[PREDICT_BUCKETS - 1] = {1, 2, 5, 10, 20, 50, 100, 200};

void predict_error_add(struct predict_error *e, int64_t error_us)
{
    size_t i = 0;

    if (error_us < 0) {
        atomic_fetch_add_explicit(&e->unreached, 1, memory_order_relaxed);
        return;
    }
    while (i < PREDICT_BUCKETS - 1 && error_us > bounds_ms[i] * 1000)
        i++;
    atomic_fetch_add_explicit(&e->bucket[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&e->sum_us, (uint64_t)error_us, memory_order_relaxed);
}

void predict_error_join(struct predict_error *e, const struct predict_error *more)
{
    for (size_t i = 0; i < PREDICT_BUCKETS; i++)
        e->bucket[i] += atomic_load_explicit(&more->bucket[i], memory_order_relaxed);
    e->sum_us += atomic_load_explicit(&more->sum_us, memory_order_relaxed);
}

int predict_judge(struct predict_errors *e, struct db_sync *db, int64_t lifetime_s)
{
    char at_most[24], lifetime[24];
    const char *params[2] = {at_most, lifetime};
    PGresult *res;

    (void)db_i64(at_most, JUDGE_MAX);
    (void)db_i64(lifetime, lifetime_s);
    res =
        db_sync_exec(db, "select source, error_us from predictions_judge($1::bigint, $2::bigint)", params, 2);
    for (int i = 0; res != NULL && i < PQntuples(res); i++) {
        enum predict_source s;

        if (predict_source_parse(db_get(res, i, 0), &s) == 0)
            predict_error_add(&e->of[s], db_null(res, i, 1) ? -1 : db_get_i64(res, i, 1));
    }
    PQclear(res);
    return res != NULL ? 0 : -EIO;
}

void predict_error_write(const struct predict_error *e, const char *family, const char *labels,
                         struct metrics_text *m)
{
    char name[64], with[96];
    uint64_t n = 0;

    snprintf(name, sizeof(name), "%s_bucket", family);
    for (size_t i = 0; i < PREDICT_BUCKETS; i++) {
        n += atomic_load_explicit(&e->bucket[i], memory_order_relaxed);
        if (i < PREDICT_BUCKETS - 1)
            snprintf(with, sizeof(with), "%s,le=\"%lld\"", labels, (long long)bounds_ms[i]);
        else
            snprintf(with, sizeof(with), "%s,le=\"+Inf\"", labels);
        metrics_sample(m, name, with, (double)n);
    }
    snprintf(name, sizeof(name), "%s_sum", family);
    metrics_sample(m, name, labels, (double)atomic_load_explicit(&e->sum_us, memory_order_relaxed) / 1000);
    snprintf(name, sizeof(name), "%s_count", family);
    metrics_sample(m, name, labels, (double)n);
}

void predict_errors_write(struct predict_errors *e, struct metrics_text *m)
{
    char labels[64];

    metrics_family(
        m, "berth_prediction_error_ms", METRIC_HISTOGRAM,
        "How far predicted round trips were from those reported later, by what was predicted from.");
    for (unsigned s = 0; s < PREDICT_SOURCES; s++) {
        snprintf(labels, sizeof(labels), "source=\"%s\"", predict_source_name((enum predict_source)s));
        predict_error_write(&e->of[s], "berth_prediction_error_ms", labels, m);
    }
    metrics_family(m, "berth_prediction_unreached_total", METRIC_COUNTER,
                   "Predictions whose node the agent then could not reach.");
    for (unsigned s = 0; s < PREDICT_SOURCES; s++) {
        snprintf(labels, sizeof(labels), "source=\"%s\"", predict_source_name((enum predict_source)s));
        metrics_sample(m, "berth_prediction_unreached_total", labels,
                       (double)atomic_load_explicit(&e->of[s].unreached, memory_order_relaxed));
    }
}
