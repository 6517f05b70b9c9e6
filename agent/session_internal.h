/* The session's inside, for session.c (what happens when), session_rest.c (the controller), session_proxy.c (the way
 * out), session_probe.c (one probe), session_connect.c (connections by a ladder), session_calls.c (calls) and
 * session_networks.c (networks that are known). */
#ifndef BERTH_AGENT_SESSION_INTERNAL_H
#define BERTH_AGENT_SESSION_INTERNAL_H

#include "core/sse.h"
#include "network_id.h"
#include "network_memory.h"
#include "probe/probe_io.h"
#include "proxy_finder.h"
#include "report.h"
#include "resolver.h"
#include "rest_client.h"
#include "schedule.h"
#include "session.h"
#include "sys_machine.h"

enum session_phase { PHASE_REST, PHASE_FIND, PHASE_FETCH, PHASE_RESOLVE, PHASE_PROBE, PHASE_DELIVER };

enum { KNOWN_NETWORKS = 8, CALL_PLACES = 2 * BERTH_CALLS_MAX };

/* Following the controller's events: for the caller, for calls, or both. */
struct following {
    uint64_t number; /* of the following; 0: none */
    bool callers;    /* the caller follows: `event`, `user` */
    uint64_t last_number;
    void (*event)(void *user, struct berth_agent *agent, const struct berth_event *e);
    void *user;
    struct rest_client *client;
    char *room; /* sse's */
    struct sse sse;
    char last_id[SSE_ID_MAX + 1];
    bool open, up;           /* a call is under way; and it has said something */
    int64_t open_at_us;      /* the next call; SCHEDULE_NEVER while one is open */
    int64_t heard_us, up_us; /* when something came last; when it came up */
    int64_t asked_pause_us;  /* the controller has said when to come back; -1: it hasn't */
    int64_t probe_at_us;     /* asked for; SCHEDULE_NEVER: not */
    unsigned failures;
};

struct session {
    const struct agent_options *options;
    struct sys_poller *poller;
    struct session_events events;
    void *user;
    SSL_CTX *tls_ctx;
    struct tls_fallback *fallback; /* of tls_ctx, where it has a CA of its own */
    struct curl_loop *curl;
    struct rest_client *rest;
    struct schedule schedule;
    enum session_phase phase;
    int told_state;

    bool requested, report_requested; /* a probe, by the caller */
    bool cancelled;
    bool reporting; /* the probe under way ends with a report */
    int64_t began_us;

    struct results results;
    int64_t clock_ahead_us; /* of this machine before the controller; 0: it is right, or that isn't known */
    char etag[128];         /* of results.list; "" where the list isn't the controller's */
    struct resolver *resolver; /* PHASE_RESOLVE */
    bool resolved;
    int64_t resolve_deadline_us;
    struct probe_io *io; /* PHASE_PROBE */
    struct prober_target_spec *targets;
    struct kept_report kept;

    struct proxy_finder *finder;
    bool found; /* PHASE_FIND */
    int64_t find_deadline_us;
    void (*after_find)(struct session *s, int64_t now_us);
    struct proxy_list route; /* to the controller; empty: directly */
    struct proxy_table route_table;
    size_t route_at; /* the candidate that is used */
    bool route_known, asked_network;
    void (*after_route)(struct session *s, int64_t now_us); /* NULL: no route is looked for */
    char fetch_error[BERTH_ERROR_TEXT];                     /* with which the network was asked */

    struct sys_watch netwatch; /* fd -1: not watching */
    uint8_t network_key[NETWORK_ID_KEY_LEN];
    char local_network[NETWORK_ID_TEXT_LEN]; /* at the last probe, without mapped addresses */
    struct known_network known[KNOWN_NETWORKS];
    struct known_network reported; /* of the kept report */

    struct following following;

    struct connection connections[BERTH_CONNECTIONS_MAX];
    uint64_t last_connection;
    struct settle connect_settle;
    char connected_network[NETWORK_ID_TEXT_LEN]; /* in which the connections were raced */

    struct session_call *calls[CALL_PLACES]; /* those that are being left included */
    bool stepping_calls;                     /* in session_step_calls */
    struct call_stretches untold;            /* of calls that are over: for the next report */
    uint64_t last_call;
};

/* session.c */
void session_log(struct session *s, int level, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* The probe could not begin; where it watches it is tried again after a pause. */
void session_probe_failed(struct session *s, int error, int http_status, int64_t retry_after_us,
                          const char *detail, int64_t now_us);
void session_network_id(struct session *s, char out[static NETWORK_ID_TEXT_LEN], const struct addr *mapped,
                        size_t n_mapped);

/* Listens to changes of the network, or no longer, as is needed now. 0, or -errno. */
int session_listen(struct session *s);
int session_make_finder(struct session *s, struct proxy_finder **out) __attribute__((warn_unused_result));

/* session_networks.c */
void session_remember_network(struct session *s); /* the report of it is stored */

/* session_connect.c */
bool session_has_connections(const struct session *s);
void session_connections_changed(struct session *s, int64_t now_us); /* a sign that the network did */
void session_step_connections(struct session *s, int64_t now_us);
int64_t session_connections_deadline(const struct session *s);
void session_close_connections(struct session *s);
struct connection_place session_connection_place(const struct session *s);
void session_connections_begin(struct session *s); /* one is to be raced, in the network that there is now */

/* session_calls.c */
void session_step_calls(struct session *s, int64_t now_us);
int64_t session_calls_deadline(const struct session *s);
void session_close_calls(struct session *s);
void session_calls_event(struct session *s, int kind, const char *data, int64_t now_us);
void session_calls_hurry(struct session *s);
void session_calls_network_changed(struct session *s, int64_t now_us);
void session_calls_token_changed(struct session *s, int64_t now_us);
const struct connection *session_call_connection(const struct session *s, uint64_t id); /* or NULL */

/* session_rest.c: both start a call that ends in another phase. */
void session_fetch(struct session *s, int64_t now_us);
void session_deliver(struct session *s, int64_t now_us);
/* The report that is kept, if any, won't be delivered, and that is told. */
void session_give_up_report(struct session *s, int error);

/* What the controller (or curl) says of a failure, for people; an enum berth_error of it; Retry-After, or 0. */
void session_explain(const struct rest_call *call, long status, char out[static BERTH_ERROR_TEXT]);
int session_classify(long status);
int64_t session_retry_after_us(const struct rest_call *call);
/* Unix time by the controller's clock, as far as the answers that were heard tell it. */
void session_hear_clock(struct session *s, const struct rest_call *call);
int64_t session_wall_us(const struct session *s);
struct rest_request session_request(const struct session *s, const char *method, const char *path);

/* session_stream.c */
void session_step_stream(struct session *s, int64_t now_us);
int64_t session_stream_deadline(const struct session *s);
void session_open_stream(struct session *s, int64_t now_us);    /* once the way is known */
void session_restart_stream(struct session *s, int64_t now_us); /* the network is another one */
void session_close_stream(struct session *s);
/* Calls have come or gone: the stream is followed as long as there is one. 0, or -ENOMEM. */
int session_follow_for_calls(struct session *s, int64_t now_us);

/* session_proxy.c */
/* The proxy that calls go through now, in *hop; NULL: none. */
const struct rest_proxy *session_route(struct session *s, struct proxy_hop *hop);
/* 0: the way to the controller is known. 1: it will be, and then `next` is called (perhaps before this returns).
 * -errno: it can't be looked for. */
int session_find_route(struct session *s, void (*next)(struct session *s, int64_t now_us), int64_t now_us)
    __attribute__((warn_unused_result));
void session_forget_route(struct session *s);
void session_find_again(struct session *s);  /* the network is another one */
bool session_next_route(struct session *s);  /* the next candidate; false: there is none, begin again */
bool session_ask_network(struct session *s); /* from now on; false: it is asked already, or must not be */
bool session_route_is_direct(const struct session *s);
bool session_step_find(struct session *s, int64_t now_us); /* PHASE_FIND; true: it has ended */

/* session_probe.c */
void session_resolve(struct session *s, int64_t now_us);
void session_resolved(struct session *s, int64_t now_us);
/* Probes results.list: first finds the proxies that lead there (session_proxy.c). */
void session_begin_probe(struct session *s, int64_t now_us);
void session_start_probe(struct session *s, int64_t now_us);
/* Goes on with the probe; true when it has ended. */
bool session_step_probe(struct session *s, int64_t now_us);
void session_drop_probe(struct session *s);

#endif
