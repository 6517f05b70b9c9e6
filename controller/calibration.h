/* What placement counted on against what calls then measured, for the metrics page. Pure but for atomics: one set a
 * worker, which alone adds to its own; whoever writes the page adds them up. */
#ifndef BERTH_CONTROLLER_CALIBRATION_H
#define BERTH_CONTROLLER_CALIBRATION_H

#include "core/doc.h"
#include "predict_judge.h"

enum {
    CALIBRATION_NODES_MAX = 128
}; /* with a line of their own; what is told of more is added up under CALIBRATION_OTHER */
#define CALIBRATION_OTHER "(other)"

/* Starts as zeros. */
struct calibration {
    struct predict_error error[2]; /* by what was counted on: the agent's own report; a prediction */
    _Atomic size_t n;              /* of `nodes`, the first one, for all others, not counted */
    struct calibration_node {
        char id[NODE_ID_MAX + 1];
        struct calibration_cell {
            _Atomic uint64_t told, compared, elsewhere, longer_us, shorter_us;
        } of[TRANSPORT_COUNT];
    } nodes[CALIBRATION_NODES_MAX + 1];
};

/* By how much a call's least round trip was longer than what its assignment counted on. False: nothing was, or the
 * call came up over another transport than was counted on. */
bool calibration_error(const struct call_stretch *c, int64_t *error_us);
/* `node`: what the operator calls it; NULL: one without a line of its own. */
void calibration_add(struct calibration *k, const char *node, const struct call_stretch *c);
void calibration_write(struct calibration *const *all, size_t n, struct metrics_text *m);

#endif
