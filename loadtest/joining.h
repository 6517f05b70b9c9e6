/* Who joins which meeting next: meetings of published sizes fill beside one another, and most of a meeting's people
 * are from one place. Pure. */
#ifndef BERTH_LOADTEST_JOINING_H
#define BERTH_LOADTEST_JOINING_H

#include <stddef.h>
#include <stdint.h>

enum {
    JOINING_OPEN = 256, /* meetings that fill at a time */
    JOINING_HOME_PCT =
        78, /* of a meeting's people are from its place: 75 to 80 % of meetings are within one country */
};

struct joining {
    size_t size;          /* of every meeting; 0: as published */
    size_t agents, kinds; /* agent a is from place a % kinds */
    uint64_t seed;
    uint64_t begun; /* meetings */
    struct {
        uint64_t meeting;
        size_t left;
    } open[JOINING_OPEN];
};

/* `kinds` divides `agents`. */
void joining_init(struct joining *j, size_t size, size_t agents, size_t kinds, uint64_t seed);
void joining_next(struct joining *j, uint64_t *meeting, size_t *agent);

#endif
