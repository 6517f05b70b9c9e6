/* A call's questions to the controller. Invariant: what was asked is answered to the call once: an assignment, or
 * that there is none; but what is told may make way. */
#include "session_calls.h"

#include "sys/clock.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CALL_REST_MS = 5000,
    CALL_PATH_MAX = sizeof("/v1/meetings//participants//failure") + BERTH_MEETING_TEXT + AGENT_ID_MAX,
};

int call_take(struct session_call *k, const char *text, bool answer, int64_t now_us)
{
    struct call_assignment a;
    int err = call_assignment_read(&a, text);
    if (err < 0)
        return err;
    if (!answer && a.epoch < k->assigned.epoch)
        return 0;       /* an event that was under way when a newer answer came */
    if (!a.has_grant) { /* an event may come without a ticket, which the answer to a JOIN has */
        if (!answer)
            call_ask_again(&k->is, now_us);
        return answer ? -EINVAL : 0;
    }
    char *copy = strdup(text);
    if (!copy)
        return -ENOMEM;
    free(k->assignment);
    k->assignment = copy;
    k->assigned = a;
    for (size_t i = 0; i < CALL_LEGS; i++) {
        if (k->paths[i].connection && strcmp(k->is.legs[i].to.node, a.to.node) == 0)
            connection_set_grant(k->paths[i].connection, &a.grant);
    }
    sodium_memzero(&a, sizeof a);
    call_tell_every(&k->is, k->assigned.tell_every_s, now_us);
    call_assigned(&k->is, &k->assigned.to, answer, now_us);
    return 0;
}

static void fail(struct session_call *k, int status, int64_t retry_after_us, const char *why, int64_t now_us)
{
    k->error = status == -EBADMSG ? BERTH_E_PROTOCOL : status == -ENOMEM ? -ENOMEM : session_classify(status);
    k->http_status = status > 0 ? status : 0;
    snprintf(k->reason, sizeof k->reason, "%s", why);
    session_log(k->s, BERTH_LOG_WARN, "call_unanswered", "%s: %s", k->meeting, why);
    call_unassigned(&k->is, status > 0 ? status : 0, retry_after_us, now_us);
}

static void on_answer(void *user, struct rest_call *call, long status)
{
    struct session_call *k = user;
    int64_t now = clock_mono_us();
    char detail[BERTH_ERROR_TEXT];
    int err = -EINVAL;
    session_hear_clock(k->s, call);
    if (status == 0 && k->s->phase == PHASE_REST && session_next_route(k->s)) {
        k->ask_due = true;
        return;
    }
    if (k->is.asking == CALL_ASK_TELL) {
        call_telling_answered(k, status, now);
        return;
    }
    if (k->is.asking == CALL_ASK_LEAVE) {
        call_unassigned(&k->is, (int)status, session_retry_after_us(call), now);
        return;
    }
    if (status / 100 == 2 && call->body)
        err = call_take(k, call->body, true, now);
    if (err == 0) {
        k->error = k->http_status = 0;
        return;
    }
    session_explain(call, status, detail);
    if (err == -ENOMEM)
        fail(k, -ENOMEM, 0, berth_strerror(-ENOMEM), now);
    else if (status / 100 == 2)
        fail(k, -EBADMSG, 0, "the controller's answer is no assignment with a ticket for media", now);
    else
        fail(k, (int)status, session_retry_after_us(call), detail, now);
}

/* {"agent", "network"}, as is known. */
static json_t *join_body(struct session *s)
{
    char network[BERTH_NETWORK_ID_TEXT];
    bool known = session_known_network(s, network) == 0;
    return json_pack("{s:s*, s:s*}", "agent", agent_options_name(s->options), "network",
                     known ? network : NULL);
}

static json_t *failure_body(const struct session_call *k)
{
    return json_pack("{s:s, s:s, s:s*}", "node", k->is.failed_node, "transport",
                     transport_name(k->is.failed_transport), "reason",
                     k->reason[0] != '\0' ? k->reason : NULL);
}

static int start(struct session_call *k, const char *method, const char *path, json_t *body)
{
    struct proxy_hop hop;
    struct rest_request r = session_request(k->s, method, path);
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    r.proxy = session_route(k->s, &hop);
    r.timeout_ms = CALL_REST_MS;
    r.body = text;
    int err = body && !text ? -ENOMEM : rest_client_start(k->rest, &r, on_answer, k);
    free(text);
    return err;
}

static int start_question(struct session_call *k, int64_t now_us)
{
    char path[CALL_PATH_MAX];
    json_t *body = NULL;
    int err = 0;
    switch (k->is.asking) {
    case CALL_ASK_NOTHING:
        return 0;
    case CALL_ASK_JOIN:
        body = join_body(k->s);
        snprintf(path, sizeof path, "/v1/meetings/%s/participants", k->meeting);
        err = body ? start(k, "POST", path, body) : -ENOMEM;
        break;
    case CALL_ASK_FAILURE:
        body = failure_body(k);
        snprintf(path, sizeof path, "/v1/meetings/%s/participants/%s/failure", k->meeting,
                 k->assigned.participant);
        err = body ? start(k, "POST", path, body) : -ENOMEM;
        break;
    case CALL_ASK_LEAVE:
        snprintf(path, sizeof path, "/v1/meetings/%s/participants/%s", k->meeting, k->assigned.participant);
        err = start(k, "DELETE", path, NULL);
        break;
    case CALL_ASK_TELL:
        body = call_telling(k, now_us);
        err = body ? start(k, "POST", "/v1/reports", body) : -ENODATA;
        break;
    }
    json_decref(body);
    return err;
}

void call_ask(struct session_call *k, int64_t now_us)
{
    struct session *s = k->s;
    int rc = 0;
    k->ask_due = false;
    rest_client_cancel(k->rest); /* something may be told just now: this is before it */
    if (k->is.asking != CALL_ASK_TELL)
        k->n_telling = 0;
    if (k->is.asking == CALL_ASK_LEAVE && k->assigned.participant[0] == '\0') {
        call_unassigned(&k->is, 204, 0, now_us); /* nobody knows of us */
        return;
    }
    if (s->route_known || s->phase == PHASE_REST)
        rc = session_find_route(s, session_step_calls, now_us);
    else
        rc = 1; /* another job has its turn */
    if (rc > 0) {
        k->ask_due = true;
        return;
    }
    int err = rc < 0 ? rc : start_question(k, now_us);
    if (err < 0 && k->is.asking == CALL_ASK_TELL)
        call_telling_answered(k, 0, now_us);
    else if (err < 0)
        fail(k, err == -ENOMEM ? -ENOMEM : 0, 0, berth_strerror(err), now_us);
}
