/* How a call is likely to sound: the E-model of ITU-T G.107 (06/2015) with its default values, in the simplified
 * form of Cole and Rosenbluth ("Voice over IP performance monitoring", 2001), which keeps delay and loss and leaves
 * everything about the telephone sets at its defaults. An estimate for speech from what a network does, not a
 * measurement of sound. Pure. */
#ifndef BERTH_CLI_QUALITY_H
#define BERTH_CLI_QUALITY_H

#include <stdint.h>

struct quality_path {
    int64_t one_way_us; /* the network's, mouth to ear without the buffers that follow */
    int64_t jitter_us;  /* RFC 3550 6.4.1 */
    double loss;        /* 0 to 1, of packets */
};

/* R: 0 to 93.2. From 80 on most are satisfied; below 60 nearly all are not (G.107, Annex B). */
double quality_r(const struct quality_path *p);
/* The mean opinion score that goes with it, 1 to 4.5 (G.107 Annex B). */
double quality_mos(double r);

#endif
