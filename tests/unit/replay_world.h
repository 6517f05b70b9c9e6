/* What the tests of the replay share: texts as readers want them, and small random houses. */
#ifndef BERTH_TESTS_REPLAY_WORLD_H
#define BERTH_TESTS_REPLAY_WORLD_H

#include "check.h"

#include "loadtest/replay/house.h"
#include "loadtest/replay/world.h"

#include <stdlib.h>
#include <string.h>

enum { HOUSE_PEOPLE_MAX = 8, HOUSE_NODES_MAX = 8 };

/* A copy with a NUL behind it, for readers that write into it; the sanitizer sees a step past its end. */
static inline char *text_copy(const char *text, size_t size)
{
    char *copy = malloc(size + 1);
    assert_non_null(copy);
    memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

static inline int read_nodes(struct world *w, const char *text, struct replay_error *e)
{
    char *copy = text_copy(text, strlen(text));
    int answer = world_read_nodes(w, "N.csv", copy, strlen(text), e);
    free(copy);
    return answer;
}

static inline int read_matrix(struct world *w, const char *text, struct replay_error *e)
{
    char *copy = text_copy(text, strlen(text));
    int answer = world_read_matrix(w, "M.csv", copy, strlen(text), e);
    free(copy);
    return answer;
}

/* A house with everything that it borrows. */
struct small_house {
    struct house h;
    int64_t rtt[HOUSE_PEOPLE_MAX][HOUSE_NODES_MAX];
    const int64_t *row[HOUSE_PEOPLE_MAX];
    int64_t between[HOUSE_NODES_MAX * HOUSE_NODES_MAX];
    bool allowed[HOUSE_NODES_MAX];
};

/* Figures of 1 to 200 ms; now and then a node is out of reach, or not allowed. */
static inline void small_house_random(struct small_house *s, size_t n, size_t n_nodes, uint64_t *random)
{
    for (size_t i = 0; i < n; i++) {
        s->row[i] = s->rtt[i];
        for (size_t v = 0; v < n_nodes; v++)
            s->rtt[i][v] = check_random(random) % 20 == 0 ? WORLD_FAR_US
                                                          : 1000 + (int64_t)(check_random(random) % 199000);
    }
    for (size_t a = 0; a < n_nodes; a++) {
        s->allowed[a] = a == 0 || check_random(random) % 8 > 0;
        s->between[a * n_nodes + a] = 0;
        for (size_t b = 0; b < a; b++) {
            int64_t us = check_random(random) % 15 == 0 ? WORLD_FAR_US
                                                        : 500 + (int64_t)(check_random(random) % 150000);
            s->between[a * n_nodes + b] = s->between[b * n_nodes + a] = us;
        }
    }
    s->h = (struct house){
        .n = n, .rtt = s->row, .n_nodes = n_nodes, .between = s->between, .allowed = s->allowed};
}

/* The next of all plans over the allowed nodes, counted up; false: that was the last. */
static inline bool next_plan(const struct house *h, size_t *seat)
{
    for (size_t i = 0; i < h->n; i++) {
        do
            seat[i]++;
        while (seat[i] < h->n_nodes && !h->allowed[seat[i]]);
        if (seat[i] < h->n_nodes)
            return true;
        seat[i] = 0; /* always allowed */
    }
    return false;
}

static inline int64_t brute_force(const struct house *h, size_t *best_seat)
{
    size_t seat[HOUSE_PEOPLE_MAX] = {0};
    int64_t best = INT64_MAX;
    do {
        int64_t sum = house_sum(h, seat);
        if (sum < best) {
            best = sum;
            memcpy(best_seat, seat, h->n * sizeof *seat);
        }
    } while (next_plan(h, seat));
    return best;
}

#endif
