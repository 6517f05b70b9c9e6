/* What dial.c and dialer.c share: one link that is ordered, and the thread that has them all. */
#ifndef BERTH_NODE_DIALER_INTERNAL_H
#define BERTH_NODE_DIALER_INTERNAL_H

#include "backoff.h"
#include "dialer.h"
#include "path/ladder_io.h"

#include <pthread.h>

enum {
    DIAL_SLOT_BITS = 16,
    DIAL_FIRST_US = 250 * 1000,       /* the least pause before a link is dialled again ... */
    DIAL_MOST_US = 8 * 1000 * 1000,   /* ... and the most */
    DIAL_STEADY_US = 5 * 1000 * 1000, /* one that was up so long is dialled again as if for the first time */
    DIAL_RETRY_US = 5 * 1000,         /* a ring was full */
    DIAL_HELD_US = 10 * 1000 * 1000, /* after so long without a word its home doesn't have it: one was lost */
};
_Static_assert((int)LINKS_ORDERS_MAX <= 1 << DIAL_SLOT_BITS, "a link's number has its slot");

/* A link that is ordered. */
struct dial {
    uint64_t id; /* media_plan_link_id */
    struct link_order order;
    struct dialer *dialer;
    struct ladder_io *io;   /* NULL: it waits */
    struct media_path path; /* of the link, as its home knows it */
    uint8_t home;
    uint64_t n_keys;         /* that the home has been told; 0: it doesn't know of it */
    uint64_t gone;           /* a link's number whose end the home is still to be told; 0: none */
    int64_t due_us;          /* it waits until then */
    int64_t stands_until_us; /* the other node has dialled */
    int64_t began_us, up_us;
    int64_t held_us; /* when its home spoke of it last, or was told */
    uint64_t packets_in, packets_out;
    struct backoff backoff;
    bool wanted, failing; /* failing: that has been logged */
};

enum { DIAL_BATCH = 64 };

/* Packets for links, gathered from the homes' rings so that they leave in few calls. */
struct dial_batch {
    size_t n;
    struct dial_out {
        struct dial *to;
        bool video;
        size_t len;
    } at[DIAL_BATCH];
    uint8_t bytes[DIAL_BATCH][MEDIA_CELL_BYTES];
};

struct dialer {
    struct dial_batch batch; /* empty but while rings are read */
    struct dialer_opts opts;
    struct control_proxy proxy;
    struct sys_thread *thread;
    struct sys_poller *poller;
    struct curl_loop *curl;
    struct sys_watch wakeup, bell;
    int wakeup_fd;
    SSL_CTX *tls;
    uint8_t self;   /* its number among the exchange's parties */
    size_t n_slots; /* behind them all are NULL */
    struct dial *dials[LINKS_ORDERS_MAX];
    uint64_t generation;
    int64_t tickets_us; /* new ones are not asked for before */
    bool ringing[256];  /* threads whose bell is to be rung */
    struct node_stats stats;
    struct dialer_counts counts;
    _Atomic bool stop;
    pthread_mutex_t lock;       /* of what follows */
    struct link_orders *orders; /* NULL: none are new */
    struct dialer_counts shown;
};

/* ---- dial_batch.c ---- */
/* A packet that a home has for a link; NULL: it is there no more. */
void dial_batch_add(struct dialer *d, struct dial *to, const struct media_cell *c);
/* Sends them: before anything becomes of a link, and at the end. */
void dial_batch_flush(struct dialer *d);

/* The newest orders, if there are any. */
void dialer_take_orders(struct dialer *d);
/* Of the link in that slot, which may be empty afterwards. */
int64_t dialer_step_one(struct dialer *d, size_t slot, int64_t now_us);
/* Does what is due of one that is wanted; when to come again. */
int64_t dial_step(struct dial *x, size_t slot, int64_t now_us);
/* Ends the connection, if there is one. `told`: the home knows. */
void dial_drop(struct dial *x, const char *why, bool told);
/* False: its ring is full. */
bool dial_tell_gone(struct dialer *d, struct dial *x);
/* What it runs over; only once it is up. */
enum transport dial_transport(const struct dial *x);

#endif
