/* What is known of a media session: its state, the node's news, its figures. Invariant: it only reads. */
#include "path/media_leg_internal.h"

#include <string.h>

enum media_leg_state media_leg_state(const struct media_leg *l)
{
    return l->state;
}

int media_leg_refusal(const struct media_leg *l)
{
    return l->refusal;
}

const char *media_leg_why(const struct media_leg *l)
{
    return l->why;
}

const char *media_leg_suite(const struct media_leg *l)
{
    return l->srtp || l->n_keys > 0 ? srtp_suite_name(l->suite) : "";
}

uint64_t media_leg_keys(const struct media_leg *l, struct media_leg_keys *out)
{
    if (l->n_keys > 0)
        *out = l->keys;
    return l->n_keys;
}

bool media_leg_stands(const struct media_leg *l)
{
    return l->state == MEDIA_LEG_UP && l->answered_us >= l->hurried_us;
}

const struct media_news *media_leg_news(const struct media_leg *l, uint64_t *number)
{
    *number = l->news_number;
    return &l->news;
}

void media_leg_figures(const struct media_leg *l, int64_t now_us, struct media_leg_figures *out)
{
    int64_t rtt[MEDIA_RTTS], flying = 0;
    size_t n = l->n_rtts < MEDIA_RTTS ? l->n_rtts : MEDIA_RTTS;
    for (size_t i = 0; i < MEDIA_FLIGHT; i++)
        flying += l->flight[i].waiting && now_us < l->flight[i].sent_us + MEDIA_ASK_AGAIN_US;
    *out = (struct media_leg_figures){.asked = l->asked,
                                      .answered = l->answered,
                                      .missing = l->asked - l->answered - flying,
                                      .rtt_us = l->rtt_last_us,
                                      .rtt_min_us = l->rtt_min_us,
                                      .mapped = l->mapped,
                                      .packets_sent = l->packets_sent,
                                      .bytes_sent = l->bytes_sent,
                                      .packets_received = l->reception.packets,
                                      .bytes_received = l->reception.bytes,
                                      .packets_lost = reception_lost(&l->reception),
                                      .packets_refused = l->packets_refused,
                                      .jitter_us = reception_jitter_us(&l->reception)};
    memcpy(rtt, l->rtt_us, sizeof rtt);
    if (n > 0)
        rtt_stats_of(&out->rtt, rtt, n);
}

void media_leg_figures_add(struct media_leg_figures *sum, const struct media_leg_figures *f)
{
    sum->asked += f->asked;
    sum->answered += f->answered;
    sum->missing += f->missing;
    sum->packets_sent += f->packets_sent;
    sum->bytes_sent += f->bytes_sent;
    sum->packets_received += f->packets_received;
    sum->bytes_received += f->bytes_received;
    sum->packets_lost += f->packets_lost;
    sum->packets_refused += f->packets_refused;
}
