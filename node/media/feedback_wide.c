/* Transport-wide feedback to one sender. Invariant: at_us[0..n) are the numbers from the base on, the last of them
 * one that has arrived. */
#include "feedback_internal.h"

#include "media/rtcp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int feedback_wide_new(struct feedback_wide **out)
{
    struct feedback_wide *wide = calloc(1, sizeof *wide);
    if (!wide)
        return -ENOMEM;
    wide->due_us = INT64_MAX;
    wide->told_us = -FEEDBACK_WIDE_US;
    *out = wide;
    return 0;
}

static void restart(struct feedback_wide *wide, uint16_t number)
{
    wide->begun = true;
    wide->base = number;
    wide->n = 0;
}

void feedback_wide_in(struct feedback_leg *l, const struct rtp *r, const uint8_t *packet, int64_t received_us)
{
    struct feedback_wide *wide = l->wide;
    size_t len = 0;
    const uint8_t *value = rtp_extension(r, packet, l->wide_ext, &len);
    if (!value || len < 2)
        return;
    uint16_t number = (uint16_t)(value[0] << 8 | value[1]);
    if (!wide->begun)
        restart(wide, number);
    int ahead = rtp_sequence_distance(number, wide->base);
    if (ahead < 0)
        return; /* it has been told of, as missing */
    if (ahead >= FEEDBACK_WIDE_MAX) {
        restart(wide, number);
        ahead = 0;
    }
    for (; wide->n <= (size_t)ahead; wide->n++)
        wide->at_us[wide->n] = INT64_MIN;
    wide->at_us[ahead] = received_us;
    wide->media = r->ssrc;
    int64_t due_us =
        wide->told_us + FEEDBACK_WIDE_US > received_us ? wide->told_us + FEEDBACK_WIDE_US : received_us;
    if (wide->n > FEEDBACK_WIDE_MAX / 2)
        due_us = received_us;
    if (due_us < wide->due_us) {
        wide->due_us = due_us;
        feedback_reschedule(l);
    }
}

void feedback_wide_write(struct feedback_leg *l, struct wire_wr *w, int64_t now_us)
{
    struct feedback_wide *wide = l->wide;
    if (!wide || wide->due_us > now_us)
        return;
    size_t covered = 0;
    for (size_t n = wide->n; n > 0 && covered == 0; n /= 2) /* fewer, where there is no room for all */
        covered = rtcp_write_wide(w, l->ssrc, wide->media, wide->feedback, wide->base, wide->at_us, n);
    if (covered == 0)
        return;
    wide->feedback++;
    wide->base = (uint16_t)(wide->base + covered);
    wide->n -= covered;
    memmove(wide->at_us, wide->at_us + covered, wide->n * sizeof *wide->at_us);
    wide->told_us = now_us;
    wide->due_us = wide->n > 0 ? now_us : INT64_MAX; /* the rest at once */
}
