/* The summary as tables for people, 80 columns wide at most, and as JSON. Invariant: both say the same figures. */
#include "summary.h"

enum { CELL = 16, SHOWN_MAX = 9999, WHOLE_FROM = 1000 };

/* What a pair without a way is counted as makes means that say nothing, and that no column holds. */
static const char *cell(char out[static CELL], int decimals, double v)
{
    if (v > SHOWN_MAX)
        snprintf(out, CELL, "-");
    else
        snprintf(out, CELL, "%.*f", v < WHOLE_FROM ? decimals : 0, v);
    return out;
}

static const char *over_cell(char out[static CELL], double percent)
{
    if (percent > SHOWN_MAX)
        snprintf(out, CELL, "-");
    else
        snprintf(out, CELL, "%+.*f", percent < WHOLE_FROM ? 1 : 0, percent);
    return out;
}

static void print_plan(const struct figures *f, enum plan_kind k, FILE *to)
{
    const struct tally *t = &f->of[k], *best = &f->of[PLAN_BEST];
    char moves[16] = "-", c[6][CELL];
    if (k == PLAN_ONLINE || k == PLAN_FULL)
        snprintf(moves, sizeof moves, "%.3f",
                 f->participants > 0 ? (double)t->moves / (double)f->participants : 0);
    fprintf(to, "%-19s%7s%7s%7s%6.2f%8s%7s%7s%6.2f%6s\n", plan_label(k), cell(c[0], 2, t->full_mean),
            over_cell(c[1], summary_over(t->full_mean, best->full_mean)), cell(c[2], 1, t->full_worst),
            t->full_nodes, cell(c[3], 2, t->mean), over_cell(c[4], summary_over(t->mean, best->mean)),
            cell(c[5], 1, t->worst), t->nodes, moves);
}

static void print_figures(const struct figures *f, FILE *to)
{
    char c[4][CELL];
    if (f->meetings == 0) {
        fprintf(to, "\n%s: no meeting of two or more\n", f->mix ? f->mix : "all");
        return;
    }
    fprintf(to, "\n%s: %zu meetings, %zu participants; best plan proven in %.1f %%\n",
            f->mix ? f->mix : "all", f->meetings, f->participants,
            100.0 * (double)f->proven / (double)f->meetings);
    fprintf(to, "%-19s%27s%28s\n", "", "with the most present", "over time");
    fprintf(to, "%-19s%7s%7s%7s%6s%8s%7s%7s%6s%6s\n", "", "ms", "+ %", "worst", "nodes", "ms", "+ %", "worst",
            "nodes", "moves");
    for (enum plan_kind k = 0; k < PLANS; k++)
        print_plan(f, k, to);
    fprintf(to, "%-19s%7s%7s%13s%8s%7s\n", "lower bound", cell(c[0], 2, f->full_bound),
            over_cell(c[1], summary_over(f->full_bound, f->of[PLAN_BEST].full_mean)), "",
            cell(c[2], 2, f->bound), over_cell(c[3], summary_over(f->bound, f->of[PLAN_BEST].mean)));
    for (enum plan_kind k = 0; k < PLANS; k++) {
        if (f->of[k].unconnected > 0)
            fprintf(to, "%s: %zu participants or pairs not connected\n", plan_label(k), f->of[k].unconnected);
    }
}

static void print_seats(const char *who, double ms, double optimum, const char *more, FILE *to)
{
    char c[2][CELL];
    fprintf(to, "%-32s%10s%8s%s\n", who, cell(c[0], 2, ms),
            optimum > 0 ? over_cell(c[1], summary_over(ms, optimum)) : "", more);
}

static void print_moving(const struct crowding *c, FILE *to)
{
    char moved[40];
    snprintf(moved, sizeof moved, "  %zu moved", c->rebalance_moves);
    print_seats("Berth, rebalanced", c->rebalanced, c->optimum, moved, to);
    snprintf(moved, sizeof moved, "  %zu moved", c->exchange_moves);
    print_seats("and with exchanges of seats", c->exchanged, c->optimum, moved, to);
}

static void print_crowding(const struct crowding *c, FILE *to)
{
    fprintf(to, "\ncapacity: %zu participants at the peak, %zu seats", c->people, c->seats);
    if (c->unlimited > 0)
        fprintf(to, " and %zu nodes without a limit", c->unlimited);
    fprintf(to, "; exceeded %zu times\n", c->exceeded);
    fprintf(to, "%-32s%10s%8s\n", "mean round trip to the node", "ms", "+ %");
    print_seats(c->priced ? "Berth, with prices" : "Berth", c->online, c->optimum, "", to);
    if (!c->priced)
        print_moving(c, to);
    if (c->fits)
        print_seats("minimum-cost flow", c->optimum, 0, "", to);
    else
        fprintf(to, "minimum-cost flow: there is not room for all\n");
}

void summary_print(const struct summary *s, FILE *to)
{
    fprintf(to, "One-way ms: mean of a meeting's pairs, of its worst-off; + %%: above the best.\n"
                "Berth alone minds capacities, and that nodes of one's own come first.\n");
    print_figures(&s->all, to);
    for (size_t k = 0; k < s->n_mixes; k++)
        print_figures(&s->mix[k], to);
    if (s->crowding.limited)
        print_crowding(&s->crowding, to);
    fprintf(to, "\n%zu decisions; CPU us: median %.1f, 99th percentile %.1f, most %.1f\n", s->decisions,
            s->us_median, s->us_p99, s->us_max);
}

static json_t *tally_json(const struct figures *f, enum plan_kind k)
{
    const struct tally *t = &f->of[k], *best = &f->of[PLAN_BEST];
    json_t *j = json_pack("{s:{s:f,s:f,s:f,s:f},s:{s:f,s:f,s:f,s:f},s:I}", "full", "mean_ms", t->full_mean,
                          "above_best_pct", summary_over(t->full_mean, best->full_mean), "worst_ms",
                          t->full_worst, "nodes", t->full_nodes, "over_time", "mean_ms", t->mean,
                          "above_best_pct", summary_over(t->mean, best->mean), "worst_ms", t->worst, "nodes",
                          t->nodes, "unconnected", (json_int_t)t->unconnected);
    if (j && (k == PLAN_ONLINE || k == PLAN_FULL))
        json_object_set_new(j, "moves_per_participant",
                            json_real(f->participants > 0 ? (double)t->moves / (double)f->participants : 0));
    return j;
}

static json_t *figures_json(const struct figures *f)
{
    json_t *plans = json_object();
    for (enum plan_kind k = 0; k < PLANS; k++)
        json_object_set_new(plans, plan_key(k), tally_json(f, k));
    return json_pack("{s:s,s:I,s:I,s:I,s:{s:f,s:f},s:o}", "mix", f->mix ? f->mix : "all", "meetings",
                     (json_int_t)f->meetings, "participants", (json_int_t)f->participants, "proven",
                     (json_int_t)f->proven, "lower_bound", "full_ms", f->full_bound, "over_time_ms", f->bound,
                     "plans", plans);
}

static json_t *told(bool is, double ms)
{
    return is ? json_real(ms) : json_null();
}

static json_t *crowding_json(const struct crowding *c)
{
    return json_pack("{s:I,s:I,s:I,s:f,s:o,s:o,s:o,s:I,s:I}", "participants", (json_int_t)c->people, "seats",
                     (json_int_t)c->seats, "events_over_capacity", (json_int_t)c->exceeded, "online_ms",
                     c->online, "rebalanced_ms", told(!c->priced, c->rebalanced), "exchanged_ms",
                     told(!c->priced, c->exchanged), "optimum_ms", told(c->fits, c->optimum),
                     "rebalance_moves", (json_int_t)c->rebalance_moves, "exchange_moves",
                     (json_int_t)c->exchange_moves);
}

json_t *summary_json(const struct summary *s)
{
    json_t *mixes = json_array();
    for (size_t k = 0; k < s->n_mixes; k++)
        json_array_append_new(mixes, figures_json(&s->mix[k]));
    json_t *j = json_pack("{s:o,s:o,s:{s:I,s:f,s:f,s:f}}", "all", figures_json(&s->all), "mixes", mixes,
                          "cpu", "decisions", (json_int_t)s->decisions, "median_us", s->us_median, "p99_us",
                          s->us_p99, "max_us", s->us_max);
    if (j && s->crowding.limited)
        json_object_set_new(j, "capacity", crowding_json(&s->crowding));
    return j;
}
