/* Sums over legs. Invariant: a counter never falls: a leg's figures only grow, and are added to `over` when it is gone. */
#include "figures.h"

#include <stddef.h>
#include <stdio.h>

const char *media_carrier_name(enum media_carrier c)
{
    static const char *const names[MEDIA_CARRIERS] = {"udp", "tcp", "tls", "websocket", "dialled"};
    return names[c];
}

static void add(struct media_leg_stats *sum, const struct media_leg_stats *s)
{
    sum->refused += s->refused;
    sum->over_limit += s->over_limit;
    sum->ssrc_refused += s->ssrc_refused;
    sum->given_up += s->given_up;
}

static void count_end(struct node_stats *s, enum media_end_reason why)
{
    static const size_t at[MEDIA_END_REASONS] = {
        [MEDIA_END_LEFT] = offsetof(struct node_stats, ended_left),
        [MEDIA_END_REMOVED] = offsetof(struct node_stats, ended_removed),
        [MEDIA_END_REPLACED] = offsetof(struct node_stats, ended_replaced),
        [MEDIA_END_CONSENT_LOST] = offsetof(struct node_stats, ended_consent_lost),
        [MEDIA_END_HANGING] = offsetof(struct node_stats, ended_hanging),
        [MEDIA_END_DRAINED] = offsetof(struct node_stats, ended_drained),
        [MEDIA_END_OVER_LIMIT] = offsetof(struct node_stats, ended_over_limit),
        [MEDIA_END_CLOSED] = offsetof(struct node_stats, ended_closed),
        [MEDIA_END_NODE_STOPPED] = offsetof(struct node_stats, ended_node_stopped),
    };
    stats_add((_Atomic uint64_t *)(void *)((char *)s + at[why]), 1);
}

void media_figures_ended(struct media_figures *f, const struct media_leg_info *leg, enum media_end_reason why,
                         int64_t now_us)
{
    const struct media_leg_stats *s = &leg->stats;
    add(&f->over, s);
    count_end(f->stats, why);
    log_event(
        f->log, LOG_INFO, "media", "session_ended", LOG_S("org", leg->org), LOG_S("meeting", leg->meeting),
        LOG_S("kind", leg->kind == TICKET_LINK ? "link" : "participant"),
        LOG_S("reason", media_end_reason_name(why)), LOG_I("seconds", (now_us - leg->began_us) / 1000000),
        LOG_S("transport", media_carrier_name((enum media_carrier)leg->path.carrier)),
        LOG_I("packets_in", s->packets_in), LOG_I("packets_out", s->packets_out),
        LOG_I("lost_in", s->lost_in), LOG_I("lost_out", s->lost_out), LOG_I("jitter_us", s->jitter_us),
        LOG_I("rtt_us", s->rtt_us));
}

struct looking {
    struct media_leg_stats sum;
    int64_t sessions[MEDIA_CARRIERS];
};

static void look_at(void *user, const struct media_leg_info *leg)
{
    struct looking *l = user;
    add(&l->sum, &leg->stats);
    l->sessions[leg->path.carrier]++;
}

static void put(_Atomic uint64_t *counter, uint64_t value)
{
    atomic_store_explicit(counter, value, memory_order_relaxed);
}

void media_figures_look(struct media_figures *f, const struct media_home *h)
{
    struct looking l = {.sum = f->over};
    media_home_each(h, look_at, &l);
    put(&f->stats->media_refused, l.sum.refused);
    put(&f->stats->media_over_limit, l.sum.over_limit);
    put(&f->stats->media_ssrc_refused, l.sum.ssrc_refused);
    put(&f->stats->media_given_up, l.sum.given_up);
    for (int i = 0; i < MEDIA_CARRIERS; i++)
        atomic_store_explicit(&f->sessions[i], l.sessions[i], memory_order_relaxed);
}

void media_figures_sessions(const struct media_figures *f, int64_t total[static MEDIA_CARRIERS])
{
    for (int i = 0; i < MEDIA_CARRIERS; i++)
        total[i] += atomic_load_explicit(&f->sessions[i], memory_order_relaxed);
}

void media_figures_metrics(const int64_t sessions[static MEDIA_CARRIERS], struct metrics_text *m)
{
    metrics_family(m, "berth_node_sessions", METRIC_GAUGE, "Media sessions now");
    for (int i = 0; i < MEDIA_CARRIERS; i++) {
        char labels[32];
        snprintf(labels, sizeof(labels), "transport=\"%s\"", media_carrier_name((enum media_carrier)i));
        metrics_sample(m, "berth_node_sessions", labels, (double)sessions[i]);
    }
}
