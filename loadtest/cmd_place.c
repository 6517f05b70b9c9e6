/* berth-load place: replays meetings through the placement engine, beside baselines and the best plans. */
#include "command.h"
#include "place_engine.h"
#include "replay/search.h"
#include "replay/summary.h"
#include "slurp.h"

#include "core/doc.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum { STARTS_DEFAULT = 20, STEPS_DEFAULT = 100000, STEPS_MAX = 1000 * 1000 * 1000 };

struct place_options {
    const char *matrix, *nodes, *meetings, *measured, *policy, *out, *forecast;
    int64_t starts, exact_steps, seed;
    bool json, live_prices;
};

/* Everything that was read, to be released together. */
struct inputs {
    struct world world;
    struct matrix measured;
    bool has_measured;
    struct events events, day; /* day: the forecast's */
    json_t *policy;
};

/* What is read would be gone. */
static const char *overwritten(const struct place_options *o)
{
    const char *inputs[] = {o->matrix, o->nodes, o->meetings, o->measured, o->policy, o->forecast};
    for (size_t k = 0; o->out && k < sizeof inputs / sizeof inputs[0]; k++) {
        if (inputs[k] && same_file(o->out, inputs[k]))
            return inputs[k];
    }
    return NULL;
}

static int take(struct place_options *o, int opt)
{
    switch (opt) {
    case 'm':
        o->matrix = optarg;
        return 0;
    case 'n':
        o->nodes = optarg;
        return 0;
    case 'e':
        o->meetings = optarg;
        return 0;
    case 'M':
        o->measured = optarg;
        return 0;
    case 'p':
        o->policy = optarg;
        return 0;
    case 'o':
        o->out = optarg;
        return 0;
    case 'f':
        o->forecast = optarg;
        return 0;
    case 's':
        return number_parse(optarg, 0, SEARCH_STARTS_MAX / 10, &o->starts);
    case 'x':
        return number_parse(optarg, 0, STEPS_MAX, &o->exact_steps);
    case 'r':
        return number_parse(optarg, 0, INT64_MAX, &o->seed);
    case 'j':
        o->json = true;
        return 0;
    default:
        o->live_prices = true;
        return 0;
    }
}

/* Whether they go together. */
static int check(const struct place_options *o)
{
    const char *lost = overwritten(o);
    if (!o->matrix || !o->nodes || !o->meetings)
        fprintf(stderr,
                "berth-load place: --matrix M.csv, --nodes N.csv and --meetings E.jsonl are\n    needed\n");
    else if (lost)
        fprintf(stderr, "berth-load place: --out %s would overwrite what is read: %s\n", o->out, lost);
    else if (o->forecast && o->live_prices)
        fprintf(stderr, "berth-load place: --forecast or --live-prices, not both\n");
    else
        return 0;
    return -1;
}

static int parse(int argc, char **argv, struct place_options *o)
{
    static const struct option options[] = {
        {"matrix", required_argument, NULL, 'm'},
        {"nodes", required_argument, NULL, 'n'},
        {"meetings", required_argument, NULL, 'e'},
        {"measured", required_argument, NULL, 'M'},
        {"policy", required_argument, NULL, 'p'},
        {"out", required_argument, NULL, 'o'},
        {"forecast", required_argument, NULL, 'f'},
        {"starts", required_argument, NULL, 's'},
        {"exact", required_argument, NULL, 'x'},
        {"seed", required_argument, NULL, 'r'},
        {"json", no_argument, NULL, 'j'},
        {"live-prices", no_argument, NULL, 'l'},
        {NULL, 0, NULL, 0},
    };
    for (int opt; (opt = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (opt == '?')
            return -1;
        if (take(o, opt) < 0)
            return wrong_value("place", options, opt);
    }
    if (optind != argc) {
        fprintf(stderr, "berth-load place: what is '%s'?\n", argv[optind]);
        return -1;
    }
    return check(o);
}

/* ---- reading: each takes a file's whole text, which stands under `path` in errors ---- */

typedef int reader(struct inputs *in, const char *path, char *text, size_t size, struct replay_error *e);

static int read_nodes(struct inputs *in, const char *path, char *text, size_t size, struct replay_error *e)
{
    return world_read_nodes(&in->world, path, text, size, e);
}

static int read_matrix(struct inputs *in, const char *path, char *text, size_t size, struct replay_error *e)
{
    return world_read_matrix(&in->world, path, text, size, e);
}

static int read_measured(struct inputs *in, const char *path, char *text, size_t size, struct replay_error *e)
{
    in->has_measured = true;
    return world_read_measured(&in->world, path, text, size, &in->measured, e);
}

static int read_meetings(struct inputs *in, const char *path, char *text, size_t size, struct replay_error *e)
{
    return events_read(&in->events, &in->world, path, text, size, e);
}

static int read_day(struct inputs *in, const char *path, char *text, size_t size, struct replay_error *e)
{
    return events_read(&in->day, &in->world, path, text, size, e);
}

static int read_policy(struct inputs *in, const char *path, char *text, size_t size, struct replay_error *e)
{
    struct doc_error why;
    size_t start = replay_text_start(text, size);
    in->policy = doc_parse(text + start, size - start, &why);
    return in->policy ? 0 : replay_fail(e, path, 0, "%s", why.detail);
}

static int read_file(struct inputs *in, const char *path, reader *read, struct replay_error *e)
{
    char *text = NULL;
    size_t size;
    int answer = slurp(path, &text, &size, e);
    if (answer == 0)
        answer = read(in, path, text, size, e);
    free(text);
    return answer;
}

/* In this order: what comes later speaks of what came before. */
static int read_all(const struct place_options *o, struct inputs *in, struct replay_error *e)
{
    const struct {
        const char *path;
        reader *read;
    } files[] = {
        {o->nodes, read_nodes},       {o->matrix, read_matrix}, {o->measured, read_measured},
        {o->meetings, read_meetings}, {o->forecast, read_day},  {o->policy, read_policy},
    };
    int answer = 0;
    for (size_t k = 0; answer == 0 && k < sizeof files / sizeof files[0]; k++) {
        if (files[k].path)
            answer = read_file(in, files[k].path, files[k].read, e);
    }
    return answer;
}

/* ---- replaying ---- */

static int report(const struct place_options *o, const struct events *v, const struct run_result *r)
{
    struct summary s;
    summarize(v, r, &s);
    if (!o->json) {
        summary_print(&s, stdout);
        return 0;
    }
    json_t *j = summary_json(&s);
    if (!j)
        return -ENOMEM;
    (void)json_dumpf(j, stdout, JSON_COMPACT | JSON_REAL_PRECISION(7)); /* main looks at standard output */
    putchar('\n');
    json_decref(j);
    return 0;
}

/* Of another day, or as the replay goes; neither asked for, there is none. */
static int make_forecast(const struct place_options *o, struct inputs *in, const struct matrix *measured,
                         struct place_engine *engine, struct forecast **out, struct replay_error *e)
{
    const bool *allowed = place_engine_allowed(engine);
    const char *what = o->forecast ? o->forecast : "--live-prices";
    if (o->forecast)
        *out = forecast_new(&in->world, measured, allowed, &in->day);
    else if (o->live_prices)
        *out = forecast_new_live(&in->world, measured, allowed, &in->events);
    else
        return 0;
    if (*out)
        return 0;
    replay_fail(e, what, 0, "%s", strerror(ENOMEM));
    return -ENOMEM;
}

static int failed_on(const char *path, struct replay_error *e)
{
    int answer = -errno;
    replay_fail(e, path, 0, "%s", strerror(-answer));
    return answer;
}

static int run(const struct place_options *o, struct inputs *in, struct place_engine *engine,
               const struct run_options *options, struct replay_error *e)
{
    struct run_result result = {0};
    int answer = run_replay(&in->world, &in->events, engine, options, &result);
    if (answer == 0)
        answer = report(o, &in->events, &result);
    if (answer < 0)
        replay_fail(e, "replay", 0, "%s", strerror(-answer));
    run_clear(&result);
    return answer;
}

static int replay(const struct place_options *o, struct inputs *in, struct replay_error *e)
{
    struct run_options options = {
        .starts = (size_t)o->starts, .exact_steps = (size_t)o->exact_steps, .seed = (uint64_t)o->seed};
    const struct matrix *measured = in->has_measured ? &in->measured : &in->world.truth;
    struct place_engine *engine =
        place_engine_new(&in->world, measured, in->policy, o->policy ? o->policy : "policy", e);
    if (!engine)
        return -EINVAL;
    int answer = make_forecast(o, in, measured, engine, &options.forecast, e);
    if (answer == 0 && o->out && !(options.out = fopen(o->out, "we")))
        answer = failed_on(o->out, e);
    if (answer == 0)
        answer = run(o, in, engine, &options, e);
    if (options.out && fclose(options.out) != 0 && answer == 0)
        answer = failed_on(o->out, e);
    place_engine_destroy(engine);
    forecast_destroy(options.forecast);
    return answer;
}

int command_place(int argc, char **argv)
{
    struct place_options o = {.starts = STARTS_DEFAULT, .exact_steps = STEPS_DEFAULT, .seed = 1};
    struct inputs in = {0};
    struct replay_error e = {0};
    if (parse(argc, argv, &o) < 0)
        return EXIT_USAGE;
    int answer = read_all(&o, &in, &e);
    if (answer == 0)
        answer = replay(&o, &in, &e);
    if (answer < 0)
        fprintf(stderr, "berth-load place: %s\n", e.text);
    events_clear(&in.events);
    events_clear(&in.day);
    if (in.has_measured)
        matrix_clear(&in.measured);
    world_clear(&in.world);
    json_decref(in.policy);
    return answer == 0 ? EXIT_WORKED : exit_of_input(answer);
}
