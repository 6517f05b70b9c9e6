/* Who is heard in a meeting. A participant is heard with all its sources or with none. What comes over a link has been chosen where it comes from, by the same
 * ranking: it is always passed on, and takes places here as the levels of its sources demand. Invariant: n_heard is how many have a place. */
#include "engine.h"

enum { RANKED_MAX = 2 * MEDIA_MEETING_LEGS_MAX };

bool hearing_packet(struct leg *from, struct source *src, int level, int64_t now_us)
{
    struct meeting *m = from->meeting;
    struct speaker *s = &from->speaker;
    if (from->kind == TICKET_LINK) {
        if (level >= 0)
            speaker_sends(&src->speaker, level, now_us);
        return true;
    }
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

static size_t who_ranks(struct meeting *m, struct speaker *of[static RANKED_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < m->n_slots && n < RANKED_MAX; i++) {
        if (m->legs[i] && m->legs[i]->kind != TICKET_LINK)
            of[n++] = &m->legs[i]->speaker;
    }
    for (size_t i = 0; m->n_links > 0 && i < m->n_sources && n < RANKED_MAX; i++) {
        struct source *s = m->source_list[i];
        if (s->leg && s->leg->kind == TICKET_LINK && s->speaker.has_level)
            of[n++] = &s->speaker;
    }
    return n;
}

void hearing_turn(struct meeting *m, int64_t now_us)
{
    struct speaker *of[RANKED_MAX];
    if (m->n_links == 0 && m->n_legs <= m->last_n)
        return;
    size_t n = who_ranks(m, of);
    m->n_heard = speakers_rank(of, n, m->last_n, now_us);
    for (size_t i = 0; i < m->n_slots; i++) {
        const struct leg *l = m->legs[i];
        if (l && l->speaker.heard && l->speaker.since_us == now_us)
            want_pictures(l, now_us);
    }
}

/* What a link brought makes way with it. */
void hearing_leave(struct leg *l)
{
    struct meeting *m = l->meeting;
    l->speaker.heard = false;
    m->n_heard = 0;
    for (size_t i = 0; i < m->n_slots; i++)
        m->n_heard += m->legs[i] && m->legs[i]->speaker.heard;
    for (size_t i = 0; i < m->n_sources; i++) {
        struct source *s = m->source_list[i];
        s->speaker.heard = s->speaker.heard && s->leg && s->leg->kind == TICKET_LINK;
        m->n_heard += s->speaker.heard;
    }
}
