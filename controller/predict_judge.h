/* How wrong predictions were: compared with what the agents report later, shown as metrics. */
#ifndef BERTH_CONTROLLER_PREDICT_JUDGE_H
#define BERTH_CONTROLLER_PREDICT_JUDGE_H

#include "core/metrics.h"
#include "db_sync.h"
#include "predict.h"

#include <stdatomic.h>
#include <stdint.h>

enum { PREDICT_BUCKETS = 9 }; /* the last has no bound */

/* Written by the housekeeper, read by whoever writes the page. Starts as zeros. */
struct predict_errors {
    struct predict_error {
        _Atomic uint64_t bucket[PREDICT_BUCKETS]; /* each by itself, not summed up */
        _Atomic uint64_t sum_us, unreached;
    } of[PREDICT_SOURCES];
};

/* Takes predictions whose agents have reported since, and adds them. 0 or -EIO with db->error. */
int predict_judge(struct predict_errors *e, struct db_sync *db, int64_t lifetime_s)
    __attribute__((warn_unused_result));
void predict_error_add(struct predict_error *e, int64_t error_us); /* negative: it was not reached at all */
void predict_error_join(struct predict_error *e, const struct predict_error *more); /* e: nobody else's */
/* The samples of a histogram; the family is begun already. */
void predict_error_write(const struct predict_error *e, const char *family, const char *labels,
                         struct metrics_text *m);
void predict_errors_write(struct predict_errors *e, struct metrics_text *m);

#endif
