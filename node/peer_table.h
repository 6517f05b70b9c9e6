/* What a node knows of its peers, the other nodes: whom to probe when, the smoothed round trip to each, and what the
 * controller has not been told yet. Pure: times and figures in, decisions out. One thread at a time. */
#ifndef BERTH_NODE_PEER_TABLE_H
#define BERTH_NODE_PEER_TABLE_H

#include "core/doc.h"

enum {
    PEER_ROUND_MAX = 256, /* peers probed in one interval; of more, others have their turn in the next */
    PEER_WINDOW = 5,      /* probes of a peer whose least counts: a burst of traffic is no longer way */
    PEER_SMOOTHING = 4,   /* the figure goes this part of the way to the least */
    PEER_TELL_MAX = 64,   /* figures in one heartbeat */
    PEER_LOST_AFTER = 4,  /* probes in a row without an answer, over every transport that the peer has */
};
#define PEER_TELL_AGAIN_US (300LL * 1000 * 1000) /* what doesn't change is told again after this */
#define PEER_NONE          ((size_t)-1)

struct peer {
    struct node_entry entry;
    enum transport transport; /* to probe it over; TRANSPORT_PROXY: it has no address */
    int64_t window_us[PEER_WINDOW];
    size_t n_window; /* ever */
    int64_t rtt_us;  /* smoothed; NOT_MEASURED: none yet */
    int64_t at_us;   /* of the newest measurement */
    size_t silent;   /* probes since, without an answer */
    bool news;       /* measured since it was told */
    bool telling;    /* in the heartbeat under way */
    bool told;
    int64_t telling_us, told_us, told_at_us;
};

struct peer_table {
    size_t n;
    struct peer *at;
    int64_t interval_us;
    size_t next;    /* whose turn it is */
    int64_t due_us; /* when */
    size_t tell;    /* where the next heartbeat begins to look */
    uint64_t measured, failed;
};

/* `random`: where in the interval to begin, so that nodes which start together don't probe together. */
void peer_table_init(struct peer_table *t, int64_t interval_us, uint32_t random, int64_t now_us);
void peer_table_clear(struct peer_table *t);
/* Takes the list's entries over. Figures stay with peers whose addresses stay. 0, or -ENOMEM: nothing has changed. */
int peer_table_update(struct peer_table *t, const struct nodelist *list) __attribute__((warn_unused_result));

/* Whom to probe now, or PEER_NONE: nobody before peer_table_deadline. */
size_t peer_table_next(struct peer_table *t, int64_t now_us);
int64_t peer_table_deadline(const struct peer_table *t); /* INT64_MAX: never */
/* How a probe of `probed`, as it was in the table then, went. The list may have changed meanwhile: what was measured
 * of a peer that has gone, or has moved to other addresses, says nothing of any that is there now. */
/* True: the peer had been out of reach. */
bool peer_table_measured(struct peer_table *t, const struct node_entry *probed, int64_t rtt_us,
                         int64_t now_us);
/* Next time over the next transport that it has. True: from now on the peer is out of reach. */
bool peer_table_failed(struct peer_table *t, const struct node_entry *probed, enum transport transport);

struct peer_rtt {
    char node[NODE_ID_MAX + 1];
    int64_t rtt_us; /* NOT_MEASURED: out of reach */
};
/* What to tell now: figures that have changed by more than a twentieth and more than a millisecond, peers that are
 * out of reach now or back again, and what was told long ago. At most PEER_TELL_MAX; how many. peer_table_told
 * follows. */
size_t peer_table_tell(struct peer_table *t, struct peer_rtt out[static PEER_TELL_MAX], int64_t now_us);
/* Whether what peer_table_tell said last has been heard; else it is said again. */
void peer_table_told(struct peer_table *t, bool heard, int64_t now_us);
/* The controller may have forgotten everything: what was measured lately is told again. */
void peer_table_tell_all(struct peer_table *t, int64_t now_us);

struct peer_counts {
    size_t peers, known, lost; /* known: with a figure; lost: out of reach */
    int64_t newest_us;         /* when the newest measurement was; 0: there is none */
    uint64_t measured, failed; /* probes */
};
struct peer_counts peer_table_counts(const struct peer_table *t);

#endif
