/* Who is heard in a meeting. A participant is heard with all its sources or with none. Invariant: n_heard is how many are, of the participants. */
#include "engine.h"

enum { RANKED_MAX = MEDIA_MEETING_LEGS_MAX };

bool hearing_packet(struct leg *from, int level, int64_t now_us)
{
    struct meeting *m = from->meeting;
    struct speaker *s = &from->speaker;
    speaker_sends(s, level, now_us);
    if (!s->heard && m->n_heard < m->last_n) {
        s->heard = true;
        s->since_us = now_us;
        m->n_heard++;
    }
    return s->heard;
}

/* Its pictures can be shown from a key frame on alone. */
static void want_pictures(const struct leg *l, int64_t now_us)
{
    for (size_t i = 0; i < l->n_sources; i++) {
        if (l->sources[i]->is_video)
            feedback_want_keyframe(&l->sources[i]->feedback, now_us);
    }
}

void hearing_turn(struct meeting *m, int64_t now_us)
{
    struct speaker *of[RANKED_MAX];
    size_t n = 0;
    if (m->n_legs <= m->last_n)
        return;
    for (size_t i = 0; i < m->n_slots && n < RANKED_MAX; i++) {
        if (m->legs[i])
            of[n++] = &m->legs[i]->speaker;
    }
    m->n_heard = speakers_rank(of, n, m->last_n, now_us);
    for (size_t i = 0; i < m->n_slots; i++) {
        const struct leg *l = m->legs[i];
        if (l && l->speaker.heard && l->speaker.since_us == now_us)
            want_pictures(l, now_us);
    }
}

void hearing_leave(struct leg *l)
{
    l->meeting->n_heard -= l->speaker.heard;
}
