/* berth-load reports-sql: what PostgreSQL takes when nothing stands before it: the swarm's rows in pipelined batches
 * of prepared inserts, as one would write them by hand, or of the controller's own statements of many rows.
 * Invariant: a batch is a transaction; rows count once its commit has been read. */
#include "command.h"
#include "swarm_reports.h"

#include "controller/report_store.h"
#include "sys/clock.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH_MAX = 4096, ROWS_MAX = 64, THREADS_MAX = 64, AHEAD = 2, LIFETIME_S = 7200 };

static const char insert[] =
    "insert into report (org, agent, report_id, measured_at, received_at, "
    "expires_at, network, mapped, capabilities, names, "
    "addrs, node, transport, status, framing, address, mapped_address, rtt_min_us, "
    "rtt_median_us, rtt_p95_us, sent, received, "
    "connect_us, tls_us, proxies, net4, net6, country, calls) values ($1, $2, $3::uuid, "
    "berth_time($4::bigint), now(), "
    "berth_time($4::bigint) + $5::bigint * interval '1 second', $6, $7, $8, $9, "
    "$10, $11, $12, $13, $14, $15, $16, $17, $18, "
    "$19, $20, $21, $22, $23, $24, $25, $26, $27, $28)";

struct asked {
    const char *database, *org;
    int64_t seconds, batch, rows, threads, nodes, seed;
    bool json;
};

/* A statement's parameters, and what of them is made for each row. */
struct statement {
    const char *values[REPORT_INSERT_PARAMS + ROWS_MAX * REPORT_PARAMS];
    int lengths[REPORT_INSERT_PARAMS + ROWS_MAX * REPORT_PARAMS];
    int formats[REPORT_INSERT_PARAMS + ROWS_MAX * REPORT_PARAMS];
    size_t n;
    struct {
        char agent[SWARM_AGENT_LEN + 1], id[37], at[24];
    } made[ROWS_MAX];
};

struct writer {
    const struct asked *asked;
    struct statement statement;
    int64_t number, end_us;
    uint64_t batches, rows, commits;
    char error[256], lifetime[24];
    struct swarm_reports *reports;
    struct report_row row[SWARM_KINDS];
    pthread_t thread;
};

static int fail(struct writer *w, const char *what)
{
    snprintf(w->error, sizeof(w->error), "%s", what);
    return -EIO;
}

static int prepare(struct writer *w, PGconn *pg)
{
    char *many = w->asked->rows > 1 ? report_insert_text((size_t)w->asked->rows) : NULL;
    PGresult *res = PQprepare(pg, "insert", many ? many : insert, 0, NULL);
    free(many);
    int rc = PQresultStatus(res) == PGRES_COMMAND_OK ? 0 : fail(w, PQerrorMessage(pg));
    PQclear(res);
    if (rc == 0 && PQenterPipelineMode(pg) != 1)
        rc = fail(w, PQerrorMessage(pg));
    return rc;
}

/* The row `n` as the statement's row `i`. */
static void put_row(struct writer *w, size_t i, uint64_t n)
{
    struct statement *s = &w->statement;
    const struct report_row *row = &w->row[n % SWARM_KINDS];
    size_t at = s->n;
    swarm_agent_id((size_t)(n % 100000), s->made[i].agent);
    swarm_report_id(w->reports, n, s->made[i].id);
    snprintf(s->made[i].at, sizeof(s->made[i].at), "%" PRId64, clock_wall_us());
    for (size_t k = 0; k < REPORT_PARAMS; k++, s->n++) {
        s->values[s->n] = row->params[k].value;
        s->lengths[s->n] = (int)row->params[k].len;
        s->formats[s->n] = row->params[k].binary;
    }
    s->values[at + 1] = s->made[i].agent;
    s->values[at + 2] = s->made[i].id;
    s->values[at + 3] = s->made[i].at;
}

/* One by hand says the lifetime with each row; the controller's says it before all of them. */
static int send_rows(struct writer *w, PGconn *pg)
{
    struct statement *s = &w->statement;
    s->n = 0;
    if (w->asked->rows > 1)
        s->values[s->n++] = w->lifetime;
    for (size_t i = 0; i < (size_t)w->asked->rows; i++)
        put_row(w, i, (uint64_t)w->number++);
    return PQsendQueryPrepared(pg, "insert", (int)s->n, s->values, s->lengths, s->formats, 0) == 1
               ? 0
               : fail(w, PQerrorMessage(pg));
}

/* Rows up to a sync are one transaction. */
static int send_batch(struct writer *w, PGconn *pg)
{
    int rc = 0;
    for (int64_t i = 0; i < w->asked->batch && rc == 0; i += w->asked->rows)
        rc = send_rows(w, pg);
    if (rc == 0 && PQpipelineSync(pg) != 1)
        rc = fail(w, PQerrorMessage(pg));
    return rc;
}

static int read_batch(struct writer *w, PGconn *pg)
{
    for (;;) {
        PGresult *res = PQgetResult(pg);
        ExecStatusType status = res ? PQresultStatus(res) : PGRES_TUPLES_OK;
        if (res && status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_PIPELINE_SYNC) {
            fail(w, PQresultErrorMessage(res)[0] ? PQresultErrorMessage(res) : PQerrorMessage(pg));
            PQclear(res);
            return -EIO;
        }
        PQclear(res);
        if (status == PGRES_PIPELINE_SYNC)
            break;
        if (!res && PQstatus(pg) != CONNECTION_OK)
            return fail(w, PQerrorMessage(pg));
    }
    w->rows += (uint64_t)w->asked->batch;
    w->commits++;
    return 0;
}

/* The next batch is on its way while the one before is being committed. One goes out however late it is. */
static void *write_rows(void *ctx)
{
    struct writer *w = ctx;
    PGconn *pg = PQconnectdb(w->asked->database);
    int rc = PQstatus(pg) == CONNECTION_OK ? prepare(w, pg) : fail(w, PQerrorMessage(pg));
    unsigned ahead = 0;
    while (rc == 0 && (w->batches == 0 || clock_mono_us() < w->end_us)) {
        rc = send_batch(w, pg);
        w->batches++;
        if (rc == 0 && ++ahead == AHEAD) {
            rc = read_batch(w, pg);
            ahead--;
        }
    }
    for (; rc == 0 && ahead > 0; ahead--)
        rc = read_batch(w, pg);
    PQfinish(pg);
    return NULL;
}

static int writer_init(struct writer *w, const struct asked *a, int64_t index)
{
    w->asked = a;
    w->number = index * INT64_C(1000000000);
    snprintf(w->lifetime, sizeof(w->lifetime), "%d", LIFETIME_S);
    int rc = swarm_reports_new(&w->reports, (size_t)a->nodes, (uint64_t)a->seed);
    for (size_t i = 0; rc == 0 && i < SWARM_KINDS; i++)
        rc = report_row_encode(&w->row[i], swarm_report(w->reports, i), a->org, "", LIFETIME_S, "");
    return rc;
}

static void writer_clear(struct writer *w)
{
    for (size_t i = 0; i < SWARM_KINDS; i++)
        report_row_clear(&w->row[i]);
    swarm_reports_destroy(w->reports);
}

static int run(const struct asked *a, struct writer *all)
{
    size_t started = 0;
    uint64_t rows = 0, commits = 0;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < (size_t)a->threads; i++)
        rc = writer_init(&all[i], a, (int64_t)i);
    int64_t start = clock_mono_us();
    for (; rc == 0 && started < (size_t)a->threads; started++) {
        all[started].end_us = start + a->seconds * 1000000;
        rc = -pthread_create(&all[started].thread, NULL, write_rows, &all[started]);
        if (rc != 0) {
            fprintf(stderr, "berth-load reports-sql: no thread %zu of %" PRId64 ": %s\n", started + 1,
                    a->threads, strerror(-rc));
            break;
        }
    }
    for (size_t i = 0; i < started; i++) {
        pthread_join(all[i].thread, NULL);
        rows += all[i].rows;
        commits += all[i].commits;
        if (all[i].error[0] != '\0') {
            fprintf(stderr, "berth-load reports-sql: %s\n", all[i].error);
            rc = -EIO;
        }
    }
    double seconds = (double)(clock_mono_us() - start) / 1e6;
    if (rc == 0)
        printf(a->json ? "{\"stored\":%" PRIu64 ",\"commits\":%" PRIu64
                         ",\"seconds\":%.6f,\"reports_per_s\":%.1f}\n"
                       : "%" PRIu64 " reports in %" PRIu64 " transactions, %.2f s: %.0f a second\n",
               rows, commits, seconds, (double)rows / seconds);
    return rc;
}

static int parse(int argc, char **argv, struct asked *a)
{
    static const struct option options[] = {
        {"database", required_argument, NULL, 'd'}, {"org", required_argument, NULL, 'o'},
        {"seconds", required_argument, NULL, 's'},  {"batch", required_argument, NULL, 'b'},
        {"rows", required_argument, NULL, 'r'},     {"threads", required_argument, NULL, 't'},
        {"nodes", required_argument, NULL, 'n'},    {"seed", required_argument, NULL, 'S'},
        {"json", no_argument, NULL, 'j'},           {NULL, 0, NULL, 0},
    };
    for (int opt; (opt = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        int wrong = 0;
        if (opt == 'd')
            a->database = optarg;
        else if (opt == 'o')
            a->org = optarg;
        else if (opt == 's')
            wrong = number_parse(optarg, 1, SECONDS_MAX, &a->seconds);
        else if (opt == 'b')
            wrong = number_parse(optarg, 1, BATCH_MAX, &a->batch);
        else if (opt == 'r')
            wrong = number_parse(optarg, 1, ROWS_MAX, &a->rows);
        else if (opt == 't')
            wrong = number_parse(optarg, 1, THREADS_MAX, &a->threads);
        else if (opt == 'n')
            wrong = number_parse(optarg, 1, 100, &a->nodes);
        else if (opt == 'S')
            wrong = number_parse(optarg, 0, INT64_MAX, &a->seed);
        else if (opt == 'j')
            a->json = true;
        else
            return -1;
        if (wrong < 0)
            return wrong_value("reports-sql", options, opt);
    }
    if (a->batch % a->rows != 0) {
        fprintf(stderr, "berth-load reports-sql: a batch is so many rows' statements: --batch is to be a "
                        "multiple of --rows\n");
        return -1;
    }
    if (optind == argc && a->database && a->org && a->seconds > 0)
        return 0;
    fprintf(stderr, "berth-load reports-sql: --database URL, --org ID and --seconds N are needed\n");
    return -1;
}

int command_reports_sql(int argc, char **argv)
{
    struct asked a = {.batch = 256, .rows = 1, .threads = 1, .nodes = 30, .seed = 1};
    if (parse(argc, argv, &a) < 0)
        return EXIT_USAGE;
    struct writer *all = calloc((size_t)a.threads, sizeof(*all));
    int rc = all ? run(&a, all) : -ENOMEM;
    if (rc == -ENOMEM)
        fprintf(stderr, "berth-load reports-sql: out of memory\n");
    for (size_t i = 0; all && i < (size_t)a.threads; i++)
        writer_clear(&all[i]);
    free(all);
    return rc == 0 ? EXIT_WORKED : EXIT_REFUSED;
}
