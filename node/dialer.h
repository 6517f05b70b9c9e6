/* Links that this node dials to others (docs/media.md, "Joined nodes"): a thread that climbs the ladder to each,
 * shakes hands, asks for consent, and carries packets between the connection and the meeting's home, which has the
 * keys. What has fallen is dialled again. Any thread may call. */
#ifndef BERTH_NODE_DIALER_H
#define BERTH_NODE_DIALER_H

#include "control_proxy.h"
#include "links.h"
#include "media/exchange.h"
#include "stats.h"

struct dialer_opts {
    struct media_exchange *exchange;
    const char *ca; /* of peers that are reached by TLS alone; NULL: the system's */
    const struct control_proxy
        *proxy; /* copied; the ladder's last rung goes through it, where there is one */
    /* A ticket doesn't count any more: ask for new ones. On the dialer's thread. */
    void (*tickets_wanted)(void *ctx);
    void *ctx;
    struct log *log;
};

struct dialer;
/* 0, or -errno. Nobody is dialled before dialer_update. */
int dialer_start(struct dialer **out, const struct dialer_opts *opts) __attribute__((warn_unused_result));
/* What is to be linked from now on; taken. Links that it doesn't name end. */
void dialer_update(struct dialer *d, struct link_orders *orders);
/* Ends every link, and the thread. dialer_update may be called until dialer_destroy, for nothing. NULL is fine to both. */
void dialer_stop(struct dialer *d);
void dialer_destroy(struct dialer *d);

/* X(field, labels, help): counters of the family berth_node_link_dials_total. */
#define DIALER_RESULTS(X)            \
    X(up, "result=\"up\"")           \
    X(refused, "result=\"refused\"") \
    X(failed, "result=\"failed\"")
struct dialer_counts {
    int64_t wanted;                 /* links that are to be dialled */
    int64_t links[TRANSPORT_COUNT]; /* that are up now */
#define X(field, labels) uint64_t field;
    DIALER_RESULTS(X)
#undef X
    uint64_t lost; /* of those that were up */
    struct links_left_out left_out;
};
struct dialer_counts dialer_read(struct dialer *d);
void dialer_metrics(const struct dialer_counts *c, struct metrics_text *m);
/* Packets, as the other threads' */
const struct node_stats *dialer_stats(const struct dialer *d);

#endif
