/* berth-load place-join: what a join costs the placement engine, by the size of the meeting: people come one after
 * another to a made-up world, each has measured every node, and then the newest is seated again and again. Beside it
 * the least there can be: one look at each row that the decision is about. */
#include "command.h"

#include "core/splitmix.h"
#include "placement/place.h"
#include "sys/clock.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    PARTICIPANTS_MAX = 500,
    NODES_MAX = 1000,
    SAMPLES_MAX = 100000,
    ID_LEN = 16,
    WORLD_US = 150000, /* from end to end, one way on each axis */
    NEAR_US = 1000,
};

struct spot {
    double x, y;
};

struct bench {
    int64_t participants, nodes, seconds, measured_pct;
    bool json, cap_worst;
    uint64_t seed;
    struct spot *node_at;
    char (*names)[ID_LEN];
    struct place_node *node;
    struct place_participant *people;
    struct place_row *rows; /* nodes of each participant */
    struct place_candidate *candidates;
    struct place_seat *seats;
    void *work;
    struct place_problem p;
    struct place_plan plan;
    struct place_ways ways;
    int64_t *ns, *rows_ns; /* of each sample */
    size_t n_ns;
};

static uint64_t mix(uint64_t x)
{
    return splitmix64(&x);
}

static struct spot spot_next(struct bench *b)
{
    double x = (double)(mix(b->seed++) >> 11) / 0x1p53;
    return (struct spot){x, (double)(mix(b->seed++) >> 11) / 0x1p53};
}

static int32_t apart_us(struct spot a, struct spot b)
{
    return NEAR_US + (int32_t)(WORLD_US * hypot(a.x - b.x, a.y - b.y));
}

static int32_t way_measured(const void *of, size_t a, size_t b)
{
    const struct bench *w = of;
    uint64_t pair = a < b ? a * NODES_MAX + b : b * NODES_MAX + a;
    return (int64_t)(mix(pair) % 100) < w->measured_pct ? apart_us(w->node_at[a], w->node_at[b]) : -1;
}

static void add_node(struct bench *b, size_t n)
{
    char *name = b->names[n];
    b->node_at[n] = spot_next(b);
    snprintf(name, ID_LEN, "n%04zu", n);
    b->node[n] =
        (struct place_node){.id = name, .cluster = name, .region = "r", .transports = TRANSPORTS_ALL};
}

static void come(struct bench *b)
{
    size_t i = b->p.n_participants++, n = b->p.n_nodes;
    char *name = b->names[n + i];
    struct place_row *rows = b->rows + i * n;
    struct spot at = spot_next(b);
    for (size_t v = 0; v < n; v++)
        rows[v] = (struct place_row){
            .node = (uint32_t)v, .reachable = true, .samples = 5, .rtt_us = apart_us(at, b->node_at[v])};
    snprintf(name, ID_LEN, "p%04zu", i);
    b->people[i] = (struct place_participant){.agent = name,
                                              .measured = true,
                                              .capabilities = TRANSPORTS_ALL,
                                              .n_rows = n,
                                              .rows = rows,
                                              .present = PLACE_NONE};
}

static void seat(struct bench *b)
{
    place_decide(&b->p, &b->plan);
    for (size_t i = 0; i < b->p.n_participants; i++)
        b->people[i].present = b->seats[i].node;
    b->p.present = b->plan.node;
}

static int64_t look_at_rows(const struct bench *b)
{
    int64_t sum = 0;
    for (size_t i = 0; i < b->p.n_participants * b->p.n_nodes; i++)
        sum += b->rows[i].reachable ? b->rows[i].rtt_us : 0;
    return sum;
}

static int run(struct bench *b)
{
    volatile int64_t seen = 0;
    size_t newest = (size_t)b->participants - 1;
    for (size_t v = 0; v < (size_t)b->nodes; v++)
        add_node(b, v);
    while (b->p.n_participants < (size_t)b->participants) {
        come(b);
        if (b->p.n_participants <= newest)
            seat(b);
    }
    for (int64_t end_us = clock_mono_us() + b->seconds * 1000000;
         b->n_ns < SAMPLES_MAX && clock_mono_us() < end_us; b->n_ns++) {
        int64_t began_ns = clock_cpu_ns();
        place_decide(&b->p, &b->plan);
        int64_t decided_ns = clock_cpu_ns();
        seen += look_at_rows(b);
        b->ns[b->n_ns] = decided_ns - began_ns;
        b->rows_ns[b->n_ns] = clock_cpu_ns() - decided_ns;
        if (b->seats[newest].node == PLACE_NONE)
            return -ENOMSG;
    }
    return seen > 0 ? 0 : -ENOMSG;
}

static int by_size(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void print(const struct bench *b)
{
    qsort(b->ns, b->n_ns, sizeof *b->ns, by_size);
    qsort(b->rows_ns, b->n_ns, sizeof *b->rows_ns, by_size);
    size_t half = b->n_ns / 2, most = b->n_ns * 99 / 100;
    double median = (double)b->ns[half] / 1000, p99 = (double)b->ns[most] / 1000;
    double rows = (double)b->rows_ns[half] / 1000;
    if (b->json)
        printf("{\"participants\": %" PRId64 ", \"nodes\": %" PRId64
               ", \"nodes_joined\": %zu, \"decisions\": %zu, \"cpu_us\": {\"median\": %.1f, \"p99\": %.1f}, "
               "\"rows_us\": %.1f}\n",
               b->participants, b->nodes, b->plan.n_joined, b->n_ns, median, p99, rows);
    else
        printf("%" PRId64 " participants on %zu of %" PRId64
               " nodes, the last one joining, %zu times: %.1f us of CPU at the median, %.1f at the 99th "
               "percentile; %.1f to look at each row once\n",
               b->participants, b->plan.n_joined, b->nodes, b->n_ns, median, p99, rows);
}

static int start(struct bench *b)
{
    size_t n = (size_t)b->nodes, people = (size_t)b->participants;
    b->node_at = calloc(n, sizeof *b->node_at);
    b->names = calloc(n + people, sizeof *b->names);
    b->node = calloc(n, sizeof *b->node);
    b->people = calloc(people, sizeof *b->people);
    b->rows = calloc(n * people, sizeof *b->rows);
    b->candidates = calloc(n, sizeof *b->candidates);
    b->seats = calloc(people, sizeof *b->seats);
    b->work = malloc(place_work_size(n, people));
    b->ns = calloc(SAMPLES_MAX, sizeof *b->ns);
    b->rows_ns = calloc(SAMPLES_MAX, sizeof *b->rows_ns);
    if (!b->node_at || !b->names || !b->node || !b->people || !b->rows || !b->candidates || !b->seats ||
        !b->work || !b->ns || !b->rows_ns)
        return -ENOMEM;
    b->ways = (struct place_ways){.of = b, .measured = way_measured};
    b->p = (struct place_problem){.org = "o",
                                  .n_nodes = n,
                                  .nodes = b->node,
                                  .participants = b->people,
                                  .ways = &b->ways,
                                  .policy = {.transports = TRANSPORTS_ALL, .cap_worst = b->cap_worst},
                                  .present = PLACE_NONE};
    b->plan = (struct place_plan){.candidates = b->candidates, .seats = b->seats, .work = b->work};
    return 0;
}

static void end(struct bench *b)
{
    free(b->node_at);
    free(b->names);
    free(b->node);
    free(b->people);
    free(b->rows);
    free(b->candidates);
    free(b->seats);
    free(b->work);
    free(b->ns);
    free(b->rows_ns);
}

static int parse(int argc, char **argv, struct bench *b)
{
    static const struct option options[] = {{"participants", required_argument, NULL, 'p'},
                                            {"nodes", required_argument, NULL, 'n'},
                                            {"seconds", required_argument, NULL, 's'},
                                            {"measured", required_argument, NULL, 'm'},
                                            {"cap-worst", no_argument, NULL, 'c'},
                                            {"json", no_argument, NULL, 'j'},
                                            {NULL, 0, NULL, 0}};
    for (int opt; (opt = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        int wrong = -1;
        if (opt == 'p')
            wrong = number_parse(optarg, 1, PARTICIPANTS_MAX, &b->participants);
        else if (opt == 'n')
            wrong = number_parse(optarg, 1, NODES_MAX, &b->nodes);
        else if (opt == 's')
            wrong = number_parse(optarg, 1, SECONDS_MAX, &b->seconds);
        else if (opt == 'm')
            wrong = number_parse(optarg, 0, 100, &b->measured_pct);
        else if (opt == 'c')
            b->cap_worst = (wrong = 0, true);
        else if (opt == 'j')
            b->json = (wrong = 0, true);
        if (wrong < 0)
            return -1;
    }
    return optind == argc && b->participants > 0 && b->seconds > 0 ? 0 : -1;
}

int command_place_join(int argc, char **argv)
{
    struct bench b = {.nodes = 200, .measured_pct = 100};
    if (parse(argc, argv, &b) < 0) {
        fprintf(stderr,
                "berth-load place-join: --participants N (1 to %d) and --seconds N (1 to %d)\n"
                "    are needed; --nodes 1 to %d, --measured 0 to 100 (per cent of the pairs of\n"
                "    nodes), --cap-worst\n",
                PARTICIPANTS_MAX, SECONDS_MAX, NODES_MAX);
        return EXIT_USAGE;
    }
    int err = start(&b);
    if (err == 0)
        err = run(&b);
    if (err == 0 && b.n_ns > 0)
        print(&b);
    else
        fprintf(stderr, "berth-load place-join: %s\n",
                err == -ENOMSG ? "the newest participant got no seat" : "out of memory");
    end(&b);
    return err == -ENOMSG ? EXIT_NOTHING : err < 0 ? EXIT_REFUSED : EXIT_WORKED;
}
