/* The simulated agents: what they send, and what becomes of what they are sent. Invariant: an agent believes nothing
 * of the engine but what its keys verify. */
#include "support/media/sim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIM_UNIX_S = 1700000000, LEVEL_EXT = 1, DYNAMIC_PT = 111, LEVEL_NONE = 255 };

static void random_bytes(void *ctx, uint8_t *out, size_t len)
{
    struct sim *s = ctx;
    for (size_t i = 0; i < len; i++) {
        s->random ^= s->random << 13;
        s->random ^= s->random >> 7;
        s->random ^= s->random << 17;
        out[i] = (uint8_t)(s->random >> 24);
    }
}

/* ---- the sink ---- */

static uint8_t *sink_room(void *ctx, const struct media_path *to, enum media_class c)
{
    struct sim *s = ctx;
    if (s->full && c != MEDIA_CONTROL)
        return NULL;
    s->in_room = true;
    return s->room;
}

static struct sim_agent *agent_at(const struct sim *s, const struct media_path *p)
{
    for (size_t i = 0; i < s->n_agents; i++) {
        if (media_path_eq(&s->agents[i]->path, p))
            return s->agents[i];
    }
    return NULL;
}

const struct sim_stream *sim_stream(const struct sim_agent *a, uint32_t ssrc)
{
    for (size_t i = 0; i < a->n_streams; i++) {
        if (a->streams[i].ssrc == ssrc)
            return &a->streams[i];
    }
    return NULL;
}

static struct sim_stream *stream_of(struct sim_agent *a, const struct rtp *r)
{
    for (size_t i = 0; i < a->n_streams; i++) {
        if (a->streams[i].ssrc == r->ssrc)
            return &a->streams[i];
    }
    if (a->n_streams == SIM_STREAMS)
        return NULL;
    a->streams[a->n_streams] =
        (struct sim_stream){.ssrc = r->ssrc, .first = r->sequence, .last = (uint16_t)(r->sequence - 1)};
    return &a->streams[a->n_streams++];
}

static void take_rtp(struct sim_agent *a, uint8_t *bytes, size_t len)
{
    struct rtp r;
    if (!a->srtp || srtp_leg_unprotect(a->srtp, bytes, &len) < 0 || rtp_parse(&r, bytes, len) < 0) {
        a->broken_in++;
        return;
    }
    struct sim_stream *st = stream_of(a, &r);
    a->rtp_in++;
    if (!st)
        return;
    st->n++;
    st->bytes += r.payload_len;
    st->jumped = st->jumped || r.sequence != (uint16_t)(st->last + 1);
    st->last = r.sequence;
}

static void sink_commit(void *ctx, const struct media_path *to, enum media_class c, size_t len)
{
    struct sim *s = ctx;
    struct sim_agent *a = agent_at(s, to);
    if (!s->in_room)
        abort();
    s->in_room = false;
    if (len == 0)
        return;
    if (!a) {
        if (!s->others.send || !s->others.send(s->others.ctx, to, s->room, len))
            s->to_nobody++;
        return;
    }
    if (stun_looks_like(s->room, len)) {
        memcpy(a->answer, s->room, len);
        a->answer_len = len;
        a->answers++;
    } else if (packet_kind(s->room, len) == PACKET_RTP) {
        take_rtp(a, s->room, len);
    } else if (a->srtp && srtp_leg_unprotect_rtcp(a->srtp, s->room, &len) == 0) {
        a->rtcp_in++;
        if (a->rtcp_len + len <= sizeof a->rtcp) {
            memcpy(a->rtcp + a->rtcp_len, s->room, len);
            a->rtcp_len += len;
        }
    } else {
        a->broken_in++;
    }
}

static void sink_attach(void *ctx, const struct media_path *path)
{
    struct sim *s = ctx;
    s->attached++;
}

static void sink_detach(void *ctx, const struct media_path *path, enum media_end_reason why)
{
    struct sim *s = ctx;
    s->detached++;
    if (s->others.detach)
        s->others.detach(s->others.ctx, path);
}

static void sink_ended(void *ctx, const struct media_leg_info *leg, enum media_end_reason why)
{
    struct sim *s = ctx;
    s->ended[s->ended_n++ % SIM_ENDS] = why;
    snprintf(s->last_ended, sizeof s->last_ended, "%s", leg->who);
}

static void sink_linked(void *ctx, const struct media_leg_info *link, bool there)
{
    struct sim *s = ctx;
    if (s->others.linked)
        s->others.linked(s->others.ctx, link, there);
}

static void sink_plan_is_old(void *ctx)
{
    struct sim *s = ctx;
    s->old_plans++;
}

/* ---- the world ---- */

int sim_start(struct sim *s, uint32_t legs_max)
{
    static const uint8_t master[MASTER_KEY_LEN] = {1, 2, 3};
    *s = (struct sim){.random = 0x9E3779B97F4A7C15, .now_us = 1000000, .now_s = SIM_UNIX_S};
    ticket_key_derive(&s->key, master, "acme", "n1", SIM_UNIX_S / TICKET_DAY_S);
    s->keys = (struct ticket_keys){.n = 1, .key = {s->key}, .node_org = "acme", .node = "n1"};
    s->opts = (struct media_opts){
        .home = 1,
        .homes = 2,
        .random = random_bytes,
        .random_ctx = s,
        .sink = {.room = sink_room,
                 .commit = sink_commit,
                 .attach = sink_attach,
                 .detach = sink_detach,
                 .ended = sink_ended,
                 .linked = sink_linked,
                 .plan_is_old = sink_plan_is_old,
                 .ctx = s},
        .legs_max = legs_max,
        .legs = &s->legs,
    };
    random_bytes(s, s->opts.nonce_key, sizeof s->opts.nonce_key);
    int err = media_home_new(&s->home, &s->opts);
    if (err == 0)
        media_home_set_keys(s->home, &s->keys);
    return err;
}

void sim_stop(struct sim *s)
{
    media_home_destroy(s->home);
    for (size_t i = 0; i < s->n_agents; i++) {
        srtp_leg_destroy(s->agents[i]->srtp);
        free(s->agents[i]->streams);
        free(s->agents[i]);
    }
    s->home = NULL;
    s->n_agents = 0;
}

int sim_setup(void **state)
{
    static struct sim sim;
    *state = &sim;
    return sim_start(&sim, 0);
}

int sim_teardown(void **state)
{
    struct sim *s = *state;
    sim_stop(s);
    return s->legs == 0 ? 0 : -1;
}

struct ticket sim_ticket(const struct sim *s, const char *meeting, const char *who)
{
    struct ticket t = {.kind = TICKET_PARTICIPANT, .org = "acme", .expires_s = s->now_s + 600, .number = 1};
    snprintf(t.meeting, sizeof t.meeting, "%s", meeting);
    snprintf(t.who, sizeof t.who, "%s", who);
    return t;
}

struct sim_agent *sim_agent(struct sim *s, const struct ticket *t)
{
    uint8_t nonce[TICKET_NONCE_LEN];
    if (s->n_agents == SIM_AGENTS)
        return NULL;
    struct sim_agent *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->streams = calloc(SIM_STREAMS, sizeof *a->streams);
    random_bytes(s, nonce, sizeof nonce);
    if (!a->streams || ticket_seal(&a->grant, t, &s->key, "acme", "n1", nonce) < 0) {
        free(a->streams);
        free(a);
        return NULL;
    }
    size_t n = s->n_agents;
    a->sim = s;
    snprintf(a->who, sizeof a->who, "%.*s", (int)sizeof a->who - 1, t->who);
    a->path.peer =
        (struct addr){.family = ADDR_V4, .port = 5000, .ip = {10, 0, (uint8_t)(n >> 8), (uint8_t)n}};
    a->hello.suites = 1u << SRTP_AES_128_GCM | 1u << SRTP_AES_CM_128_SHA1_80;
    a->hello.audio_level_ext = LEVEL_EXT;
    a->ssrc = 0x1000u + (uint32_t)n;
    a->level = LEVEL_NONE;
    s->agents[s->n_agents++] = a;
    return a;
}

static struct ticket numbered(const struct sim *s, const char *meeting, size_t n)
{
    char who[32];
    snprintf(who, sizeof who, "p%zu", n);
    return sim_ticket(s, meeting, who);
}

static struct sim_agent *let_in(struct sim *s, const struct ticket *t)
{
    struct sim_agent *a = sim_agent(s, t);
    if (!a || sim_handshake(a) != 0)
        return NULL;
    return sim_consent(a, false, NONE, NULL) == 0 ? a : NULL;
}

struct sim_agent *sim_join(struct sim *s, const char *meeting, size_t n)
{
    struct ticket t = numbered(s, meeting, n);
    return let_in(s, &t);
}

struct sim_agent *sim_join_last_n(struct sim *s, const char *meeting, size_t n, uint16_t last_n)
{
    struct ticket t = numbered(s, meeting, n);
    t.last_n = last_n;
    return let_in(s, &t);
}

/* ---- STUN ---- */

void sim_stun(struct sim *s, const struct media_path *from, const uint8_t *bytes, size_t len)
{
    media_home_stun(s->home, from, bytes, len, s->now_us, s->now_s);
}

int sim_answer(const struct sim_agent *a, struct media_answer *out)
{
    return media_read_answer(out, a->answer, a->answer_len, a->txid, a->grant.password);
}

static int begin_session(struct sim_agent *a, const struct media_welcome *w)
{
    struct srtp_keys agent_sends, node_sends;
    uint8_t secret[TICKET_SECRET_LEN];
    int err = ticket_secret(secret, a->grant.password);
    if (err < 0)
        return err;
    media_session_keys(&agent_sends, &node_sends, secret, a->shared, w->suite, a->hello.random, w->random,
                       &w->session);
    srtp_leg_destroy(a->srtp);
    a->srtp = NULL;
    a->session = w->session;
    err = srtp_leg_new(&a->srtp, w->suite, &agent_sends, &node_sends);
    if (err == 0)
        srtp_leg_set_limit(a->srtp, SRTP_LEG_SSRCS_MAX);
    return err;
}

int sim_hello(struct sim_agent *a, struct slice nonce)
{
    uint8_t bytes[MEDIA_MESSAGE_MAX];
    struct media_answer answer;
    random_bytes(a->sim, a->txid, sizeof a->txid);
    random_bytes(a->sim, a->hello.random, sizeof a->hello.random);
    if (a->shared)
        media_link_name(&a->hello.name, a->shared, a->hello.random);
    a->answer_len = 0;
    sim_stun(a->sim, &a->path, bytes, media_write_hello(bytes, a->txid, &a->grant, &a->hello, nonce));
    if (sim_answer(a, &answer) < 0)
        return -1;
    if (answer.error == 0 && (!answer.has_welcome || begin_session(a, &answer.welcome) < 0))
        return -1;
    return answer.error;
}

/* What was asked for with a nonce the newest answer has, its own bytes. */
static struct slice kept_nonce(const struct sim_agent *a, uint8_t room[static MEDIA_NONCE_MAX])
{
    struct media_answer answer;
    if (sim_answer(a, &answer) < 0 || answer.nonce.len > MEDIA_NONCE_MAX || !answer.nonce.p)
        return (struct slice){NULL, 0};
    memcpy(room, answer.nonce.p, answer.nonce.len);
    return (struct slice){room, answer.nonce.len};
}

int sim_handshake(struct sim_agent *a)
{
    uint8_t room[MEDIA_NONCE_MAX];
    int code = sim_hello(a, (struct slice){NULL, 0});
    return code == 438 ? sim_hello(a, kept_nonce(a, room)) : code;
}

int sim_consent(struct sim_agent *a, bool leave, struct slice nonce, struct media_news *news)
{
    uint8_t bytes[MEDIA_MESSAGE_MAX];
    struct media_answer answer;
    random_bytes(a->sim, a->txid, sizeof a->txid);
    a->answer_len = 0;
    sim_stun(a->sim, &a->path, bytes,
             media_write_consent(bytes, a->txid, a->grant.password, &a->session, leave, nonce));
    if (sim_answer(a, &answer) < 0)
        return -1;
    if (news)
        *news = answer.news;
    return answer.error;
}

/* ---- media ---- */

size_t sim_packet(struct sim_agent *a, uint8_t out[static RTP_PACKET_MAX + SRTP_OVERHEAD], uint32_t ssrc,
                  uint16_t sequence, size_t payload)
{
    struct rtp r = {.payload_type = DYNAMIC_PT, .sequence = sequence, .ssrc = ssrc, .timestamp = sequence};
    size_t len = RTP_HEADER_LEN;
    if (a->level != LEVEL_NONE)
        len = rtp_write_level(out, &r, LEVEL_EXT, true, a->level);
    else
        rtp_write(out, &r);
    memset(out + len, (int)(sequence & 0xFF), payload);
    len += payload;
    return srtp_leg_protect(a->srtp, out, &len) == 0 ? len : 0;
}

void sim_send_as(struct sim_agent *a, uint32_t ssrc, uint16_t sequence, size_t payload)
{
    _Alignas(8) uint8_t bytes[RTP_PACKET_MAX + SRTP_OVERHEAD];
    size_t len = sim_packet(a, bytes, ssrc, sequence, payload);
    if (len > 0)
        media_home_packet(a->sim->home, &a->path, bytes, len, a->sim->now_us);
}

void sim_send_rtcp(struct sim_agent *a, const uint8_t *bytes, size_t len)
{
    _Alignas(8) uint8_t packet[RTP_PACKET_MAX + SRTP_OVERHEAD];
    memcpy(packet, bytes, len);
    if (srtp_leg_protect_rtcp(a->srtp, packet, &len) == 0)
        media_home_packet(a->sim->home, &a->path, packet, len, a->sim->now_us);
}

void sim_send(struct sim_agent *a, size_t payload)
{
    sim_send_as(a, a->ssrc, a->sequence++, payload);
}

void sim_pass(struct sim *s, int64_t us)
{
    int64_t end = s->now_us + us;
    while (media_home_deadline(s->home) <= end) {
        int64_t due = media_home_deadline(s->home);
        s->now_us = due > s->now_us ? due : s->now_us;
        media_home_step(s->home, s->now_us);
    }
    s->now_us = end;
}

struct found {
    const char *who;
    struct media_leg_stats stats;
};

static void find(void *user, const struct media_leg_info *leg)
{
    struct found *f = user;
    if (strcmp(leg->who, f->who) == 0)
        f->stats = leg->stats;
}

struct media_leg_stats sim_stats(const struct sim_agent *a)
{
    struct found f = {.who = a->who};
    media_home_each(a->sim->home, find, &f);
    return f.stats;
}
