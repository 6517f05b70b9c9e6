/* berth-load place-gen: the files that `place` reads, from a seed: a synthetic world or a measured one, and meetings in it. */
#include "command.h"
#include "replay/gen.h"
#include "slurp.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    SITES_DEFAULT = 500,
    NODES_DEFAULT = 40,
    MEETINGS_DEFAULT = 300,
    PERCENT = 100,
    CAPACITY_MAX_PCT = 10000,
    DAYS_MAX = 1000 * 1000,
    DAY_STEP = 1000003 /* between two days' seeds */
};

struct gen_options {
    const char *out, *from_matrix, *node_matrix, *clients;
    int64_t seed, sites, nodes, meetings, size, lost, jitter, unprobed, capacity, day;
    enum gen_mix mix;
    bool stay, alone;
};

static int mix_parse(const char *text, enum gen_mix *mix)
{
    static const char *const names[] = {"published", "country", "continent", "global"};
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
        if (strcmp(text, names[k]) == 0) {
            *mix = (enum gen_mix)k;
            return 0;
        }
    }
    return -EINVAL;
}

static int take(struct gen_options *o, int opt, const char *text)
{
    switch (opt) {
    case 'o':
        o->out = text;
        return 0;
    case 'f':
        o->from_matrix = text;
        return 0;
    case 'b':
        o->node_matrix = text;
        return 0;
    case 'c':
        o->clients = text;
        return 0;
    case 'r':
        return number_parse(text, 0, INT64_MAX, &o->seed);
    case 'S':
        return number_parse(text, 1, GEN_SITES_MAX, &o->sites);
    case 'N':
        return number_parse(text, 1, GEN_NODES_MAX, &o->nodes);
    case 'm':
        return number_parse(text, 1, GEN_MEETINGS_MAX, &o->meetings);
    case 's':
        return number_parse(text, 1, GEN_SIZE_MAX, &o->size);
    case 'x':
        return mix_parse(text, &o->mix);
    case 'l':
        return number_parse(text, 0, PERCENT, &o->lost);
    case 'j':
        return number_parse(text, 0, PERCENT, &o->jitter);
    case 'u':
        return number_parse(text, 0, PERCENT, &o->unprobed);
    case 'k':
        return number_parse(text, PERCENT, CAPACITY_MAX_PCT, &o->capacity);
    case 'd':
        return number_parse(text, 1, DAYS_MAX, &o->day);
    case 'y':
        o->stay = true;
        return 0;
    case 'a':
        o->alone = true;
        return 0;
    default:
        return -EINVAL;
    }
}

/* What is read would be gone. */
static const char *overwritten(const struct gen_options *o)
{
    static const char *const files[] = {"meetings.jsonl", "nodes.csv", "matrix.csv", "measured.csv"};
    const char *inputs[] = {o->from_matrix, o->node_matrix, o->clients};
    char path[4096];
    for (size_t k = 0; o->from_matrix && k < sizeof files / sizeof files[0]; k++) {
        snprintf(path, sizeof path, "%s/%s", o->out, files[k]);
        for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
            if (same_file(path, inputs[i]))
                return inputs[i];
        }
    }
    return NULL;
}

static int parse(int argc, char **argv, struct gen_options *o)
{
    static const struct option options[] = {
        {"out", required_argument, NULL, 'o'},
        {"seed", required_argument, NULL, 'r'},
        {"sites", required_argument, NULL, 'S'},
        {"nodes", required_argument, NULL, 'N'},
        {"from-matrix", required_argument, NULL, 'f'},
        {"node-matrix", required_argument, NULL, 'b'},
        {"clients", required_argument, NULL, 'c'},
        {"meetings", required_argument, NULL, 'm'},
        {"size", required_argument, NULL, 's'},
        {"mix", required_argument, NULL, 'x'},
        {"stay", no_argument, NULL, 'y'},
        {"alone", no_argument, NULL, 'a'},
        {"lost", required_argument, NULL, 'l'},
        {"jitter", required_argument, NULL, 'j'},
        {"unprobed", required_argument, NULL, 'u'},
        {"capacity", required_argument, NULL, 'k'},
        {"day", required_argument, NULL, 'd'},
        {NULL, 0, NULL, 0},
    };
    for (int opt; (opt = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (opt == '?')
            return -1;
        if (take(o, opt, optarg) < 0) {
            (void)wrong_value("place-gen", options, opt);
            return -1;
        }
    }
    bool any = o->from_matrix || o->node_matrix || o->clients;
    if (optind != argc || !o->out || (any && (!o->from_matrix || !o->node_matrix || !o->clients))) {
        fprintf(stderr, "berth-load place-gen: --out DIRECTORY is needed; --from-matrix, --node-matrix\n"
                        "    and --clients go together\n");
        return -1;
    }
    const char *lost = overwritten(o);
    if (lost) {
        fprintf(stderr, "berth-load place-gen: --out %s would overwrite what is read: %s\n", o->out, lost);
        return -1;
    }
    return 0;
}

static int make_world(const struct gen_options *o, struct gen_world *g, struct replay_error *e)
{
    struct gen_text from[3] = {{.file = o->from_matrix}, {.file = o->node_matrix}, {.file = o->clients}};
    int answer = 0;
    if (!o->from_matrix) {
        answer = gen_synthetic(g, (uint64_t)o->seed, (size_t)o->sites, (size_t)o->nodes);
        if (answer < 0)
            replay_fail(e, "place-gen", 0, "%s", strerror(-answer));
        return answer;
    }
    for (size_t k = 0; k < 3 && answer == 0; k++)
        answer = slurp(from[k].file, &from[k].text, &from[k].size, e);
    if (answer == 0)
        answer = gen_measured(g, from[0], from[1], from[2], e);
    for (size_t k = 0; k < 3; k++)
        free(from[k].text);
    return answer;
}

static FILE *create(const struct gen_options *o, const char *name, struct replay_error *e)
{
    char path[4096];
    FILE *f = NULL;
    if (snprintf(path, sizeof path, "%s/%s", o->out, name) >= (int)sizeof path)
        errno = ENAMETOOLONG;
    else
        f = fopen(path, "we");
    if (!f)
        replay_fail(e, o->out, 0, "%s: %s", name, strerror(errno));
    return f;
}

/* `answer` is what writing said. */
static int finish(FILE *f, int answer, const char *name, struct replay_error *e)
{
    if (answer == 0 && ftello(f) >= SLURP_MAX)
        answer = -EFBIG; /* nobody would read it again */
    if (fclose(f) != 0 && answer == 0)
        answer = -errno;
    if (answer < 0)
        replay_fail(e, name, 0, "%s", strerror(-answer));
    return answer;
}

static int write_all(const struct gen_options *o, const struct gen_world *g, struct replay_error *e)
{
    struct gen_workload w = {.seed = (uint64_t)o->seed + 1 + (uint64_t)(o->day - 1) * DAY_STEP,
                             .meetings = (size_t)o->meetings,
                             .size = (size_t)o->size,
                             .mix = o->mix,
                             .stay = o->stay,
                             .alone = o->alone,
                             .unprobed = (double)o->unprobed / PERCENT};
    size_t peak, nodes = g->nodes.n;
    FILE *f = create(o, "meetings.jsonl", e);
    if (!f || finish(f, gen_write_meetings(g, &w, &peak, f), "meetings.jsonl", e) < 0)
        return -EIO;
    int64_t seats = ((int64_t)peak * o->capacity + PERCENT - 1) / PERCENT;
    int64_t capacity = (seats + (int64_t)nodes - 1) / (int64_t)nodes;
    if (!(f = create(o, "nodes.csv", e)) || finish(f, gen_write_nodes(g, capacity, f), "nodes.csv", e) < 0)
        return -EIO;
    if (!(f = create(o, "matrix.csv", e)) || finish(f, gen_write_matrix(g, 0, 0, 0, f), "matrix.csv", e) < 0)
        return -EIO;
    if (!(f = create(o, "measured.csv", e)))
        return -EIO;
    return finish(
        f,
        gen_write_matrix(g, (double)o->lost / PERCENT, (double)o->jitter / PERCENT, (uint64_t)o->seed + 2, f),
        "measured.csv", e);
}

int command_place_gen(int argc, char **argv)
{
    struct gen_options o = {
        .seed = 1, .sites = SITES_DEFAULT, .nodes = NODES_DEFAULT, .meetings = MEETINGS_DEFAULT, .day = 1};
    struct gen_world g = {0};
    struct replay_error e = {0};
    if (parse(argc, argv, &o) < 0)
        return EXIT_USAGE;
    if (mkdir(o.out, 0755) < 0 && errno != EEXIST) {
        fprintf(stderr, "berth-load place-gen: %s: %s\n", o.out, strerror(errno));
        return EXIT_REFUSED;
    }
    int answer = make_world(&o, &g, &e);
    if (answer == 0)
        answer = write_all(&o, &g, &e);
    if (answer < 0)
        fprintf(stderr, "berth-load place-gen: %s\n", e.text);
    gen_clear(&g);
    return answer == 0 ? EXIT_WORKED : exit_of_input(answer);
}
