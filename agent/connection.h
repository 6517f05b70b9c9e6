/* One connection by a ladder, for as long as the caller wants it: race, stay, notice that it is lost, race again
 * after a pause. It has no lock and never waits. */
#ifndef BERTH_AGENT_CONNECTION_H
#define BERTH_AGENT_CONNECTION_H

#include "berth.h"
#include "path/ladder_io.h"
#include "proxy_finder.h"

enum {
    CONNECTION_BACKOFF_US = 1000 * 1000, /* the first pause where no rung works; it doubles */
    CONNECTION_BACKOFF_MAX_US = 30 * 1000 * 1000,
    CONNECTION_MEDIA_BACKOFF_MAX_US = 4 * 1000 * 1000, /* where a call waits for it */
    CONNECTION_STEADY_US =
        10 * 1000 * 1000, /* one that stood so long is raced again at once when it is lost */
};

struct connection_place { /* what it works with; borrowed */
    struct sys_poller *poller;
    SSL_CTX *tls_ctx;
    struct curl_loop *curl;
    const char *ca_file;
    const struct proxy_finder *finder; /* the session's: what it has found out counts for connections too */
};

struct connection {
    uint64_t id; /* 0: not in use */
    struct connection_place place;
    struct ladder_place ladder[LADDER_PLACES_MAX];
    size_t n;
    struct ladder_policy policy;
    int64_t keepalive_us;
    void (*changed)(void *user, struct berth_agent *agent, const struct berth_connection *c);
    void *user;
    /* Before each race: which proxies are known, and so may have our login. NULL: the ladder has no proxy. */
    struct proxy_finder *finder;
    bool ours[LADDER_PLACES_MAX]; /* a proxy is wanted, and the ladder names none */
    bool searching, found;
    bool asked_network; /* since the race with what was known before was lost */
    int64_t search_until_us;
    int state;                    /* enum berth_connection_state */
    struct media_leg_plan *media; /* its own; NULL: none */
    void (*packet)(void *user, const uint8_t *bytes, size_t len, bool rtcp,
                   int64_t now_us);  /* with media; gets `user` */
    struct media_leg_figures before; /* of races that are over */
    bool worked_here;                /* it came up in this network */
    int refusal;                     /* of the newest handshake: STUN's code; 0: it was not refused */
    struct ladder_io *io;            /* NULL: it could not be made, or is not yet */
    int64_t up_since_us, retry_us;
    unsigned failures;
    int64_t came_up;
    char detail[BERTH_ERROR_TEXT];
};

/* connection_options.c. Reads the options into a zeroed connection. 0, -EINVAL. */
int connection_options(struct connection *c, const struct berth_connect_options *o)
    __attribute__((warn_unused_result));
/* After connection_options: media on it from the first race on; the plan is copied. 0, or -ENOMEM. */
int connection_set_media(struct connection *c, const struct media_leg_plan *media,
                         void (*packet)(void *user, const uint8_t *bytes, size_t len, bool rtcp,
                                        int64_t now_us)) __attribute__((warn_unused_result));
/* A newer ticket, for handshakes from now on. */
void connection_set_grant(struct connection *c, const struct ticket_grant *grant);
/* Of all its races, where it has media; the round trips and jitter of the newest. */
void connection_media(const struct connection *c, int64_t now_us, struct media_leg_figures *out);
/* As ladder_io_send. */
int connection_send(struct connection *c, const uint8_t *packet, size_t len)
    __attribute__((warn_unused_result));
/* After connection_options: then `finder` is wanted, which becomes its own. */
bool connection_has_proxies(const struct connection *c);
/* Looks for proxies where it has to, then races from the first rung; `why` it is not the first time. */
void connection_begin(struct connection *c, const char *why, int64_t now_us);
/* The network may be changing: asks the peer whether it is still there. */
void connection_hurry(struct connection *c);
/* The network is another one. True: it begins again; false: its path is still the one that it had. */
bool connection_network_changed(struct connection *c, int64_t now_us);
/* Zeroes it. */
void connection_close(struct connection *c);
/* True: its state has changed. */
bool connection_step(struct connection *c, int64_t now_us);
int64_t connection_deadline(const struct connection *c);
void connection_public(const struct connection *c, int64_t now_us, struct berth_connection *out);
void connection_rung(const struct connection *c, size_t index, struct berth_rung_result *out);

#endif
