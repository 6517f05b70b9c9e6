/* Links to other nodes: how those begin that this node has dialled, what passes between which legs, and whose the
 * sources are that come over them. A link tells that, and which header extension has their audio level, in RTCP
 * APP packets (RFC 3550 6.7) of its own: with the first packets of each source, and once a second while it sends.
 * Invariant: a link's packets count only for sources that it has told the owner of, and that owner's alone. */
#include "engine.h"

#include "media/rtcp.h"

#include <errno.h>
#include <string.h>

enum {
    APP_TYPE = 204,
    APP_SUBTYPE = 1,
    APP_HEADER_LEN = 12,
    ENTRY_LEN = 16,
    ENTRIES_MAX = 64,
    PACKET_LEN = 8 + APP_HEADER_LEN + ENTRIES_MAX * ENTRY_LEN,
    SENDS_US = 1000 * 1000, /* a source that has sent nothing for longer isn't told of */
};

static const uint8_t app_name[4] = {'B', 'R', 'T', 'H'};

bool link_passes(const struct leg *from, const struct leg *to)
{
    if (from == to)
        return false;
    if (from->kind != TICKET_LINK || to->kind != TICKET_LINK)
        return true;
    return from->meeting->hub && (from->leaf || to->leaf);
}

/* Nodes whose plans are of different epochs could hand one packet round for ever: none crosses more links than any plan has it do. */
bool link_takes(const struct source *s, const struct leg *to)
{
    bool from_link = s->leg && s->leg->kind == TICKET_LINK;
    return !from_link || to->kind != TICKET_LINK || s->hops < LINK_HOPS_MAX;
}

/* ---- telling ---- */

struct telling {
    struct leg *to;
    struct wire_wr w;
    size_t n;
    uint8_t bytes[PACKET_LEN];
};

static void begin(struct telling *t, struct leg *to)
{
    t->to = to;
    t->n = 0;
    t->w = wire_wr_init(t->bytes, sizeof t->bytes);
    (void)!rtcp_write_receiver_report(&t->w, to->feedback.ssrc, NULL, 0);
    wire_wr_u8(&t->w, 2 << 6 | APP_SUBTYPE);
    wire_wr_u8(&t->w, APP_TYPE);
    wire_wr_u16(&t->w, 0);
    wire_wr_u32(&t->w, to->feedback.ssrc);
    wire_wr_bytes(&t->w, app_name, sizeof app_name);
}

static void finish(struct telling *t, int64_t now_us)
{
    size_t len = wire_wr_len(&t->w);
    if (t->n == 0)
        return;
    wire_wr_patch_u16(&t->w, 8 + 2, (uint16_t)((APP_HEADER_LEN + t->n * ENTRY_LEN) / 4 - 1));
    reports_send(t->to, t->bytes, len, now_us);
    begin(t, t->to);
}

static uint8_t next_hop(const struct source *s)
{
    if (!s->leg || s->leg->kind != TICKET_LINK)
        return 1;
    return s->hops > 0 ? (uint8_t)(s->hops + 1) : 0;
}

static void tell(struct telling *t, const struct source *s, int64_t now_us)
{
    if (t->n == ENTRIES_MAX)
        finish(t, now_us);
    wire_wr_u32(&t->w, s->ssrc);
    wire_wr_bytes(&t->w, &s->owner, sizeof s->owner);
    wire_wr_u8(&t->w, s->level_ext);
    wire_wr_u8(&t->w, next_hop(s));
    wire_wr_zero(&t->w, 2);
    t->n++;
}

void link_tell(struct leg *to, const struct source *s, int64_t now_us)
{
    struct telling t;
    begin(&t, to);
    tell(&t, s, now_us);
    finish(&t, now_us);
}

void link_turn(struct leg *l, int64_t now_us)
{
    const struct meeting *m = l->meeting;
    struct telling t;
    begin(&t, l);
    for (size_t i = 0; i < m->n_sources; i++) {
        const struct source *s = m->source_list[i];
        if (s->leg && link_passes(s->leg, l) && link_takes(s, l) && now_us - s->heard_us < SENDS_US)
            tell(&t, s, now_us);
    }
    finish(&t, now_us);
}

/* ---- being told ---- */

static void hear(struct leg *from, uint32_t ssrc, uint64_t owner, uint8_t level_ext, uint8_t hops)
{
    if (hops > LINK_HOPS_MAX)
        return;
    struct source *s = source_find(from->meeting, from, ssrc);
    if (!s)
        s = source_new(from->meeting, ssrc, owner);
    if (!s || s->owner != owner)
        return;
    s->link = from;
    if (!s->leg || s->leg == from || s->leg->kind != TICKET_LINK)
        s->hops = hops;
    if (!s->leg || s->leg == from)
        s->level_ext = level_ext;
}

void link_told(struct leg *from, const uint8_t *bytes, size_t len)
{
    struct wire_rd all = wire_rd_init(bytes, len);
    while (wire_rd_left(&all) >= RTCP_HEADER_LEN) {
        uint8_t first = wire_rd_u8(&all), type = wire_rd_u8(&all);
        struct slice body = wire_rd_bytes(&all, (size_t)wire_rd_u16(&all) * 4);
        struct wire_rd rd = wire_rd_init(body.p, body.len);
        (void)wire_rd_u32(&rd);
        struct slice name = wire_rd_bytes(&rd, sizeof app_name);
        if (all.bad || rd.bad || type != APP_TYPE || (first & 0x1F) != APP_SUBTYPE ||
            memcmp(name.p, app_name, sizeof app_name) != 0)
            continue;
        while (wire_rd_left(&rd) >= ENTRY_LEN) {
            uint64_t owner;
            uint32_t ssrc = wire_rd_u32(&rd);
            memcpy(&owner, wire_rd_bytes(&rd, sizeof owner).p, sizeof owner);
            uint8_t level_ext = wire_rd_u8(&rd);
            uint8_t hops = wire_rd_u8(&rd);
            wire_rd_bytes(&rd, 2);
            hear(from, ssrc, owner, level_ext, hops);
        }
    }
}

/* ---- the plan ---- */

/* A node that has started again has another key: its link is another one. */
static bool is_planned(const struct leg *l, const struct media_plan_meeting *planned)
{
    const struct media_plan_peer *peer = media_plan_peer(planned, l->who);
    return l->kind != TICKET_LINK || (peer && memcmp(peer->shared, l->shared, sizeof l->shared) == 0);
}

void link_follow_plan(struct meeting *m, const struct media_plan *plan)
{
    const struct media_plan_meeting *planned = media_plan_meeting(plan, m->org, m->id);
    m->hub = planned && planned->hub;
    for (size_t left = m->n_legs, slot = 0; left > 0; slot++) {
        struct leg *l = m->legs[slot];
        if (!l)
            continue;
        left--;
        const struct ticket t = leg_ticket(l);
        if (!is_planned(l, planned) || media_plan_is_removed(plan, &t))
            leg_end(l, MEDIA_END_REMOVED, true);
        else if (l->kind == TICKET_LINK)
            l->leaf = media_plan_peer(planned, l->who)->leaf;
    }
}

/* ---- links that this node has dialled ---- */

/* Is there one that stays, dialled by the other node? */
static bool stays(const struct leg *same, const struct media_plan_peer *peer)
{
    return same && !same->dialled && !peer->dial;
}

static int begin_link(struct media_home *h, const struct media_path *path, const struct media_link *link,
                      const struct media_plan_peer *peer, int64_t now_us)
{
    struct ticket t = {.kind = TICKET_LINK};
    struct meeting *m = meeting_find(h, link->org, link->meeting);
    struct leg *l;
    memcpy(t.who, link->who, sizeof t.who);
    const struct leg_terms terms = {&t, NULL, NULL, link->suite, peer, link};
    if (h->n_legs >= HOME_LEGS_MAX || (m && m->n_legs >= MEDIA_MEETING_LEGS_MAX))
        return -ENOSPC;
    if (h->n_meetings == 0)
        h->turn_us = now_us + HOME_TURN_US;
    m = m ? m : meeting_make(h, link->org, link->meeting);
    if (!m)
        return -ENOMEM;
    m->hub = media_plan_meeting(h->plan, m->org, m->id)->hub;
    int err = leg_begin(&l, m, &terms, path, now_us);
    meeting_drop_empty(m);
    return err;
}

void media_home_linked(struct media_home *h, const struct media_path *path, const struct media_link *link,
                       int64_t now_us)
{
    const struct media_sink *sink = &h->opts.sink;
    const struct media_plan_meeting *planned = media_plan_meeting(h->plan, link->org, link->meeting);
    const struct media_plan_peer *peer = media_plan_peer(planned, link->who);
    struct leg *there = home_leg_at(h, path);
    if (there)
        leg_gone(there, MEDIA_END_REPLACED, now_us); /* the other node has ended that session */
    struct meeting *m = meeting_find(h, link->org, link->meeting);
    struct leg *same = m ? meeting_leg_of(m, media_owner(TICKET_LINK, link->who)) : NULL;
    bool loses = peer && stays(same, peer);
    if (same && !loses)
        leg_end(same, MEDIA_END_REPLACED, true);
    if (!peer || loses || begin_link(h, path, link, peer, now_us) < 0)
        sink->detach(sink->ctx, path, MEDIA_END_REPLACED);
}
