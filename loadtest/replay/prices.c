/* An auction: each of the sample bids for the node that is best for it, prices included, as much as that is better
 * than the next, and a step. Invariant: nobody holds a seat that is dearer to it than its best one by more than a
 * step, and a node with a price has no seat left: so the prices are optimal duals but for a step for each of the
 * sample. */
#include "prices.h"

#include "core/order.h"

#include <stdbool.h>
#include <string.h>

enum {
    ROOM_PCT = 90,  /* of the seats left that are expected to be taken, at most: of more no prices tell */
    BIDS = 1000,    /* for each of the sample, at most: then prices are what they are */
    TREND_PCT = 10, /* of a day's most: a moment's figures are trusted from about there */
    EXPECTED_MOST = 1 << 30 /* nothing is added up beyond it */
};
#define NONE UINT32_MAX

struct auction {
    const struct prices_problem *p;
    size_t *node;                   /* nodes by id; what follows is by that rank */
    uint32_t *seats, *held, *first; /* for the sample; taken; and by whom, as a list */
    int32_t *price;
    size_t *person; /* the sample, in the order of its rows */
    uint32_t *next; /* of who holds a seat on the same node; of who waits, the one below */
    int32_t *bid;
};

static size_t padded(size_t n, size_t size)
{
    return (n * size + 15) / 16 * 16;
}

size_t prices_work_size(size_t n_nodes, size_t n_people)
{
    return padded(n_nodes, sizeof(size_t)) + 4 * padded(n_nodes, sizeof(uint32_t)) +
           padded(n_people, sizeof(size_t)) + 2 * padded(n_people, sizeof(uint32_t));
}

static void *take(unsigned char **at, size_t n, size_t size)
{
    void *p = *at;

    memset(p, 0, n * size);
    *at += padded(n, size);
    return p;
}

static struct auction lay(const struct prices_problem *p, void *work)
{
    unsigned char *at = work;
    struct auction a = {.p = p};

    a.node = take(&at, p->n_nodes, sizeof(*a.node));
    a.seats = take(&at, p->n_nodes, sizeof(*a.seats));
    a.held = take(&at, p->n_nodes, sizeof(*a.held));
    a.first = take(&at, p->n_nodes, sizeof(*a.first));
    a.price = take(&at, p->n_nodes, sizeof(*a.price));
    a.person = take(&at, p->n_people, sizeof(*a.person));
    a.next = take(&at, p->n_people, sizeof(*a.next));
    a.bid = take(&at, p->n_people, sizeof(*a.bid));
    return a;
}

/* ---- order ---- */

static int32_t cost_of(const struct auction *a, size_t person, size_t rank)
{
    return a->p->cost_us[person * a->p->n_nodes + a->node[rank]];
}

static int by_id(const void *ctx, size_t a, size_t b)
{
    const struct auction *auction = ctx;

    return strcmp(auction->p->nodes[a].id, auction->p->nodes[b].id);
}

/* Two with the same row are as one. */
static int by_row(const void *ctx, size_t a, size_t b)
{
    const struct auction *auction = ctx;

    for (size_t v = 0; v < auction->p->n_nodes; v++) {
        int32_t cost_a = cost_of(auction, a, v), cost_b = cost_of(auction, b, v);

        if (cost_a != cost_b)
            return cost_a < cost_b ? -1 : 1;
    }
    return 0;
}

/* ---- seats ---- */

static int64_t bounded(int64_t n)
{
    return n < 0 ? 0 : n > EXPECTED_MOST ? EXPECTED_MOST : n;
}

/* Hundredths of those that newcomers may come to have. */
static int64_t seats_left(const struct prices_problem *p, const struct prices_node *n)
{
    int64_t left = bounded(n->capacity) * 100 - bounded(n->seated) * p->stay_pct;

    return left > 0 ? left : 0;
}

/* In hundredths, those for whom the sample stands; 0: nobody comes. */
static int64_t to_come(const struct prices_problem *p)
{
    int64_t come = bounded(p->expected) * 100, room = 0;
    bool limited = true;

    for (size_t v = 0; v < p->n_nodes; v++) {
        come -= bounded(p->nodes[v].seated) * p->stay_pct;
        room += seats_left(p, &p->nodes[v]);
        limited = limited && p->nodes[v].capacity > 0;
    }
    if (limited && come > room / 100 * ROOM_PCT)
        come = room / 100 * ROOM_PCT;
    return come > 0 ? come : 0;
}

/* As many as the sample would find, it being so much smaller than those who come: at least one where there is any. */
static void share_seats(struct auction *a, int64_t come)
{
    int64_t n = (int64_t)a->p->n_people;

    for (size_t v = 0; v < a->p->n_nodes; v++) {
        const struct prices_node *node = &a->p->nodes[a->node[v]];
        int64_t left = seats_left(a->p, node), seats = (left * n + come / 2) / come;

        seats = seats == 0 && left > 0 ? 1 : seats;
        a->seats[v] = node->capacity <= 0 || seats >= n ? NONE : (uint32_t)seats; /* NONE: for everybody */
        a->price[v] = a->seats[v] == 0 ? PRICES_MOST_US : 0;
        a->first[v] = NONE;
    }
}

/* ---- bids ---- */

/* False: it would rather have no seat than pay so much. */
static bool bid_of(const struct auction *a, uint32_t person, size_t *node, int32_t *bid)
{
    int64_t least = INT64_MAX, best = INT64_MAX, second = INT64_MAX, most;

    for (size_t v = 0; v < a->p->n_nodes; v++) {
        int64_t cost = cost_of(a, person, v), with = cost + a->price[v];

        if (cost < 0)
            continue;
        least = cost < least ? cost : least;
        if (with < best) {
            second = best;
            best = with;
            *node = v;
        } else if (with < second) {
            second = with;
        }
    }
    if (least == INT64_MAX || best >= least + PRICES_MOST_US)
        return false;
    second = second < least + PRICES_MOST_US ? second : least + PRICES_MOST_US;
    most = a->price[*node] + second - best + PRICES_STEP_US;
    *bid = most < PRICES_MOST_US ? (int32_t)most : PRICES_MOST_US;
    return true;
}

static bool is_full(const struct auction *a, size_t node)
{
    return a->held[node] >= a->seats[node];
}

/* Of a full node: where in its list whoever bid least is. */
static uint32_t *least_of(struct auction *a, size_t node)
{
    uint32_t *least = &a->first[node];

    for (uint32_t *at = least; *at != NONE; at = &a->next[*at])
        least = a->bid[*at] < a->bid[*least] ? at : least;
    return least;
}

/* A full node has the price that its cheapest seat was bid for once somebody comes who would bid more, and none before. */
static bool raise_price(struct auction *a, size_t node)
{
    int32_t least = a->bid[*least_of(a, node)];

    if (a->price[node] >= least)
        return false;
    a->price[node] = least;
    return true;
}

static uint32_t give_way(struct auction *a, size_t node)
{
    uint32_t *least = least_of(a, node), gone = *least;

    *least = a->next[gone];
    a->held[node]--;
    return gone;
}

static void hold(struct auction *a, size_t node, uint32_t person, int32_t bid)
{
    a->bid[person] = bid;
    a->next[person] = a->first[node];
    a->first[node] = person;
    a->held[node]++;
}

static void run(struct auction *a)
{
    size_t left = (size_t)BIDS * a->p->n_people;

    for (size_t i = 0; i < a->p->n_people; i++) {
        uint32_t person = (uint32_t)a->person[i];

        while (person != NONE && left > 0) {
            size_t node = 0;
            int32_t bid = 0;
            uint32_t gone;

            left--;
            if (!bid_of(a, person, &node, &bid))
                break;
            if (is_full(a, node) && raise_price(a, node))
                continue;
            gone = is_full(a, node) ? give_way(a, node) : NONE;
            hold(a, node, person, bid);
            person = gone;
        }
    }
}

void prices_make(const struct prices_problem *p, void *work, int32_t *price_us)
{
    struct auction a;
    int64_t come;

    for (size_t v = 0; v < p->n_nodes; v++)
        price_us[v] = 0;
    if (p->n_nodes == 0 || p->n_nodes > PRICES_NODES || p->n_people == 0 || p->n_people > PRICES_PEOPLE ||
        p->stay_pct > 100 || (come = to_come(p)) == 0)
        return;
    a = lay(p, work);
    order_sort(a.node, p->n_nodes, by_id, &a);
    order_sort(a.person, p->n_people, by_row, &a);
    share_seats(&a, come);
    run(&a);
    for (size_t v = 0; v < p->n_nodes; v++)
        price_us[a.node[v]] = a.price[v];
}

int64_t prices_expected(int64_t now, int64_t then, int64_t most_then, int64_t day_most)
{
    int64_t weight = bounded(day_most) * TREND_PCT / 100 + 1, most;

    now = bounded(now);
    most = bounded(most_then) * (now + weight) / (bounded(then) + weight);
    return most > now ? bounded(most) : now;
}
