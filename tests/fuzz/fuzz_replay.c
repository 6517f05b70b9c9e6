/* The files of a replay (nodes, matrix, events, between lines of "---"): what is accepted is whole and in order. */
#include "fuzz.h"
#include "loadtest/replay/events.h"

static const char separator[] = "---\n";

/* The part up to the next separator, as a text of its own; *rest goes on behind it. */
static char *part(const char **rest, const char *end, size_t *size)
{
    const char *found = memmem(*rest, (size_t)(end - *rest), separator, sizeof separator - 1);
    *size = (size_t)((found ? found : end) - *rest);
    char *text = fuzz_text((const uint8_t *)*rest, *size);
    *rest = found ? found + sizeof separator - 1 : end;
    return text;
}

static void check_matrix(const struct matrix *m, int64_t least)
{
    for (size_t k = 0; k < m->n_sites * m->n_nodes; k++)
        FUZZ_CHECK(m->rtt[k] >= least && m->rtt[k] <= WORLD_FAR_US);
    for (size_t a = 0; a < m->n_nodes; a++) {
        FUZZ_CHECK(matrix_between(m, a, a) == 0);
        for (size_t b = 0; b < a; b++) {
            FUZZ_CHECK(matrix_between(m, a, b) == matrix_between(m, b, a));
            FUZZ_CHECK(matrix_between(m, a, b) >= least && matrix_between(m, a, b) <= WORLD_FAR_US);
        }
    }
}

static void check_events(const struct events *v, const struct world *w)
{
    size_t present = 0;
    for (size_t k = 0; k < v->n; k++) {
        const struct event *e = &v->event[k];
        FUZZ_CHECK(k == 0 || e->t_us >= v->event[k - 1].t_us);
        FUZZ_CHECK(e->meeting < v->meetings.n && e->participant < v->n_stays);
        FUZZ_CHECK(!e->leave || present > 0);
        present = e->leave ? present - 1 : present + 1;
    }
    for (size_t i = 0; i < v->n_stays; i++)
        FUZZ_CHECK(v->stay[i].site < w->sites.n);
    for (size_t m = 0; m < v->meetings.n; m++)
        FUZZ_CHECK(v->meeting[m].full_at < v->n && v->meeting[m].largest > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *rest = (const char *)data, *end = rest + size;
    struct world w = {0};
    struct matrix measured = {0};
    struct events v = {0};
    struct replay_error e;
    size_t n_nodes, n_matrix, n_events;
    char *nodes = part(&rest, end, &n_nodes), *matrix = part(&rest, end, &n_matrix);
    char *again = fuzz_text((const uint8_t *)matrix, n_matrix), *events = part(&rest, end, &n_events);
    if (world_read_nodes(&w, "N", nodes, n_nodes, &e) == 0 &&
        world_read_matrix(&w, "M", matrix, n_matrix, &e) == 0) {
        check_matrix(&w.truth, 0);
        FUZZ_CHECK(world_read_measured(&w, "M", again, n_matrix, &measured, &e) == 0);
        check_matrix(&measured, 0); /* all that is true was measured */
        matrix_clear(&measured);
        if (events_read(&v, &w, "E", events, n_events, &e) == 0)
            check_events(&v, &w);
    }
    events_clear(&v);
    world_clear(&w);
    free(nodes);
    free(matrix);
    free(again);
    free(events);
    return 0;
}
