/* Synthetic worlds. Invariant: a round trip is never shorter than light in fibre allows, and every site reaches every node. */
#include "gen.h"

#include "rng.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define EARTH_KM      6371.0
#define RTT_MS_PER_KM 0.01 /* fibre: 200,000 km/s, there and back */
#define RADIAN        (3.14159265358979323846 / 180)

struct place {
    double lat, lon;
};

/* Rough middles of five continents, their extents in degrees, and their share of people and of nodes. */
static const struct {
    const char *name;
    struct place middle;
    double lat_extent, lon_extent, people, nodes;
} continents[GEN_CONTINENTS] = {
    {"north-america", {40, -95}, 10, 25, .24, .28}, {"south-america", {-15, -58}, 12, 12, .13, .06},
    {"europe", {49, 12}, 8, 16, .25, .32},          {"asia", {25, 105}, 16, 28, .30, .28},
    {"africa", {2, 20}, 18, 18, .08, .06},
};

static size_t pick_continent(uint64_t *random, bool node)
{
    double x = rng_uniform(random);
    for (size_t k = 0; k < GEN_CONTINENTS - 1; k++) {
        x -= node ? continents[k].nodes : continents[k].people;
        if (x < 0)
            return k;
    }
    return GEN_CONTINENTS - 1;
}

static struct place around(struct place p, double lat, double lon, uint64_t *random)
{
    double to = p.lat + lat * rng_normal(random);
    return (struct place){to > 70 ? 70 : to < -70 ? -70 : to, p.lon + lon * rng_normal(random)};
}

static double distance_km(struct place a, struct place b)
{
    double x = sin((a.lat - b.lat) * RADIAN / 2), y = sin((a.lon - b.lon) * RADIAN / 2);
    double h = x * x + cos(a.lat * RADIAN) * cos(b.lat * RADIAN) * y * y;
    return 2 * EARTH_KM * asin(h < 1 ? sqrt(h) : 1);
}

/* Over the public internet paths wander by 1.3 to 2.5 times the straight way; over a backbone of nodes by 1.2 to 1.5 times. */
static double wander(uint64_t *random, double least, double spread)
{
    double u = rng_uniform(random);
    return least + spread * u * u;
}

/* Fibre 3 ms, cable or DSL 10, Wi-Fi 18, cellular 32, at the median, by shares of .24, .35, .30 and .11. */
static double access_ms(uint64_t *random)
{
    double x = rng_uniform(random), median = x < .24 ? 3 : x < .59 ? 10 : x < .89 ? 18 : 32;
    return median * exp(0.4 * rng_normal(random));
}

static int64_t to_us(double ms)
{
    int64_t us = llround(ms * 100) * 10; /* the files have two decimals */
    return us < WORLD_FAR_US ? us : WORLD_FAR_US - 1000;
}

static int add_named(struct names *t, const char *prefix, size_t number)
{
    char name[48];
    size_t at;
    snprintf(name, sizeof name, "%s%04zu", prefix, number);
    return names_add(t, name, &at);
}

struct synthetic {
    struct gen_world *g;
    uint64_t random;
    struct place country[GEN_COUNTRIES];
    size_t country_continent[GEN_COUNTRIES];
    struct place *node, *site;
    size_t n_nodes, n_sites;
};

static int make_countries(struct synthetic *s)
{
    for (size_t k = 0; k < GEN_CONTINENTS; k++) {
        size_t at;
        if (names_add(&s->g->continents, continents[k].name, &at) < 0)
            return -ENOMEM;
    }
    for (size_t k = 0; k < GEN_COUNTRIES; k++) {
        size_t on = k < GEN_CONTINENTS ? k : pick_continent(&s->random, false);
        s->country_continent[k] = on;
        s->country[k] =
            around(continents[on].middle, continents[on].lat_extent, continents[on].lon_extent, &s->random);
        if (add_named(&s->g->countries, "country", k) < 0)
            return -ENOMEM;
    }
    return 0;
}

static int make_places(struct synthetic *s)
{
    for (size_t v = 0; v < s->n_nodes; v++) {
        size_t on = pick_continent(&s->random, true), country;
        do
            country = (size_t)(rng_uniform(&s->random) * GEN_COUNTRIES);
        while (s->country_continent[country] != on);
        s->node[v] = around(s->country[country], 2, 2, &s->random);
        s->g->region[v] = on;
        if (add_named(&s->g->nodes, "node", v) < 0)
            return -ENOMEM;
    }
    for (size_t i = 0; i < s->n_sites; i++) {
        double u = rng_uniform(&s->random); /* some countries are large */
        size_t country = (size_t)(u * u * GEN_COUNTRIES);
        s->site[i] = around(s->country[country], 2.5, 3.5, &s->random);
        s->g->country[i] = country;
        s->g->continent[i] = s->country_continent[country];
        if (add_named(&s->g->sites, "site", i) < 0)
            return -ENOMEM;
    }
    return 0;
}

static void measure(struct synthetic *s)
{
    struct matrix *m = &s->g->m;
    for (size_t a = 0; a < s->n_nodes; a++) {
        for (size_t b = 0; b < a; b++) {
            double ms =
                0.3 + RTT_MS_PER_KM * distance_km(s->node[a], s->node[b]) * wander(&s->random, 1.2, .3);
            m->between[a * s->n_nodes + b] = m->between[b * s->n_nodes + a] = to_us(ms);
        }
    }
    for (size_t i = 0; i < s->n_sites; i++) {
        double access = access_ms(&s->random);
        for (size_t v = 0; v < s->n_nodes; v++) {
            double way = RTT_MS_PER_KM * distance_km(s->site[i], s->node[v]) * wander(&s->random, 1.3, 1.2);
            m->rtt[i * s->n_nodes + v] = to_us(access + 0.5 + way);
        }
    }
}

int gen_synthetic(struct gen_world *g, uint64_t seed, size_t sites, size_t nodes)
{
    struct synthetic s = {.g = g, .random = seed, .n_nodes = nodes, .n_sites = sites};
    int answer = -ENOMEM;
    g->m = (struct matrix){.n_sites = sites, .n_nodes = nodes};
    g->country = calloc(sites, sizeof *g->country);
    g->continent = calloc(sites, sizeof *g->continent);
    g->region = calloc(nodes, sizeof *g->region);
    g->m.rtt = calloc(sites * nodes, sizeof *g->m.rtt);
    g->m.between = calloc(nodes * nodes, sizeof *g->m.between);
    s.node = calloc(nodes, sizeof *s.node);
    s.site = calloc(sites, sizeof *s.site);
    if (!g->country || !g->continent || !g->region || !g->m.rtt || !g->m.between || !s.node || !s.site)
        goto out;
    if (make_countries(&s) < 0 || make_places(&s) < 0)
        goto out;
    measure(&s);
    answer = 0;
out:
    free(s.node);
    free(s.site);
    return answer;
}

void gen_clear(struct gen_world *g)
{
    free(g->country);
    free(g->continent);
    free(g->region);
    matrix_clear(&g->m);
    names_clear(&g->sites);
    names_clear(&g->nodes);
    names_clear(&g->countries);
    names_clear(&g->continents);
    *g = (struct gen_world){0};
}
