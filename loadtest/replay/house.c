/* What plans cost. Invariant: this file is the definition that engine, baselines and searches are judged by; it shares nothing
 * with any of them. */
#include "house.h"

double house_mean_ms(size_t n, int64_t sum)
{
    double pairs = (double)n * (double)(n - (n > 0)) / 2;
    return pairs > 0 ? (double)sum / pairs / 2000 : 0;
}

int64_t house_sum(const struct house *h, const size_t *seat)
{
    int64_t sum = 0;
    for (size_t i = 0; i < h->n; i++) {
        for (size_t j = i + 1; j < h->n; j++)
            sum += house_leg(h, i, seat[i]) + house_hop(h, seat[i], seat[j]) + house_leg(h, j, seat[j]);
    }
    return sum;
}

static bool first_on_its_node(const size_t *seat, size_t i)
{
    for (size_t j = 0; j < i; j++) {
        if (seat[j] == seat[i])
            return false;
    }
    return seat[i] != HOUSE_NO_SEAT;
}

void house_cost(const struct house *h, const size_t *seat, struct house_cost *c)
{
    int64_t worst = 0;
    *c = (struct house_cost){0};
    for (size_t i = 0; i < h->n; i++) {
        int64_t own = 0, leg = house_leg(h, i, seat[i]);
        c->nodes += first_on_its_node(seat, i);
        c->unconnected += leg >= WORLD_FAR_US;
        for (size_t j = 0; j < h->n; j++) {
            int64_t hop = house_hop(h, seat[i], seat[j]);
            if (j == i)
                continue;
            own += leg + hop + house_leg(h, j, seat[j]);
            c->unconnected += j > i && hop >= WORLD_FAR_US;
        }
        c->sum += own;
        if (own > worst)
            worst = own;
    }
    c->sum /= 2; /* every pair was met twice */
    c->mean_ms = house_mean_ms(h->n, c->sum);
    c->worst_ms = h->n > 1 ? (double)worst / (double)(h->n - 1) / 2000 : 0;
}
