/* The agent's timetable. Invariant: every pause has jitter, so that agents that failed together don't come back
 * together, and none is shorter than the server asked for. */
#include "schedule.h"

#include "core/splitmix.h"

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t schedule_random(struct schedule *s, int64_t low, int64_t high)
{
    if (high <= low)
        return low;
    return low + (int64_t)(splitmix64(&s->random) % (uint64_t)(high - low + 1));
}

void schedule_init(struct schedule *s, uint64_t seed)
{
    *s = (struct schedule){.random = seed,
                           .probe_at_us = SCHEDULE_NEVER,
                           .wall_check_at_us = SCHEDULE_NEVER,
                           .overdue_wall_us = SCHEDULE_NEVER,
                           .deliver_at_us = SCHEDULE_NEVER};
    settle_init(&s->settle);
}

void schedule_watch(struct schedule *s, bool on, int64_t now_us)
{
    if (on && !s->watching)
        s->probe_at_us = now_us;
    if (!on) {
        s->probe_at_us = s->wall_check_at_us = s->overdue_wall_us = SCHEDULE_NEVER;
        settle_init(&s->settle);
    }
    s->watching = on;
}

static bool take(int64_t *at_us, int64_t now_us)
{
    if (*at_us > now_us)
        return false;
    *at_us = SCHEDULE_NEVER;
    return true;
}

void settle_init(struct settle *s)
{
    *s = (struct settle){.at_us = SCHEDULE_NEVER};
}

bool settle_changed(struct settle *s, int64_t now_us)
{
    bool first = s->at_us == SCHEDULE_NEVER;
    if (first)
        s->since_us = now_us;
    s->at_us = min64(now_us + SCHEDULE_SETTLE_US, s->since_us + SCHEDULE_SETTLE_MAX_US);
    return first;
}

bool settle_done(struct settle *s, int64_t now_us)
{
    return take(&s->at_us, now_us);
}

void schedule_network_changed(struct schedule *s, int64_t now_us)
{
    if (s->watching)
        settle_changed(&s->settle, now_us);
}

bool schedule_settled(struct schedule *s, int64_t now_us)
{
    return settle_done(&s->settle, now_us);
}

bool schedule_probe_due(struct schedule *s, int64_t now_us)
{
    return take(&s->probe_at_us, now_us);
}

void schedule_probe_now(struct schedule *s, int64_t now_us)
{
    s->probe_at_us = now_us;
}

void schedule_probed(struct schedule *s, int64_t reprobe_after_us, int64_t now_us, int64_t wall_us)
{
    s->fetch_failures = 0;
    if (!s->watching)
        return;
    s->probe_at_us = now_us + schedule_random(s, reprobe_after_us - reprobe_after_us / 4, reprobe_after_us);
    s->overdue_wall_us = wall_us + reprobe_after_us;
    s->wall_check_at_us = now_us + SCHEDULE_WALL_CHECK_US;
}

void schedule_wall(struct schedule *s, int64_t now_us, int64_t wall_us)
{
    if (s->overdue_wall_us == SCHEDULE_NEVER)
        return;
    if (s->wall_check_at_us <= now_us)
        s->wall_check_at_us = now_us + SCHEDULE_WALL_CHECK_US;
    if (wall_us > s->overdue_wall_us) {
        s->overdue_wall_us = s->wall_check_at_us = SCHEDULE_NEVER;
        s->probe_at_us = min64(s->probe_at_us, now_us);
    }
}

int64_t schedule_backoff(struct schedule *s, unsigned *failures, int64_t retry_after_us)
{
    enum { DOUBLINGS_MAX = 20 };
    int64_t pause = SCHEDULE_BACKOFF_US;
    for (unsigned i = 0; i < *failures && pause < SCHEDULE_BACKOFF_MAX_US; i++)
        pause *= 2;
    if (*failures < DOUBLINGS_MAX)
        (*failures)++;
    pause = min64(pause, SCHEDULE_BACKOFF_MAX_US);
    pause = schedule_random(s, pause / 2, pause);
    if (pause < retry_after_us)
        pause = retry_after_us + schedule_random(s, 0, pause);
    return pause;
}

int64_t schedule_fetch_failed(struct schedule *s, int64_t retry_after_us, int64_t now_us)
{
    if (!s->watching)
        return SCHEDULE_NEVER;
    int64_t pause = schedule_backoff(s, &s->fetch_failures, retry_after_us);
    s->probe_at_us = now_us + pause;
    return pause;
}

void schedule_keep(struct schedule *s, int64_t valid_until_us, int64_t now_us)
{
    s->valid_until_us = valid_until_us;
    s->deliver_at_us = now_us;
    s->delivery_failures = 0;
}

bool schedule_delivery_due(struct schedule *s, int64_t now_us)
{
    return take(&s->deliver_at_us, now_us);
}

void schedule_deliver_now(struct schedule *s, int64_t now_us)
{
    if (s->deliver_at_us != SCHEDULE_NEVER)
        s->deliver_at_us = now_us;
}

void schedule_delivered(struct schedule *s)
{
    s->deliver_at_us = SCHEDULE_NEVER;
}

int64_t schedule_delivery_failed(struct schedule *s, int64_t retry_after_us, int64_t now_us)
{
    int64_t pause = schedule_backoff(s, &s->delivery_failures, retry_after_us);
    if (now_us + pause >= s->valid_until_us) {
        s->deliver_at_us = SCHEDULE_NEVER;
        return SCHEDULE_NEVER;
    }
    s->deliver_at_us = now_us + pause;
    return pause;
}

int64_t schedule_deadline(const struct schedule *s)
{
    int64_t probe = min64(s->probe_at_us, s->wall_check_at_us);
    return min64(probe, min64(s->settle.at_us, s->deliver_at_us));
}
