/* link: berth_replay */
/* The replay as a whole, engine included: what plans are made of, what is counted, and what can never be. */
#include "replay_world.h"

#include "loadtest/replay/gen.h"
#include "loadtest/replay/summary.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

#define NODE_COLUMNS "node,site,region,class,capacity,weight\n"
#define JOIN(t, m, p, s) \
    "{\"t\":" t ",\"event\":\"join\",\"meeting\":\"" m "\",\"participant\":\"" p "\",\"site\":\"" s "\"}\n"
#define LEAVE(t, m, p) "{\"t\":" t ",\"event\":\"leave\",\"meeting\":\"" m "\",\"participant\":\"" p "\"}\n"

struct replayed {
    struct world w;
    struct events v;
    struct run_result r;
    struct place_engine *engine;
};

/* Reads and replays; `out` gets the line of each event. */
static void replay(struct replayed *x, const char *nodes, const char *matrix, const char *events,
                   const char *policy, FILE *out)
{
    struct replay_error e = {{0}};
    struct run_options o = {.starts = 10, .exact_steps = 10000, .seed = 1, .out = out};
    char *text = text_copy(events, strlen(events));
    *x = (struct replayed){0};
    json_t *p = policy ? json_loads(policy, 0, NULL) : NULL;
    if (read_nodes(&x->w, nodes, &e) < 0 || read_matrix(&x->w, matrix, &e) < 0 ||
        events_read(&x->v, &x->w, "E.jsonl", text, strlen(events), &e) < 0 ||
        !(x->engine = place_engine_new(&x->w, &x->w.truth, p, "P.json", &e)))
        fail_msg("%s", e.text);
    assert_int_equal(run_replay(&x->w, &x->v, x->engine, &o, &x->r), 0);
    place_engine_destroy(x->engine);
    json_decref(p);
    free(text);
}

static void clear(struct replayed *x)
{
    run_clear(&x->r);
    events_clear(&x->v);
    world_clear(&x->w);
}

static void assert_ms(double got, double wanted)
{
    if (fabs(got - wanted) > 1e-6)
        fail_msg("%f ms where %f were expected", got, wanted);
}

static const char two_nodes[] = NODE_COLUMNS "a,a,eu,cloud,,\nb,b,us,cloud,,\n";
static const char two_matrix[] = ",a,b\na,0,80\nb,80,0\nnear-a,10,100\nnear-b,100,10\nmiddle,50,40\n";

/* Two by node a, 10 s; then a third by node b for 20 s: the means by hand. */
static void means_by_hand(void **state)
{
    struct replayed x;
    replay(&x, two_nodes, two_matrix,
           JOIN("0", "m", "x", "near-a") JOIN("5", "m", "y", "near-a") JOIN("15", "m", "z", "near-b")
               LEAVE("35", "m", "z") LEAVE("35", "m", "y") LEAVE("40", "m", "x"),
           NULL, NULL);
    const struct meeting_result *m = &x.r.meeting[0];
    assert_ms(m->span_s, 30);
    assert_int_equal(m->people, 3);
    assert_true(m->proven);
    /* first's nearest: all on a: (10 + (10 + 55 + 55) / 3 * 2) / 3 */
    assert_ms(m->of[PLAN_FIRST].full_mean, 40);
    assert_ms(m->of[PLAN_FIRST].mean, (10 * 10 + 20 * 40.0) / 30);
    assert_ms(m->of[PLAN_FIRST].full_worst, 55);
    /* each one's nearest, joined: 10 and twice (10 + 80 + 10) / 2 */
    assert_ms(m->of[PLAN_NEAREST].full_mean, (10 + 50 + 50) / 3.0);
    assert_ms(m->of[PLAN_NEAREST].full_nodes, 2);
    assert_ms(m->of[PLAN_NEAREST].nodes, (10 * 1 + 20 * 2) / 30.0);
    assert_ms(m->of[PLAN_BEST].full_mean, (10 + 50 + 50) / 3.0);
    assert_ms(m->of[PLAN_SINGLE].full_mean, 40);
    assert_ms(m->full_bound, (10 + 50 + 50) / 3.0);
    assert_true(m->of[PLAN_ONLINE].full_mean <= 40);
    clear(&x);
}

static void out_of_reach(void **state)
{
    struct replayed x;
    replay(&x, two_nodes, ",a,b\na,0,80\nb,80,0\nonly-a,10,\nonly-b,,10\n",
           JOIN("0", "m", "x", "only-a") JOIN("1", "m", "y", "only-b"), NULL, NULL);
    for (size_t k = 0; k < PLANS; k++) {
        if (x.r.meeting[0].of[k].unconnected > 0)
            fail_msg("%s put somebody where it can't reach", plan_label((enum plan_kind)k));
        assert_ms(x.r.meeting[0].of[k].full_mean, 50);
    }
    clear(&x);
}

static void policy(void **state)
{
    struct replayed x;
    replay(&x, two_nodes, two_matrix, JOIN("0", "m", "x", "near-a") JOIN("1", "m", "y", "near-a"),
           "{\"regions\":{\"deny\":[\"eu\"]}}", NULL);
    for (size_t k = 0; k < PLANS; k++)
        assert_ms(x.r.meeting[0].of[k].full_mean, 100);
    clear(&x);
}

static void a_wrong_policy(void **state)
{
    struct world w = {0};
    struct replay_error e;
    json_t *p = json_loads("{\"regions\":{\"deny\":[1]}}", 0, NULL);
    assert_int_equal(read_nodes(&w, two_nodes, &e), 0);
    assert_int_equal(read_matrix(&w, two_matrix, &e), 0);
    assert_null(place_engine_new(&w, &w.truth, p, "P.json", &e));
    assert_non_null(strstr(e.text, "/regions/deny"));
    json_decref(p);
    world_clear(&w);
}

static void capacity_is_kept(void **state)
{
    struct replayed x;
    /* two seats by node a, one by b; by cost everybody wants a */
    replay(&x, NODE_COLUMNS "a,a,eu,cloud,2,\nb,b,us,cloud,1,\n", two_matrix,
           JOIN("0", "m", "x", "near-a") JOIN("1", "n", "x", "near-a") JOIN("2", "o", "x", "near-a"), NULL,
           NULL);
    const struct crowding *c = &x.r.crowding;
    assert_true(c->limited);
    assert_int_equal(c->people, 3);
    assert_int_equal(c->seats, 3);
    assert_int_equal(c->exceeded, 0);
    assert_ms(c->optimum, (10 + 10 + 100) / 3.0);
    assert_ms(c->online, c->optimum);
    clear(&x);
}

static void more_than_there_is_room_for(void **state)
{
    struct replayed x;
    replay(&x, NODE_COLUMNS "a,a,eu,cloud,1,\nb,b,us,cloud,1,\n", two_matrix,
           JOIN("0", "m", "x", "near-a") JOIN("1", "n", "x", "near-a") JOIN("2", "o", "x", "near-a"), NULL,
           NULL);
    assert_int_equal(x.r.crowding.exceeded, 0);
    assert_ms(x.r.crowding.optimum, 0);
    clear(&x);
}

/* Every line is one decision, in the order of events; `moved` are those whose node changed. */
static void lines(void **state)
{
    char *text = NULL;
    size_t size = 0, n = 0;
    FILE *out = open_memstream(&text, &size);
    struct replayed x;
    char *quote = "{\"t\":0,\"event\":\"join\",\"meeting\":\"a "
                  "\\\"b\\\"\",\"participant\":\"x\",\"site\":\"near-a\"}\n";
    char events[1024];
    snprintf(events, sizeof events, "%s%s", quote, JOIN("1.25", "m", "x", "near-b") LEAVE("2", "m", "x"));
    assert_non_null(out);
    replay(&x, two_nodes, two_matrix, events, NULL, out);
    fclose(out);
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) && *line; n++) {
        json_t *j = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(j);
        assert_true(json_real_value(json_object_get(j, "us")) >= 0);
        assert_int_equal(json_array_size(json_object_get(j, "moved")), 0);
        const char *seat = json_string_value(json_object_get(json_object_get(j, "plan"), "x"));
        if (n == 0)
            assert_string_equal(json_string_value(json_object_get(j, "meeting")), "a \"b\"");
        if (n < 2)
            assert_string_equal(seat, n == 0 ? "a" : "b");
        else
            assert_null(seat);
        json_decref(j);
    }
    assert_int_equal(n, 3);
    free(text);
    clear(&x);
}

static char *written(int (*write)(FILE *to, void *with), void *with)
{
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    assert_non_null(to);
    assert_int_equal(write(to, with), 0);
    assert_int_equal(fclose(to), 0);
    return text;
}

struct generated {
    struct gen_world g;
    struct gen_workload load;
    int64_t capacity;
    double lost, jitter;
};

static int nodes_of(FILE *to, void *with)
{
    const struct generated *x = with;
    return gen_write_nodes(&x->g, x->capacity, to);
}

static int matrix_of(FILE *to, void *with)
{
    const struct generated *x = with;
    return gen_write_matrix(&x->g, x->lost, x->jitter, 3, to);
}

static int meetings_of(FILE *to, void *with)
{
    struct generated *x = with;
    size_t peak;
    return gen_write_meetings(&x->g, &x->load, &peak, to);
}

static void replay_generated(struct replayed *r, struct generated *x)
{
    assert_int_equal(gen_synthetic(&x->g, x->load.seed, 120, 20), 0);
    char *nodes = written(nodes_of, x), *matrix = written(matrix_of, x), *meetings = written(meetings_of, x);
    replay(r, nodes, matrix, meetings, NULL, NULL);
    free(nodes);
    free(matrix);
    free(meetings);
    gen_clear(&x->g);
}

/* On generated meetings: nothing is below the bound, no plan below the proven optimum, and the kept order of the plans. */
static void order_of_plans(void **state)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct generated x = {.load = {.seed = seed, .meetings = 60}};
        struct replayed r;
        struct summary s;
        replay_generated(&r, &x);
        for (size_t m = 0; m < r.r.n_meetings; m++) {
            const struct meeting_result *of = &r.r.meeting[m];
            if (r.v.meeting[m].largest < 2)
                continue;
            for (size_t k = 0; k < PLANS; k++) {
                double least = of->proven ? of->of[PLAN_BEST].full_mean : of->full_bound;
                if (of->of[k].full_mean < least - 1e-6 || of->of[k].mean < of->bound - 1e-6)
                    fail_msg("seed %d, meeting %zu: %s is better than can be", (int)seed, m,
                             plan_label((enum plan_kind)k));
                assert_int_equal(of->of[k].unconnected, 0);
                assert_true(of->of[k].full_worst >= of->of[k].full_mean - 1e-6);
            }
            assert_true(of->of[PLAN_SINGLE].full_mean <= of->of[PLAN_FIRST].full_mean + 1e-6);
        }
        summarize(&r.v, &r.r, &s);
        assert_int_equal(s.n_mixes, 3);
        assert_true(s.all.of[PLAN_ONLINE].full_mean < s.all.of[PLAN_FIRST].full_mean);
        assert_true(s.all.of[PLAN_FULL].full_mean <= s.all.of[PLAN_SINGLE].full_mean * 1.001);
        clear(&r);
    }
}

static void generated_capacity(void **state)
{
    struct generated x = {.load = {.seed = 5, .meetings = 80, .alone = true}, .capacity = 5};
    struct replayed r;
    replay_generated(&r, &x);
    assert_int_equal(r.r.crowding.people, 80);
    assert_int_equal(r.r.crowding.exceeded, 0);
    assert_true(r.r.crowding.online >= r.r.crowding.optimum - 1e-6);
    assert_true(r.r.crowding.rebalanced >= r.r.crowding.optimum - 1e-6);
    assert_true(r.r.crowding.rebalanced <= r.r.crowding.online + 1e-6);
    assert_true(r.r.crowding.exchanged >= r.r.crowding.optimum - 1e-6);
    assert_true(r.r.crowding.exchanged <= r.r.crowding.rebalanced + 1e-6);
    assert_true(r.r.crowding.exchanged <=
                r.r.crowding.optimum * 1.0001); /* of meetings of one, chains find it */
    clear(&r);
}

static void the_same_seed_the_same_files(void **state)
{
    char *text[2][3];
    for (int k = 0; k < 2; k++) {
        struct generated x = {
            .load = {.seed = 8, .meetings = 40, .unprobed = 0.5}, .lost = 0.5, .jitter = 0.2};
        assert_int_equal(gen_synthetic(&x.g, 8, 30, 9), 0);
        text[k][0] = written(nodes_of, &x);
        text[k][1] = written(matrix_of, &x);
        text[k][2] = written(meetings_of, &x);
        gen_clear(&x.g);
    }
    for (int k = 0; k < 3; k++) {
        assert_string_equal(text[0][k], text[1][k]);
        free(text[0][k]);
        free(text[1][k]);
    }
}

static void summaries_agree(void **state)
{
    struct generated x = {.load = {.seed = 2, .meetings = 30}, .capacity = 50};
    struct replayed r;
    struct summary s;
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    replay_generated(&r, &x);
    summarize(&r.v, &r.r, &s);
    summary_print(&s, to);
    fclose(to);
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));)
        assert_true(strlen(line) <= 80);
    json_t *j = summary_json(&s);
    assert_non_null(j);
    json_t *plans = json_object_get(json_object_get(j, "all"), "plans");
    assert_int_equal(json_object_size(plans), PLANS);
    assert_ms(json_real_value(
                  json_object_get(json_object_get(json_object_get(plans, "online"), "full"), "mean_ms")),
              s.all.of[PLAN_ONLINE].full_mean);
    json_t *capacity = json_object_get(j, "capacity");
    assert_int_equal(json_object_size(capacity), 9);
    assert_ms(json_real_value(json_object_get(capacity, "exchanged_ms")), s.crowding.exchanged);
    assert_int_equal(json_integer_value(json_object_get(capacity, "rebalance_moves")),
                     s.crowding.rebalance_moves);
    assert_int_equal(json_integer_value(json_object_get(capacity, "exchange_moves")),
                     s.crowding.exchange_moves);
    json_decref(j);
    free(text);
    clear(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(means_by_hand),
        cmocka_unit_test(out_of_reach),
        cmocka_unit_test(policy),
        cmocka_unit_test(a_wrong_policy),
        cmocka_unit_test(capacity_is_kept),
        cmocka_unit_test(more_than_there_is_room_for),
        cmocka_unit_test(lines),
        cmocka_unit_test(order_of_plans),
        cmocka_unit_test(generated_capacity),
        cmocka_unit_test(the_same_seed_the_same_files),
        cmocka_unit_test(summaries_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
