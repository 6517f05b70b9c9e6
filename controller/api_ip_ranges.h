/* The cloud's ranges, kept ready: anybody may ask for them, so they are made once for each version of the catalogue.
 * One a worker. */
#ifndef BERTH_CONTROLLER_API_IP_RANGES_H
#define BERTH_CONTROLLER_API_IP_RANGES_H

struct ip_ranges_cache; /* api_ip_ranges.c makes it when first asked */
void ip_ranges_cache_destroy(struct ip_ranges_cache *c);

#endif
