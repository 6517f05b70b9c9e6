/* berth-load meetings: agents that have reported join meetings that there are. */
#include "command.h"
#include "joining.h"
#include "rest_cli.h"
#include "schedule.h"
#include "swarm_reports.h"

#include "sys/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE_MAX_OF_MEETING = 500, PREFIX_MAX = 32, PATH_MAX_LEN = 128, BODY_MAX = 64 };

struct meetings {
    struct rest_cli cli;
    const char *prefix;
    int64_t size, agents, kinds;
    enum schedule_kind arrivals;
    struct schedule schedule;
    struct joining joining;
    uint64_t n, wrong;
};

static int64_t peek_us(void *ctx)
{
    const struct meetings *m = ctx;
    return m->cli.rate > 0 ? schedule_peek_us(&m->schedule) : 0;
}

static size_t take(void *ctx, uint8_t *out, size_t cap, uint64_t *tag)
{
    struct meetings *m = ctx;
    char path[PATH_MAX_LEN], body[BODY_MAX], id[SWARM_AGENT_LEN + 1];
    uint64_t meeting;
    size_t agent;
    if (m->cli.rate > 0)
        (void)schedule_take_us(&m->schedule);
    joining_next(&m->joining, &meeting, &agent);
    swarm_agent_id(agent, id);
    snprintf(path, sizeof(path), "/v1/meetings/%s%" PRIu64 "/participants", m->prefix, meeting);
    int len = snprintf(body, sizeof(body), "{\"agent\":\"%s\"}", id);
    *tag = agent;
    m->n++;
    return rest_load_request(out, cap, "POST", path, m->cli.token, body, (size_t)len);
}

static uint64_t skip(void *ctx, int64_t until_us)
{
    struct meetings *m = ctx;
    return m->cli.rate > 0 ? schedule_skip(&m->schedule, until_us) : 0;
}

/* The answer is the assignment of who has asked. */
static void answered(void *ctx, uint64_t tag, int status, struct slice body, int64_t took_us)
{
    struct meetings *m = ctx;
    char id[SWARM_AGENT_LEN + 1];
    swarm_agent_id((size_t)tag, id);
    if (status / 100 == 2 && !memmem(body.p, body.len, id, SWARM_AGENT_LEN))
        m->wrong++;
}

static int parse_one(struct meetings *m, int opt)
{
    switch (opt) {
    case 'p':
        m->prefix = optarg;
        return id_valid(optarg, PREFIX_MAX) ? 0 : -EINVAL;
    case 'z':
        return number_parse(optarg, 1, SIZE_MAX_OF_MEETING, &m->size);
    case 'a':
        return number_parse(optarg, 1, SWARM_AGENTS_MAX, &m->agents);
    case 'k':
        return number_parse(optarg, 1, SWARM_AGENTS_MAX, &m->kinds);
    case 'A':
        return schedule_kind_parse(&m->arrivals, optarg);
    default:
        return rest_cli_take(&m->cli, opt);
    }
}

static int parse(int argc, char **argv, struct meetings *m)
{
    static const struct option options[] = {
        REST_CLI_OPTIONS,
        {"prefix", required_argument, NULL, 'p'},
        {"size", required_argument, NULL, 'z'},
        {"agents", required_argument, NULL, 'a'},
        {"kinds", required_argument, NULL, 'k'},
        {"arrivals", required_argument, NULL, 'A'},
        {NULL, 0, NULL, 0},
    };
    for (int opt; (opt = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (opt == '?')
            return -1;
        if (parse_one(m, opt) < 0)
            return wrong_value("meetings", options, opt);
    }
    if (optind == argc && rest_cli_complete(&m->cli) && m->agents % m->kinds == 0)
        return 0;
    fprintf(stderr, "berth-load meetings: --url http[s]://ADDR:PORT, --token KEY and --seconds N are\n"
                    "    needed, and as many --agents of each of the --kinds\n");
    return -1;
}

static void print(const struct meetings *m, const struct rest_load_result *r)
{
    double seconds = (double)r->elapsed_us / 1e6;
    uint64_t joined = r->status[201] + r->status[200];
    char latency[HISTOGRAM_TEXT_LEN];
    (m->cli.json ? histogram_json : histogram_text)(&r->latency, latency);
    if (m->cli.json)
        printf("{\"sent\":%" PRIu64 ",\"joined\":%" PRIu64 ",\"again\":%" PRIu64 ",\"refused\":%" PRIu64
               ",\"failed\":%" PRIu64 ",\"missed\":%" PRIu64 ",\"wrong\":%" PRIu64 ",\"meetings\":%" PRIu64
               ",\"seconds\":%.6f,\"joins_per_s\":%.1f,\"latency\":%s}\n",
               r->sent, joined, r->status[200], r->answered - joined, r->failed, r->missed, m->wrong,
               m->joining.begun, seconds, (double)joined / seconds, latency);
    else
        printf("%.0f joins/s: %" PRIu64 " joined %" PRIu64 " meetings, %" PRIu64 " refused, %" PRIu64
               " failed, %" PRIu64 " wrong of %" PRIu64 " sent in %.2f s, %" PRIu64
               " not begun in time\n%s\n",
               (double)joined / seconds, joined, m->joining.begun, r->answered - joined, r->failed, m->wrong,
               r->sent, seconds, r->missed, latency);
}

int command_meetings(int argc, char **argv)
{
    struct meetings m = {.prefix = "m",
                         .agents = 100000,
                         .kinds = 1,
                         .cli = {.connections = 64, .seed = 1},
                         .arrivals = SCHEDULE_POISSON};
    if (parse(argc, argv, &m) < 0)
        return EXIT_USAGE;
    const struct rest_source source = {&m, peek_us, take, skip, answered};
    struct rest_load_result *result = calloc(1, sizeof(*result));
    int64_t now = clock_mono_us();
    if (m.cli.rate > 0)
        schedule_init(&m.schedule, m.arrivals, (double)m.cli.rate, (uint64_t)m.cli.seed, now);
    joining_init(&m.joining, (size_t)m.size, (size_t)m.agents, (size_t)m.kinds, (uint64_t)m.cli.seed);
    int rc = result ? rest_cli_run(&m.cli, now, &source, result) : -ENOMEM;
    if (rc < 0)
        fprintf(stderr, "berth-load meetings: %s\n", strerror(-rc));
    else
        print(&m, result);
    int status = rc < 0                                          ? EXIT_REFUSED
                 : result->status[201] + result->status[200] > 0 ? EXIT_WORKED
                                                                 : EXIT_NOTHING;
    free(result);
    return status;
}
