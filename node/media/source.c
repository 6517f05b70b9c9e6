/* Sources: the SSRCs of a meeting, each its owner's for as long as the meeting is here. Invariant: a source's
 * numbers go on whatever becomes of who sends it, and what is known of an SSRC's numbers, sent or received, is
 * forgotten only once the SSRC is spent, under which nothing is sent, or taken, ever again: so no receiver's key
 * ever meets one index twice, and no packet counts twice. */
#include "engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SOURCES_FIRST = 8 };

static bool is_source(const void *item, const void *key)
{
    const struct source *s = item;
    const uint32_t *ssrc = key;
    return s->ssrc == *ssrc;
}

static uint64_t ssrc_hash(const struct meeting *m, uint32_t ssrc)
{
    return media_hash(m->home, &ssrc, sizeof ssrc);
}

struct source *source_find(const struct meeting *m, const struct leg *l, uint32_t ssrc)
{
    if (l->n_sources > 0 && l->sources[0]->ssrc == ssrc)
        return l->sources[0];
    return media_table_get(&m->sources, ssrc_hash(m, ssrc), is_source, &ssrc);
}

/* Where it is among those that the leg sends; n_sources: it isn't. */
static size_t place_of(const struct leg *l, const struct source *s)
{
    size_t i = 0;
    while (i < l->n_sources && l->sources[i] != s)
        i++;
    return i;
}

/* The last is the one that has been silent longest. */
static bool may_release(const struct leg *l, int64_t now_us)
{
    return l->n_sources > 0 && now_us - l->sources[l->n_sources - 1]->heard_us > SOURCE_SILENT_US;
}

int source_check(const struct source *s, const struct leg *l, int64_t now_us)
{
    bool link = l->kind == TICKET_LINK;
    if (s && s->leg == l)
        return 0;
    if (link ? !s || s->link != l : s && s->owner != l->owner)
        return -EACCES;
    if (s && s->leg && s->earlier == l && now_us - s->heard_us < SOURCE_TAKEOVER_US)
        return -EBUSY;
    return link || l->n_sources < MEDIA_LEG_SSRCS_MAX || may_release(l, now_us) ? 0 : -EACCES;
}

/* ---- those that were given up ---- */

static uint8_t *spent_byte(const struct meeting *m, uint32_t ssrc, uint8_t *bit)
{
    size_t place = ssrc_hash(m, ssrc) >> 32 & (MEETING_SPENT_BITS - 1);
    *bit = (uint8_t)(1u << place % 8);
    return &m->spent[place / 8];
}

bool source_is_spent(const struct meeting *m, uint32_t ssrc)
{
    uint8_t bit;
    return m->spent && (*spent_byte(m, ssrc, &bit) & bit);
}

/* What the node itself calls itself to a leg goes on under the same keys, so its numbers are never forgotten; nor
 * are those of who never sent the source and may use its SSRC for RTCP. */
static void forget(const struct meeting *m, const struct source *s)
{
    for (size_t i = 0; i < m->n_slots; i++) {
        struct leg *l = m->legs[i];
        if (l && l->feedback.ssrc != s->ssrc)
            srtp_leg_forget_sent(l->srtp, s->ssrc);
        if (l && (s->earlier == l || s->link == l))
            srtp_leg_forget_received(l->srtp, s->ssrc);
    }
}

/* Does the node call itself that to one of the meeting? */
static bool is_nodes_own(const struct meeting *m, uint32_t ssrc)
{
    for (size_t i = 0; i < m->n_slots; i++) {
        if (m->legs[i] && m->legs[i]->feedback.ssrc == ssrc)
            return true;
    }
    return false;
}

/* Its numbers are forgotten, so its SSRC is never used again. False: out of memory. */
static bool give_up(struct meeting *m, size_t at)
{
    struct source *s = m->source_list[at];
    uint8_t bit;
    if (!m->spent)
        m->spent = calloc(MEETING_SPENT_BITS / 8, 1);
    if (!m->spent)
        return false;
    *spent_byte(m, s->ssrc, &bit) |= bit;
    forget(m, s);
    media_table_drop(&m->sources, ssrc_hash(m, s->ssrc), s);
    m->source_list[at] = m->source_list[--m->n_sources];
    source_destroy(s);
    return true;
}

/* The one, of that owner or (NULL) of all, and of that sender or (NULL) of any, that nobody has sent for longest.
 * False: all are in use. */
static bool give_up_one(struct meeting *m, const uint64_t *owner, const struct leg *sender,
                        const struct source *but)
{
    size_t oldest = m->n_sources;
    for (size_t i = 0; i < m->n_sources; i++) {
        const struct source *s = m->source_list[i];
        if (!s->leg && s != but && (!owner || s->owner == *owner) && (!sender || s->earlier == sender) &&
            (oldest == m->n_sources || s->heard_us < m->source_list[oldest]->heard_us))
            oldest = i;
    }
    return oldest < m->n_sources && give_up(m, oldest);
}

static size_t count_of(const struct meeting *m, uint64_t owner)
{
    size_t n = 0;
    for (size_t i = 0; i < m->n_sources; i++)
        n += m->source_list[i]->owner == owner;
    return n;
}

struct source *source_new(struct meeting *m, uint32_t ssrc, uint64_t owner)
{
    if (source_is_spent(m, ssrc) || is_nodes_own(m, ssrc))
        return NULL;
    if (count_of(m, owner) >= MEETING_OWNER_SOURCES_MAX)
        (void)!give_up_one(m, &owner, NULL,
                           NULL); /* over a link all may count as sent: then the meeting's bound is theirs */
    if (m->n_sources == MEETING_SOURCES_MAX && !give_up_one(m, NULL, NULL, NULL))
        return NULL;
    if (m->n_sources == m->source_room) {
        size_t room = m->source_room ? 2 * m->source_room : SOURCES_FIRST;
        struct source **grown = realloc(m->source_list, room * sizeof(*grown));
        if (!grown)
            return NULL;
        m->source_list = grown;
        m->source_room = room;
    }
    struct source *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->ssrc = ssrc;
    s->owner = owner;
    feedback_source_begin(m->home->feedback, &s->feedback, ssrc);
    if (media_table_put(&m->sources, ssrc_hash(m, ssrc), s) < 0) {
        source_destroy(s);
        return NULL;
    }
    m->source_list[m->n_sources++] = s;
    return s;
}

void source_refused(struct leg *l, uint32_t ssrc)
{
    bool spent = source_is_spent(l->meeting, ssrc) && !source_find(l->meeting, l, ssrc);
    if (l->kind != TICKET_LINK && (spent || srtp_leg_received(l->srtp) > SRTP_LEG_SSRCS))
        srtp_leg_forget_received(l->srtp, ssrc);
}

static void drop_from(struct leg *l, const struct source *s)
{
    size_t i = place_of(l, s);
    if (i == l->n_sources)
        return;
    l->n_sources--;
    memmove(l->sources + i, l->sources + i + 1, (l->n_sources - i) * sizeof(*l->sources));
}

/* The newest used is first: the next packet is likely its. */
static void to_front(struct leg *l, struct source *s)
{
    size_t i = place_of(l, s);
    if (i == l->n_sources)
        l->n_sources++;
    memmove(l->sources + 1, l->sources, i * sizeof(*l->sources));
    l->sources[0] = s;
}

bool source_bound(struct leg *l, const struct source *but)
{
    return srtp_leg_received(l->srtp) <= SRTP_LEG_SSRCS || give_up_one(l->meeting, &l->owner, l, but);
}

/* One more of a participant, whose first authentic packet has come: the source that has been silent longest is
 * nobody's then, and one that was so before, and whose numbers are known for this sender alone, is given up for
 * it. */
static bool make_room(struct leg *l, const struct source *of, int64_t now_us)
{
    if (l->n_sources == MEDIA_LEG_SSRCS_MAX) {
        struct source *s = l->sources[l->n_sources - 1];
        if (!may_release(l, now_us))
            return false;
        s->leg = NULL;
        s->earlier = l;
        feedback_source_from(&s->feedback, NULL);
        l->n_sources--;
    }
    return source_bound(l, of);
}

struct source *source_take(struct leg *l, struct source *s, uint32_t ssrc, int64_t now_us)
{
    if (l->kind != TICKET_LINK && (!s || s->leg != l) &&
        (source_is_spent(l->meeting, ssrc) || !make_room(l, s, now_us)))
        return NULL;
    if (!s)
        s = source_new(l->meeting, ssrc, l->owner);
    if (!s)
        return NULL;
    if (s->leg != l) {
        if (s->leg)
            drop_from(s->leg, s);
        s->earlier = s->leg;
        s->leg = l;
        s->counting = false;
        seqmap_restart(&s->map);
        if (l->kind != TICKET_LINK)
            s->level_ext = l->level_ext;
        feedback_source_from(&s->feedback, &l->feedback);
    }
    if (l->kind != TICKET_LINK && (l->n_sources == 0 || l->sources[0] != s))
        to_front(l, s);
    s->heard_us = now_us;
    return s;
}

void source_leave(struct leg *l)
{
    struct meeting *m = l->meeting;
    for (size_t i = 0; i < m->n_sources; i++) {
        struct source *s = m->source_list[i];
        if (s->leg == l) {
            s->leg = NULL;
            feedback_source_from(&s->feedback, NULL);
        }
        if (s->earlier == l)
            s->earlier = NULL;
        if (s->link == l)
            s->link = NULL;
        if (s->to)
            s->to[l->slot] = (struct source_to){0};
    }
    l->n_sources = 0;
}

int source_receivers(struct source *s, size_t room)
{
    size_t had = s->room;
    if (room <= had)
        return 0;
    struct source_to *grown = realloc(s->to, room * sizeof *grown);
    if (!grown)
        return -ENOMEM;
    memset(grown + had, 0, (room - had) * sizeof *grown);
    s->to = grown;
    s->room = room;
    return 0;
}

void source_destroy(struct source *s)
{
    feedback_source_end(&s->feedback);
    free(s->to);
    free(s);
}
