/* What a source's sender is asked for on behalf of all receivers: packets that are missing, key frames, a lower
 * rate. Invariant: n_wanted entries of `asked` are wanted, and none is ever asked for more than FEEDBACK_ASK_TIMES. */
#include "feedback_internal.h"

#include <string.h>

static void sender_is_due(const struct feedback_source *s, int64_t at_us)
{
    struct feedback_leg *l = s->sender;
    if (!l || l->asked_us <= at_us)
        return;
    l->asked_us = at_us;
    feedback_reschedule(l);
}

/* ---- missing packets ---- */

static uint32_t ms_of(int64_t us)
{
    return (uint32_t)(us / 1000);
}

/* With cycles, as `highest`: none of them is ever another's. */
static uint32_t number_of(const struct feedback_source *s, uint16_t sequence)
{
    return s->highest - (uint16_t)(s->highest - sequence);
}

static void give_up(struct feedback_source *s, struct feedback_asked *a)
{
    s->n_wanted -= a->wanted;
    a->wanted = false;
    a->given_up = true;
    s->sender->given_up++;
}

/* The number's own place; what an older one has left there is over. NULL: a newer one has it. */
static struct feedback_asked *place_of(struct feedback_source *s, uint32_t number)
{
    struct feedback_asked *a = &s->asked[number % FEEDBACK_ASKED];
    bool used = a->wanted || a->given_up || a->times > 0;
    if (used && a->number == number)
        return a;
    if (used && (int32_t)(number - a->number) < 0)
        return NULL;
    if (a->wanted)
        give_up(s, a);
    *a = (struct feedback_asked){.number = number};
    return a;
}

void feedback_want(struct feedback_source *s, uint16_t sequence, int64_t now_us)
{
    struct feedback_asked *a = s->sender ? place_of(s, number_of(s, sequence)) : NULL;
    if (!a || a->wanted || a->given_up)
        return;
    int64_t wait_us = s->sender->rtt_us > FEEDBACK_ASK_US ? s->sender->rtt_us : FEEDBACK_ASK_US;
    if (a->times > 0 && (uint32_t)(ms_of(now_us) - a->ms) < wait_us / 1000)
        return;
    if (a->times >= FEEDBACK_ASK_TIMES) {
        give_up(s, a);
        return;
    }
    a->wanted = true;
    s->n_wanted++;
    sender_is_due(s, now_us + FEEDBACK_MERGE_US);
}

size_t feedback_wanted(const struct feedback_source *s, uint16_t out[static FEEDBACK_ASKED])
{
    size_t n = 0;
    for (uint32_t number = s->highest + 1, i = 0; i < FEEDBACK_ASKED; i++, number++) {
        const struct feedback_asked *a = &s->asked[number % FEEDBACK_ASKED];
        if (a->wanted)
            out[n++] = (uint16_t)a->number;
    }
    return n;
}

void feedback_asked_for(struct feedback_source *s, int64_t now_us)
{
    for (size_t i = 0; i < FEEDBACK_ASKED; i++) {
        struct feedback_asked *a = &s->asked[i];
        if (!a->wanted)
            continue;
        a->wanted = false;
        a->times++;
        a->ms = ms_of(now_us);
    }
    s->n_wanted = 0;
}

/* ---- key frames ---- */

int64_t feedback_keyframe_due(const struct feedback_source *s)
{
    if (!s->wants_picture && !s->wants_intra)
        return INT64_MAX;
    return s->has_keyframe ? s->keyframe_us + FEEDBACK_KEYFRAME_US : INT64_MIN;
}

static void keyframe_wanted(struct feedback_source *s, int64_t now_us)
{
    int64_t due_us = feedback_keyframe_due(s);
    sender_is_due(s, due_us > now_us ? due_us : now_us);
}

void feedback_want_keyframe(struct feedback_source *s, int64_t now_us)
{
    s->wants_picture = s->sender != NULL;
    keyframe_wanted(s, now_us);
}

void feedback_want_intra(struct feedback_source *s, int64_t now_us)
{
    s->wants_intra = s->sender != NULL;
    keyframe_wanted(s, now_us);
}

/* ---- rates ---- */

static void turn_least(struct feedback_source *s, int64_t now_us)
{
    int64_t age_us = now_us - s->least_us;
    if (age_us < FEEDBACK_REPORT_US)
        return;
    s->least_before = age_us < 2 * (int64_t)FEEDBACK_REPORT_US ? s->least_now : 0;
    s->least_now = 0;
    s->least_us = now_us;
}

void feedback_least(struct feedback_source *s, uint64_t bitrate, int64_t now_us)
{
    turn_least(s, now_us);
    if (bitrate < FEEDBACK_LEAST_BPS)
        bitrate = FEEDBACK_LEAST_BPS;
    if (s->least_now == 0 || bitrate < s->least_now)
        s->least_now = bitrate;
}

uint64_t feedback_least_of(struct feedback_source *s, int64_t now_us)
{
    turn_least(s, now_us);
    if (s->least_now == 0 || (s->least_before != 0 && s->least_before < s->least_now))
        return s->least_before;
    return s->least_now;
}
