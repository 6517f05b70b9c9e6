/* What calls measured, until it is told. Invariant: a count is told once, and no stretch without a round trip. */
#include "call_stretches.h"

#include <string.h>

void call_stretch_begin(struct call_stretch_mark *m, const struct media_leg_figures *f, int64_t now_us)
{
    *m = (struct call_stretch_mark){
        .since_us = now_us, .checks = f->answered, .received = f->packets_received, .lost = f->packets_lost};
}

/* What was missing may have come late: then fewer are lost than were told. */
static int64_t more(int64_t now, int64_t before)
{
    return now > before ? now - before : 0;
}

bool call_stretch_cut(struct call_stretch *c, struct call_stretch_mark *m, const struct media_leg_figures *f,
                      int64_t now_us)
{
    const struct call_stretch_mark was = *m;
    call_stretch_begin(m, f, now_us);
    if (f->answered <= was.checks || f->rtt_us < 0 || f->rtt.p95_us > RTT_MAX_US)
        return false;
    c->seconds = more(now_us, was.since_us) / 1000000;
    c->rtt_min_us = f->rtt.min_us;
    c->rtt_median_us = f->rtt.median_us;
    c->rtt_p95_us = f->rtt.p95_us;
    c->checks = f->answered - was.checks;
    c->received = more(f->packets_received, was.received);
    c->lost = more(f->packets_lost, was.lost);
    c->jitter_us = f->jitter_us >= 0 && f->jitter_us <= RTT_MAX_US ? f->jitter_us : NOT_MEASURED;
    return true;
}

void call_stretches_drop(struct call_stretches *s, size_t n)
{
    n = n < s->n ? n : s->n;
    memmove(s->at, s->at + n, (s->n - n) * sizeof *s->at);
    s->n -= n;
}

void call_stretches_add(struct call_stretches *s, const struct call_stretch *c)
{
    if (s->n == REPORT_CALLS_MAX)
        call_stretches_drop(s, 1);
    s->at[s->n++] = *c;
}

void call_stretches_move(struct call_stretches *to, struct call_stretches *from)
{
    for (size_t i = 0; i < from->n; i++)
        call_stretches_add(to, &from->at[i]);
    from->n = 0;
}
