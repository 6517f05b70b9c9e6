/* R = 93.2 - Id - Ie,eff. Invariant: what comes out is within the model's range, whatever goes in. */
#include "quality.h"

static const double r_best = 93.2; /* G.107 with all defaults: 93.2 for Ro - Is */

/* Speech in frames of 20 ms, and a buffer that holds twice the jitter. */
enum { FRAME_US = 20000, BUFFER_JITTERS = 2 };

/* G.113 Appendix I: G.711 with packet loss concealment, the nearest to Opus' own that the recommendation has a
 * figure for. Ie is 0 there, and for Opus' wide band the model has none. */
static const double loss_robustness = 25.1;

/* Cole and Rosenbluth: 0.024 a ms, and 0.11 more for each beyond 177.3 ms, where conversations begin to suffer. */
static double delay_impairment(double ms)
{
    static const double knee = 177.3;
    return 0.024 * ms + (ms > knee ? 0.11 * (ms - knee) : 0);
}

double quality_r(const struct quality_path *p)
{
    const double us = (double)p->one_way_us + (double)p->jitter_us * BUFFER_JITTERS + FRAME_US;
    const double percent = p->loss < 0 ? 0 : p->loss > 1 ? 100 : p->loss * 100;
    const double loss_impairment = 95 * percent / (percent + loss_robustness); /* G.107 (7-29), BurstR 1 */
    const double r = r_best - delay_impairment(us < 0 ? 0 : us / 1000) - loss_impairment;
    return r < 0 ? 0 : r;
}

double quality_mos(double r)
{
    if (r <= 0)
        return 1;
    if (r >= 100)
        return 4.5;
    const double mos = 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6; /* G.107 (B-4) */
    return mos < 1 ? 1 : mos;
}
