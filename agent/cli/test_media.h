/* Test media: packets of the size and the pace of Opus at 32 kbit/s, which say who sent them and when, so that loss, jitter and the round
 * trip between participants can be told without anybody's clock being right. Pure: times and bytes in, bytes out.
 *
 *   RTP header with audio level | "bert" | version (1) | 3 zeroes | sent (8, microseconds of the sender's clock)
 *       | echo: SSRC (4), its `sent` (8), held since (4, microseconds) | name (16, zero padded) | zeroes up to TEST_MEDIA_PAYLOAD */
#ifndef BERTH_CLI_TEST_MEDIA_H
#define BERTH_CLI_TEST_MEDIA_H

#include "core/wire.h"
#include "media/rtp.h"

enum {
    TEST_MEDIA_FRAME_US = 20000,
    TEST_MEDIA_PAYLOAD = 80, /* 32 kbit/s */
    TEST_MEDIA_PACKET = RTP_HEADER_LEN + 8 + TEST_MEDIA_PAYLOAD,
    TEST_MEDIA_NAME_MAX = 16,
    TEST_MEDIA_SOURCES_MAX = 64,
    TEST_MEDIA_LEVEL_EXT = 1, /* the id of the audio level's header extension */
};

struct test_source {
    uint32_t ssrc;
    char name[TEST_MEDIA_NAME_MAX + 1];
    uint32_t first, highest; /* extended sequence numbers */
    int64_t received;
    int64_t transit_us, jitter_us; /* RFC 3550 A.8 */
    int64_t sent_us, received_us;  /* of the newest: by its clock, by ours */
    int64_t rtt_us, rtt_min_us;    /* to the participant and back; -1: none yet */
};

struct test_media {
    uint32_t ssrc;
    char name[TEST_MEDIA_NAME_MAX + 1];
    uint16_t sequence;
    uint32_t timestamp;
    int64_t next_us;
    int64_t sent;
    size_t echo; /* which source is echoed next */
    size_t n_sources;
    struct test_source sources[TEST_MEDIA_SOURCES_MAX];
};

void test_media_init(struct test_media *m, uint32_t ssrc, uint16_t sequence, const char *name,
                     int64_t now_us);
/* True where a packet is due: it is in `out`, and counts as sent once test_media_sent is called. */
bool test_media_next(struct test_media *m, int64_t now_us, uint8_t out[static TEST_MEDIA_PACKET]);
void test_media_sent(struct test_media *m);
/* Another SSRC from here on. */
void test_media_rename(struct test_media *m, uint32_t ssrc);
/* An RTP packet that came; false: it is no test media, or there are too many sources. */
bool test_media_heard(struct test_media *m, const uint8_t *bytes, size_t len, int64_t received_us);

int64_t test_source_lost(const struct test_source *s); /* by gaps; never negative */
/* Of all sources. */
struct test_media_sum {
    int64_t received, lost;
    int64_t jitter_us; /* the mean; -1: nobody was heard */
    int64_t rtt_us;    /* the mean of the newest; -1 */
};
struct test_media_sum test_media_sum(const struct test_media *m);

#endif
