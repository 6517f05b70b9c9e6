/* Where a home's packets go: into the batch of a socket, the queue of a stream, or another thread's ring. Invariant:
 * nothing here calls the home. */
#include "post_internal.h"

#include "sys/clock.h"

#include <string.h>

static uint8_t *room_in_ring(struct media_post *p, const struct media_path *to, enum media_class c)
{
    p->cell = post_cell(p, to->thread, c != MEDIA_CONTROL);
    if (!p->cell)
        stats_add(&p->opts.stats->media_ring_full, 1);
    return p->cell ? p->cell->bytes : NULL;
}

static uint8_t *room(void *ctx, const struct media_path *to, enum media_class c)
{
    struct media_post *p = ctx;
    struct stream_media *m;
    p->cell = NULL;
    if (to->carrier == MEDIA_UDP)
        p->room = to->port < MEDIA_PORTS_MAX && p->udp[to->port] ? udp_out_room(p->udp[to->port]) : NULL;
    else if (to->thread != p->opts.thread)
        p->room = room_in_ring(p, to, c);
    else
        p->room = (m = post_stream(p, to->stream)) ? post_stream_room(m, c) : NULL;
    return p->room;
}

static void commit_udp(struct media_post *p, const struct media_path *to, enum media_class c, size_t len)
{
    if (len > 0 && packet_kind(p->room, len) == PACKET_STUN) /* packets are counted when they are sent */
        stats_add(&p->opts.stats->udp_answers, 1);
    p->udp_dirty[to->port] = udp_out_commit(p->udp[to->port], to, c, len);
    if (p->udp_dirty[to->port])
        post_schedule(p);
}

static void commit_to_ring(struct media_post *p, const struct media_path *to, enum media_class c, size_t len)
{
    if (len == 0)
        return;
    p->cell->kind = MEDIA_CELL_SEND;
    p->cell->path = *to;
    p->cell->cls = (uint8_t)c;
    p->cell->len = len;
    post_push(p, to->thread);
}

static void commit(void *ctx, const struct media_path *to, enum media_class c, size_t len)
{
    struct media_post *p = ctx;
    if (to->carrier == MEDIA_UDP)
        commit_udp(p, to, c, len);
    else if (p->cell)
        commit_to_ring(p, to, c, len);
    else
        post_stream_commit(post_stream(p, to->stream), c, p->room, len);
}

static void attach(void *ctx, const struct media_path *path)
{
    struct media_post *p = ctx;
    if (path->thread == p->opts.thread)
        post_attach(p, path, p->opts.thread);
    else
        post_tell(p, path->thread, MEDIA_CELL_ATTACH, path, MEDIA_END_LEFT);
}

static void detach(void *ctx, const struct media_path *path, enum media_end_reason why)
{
    struct media_post *p = ctx;
    if (path->thread == p->opts.thread)
        post_detach(p, path, p->opts.thread);
    else
        post_tell(p, path->thread, MEDIA_CELL_DETACH, path, why);
}

static void ended(void *ctx, const struct media_leg_info *leg, enum media_end_reason why)
{
    struct media_post *p = ctx;
    media_figures_ended(p->opts.figures, leg, why, clock_mono_us());
}

static void linked(void *ctx, const struct media_leg_info *link, bool there)
{
    struct media_post *p = ctx;
    const struct media_path path = {.stream = media_plan_link_id(link->org, link->meeting, link->who)};
    post_tell(p, (uint8_t)media_exchange_opts(p->opts.exchange)->threads,
              there ? MEDIA_CELL_STANDS : MEDIA_CELL_FELL, &path, MEDIA_END_LEFT);
}

static void plan_is_old(void *ctx)
{
    const struct media_post *p = ctx;
    const struct media_exchange_opts *x = media_exchange_opts(p->opts.exchange);
    if (x->plan_is_old)
        x->plan_is_old(x->ctx);
}

struct media_sink post_sink(struct media_post *p)
{
    return (struct media_sink){
        .room = room,
        .commit = commit,
        .attach = attach,
        .detach = detach,
        .ended = ended,
        .linked = linked,
        .plan_is_old = plan_is_old,
        .ctx = p,
    };
}
