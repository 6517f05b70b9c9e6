/* A home: its tables, its turns, and what its thread asks of it. Invariant: every leg that is found by a path or a
 * session is in a meeting that is in the list, so ending them all leaves nothing. */
#include "engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int media_home_new(struct media_home **out, const struct media_opts *opts)
{
    int err = srtp_leg_library();
    if (err < 0)
        return err;
    struct media_home *h = calloc(1, sizeof *h);
    if (!h)
        return -ENOMEM;
    err = feedback_new(&h->feedback, 0);
    if (err < 0) {
        free(h);
        return err;
    }
    for (size_t i = 0; i < 2; i++)
        h->hellos[i] = calloc(HOME_HELLO_BITS / 8, 1);
    if (!h->hellos[0] || !h->hellos[1]) {
        media_home_destroy(h);
        return -ENOMEM;
    }
    h->opts = *opts;
    opts->random(opts->random_ctx, h->hash_key, sizeof h->hash_key);
    *out = h;
    return 0;
}

/* Of all meetings; with its last leg a meeting goes too. */
static void end_all(struct media_home *h, enum media_end_reason why, bool told)
{
    while (h->n_meetings > 0) {
        const struct meeting *m = h->meetings[h->n_meetings - 1];
        for (size_t left = m->n_legs, slot = 0; left > 0; slot++) {
            if (!m->legs[slot])
                continue;
            left--;
            leg_end(m->legs[slot], why, told);
        }
    }
}

void media_home_destroy(struct media_home *h)
{
    if (!h)
        return;
    end_all(h, MEDIA_END_NODE_STOPPED, false);
    media_table_clear(&h->by_path);
    media_table_clear(&h->by_session);
    media_table_clear(&h->by_name);
    feedback_destroy(h->feedback);
    free(h->hellos[0]);
    free(h->hellos[1]);
    free(h->meetings);
    free(h);
}

static bool is_at(const void *item, const void *key)
{
    const struct leg *l = item;
    return media_path_eq(&l->path, key);
}

static bool is_session(const void *item, const void *key)
{
    const struct leg *l = item;
    return memcmp(&l->session, key, sizeof l->session) == 0;
}

struct leg *home_leg_at(const struct media_home *h, const struct media_path *p)
{
    return media_table_get(&h->by_path, media_path_hash(h, p), is_at, p);
}

struct leg *home_leg_of(const struct media_home *h, const struct media_session_id *s)
{
    return media_table_get(&h->by_session, media_hash(h, s->bytes, sizeof s->bytes), is_session, s);
}

void media_home_packet(struct media_home *h, const struct media_path *from, uint8_t *bytes, size_t len,
                       int64_t received_us)
{
    struct leg *l = home_leg_at(h, from);
    if (!l)
        return;
    switch (packet_kind(bytes, len)) {
    case PACKET_RTP:
        forward_rtp(l, bytes, len, received_us);
        break;
    case PACKET_RTCP:
        reports_in(l, bytes, len, received_us);
        break;
    case PACKET_STUN:
    case PACKET_OTHER:
        l->stats.refused++;
        break;
    }
}

void media_home_gone(struct media_home *h, const struct media_path *path, int64_t now_us)
{
    struct leg *l = home_leg_at(h, path);
    if (l && l->dialled)
        leg_gone(l, MEDIA_END_CONSENT_LOST, now_us);
    else if (l)
        leg_lose_path(l, now_us);
}

void media_home_hanging(struct media_home *h, const struct media_path *path, int64_t now_us)
{
    struct leg *l = home_leg_at(h, path);
    if (l)
        leg_gone(l, MEDIA_END_HANGING, now_us);
}

/* A tenth of the legs and sources; so a second's work is spread over the second. */
static void turn(struct media_home *h, int64_t now_us)
{
    for (size_t i = h->n_meetings; i-- > 0;) {
        struct meeting *m = h->meetings[i];
        link_tell_ended(m, now_us);
        hearing_turn(m, now_us);
        for (size_t k = h->turn; k < m->n_sources; k += HOME_TURNS)
            feedback_source_turn(&m->source_list[k]->feedback, now_us);
        for (size_t left = m->n_legs, slot = 0; left > 0; slot++) {
            struct leg *l = m->legs[slot];
            if (!l)
                continue;
            left--;
            if (slot % HOME_TURNS == h->turn)
                leg_turn(l, now_us);
        }
    }
    h->turn = (h->turn + 1) % HOME_TURNS;
}

void media_home_step(struct media_home *h, int64_t now_us)
{
    reports_step(h, now_us);
    if (h->n_meetings == 0 || now_us < h->turn_us)
        return;
    turn(h, now_us);
    h->turn_us = now_us - h->turn_us < HOME_TURN_US ? h->turn_us + HOME_TURN_US : now_us + HOME_TURN_US;
}

int64_t media_home_deadline(const struct media_home *h)
{
    int64_t reports_us = feedback_deadline(h->feedback);
    return h->n_meetings > 0 && h->turn_us < reports_us ? h->turn_us : reports_us;
}

void media_home_set_keys(struct media_home *h, const struct ticket_keys *keys)
{
    h->keys = keys;
}

void media_home_set_plan(struct media_home *h, const struct media_plan *plan)
{
    h->plan = plan;
    for (size_t i = h->n_meetings; i-- > 0;)
        link_follow_plan(h->meetings[i], plan);
}

void media_home_drain(struct media_home *h, bool on)
{
    h->draining = on;
}

void media_home_each(const struct media_home *h, void (*each)(void *user, const struct media_leg_info *leg),
                     void *user)
{
    for (size_t i = 0; i < h->n_meetings; i++) {
        const struct meeting *m = h->meetings[i];
        for (size_t slot = 0; slot < m->n_slots; slot++) {
            if (!m->legs[slot])
                continue;
            struct media_leg_info info = leg_info(m->legs[slot]);
            each(user, &info);
        }
    }
}

void media_home_remove_all(struct media_home *h, enum media_end_reason why)
{
    end_all(h, why, true);
}
