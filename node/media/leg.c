/* Legs: how a session begins, moves, is looked at once a second, and ends. Invariant: a leg is in its meeting and in
 * the table of sessions as long as it lives, and in the table of paths exactly while it has one. */
#include "engine.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { SESSION_TRIES = 8, SECOND_US = 1000000 };

static uint64_t session_hash(const struct media_home *h, const struct media_session_id *s)
{
    return media_hash(h, s->bytes, sizeof s->bytes);
}

static int name_session(struct media_home *h, struct media_session_id *s)
{
    for (int i = 0; i < SESSION_TRIES; i++) {
        h->opts.random(h->opts.random_ctx, s->bytes, sizeof s->bytes);
        s->bytes[0] = h->opts.home;
        if (!home_leg_of(h, s))
            return 0;
    }
    return -EIO;
}

static int make_srtp(struct leg *l, const struct srtp_keys *sends, const struct srtp_keys *receives)
{
    int err = srtp_leg_new(&l->srtp, l->welcome.suite, sends, receives);
    if (err == 0 && l->welcome.suite == SRTP_AES_128_GCM)
        err = srtp_gcm_new(&l->gcm, sends);
    if (err == 0) /* a participant's: one more until it is known to be authentic, then another makes room */
        srtp_leg_set_limit(l->srtp, l->kind == TICKET_LINK ? SRTP_LEG_SSRCS_MAX : SRTP_LEG_SSRCS + 1);
    return err;
}

static int agree_on_keys(struct leg *l, const struct media_hello *hello, const struct media_plan_peer *peer)
{
    struct srtp_keys agent_sends, node_sends;
    uint8_t secret[TICKET_SECRET_LEN];
    int err = ticket_secret(secret, l->password);
    if (err < 0)
        return err;
    media_session_keys(&agent_sends, &node_sends, secret, peer ? peer->shared : NULL, l->welcome.suite,
                       hello->random, l->welcome.random, &l->session);
    err = make_srtp(l, &node_sends, &agent_sends);
    sodium_memzero(secret, sizeof secret);
    sodium_memzero(&agent_sends, sizeof agent_sends);
    sodium_memzero(&node_sends, sizeof node_sends);
    return err;
}

static void fill(struct leg *l, const struct leg_terms *terms, int64_t now_us)
{
    const struct ticket *t = terms->ticket;
    const struct media_request *r = terms->request;
    const uint32_t unlimited = t->kind == TICKET_LINK ? UINT32_MAX : MEDIA_KBPS;
    l->kind = t->kind;
    memcpy(l->who, t->who, sizeof l->who);
    l->owner = media_owner(t->kind, t->who);
    l->number = t->number;
    if (r) {
        memcpy(l->password, terms->password, sizeof l->password);
        memcpy(l->txid, r->msg.txid, sizeof l->txid);
        memcpy(l->agent_random, r->hello.random, sizeof l->agent_random);
        l->level_ext = r->hello.audio_level_ext;
        l->wide_ext = r->hello.transport_wide_ext;
    }
    l->limit.kbps = t->kbps > 0 ? t->kbps : unlimited;
    l->strays.kbps = HOME_STRAYS_KBPS;
    l->dialled = l->confirmed = terms->dialled != NULL;
    l->leaf = terms->peer && terms->peer->leaf;
    if (terms->peer)
        memcpy(l->shared, terms->peer->shared, sizeof l->shared);
    l->began_us = l->consent_us = l->second_us = l->proven_us = now_us;
    l->over_since_us = -1;
}

/* Keys and a name of its own. */
static int agree(struct leg *l, struct media_home *h, const struct leg_terms *terms, uint16_t last_n)
{
    int err = name_session(h, &l->session);
    if (err < 0)
        return err;
    l->welcome.suite = terms->suite;
    l->welcome.last_n = last_n;
    l->welcome.session = l->session;
    if (terms->dialled)
        return make_srtp(l, &terms->dialled->sends, &terms->dialled->receives);
    h->opts.random(h->opts.random_ctx, l->welcome.random, sizeof l->welcome.random);
    return agree_on_keys(l, &terms->request->hello, terms->peer);
}

static void leg_free(struct leg *l)
{
    if (l->person)
        person_release(l->meeting, l->person);
    srtp_leg_destroy(l->srtp);
    srtp_gcm_destroy(l->gcm);
    sodium_memzero(l, sizeof *l);
    free(l);
}

static int begin_feedback(struct leg *l, struct media_home *h, int64_t now_us)
{
    uint8_t bytes[4];
    h->opts.random(h->opts.random_ctx, bytes, sizeof bytes);
    struct wire_rd rd = wire_rd_init(bytes, sizeof bytes);
    return feedback_leg_begin(h->feedback, &l->feedback, l, wire_rd_u32(&rd), l->wide_ext,
                              l->kind == TICKET_LINK, now_us);
}

int leg_begin(struct leg **out, struct meeting *m, const struct leg_terms *terms,
              const struct media_path *path, int64_t now_us)
{
    struct media_home *h = m->home;
    struct leg *l = calloc(1, sizeof *l);
    if (!l)
        return -ENOMEM;
    fill(l, terms, now_us);
    l->meeting = m;
    if (l->kind != TICKET_LINK)
        l->person = person_hold(m, l->owner);
    int err = l->kind == TICKET_LINK || l->person ? agree(l, h, terms, m->last_n) : -ENOMEM;
    if (err == 0)
        err = begin_feedback(l, h, now_us);
    if (err < 0)
        goto out;
    err = meeting_seat(m, l);
    if (err < 0)
        goto end;
    err = media_table_put(&h->by_session, session_hash(h, &l->session), l);
    if (err == 0)
        err = leg_move(l, path, now_us);
    if (err < 0) {
        media_table_drop(&h->by_session, session_hash(h, &l->session), l);
        meeting_unseat(m, l);
        goto end;
    }
    h->n_legs++;
    m->n_links += l->kind == TICKET_LINK;
    leg_tell_link(l, true);
    *out = l;
    return 0;
end:
    feedback_leg_end(&l->feedback);
out:
    leg_free(l);
    return err;
}

void leg_lose_path(struct leg *l, int64_t now_us)
{
    struct media_home *h = l->meeting->home;
    media_table_drop(&h->by_path, media_path_hash(h, &l->path), l);
    l->has_path = false;
    l->gone_us = now_us;
}

void leg_tell_link(const struct leg *l, bool there)
{
    const struct media_sink *sink = &l->meeting->home->opts.sink;
    const struct media_leg_info info = leg_info(l);
    if (l->kind == TICKET_LINK && !l->dialled && sink->linked)
        sink->linked(sink->ctx, &info, there);
}

void leg_gone(struct leg *l, enum media_end_reason why, int64_t now_us)
{
    leg_lose_path(l, now_us);
    leg_end(l, why, true);
}

int leg_move(struct leg *l, const struct media_path *path, int64_t now_us)
{
    struct media_home *h = l->meeting->home;
    const struct media_sink *sink = &h->opts.sink;
    bool had = l->has_path;
    struct media_path old = l->path;
    if (had)
        leg_lose_path(l, now_us);
    int err = media_table_put(&h->by_path, media_path_hash(h, path), l);
    if (err == 0) {
        l->path = *path;
        l->path.taken = 0;
        l->path.known = false;
        l->has_path = true;
        sink->attach(sink->ctx, path);
    }
    if (had && !media_path_eq(&old, path))
        sink->detach(sink->ctx, &old, MEDIA_END_REPLACED);
    return err;
}

void leg_end(struct leg *l, enum media_end_reason why, bool told)
{
    struct meeting *m = l->meeting;
    struct media_home *h = m->home;
    const struct media_sink *sink = &h->opts.sink;
    source_leave(l);
    feedback_leg_end(&l->feedback);
    hearing_leave(l);
    meeting_unseat(m, l);
    media_table_drop(&h->by_session, session_hash(h, &l->session), l);
    if (l->has_path)
        media_table_drop(&h->by_path, media_path_hash(h, &l->path), l);
    h->n_legs--;
    if (l->kind == TICKET_LINK)
        m->n_links--;
    else
        atomic_fetch_sub_explicit(h->opts.legs, 1, memory_order_relaxed);
    if (told && l->has_path)
        sink->detach(sink->ctx, &l->path, why);
    if (told)
        leg_tell_link(l, false);
    struct media_leg_info info = leg_info(l);
    if (told)
        sink->ended(sink->ctx, &info, why);
    leg_free(l);
    meeting_drop_empty(m);
}

struct ticket leg_ticket(const struct leg *l)
{
    struct ticket t = {.kind = l->kind, .number = l->number};
    memcpy(t.org, l->meeting->org, sizeof t.org);
    memcpy(t.meeting, l->meeting->id, sizeof t.meeting);
    memcpy(t.who, l->who, sizeof t.who);
    return t;
}

struct media_leg_info leg_info(const struct leg *l)
{
    struct media_leg_stats stats = l->stats;
    stats.lost_out = l->feedback.lost_out;
    stats.given_up = l->feedback.given_up;
    stats.jitter_us = l->feedback.jitter_us;
    stats.rtt_us = l->feedback.rtt_us;
    return (struct media_leg_info){
        .org = l->meeting->org,
        .meeting = l->meeting->id,
        .who = l->who,
        .kind = l->kind,
        .path = l->path,
        .began_us = l->began_us,
        .stats = stats,
    };
}

static int64_t kbps(uint64_t bytes, int64_t us)
{
    return us > 0 ? (int64_t)(bytes * 8 * 1000) / us : 0;
}

/* Has it sent its limit so many times over, in bytes or in packets? */
static bool is_over(const struct leg *l, int64_t us)
{
    int64_t offered = kbps(l->offered_bytes - l->second_offered, us);
    int64_t packets = us > 0 ? (int64_t)(l->offered_packets - l->second_packets) * SECOND_US / us : 0;
    return offered >= (int64_t)HOME_OVER_TIMES * l->limit.kbps ||
           packets >= (int64_t)HOME_OVER_TIMES * media_limit_packets(&l->limit);
}

static void rates(struct leg *l, int64_t now_us)
{
    int64_t us = now_us - l->second_us;
    bool over = is_over(l, us);
    l->stats.kbps_in = kbps(l->stats.bytes_in - l->second_in, us);
    l->stats.kbps_out = kbps(l->stats.bytes_out - l->second_out, us);
    l->second_in = l->stats.bytes_in;
    l->second_out = l->stats.bytes_out;
    l->second_offered = l->offered_bytes;
    l->second_packets = l->offered_packets;
    l->second_us = now_us;
    if (!over)
        l->over_since_us = -1;
    else if (l->over_since_us < 0)
        l->over_since_us = now_us - us;
}

bool leg_turn(struct leg *l, int64_t now_us)
{
    if (now_us - l->second_us >= SECOND_US / 2)
        rates(l, now_us);
    enum media_end_reason why = MEDIA_END_REASONS;
    int64_t silence_us = l->confirmed ? MEDIA_CONSENT_END_US : HOME_UNCONFIRMED_US;
    if (!l->dialled && now_us - l->consent_us >= silence_us)
        why = MEDIA_END_CONSENT_LOST;
    else if (!l->has_path && now_us - l->gone_us >= HOME_GONE_US)
        why = MEDIA_END_CLOSED;
    else if (l->over_since_us >= 0 && now_us - l->over_since_us >= HOME_OVER_US)
        why = MEDIA_END_OVER_LIMIT;
    if (why != MEDIA_END_REASONS)
        leg_end(l, why, true);
    else if (l->kind == TICKET_LINK) {
        link_turn(l, now_us);
        leg_tell_link(l, true);
        if (l->dialled) /* whose thread drops what no home speaks of */
            l->meeting->home->opts.sink.attach(l->meeting->home->opts.sink.ctx, &l->path);
    }
    return why != MEDIA_END_REASONS;
}

bool leg_may_send(struct leg *l, size_t wire_len, int64_t now_us)
{
    l->offered_bytes += wire_len;
    l->offered_packets++;
    bool may = media_limit_take(&l->limit, wire_len, now_us);
    l->stats.over_limit += !may;
    return may;
}

void leg_refuse_ssrc(struct leg *l, uint32_t ssrc)
{
    for (size_t i = 0; i < l->n_refused; i++) {
        if (l->refused[i] == ssrc)
            return;
    }
    if (l->n_refused < LEG_REFUSED_MAX)
        l->refused[l->n_refused++] = ssrc;
}

bool leg_listens(const struct leg *l, int64_t now_us)
{
    return l->has_path && l->confirmed && (l->dialled || now_us - l->consent_us < MEDIA_CONSENT_QUIET_US);
}
