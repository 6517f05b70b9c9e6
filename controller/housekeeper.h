/* Partitions of reports: made ahead, dropped behind, by whichever controller holds the advisory lock. */
#ifndef BERTH_CONTROLLER_HOUSEKEEPER_H
#define BERTH_CONTROLLER_HOUSEKEEPER_H

#include "controller.h"

struct housekeeper;
int housekeeper_start(struct housekeeper **out, struct controller *ctl) __attribute__((warn_unused_result));
void housekeeper_stop(struct housekeeper *h); /* joins the thread; NULL is fine */

/* ---- what to make: pure ---- */

struct partition_range {
    int64_t lo_s, hi_s; /* Unix time; lo inclusive, hi exclusive */
};
/* The width of partitions for a lifetime: a quarter, 5 s to 1 h: whoever looks for an agent's newest report goes from one to the
 * next, and what a statement costs by itself grows with all that there are; wider ones keep more of what has expired. */
int64_t partition_width_s(int64_t lifetime_s);
/* The ranges that are missing so that every acceptable report has a partition, now and for the next width. `have` is sorted
 * and doesn't overlap. Returns how many were written to `out`, at most `cap`. */
size_t partitions_missing(const struct partition_range *have, size_t n, int64_t now_s, int64_t lifetime_s,
                          struct partition_range *out, size_t cap);

#endif
