/* What joins tell operators of. The worker's thread. */
#ifndef BERTH_CONTROLLER_JOIN_EVENTS_H
#define BERTH_CONTROLLER_JOIN_EVENTS_H

#include "join_scene.h"

struct worker;
/* The newcomer has a seat: an event where only overloaded nodes were left for it. */
void join_tell_overload(struct worker *w, const struct join_scene *s, const struct join_ask *ask);
/* It has none: an event where nodes that are full, unwell or drained are part of why (enum place_reject, ORed); `detail` is what it was told. */
void join_tell_refusal(struct worker *w, const struct join_scene *s, const struct join_ask *ask, unsigned why,
                       const char *detail);

/* Nobody joined, it was decided again: whoever is left on a node that can't serve it any longer. */
void join_tell_stranded(struct worker *w, struct join_scene *s, const struct join_ask *ask);

#endif
