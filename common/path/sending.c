/* The sender's own memory. Invariant: of each stream the window has the newest SRTP_REPLAY_WINDOW numbers, each with
 * a hash of the bytes that went out under it, and what is older is refused; so is all of a stream whose window is
 * gone. */
#include "path/sending.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

_Static_assert((int)SENDING_KEY_LEN == (int)crypto_shorthash_KEYBYTES, "a key of SipHash");

void sending_begin(struct sending *s, const uint8_t key[static SENDING_KEY_LEN], uint8_t audio_level_ext)
{
    sending_clear(s);
    memcpy(s->key, key, sizeof s->key);
    s->audio_level_ext = audio_level_ext;
}

void sending_clear(struct sending *s)
{
    for (size_t i = 0; i < s->n; i++)
        free(s->at[i]);
    free(s->spent);
    *s = (struct sending){0};
}

static bool is_spent(const struct sending *s, uint32_t ssrc)
{
    for (size_t i = 0; i < s->n_spent; i++)
        if (s->spent[i] == ssrc)
            return true;
    return false;
}

/* The source that has been silent longest is none any more: its place. Its numbers are forgotten, so its SSRC is spent. */
static int give_up(struct sending *s, int64_t now_us, struct sending_source **out)
{
    size_t oldest = 0;
    for (size_t i = 1; i < s->n; i++)
        if (s->at[i]->sent_us < s->at[oldest]->sent_us)
            oldest = i;
    if (s->n_spent == SENDING_SPENT_MAX || now_us - s->at[oldest]->sent_us < SENDING_SILENT_US)
        return -ENOSPC;
    if (!s->spent)
        s->spent = calloc(SENDING_SPENT_MAX, sizeof *s->spent);
    if (!s->spent)
        return -ENOMEM;
    *out = s->at[oldest];
    s->spent[s->n_spent++] = (*out)->ssrc;
    memset(*out, 0, sizeof **out);
    return 0;
}

static int find(struct sending *s, const struct rtp *r, int64_t now_us, struct sending_source **out)
{
    for (size_t i = 0; i < s->n; i++) {
        if (s->at[i]->ssrc == r->ssrc) {
            *out = s->at[i];
            return 0;
        }
    }
    if (is_spent(s, r->ssrc))
        return -EINVAL;
    int err = 0;
    if (s->n == SENDING_SOURCES_MAX)
        err = give_up(s, now_us, out);
    else if ((*out = calloc(1, sizeof **out)))
        s->at[s->n++] = *out;
    else
        err = -ENOMEM;
    if (err < 0)
        return err;
    (*out)->ssrc = r->ssrc;
    (*out)->newest = r->sequence;
    return 0;
}

int sending_take(struct sending *s, const uint8_t *packet, size_t len, const struct rtp *r, int64_t now_us,
                 bool *video)
{
    struct sending_source *source;
    uint64_t hash;
    bool voice;
    int err = find(s, r, now_us, &source);
    if (err < 0)
        return err;
    int step = rtp_sequence_distance(r->sequence, source->newest);
    struct sending_packet *p = &source->window[r->sequence % SRTP_REPLAY_WINDOW];
    crypto_shorthash((uint8_t *)&hash, packet, len, s->key);
    if (step <= -SRTP_REPLAY_WINDOW ||
        (step <= 0 && p->sent && p->sequence == r->sequence && p->hash != hash))
        return -EINVAL;
    *p = (struct sending_packet){.sent = true, .sequence = r->sequence, .hash = hash};
    source->sent_us = now_us;
    if (step > 0)
        source->newest = r->sequence;
    source->has_level = source->has_level || (s->audio_level_ext > 0 &&
                                              rtp_audio_level(r, packet, s->audio_level_ext, &voice) >= 0);
    source->is_video = !source->has_level && (source->is_video || len > SENDING_VIDEO_BYTES);
    *video = source->is_video;
    return 0;
}
