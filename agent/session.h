/* What an agent does over time: fetch the list or resolve names, probe, keep and deliver the report, watch. It has
 * no lock and no thread and never waits; agent.c gives it both. Its events come only from within session_step. */
#ifndef BERTH_AGENT_SESSION_H
#define BERTH_AGENT_SESSION_H

#include "connection.h"
#include "options.h"
#include "packets.h"
#include "probe/sys.h"
#include "results.h"
#include "sys/tls.h"

struct session_call;
/* Whom a call tells. */
struct session_call_user {
    void (*packet)(void *user, struct berth_agent *agent, const struct berth_packet *p);
    void (*changed)(void *user, struct berth_agent *agent, const struct berth_call *c);
    void (*ssrc_refused)(void *user, struct berth_agent *agent, uint64_t call, uint32_t ssrc);
    void *user;
};

struct session_events {
    void (*result)(void *user, size_t row);
    void (*done)(void *user, const struct berth_summary *summary);
    void (*delivery)(void *user, const struct berth_delivery *delivery);
    void (*state)(void *user, int state);
    void (*connection)(void *user, const struct connection *c); /* its state has changed */
    /* Of the stream; `number` is the following's. False: it could not be kept, and has to come again. */
    bool (*stream)(void *user, uint64_t number, const struct berth_event *e);
    void (*call)(void *user, const struct session_call *k); /* its state, node or transport has changed */
    void (*ssrc_refused)(void *user, const struct session_call *k, uint32_t ssrc);
    bool (*packet)(void *user, const struct packet_head *h,
                   const uint8_t *bytes); /* false: there is no room */
    void (*log)(void *user, int level, const char *event, const char *text);
};

struct session;
/* Borrows options and poller; `events` is copied. 0, or -errno. */
int session_new(struct session **out, const struct agent_options *options, struct sys_poller *poller,
                const struct session_events *events, void *user) __attribute__((warn_unused_result));
void session_destroy(struct session *s);

/* As the public functions of these names say. They take effect in the next session_step. */
int session_probe(struct session *s, unsigned flags) __attribute__((warn_unused_result));
void session_cancel(struct session *s);
int session_watch(struct session *s, bool on, int64_t now_us) __attribute__((warn_unused_result));
void session_token_changed(struct session *s, int64_t now_us);

int session_connect(struct session *s, const struct berth_connect_options *o, int64_t now_us, uint64_t *id)
    __attribute__((warn_unused_result));
int session_disconnect(struct session *s, uint64_t id) __attribute__((warn_unused_result));
const struct connection *session_connection(const struct session *s,
                                            uint64_t id); /* a call's, too; or NULL */
int session_known_network(struct session *s, char out[static BERTH_NETWORK_ID_TEXT]);

int session_join(struct session *s, const struct berth_join_options *o, int64_t now_us, uint64_t *id)
    __attribute__((warn_unused_result));
int session_leave(struct session *s, uint64_t id, int64_t now_us) __attribute__((warn_unused_result));
int session_send(struct session *s, uint64_t id, const void *packet, size_t len)
    __attribute__((warn_unused_result));
const struct session_call *session_call(const struct session *s, uint64_t id); /* NULL: none, or left */
void session_call_public(const struct session_call *k, int64_t now_us, struct berth_call *out);
bool session_call_listener(const struct session *s, uint64_t id, struct session_call_user *out);
size_t session_call_count(const struct session *s); /* those that are being left included */

int session_follow(struct session *s, const struct berth_follow_options *o, int64_t now_us)
    __attribute__((warn_unused_result));
/* Whom to tell of this following; false: it has ended. */
bool session_follower(const struct session *s, uint64_t number,
                      void (**event)(void *user, struct berth_agent *agent, const struct berth_event *e),
                      void **user);

/* To be called when the poller has dispatched, and at session_deadline. */
void session_step(struct session *s, int64_t now_us);
int64_t session_deadline(const struct session *s); /* monotonic; INT64_MAX: none */
int session_state(const struct session *s);        /* enum berth_state */
const struct results *session_results(const struct session *s);

#endif
