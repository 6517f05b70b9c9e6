/* Countries of addresses, from a file in MaxMind's format. Immutable once open: any thread. */
#ifndef BERTH_CONTROLLER_GEO_H
#define BERTH_CONTROLLER_GEO_H

#include "core/addr.h"

enum { COUNTRY_LEN = 2 }; /* ISO 3166-1 alpha-2 */

struct geo;
/* 0, or -errno with a message for people: no such file, not in that format, or one without countries. */
int geo_open(struct geo **out, const char *path, char *error, size_t cap) __attribute__((warn_unused_result));
void geo_close(struct geo *g);
/* Of the first of these addresses that has one; "" where none has, or `g` is NULL. */
void geo_country_of(const struct geo *g, const struct addr *a, size_t n, char out[static COUNTRY_LEN + 1]);

#endif
