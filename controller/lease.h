/* Seats of nodes with a capacity, leased in blocks from the database: a join that has one waits for no other join.
 * One set a worker, used by its thread alone. What holds capacity is in the database
 * (schema/0006_capacity_leases.sql); here is only which seats of a lease have been handed out. */
#ifndef BERTH_CONTROLLER_LEASE_H
#define BERTH_CONTROLLER_LEASE_H

#include <stddef.h>
#include <stdint.h>

enum {
    LEASE_NODES_MAX = 64,  /* nodes in demand at once; beyond, joins are counted one by one */
    LEASE_ENDED_MAX = 128, /* waiting to be given back; beyond, they expire */
    LEASE_SEATS_MIN = 4,   /* less isn't worth a lease */
    LEASE_SEATS_MAX = 128,
    LEASE_DEMAND = 2,                 /* joins into a node within LEASE_WINDOW_US: then it is in demand */
    LEASE_WINDOW_US = 1000 * 1000,    /* also how long is waited after a refusal */
    LEASE_LIFE_US = 10 * 1000 * 1000, /* then anybody may tidy up after a controller that was killed */
    LEASE_SPARE_US = 2 * 1000 * 1000, /* so long before its end a lease is replaced */
    LEASE_IDLE_US = 1500 * 1000,      /* unused for so long, it is given back */
    LEASE_ASK_US = 2 * 1000 * 1000,   /* deadline of a request for one */
};

struct worker;
struct leases;

int leases_new(struct leases **out, struct worker *w) __attribute__((warn_unused_result));
void leases_destroy(struct leases *l); /* after its database; NULL is fine */

/* A lease that has so many seats of this node left, which are the caller's now; 0: there is none, and the database
 * counts. Asks for one, in the background, where the node is in demand. */
int64_t lease_take(struct leases *l, const char *org, const char *node, int64_t seats);
/* The database says that it serves no more: whoever was refused ended it, or the node's capacity was lowered. */
void lease_lost(struct leases *l, int64_t lease);
/* Seats of lease_take, of a join that is known not to have been committed. Lease 0 is fine. */
void lease_give_back(struct leases *l, int64_t lease, int64_t seats);
/* Now and then: gives back what nobody uses. */
void leases_turn(struct leases *l, int64_t now_us);

#endif
