/* What is sent under one session's keys: a sequence number is protected again only with the very bytes that it had,
 * so that no nonce meets two texts (RFC 7714 8.4), whatever the caller does; and which streams are video, for their
 * DSCP. Pure but for the memory that it takes. */
#ifndef BERTH_PATH_SENDING_H
#define BERTH_PATH_SENDING_H

#include "media/rtp.h"
#include "media/srtp_leg.h"

enum {
    SENDING_SOURCES_MAX = 16, /* as many as the node takes of a participant */
    SENDING_SPENT_MAX = 1024, /* that were given up under one session's keys */
    SENDING_SILENT_US =
        11 * 1000 * 1000, /* a source makes room for another: a second after the node would have it so */
    SENDING_KEY_LEN = 16,
    SENDING_VIDEO_BYTES =
        640, /* a packet longer than that, of a stream without audio levels: video. As the node has it */
};

struct sending_source {
    uint32_t ssrc;
    bool has_level, is_video;
    uint16_t newest;
    int64_t sent_us;
    struct sending_packet {
        bool sent;
        uint16_t sequence;
        uint64_t hash;
    } window[SRTP_REPLAY_WINDOW];
};

struct sending {
    uint8_t key[SENDING_KEY_LEN];
    uint8_t audio_level_ext;
    size_t n;
    struct sending_source *at[SENDING_SOURCES_MAX];
    size_t n_spent;
    uint32_t *
        spent; /* SSRCs whose numbers aren't known any more: nothing is sent under them again. NULL: none yet */
};

/* New keys: nothing has been sent under them. `s` is zeroed at first; `key`: random. */
void sending_begin(struct sending *s, const uint8_t key[static SENDING_KEY_LEN], uint8_t audio_level_ext);
void sending_clear(struct sending *s);
/* May this packet, parsed as *r, be protected? 0, and whether it is video; -EINVAL: its number was another packet's,
 * or is too old to tell, or its SSRC made room for another; -ENOSPC: SENDING_SOURCES_MAX others have sent within
 * SENDING_SILENT_US; -ENOMEM. */
int sending_take(struct sending *s, const uint8_t *packet, size_t len, const struct rtp *r, int64_t now_us,
                 bool *video) __attribute__((warn_unused_result));

#endif
