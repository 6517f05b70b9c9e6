/* The session's inside, for session.c (what happens when), session_rest.c (the controller) and session_probe.c (one probe). */
#ifndef BERTH_AGENT_SESSION_INTERNAL_H
#define BERTH_AGENT_SESSION_INTERNAL_H

#include "network_id.h"
#include "probe_io.h"
#include "report.h"
#include "resolver.h"
#include "rest_client.h"
#include "schedule.h"
#include "session.h"

enum session_phase { PHASE_REST, PHASE_FETCH, PHASE_RESOLVE, PHASE_PROBE, PHASE_DELIVER };

struct session {
    const struct agent_options *options;
    struct sys_poller *poller;
    struct session_events events;
    void *user;
    SSL_CTX *tls_ctx;
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
    char etag[128];            /* of results.list; "" where the list isn't the controller's */
    struct resolver *resolver; /* PHASE_RESOLVE */
    bool resolved;
    struct probe_io *io; /* PHASE_PROBE */
    struct prober_target_spec *targets;
    struct kept_report kept;

    struct sys_watch netwatch; /* fd -1: not watching */
    uint8_t network_key[NETWORK_ID_KEY_LEN];
    char local_network[NETWORK_ID_TEXT_LEN]; /* at the last probe, without mapped addresses */
};

/* session.c */
void session_log(struct session *s, int level, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* The probe could not begin; where it watches it is tried again after a pause. */
void session_probe_failed(struct session *s, int error, int http_status, int64_t retry_after_us,
                          const char *detail, int64_t now_us);
void session_network_id(struct session *s, char out[static NETWORK_ID_TEXT_LEN], const struct addr *mapped,
                        size_t n_mapped);

/* session_rest.c: both start a call that ends in another phase. */
void session_fetch(struct session *s, int64_t now_us);
void session_deliver(struct session *s, int64_t now_us);

/* session_probe.c */
void session_resolve(struct session *s, int64_t now_us);
void session_resolved(struct session *s, int64_t now_us);
/* Probes results.list. */
void session_begin_probe(struct session *s, int64_t now_us);
/* Goes on with the probe; true when it has ended. */
bool session_step_probe(struct session *s, int64_t now_us);
void session_drop_probe(struct session *s);

#endif
