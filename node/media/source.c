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
        if (l && (s->leg == l || s->earlier == l || s->link == l || s->local == l))
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

/* Its numbers are forgotten, so its SSRC is never used again; it may be, where nobody has sent it. False: out of memory. */
static bool give_up(struct meeting *m, size_t at)
{
    struct source *s = m->source_list[at];
    uint8_t bit;
    if (s->used && !m->spent)
        m->spent = calloc(MEETING_SPENT_BITS / 8, 1);
    if (s->used && !m->spent)
        return false;
    if (s->used) {
        *spent_byte(m, s->ssrc, &bit) |= bit;
        forget(m, s);
    }
    source_release(s);
    share_drop(m, s->share);
    media_table_drop(&m->sources, ssrc_hash(m, s->ssrc), s);
    m->source_list[at] = m->source_list[--m->n_sources];
    source_destroy(m, s);
    return true;
}

/* Which may be given up. Zeroed all that nobody sends. */
struct choice {
    const uint64_t *owner, *share;
    const struct leg *sender; /* here */
    const struct source *but;
    bool any; /* also those that are sent */
    int64_t now_us;
};

/* A participant has its own for as long as its session is there; a link what it goes on sending. */
static bool is_sent(const struct source *s, int64_t now_us)
{
    return s->leg && (s->leg->kind != TICKET_LINK || now_us - s->heard_us <= SOURCE_SILENT_US);
}

static bool may_choose(const struct choice *c, const struct source *s)
{
    return s != c->but && (c->any || !is_sent(s, c->now_us)) && (!c->owner || s->owner == *c->owner) &&
           (!c->share || s->share == *c->share) && (!c->sender || s->local == c->sender);
}

/* The one that has been silent longest. False: there is none. */
static bool give_up_one(struct meeting *m, const struct choice *c)
{
    size_t oldest = m->n_sources;
    for (size_t i = 0; i < m->n_sources; i++) {
        const struct source *s = m->source_list[i];
        if (may_choose(c, s) && (oldest == m->n_sources || s->heard_us < m->source_list[oldest]->heard_us))
            oldest = i;
    }
    return oldest < m->n_sources && give_up(m, oldest);
}

/* How many of that owner the share has. */
static size_t count_of(const struct meeting *m, uint64_t owner, uint64_t share)
{
    size_t n = 0;
    for (size_t i = 0; i < m->n_sources; i++)
        n += m->source_list[i]->owner == owner && m->source_list[i]->share == share;
    return n;
}

/* The meeting has no more: one that nobody sends makes room, of who has many if there is one; else one of who has
 * far more than who brings another. */
static bool make_place(struct meeting *m, uint64_t share, int64_t now_us)
{
    struct share most = *share_largest(m);
    const struct choice idle = {.now_us = now_us}, idle_of_most = {.share = &most.of, .now_us = now_us},
                        of_most = {.share = &most.of, .any = true, .now_us = now_us};
    if (give_up_one(m, &idle_of_most) || give_up_one(m, &idle))
        return true;
    return most.n > SHARE_LARGE_TIMES * share_count(m, share) && give_up_one(m, &of_most);
}

static bool make_room(struct leg *by, uint64_t owner, int64_t now_us)
{
    struct meeting *m = by->meeting;
    const struct choice own = {.owner = &owner, .share = &by->owner, .now_us = now_us};
    if (count_of(m, owner, by->owner) >= MEETING_OWNER_SOURCES_MAX && !give_up_one(m, &own))
        return false;
    return m->n_sources < MEETING_SOURCES_MAX || make_place(m, by->owner, now_us);
}

static bool make_list_room(struct meeting *m)
{
    if (m->n_sources == m->source_room) {
        size_t room = m->source_room ? 2 * m->source_room : SOURCES_FIRST;
        struct source **grown = realloc(m->source_list, room * sizeof(*grown));
        if (!grown)
            return false;
        m->source_list = grown;
        m->source_room = room;
    }
    return true;
}

struct source *source_new(struct leg *by, uint32_t ssrc, uint64_t owner, int64_t now_us)
{
    struct meeting *m = by->meeting;
    if (source_is_spent(m, ssrc) || is_nodes_own(m, ssrc) ||
        !share_add(m, by->owner, by->kind == TICKET_LINK, now_us))
        return NULL;
    struct source *s = make_room(by, owner, now_us) && make_list_room(m) ? calloc(1, sizeof *s) : NULL;
    if (!s)
        goto out;
    s->ssrc = ssrc;
    s->owner = owner;
    s->share = by->owner;
    s->heard_us = now_us;
    s->person = person_hold(m, owner);
    feedback_source_begin(m->home->feedback, &s->feedback, ssrc);
    if (!s->person || media_table_put(&m->sources, ssrc_hash(m, ssrc), s) < 0) {
        source_destroy(m, s);
        goto out;
    }
    m->source_list[m->n_sources++] = s;
    return s;
out:
    share_drop(m, by->owner);
    return NULL;
}

void source_refused(struct leg *l, uint32_t ssrc)
{
    bool spent = source_is_spent(l->meeting, ssrc) && !source_find(l->meeting, l, ssrc);
    if (l->kind != TICKET_LINK && (spent || srtp_leg_received(l->srtp) > SRTP_LEG_SSRCS))
        srtp_leg_forget_received(l->srtp, ssrc);
}

bool source_bound(struct leg *l, const struct source *but)
{
    return srtp_leg_received(l->srtp) <= SRTP_LEG_SSRCS ||
           give_up_one(l->meeting, &(struct choice){.owner = &l->owner, .sender = l, .but = but});
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

void source_destroy(struct meeting *m, struct source *s)
{
    person_release(m, s->person);
    feedback_source_end(&s->feedback);
    free(s->to);
    free(s);
}
