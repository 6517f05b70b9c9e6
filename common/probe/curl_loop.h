/* Transfers of libcurl on the caller's poller: REST calls and tunnels through proxies. One thread at a time. */
#ifndef BERTH_PROBE_CURL_LOOP_H
#define BERTH_PROBE_CURL_LOOP_H

#include "probe/sys.h"

#include <curl/curl.h>

struct curl_loop;
/* One transfer; the caller's memory, which stays where it is from curl_loop_add to curl_loop_remove. */
struct curl_job {
    CURL *easy; /* the caller's */
    bool added;
    bool unwatched; /* there was no memory to watch its socket: it ends with the next step */
    bool told;
    struct curl_job *next;
    void (*done)(struct curl_job *job,
                 CURLcode code); /* from curl_loop_step, once; it may remove and add jobs */
};

int curl_loop_new(struct curl_loop **out, struct sys_poller *poller) __attribute__((warn_unused_result));
/* When all jobs are removed. */
void curl_loop_destroy(struct curl_loop *l);
int curl_loop_add(struct curl_loop *l, struct curl_job *job) __attribute__((warn_unused_result));
/* A finished job stays until then, and with it the connection that CURLOPT_CONNECT_ONLY left open. Nothing happens if it was not
 * added. */
void curl_loop_remove(struct curl_loop *l, struct curl_job *job);

/* To be called when the poller has dispatched, and at curl_loop_deadline. */
void curl_loop_step(struct curl_loop *l, int64_t now_us);
int64_t curl_loop_deadline(const struct curl_loop *l); /* monotonic; INT64_MAX: none */

#endif
