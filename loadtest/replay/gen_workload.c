/* Workloads that fit what is published of meetings: sizes, mixes, joins, durations, starts. Invariant: events are written in the
 * order of time, and every leave has its join before it. */
#include "gen.h"

#include "events.h"
#include "rng.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

enum {
    HOURS = 8,
    JOIN_MEAN_S = 185,
    DURATION_MEDIAN_S = 28 * 60,
    DURATION_MAX_S = 4 * 3600,
    DURATION_MIN_S = 60,
    SLOT_S = 1800, /* most meetings start at a full or half hour */
    SLOT_WITHIN_S = 120,
    TRIES = 20, /* for a site that the meeting doesn't have yet */
};
#define DURATION_SIGMA   0.8
#define SLOT_SHARE       0.6
#define STAYS_TO_THE_END 0.8

struct gen_event {
    int64_t t_ms;
    size_t sequence; /* events of one time stay in the order of their making */
    uint32_t meeting, participant, site;
    uint8_t mix;
    bool leave, unprobed;
};

struct making {
    const struct gen_world *g;
    const struct gen_workload *w;
    uint64_t random;
    size_t n, cap;
    struct gen_event *event;
};

static const struct {
    double share;
    size_t least, most;
} sizes[] = {{.50, 2, 2}, {.18, 3, 3}, {.10, 4, 4}, {.10, 5, 6}, {.07, 7, 10}, {.04, 11, 25}, {.01, 26, 100}};
static const double mix_shares[] = {[MIX_COUNTRY] = .775, [MIX_CONTINENT] = .115, [MIX_GLOBAL] = .11};
static const char *const mix_names[] = {
    [MIX_PUBLISHED] = "", [MIX_COUNTRY] = "country", [MIX_CONTINENT] = "continent", [MIX_GLOBAL] = "global"};

size_t gen_size(uint64_t *random)
{
    double x = rng_uniform(random), u = rng_uniform(random);
    size_t k = 0;
    while (k + 1 < sizeof sizes / sizeof sizes[0] && x >= sizes[k].share)
        x -= sizes[k++].share;
    return sizes[k].least + (size_t)(u * (double)(sizes[k].most - sizes[k].least + 1));
}

static size_t pick_size(struct making *m)
{
    size_t published = gen_size(&m->random); /* drawn whatever it is to be: what follows stays the same */
    return m->w->alone ? 1 : m->w->size > 0 ? m->w->size : published;
}

static enum gen_mix pick_mix(struct making *m)
{
    double x = rng_uniform(&m->random);
    if (m->w->mix != MIX_PUBLISHED)
        return m->w->mix;
    if (x < mix_shares[MIX_COUNTRY])
        return MIX_COUNTRY;
    return x < mix_shares[MIX_COUNTRY] + mix_shares[MIX_CONTINENT] ? MIX_CONTINENT : MIX_GLOBAL;
}

static size_t any_site(struct making *m)
{
    return (size_t)(rng_uniform(&m->random) * (double)m->g->sites.n);
}

/* A site near the first joiner's, as the mix wants it: drawn until one fits, as the first joiner's itself does. */
static size_t site_like(struct making *m, enum gen_mix mix, size_t first)
{
    size_t site;
    bool fits;
    do {
        site = any_site(m);
        fits = mix == MIX_GLOBAL || (mix == MIX_COUNTRY ? m->g->country[site] == m->g->country[first]
                                                        : m->g->continent[site] == m->g->continent[first]);
    } while (!fits);
    return site;
}

static struct gen_event *add(struct making *m)
{
    if (m->n == m->cap) {
        size_t cap = m->cap > 0 ? m->cap * 2 : 1024;
        struct gen_event *bigger = realloc(m->event, cap * sizeof *bigger);
        if (!bigger)
            return NULL;
        m->event = bigger;
        m->cap = cap;
    }
    m->event[m->n] = (struct gen_event){.sequence = m->n};
    return &m->event[m->n++];
}

static double start_s(struct making *m)
{
    double at = rng_uniform(&m->random) * HOURS * 3600;
    double near = (2 * rng_uniform(&m->random) - 1) * SLOT_WITHIN_S;
    if (rng_uniform(&m->random) >= SLOT_SHARE)
        return at;
    at = floor(at / SLOT_S) * SLOT_S + near;
    return at > 0 ? at : 0;
}

/* One's join and leave. The first comes at the start. */
static int add_participant(struct making *m, size_t meeting, enum gen_mix mix, size_t number, size_t site,
                           double start, double duration)
{
    double join = rng_exponential(&m->random, JOIN_MEAN_S), end = duration + 10 * rng_uniform(&m->random);
    double early = rng_uniform(&m->random);
    bool to_the_end = rng_uniform(&m->random) < STAYS_TO_THE_END,
         unprobed = rng_uniform(&m->random) < m->w->unprobed;
    join = number == 0 ? 0 : m->w->stay ? join : fmod(join, duration);
    if (!to_the_end)
        end = join + early * (end - join);
    struct gen_event *e = add(m);
    if (!e)
        return -ENOMEM;
    e->t_ms = llround((start + join) * 1000);
    e->meeting = (uint32_t)meeting;
    e->participant = (uint32_t)number;
    e->site = (uint32_t)site;
    e->mix = (uint8_t)mix;
    e->unprobed = unprobed;
    if (m->w->stay || m->w->alone)
        return 0;
    struct gen_event of = *e;
    if (!(e = add(m)))
        return -ENOMEM;
    of.sequence = e->sequence;
    of.leave = true;
    of.t_ms = llround((start + end) * 1000);
    *e = of;
    return 0;
}

static int add_meeting(struct making *m, size_t meeting)
{
    enum gen_mix mix = pick_mix(m);
    size_t n = pick_size(m), site[GEN_SIZE_MAX], first = any_site(m);
    double start = start_s(m), duration = DURATION_MEDIAN_S * exp(DURATION_SIGMA * rng_normal(&m->random));
    duration = duration > DURATION_MAX_S   ? DURATION_MAX_S
               : duration < DURATION_MIN_S ? DURATION_MIN_S
                                           : duration;
    for (size_t i = 0; i < n; i++) {
        bool twice = true;
        for (size_t t = 0; t < TRIES && twice; t++) {
            site[i] = i == 0 ? first : site_like(m, mix, first);
            twice = false;
            for (size_t j = 0; j < i; j++)
                twice = twice || site[j] == site[i];
        }
        if (add_participant(m, meeting, mix, i, site[i], start, duration) < 0)
            return -ENOMEM;
    }
    return 0;
}

static int by_time(const void *a, const void *b)
{
    const struct gen_event *x = a, *y = b;
    if (x->t_ms != y->t_ms)
        return x->t_ms < y->t_ms ? -1 : 1;
    return (x->sequence > y->sequence) - (x->sequence < y->sequence);
}

static int write_event(const struct making *m, const struct gen_event *e, FILE *to)
{
    fprintf(to, "{\"t\":%lld.%03d,\"event\":\"%s\",\"meeting\":\"m%u\",\"participant\":\"p%u\"",
            (long long)(e->t_ms / 1000), (int)(e->t_ms % 1000), e->leave ? "leave" : "join", e->meeting,
            e->participant);
    if (!e->leave) {
        json_t *site = json_string(m->g->sites.text[e->site]);
        if (!site)
            return -ENOMEM;
        fputs(",\"site\":", to);
        (void)json_dumpf(site, to, JSON_ENCODE_ANY); /* the stream remembers what failed */
        json_decref(site);
        fprintf(to, ",\"mix\":\"%s\"%s", mix_names[e->mix], e->unprobed ? ",\"measured\":false" : "");
    }
    fputs("}\n", to);
    return 0;
}

int gen_write_meetings(const struct gen_world *g, const struct gen_workload *w, size_t *peak, FILE *to)
{
    struct making m = {.g = g, .w = w, .random = w->seed};
    size_t now = 0, most = 0;
    int answer = 0;
    for (size_t k = 0; k < w->meetings && answer == 0; k++)
        answer = m.n > EVENTS_MAX ? -EFBIG : add_meeting(&m, k);
    if (answer == 0 && m.n > 0)
        qsort(m.event, m.n, sizeof *m.event, by_time);
    for (size_t k = 0; k < m.n && answer == 0; k++) {
        answer = write_event(&m, &m.event[k], to);
        now = m.event[k].leave ? now - 1 : now + 1;
        most = now > most ? now : most;
    }
    free(m.event);
    if (answer == 0 && ferror(to))
        answer = -EIO;
    *peak = most;
    return answer;
}
