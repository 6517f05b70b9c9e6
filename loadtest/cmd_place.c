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
        const char **text = opt == 'm'   ? &o->matrix
                            : opt == 'n' ? &o->nodes
                            : opt == 'e' ? &o->meetings
                            : opt == 'M' ? &o->measured
                            : opt == 'p' ? &o->policy
                            : opt == 'o' ? &o->out
                            : opt == 'f' ? &o->forecast
                                         : NULL;
        int wrong = 0;
        if (text)
            *text = optarg;
        else if (opt == 's')
            wrong = number_parse(optarg, 0, SEARCH_STARTS_MAX / 10, &o->starts);
        else if (opt == 'x')
            wrong = number_parse(optarg, 0, STEPS_MAX, &o->exact_steps);
        else if (opt == 'r')
            wrong = number_parse(optarg, 0, INT64_MAX, &o->seed);
        else if (opt == 'j')
            o->json = true;
        else if (opt == 'l')
            o->live_prices = true;
        else
            return -1;
        if (wrong < 0)
            return wrong_value("place", options, opt);
    }
    if (optind != argc || !o->matrix || !o->nodes || !o->meetings) {
        fprintf(stderr,
                "berth-load place: --matrix M.csv, --nodes N.csv and --meetings E.jsonl are\n    needed\n");
        return -1;
    }
    const char *lost = overwritten(o);
    if (lost) {
        fprintf(stderr, "berth-load place: --out %s would overwrite what is read: %s\n", o->out, lost);
        return -1;
    }
    if (o->forecast && o->live_prices) {
        fprintf(stderr, "berth-load place: --forecast or --live-prices, not both\n");
        return -1;
    }
    return 0;
}

static int read_csvs(const struct place_options *o, struct inputs *in, struct replay_error *e)
{
    char *text = NULL;
    size_t size;
    int answer = slurp(o->nodes, &text, &size, e);
    if (answer == 0)
        answer = world_read_nodes(&in->world, o->nodes, text, size, e);
    free(text);
    text = NULL;
    if (answer == 0 && (answer = slurp(o->matrix, &text, &size, e)) == 0)
        answer = world_read_matrix(&in->world, o->matrix, text, size, e);
    free(text);
    text = NULL;
    if (answer == 0 && o->measured && (answer = slurp(o->measured, &text, &size, e)) == 0) {
        answer = world_read_measured(&in->world, o->measured, text, size, &in->measured, e);
        in->has_measured = true;
    }
    free(text);
    return answer;
}

static int read_documents(const struct place_options *o, struct inputs *in, struct replay_error *e)
{
    char *text = NULL;
    size_t size;
    struct doc_error why;
    int answer = slurp(o->meetings, &text, &size, e);
    if (answer == 0)
        answer = events_read(&in->events, &in->world, o->meetings, text, size, e);
    free(text);
    text = NULL;
    if (answer == 0 && o->forecast && (answer = slurp(o->forecast, &text, &size, e)) == 0)
        answer = events_read(&in->day, &in->world, o->forecast, text, size, e);
    free(text);
    text = NULL;
    if (answer == 0 && o->policy && (answer = slurp(o->policy, &text, &size, e)) == 0) {
        size_t start = replay_text_start(text, size);
        in->policy = doc_parse(text + start, size - start, &why);
        if (!in->policy)
            answer = replay_fail(e, o->policy, 0, "%s", why.detail);
    }
    free(text);
    return answer;
}

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

static int no_memory(struct replay_error *e, const char *what)
{
    replay_fail(e, what, 0, "%s", strerror(ENOMEM));
    return -ENOMEM;
}

static int replay(const struct place_options *o, struct inputs *in, struct replay_error *e)
{
    struct run_options options = {
        .starts = (size_t)o->starts, .exact_steps = (size_t)o->exact_steps, .seed = (uint64_t)o->seed};
    const struct matrix *measured = in->has_measured ? &in->measured : &in->world.truth;
    struct run_result result = {0};
    struct place_engine *engine =
        place_engine_new(&in->world, measured, in->policy, o->policy ? o->policy : "policy", e);
    int answer = engine ? 0 : -EINVAL;
    if (answer == 0 && o->forecast &&
        !(options.forecast = forecast_new(&in->world, measured, place_engine_allowed(engine), &in->day)))
        answer = no_memory(e, o->forecast);
    if (answer == 0 && o->live_prices &&
        !(options.forecast =
              forecast_new_live(&in->world, measured, place_engine_allowed(engine), &in->events)))
        answer = no_memory(e, "--live-prices");
    if (answer == 0 && o->out && !(options.out = fopen(o->out, "we"))) {
        answer = -errno;
        replay_fail(e, o->out, 0, "%s", strerror(errno));
    }
    if (answer == 0) {
        answer = run_replay(&in->world, &in->events, engine, &options, &result);
        if (answer == 0)
            answer = report(o, &in->events, &result);
        if (answer < 0)
            replay_fail(e, "replay", 0, "%s", strerror(-answer));
    }
    if (options.out && fclose(options.out) != 0 && answer == 0) {
        answer = -errno;
        replay_fail(e, o->out, 0, "%s", strerror(errno));
    }
    run_clear(&result);
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
    int answer = read_csvs(&o, &in, &e);
    if (answer == 0)
        answer = read_documents(&o, &in, &e);
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
