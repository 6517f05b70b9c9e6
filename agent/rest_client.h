/* REST calls on the agent's poller, without waiting. One thread at a time. */
#ifndef BERTH_AGENT_REST_CLIENT_H
#define BERTH_AGENT_REST_CLIENT_H

#include "probe/curl_loop.h"
#include "sys/rest.h"

/* The call has ended: `status` is the HTTP status, or 0 with call->error saying why there is none. *call is freed after it returns.
 * A new call may be started here. */
typedef void (*rest_client_cb)(void *user, struct rest_call *call, long status);

struct rest_client;
int rest_client_new(struct rest_client **out, struct curl_loop *loop) __attribute__((warn_unused_result));
/* Drops the call under way. No callback. */
void rest_client_destroy(struct rest_client *c);
/* One call at a time. 0, -EBUSY, -EINVAL (URL), -ENOMEM. Everything is copied. It calls back from curl_loop_step. */
int rest_client_start(struct rest_client *c, const struct rest_request *r, rest_client_cb cb, void *user)
    __attribute__((warn_unused_result));
/* Drops the call under way, if any. No callback. */
void rest_client_cancel(struct rest_client *c);
/* Connections made until now are not used again: the network is another one. */
void rest_client_forget(struct rest_client *c);

#endif
