/* Matrices from their file. Invariant: a cell is written by the one row of its site; cells of no row say "unknown". */
#include "csv.h"
#include "world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One file being read: the truth adds its sites to the world, measurements have to be of those that are there. */
struct reading {
    struct csv csv;
    const struct world *world;
    struct names *sites; /* where new ones go; NULL: measurements */
    struct matrix *m;
    size_t *column; /* of each node */
    size_t width, cap;
    bool *seen; /* measurements: sites that had their row */
};

/* The first one from there on that is called so. */
static size_t column_called(const struct csv *c, const char *name, size_t from)
{
    for (size_t k = from; k < c->n; k++) {
        if (strcmp(c->fields[k], name) == 0)
            return k;
    }
    return NAMES_NONE;
}

/* A column is called after a node, or after a site: then it speaks for the nodes there that have none of their own. */
static int read_header(struct reading *r, struct replay_error *e)
{
    const struct names *nodes = &r->world->nodes;
    struct csv *c = &r->csv;
    int answer = csv_next(c, e);
    if (answer <= 0)
        return answer < 0 ? answer : replay_fail(e, c->file, 0, "no first row with the nodes' names");
    r->width = c->n;
    for (size_t i = 0; i < nodes->n; i++) {
        const char *site = r->world->node[i].site;
        size_t k = column_called(c, nodes->text[i], 1);
        if (k == NAMES_NONE)
            k = column_called(c, site, 1);
        if (k == NAMES_NONE)
            return replay_fail(e, c->file, c->line, "no column for node '%.60s' or its site '%.60s'",
                               nodes->text[i], site);
        if (column_called(c, c->fields[k], k + 1) != NAMES_NONE)
            return replay_fail(e, c->file, c->line, "two columns are called '%.60s'", c->fields[k]);
        r->column[i] = k;
    }
    return 0;
}

/* Room for one more row of the truth. */
static int grow(struct reading *r, struct replay_error *e)
{
    size_t row = r->m->n_nodes * sizeof *r->m->rtt;
    if (r->m->n_sites == WORLD_SITES_MAX || (r->m->n_sites + 1) * r->m->n_nodes > WORLD_CELLS_MAX)
        return replay_fail(e, r->csv.file, r->csv.line, "more than %d sites, or %d figures", WORLD_SITES_MAX,
                           WORLD_CELLS_MAX);
    if (r->m->n_sites == r->cap) {
        size_t cap = r->cap > 0 ? r->cap * 2 : 64;
        int64_t *rtt = realloc(r->m->rtt, cap * row);
        if (!rtt) {
            replay_fail(e, r->csv.file, 0, "out of memory");
            return -ENOMEM;
        }
        r->m->rtt = rtt;
        r->cap = cap;
    }
    r->m->n_sites++;
    return 0;
}

static int row_of(struct reading *r, size_t *site, struct replay_error *e)
{
    const struct csv *c = &r->csv;
    int answer;
    if (!r->sites) {
        *site = names_find(&r->world->sites, c->fields[0]);
        if (*site == NAMES_NONE)
            return replay_fail(e, c->file, c->line, "site '%.60s' is not in the matrix", c->fields[0]);
        if (r->seen[*site])
            return replay_fail(e, c->file, c->line, "site '%.60s' is there twice", c->fields[0]);
        r->seen[*site] = true;
        return 0;
    }
    size_t had = r->sites->n;
    if ((answer = names_add(r->sites, c->fields[0], site)) == -EINVAL)
        return replay_fail(e, c->file, c->line, "site: a name of 1 to %d bytes of UTF-8 is wanted",
                           NAME_MAX_LEN);
    if (answer < 0) {
        replay_fail(e, c->file, 0, "out of memory");
        return answer;
    }
    if (*site < had)
        return replay_fail(e, c->file, c->line, "site '%.60s' is there twice", c->fields[0]);
    return grow(r, e);
}

/* What an empty cell means. */
static int64_t absent(const struct reading *r, size_t site, size_t node)
{
    if (r->sites)
        return WORLD_FAR_US;
    return matrix_row(&r->world->truth, site)[node] == WORLD_FAR_US ? WORLD_FAR_US : WORLD_UNKNOWN;
}

static int read_row(struct reading *r, struct replay_error *e)
{
    const struct csv *c = &r->csv;
    size_t site;
    int answer;
    if (c->n != r->width)
        return replay_fail(e, c->file, c->line, "%zu columns where the first row has %zu", c->n, r->width);
    if ((answer = row_of(r, &site, e)) < 0)
        return answer;
    for (size_t i = 0; i < r->m->n_nodes; i++) {
        int64_t *cell = &r->m->rtt[site * r->m->n_nodes + i];
        if (*c->fields[r->column[i]] == '\0')
            *cell = absent(r, site, i);
        else if (csv_ms(c, r->column[i], r->world->nodes.text[i], WORLD_FAR_US - 1, cell, e) < 0)
            return -EINVAL;
    }
    return 0;
}

/* Of the figures of both ways: their mean, the one that there is, or what both say instead. */
static int64_t both_ways(int64_t ab, int64_t ba)
{
    bool has_ab = ab >= 0 && ab < WORLD_FAR_US, has_ba = ba >= 0 && ba < WORLD_FAR_US;
    if (has_ab && has_ba)
        return (ab + ba) / 2;
    if (has_ab || has_ba)
        return has_ab ? ab : ba;
    return ab == WORLD_FAR_US && ba == WORLD_FAR_US ? WORLD_FAR_US : WORLD_UNKNOWN;
}

static int fill_between(struct reading *r, struct replay_error *e)
{
    const struct world *w = r->world;
    struct matrix *m = r->m;
    size_t *row = calloc(m->n_nodes, sizeof *row);
    m->between = calloc(m->n_nodes * m->n_nodes, sizeof *m->between);
    int answer = 0;
    if (!row || !m->between) {
        replay_fail(e, r->csv.file, 0, "out of memory");
        answer = -ENOMEM;
        goto out;
    }
    for (size_t a = 0; a < m->n_nodes; a++) {
        row[a] = names_find(&w->sites, w->node[a].site);
        if (row[a] == NAMES_NONE) {
            answer = replay_fail(e, r->csv.file, 0,
                                 "no row for '%.60s', the site of node '%.60s' (line %zu of the nodes' file)",
                                 w->node[a].site, w->nodes.text[a], w->node[a].line);
            goto out;
        }
    }
    for (size_t a = 0; a < m->n_nodes; a++) {
        for (size_t b = 0; b < m->n_nodes; b++) {
            int64_t us = both_ways(matrix_row(m, row[a])[b], matrix_row(m, row[b])[a]);
            if (a == b || (row[a] == row[b] && (us == WORLD_FAR_US || us == WORLD_UNKNOWN)))
                us = 0; /* in one place */
            m->between[a * m->n_nodes + b] = us;
        }
    }
out:
    free(row);
    return answer;
}

static int read_all(struct reading *r, const char *file, char *text, size_t size, struct replay_error *e)
{
    int answer;
    csv_init(&r->csv, file, text, size);
    r->column = calloc(r->world->nodes.n, sizeof *r->column);
    if (!r->column) {
        replay_fail(e, file, 0, "out of memory");
        return -ENOMEM;
    }
    if ((answer = read_header(r, e)) < 0)
        goto out;
    while ((answer = csv_next(&r->csv, e)) > 0) {
        if ((answer = read_row(r, e)) < 0)
            goto out;
    }
    if (answer == 0)
        answer = fill_between(r, e);
out:
    free(r->column);
    return answer;
}

int world_read_matrix(struct world *w, const char *file, char *text, size_t size, struct replay_error *e)
{
    struct reading *r = calloc(1, sizeof *r);
    if (!r)
        return -ENOMEM;
    w->truth.n_nodes = w->nodes.n;
    r->world = w;
    r->sites = &w->sites;
    r->m = &w->truth;
    int answer = read_all(r, file, text, size, e);
    free(r);
    return answer;
}

int world_read_measured(const struct world *w, const char *file, char *text, size_t size,
                        struct matrix *measured, struct replay_error *e)
{
    struct reading *r = calloc(1, sizeof *r);
    size_t cells = w->truth.n_sites * w->truth.n_nodes;
    struct matrix m = {.n_sites = w->truth.n_sites, .n_nodes = w->truth.n_nodes};
    int answer = -ENOMEM;
    m.rtt = calloc(cells > 0 ? cells : 1, sizeof *m.rtt);
    if (!r || !m.rtt || !(r->seen = calloc(m.n_sites > 0 ? m.n_sites : 1, sizeof *r->seen))) {
        replay_fail(e, file, 0, "out of memory");
        goto out;
    }
    for (size_t i = 0; i < cells; i++)
        m.rtt[i] = WORLD_UNKNOWN;
    r->world = w;
    r->m = &m;
    answer = read_all(r, file, text, size, e);
out:
    if (answer < 0)
        matrix_clear(&m);
    else
        *measured = m;
    if (r)
        free(r->seen);
    free(r);
    return answer;
}
