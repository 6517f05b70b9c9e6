/* Test media out and in. Invariant: what a packet claims changes its own source's figures alone. */
#include "test_media.h"

#include <string.h>

enum {
    TICKS_A_FRAME = 960, /* of 48 kHz */
    PAYLOAD_TYPE = 111,
    LEVEL = 20, /* dB below the loudest: somebody is speaking */
    VERSION = 1
};
static const uint8_t magic[4] = {'b', 'e', 'r', 't'};

void test_media_init(struct test_media *m, uint32_t ssrc, uint16_t sequence, const char *name, int64_t now_us)
{
    *m = (struct test_media){.ssrc = ssrc, .sequence = sequence & 0x7fff, .next_us = now_us};
    strncpy(m->name, name, TEST_MEDIA_NAME_MAX);
}

static const struct test_source *to_echo(struct test_media *m)
{
    if (m->n_sources == 0)
        return NULL;
    m->echo = (m->echo + 1) % m->n_sources;
    return &m->sources[m->echo];
}

bool test_media_next(struct test_media *m, int64_t now_us, uint8_t out[static TEST_MEDIA_PACKET])
{
    if (now_us < m->next_us)
        return false;
    if (now_us - m->next_us > 10 * TEST_MEDIA_FRAME_US) /* we were held up: no burst makes up for it */
        m->next_us = now_us;
    const struct rtp r = {.payload_type = PAYLOAD_TYPE,
                          .marker = m->sent == 0,
                          .sequence = m->sequence,
                          .timestamp = m->timestamp,
                          .ssrc = m->ssrc};
    const struct test_source *e = to_echo(m);
    size_t head = rtp_write_level(out, &r, TEST_MEDIA_LEVEL_EXT, true, LEVEL);
    struct wire_wr w = wire_wr_init(out + head, TEST_MEDIA_PACKET - head);
    wire_wr_bytes(&w, magic, sizeof(magic));
    wire_wr_u8(&w, VERSION);
    wire_wr_zero(&w, 3);
    wire_wr_u64(&w, (uint64_t)now_us);
    wire_wr_u32(&w, e ? e->ssrc : 0);
    wire_wr_u64(&w, e ? (uint64_t)e->sent_us : 0);
    wire_wr_u32(&w, e ? (uint32_t)(now_us - e->received_us) : 0);
    wire_wr_bytes(&w, m->name, TEST_MEDIA_NAME_MAX);
    wire_wr_zero(&w, TEST_MEDIA_PACKET - head - wire_wr_len(&w));
    m->sequence++;
    m->timestamp += TICKS_A_FRAME;
    m->next_us += TEST_MEDIA_FRAME_US;
    return true;
}

void test_media_sent(struct test_media *m)
{
    m->sent++;
}

void test_media_rename(struct test_media *m, uint32_t ssrc)
{
    m->ssrc = ssrc;
    m->sequence &= 0x7fff;
}

static struct test_source *source_of(struct test_media *m, const struct rtp *r)
{
    for (size_t i = 0; i < m->n_sources; i++) {
        if (m->sources[i].ssrc == r->ssrc)
            return &m->sources[i];
    }
    if (m->n_sources == TEST_MEDIA_SOURCES_MAX)
        return NULL;
    struct test_source *s = &m->sources[m->n_sources++];
    *s = (struct test_source){
        .ssrc = r->ssrc, .first = r->sequence, .highest = r->sequence, .rtt_us = -1, .rtt_min_us = -1};
    return s;
}

/* RFC 3550 A.8, in microseconds instead of ticks: the packets carry the sender's time. */
static void take_times(struct test_source *s, int64_t sent_us, int64_t received_us)
{
    int64_t transit = (int64_t)((uint64_t)received_us - (uint64_t)sent_us);
    if (s->received > 1) {
        int64_t d = (int64_t)((uint64_t)transit - (uint64_t)s->transit_us);
        d = d < 0 ? -d : d;
        if (d >= 0 && d < INT32_MAX)
            s->jitter_us += (d - s->jitter_us) / 16;
    }
    s->transit_us = transit;
    s->sent_us = sent_us;
    s->received_us = received_us;
}

static void take_echo(struct test_source *s, int64_t sent_us, uint32_t held_us, int64_t received_us)
{
    int64_t rtt = (int64_t)((uint64_t)received_us - (uint64_t)sent_us) - held_us;
    if (rtt < 0 || rtt > 60 * 1000 * 1000)
        return; /* not of this run, or a lie */
    s->rtt_us = rtt;
    if (s->rtt_min_us < 0 || rtt < s->rtt_min_us)
        s->rtt_min_us = rtt;
}

bool test_media_heard(struct test_media *m, const uint8_t *bytes, size_t len, int64_t received_us)
{
    struct rtp r;
    if (rtp_parse(&r, bytes, len) != 0)
        return false;
    struct wire_rd in = wire_rd_init(bytes + r.header_len, r.payload_len);
    const struct slice mark = wire_rd_bytes(&in, sizeof(magic));
    const uint8_t version = wire_rd_u8(&in);
    (void)wire_rd_bytes(&in, 3);
    const int64_t sent_us = (int64_t)wire_rd_u64(&in);
    const uint32_t echo_ssrc = wire_rd_u32(&in);
    const int64_t echo_us = (int64_t)wire_rd_u64(&in);
    const uint32_t held_us = wire_rd_u32(&in);
    const struct slice name = wire_rd_bytes(&in, TEST_MEDIA_NAME_MAX);
    if (in.bad || memcmp(mark.p, magic, sizeof(magic)) != 0 || version != VERSION)
        return false;
    struct test_source *s = source_of(m, &r);
    if (!s)
        return false;
    memcpy(s->name, name.p, TEST_MEDIA_NAME_MAX);
    for (char *p = s->name; *p != '\0'; p++)
        *p = *p > ' ' && *p < 0x7f ? *p : '?'; /* it goes to a terminal */
    s->received++;
    int ahead = rtp_sequence_distance(r.sequence, (uint16_t)s->highest);
    if (ahead > 0)
        s->highest += (uint32_t)ahead;
    if (ahead > 0 || s->received == 1)
        take_times(s, sent_us, received_us);
    if (echo_ssrc == m->ssrc)
        take_echo(s, echo_us, held_us, received_us);
    return true;
}

int64_t test_source_lost(const struct test_source *s)
{
    int64_t expected = (int64_t)(s->highest - s->first) + 1;
    return expected > s->received ? expected - s->received : 0;
}

struct test_media_sum test_media_sum(const struct test_media *m)
{
    struct test_media_sum sum = {.jitter_us = -1, .rtt_us = -1};
    int64_t jitter = 0, rtt = 0, with_rtt = 0;
    for (size_t i = 0; i < m->n_sources; i++) {
        const struct test_source *s = &m->sources[i];
        sum.received += s->received;
        sum.lost += test_source_lost(s);
        jitter += s->jitter_us;
        if (s->rtt_us >= 0) {
            rtt += s->rtt_us;
            with_rtt++;
        }
    }
    if (m->n_sources > 0)
        sum.jitter_us = jitter / (int64_t)m->n_sources;
    if (with_rtt > 0)
        sum.rtt_us = rtt / with_rtt;
    return sum;
}
