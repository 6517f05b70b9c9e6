/* A report as a row of the table `report`: encoding for the insert, decoding of what live_report() returns. Pure but
 * for jansson. */
#ifndef BERTH_CONTROLLER_REPORT_STORE_H
#define BERTH_CONTROLLER_REPORT_STORE_H

#include "core/doc.h"
#include "db_param.h"

/* The columns that report_row_decode reads, in its order; `r` is the row's alias:
 *   select r_.agent as asked, REPORT_COLUMNS from live_report($1, $2::text[], $3::text[]) r */
#define REPORT_COLUMNS                                                                                  \
    "r.agent, r.report_id, berth_us(r.measured_at), berth_us(r.received_at), berth_us(r.expires_at), "  \
    "r.network, r.mapped, r.capabilities, r.names, r.addrs, r.node, r.transport, r.status, r.framing, " \
    "r.address, r.mapped_address, r.rtt_min_us, r.rtt_median_us, r.rtt_p95_us, r.sent, r.received, "    \
    "r.connect_us, r.tls_us, r.proxies, r.calls"
enum { REPORT_COLUMNS_N = 25 };

struct stored_report {
    struct report report; /* report_clear frees it */
    int64_t received_at_us, expires_at_us;
};
/* Decodes columns col .. col + REPORT_COLUMNS_N - 1 (text format). 0, -EBADMSG (not as this program writes it), -ENOMEM. */
struct pg_result; /* libpq's PGresult */
int report_row_decode(struct stored_report *out, const struct pg_result *res, int row, int col)
    __attribute__((warn_unused_result));

/* What a decision over many reports takes of each. */
#define REPORT_BRIEF_COLUMNS                                                                  \
    "r.agent, r.capabilities, r.names, r.node, r.transport, r.status, r.rtt_min_us, r.sent, " \
    "r.received"
enum { REPORT_BRIEF_COLUMNS_N = 9 };
struct report_name {
    char id[NODE_ID_MAX + 1];
};
struct report_brief {
    const char *agent; /* the PGresult's */
    bool has_capabilities;
    unsigned capabilities;
    size_t n_names, n_results;
    struct report_name *names;
    struct report_brief_result {
        uint16_t name;      /* index into names */
        uint8_t transport;  /* enum transport */
        uint8_t status;     /* enum probe_status */
        uint8_t sent, lost; /* probes, 255 at most; 0: not said */
        int32_t rtt_min_us;
    } * results;
};
/* Of sent and received, each as in a report (negative: not said), what a brief holds. */
uint8_t report_count(int64_t n);
uint8_t report_lost(uint8_t sent, int64_t received);
/* As above, of columns col .. col + REPORT_BRIEF_COLUMNS_N - 1; report_brief_clear frees it. */
int report_brief_decode(struct report_brief *out, const struct pg_result *res, int row, int col)
    __attribute__((warn_unused_result));
void report_brief_clear(struct report_brief *b);

/* One report ready to be inserted: parameters, in the order of report_insert_text's columns, and the memory that they
 * point into. */
enum {
    REPORT_PARAM_ORG,
    REPORT_PARAM_AGENT,
    REPORT_PARAM_ID,
    REPORT_PARAMS = 28,
    REPORT_INSERT_PARAMS = 1 /* of a statement, before those of its rows */
};
struct report_row {
    struct db_param params[REPORT_PARAMS];
    size_t n_params;
    size_t bytes; /* of `memory`: what a queue of rows counts */
    int64_t measured_at_us,
        alive_us; /* what is of calls alone ends when it was measured: it is there, and never alive */
    void *memory;
};
/* `org`, `agent`: of the caller; the report's own agent isn't looked at. `country`: "" where it isn't known. 0 or -ENOMEM. */
int report_row_encode(struct report_row *row, const struct report *r, const char *org, const char *agent,
                      int64_t lifetime_s, const char *country) __attribute__((warn_unused_result));
void report_row_clear(struct report_row *row);
/* A statement that inserts so many rows, to be freed; NULL: out of memory. Its parameters: a report's lifetime in
 * seconds, then each row's. Rows that are expired or too far ahead by the database's clock, and repeats, don't go in,
 * nor does one of nulls alone. One row comes back: the time of it in microseconds, and how many went in. */
char *report_insert_text(size_t rows) __attribute__((warn_unused_result));
enum { REPORT_AHEAD_US = 60 * 1000 * 1000 }; /* a clock may be so far ahead */

#endif
