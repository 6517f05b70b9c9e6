/* Worlds as files. Invariant: what is written is read again by world_read_nodes and world_read_matrix. */
#include "gen.h"

#include "rng.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define MOST_MS 9999.99 /* of two decimals the largest that is read again */

struct damage {
    double lost, jitter;
    uint64_t random;
};

/* One figure, as it was measured. Two numbers are drawn each time, so that a larger share keeps what a smaller one had. */
static void write_cell(int64_t us, bool itself, struct damage *d, FILE *to)
{
    bool lost = rng_uniform(&d->random) < d->lost;
    double factor = 1 + d->jitter * (2 * rng_uniform(&d->random) - 1);
    if (us >= WORLD_FAR_US || (lost && !itself))
        fputc(',', to);
    else
        fprintf(to, ",%.2f", fmin((double)us * factor / 1000, MOST_MS));
}

static void write_name(const char *name, FILE *to)
{
    if (!strpbrk(name, "\",\r\n")) {
        fputs(name, to);
        return;
    }
    fputc('"', to);
    for (; *name; name++) {
        if (*name == '"')
            fputc('"', to);
        fputc(*name, to);
    }
    fputc('"', to);
}

static int written(FILE *to)
{
    return ferror(to) ? -EIO : 0;
}

int gen_write_matrix(const struct gen_world *g, double lost, double jitter, uint64_t seed, FILE *to)
{
    struct damage d = {.lost = lost, .jitter = jitter, .random = seed};
    for (size_t v = 0; v < g->nodes.n; v++) {
        fputc(',', to);
        write_name(g->nodes.text[v], to);
    }
    fputc('\n', to);
    for (size_t i = 0; i < g->sites.n; i++) {
        write_name(g->sites.text[i], to);
        for (size_t v = 0; v < g->nodes.n; v++)
            write_cell(matrix_row(&g->m, i)[v], false, &d, to);
        fputc('\n', to);
    }
    for (size_t a = 0; a < g->nodes.n; a++) {
        write_name(g->nodes.text[a], to);
        for (size_t b = 0; b < g->nodes.n; b++)
            write_cell(matrix_between(&g->m, a, b), a == b, &d, to);
        fputc('\n', to);
    }
    return written(to);
}

int gen_write_nodes(const struct gen_world *g, int64_t capacity, FILE *to)
{
    fputs("node,site,region,class,capacity,weight\n", to);
    for (size_t v = 0; v < g->nodes.n; v++) {
        const char *name = g->nodes.text[v];
        const char *region = g->region[v] == NAMES_NONE ? name : g->continents.text[g->region[v]];
        const char *const names[] = {name, name, region};
        for (size_t k = 0; k < 3; k++) {
            write_name(names[k], to);
            fputc(',', to);
        }
        fprintf(to, "cloud,%lld,1\n",
                (long long)(capacity < WORLD_CAPACITY_MAX ? capacity : WORLD_CAPACITY_MAX));
    }
    return written(to);
}
