/* Who sends a source: its owner's session here, or a link that has told whose it is. Invariant: at any time one leg
 * sends it, whose packets alone go on; and against a participant that goes on sending here no link keeps its SSRC. */
#include "engine.h"

#include <errno.h>
#include <string.h>

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

/* Has a link taken it from a participant that is here all the same? Then no link is believed for a while, unless
 * the participant doesn't send it any more. */
static bool is_barred(const struct source *s, int64_t now_us)
{
    return s->leg && s->leg == s->local && s->leg->has_path && now_us < s->barred_until_us &&
           now_us - s->heard_us <= SOURCE_SILENT_US;
}

static int check_link(const struct source *s, const struct leg *l, int64_t now_us)
{
    if (!s || s->link != l)
        return -EACCES;
    bool is_sent = s->leg && now_us - s->heard_us < SOURCE_TAKEOVER_US;
    bool just_taken =
        s->earlier && (now_us - s->taken_us < SOURCE_TAKEOVER_US || (s->robbed && s->earlier == l));
    return is_barred(s, now_us) || (is_sent && just_taken) ? -EBUSY : 0;
}

int source_check(const struct source *s, const struct leg *l, int64_t now_us)
{
    if (s && s->leg == l)
        return 0;
    if (l->kind == TICKET_LINK)
        return check_link(s, l, now_us);
    if (s && s->owner != l->owner)
        return -EACCES;
    if (s && s->leg && s->local == l && now_us - s->heard_us < SOURCE_TAKEOVER_US)
        return -EBUSY;
    return l->n_sources < MEDIA_LEG_SSRCS_MAX || may_release(l, now_us) ? 0 : -EACCES;
}

bool source_goes_on(struct source *s, struct leg *l, int64_t now_us)
{
    if (s->local != l) {
        l->stats.ssrc_refused += is_barred(s, now_us);
        return false;
    }
    if (!s->contested || now_us - s->contest_newest_us > SOURCE_SILENT_US)
        s->contest_us = now_us;
    s->contested = true;
    s->contest_newest_us = now_us;
    if (now_us - s->contest_us < SOURCE_CONTEST_US)
        return false; /* what was under way when its sender moved */
    bool moved_back = s->times_barred == 0 && now_us - s->heard_us > SOURCE_GOES_ON_US;
    if (!moved_back)
        s->barred_until_us = now_us + ((int64_t)SOURCE_BARRED_US << s->times_barred);
    if (s->times_barred < SOURCE_BARRED_DOUBLED_MAX)
        s->times_barred++;
    return true;
}

static void drop_from(struct leg *l, const struct source *s)
{
    size_t i = place_of(l, s);
    if (i == l->n_sources)
        return;
    l->n_sources--;
    memmove(l->sources + i, l->sources + i + 1, (l->n_sources - i) * sizeof(*l->sources));
}

void source_release(struct source *s)
{
    if (s->leg)
        drop_from(s->leg, s);
    s->leg = NULL;
    feedback_source_from(&s->feedback, NULL);
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

/* One more of a participant, whose first authentic packet has come: the source that has been silent longest is
 * nobody's then, and one that was so before, and whose numbers are known for this sender alone, is given up for
 * it. */
static bool make_room(struct leg *l, const struct source *of, int64_t now_us)
{
    if (l->n_sources == MEDIA_LEG_SSRCS_MAX) {
        struct source *s = l->sources[l->n_sources - 1];
        if (!may_release(l, now_us))
            return false;
        source_release(s);
        s->earlier = l;
    }
    return source_bound(l, of);
}

/* Nodes that have heard of it from elsewhere are told with its packets, as at first. */
static void tell_again(const struct meeting *m, struct source *s)
{
    for (size_t i = 0; s->to && i < m->n_slots; i++)
        s->to[i].told = 0;
}

static void begin(struct source *s, struct leg *l, int64_t now_us)
{
    if (s->leg)
        drop_from(s->leg, s);
    if (l->kind == TICKET_LINK)
        s->robbed = s->robbed || (s->leg && s->leg == s->local);
    else if (s->local != l)
        s->robbed = false;
    s->earlier = s->leg;
    s->leg = l;
    s->taken_us = now_us;
    s->used = true;
    s->contested = false;
    s->refused_afar = false;
    s->counting = false;
    s->ended = false;
    tell_again(l->meeting, s);
    seqmap_restart(&s->map);
    if (l->kind != TICKET_LINK) {
        s->local = l;
        share_move(l->meeting, s, l->owner);
        s->level_ext = l->level_ext;
    }
    feedback_source_from(&s->feedback, &l->feedback);
}

struct source *source_take(struct leg *l, struct source *s, uint32_t ssrc, int64_t now_us)
{
    if (l->kind != TICKET_LINK && (!s || s->leg != l) &&
        (source_is_spent(l->meeting, ssrc) || !make_room(l, s, now_us)))
        return NULL;
    if (!s)
        s = source_new(l, ssrc, l->owner, now_us);
    if (!s)
        return NULL;
    if (s->leg != l)
        begin(s, l, now_us);
    if (l->kind != TICKET_LINK && (l->n_sources == 0 || l->sources[0] != s))
        to_front(l, s);
    s->heard_us = now_us;
    return s;
}

static void forget_leg(struct source *s, const struct leg *l)
{
    if (s->leg == l) {
        s->leg = NULL;
        s->ended = l->kind != TICKET_LINK;
        feedback_source_from(&s->feedback, NULL);
    }
    if (s->earlier == l)
        s->earlier = NULL;
    if (s->link == l)
        s->link = NULL;
    if (s->local == l) {
        s->local = NULL;
        s->contested = s->robbed = false;
        s->times_barred = 0;
    }
    if (s->to)
        s->to[l->slot] = (struct source_to){0};
}

void source_leave(struct leg *l)
{
    struct meeting *m = l->meeting;
    for (size_t i = 0; i < m->n_sources; i++) {
        forget_leg(m->source_list[i], l);
        m->any_ended = m->any_ended || m->source_list[i]->ended;
    }
    l->n_sources = 0;
}
