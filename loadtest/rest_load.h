/* HTTP/1.1 requests over kept connections, each with one request under way: at the times that a source says, or as fast as they are answered.
 * Latency counts from the time that was meant. One thread. */
#ifndef BERTH_LOADTEST_REST_LOAD_H
#define BERTH_LOADTEST_REST_LOAD_H

#include "core/addr.h"
#include "core/wire.h"
#include "histogram.h"

#include <stdbool.h>

enum {
    REST_LOAD_CONNECTIONS_MAX = 4096,
    REST_LOAD_REQUEST_MAX = 64 * 1024,
    REST_LOAD_ANSWER_MAX = 256 * 1024,
    REST_LOAD_TIMEOUT_US =
        15 * 1000000, /* a request that isn't answered by then has failed, and its connection with it */
    REST_LOAD_TOKEN_MAX = 256,
    REST_LOAD_STATUS_MAX = 600,
};

/* What is asked. Functions are called on the thread of rest_load_run. */
struct rest_source {
    void *ctx;
    /* When the next request is meant to be; 0: at once; INT64_MAX: no more. */
    int64_t (*peek_us)(void *ctx);
    /* Takes it: writes the whole request, and says by what tag the answer is to be known. Its length. */
    size_t (*take)(void *ctx, uint8_t *out, size_t cap, uint64_t *tag);
    /* Passes over what is meant to be before `until_us`, as if it had never been; how many. 0 where all is at once. */
    uint64_t (*skip)(void *ctx, int64_t until_us);
    /* NULL: nobody cares. Of what counts alone. `took_us` since the time that was meant. */
    void (*answered)(void *ctx, uint64_t tag, int status, struct slice body, int64_t took_us);
};

struct rest_load_opts {
    struct addr server;
    bool tls; /* whom it talks to isn't asked: load, not trust */
    size_t connections;
    int64_t warm_us;  /* what is meant to be before isn't counted, but as sent */
    int64_t until_us; /* on clock_mono_us(), as all times here; what is under way then is waited for */
    bool quiet;       /* else progress on a terminal */
};

struct rest_load_result {
    uint64_t sent;     /* with the warm-up: what a server may have had */
    uint64_t answered; /* with any status */
    uint64_t status[REST_LOAD_STATUS_MAX];
    uint64_t failed;          /* no answer: connection lost, silence */
    uint64_t missed;          /* due, but not begun when time was over */
    int64_t elapsed_us;       /* until nothing was begun any more, or the last answer */
    struct histogram latency; /* of those answered */
};

/* 0, or -errno: no socket, TLS not set up. */
int rest_load_run(const struct rest_load_opts *opts, const struct rest_source *source,
                  struct rest_load_result *out) __attribute__((warn_unused_result));

/* "http[s]://ADDR:PORT[/]", an address rather than a name. 0 or -EINVAL. */
int rest_load_url(struct rest_load_opts *opts, const char *url) __attribute__((warn_unused_result));
/* A request with a JSON body; "" for none. Its length; 0: no room. */
size_t rest_load_request(uint8_t *out, size_t cap, const char *method, const char *path, const char *token,
                         const void *body, size_t len);

#endif
