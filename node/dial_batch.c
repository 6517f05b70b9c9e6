/* Packets on their way to links. Invariant: those of one link leave in the order in which they came, but for video,
 * which leaves behind the others of its batch: so what tells a link whose a source is comes before the source's
 * first packet. */
#include "dialer_internal.h"

#include <string.h>

/* Those of that link and kind, from place `first` on. */
static void send_kind(struct dialer *d, size_t first, bool video)
{
    struct dial_batch *b = &d->batch;
    struct dial *x = b->at[first].to;
    struct slice packets[DIAL_BATCH];
    size_t n = 0, bytes = 0;
    for (size_t i = first; i < b->n; i++) {
        if (b->at[i].to != x || b->at[i].video != video)
            continue;
        packets[n++] = (struct slice){b->bytes[i], b->at[i].len};
        bytes += b->at[i].len;
    }
    if (n == 0)
        return;
    size_t passed = ladder_io_pass(x->io, packets, n, video);
    x->packets_out += passed;
    stats_add(&d->stats.media_packets_out, passed);
    stats_add(&d->stats.media_bytes_out, passed == n ? bytes : bytes / n * passed);
    stats_add(&d->stats.media_slow, n - passed);
}

void dial_batch_flush(struct dialer *d)
{
    struct dial_batch *b = &d->batch;
    for (size_t i = 0; i < b->n; i++) {
        struct dial *x = b->at[i].to;
        if (!x)
            continue;
        send_kind(d, i, false);
        send_kind(d, i, true);
        for (size_t k = i; k < b->n; k++)
            b->at[k].to = b->at[k].to == x ? NULL : b->at[k].to;
    }
    b->n = 0;
}

void dial_batch_add(struct dialer *d, struct dial *to, const struct media_cell *c)
{
    struct dial_batch *b = &d->batch;
    if (!to) {
        stats_add(&d->stats.media_send_error, 1);
        return;
    }
    if (b->n == DIAL_BATCH)
        dial_batch_flush(d);
    b->at[b->n] = (struct dial_out){to, c->cls == MEDIA_VIDEO, c->len};
    memcpy(b->bytes[b->n], c->bytes, c->len);
    b->n++;
}
