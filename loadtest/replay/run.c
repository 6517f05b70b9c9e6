/* The replay's course: events in their order, each through all plans. Invariant: between two events of a meeting nothing about it
 * changes, so its cost over that time is its cost now times the time. */
#include "run_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Largest memberships, and the event after which most participants are there: from a pass over the events alone. */
static int look_ahead(struct run *r)
{
    size_t now = 0, most = 0;
    for (size_t k = 0; k < r->v->n; k++) {
        const struct event *e = &r->v->event[k];
        struct crowd *c = &r->crowd[e->meeting];
        if (e->leave) {
            size_t i = 0;
            while (c->stay[i] != e->participant)
                i++;
            memmove(&c->stay[i], &c->stay[i + 1], (--c->n - i) * sizeof *c->stay);
            now--;
            continue;
        }
        if (!c->stay && !(c->stay = calloc(r->v->meeting[e->meeting].largest, sizeof *c->stay)))
            return -ENOMEM;
        c->stay[c->n++] = e->participant;
        if (++now >= most) {
            most = now;
            r->peak = k;
        }
        if (k == r->v->meeting[e->meeting].full_at) {
            if (!(c->full = calloc(c->n, sizeof *c->full)))
                return -ENOMEM;
            memcpy(c->full, c->stay, c->n * sizeof *c->full);
            c->n_full = c->n;
        }
    }
    for (size_t m = 0; m < r->v->meetings.n; m++)
        r->crowd[m].n = 0;
    return 0;
}

struct house run_house(struct run *r, size_t n, const size_t *stay)
{
    for (size_t i = 0; i < n; i++)
        r->rtt[i] = matrix_row(&r->w->truth, r->v->stay[stay[i]].site);
    return (struct house){.n = n,
                          .rtt = r->rtt,
                          .n_nodes = r->w->nodes.n,
                          .between = r->w->truth.between,
                          .allowed = place_engine_allowed(r->engine)};
}

int run_engine(struct run *r, enum plan_kind kind, enum place_engine_mode mode, const struct crowd *c,
               int64_t t_us, int64_t *ns)
{
    for (size_t i = 0; i < c->n; i++) {
        const struct stay *s = &r->v->stay[c->stay[i]];
        int64_t moved_at = kind == PLAN_ONLINE ? r->moved_at[c->stay[i]] : 0;
        r->member[i] = (struct place_engine_member){.name = s->name,
                                                    .site = s->site,
                                                    .unmeasured = s->unmeasured,
                                                    .present = r->seat[kind][c->stay[i]],
                                                    .moved_ago_us = moved_at > 0 ? t_us - moved_at + 1 : 0};
    }
    return place_engine_decide(r->engine, mode, c->n, r->member, r->used[kind], r->plan, ns);
}

size_t run_seat(struct run *r, enum plan_kind kind, const struct crowd *c)
{
    size_t moves = 0;
    for (size_t i = 0; i < c->n; i++) {
        size_t *seat = &r->seat[kind][c->stay[i]], old = *seat;
        *seat = r->plan[i];
        moves += old != NAMES_NONE && old != *seat;
        if (old != NAMES_NONE)
            r->used[kind][old]--;
        if (*seat != NAMES_NONE)
            r->used[kind][*seat]++;
    }
    return moves;
}

static void release(struct run *r, size_t stay)
{
    for (size_t k = 0; k < PLANS; k++) {
        size_t *seat = &r->seat[k][stay];
        if (*seat != NAMES_NONE)
            r->used[k][*seat]--;
        *seat = NAMES_NONE;
    }
}

/* The time since the meeting's last event, at what its plans cost then. */
static void pass_time(struct run *r, size_t meeting, int64_t t_us)
{
    struct crowd *c = &r->crowd[meeting];
    struct meeting_result *m = &r->r->meeting[meeting];
    double s = (double)(t_us - c->last_us) / 1e6;
    c->last_us = t_us;
    if (c->n < 2)
        return;
    m->span_s += s;
    m->bound += s * house_mean_ms(c->n, c->bound);
    for (size_t k = 0; k < PLANS; k++) {
        m->of[k].mean += s * c->now[k].mean_ms;
        m->of[k].worst += s * c->now[k].worst_ms;
        m->of[k].nodes += s * (double)c->now[k].nodes;
    }
}

static int change_members(struct run *r, const struct event *e)
{
    struct crowd *c = &r->crowd[e->meeting];
    int64_t of;
    size_t i = 0;
    if (!e->leave) {
        c->stay[c->n] = e->participant;
        i = c->n++;
        r->r->meeting[e->meeting].people++;
    } else {
        while (c->stay[i] != e->participant)
            i++;
    }
    struct house h = run_house(r, c->n, c->stay);
    if ((of = search_bound_of(r->search, &h, i)) < 0)
        return (int)of;
    c->bound += e->leave ? -of : of;
    if (e->leave) {
        memmove(&c->stay[i], &c->stay[i + 1], (--c->n - i) * sizeof *c->stay);
        release(r, e->participant);
    }
    return 0;
}

static int write_line(struct run *r, const struct event *e, const struct crowd *c, double us)
{
    json_t *plan = json_object(), *moved = json_array();
    bool whole = true;
    for (size_t i = 0; i < c->n; i++) {
        size_t stay = c->stay[i], seat = r->plan[i], old = r->seat[PLAN_ONLINE][stay];
        const char *name = r->v->stay[stay].name;
        json_t *node = seat == NAMES_NONE ? json_null() : json_string(r->w->nodes.text[seat]);
        whole = json_object_set_new(plan, name, node) == 0 && whole;
        if (old != NAMES_NONE && old != seat)
            whole = json_array_append_new(moved, json_string(name)) == 0 && whole;
    }
    json_t *line = json_pack("{s:f,s:s,s:o,s:o,s:f}", "t", (double)e->t_us / 1e6, "meeting",
                             r->v->meetings.text[e->meeting], "plan", plan, "moved", moved, "us", us);
    int answer = line && whole ? 0 : -ENOMEM;
    if (answer == 0 && (json_dumpf(line, r->o->out, JSON_COMPACT | JSON_REAL_PRECISION(12)) < 0 ||
                        putc('\n', r->o->out) == EOF))
        answer = -EIO;
    json_decref(line);
    return answer;
}

static bool over_capacity(const struct run *r)
{
    for (size_t v = 0; v < r->w->nodes.n; v++) {
        if (r->w->node[v].capacity > 0 && r->used[PLAN_ONLINE][v] > r->w->node[v].capacity)
            return true;
    }
    return false;
}

/* One plan's answer to an event, put into effect. */
static int step(struct run *r, enum plan_kind kind, const struct event *e)
{
    struct crowd *c = &r->crowd[e->meeting];
    struct tally *t = &r->r->meeting[e->meeting].of[kind];
    int64_t ns = 0;
    int answer = kind == PLAN_ONLINE ? run_engine(r, kind, ENGINE_ONLINE, c, e->t_us, &ns)
                 : kind == PLAN_FULL ? run_engine(r, kind, ENGINE_BEST, c, e->t_us, &ns)
                                     : baseline_plan(r, kind, e->meeting);
    if (answer < 0)
        return answer;
    if (kind == PLAN_ONLINE) {
        r->r->us[r->r->n_decisions++] = (double)ns / 1000;
        if (r->o->out && (answer = write_line(r, e, c, (double)ns / 1000)) < 0)
            return answer;
        for (size_t i = 0; i < c->n; i++) {
            size_t old = r->seat[kind][c->stay[i]];
            if (old != NAMES_NONE && old != r->plan[i])
                r->moved_at[c->stay[i]] = e->t_us;
        }
    }
    t->moves += run_seat(r, kind, c);
    if (kind == PLAN_ONLINE)
        r->r->crowding.exceeded += over_capacity(r);
    struct house h = run_house(r, c->n, c->stay);
    house_cost(&h, r->plan, &c->now[kind]);
    if (c->now[kind].unconnected > t->unconnected)
        t->unconnected = c->now[kind].unconnected;
    return 0;
}

static void note_full(struct run *r, size_t meeting)
{
    const struct crowd *c = &r->crowd[meeting];
    struct meeting_result *m = &r->r->meeting[meeting];
    m->full_bound = house_mean_ms(c->n, c->bound);
    for (size_t k = 0; k < PLANS; k++) {
        m->of[k].full_mean = c->now[k].mean_ms;
        m->of[k].full_worst = c->now[k].worst_ms;
        m->of[k].full_nodes = (double)c->now[k].nodes;
    }
}

static int play(struct run *r, size_t k)
{
    const struct event *e = &r->v->event[k];
    int answer;
    pass_time(r, e->meeting, e->t_us);
    if (!r->crowd[e->meeting].opened && (answer = baseline_open(r, e->meeting)) < 0)
        return answer;
    if ((answer = change_members(r, e)) < 0)
        return answer;
    if (r->o->forecast)
        place_engine_price(r->engine, forecast_prices(r->o->forecast, e->t_us, r->used[PLAN_ONLINE]));
    for (enum plan_kind p = 0; p < PLANS; p++) {
        if ((answer = step(r, p, e)) < 0)
            return answer;
    }
    if (k == r->v->meeting[e->meeting].full_at)
        note_full(r, e->meeting);
    return k == r->peak ? crowding_measure(r, e->t_us) : 0;
}

/* Sums over time become means. */
static void divide(struct meeting_result *m)
{
    double s = m->span_s > 0 ? m->span_s : 1;
    m->bound /= s;
    for (size_t k = 0; k < PLANS; k++) {
        m->of[k].mean /= s;
        m->of[k].worst /= s;
        m->of[k].nodes /= s;
    }
}

static int reserve(struct run *r)
{
    size_t meetings = r->v->meetings.n > 0 ? r->v->meetings.n : 1,
           stays = r->v->n_stays > 0 ? r->v->n_stays : 1;
    size_t events = r->v->n > 0 ? r->v->n : 1, largest = 1;
    for (size_t m = 0; m < r->v->meetings.n; m++) {
        if (r->v->meeting[m].largest > largest)
            largest = r->v->meeting[m].largest;
    }
    r->search = search_new();
    r->crowd = calloc(meetings, sizeof *r->crowd);
    r->moved_at = calloc(stays, sizeof *r->moved_at);
    r->rtt = calloc(largest, sizeof *r->rtt);
    r->plan = calloc(largest, sizeof *r->plan);
    r->member = calloc(largest, sizeof *r->member);
    r->r->meeting = calloc(meetings, sizeof *r->r->meeting);
    r->r->us = calloc(events, sizeof *r->r->us);
    r->r->n_meetings = r->v->meetings.n;
    bool ok =
        r->search && r->crowd && r->moved_at && r->rtt && r->plan && r->member && r->r->meeting && r->r->us;
    for (size_t k = 0; k < PLANS; k++) {
        r->seat[k] = malloc(stays * sizeof *r->seat[k]);
        r->used[k] = calloc(r->w->nodes.n, sizeof *r->used[k]);
        ok = ok && r->seat[k] && r->used[k];
        for (size_t i = 0; r->seat[k] && i < stays; i++)
            r->seat[k][i] = NAMES_NONE;
    }
    return ok ? 0 : -ENOMEM;
}

static void release_all(struct run *r)
{
    for (size_t m = 0; r->crowd && m < r->v->meetings.n; m++) {
        free(r->crowd[m].stay);
        free(r->crowd[m].full);
    }
    for (size_t k = 0; k < PLANS; k++) {
        free(r->seat[k]);
        free(r->used[k]);
    }
    free(r->crowd);
    free(r->moved_at);
    free((void *)r->rtt);
    free(r->plan);
    free(r->member);
    search_destroy(r->search);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int run_replay(const struct world *w, const struct events *v, struct place_engine *engine,
               const struct run_options *o, struct run_result *result)
{
    struct run r = {.w = w, .v = v, .o = o, .engine = engine, .r = result};
    *result = (struct run_result){0};
    int answer = reserve(&r);
    if (answer == 0)
        answer = look_ahead(&r);
    for (size_t k = 0; answer == 0 && k < v->n; k++)
        answer = play(&r, k);
    for (size_t m = 0; answer == 0 && m < v->meetings.n; m++)
        divide(&result->meeting[m]);
    if (answer == 0)
        qsort(result->us, result->n_decisions, sizeof *result->us, by_size);
    else
        run_clear(result);
    release_all(&r);
    return answer;
}

void run_clear(struct run_result *r)
{
    free(r->meeting);
    free(r->us);
    *r = (struct run_result){0};
}
