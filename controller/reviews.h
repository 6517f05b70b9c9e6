/* Meetings that are decided on again though nobody asks: somebody left, a participant has measured anew, or a node
 * that somebody is on can't serve any longer. By the rules of stability as ever; who is moved is told. One set a
 * worker, used by its thread alone. */
#ifndef BERTH_CONTROLLER_REVIEWS_H
#define BERTH_CONTROLLER_REVIEWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    REVIEWS_MAX = 1024,                /* waiting; one more is left out: the next join or leave decides */
    REVIEWS_AT_ONCE = 4,               /* under way on a worker */
    REVIEWS_CLAIMED_MAX = 25,          /* meetings of a drained node taken up at a time ... */
    REVIEWS_TURN_US = 250 * 1000,      /* ... so often, */
    REVIEWS_IDLE_US = 2 * 1000 * 1000, /* and so often while there is nothing to be taken up */
    REVIEWS_REPORTS_MAX = 256,         /* agents that have reported since the last turn; more are left out */
    REVIEWS_DEADLINE_US = 10 * 1000 * 1000,
};

struct worker;
struct reviews;

int reviews_new(struct reviews **out, struct worker *w) __attribute__((warn_unused_result));
/* Before its database goes: ends all; after that, nothing starts. */
void reviews_close(struct reviews *all);
void reviews_destroy(struct reviews *all); /* after its database; NULL is fine */

void reviews_add(struct reviews *all, const char *org, const char *meeting);
/* A report of this agent has been committed. */
void reviews_reported(struct reviews *all, const char *org, const char *agent);
bool reviews_hurry(const struct reviews *all); /* is there something to be done soon? NULL: no */
void reviews_turn(struct reviews *all, int64_t now_us);

#endif
