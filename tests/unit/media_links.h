/* Other nodes that are linked to the engine under test, for tests of it: meeting "m" of "acme" is joined with four. */
#ifndef BERTH_TESTS_MEDIA_LINKS_H
#define BERTH_TESTS_MEDIA_LINKS_H

#include "check.h"

#include "media/rtcp.h"
#include "node/media/engine.h"
#include "support/media/sim.h"

#include <string.h>

enum { LINKS_APP_TYPE = 204, LINKS_APP_TOLD = 1, LINKS_APP_REFUSED = 2, LINKS_ROOM = 500 };

static const struct media_plan_peer peers[] = {
    {.who = "cloud/n2", .shared = {2}},
    {.who = "cloud/n3", .shared = {3}},
    {.who = "acme/leaf4", .leaf = true, .shared = {4}},
    {.who = "acme/leaf5", .leaf = true, .shared = {5}},
};
enum { N_PEERS = sizeof peers / sizeof peers[0] };
static const struct media_plan_meeting as_hub = {"acme", "m", 1, true, N_PEERS, peers};
static const struct media_plan hub_plan = {.n_meetings = 1, .meetings = &as_hub};

static inline int links_setup(void **state)
{
    int err = sim_setup(state);
    if (err == 0)
        media_home_set_plan(((struct sim *)*state)->home, &hub_plan);
    return err;
}

static inline struct sim_agent *link_agent(struct sim *s, const char *who, const uint8_t *shared)
{
    struct ticket t = sim_ticket(s, "m", who);
    t.kind = TICKET_LINK;
    struct sim_agent *a = sim_agent(s, &t);
    a->shared = shared;
    return a;
}

static inline struct sim_agent *link_to(struct sim *s, size_t i)
{
    struct sim_agent *a = link_agent(s, peers[i].who, peers[i].shared);
    assert_int_equal(sim_handshake(a), 0);
    assert_int_equal(sim_consent(a, false, NONE, NULL), 0);
    return a;
}

/* The other node says something of that SSRC, which is the participant's. */
static inline void say_over(struct sim_agent *a, uint8_t subtype, uint32_t ssrc, const char *who,
                            uint8_t hops)
{
    uint8_t bytes[LINKS_ROOM];
    uint64_t owner = media_owner(TICKET_PARTICIPANT, who);
    struct wire_wr w = wire_wr_init(bytes, sizeof bytes);
    assert_true(rtcp_write_receiver_report(&w, 1, NULL, 0));
    wire_wr_u8(&w, 0x80 | subtype);
    wire_wr_u8(&w, LINKS_APP_TYPE);
    wire_wr_u16(&w, 6);
    wire_wr_u32(&w, 1);
    wire_wr_bytes(&w, "BRTH", 4);
    wire_wr_u32(&w, ssrc);
    wire_wr_bytes(&w, &owner, sizeof owner);
    wire_wr_u8(&w, 1); /* the audio level's extension */
    wire_wr_u8(&w, hops);
    wire_wr_u16(&w, 0);
    sim_send_rtcp(a, bytes, wire_wr_len(&w));
}

/* ... whose it is. */
static inline void tell_over(struct sim_agent *a, uint32_t ssrc, const char *who, uint8_t hops)
{
    say_over(a, LINKS_APP_TOLD, ssrc, who, hops);
}

static inline void tell(struct sim_agent *a, uint32_t ssrc, const char *who)
{
    tell_over(a, ssrc, who, 1);
}

/* ... that it doesn't hear it. */
static inline void refuse(struct sim_agent *a, uint32_t ssrc, const char *who)
{
    say_over(a, LINKS_APP_REFUSED, ssrc, who, 0);
}

/* Whose SSRC that is of which the node has said such a thing, and how many links it crosses; 0: it hasn't. */
static inline uint64_t said_over(const struct sim_agent *a, uint8_t subtype, uint32_t ssrc, uint8_t *hops)
{
    uint64_t owner = 0;
    for (size_t i = 0; i + 24 <= a->rtcp_len; i += 4) {
        struct wire_rd rd = wire_rd_init(a->rtcp + i, a->rtcp_len - i);
        if (wire_rd_u8(&rd) != (0x80 | subtype) || wire_rd_u8(&rd) != LINKS_APP_TYPE)
            continue;
        size_t left = 4u * wire_rd_u16(&rd) - 8;
        wire_rd_bytes(&rd, 8);
        for (; left >= 16; left -= 16) {
            uint32_t about = wire_rd_u32(&rd);
            const uint8_t *of = wire_rd_bytes(&rd, sizeof owner).p;
            const uint8_t *rest = wire_rd_bytes(&rd, 4).p;
            if (about != ssrc)
                continue;
            memcpy(&owner, of, sizeof owner);
            *hops = rest[1];
        }
    }
    return owner;
}

static inline uint64_t told_over(const struct sim_agent *a, uint32_t ssrc, uint8_t *hops)
{
    return said_over(a, LINKS_APP_TOLD, ssrc, hops);
}

static inline uint64_t told(const struct sim_agent *a, uint32_t ssrc)
{
    uint8_t hops;
    return told_over(a, ssrc, &hops);
}

static inline uint64_t refused(const struct sim_agent *a, uint32_t ssrc)
{
    uint8_t hops;
    return said_over(a, LINKS_APP_REFUSED, ssrc, &hops);
}

static inline size_t of(const struct sim_agent *a, uint32_t ssrc)
{
    const struct sim_stream *st = sim_stream(a, ssrc);
    return st ? st->n : 0;
}

#endif
