/* RTCP of a home: which leg is due next. Invariant: heap[l->place] is l, and no leg is due before its parent in the heap. */
#include "feedback_internal.h"

#include <errno.h>
#include <stdlib.h>

enum { LEGS_FIRST = 16 };

int feedback_new(struct feedback **out, size_t bytes)
{
    struct feedback *f = calloc(1, sizeof *f);
    if (!f)
        return -ENOMEM;
    f->pool.bytes_max = bytes > 0 ? bytes : FEEDBACK_KEPT_BYTES;
    *out = f;
    return 0;
}

void feedback_destroy(struct feedback *f)
{
    if (!f)
        return;
    free(f->heap);
    free(f);
}

/* ---- the heap ---- */

static void put(struct feedback *f, size_t place, struct feedback_leg *l)
{
    f->heap[place] = l;
    l->place = place;
}

static void sift(struct feedback *f, struct feedback_leg *l)
{
    size_t at = l->place;
    for (; at > 0 && l->due_us < f->heap[(at - 1) / 2]->due_us; at = (at - 1) / 2)
        put(f, at, f->heap[(at - 1) / 2]);
    for (size_t child; (child = 2 * at + 1) < f->n; at = child) {
        if (child + 1 < f->n && f->heap[child + 1]->due_us < f->heap[child]->due_us)
            child++;
        if (f->heap[child]->due_us >= l->due_us)
            break;
        put(f, at, f->heap[child]);
    }
    put(f, at, l);
}

void feedback_reschedule(struct feedback_leg *l)
{
    int64_t due_us = l->report_us < l->asked_us ? l->report_us : l->asked_us;
    if (l->wide && l->wide->due_us < due_us)
        due_us = l->wide->due_us;
    if (due_us == l->due_us)
        return;
    l->due_us = due_us;
    sift(l->home, l);
}

int64_t feedback_deadline(const struct feedback *f)
{
    return f->n > 0 ? f->heap[0]->due_us : INT64_MAX;
}

struct feedback_leg *feedback_next(const struct feedback *f, int64_t now_us)
{
    return f->n > 0 && f->heap[0]->due_us <= now_us ? f->heap[0] : NULL;
}

/* ---- legs ---- */

static int grow(struct feedback *f)
{
    if (f->n < f->room)
        return 0;
    size_t room = f->room > 0 ? 2 * f->room : LEGS_FIRST;
    struct feedback_leg **heap = realloc(f->heap, room * sizeof(struct feedback_leg *));
    if (!heap)
        return -ENOMEM;
    f->heap = heap;
    f->room = room;
    return 0;
}

int feedback_leg_begin(struct feedback *f, struct feedback_leg *l, void *user, uint32_t ssrc,
                       uint8_t wide_ext, bool link, int64_t now_us)
{
    struct feedback_wide *wide = NULL;
    int err = grow(f);
    if (err == 0 && wide_ext != 0)
        err = feedback_wide_new(&wide);
    if (err < 0)
        return err;
    *l = (struct feedback_leg){.home = f,
                               .user = user,
                               .ssrc = ssrc,
                               .link = link,
                               .wide_ext = wide_ext,
                               .wide = wide,
                               .report_us = now_us + FEEDBACK_FIRST_US,
                               .asked_us = INT64_MAX,
                               .asked_next_us = INT64_MAX,
                               .rtt_us = -1,
                               .jitter_us = -1};
    l->due_us = l->report_us;
    l->place = f->n++;
    sift(f, l);
    return 0;
}

void feedback_leg_end(struct feedback_leg *l)
{
    struct feedback *f = l->home;
    if (!f)
        return;
    struct feedback_leg *last = f->heap[--f->n];
    if (last != l) {
        last->place = l->place;
        sift(f, last);
    }
    free(l->wide);
    *l = (struct feedback_leg){0};
}

bool feedback_may_resend(struct feedback_leg *l, size_t len, int64_t now_us)
{
    const int64_t burst_us = 1000 * 1000;
    int64_t cost_us = (int64_t)len * 8 * 1000 / FEEDBACK_RESEND_KBPS;
    int64_t from_us = l->resend_until_us > now_us ? l->resend_until_us : now_us;
    if (from_us + cost_us - now_us > burst_us)
        return false;
    l->resend_until_us = from_us + cost_us;
    return true;
}
