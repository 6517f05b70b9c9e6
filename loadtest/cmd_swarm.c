/* berth-load swarm: many agents' reports against a controller. */
#include "command.h"
#include "rest_cli.h"
#include "swarm_agents.h"
#include "swarm_reports.h"

#include "sys/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct swarm {
    struct rest_cli cli;
    int64_t agents, nodes;
    struct swarm_reports *reports;
    struct swarm_agents *clocks; /* NULL: as fast as they are answered */
    uint64_t n, wrong;
};

static int64_t peek_us(void *ctx)
{
    const struct swarm *s = ctx;
    return s->clocks ? swarm_agents_peek_us(s->clocks) : 0;
}

static size_t take(void *ctx, uint8_t *out, size_t cap, uint64_t *tag)
{
    struct swarm *s = ctx;
    size_t len, agent = s->clocks ? swarm_agents_take(s->clocks) : (size_t)(s->n % (uint64_t)s->agents);
    const char *json = swarm_report_json(s->reports, s->n, agent, clock_wall_us(), &len);
    *tag = s->n++;
    return rest_load_request(out, cap, "POST", "/v1/reports", s->cli.token, json, len);
}

static uint64_t skip(void *ctx, int64_t until_us)
{
    struct swarm *s = ctx;
    return s->clocks ? swarm_agents_skip(s->clocks, until_us) : 0;
}

/* The answer names the report that it is for. */
static void answered(void *ctx, uint64_t tag, int status, struct slice body, int64_t took_us)
{
    struct swarm *s = ctx;
    char id[37];
    swarm_report_id(s->reports, tag, id);
    if (status == 201 && !memmem(body.p, body.len, id, sizeof(id) - 1))
        s->wrong++;
}

static int parse_one(struct swarm *s, int opt)
{
    switch (opt) {
    case 'a':
        return number_parse(optarg, 1, SWARM_AGENTS_MAX, &s->agents);
    case 'n':
        return number_parse(optarg, 1, 100, &s->nodes);
    default:
        return rest_cli_take(&s->cli, opt);
    }
}

static int parse(int argc, char **argv, struct swarm *s)
{
    static const struct option options[] = {
        REST_CLI_OPTIONS,
        {"agents", required_argument, NULL, 'a'},
        {"nodes", required_argument, NULL, 'n'},
        {NULL, 0, NULL, 0},
    };
    for (int opt; (opt = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (opt == '?')
            return -1;
        if (parse_one(s, opt) < 0)
            return wrong_value("swarm", options, opt);
    }
    if (optind == argc && rest_cli_complete(&s->cli))
        return 0;
    fprintf(stderr,
            "berth-load swarm: --url http[s]://ADDR:PORT, --token KEY and --seconds N are\n    needed\n");
    return -1;
}

static void print(const struct swarm *s, const struct rest_load_result *r)
{
    double seconds = (double)r->elapsed_us / 1e6;
    uint64_t stored = r->status[201];
    char latency[HISTOGRAM_TEXT_LEN];
    (s->cli.json ? histogram_json : histogram_text)(&r->latency, latency);
    if (s->cli.json)
        printf("{\"sent\":%" PRIu64 ",\"answered\":%" PRIu64 ",\"stored\":%" PRIu64 ",\"repeats\":%" PRIu64
               ",\"refused\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"missed\":%" PRIu64 ",\"wrong\":%" PRIu64
               ",\"seconds\":%.6f,\"reports_per_s\":%.1f,\"latency\":%s}\n",
               r->sent, r->answered, stored, r->status[200], r->answered - stored - r->status[200], r->failed,
               r->missed, s->wrong, seconds, (double)stored / seconds, latency);
    else
        printf("%.0f reports/s: %" PRIu64 " stored, %" PRIu64 " refused, %" PRIu64 " failed, %" PRIu64
               " wrong of %" PRIu64 " sent in %.2f s, %" PRIu64 " not begun in time\n%s\n",
               (double)stored / seconds, stored, r->answered - stored - r->status[200], r->failed, s->wrong,
               r->sent, seconds, r->missed, latency);
}

static int run(struct swarm *s)
{
    const struct rest_source source = {s, peek_us, take, skip, answered};
    struct rest_load_result *result = calloc(1, sizeof(*result));
    int64_t now = clock_mono_us();
    int rc = result ? swarm_reports_new(&s->reports, (size_t)s->nodes, (uint64_t)s->cli.seed) : -ENOMEM;
    if (rc == 0 && s->cli.rate > 0)
        rc = swarm_agents_new(&s->clocks, (size_t)s->agents, (double)s->cli.rate, (uint64_t)s->cli.seed, now);
    if (rc == 0)
        rc = rest_cli_run(&s->cli, now, &source, result);
    if (rc < 0)
        fprintf(stderr, "berth-load swarm: %s\n", strerror(-rc));
    else
        print(s, result);
    int status = rc < 0 ? EXIT_REFUSED : result->status[201] > 0 ? EXIT_WORKED : EXIT_NOTHING;
    free(result);
    swarm_agents_destroy(s->clocks);
    swarm_reports_destroy(s->reports);
    return status;
}

int command_swarm(int argc, char **argv)
{
    struct swarm s = {.agents = 100000, .nodes = 30, .cli = {.connections = 256, .seed = 1}};
    if (parse(argc, argv, &s) < 0)
        return EXIT_USAGE;
    return run(&s);
}
