/* Nodes and matrices from their files. Invariant: what is accepted has a figure, or "unreachable", for every site and node, and
 * one for every two nodes, the same both ways. */
#include "world.h"

#include "csv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const node_columns[] = {"node", "site", "region", "class", "capacity", "weight"};
enum { COL_NODE, COL_SITE, COL_REGION, COL_CLASS, COL_CAPACITY, COL_WEIGHT, COLUMNS };
enum { WEIGHT_MAX = 1000 };

static int no_memory(struct replay_error *e, const char *file)
{
    replay_fail(e, file, 0, "out of memory");
    return -ENOMEM;
}

static int name_refused(struct replay_error *e, const struct csv *c, int answer, const char *what)
{
    if (answer == -ENOMEM)
        return no_memory(e, c->file);
    return replay_fail(e, c->file, c->line, "%s: a name of 1 to %d bytes of UTF-8 is wanted", what,
                       NAME_MAX_LEN);
}

static int nodes_header(struct csv *c, size_t at[COLUMNS], struct replay_error *e)
{
    int answer = csv_next(c, e);
    if (answer < 0)
        return answer;
    for (size_t k = 0; k < COLUMNS; k++) {
        at[k] = NAMES_NONE;
        for (size_t i = 0; answer > 0 && i < c->n; i++) {
            if (strcmp(c->fields[i], node_columns[k]) == 0)
                at[k] = i;
        }
        if (at[k] == NAMES_NONE)
            return replay_fail(e, c->file, c->line,
                               "no column '%s': the first row is node,site,region,class,capacity,weight",
                               node_columns[k]);
    }
    return 0;
}

static int node_figures(const struct csv *c, const size_t at[COLUMNS], struct world_node *n,
                        struct replay_error *e)
{
    const char *class = c->fields[at[COL_CLASS]];
    n->mesh = strcmp(class, "mesh") == 0;
    if (!n->mesh && strcmp(class, "cloud") != 0)
        return replay_fail(e, c->file, c->line, "class: '%.40s' is neither cloud nor mesh", class);
    n->capacity = 0;
    n->weight = 1;
    if (*c->fields[at[COL_CAPACITY]] &&
        csv_count(c, at[COL_CAPACITY], "capacity", WORLD_CAPACITY_MAX, &n->capacity, e) < 0)
        return -EINVAL;
    if (*c->fields[at[COL_WEIGHT]] && csv_real(c, at[COL_WEIGHT], "weight", WEIGHT_MAX, &n->weight, e) < 0)
        return -EINVAL;
    if (n->weight == 0)
        return replay_fail(e, c->file, c->line, "weight: 0 would weigh nothing; 1 is neutral");
    return 0;
}

static int node_row(struct world *w, const struct csv *c, const size_t at[COLUMNS], struct replay_error *e)
{
    struct world_node n = {.line = c->line};
    size_t number, region, had = w->nodes.n;
    int answer;
    if (c->n != COLUMNS)
        return replay_fail(e, c->file, c->line, "%zu columns where %d are wanted", c->n, COLUMNS);
    if (had == WORLD_NODES_MAX)
        return replay_fail(e, c->file, c->line, "more than %d nodes", WORLD_NODES_MAX);
    if (node_figures(c, at, &n, e) < 0)
        return -EINVAL;
    const char *region_name = c->fields[at[COL_REGION]];
    if ((answer = names_add(&w->regions, *region_name ? region_name : "none", &region)) < 0)
        return name_refused(e, c, answer, "region");
    if (*c->fields[at[COL_SITE]] == '\0')
        return replay_fail(e, c->file, c->line, "site: the node's site is wanted");
    if ((answer = names_add(&w->nodes, c->fields[at[COL_NODE]], &number)) < 0)
        return name_refused(e, c, answer, "node");
    if (number < had)
        return replay_fail(e, c->file, c->line, "node '%s' is there twice", w->nodes.text[number]);
    struct world_node *all = realloc(w->node, w->nodes.n * sizeof *all);
    if (all)
        w->node = all;
    if (!all || !(n.site = strdup(c->fields[at[COL_SITE]]))) {
        free(w->nodes.text[--w->nodes.n]); /* this world is only cleared after an error */
        return no_memory(e, c->file);
    }
    n.name = w->nodes.text[number];
    n.region = w->regions.text[region];
    all[number] = n;
    return 0;
}

int world_read_nodes(struct world *w, const char *file, char *text, size_t size, struct replay_error *e)
{
    struct csv *c = malloc(sizeof *c);
    size_t at[COLUMNS] = {0};
    int answer = -ENOMEM;
    if (!c)
        return no_memory(e, file);
    csv_init(c, file, text, size);
    if ((answer = nodes_header(c, at, e)) < 0)
        goto out;
    while ((answer = csv_next(c, e)) > 0) {
        if ((answer = node_row(w, c, at, e)) < 0)
            goto out;
    }
    if (answer == 0 && w->nodes.n == 0)
        answer = replay_fail(e, file, 0, "no nodes");
out:
    free(c);
    return answer;
}

void matrix_clear(struct matrix *m)
{
    free(m->rtt);
    free(m->between);
    *m = (struct matrix){0};
}

void world_clear(struct world *w)
{
    for (size_t i = 0; i < w->nodes.n; i++)
        free(w->node[i].site);
    free(w->node);
    names_clear(&w->sites);
    names_clear(&w->nodes);
    names_clear(&w->regions);
    matrix_clear(&w->truth);
    *w = (struct world){0};
}
