/* The session's calls, inside: session_calls.c (their life), session_call_legs.c (their connections),
 * session_call_rest.c (their questions to the controller), session_call_tell.c (what they measured). */
#ifndef BERTH_AGENT_SESSION_CALLS_H
#define BERTH_AGENT_SESSION_CALLS_H

#include "call.h"
#include "call_assignment.h"
#include "session_internal.h"

struct call_path { /* of a leg */
    struct session_call *call;
    size_t leg;
    uint64_t id;                   /* of the connection, for the caller */
    struct connection *connection; /* NULL: none */
    bool up;                       /* as the call was told */
    char node[BERTH_NODE_MAX + 1];
    enum transport transport; /* of what it is up on */
    struct call_expected expected;
    struct call_stretch_mark mark;
    uint64_t news_number;
    size_t n_told; /* refused SSRCs */
    uint32_t told[MEDIA_REFUSED_MAX];
};

struct session_call {
    uint64_t id;
    struct session *s;
    struct call is;
    struct rest_client *rest;
    bool ask_due;     /* the question has to wait for the way to the controller */
    char *assignment; /* the newest one's text; NULL: none yet */
    struct call_assignment assigned;
    char meeting[BERTH_MEETING_TEXT];
    struct call_path paths[CALL_LEGS];
    struct berth_connect_options timers;
    uint8_t audio_level_ext, transport_wide_ext;
    struct session_call_user user;
    int told_state, told_transport;
    char told_node[BERTH_NODE_MAX + 1];
    int64_t began_us, up_us;         /* up_us: -1 before the first UP */
    struct media_leg_figures before; /* of connections that are closed */
    struct call_stretches stretches; /* that aren't told yet */
    size_t n_telling;                /* the first of them are being told */
    int64_t packets_dropped, send_dropped;
    int error, http_status;
    char suite[32], reason[BERTH_ERROR_TEXT];
    char told_reason[BERTH_ERROR_TEXT];
};

/* session_call_legs.c */
void call_open_path(struct session_call *k, size_t leg, int64_t now_us);
void call_close_path(struct session_call *k, size_t leg, int64_t now_us);
void call_step_paths(struct session_call *k, int64_t now_us);
/* The network is another one. True: a path has to be looked for anew. */
bool call_paths_changed(struct session_call *k, int64_t now_us);
int64_t call_paths_deadline(const struct session_call *k);
void call_figures(const struct session_call *k, int64_t now_us, struct media_leg_figures *out);

/* session_call_tell.c: what the call has measured, where the controller wants to know. */
void call_stretch_up(struct call_path *p, int64_t now_us);
/* A path that was up: `f` are its connection's figures. */
void call_stretch_over(struct call_path *p, enum call_end how, const struct media_leg_figures *f,
                       int64_t now_us);
/* The report to be sent, a new reference; NULL: there is nothing to tell, or no memory. */
json_t *call_telling(struct session_call *k, int64_t now_us);
void call_telling_answered(struct session_call *k, long status, int64_t now_us);

/* session_call_rest.c */
void call_ask(struct session_call *k, int64_t now_us);
/* The text of an assignment: an answer's, or an event's. 0, -ENOMEM, or -EINVAL: it is none. */
int call_take(struct session_call *k, const char *text, bool answer, int64_t now_us);

#endif
