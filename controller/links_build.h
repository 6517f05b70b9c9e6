/* The snapshot of round trips between nodes, SNAPSHOT_LINKS. The catalogue's builder gives it to its readers. */
#ifndef BERTH_CONTROLLER_LINKS_BUILD_H
#define BERTH_CONTROLLER_LINKS_BUILD_H

#include "catalogue_links.h"
#include "snapshot.h"

extern const struct snapshot_builder links_builder;
struct links *links_of(const void *data); /* the table of such a snapshot, borrowed */

#endif
