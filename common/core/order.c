/* A heap sort: no recursion, no scratch, and n log n whatever comes. Invariant: `order` is a permutation of 0 to n -
 * 1 throughout. */
#include "core/order.h"

#include <stdbool.h>

struct sort {
    size_t *order;
    order_compare_fn *compare;
    const void *ctx;
};

static void swap(size_t *order, size_t a, size_t b)
{
    size_t t = order[a];

    order[a] = order[b];
    order[b] = t;
}

static int compare_at(const struct sort *s, size_t a, size_t b)
{
    return s->compare(s->ctx, s->order[a], s->order[b]);
}

static void sift_down(const struct sort *s, size_t root, size_t n)
{
    for (;;) {
        size_t child = 2 * root + 1;

        if (child >= n)
            return;
        if (child + 1 < n && compare_at(s, child, child + 1) < 0)
            child++;
        if (compare_at(s, root, child) >= 0)
            return;
        swap(s->order, root, child);
        root = child;
    }
}

static bool in_order(const struct sort *s, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        if (compare_at(s, i - 1, i) > 0)
            return false;
    }
    return true;
}

void order_sort(size_t *order, size_t n, order_compare_fn *compare, const void *ctx)
{
    const struct sort s = {order, compare, ctx};

    for (size_t i = 0; i < n; i++)
        order[i] = i;
    if (in_order(&s, n))
        return;
    for (size_t i = n / 2; i > 0; i--)
        sift_down(&s, i - 1, n);
    for (size_t end = n; end > 1; end--) {
        swap(order, 0, end - 1);
        sift_down(&s, 0, end - 1);
    }
}
