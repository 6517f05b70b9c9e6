/* Who has heard what of whom: packets in held against packets out. Pure but for its memory; one thread at a time. */
#ifndef BERTH_LOADTEST_MEDIA_TALLY_H
#define BERTH_LOADTEST_MEDIA_TALLY_H

#include "media_packet.h"

/* Legs are numbered meeting by meeting: `participants` of the first, then those of the second. */
struct media_shape {
    size_t meetings, participants;
};

struct media_tally;
/* 0, or -ENOMEM. */
int media_tally_new(struct media_tally **out, struct media_shape shape) __attribute__((warn_unused_result));
void media_tally_destroy(struct media_tally *t); /* NULL is fine */
/* A packet of it has left. Its number: */
uint64_t media_tally_sent(struct media_tally *t, size_t leg, enum media_kind kind);
/* ... and the number that the next one has. */
uint64_t media_tally_next(const struct media_tally *t, size_t leg, enum media_kind kind);
/* Leg `by` has heard it. False: nobody there has sent it, or before the tally was begun anew. */
bool media_tally_heard(struct media_tally *t, size_t by, const struct media_stamp *s);

/* Of the first `senders` of each meeting: some leg that hasn't heard a packet of that kind of one that has sent some? */
bool media_tally_silence(const struct media_tally *t, size_t senders, enum media_kind kind, size_t *by,
                         size_t *from);
/* From now on: what was sent before doesn't count, whenever it is heard. */
void media_tally_begin(struct media_tally *t);

struct media_tally_figures {
    uint64_t sent;
    uint64_t expected;   /* each packet once by each of the others in its meeting */
    uint64_t heard;      /* of those */
    uint64_t missing;    /* the rest */
    uint64_t repeated;   /* more often than it was sent */
    uint64_t disordered; /* heard after one that was sent later */
    uint64_t foreign;    /* that nobody in the meeting has sent, or oneself */
};
void media_tally_figures(const struct media_tally *t, struct media_tally_figures *out);

#endif
