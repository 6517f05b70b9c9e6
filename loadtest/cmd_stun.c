/* berth-load stun: options of the three transports, and their figures as text or JSON. */
#include "command.h"
#include "stun_load.h"
#include "stun_streams.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RATE_MAX = 10000000 };

struct asked {
    const char *transport; /* "udp", "tcp", "tls"; NULL: not said */
    const char *tickets;   /* a file; NULL: none */
    struct addr server, from;
    int64_t seconds, connections, rate, seed;
    enum schedule_kind arrivals;
    bool resume, hold, json;
};

static int parse_one(struct asked *a, int opt)
{
    switch (opt) {
    case 'u':
    case 't':
    case 'T':
        if (a->transport)
            return -1;
        a->transport = opt == 'u' ? "udp" : opt == 't' ? "tcp" : "tls";
        return addr_parse(&a->server, optarg);
    case 's':
        return number_parse(optarg, 1, SECONDS_MAX, &a->seconds);
    case 'c':
        return number_parse(optarg, 1, STUN_STREAMS_MAX, &a->connections);
    case 'r':
        return number_parse(optarg, 1, RATE_MAX, &a->rate);
    case 'S':
        return number_parse(optarg, 0, INT64_MAX, &a->seed);
    case 'a':
        return schedule_kind_parse(&a->arrivals, optarg);
    case 'f':
        return addr_parse_ip(&a->from, optarg);
    case 'k':
        return a->tickets = optarg, 0;
    case 'R':
        return a->resume = true, 0;
    case 'h':
        return a->hold = true, 0;
    default:
        return a->json = true, 0;
    }
}

static int parse(int argc, char **argv, struct asked *a)
{
    static const struct option options[] = {
        {"udp", required_argument, NULL, 'u'},
        {"tcp", required_argument, NULL, 't'},
        {"tls", required_argument, NULL, 'T'},
        {"seconds", required_argument, NULL, 's'},
        {"connections", required_argument, NULL, 'c'},
        {"rate", required_argument, NULL, 'r'},
        {"arrivals", required_argument, NULL, 'a'},
        {"seed", required_argument, NULL, 'S'},
        {"from", required_argument, NULL, 'f'},
        {"tickets", required_argument, NULL, 'k'},
        {"resume", no_argument, NULL, 'R'},
        {"hold", no_argument, NULL, 'h'},
        {"json", no_argument, NULL, 'j'},
        {NULL, 0, NULL, 0},
    };
    for (int opt; (opt = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (opt == '?')
            return -1;
        if (parse_one(a, opt) < 0)
            return wrong_value("stun", options, opt);
    }
    const char *wrong = NULL;
    if (optind != argc || !a->transport || a->server.port == 0 || a->seconds == 0)
        wrong = "one of --udp, --tcp and --tls ADDR:PORT, and --seconds N, are\n    needed";
    else if (a->transport[0] == 'u' && (a->hold || a->resume || a->connections > CONNECTIONS_MAX))
        wrong = "--hold and --resume are of connections, and UDP has 1024 sockets at most";
    else if ((addr_is_set(&a->from) || a->tickets) && a->transport[0] != 'u')
        wrong = "--from and --tickets are of UDP";
    else if (a->tickets && a->connections)
        wrong = "--tickets has as many connections as the file has tickets";
    else if (a->resume && strcmp(a->transport, "tls") != 0)
        wrong = "--resume is of TLS";
    else if (a->hold && (a->rate > 0 || a->resume))
        wrong = "--hold knows neither --rate nor --resume";
    if (wrong)
        fprintf(stderr, "berth-load stun: %s\n", wrong);
    return wrong ? -1 : 0;
}

static double per_s(uint64_t n, int64_t elapsed_us)
{
    return elapsed_us > 0 ? (double)n * 1e6 / (double)elapsed_us : 0;
}

static int failed(int rc)
{
    fprintf(stderr, "berth-load stun: %s\n", strerror(-rc));
    return EXIT_REFUSED;
}

/* Ends what has been told: an object, or a line. */
static void print_faults(const struct stun_faults *wrong, bool json)
{
    (json ? stun_faults_json : stun_faults_text)(wrong, stdout);
    fputs(json ? "}\n" : "\n", stdout);
}

static int run_udp(const struct asked *a, struct stun_session *sessions)
{
    const struct stun_load_opts opts = {.server = a->server,
                                        .from = a->from,
                                        .seconds = a->seconds,
                                        .connections = a->connections ? a->connections : 4,
                                        .sessions = sessions,
                                        .rate = (double)a->rate,
                                        .arrivals = a->arrivals,
                                        .seed = (uint64_t)a->seed};
    struct stun_load_result r;
    char latency[HISTOGRAM_TEXT_LEN];
    int rc = stun_load_run(&opts, &r);
    if (rc < 0)
        return failed(rc);
    (a->json ? histogram_json : histogram_text)(&r.latency, latency);
    if (a->json)
        printf("{\"sent\":%" PRIu64 ",\"answered\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"late\":%" PRIu64
               ",\"wrong\":%" PRIu64 ",\"missed\":%" PRIu64
               ",\"seconds\":%.6f,\"answers_per_s\":%.0f,\"latency\":%s,\"wrong_by\":",
               r.sent, r.answered, r.lost, r.late, stun_faults_sum(&r.wrong), r.missed,
               (double)r.elapsed_us / 1e6, per_s(r.answered, r.elapsed_us), latency);
    else
        printf("%.0f answers/s: %" PRIu64 " right, %" PRIu64 " lost, %" PRIu64 " late of %" PRIu64
               " sent in %.2f s, %" PRIu64 " not sent in time\n%s\n%" PRIu64 " wrong",
               per_s(r.answered, r.elapsed_us), r.answered, r.lost, r.late, r.sent,
               (double)r.elapsed_us / 1e6, r.missed, latency, stun_faults_sum(&r.wrong));
    print_faults(&r.wrong, a->json);
    return r.answered > 0 ? EXIT_WORKED : EXIT_NOTHING;
}

/* A connection with a session for each ticket. */
static int run_signed(struct asked *a)
{
    struct replay_error e;
    struct stun_session *sessions = calloc(CONNECTIONS_MAX, sizeof *sessions);
    if (!sessions || sodium_init() < 0) {
        free(sessions);
        return failed(-ENOMEM);
    }
    int status;
    ssize_t n = stun_sessions_read(a->tickets, CONNECTIONS_MAX, sessions, &e);
    if (n < 0) {
        status = exit_of_input(n);
        fprintf(stderr, "berth-load stun: %s\n", e.text);
    } else {
        a->connections = n;
        status = run_udp(a, sessions);
    }
    sodium_memzero(sessions, CONNECTIONS_MAX * sizeof *sessions);
    free(sessions);
    return status;
}

/* A line of its own while they are held: who measures the server's memory waits for it. */
static void tell_held(void *ctx, size_t n)
{
    const struct asked *a = ctx;
    printf(a->json ? "{\"held\":%zu}\n" : "%zu connections held\n", n);
    fflush(stdout);
}

static void print_streams(const struct stun_streams_result *r, bool json)
{
    char latency[HISTOGRAM_TEXT_LEN];
    (json ? histogram_json : histogram_text)(&r->latency, latency);
    if (json)
        printf("{\"opened\":%" PRIu64 ",\"answered\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"wrong\":%" PRIu64
               ",\"missed\":%" PRIu64 ",\"resumed\":%" PRIu64 ",\"lost\":%" PRIu64
               ",\"seconds\":%.6f,\"answers_per_s\":%.0f,\"latency\":%s,\"wrong_by\":",
               r->opened, r->answered, r->failed, stun_faults_sum(&r->wrong), r->missed, r->resumed, r->lost,
               (double)r->elapsed_us / 1e6, per_s(r->answered, r->elapsed_us), latency);
    else
        printf("%.0f connections/s: %" PRIu64 " answered, %" PRIu64 " resumed, %" PRIu64 " failed of %" PRIu64
               " opened in %.2f s, %" PRIu64 " not begun in time, %" PRIu64 " lost while held\n%s\n%" PRIu64
               " wrong",
               per_s(r->answered, r->elapsed_us), r->answered, r->resumed, r->failed, r->opened,
               (double)r->elapsed_us / 1e6, r->missed, r->lost, latency, stun_faults_sum(&r->wrong));
    print_faults(&r->wrong, json);
}

static int run_streams(struct asked *a)
{
    const struct stun_streams_opts opts = {.server = a->server,
                                           .tls = strcmp(a->transport, "tls") == 0,
                                           .resume = a->resume,
                                           .hold = a->hold,
                                           .seconds = a->seconds,
                                           .connections = a->connections ? a->connections : 16,
                                           .rate = (double)a->rate,
                                           .arrivals = a->arrivals,
                                           .seed = (uint64_t)a->seed,
                                           .held = tell_held,
                                           .ctx = a};
    struct stun_streams_result r;
    int rc = stun_streams_run(&opts, &r);
    if (rc < 0)
        return failed(rc);
    print_streams(&r, a->json);
    return r.answered > 0 ? EXIT_WORKED : EXIT_NOTHING;
}

int command_stun(int argc, char **argv)
{
    struct asked a = {.arrivals = SCHEDULE_POISSON, .seed = 1};
    if (parse(argc, argv, &a) < 0)
        return EXIT_USAGE;
    if (a.tickets)
        return run_signed(&a);
    return a.transport[0] == 'u' ? run_udp(&a, NULL) : run_streams(&a);
}
