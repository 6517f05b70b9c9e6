/* What a source's sender is asked for on behalf of all receivers: packets that are missing, key frames, a lower rate. Invariant: n_wanted entries
 * of `asked` are wanted. */
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

static struct feedback_asked *asked_of(struct feedback_source *s, uint16_t sequence)
{
    for (size_t i = 0; i < FEEDBACK_ASKED; i++) {
        struct feedback_asked *a = &s->asked[i];
        if ((a->wanted || a->times > 0) && a->sequence == sequence)
            return a;
    }
    return NULL;
}

void feedback_want(struct feedback_source *s, uint16_t sequence, int64_t now_us)
{
    if (!s->sender)
        return;
    struct feedback_asked *a = asked_of(s, sequence);
    if (a && a->wanted)
        return;
    if (a && now_us - a->us <= FEEDBACK_KEPT_US) { /* else it is one of another cycle */
        int64_t wait_us = s->sender->rtt_us > FEEDBACK_ASK_US ? s->sender->rtt_us : FEEDBACK_ASK_US;
        if (a->times >= FEEDBACK_ASK_TIMES || now_us - a->us < wait_us)
            return;
    } else {
        if (!a)
            a = &s->asked[s->next_asked++ % FEEDBACK_ASKED];
        if (a->wanted)
            s->n_wanted--; /* so many are missing that the oldest isn't asked for any more */
        *a = (struct feedback_asked){.sequence = sequence};
    }
    a->wanted = true;
    a->us = now_us;
    s->n_wanted++;
    sender_is_due(s, now_us + FEEDBACK_MERGE_US);
}

size_t feedback_wanted(const struct feedback_source *s, uint16_t out[static FEEDBACK_ASKED])
{
    size_t n = 0;
    for (size_t i = 0; i < FEEDBACK_ASKED; i++) {
        if (!s->asked[i].wanted)
            continue;
        size_t at = n++;
        for (; at > 0 && rtp_sequence_distance(s->asked[i].sequence, out[at - 1]) < 0; at--)
            out[at] = out[at - 1];
        out[at] = s->asked[i].sequence;
    }
    return n;
}

void feedback_asked_for(struct feedback_source *s, int64_t now_us)
{
    for (size_t i = 0; i < FEEDBACK_ASKED; i++) {
        if (!s->asked[i].wanted)
            continue;
        s->asked[i].wanted = false;
        s->asked[i].times++;
        s->asked[i].us = now_us;
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
