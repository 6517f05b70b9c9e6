/* The media engine: whatever comes from whatever path, in any order with time that passes, it gives its room back, sends only where somebody is, and when it ends
 * nothing is left. Agents that have a ticket send what is authentic and yet wrong.
 *
 * The input is a list of steps: what (1 byte), which agent (1), what of it (1), how many bytes follow (1), those bytes. */
#include "core/wire.h"
#include "fuzz.h"
#include "support/media/sim.h"

#include <stdio.h>

enum { AGENTS = 4, STEPS_MAX = 400 };

enum step {
    STEP_STUN,
    STEP_PACKET,
    STEP_HANDSHAKE,
    STEP_CONSENT,
    STEP_RTP,
    STEP_RTCP,
    STEP_TIME,
    STEP_GONE,
    STEP_MOVE,
    STEP_REMOVE,
    STEP_NODE,
    STEPS
};

static const struct media_plan_peer peer = {.who = "cloud/n2", .leaf = true, .shared = {1}};
static const struct media_plan_meeting planned = {"acme", "m", 1, true, 1, &peer};
static const struct media_plan_removed removed = {"acme", "n", "a", 0};
static const struct media_plan plan = {1, 1, &planned, &removed};

static void remove_one(struct sim *s, const struct sim_agent *a, const char *meeting)
{
    static struct media_plan_removed one; /* borrowed until another plan comes */
    static struct media_plan without;
    one = (struct media_plan_removed){.org = "acme", .number = a->sequence};
    snprintf(one.id, sizeof one.id, "%s", meeting);
    snprintf(one.who, sizeof one.who, "%s", a->who);
    without = plan;
    without.removed = &one;
    media_home_set_plan(s->home, &without);
}

static void any_bytes(struct sim_agent *a, enum step step, struct slice bytes)
{
    _Alignas(8) uint8_t packet[256 + SRTP_OVERHEAD];
    size_t len = bytes.len;
    if (len > 0)
        memcpy(packet, bytes.p, len);
    if (step == STEP_STUN) {
        sim_stun(a->sim, &a->path, packet, len);
        return;
    }
    if (step == STEP_RTP && (!a->srtp || srtp_leg_protect(a->srtp, packet, &len) < 0))
        return;
    if (step == STEP_RTCP && (!a->srtp || srtp_leg_protect_rtcp(a->srtp, packet, &len) < 0))
        return;
    media_home_packet(a->sim->home, &a->path, packet, len, a->sim->now_us);
}

static void handshake(struct sim_agent *a, uint8_t how)
{
    a->hello.suites = how & 3;
    a->hello.audio_level_ext = how >> 2 & 15;
    a->hello.transport_wide_ext = how >> 6;
    if (sim_handshake(a) == 0 && how & 1)
        (void)sim_consent(a, false, NONE, NULL);
}

static void step_of(struct sim *s, struct sim_agent *a, enum step step, uint8_t how, struct slice bytes)
{
    switch (step) {
    case STEP_STUN:
    case STEP_PACKET:
    case STEP_RTP:
    case STEP_RTCP:
        any_bytes(a, step, bytes);
        break;
    case STEP_HANDSHAKE:
        handshake(a, how);
        break;
    case STEP_CONSENT:
        (void)sim_consent(a, how & 1, NONE, NULL);
        break;
    case STEP_TIME:
        sim_pass(s, (int64_t)how * how * 1000);
        break;
    case STEP_GONE:
        media_home_gone(s->home, &a->path, s->now_us);
        break;
    case STEP_MOVE:
        a->path.carrier = how & 3;
        a->path.peer.port = how >> 2;
        a->path.stream = how >> 4;
        break;
    case STEP_REMOVE:
        if (how & 2)
            remove_one(s, a, how & 1 ? "m" : "n");
        else
            media_home_remove_all(s->home, MEDIA_END_DRAINED);
        break;
    case STEP_NODE:
        media_home_drain(s->home, how & 1);
        s->full = how & 2;
        media_home_set_plan(s->home, how & 4 ? NULL : &plan);
        break;
    case STEPS:
        break;
    }
}

static void count(void *user, const struct media_leg_info *leg)
{
    size_t *n = user;
    if (leg->kind == TICKET_LINK)
        return;
    FUZZ_CHECK(leg->org && leg->who && leg->meeting);
    ++*n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sim s;
    struct wire_rd rd = wire_rd_init(data, size);
    FUZZ_CHECK(sim_start(&s, 3) == 0);
    for (size_t i = 0; i < AGENTS; i++) {
        struct ticket t = sim_ticket(&s, "m", i == 3 ? peer.who : i == 2 ? "b" : "a");
        t.kind = i == 3 ? TICKET_LINK : TICKET_PARTICIPANT;
        t.number = (int64_t)i;
        t.kbps = 50;
        t.last_n = 1;
        FUZZ_CHECK(sim_agent(&s, &t));
    }
    s.agents[3]->shared = peer.shared;
    media_home_set_plan(s.home, &plan);
    for (int i = 0; i < STEPS_MAX && wire_rd_left(&rd) > 0; i++) {
        uint8_t what = wire_rd_u8(&rd), who = wire_rd_u8(&rd), how = wire_rd_u8(&rd), len = wire_rd_u8(&rd);
        struct slice bytes = wire_rd_bytes(&rd, len <= wire_rd_left(&rd) ? len : wire_rd_left(&rd));
        size_t n = 0;
        step_of(&s, s.agents[who % AGENTS], what % STEPS, how, bytes);
        FUZZ_CHECK(!s.in_room);
        media_home_each(s.home, count, &n);
        FUZZ_CHECK(n <= 3 && s.legs == (int64_t)n);
    }
    sim_stop(&s);
    FUZZ_CHECK(s.legs == 0);
    return 0;
}
