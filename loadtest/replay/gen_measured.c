/* Worlds from measured matrices. Invariant: the three files name the same clients and the same nodes, or are refused. */
#include "gen.h"

#include "csv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SITE_LEN = NAME_MAX_LEN + 2 };

struct table {
    struct csv csv;
    struct replay_error *e;
};

static int no_memory(struct table *t)
{
    replay_fail(t->e, t->csv.file, 0, "out of memory");
    return -ENOMEM;
}

static int refuse_name(struct table *t, int answer)
{
    return answer == -ENOMEM
               ? no_memory(t)
               : replay_fail(t->e, t->csv.file, t->csv.line,
                             "not a right name: 1 to %d bytes of UTF-8, and none twice", NAME_MAX_LEN);
}

static int begin(struct table *t, struct gen_text from, struct replay_error *e)
{
    t->e = e;
    csv_init(&t->csv, from.file, from.text, from.size);
    int answer = csv_next(&t->csv, e);
    return answer > 0 ? 0 : answer < 0 ? answer : replay_fail(e, from.file, 0, "no first row");
}

/* A row of figures; a row's name was read by the caller. */
static int figures(struct table *t, size_t n, int64_t *to)
{
    if (t->csv.n != n + 1)
        return replay_fail(t->e, t->csv.file, t->csv.line, "%zu columns where %zu are wanted", t->csv.n,
                           n + 1);
    for (size_t v = 0; v < n; v++) {
        if (*t->csv.fields[v + 1] == '\0')
            to[v] = WORLD_FAR_US;
        else if (csv_ms(&t->csv, v + 1, "round trip", WORLD_FAR_US - 1, &to[v], t->e) < 0)
            return -EINVAL;
    }
    return 0;
}

/* What a client's site is called; cut only where the name is too long anyway. */
static void name_site(char name[static SITE_LEN], const char *client)
{
    snprintf(name, SITE_LEN, "client-%s", client);
}

/* The columns of the first row. */
static int add_nodes(struct gen_world *g, struct table *t)
{
    for (size_t k = 1; k < t->csv.n; k++) {
        size_t at, had = g->nodes.n;
        int answer = names_add(&g->nodes, t->csv.fields[k], &at);
        if (answer < 0 || at < had)
            return refuse_name(t, answer);
    }
    g->m.n_nodes = g->nodes.n;
    return g->nodes.n > 0 && g->nodes.n <= GEN_NODES_MAX
               ? 0
               : replay_fail(t->e, t->csv.file, 1, "1 to %d nodes are wanted", GEN_NODES_MAX);
}

/* The client of this row. */
static int add_site(struct gen_world *g, struct table *t)
{
    char name[SITE_LEN];
    size_t at, had = g->sites.n;
    name_site(name, t->csv.fields[0]);
    if (names_find(&g->nodes, name) != NAMES_NONE)
        return replay_fail(t->e, t->csv.file, t->csv.line,
                           "client '%.60s': its site is called '%.60s', as a node is", t->csv.fields[0],
                           name);
    int answer = names_add(&g->sites, name, &at);
    if (answer < 0 || at < had)
        return refuse_name(t, answer);
    return g->sites.n <= GEN_SITES_MAX
               ? 0
               : replay_fail(t->e, t->csv.file, t->csv.line, "more than %d clients", GEN_SITES_MAX);
}

/* For a row of each site; *rows: for how many there is. */
static int make_room(struct gen_world *g, struct table *t, size_t *rows)
{
    if (g->sites.n <= *rows)
        return 0;
    size_t more = *rows > 0 ? *rows * 2 : 256;
    int64_t *rtt = realloc(g->m.rtt, more * g->m.n_nodes * sizeof *rtt);
    if (!rtt)
        return no_memory(t);
    g->m.rtt = rtt;
    *rows = more;
    return 0;
}

static int read_clients_matrix(struct gen_world *g, struct table *t)
{
    size_t rows = 0;
    int answer = add_nodes(g, t);
    if (answer < 0)
        return answer;
    while ((answer = csv_next(&t->csv, t->e)) > 0) {
        if ((answer = add_site(g, t)) < 0 || (answer = make_room(g, t, &rows)) < 0 ||
            (answer = figures(t, g->m.n_nodes, g->m.rtt + (g->sites.n - 1) * g->m.n_nodes)) < 0)
            return answer;
    }
    g->m.n_sites = g->sites.n;
    return answer < 0 || g->sites.n > 0 ? answer : replay_fail(t->e, t->csv.file, 0, "no clients");
}

static int read_nodes_matrix(struct gen_world *g, struct table *t)
{
    size_t n = g->nodes.n, rows = 0;
    int answer;
    for (size_t k = 1; k < t->csv.n; k++) {
        if (names_find(&g->nodes, t->csv.fields[k]) != k - 1)
            return replay_fail(t->e, t->csv.file, 1,
                               "column '%.60s': the same nodes in the same order are wanted",
                               t->csv.fields[k]);
    }
    if (!(g->m.between = calloc(n * n, sizeof *g->m.between)))
        return no_memory(t);
    while ((answer = csv_next(&t->csv, t->e)) > 0) {
        size_t at = names_find(&g->nodes, t->csv.fields[0]);
        if (at != rows++)
            return replay_fail(t->e, t->csv.file, t->csv.line,
                               "row '%.60s': the same nodes in the same order are wanted", t->csv.fields[0]);
        if ((answer = figures(t, n, g->m.between + at * n)) < 0)
            return answer;
    }
    return answer < 0 || rows == n ? answer
                                   : replay_fail(t->e, t->csv.file, 0, "%zu rows for %zu nodes", rows, n);
}

static size_t column(const struct table *t, const char *name)
{
    size_t k = 0;
    while (k < t->csv.n && strcmp(t->csv.fields[k], name) != 0)
        k++;
    return k;
}

static int read_clients(struct gen_world *g, struct table *t)
{
    size_t client = column(t, "client"), country = column(t, "country"),
           continent = column(t, "continent_code");
    size_t width = t->csv.n, rows = 0;
    int answer;
    if (client == width || country == width || continent == width)
        return replay_fail(t->e, t->csv.file, 1, "columns client, country and continent_code are wanted");
    g->country = calloc(g->sites.n, sizeof *g->country);
    g->continent = calloc(g->sites.n, sizeof *g->continent);
    g->region = calloc(g->nodes.n, sizeof *g->region);
    if (!g->country || !g->continent || !g->region)
        return no_memory(t);
    for (size_t v = 0; v < g->nodes.n; v++)
        g->region[v] = NAMES_NONE;
    while ((answer = csv_next(&t->csv, t->e)) > 0) {
        char name[SITE_LEN];
        if (t->csv.n != width)
            return replay_fail(t->e, t->csv.file, t->csv.line, "%zu columns where the first row has %zu",
                               t->csv.n, width);
        name_site(name, t->csv.fields[client]);
        if (names_find(&g->sites, name) != rows)
            return replay_fail(t->e, t->csv.file, t->csv.line,
                               "client '%.60s': the same clients in the same order are wanted",
                               t->csv.fields[client]);
        if ((answer = names_add(&g->countries, t->csv.fields[country], &g->country[rows])) < 0 ||
            (answer = names_add(&g->continents, t->csv.fields[continent], &g->continent[rows])) < 0)
            return refuse_name(t, answer);
        rows++;
    }
    return answer < 0 || rows == g->sites.n
               ? answer
               : replay_fail(t->e, t->csv.file, 0, "%zu rows for %zu clients", rows, g->sites.n);
}

int gen_measured(struct gen_world *g, struct gen_text clients_matrix, struct gen_text nodes_matrix,
                 struct gen_text clients, struct replay_error *e)
{
    struct table *t = calloc(1, sizeof *t);
    int answer;
    if (!t) {
        replay_fail(e, clients_matrix.file, 0, "out of memory");
        return -ENOMEM;
    }
    if ((answer = begin(t, clients_matrix, e)) < 0 || (answer = read_clients_matrix(g, t)) < 0 ||
        (answer = begin(t, nodes_matrix, e)) < 0 || (answer = read_nodes_matrix(g, t)) < 0 ||
        (answer = begin(t, clients, e)) < 0)
        goto out;
    answer = read_clients(g, t);
out:
    free(t);
    return answer;
}
