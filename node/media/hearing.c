/* Who is heard in a meeting. A participant is heard with all its sources or with none, and has one place wherever
 * its packets come from: on its way from one node to another it keeps that. What comes over a link has been chosen
 * where it comes from, by the same ranking: it is always passed on, and takes places here as the levels of its
 * sources demand. Invariant: n_heard is how many have a place, and whoever sends while there is a free one is heard. */
#include "engine.h"

#include <errno.h>
#include <stdlib.h>

enum { PEOPLE_FIRST = 8, RANKED_MAX = MEDIA_MEETING_LEGS_MAX + MEETING_SOURCES_MAX };

/* ---- people ---- */

static int list_add(struct meeting *m, struct person *p)
{
    if (m->n_people == m->people_room) {
        size_t room = m->people_room ? 2 * m->people_room : PEOPLE_FIRST;
        struct person **grown = realloc(m->people, room * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        m->people = grown;
        m->people_room = room;
    }
    p->index = m->n_people;
    m->people[m->n_people++] = p;
    return 0;
}

struct person *person_hold(struct meeting *m, uint64_t owner)
{
    for (size_t i = 0; i < m->n_people; i++) {
        if (m->people[i]->owner == owner) {
            m->people[i]->refs++;
            return m->people[i];
        }
    }
    struct person *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->owner = owner;
    p->refs = 1;
    if (list_add(m, p) < 0) {
        free(p);
        return NULL;
    }
    return p;
}

void person_release(struct meeting *m, struct person *p)
{
    if (!p || --p->refs > 0)
        return;
    m->n_heard -= p->speaker.heard;
    m->people[p->index] = m->people[--m->n_people];
    m->people[p->index]->index = p->index;
    free(p);
}

/* ---- places ---- */

/* Its pictures can be shown from a key frame on alone. */
static void want_pictures(const struct leg *l, int64_t now_us)
{
    for (size_t i = 0; i < l->n_sources; i++) {
        if (l->sources[i]->is_video)
            feedback_want_keyframe(&l->sources[i]->feedback, now_us);
    }
}

bool hearing_packet(struct leg *from, const struct source *src, int level, int64_t now_us)
{
    struct meeting *m = from->meeting;
    struct person *p = src->person;
    if (from->kind == TICKET_LINK) {
        if (level >= 0)
            speaker_sends(&p->speaker, level, now_us);
        return true;
    }
    speaker_sends(&p->speaker, level, now_us);
    if (!p->speaker.heard && m->n_heard < m->last_n) {
        speaker_place(&p->speaker, true, now_us);
        m->n_heard++;
        if (p->left_out)
            want_pictures(from, now_us);
    }
    p->left_out = !p->speaker.heard;
    return p->speaker.heard;
}

void hearing_turn(struct meeting *m, int64_t now_us)
{
    struct speaker *of[RANKED_MAX];
    size_t n = 0;
    if (m->n_links == 0 && m->n_legs <= m->last_n)
        return;
    for (size_t i = 0; i < m->n_people && n < RANKED_MAX; i++) {
        if (!speaker_is_away(&m->people[i]->speaker, now_us))
            of[n++] = &m->people[i]->speaker;
    }
    m->n_heard = speakers_rank(of, n, m->last_n, now_us);
    for (size_t i = 0; i < m->n_slots; i++) {
        const struct leg *l = m->legs[i];
        if (l && l->person && l->person->speaker.heard && l->person->speaker.since_us == now_us)
            want_pictures(l, now_us);
    }
}

void hearing_gone(struct meeting *m)
{
    for (size_t i = 0; i < m->n_people; i++)
        m->people[i]->here = false;
    for (size_t i = 0; i < m->n_slots; i++) {
        if (m->legs[i] && m->legs[i]->person)
            m->legs[i]->person->here = true;
    }
    for (size_t i = 0; i < m->n_sources; i++)
        m->source_list[i]->person->here |= m->source_list[i]->leg != NULL;
    m->n_heard = 0;
    for (size_t i = 0; i < m->n_people; i++) {
        struct speaker *s = &m->people[i]->speaker;
        if (!m->people[i]->here)
            *s = (struct speaker){0};
        m->n_heard += s->heard;
    }
}

void hearing_leave(struct leg *l)
{
    struct person *p = l->person;
    l->person = NULL;
    hearing_gone(l->meeting);
    person_release(l->meeting, p);
}
