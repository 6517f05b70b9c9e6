/* What a call has measured and the controller hasn't been told of yet: a stretch for each node and transport that it
 * was up on. Pure. */
#ifndef BERTH_AGENT_CALL_STRETCHES_H
#define BERTH_AGENT_CALL_STRETCHES_H

#include "core/doc.h"
#include "path/media_leg.h"

/* Past the end the oldest makes room. */
struct call_stretches {
    size_t n;
    struct call_stretch at[REPORT_CALLS_MAX];
};

/* The stretch that goes on: of a path's figures, what is told already. */
struct call_stretch_mark {
    int64_t since_us, checks, received, lost;
};

void call_stretch_begin(struct call_stretch_mark *m, const struct media_leg_figures *f, int64_t now_us);
/* What `f` has more than at the mark, which moves on. `c` has its node, transport and what was expected already. Its
 * round trips are of the newest consent checks. False: no check was answered since, there is nothing to tell. */
bool call_stretch_cut(struct call_stretch *c, struct call_stretch_mark *m, const struct media_leg_figures *f,
                      int64_t now_us);

void call_stretches_add(struct call_stretches *s, const struct call_stretch *c);
/* The first n are told. */
void call_stretches_drop(struct call_stretches *s, size_t n);
/* All of `from` behind those of `to`. */
void call_stretches_move(struct call_stretches *to, struct call_stretches *from);

#endif
