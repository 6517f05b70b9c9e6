/* An order over what can't be moved itself: of the indices of n things, sorted by what a context says of them, for
 * which qsort has no room. Pure. */
#ifndef BERTH_CORE_ORDER_H
#define BERTH_CORE_ORDER_H

#include <stddef.h>

/* As for qsort, of the things at these indices. */
typedef int order_compare_fn(const void *ctx, size_t a, size_t b);

/* Writes 0 to n - 1 into `order`, in order: equal ones anyhow, but the same way for the same input. Of n that are in
 * order, n looks. */
void order_sort(size_t *order, size_t n, order_compare_fn *compare, const void *ctx);

#endif
