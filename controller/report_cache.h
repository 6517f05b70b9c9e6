/* What a decision takes of reports, kept by one worker from one look at a meeting to the next. A report never changes, so an entry is right as long
 * as there is such a report: that, and whether it is still alive, a look asks the database each time. Not kept past the report's end. */
#ifndef BERTH_CONTROLLER_REPORT_CACHE_H
#define BERTH_CONTROLLER_REPORT_CACHE_H

#include "report_store.h"

enum {
    REPORT_CACHE_BYTES_MAX =
        32 * 1024 * 1024,    /* of a worker: some 23,000 reports of 30 nodes by three transports */
    REPORT_CACHE_TURNS = 16, /* calls of report_cache_turn that see all of it */
};

/* Which report. */
struct report_key {
    const char *org, *agent, *report_id;
    int64_t measured_at_us;
};

/* A report_brief in as little room as it takes. */
struct report_kept {
    bool has_capabilities;
    unsigned capabilities;
    size_t n_names, n_results;
    const char *names; /* n_names of them, each with its NUL */
    const struct report_brief_result *results;
};

struct report_cache;

/* `bytes_max`: what all entries take at most; those that were not asked for the longest go first. 0 or -ENOMEM. */
int report_cache_new(struct report_cache **out, size_t bytes_max) __attribute__((warn_unused_result));
void report_cache_destroy(struct report_cache *c);
/* NULL: not there. Good until the next call of another function. */
const struct report_kept *report_cache_get(struct report_cache *c, const struct report_key *key);
/* Copies. `until_us`: when the report ends, on the clock of report_cache_turn. Where there is no room or memory for it, it isn't kept. */
void report_cache_put(struct report_cache *c, const struct report_key *key, const struct report_brief *b,
                      int64_t until_us);
/* Now and then: what has ended by `now` goes, a part of the table a call. */
void report_cache_turn(struct report_cache *c, int64_t now);
size_t report_cache_bytes(const struct report_cache *c);

#endif
