/* Prices of seats, from a forecast: what a seat that a newcomer takes on a node will cost those who are expected
 * after it. They are the duals of seating the expected ones at the least sum of round trips, so they are 0 on every
 * node that will have seats left. Pure: no clock, allocation or log; the same people and nodes, in whatever order,
 * give the same prices. Any thread. */
#ifndef BERTH_PLACEMENT_PRICES_H
#define BERTH_PLACEMENT_PRICES_H

#include <stddef.h>
#include <stdint.h>

enum {
    PRICES_PEOPLE = 1024,    /* of a sample, at most */
    PRICES_NODES = 1024,     /* at most */
    PRICES_MOST_US = 100000, /* no seat is dearer: nobody is sent further than that, for any forecast */
    PRICES_STEP_US = 500,    /* how exact they are */
};

struct prices_node {
    const char *id;   /* unique */
    int64_t capacity; /* participants; 0: no limit, and no price */
    int64_t seated;   /* on it now */
};

/* A sample of people like those who are expected. */
struct prices_problem {
    size_t n_nodes, n_people;
    const struct prices_node *nodes;
    const int32_t *cost_us; /* n_people rows of n_nodes: round trips; negative: can't be served there */
    int64_t expected;       /* participants at once, those who are seated now included */
    unsigned stay_pct;      /* how many of those will be there still */
};

size_t prices_work_size(size_t n_nodes, size_t n_people);
/* `work`: so many bytes, aligned as malloc does. price_us: n_nodes, 0 to PRICES_MOST_US. Of more people or nodes
 * than there may be, and of nobody, all are 0. */
void prices_make(const struct prices_problem *p, void *work, int32_t *price_us);

/* How many will be there at once: `most_then` were in the time ahead of another day's moment at which `then` were,
 * of `day_most` that day. A day that begins with half as many goes on with half as many; a handful more or less says
 * nothing. Never fewer than `now`. */
int64_t prices_expected(int64_t now, int64_t then, int64_t most_then, int64_t day_most);

#endif
