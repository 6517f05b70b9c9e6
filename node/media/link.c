/* Links to other nodes: how those begin that this node has dialled, what passes between which legs, and whose the
 * sources are that come over them. A link tells that, and which header extension has their audio level, in RTCP APP
 * packets (RFC 3550 6.7) of its own: with the first packets of each source, and once a second while it sends. What
 * another participant here has already is refused: the link is told so, and it tells the participant, or the link
 * that it has it from. Invariant: a link's packets count only for sources that it has told the owner of, and that
 * owner's alone. */
#include "engine.h"

#include "media/rtcp.h"

#include <errno.h>
#include <string.h>

enum {
    APP_TYPE = 204,
    APP_TOLD = 1,    /* subtypes: whose a source is; */
    APP_REFUSED = 2, /* ... that it isn't heard here; */
    APP_ENDED = 3,   /* ... that whoever sent it has left */
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

/* Nodes whose plans are of different epochs could hand one packet round for ever: none crosses more links than any
 * plan has it do. */
bool link_takes(const struct source *s, const struct leg *to)
{
    bool from_link = s->leg && s->leg->kind == TICKET_LINK;
    return !from_link || to->kind != TICKET_LINK || s->hops < LINK_HOPS_MAX;
}

/* ---- telling ---- */

/* What is said of one source. */
struct link_entry {
    uint32_t ssrc;
    uint64_t owner;
    uint8_t level_ext, hops;
};

struct telling {
    struct leg *to;
    uint8_t subtype;
    struct wire_wr w;
    size_t n;
    uint8_t bytes[PACKET_LEN];
};

static void begin(struct telling *t, struct leg *to, uint8_t subtype)
{
    t->to = to;
    t->subtype = subtype;
    t->n = 0;
    t->w = wire_wr_init(t->bytes, sizeof t->bytes);
    (void)!rtcp_write_receiver_report(&t->w, to->feedback.ssrc, NULL, 0);
    wire_wr_u8(&t->w, (uint8_t)(2 << 6 | subtype));
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
    begin(t, t->to, t->subtype);
}

static uint8_t next_hop(const struct source *s)
{
    if (!s->leg || s->leg->kind != TICKET_LINK)
        return 1;
    return s->hops > 0 ? (uint8_t)(s->hops + 1) : 0;
}

static void add(struct telling *t, const struct link_entry *e, int64_t now_us)
{
    if (t->n == ENTRIES_MAX)
        finish(t, now_us);
    wire_wr_u32(&t->w, e->ssrc);
    wire_wr_bytes(&t->w, &e->owner, sizeof e->owner);
    wire_wr_u8(&t->w, e->level_ext);
    wire_wr_u8(&t->w, e->hops);
    wire_wr_zero(&t->w, 2);
    t->n++;
}

static void tell(struct telling *t, const struct source *s, int64_t now_us)
{
    add(t, &(struct link_entry){s->ssrc, s->owner, s->level_ext, next_hop(s)}, now_us);
}

void link_tell(struct leg *to, const struct source *s, int64_t now_us)
{
    struct telling t;
    begin(&t, to, APP_TOLD);
    tell(&t, s, now_us);
    finish(&t, now_us);
}

/* Its sender's place among the last N is free everywhere then, not only once it has been silent for long. */
void link_tell_ended(struct meeting *m, int64_t now_us)
{
    struct telling t;
    if (!m->any_ended)
        return;
    m->any_ended = false;
    for (size_t i = 0; i < m->n_slots; i++) {
        if (!m->legs[i] || m->legs[i]->kind != TICKET_LINK)
            continue;
        begin(&t, m->legs[i], APP_ENDED);
        for (size_t k = 0; k < m->n_sources; k++) {
            if (m->source_list[k]->ended)
                tell(&t, m->source_list[k], now_us);
        }
        finish(&t, now_us);
    }
    for (size_t k = 0; k < m->n_sources; k++)
        m->source_list[k]->ended = false;
}

void link_turn(struct leg *l, int64_t now_us)
{
    const struct meeting *m = l->meeting;
    struct telling t, refused;
    begin(&t, l, APP_TOLD);
    begin(&refused, l, APP_REFUSED);
    for (size_t i = 0; i < m->n_sources; i++) {
        struct source *s = m->source_list[i];
        if (s->leg == l && s->refused_afar) {
            s->refused_afar = false;
            add(&refused, &(struct link_entry){.ssrc = s->ssrc, .owner = s->owner}, now_us);
        }
        if (s->leg && link_passes(s->leg, l) && link_takes(s, l) && now_us - s->heard_us < SENDS_US)
            tell(&t, s, now_us);
    }
    finish(&t, now_us);
    finish(&refused, now_us);
}

/* ---- being told ---- */

/* False: it is refused. */
static bool hear(struct leg *from, const struct link_entry *e, int64_t now_us)
{
    if (e->hops > LINK_HOPS_MAX)
        return true; /* it is heard where it comes another way */
    struct source *s = source_find(from->meeting, from, e->ssrc);
    if (!s)
        s = source_new(from, e->ssrc, e->owner, now_us);
    if (!s || s->owner != e->owner)
        return false;
    s->link = from;
    if (!s->leg || s->leg == from || s->leg->kind != TICKET_LINK)
        s->hops = e->hops;
    if (!s->leg || s->leg == from)
        s->level_ext = e->level_ext;
    return true;
}

/* The node at that link's other end doesn't hear it. What it says it says again every second; a participant hears of
 * a bounded number, so that no node has it change its SSRC for ever. */
static void hear_refused(const struct leg *from, const struct link_entry *e)
{
    struct source *s = source_find(from->meeting, from, e->ssrc);
    if (!s || s->owner != e->owner || !s->leg || !link_passes(s->leg, from))
        return;
    struct leg *sender = s->leg;
    if (sender->kind != TICKET_LINK && !s->refused_afar) {
        if (sender->n_refused_afar == LEG_REFUSED_AFAR_MAX)
            return;
        sender->n_refused_afar++;
    }
    s->refused_afar = true;
    if (sender->kind != TICKET_LINK)
        leg_refuse_ssrc(sender, s->ssrc);
}

/* It isn't sent over that link any more. The hub says so to whom it has sent it. */
static void hear_ended(const struct leg *from, const struct link_entry *e, int64_t now_us)
{
    struct meeting *m = from->meeting;
    struct source *s = source_find(m, from, e->ssrc);
    struct telling t;
    if (!s || s->owner != e->owner || s->leg != from)
        return;
    for (size_t i = 0; i < m->n_slots; i++) {
        struct leg *to = m->legs[i];
        if (!to || to->kind != TICKET_LINK || !link_passes(from, to) || !link_takes(s, to))
            continue;
        begin(&t, to, APP_ENDED);
        tell(&t, s, now_us);
        finish(&t, now_us);
    }
    source_release(s);
    hearing_gone(m);
}

static struct link_entry read_entry(struct wire_rd *rd)
{
    struct link_entry e = {.ssrc = wire_rd_u32(rd)};
    memcpy(&e.owner, wire_rd_bytes(rd, sizeof e.owner).p, sizeof e.owner);
    e.level_ext = wire_rd_u8(rd);
    e.hops = wire_rd_u8(rd);
    wire_rd_bytes(rd, 2);
    return e;
}

void link_told(struct leg *from, const uint8_t *bytes, size_t len, int64_t now_us)
{
    struct wire_rd all = wire_rd_init(bytes, len);
    struct telling refused;
    begin(&refused, from, APP_REFUSED);
    while (wire_rd_left(&all) >= RTCP_HEADER_LEN) {
        uint8_t first = wire_rd_u8(&all), type = wire_rd_u8(&all);
        struct slice body = wire_rd_bytes(&all, (size_t)wire_rd_u16(&all) * 4);
        struct wire_rd rd = wire_rd_init(body.p, body.len);
        (void)wire_rd_u32(&rd);
        struct slice name = wire_rd_bytes(&rd, sizeof app_name);
        uint8_t subtype = first & 0x1F;
        if (all.bad || rd.bad || type != APP_TYPE || subtype < APP_TOLD || subtype > APP_ENDED ||
            memcmp(name.p, app_name, sizeof app_name) != 0)
            continue;
        while (wire_rd_left(&rd) >= ENTRY_LEN) {
            struct link_entry e = read_entry(&rd);
            if (subtype == APP_REFUSED)
                hear_refused(from, &e);
            else if (subtype == APP_ENDED)
                hear_ended(from, &e, now_us);
            else if (!hear(from, &e, now_us))
                add(&refused, &(struct link_entry){.ssrc = e.ssrc, .owner = e.owner}, now_us);
        }
    }
    finish(&refused, now_us);
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
