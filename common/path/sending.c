/* The sender's own memory. Invariant: of each stream the window has the newest SRTP_REPLAY_WINDOW numbers, each with a hash of the bytes that
 * went out under it, and what is older is refused. */
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
    *s = (struct sending){0};
}

static int find(struct sending *s, const struct rtp *r, struct sending_source **out)
{
    for (size_t i = 0; i < s->n; i++) {
        if (s->at[i]->ssrc == r->ssrc) {
            *out = s->at[i];
            return 0;
        }
    }
    if (s->n == SENDING_SOURCES_MAX)
        return -ENOSPC;
    struct sending_source *new = calloc(1, sizeof *new);
    if (!new)
        return -ENOMEM;
    new->ssrc = r->ssrc;
    new->newest = r->sequence;
    *out = s->at[s->n++] = new;
    return 0;
}

int sending_take(struct sending *s, const uint8_t *packet, size_t len, const struct rtp *r, bool *video)
{
    struct sending_source *source;
    uint64_t hash;
    bool voice;
    int err = find(s, r, &source);
    if (err < 0)
        return err;
    int step = rtp_sequence_distance(r->sequence, source->newest);
    struct sending_packet *p = &source->window[r->sequence % SRTP_REPLAY_WINDOW];
    crypto_shorthash((uint8_t *)&hash, packet, len, s->key);
    if (step <= -SRTP_REPLAY_WINDOW ||
        (step <= 0 && p->sent && p->sequence == r->sequence && p->hash != hash))
        return -EINVAL;
    *p = (struct sending_packet){.sent = true, .sequence = r->sequence, .hash = hash};
    if (step > 0)
        source->newest = r->sequence;
    source->has_level = source->has_level || (s->audio_level_ext > 0 &&
                                              rtp_audio_level(r, packet, s->audio_level_ext, &voice) >= 0);
    source->is_video = !source->has_level && (source->is_video || len > SENDING_VIDEO_BYTES);
    *video = source->is_video;
    return 0;
}
