/* The keep-alive. Invariant: no two requests leave closer than KEEPALIVE_LEAST_MS, and silence is counted from the
 * first request that nothing has answered since. */
#include "path/keepalive.h"

#include "probe/prober_message.h"

#include <string.h>

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

void keepalive_start(struct keepalive *k, const uint8_t seed[static PROBER_SEED_LEN], int64_t interval_us,
                     const struct addr *mapped, int64_t now_us)
{
    *k = (struct keepalive){.interval_us = interval_us,
                            .send_us = now_us + interval_us,
                            .silent_since_us = PROBER_NEVER,
                            .hurried_us = now_us,
                            .answered_us = now_us,
                            .last_rtt_us = NOT_MEASURED,
                            .mapped = *mapped};
    memcpy(k->seed, seed, sizeof k->seed);
}

static void ask_at(struct keepalive *k, int64_t at_us)
{
    int64_t earliest_us = k->sent > 0 ? k->last_us + (int64_t)KEEPALIVE_LEAST_MS * 1000 : at_us;
    k->send_us = at_us > earliest_us ? at_us : earliest_us;
}

static struct sample_name name_of(uint32_t number)
{
    return (struct sample_name){
        .target = number >> 16, .attempt = number >> 8 & 0xff, .sample = number & 0xff};
}

static uint32_t number_of(const struct sample_name *s)
{
    return (uint32_t)(s->target << 16 | s->attempt << 8 | s->sample);
}

bool keepalive_next(struct keepalive *k, int64_t now_us, uint8_t out[static PROBER_MESSAGE_LEN])
{
    if (now_us < k->send_us)
        return false;
    struct sample_name name = name_of(k->next);
    prober_request_write(k->seed, &name, out);
    size_t at = k->next % KEEPALIVE_FLIGHT;
    k->flight[at].number = k->next++;
    k->flight[at].waiting = true;
    k->flight[at].sent_us = now_us;
    k->sent++;
    k->last_us = now_us;
    if (k->silent_since_us == PROBER_NEVER)
        k->silent_since_us = now_us;
    ask_at(k, now_us + min64(k->interval_us, KEEPALIVE_RETRY_US));
    return true;
}

void keepalive_sent(struct keepalive *k, int64_t sent_us)
{
    k->flight[(k->next - 1) % KEEPALIVE_FLIGHT].sent_us = sent_us;
}

void keepalive_hurry(struct keepalive *k, int64_t now_us)
{
    k->hurried_us = now_us;
    ask_at(k, min64(k->send_us, now_us));
}

bool keepalive_stands(const struct keepalive *k)
{
    return k->answered_us >= k->hurried_us;
}

bool keepalive_heard(struct keepalive *k, const uint8_t *bytes, size_t len, int64_t now_us)
{
    struct sample_name name;
    struct addr mapped;
    if (!prober_answer_read(k->seed, bytes, len, &name, &mapped))
        return false;
    size_t at = number_of(&name) % KEEPALIVE_FLIGHT;
    if (k->flight[at].number != number_of(&name) || !k->flight[at].waiting)
        return true; /* a double, or older than we remember */
    k->flight[at].waiting = false;
    k->received++;
    if (k->flight[at].sent_us > k->answered_us)
        k->answered_us = k->flight[at].sent_us;
    k->last_rtt_us = now_us > k->flight[at].sent_us ? now_us - k->flight[at].sent_us : 0;
    k->rtt_us[k->n_rtts++ % KEEPALIVE_RTTS] = k->last_rtt_us;
    if (addr_is_set(&mapped))
        k->mapped = mapped;
    k->silent_since_us = PROBER_NEVER;
    int64_t next_us = k->flight[at].sent_us + k->interval_us;
    ask_at(k, next_us > now_us ? next_us : now_us);
    return true;
}

bool keepalive_lost(const struct keepalive *k, int64_t now_us)
{
    return k->silent_since_us != PROBER_NEVER && now_us >= k->silent_since_us + KEEPALIVE_LOST_US;
}

int64_t keepalive_deadline(const struct keepalive *k)
{
    return k->silent_since_us == PROBER_NEVER ? k->send_us
                                              : min64(k->send_us, k->silent_since_us + KEEPALIVE_LOST_US);
}

int64_t keepalive_missing(const struct keepalive *k, int64_t now_us)
{
    int64_t flying = 0;
    for (size_t i = 0; i < KEEPALIVE_FLIGHT; i++)
        flying += k->flight[i].waiting && now_us < k->flight[i].sent_us + KEEPALIVE_RETRY_US;
    return k->sent - k->received - flying;
}

bool keepalive_rtt(const struct keepalive *k, struct rtt_stats *out)
{
    int64_t rtt[KEEPALIVE_RTTS];
    size_t n = k->n_rtts < KEEPALIVE_RTTS ? k->n_rtts : KEEPALIVE_RTTS;
    memcpy(rtt, k->rtt_us, sizeof rtt);
    if (n > 0)
        rtt_stats_of(out, rtt, n);
    return n > 0;
}
