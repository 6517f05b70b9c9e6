/* Packets in against packets out. Invariant: heard + missing is expected, whatever comes. */
#include "media_tally.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct flow {
    uint64_t heard;
    uint64_t next; /* one more than the greatest number that was heard */
};

struct media_tally {
    struct media_shape shape;
    uint64_t disordered, foreign;
    uint64_t *sent;     /* by leg and kind: the next one's number */
    uint64_t *first;    /* ... and the number of the first one that counts */
    struct flow *flows; /* by leg that hears, its meeting's one that sends, and kind */
};

static size_t legs_of(const struct media_tally *t)
{
    return t->shape.meetings * t->shape.participants;
}

int media_tally_new(struct media_tally **out, struct media_shape shape)
{
    struct media_tally *t = calloc(1, sizeof *t);
    if (!t)
        return -ENOMEM;
    t->shape = shape;
    t->sent = calloc(legs_of(t), sizeof *t->sent * MEDIA_KINDS);
    t->first = calloc(legs_of(t), sizeof *t->first * MEDIA_KINDS);
    t->flows = calloc(legs_of(t) * shape.participants, sizeof *t->flows * MEDIA_KINDS);
    if (!t->sent || !t->first || !t->flows) {
        media_tally_destroy(t);
        return -ENOMEM;
    }
    *out = t;
    return 0;
}

void media_tally_destroy(struct media_tally *t)
{
    if (!t)
        return;
    free(t->sent);
    free(t->first);
    free(t->flows);
    free(t);
}

uint64_t media_tally_next(const struct media_tally *t, size_t leg, enum media_kind kind)
{
    return t->sent[leg * MEDIA_KINDS + kind];
}

uint64_t media_tally_sent(struct media_tally *t, size_t leg, enum media_kind kind)
{
    return t->sent[leg * MEDIA_KINDS + kind]++;
}

/* `seat`: of who sends, in the meeting. */
static struct flow *flow_of(const struct media_tally *t, size_t by, size_t seat, enum media_kind kind)
{
    return &t->flows[(by * t->shape.participants + seat) * MEDIA_KINDS + kind];
}

bool media_tally_heard(struct media_tally *t, size_t by, const struct media_stamp *s)
{
    size_t n = t->shape.participants;
    if (n == 0 || s->leg >= legs_of(t) || s->leg == by || s->leg / n != by / n ||
        s->number >= media_tally_next(t, s->leg, s->kind)) {
        t->foreign++;
        return false;
    }
    if (s->number < t->first[s->leg * MEDIA_KINDS + s->kind])
        return false;
    struct flow *f = flow_of(t, by, s->leg % n, s->kind);
    f->heard++;
    if (s->number < f->next)
        t->disordered++;
    else
        f->next = s->number + 1;
    return true;
}

bool media_tally_silence(const struct media_tally *t, size_t senders, enum media_kind kind, size_t *by,
                         size_t *from)
{
    size_t n = t->shape.participants;
    for (*by = 0; n > 0 && *by < legs_of(t); ++*by) {
        for (size_t seat = 0; seat < senders; seat++) {
            *from = *by / n * n + seat;
            if (*from != *by && flow_of(t, *by, seat, kind)->heard == 0)
                return true;
        }
    }
    return false;
}

void media_tally_begin(struct media_tally *t)
{
    memcpy(t->first, t->sent, legs_of(t) * MEDIA_KINDS * sizeof *t->first);
    memset(t->flows, 0, legs_of(t) * t->shape.participants * MEDIA_KINDS * sizeof *t->flows);
    t->disordered = t->foreign = 0;
}

static void add_flow(struct media_tally_figures *out, uint64_t sent, uint64_t heard)
{
    out->expected += sent;
    out->heard += heard < sent ? heard : sent;
    out->missing += heard < sent ? sent - heard : 0;
    out->repeated += heard > sent ? heard - sent : 0;
}

/* What the meeting whose first leg that is has heard of the one at `seat`. */
static void add_sender(const struct media_tally *t, size_t first, size_t seat, enum media_kind kind,
                       struct media_tally_figures *out)
{
    uint64_t sent = media_tally_next(t, first + seat, kind) - t->first[(first + seat) * MEDIA_KINDS + kind];
    out->sent += sent;
    for (size_t by = 0; sent > 0 && by < t->shape.participants; by++) {
        if (by != seat)
            add_flow(out, sent, flow_of(t, first + by, seat, kind)->heard);
    }
}

void media_tally_figures(const struct media_tally *t, struct media_tally_figures *out)
{
    size_t n = t->shape.participants;
    *out = (struct media_tally_figures){.disordered = t->disordered, .foreign = t->foreign};
    for (size_t first = 0; first < t->shape.meetings * n; first += n) {
        for (size_t seat = 0; seat < n; seat++) {
            for (enum media_kind kind = 0; kind < MEDIA_KINDS; kind++)
                add_sender(t, first, seat, kind, out);
        }
    }
}
