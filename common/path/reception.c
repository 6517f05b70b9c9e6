/* Figures of what arrives. Invariant: of each source expected counts every sequence number from its first to its
 * newest once, and so what is expected and not received is what is lost, late packets counting when they come. */
#include "path/reception.h"

static struct reception_source *find_source(struct reception *r, uint32_t ssrc)
{
    struct reception_source *oldest = &r->at[0];
    for (size_t i = 0; i < RECEPTION_SOURCES_MAX; i++) {
        if (r->at[i].heard_us > 0 && r->at[i].ssrc == ssrc)
            return &r->at[i];
        if (r->at[i].heard_us < oldest->heard_us)
            oldest = &r->at[i];
    }
    return oldest;
}

static int64_t source_lost(const struct reception_source *s)
{
    return s->heard_us > 0 && s->expected > s->received ? s->expected - s->received : 0;
}

static void begin(struct reception *r, struct reception_source *s, const struct rtp *p, int64_t now_us)
{
    r->lost_before += source_lost(s);
    *s = (struct reception_source){.ssrc = p->ssrc,
                                   .newest = p->sequence,
                                   .expected = 1,
                                   .received = 1,
                                   .first_timestamp = p->timestamp,
                                   .timestamp = p->timestamp,
                                   .first_us = now_us,
                                   .heard_us = now_us};
}

/* The clock that those are who are in use: Opus and video foremost (RFC 3551 6, RFC 7587 4.1). 0: none fits. */
static int64_t clock_of(int64_t ticks, int64_t elapsed_us)
{
    static const int64_t known_hz[] = {8000, 16000, 32000, 48000, 90000};
    double hz = (double)ticks * 1e6 / (double)elapsed_us;
    for (size_t i = 0; i < sizeof known_hz / sizeof *known_hz; i++) {
        if (hz > 0.85 * (double)known_hz[i] && hz < 1.15 * (double)known_hz[i])
            return known_hz[i];
    }
    return 0;
}

/* RFC 3550 A.8. */
static void feel_jitter(struct reception_source *s, const struct rtp *p, int64_t now_us)
{
    if (s->clock_hz == 0 && now_us - s->first_us >= RECEPTION_CLOCK_US)
        s->clock_hz = clock_of((int32_t)(p->timestamp - s->first_timestamp), now_us - s->first_us);
    if (s->clock_hz > 0) {
        double apart_us = (double)(int32_t)(p->timestamp - s->timestamp) * 1e6 / (double)s->clock_hz;
        double d = (double)(now_us - s->heard_us) - apart_us;
        s->jitter_us += ((d < 0 ? -d : d) - s->jitter_us) / 16;
    }
}

void reception_heard(struct reception *r, const struct rtp *p, size_t len, int64_t now_us)
{
    struct reception_source *s = find_source(r, p->ssrc);
    int step = rtp_sequence_distance(p->sequence, s->newest);
    r->packets++;
    r->bytes += (int64_t)len;
    r->latest = (size_t)(s - r->at);
    if (s->heard_us == 0 || s->ssrc != p->ssrc || step > RECEPTION_DROPOUT_MAX ||
        step < -RECEPTION_MISORDER_MAX) {
        begin(r, s, p, now_us);
        return;
    }
    s->received++;
    if (step > 0) {
        s->expected += step;
        s->newest = p->sequence;
    }
    feel_jitter(s, p, now_us);
    s->timestamp = p->timestamp;
    s->heard_us = now_us;
}

int64_t reception_lost(const struct reception *r)
{
    int64_t lost = r->lost_before;
    for (size_t i = 0; i < RECEPTION_SOURCES_MAX; i++)
        lost += source_lost(&r->at[i]);
    return lost;
}

int64_t reception_jitter_us(const struct reception *r)
{
    const struct reception_source *s = &r->at[r->latest];
    return s->clock_hz > 0 ? (int64_t)s->jitter_us : -1;
}
