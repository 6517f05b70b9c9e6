/* How a source arrives: RFC 3550 A.1, A.3 and A.8. Invariant: `highest` counts cycles from `first` on, and never
 * goes back while the sender stays. */
#include "feedback_internal.h"

#include "media/rtcp.h"

#include <string.h>

enum {
    DROPOUT_MAX = 3000,           /* RFC 3550 A.1 */
    MISORDER_MAX = FEEDBACK_KEPT, /* so late a retransmission may be */
    NO_JUMP = 1 << 16,
    CLOCK_MEASURED_US = 1000 * 1000,
    CLOCK_OFF_PERCENT = 4, /* of a known rate, when measured by arrival */
    CLOCK_HZ_MIN = 1000,
    CLOCK_HZ_MAX = 1000 * 1000,
    REPORTS_APART_MAX_S = 60,
};

void feedback_source_begin(struct feedback *f, struct feedback_source *s, uint32_t ssrc)
{
    *s = (struct feedback_source){.home = f, .ssrc = ssrc};
}

void feedback_source_from(struct feedback_source *s, struct feedback_leg *sender)
{
    struct feedback_kept *kept = s->kept; /* under numbers that go on */
    if (s->sender == sender)
        return;
    *s = (struct feedback_source){.home = s->home, .ssrc = s->ssrc, .sender = sender, .kept = kept};
}

static uint32_t expected(const struct feedback_source *s)
{
    return s->begun ? s->highest - s->first + 1 : 0;
}

uint32_t feedback_source_lost(const struct feedback_source *s)
{
    uint32_t of = expected(s);
    return of > s->received ? of - s->received : 0;
}

static void begin_count(struct feedback_source *s, uint16_t sequence)
{
    s->begun = true;
    s->first = sequence;
    s->highest = sequence;
    s->received = s->expected_before = s->received_before = 0;
    s->jumped_to = NO_JUMP;
    s->n_wanted = 0;
    memset(s->asked, 0, sizeof s->asked); /* those were numbers of before */
}

/* False: it is far from the others, and may be an accident. */
static bool count(struct feedback_source *s, uint16_t sequence)
{
    if (!s->begun)
        begin_count(s, sequence);
    int ahead = rtp_sequence_distance(sequence, (uint16_t)s->highest);
    if (ahead >= DROPOUT_MAX || ahead < -MISORDER_MAX) {
        if (sequence != s->jumped_to) {
            s->jumped_to = (uint16_t)(sequence + 1);
            return false;
        }
        begin_count(s, sequence); /* two in order: the sender has begun anew */
        ahead = 0;
    }
    s->jumped_to = NO_JUMP;
    if (ahead > 0)
        s->highest += (uint32_t)ahead;
    s->received++;
    return true;
}

/* ---- the clock of its timestamps ---- */

static uint32_t known_rate(uint64_t hz, unsigned percent)
{
    static const uint32_t rates[] = {8000, 16000, 22050, 24000, 32000, 44100, 48000, 90000};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        uint64_t off = hz > rates[i] ? hz - rates[i] : rates[i] - hz;
        if (off * 100 <= (uint64_t)rates[i] * percent)
            return rates[i];
    }
    return 0;
}

/* No description of the media says here what the rate is: a second's packets do, and better its sender's reports. */
static void measure_clock(struct feedback_source *s, uint32_t timestamp, int64_t received_us)
{
    if (s->clock_hz > 0)
        return;
    int64_t elapsed_us = received_us - s->clock_us;
    if (s->has_clock && elapsed_us < CLOCK_MEASURED_US)
        return;
    int32_t ticks = (int32_t)(timestamp - s->clock_timestamp);
    if (s->has_clock && ticks > 0)
        s->clock_hz = known_rate((uint64_t)ticks * 1000000 / (uint64_t)elapsed_us, CLOCK_OFF_PERCENT);
    s->has_clock = true;
    s->clock_timestamp = timestamp;
    s->clock_us = received_us;
}

static void measure_jitter(struct feedback_source *s, uint32_t timestamp, int64_t received_us)
{
    if (s->clock_hz == 0)
        return;
    uint64_t us = (uint64_t)received_us;
    uint32_t arrival = (uint32_t)(us / 1000000 * s->clock_hz + us % 1000000 * s->clock_hz / 1000000);
    uint32_t transit = arrival - timestamp;
    int32_t off = (int32_t)(transit - s->transit);
    bool comparable = s->has_transit && off > INT32_MIN && (off < 0 ? -off : off) < 10 * (int32_t)s->clock_hz;
    s->transit = transit;
    s->has_transit = true;
    if (comparable)
        s->jitter_16 += (uint32_t)(off < 0 ? -off : off) - ((s->jitter_16 + 8) >> 4);
}

void feedback_rtp_in(struct feedback_source *s, const struct rtp *r, const uint8_t *packet,
                     int64_t received_us)
{
    struct feedback_leg *l = s->sender;
    if (l && l->wide)
        feedback_wide_in(l, r, packet, received_us);
    if (!count(s, r->sequence))
        return;
    measure_clock(s, r->timestamp, received_us);
    measure_jitter(s, r->timestamp, received_us);
    if (l && s->clock_hz > 0)
        l->jitter_us = (int64_t)(s->jitter_16 >> 4) * 1000000 / s->clock_hz;
}

void feedback_sent(struct feedback_to *t, const struct rtp *r)
{
    t->packets++;
    t->octets += (uint32_t)r->payload_len;
}

/* ---- reports ---- */

void feedback_source_report(struct feedback_source *s, const struct rtcp *r, int64_t now_us)
{
    if (s->has_report) {
        uint64_t apart = r->ntp - s->report_ntp; /* in 1/2^32 s */
        uint32_t ticks = r->timestamp - s->report_timestamp;
        if (apart >= (uint64_t)1 << 32 && apart <= (uint64_t)REPORTS_APART_MAX_S << 32) {
            uint64_t hz = ((uint64_t)ticks << 24) / (apart >> 8), rate = known_rate(hz, 1);
            if (rate == 0 && hz >= CLOCK_HZ_MIN && hz <= CLOCK_HZ_MAX)
                rate = hz;
            if (rate != 0 && rate != s->clock_hz) {
                s->clock_hz = (uint32_t)rate;
                s->has_transit = false;
                s->jitter_16 = 0;
            }
        }
    }
    s->has_report = true;
    s->report_ntp = r->ntp;
    s->report_timestamp = r->timestamp;
    s->report_us = now_us;
}

struct rtcp_block feedback_source_block(const struct feedback_source *s, int64_t now_us)
{
    const int32_t lost_max = 0x7FFFFF;
    uint32_t of = expected(s) - s->expected_before, got = s->received - s->received_before;
    int64_t lost = (int64_t)expected(s) - s->received;
    struct rtcp_block b = {.ssrc = s->ssrc, .highest = s->highest, .jitter = s->jitter_16 >> 4};
    b.lost = lost > lost_max ? lost_max : lost < -lost_max - 1 ? -lost_max - 1 : (int32_t)lost;
    if (of > 0 && of > got)
        b.fraction_lost =
            (uint8_t)(((uint64_t)(of - got) << 8) / of > 255 ? 255 : ((uint64_t)(of - got) << 8) / of);
    if (s->has_report) {
        int64_t ago_us = now_us - s->report_us;
        b.last_report = rtcp_ntp_middle(s->report_ntp);
        b.delay = (uint32_t)(ago_us / 1000000 * 65536 + ago_us % 1000000 * 65536 / 1000000);
    }
    return b;
}
