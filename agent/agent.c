/* The public functions: a lock, a queue of callbacks and perhaps a thread around a session. Invariant: no callback is made with the
 * lock held, and at most one thread dispatches. */
#include "berth.h"

#include "events.h"
#include "session.h"
#include "sys/clock.h"

#include <curl/curl.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct berth_agent {
    pthread_mutex_t lock; /* of all that follows but poller and wake_fd, which never change */
    struct agent_options options;
    struct sys_poller *poller;
    struct sys_watch wake;
    int wake_fd;
    struct session *session;
    struct events events;
    struct packets packets;
    struct sys_thread *thread;
    int thread_error; /* that ended the thread; 0: none */
    bool stopping;    /* the thread is asked to end */
    bool dispatching; /* by some thread */
};

/* curl and libsodium want to be initialised once in a process, and threads may make their first agents at the same time. */
static pthread_once_t libraries_once = PTHREAD_ONCE_INIT;

static void init_libraries(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    (void)!srtp_leg_library(); /* where it fails no session can be made, which is told then */
    if (sodium_init() < 0)
        return; /* only without any randomness, and then libsodium itself aborts at the first use */
}

/* ---- the session's events, in the queue ---- */

static void on_result(void *user, size_t row)
{
    struct berth_agent *a = user;
    struct event *e = events_push(&a->events, EVENT_RESULT);
    if (e)
        results_public(session_results(a->session), row, &e->u.result);
}

static void on_done(void *user, const struct berth_summary *summary)
{
    struct berth_agent *a = user;
    struct event *e = events_push(&a->events, EVENT_DONE);
    if (e)
        e->u.done = *summary;
}

static void on_delivery(void *user, const struct berth_delivery *delivery)
{
    struct berth_agent *a = user;
    struct event *e = events_push(&a->events, EVENT_DELIVERY);
    if (e)
        e->u.delivery = *delivery;
}

static void on_state(void *user, int state)
{
    struct berth_agent *a = user;
    struct event *e = events_push(&a->events, EVENT_STATE);
    if (e)
        e->u.state = state;
}

static void on_connection(void *user, const struct connection *c)
{
    struct berth_agent *a = user;
    struct event *e = c->changed ? events_push(&a->events, EVENT_CONNECTION) : NULL;
    if (!e)
        return;
    connection_public(c, clock_mono_us(), &e->u.connection.is);
    e->u.connection.changed = c->changed;
    e->u.connection.user = c->user;
}

static bool on_stream(void *user, uint64_t number, const struct berth_event *e)
{
    struct berth_agent *a = user;
    return events_push_stream(&a->events, number, e);
}

static void on_call(void *user, const struct session_call *k)
{
    struct berth_agent *a = user;
    struct berth_call is;
    struct session_call_user to;
    session_call_public(k, clock_mono_us(), &is);
    struct event *e = session_call_listener(a->session, is.id, &to) && to.changed
                          ? events_push(&a->events, EVENT_CALL)
                          : NULL;
    if (!e)
        return;
    e->u.call.is = is;
    e->u.call.changed = to.changed;
    e->u.call.user = to.user;
}

static void on_ssrc_refused(void *user, const struct session_call *k, uint32_t ssrc)
{
    struct berth_agent *a = user;
    struct berth_call is;
    struct session_call_user to;
    session_call_public(k, clock_mono_us(), &is);
    struct event *e = session_call_listener(a->session, is.id, &to) && to.ssrc_refused
                          ? events_push(&a->events, EVENT_SSRC_REFUSED)
                          : NULL;
    if (!e)
        return;
    e->u.ssrc.call = is.id;
    e->u.ssrc.ssrc = ssrc;
    e->u.ssrc.ssrc_refused = to.ssrc_refused;
    e->u.ssrc.user = to.user;
}

static bool on_packet(void *user, const struct packet_head *h, const uint8_t *bytes)
{
    struct berth_agent *a = user;
    return packets_push(&a->packets, h, bytes);
}

static void on_log(void *user, int level, const char *event, const char *text)
{
    struct berth_agent *a = user;
    struct event *e = a->options.callbacks.log ? events_push(&a->events, EVENT_LOG) : NULL;
    if (!e)
        return;
    e->u.log.level = level;
    snprintf(e->u.log.name, sizeof e->u.log.name, "%s", event);
    snprintf(e->u.log.text, sizeof e->u.log.text, "%s", text);
}

/* ---- life ---- */

static void on_wake(void *user, unsigned events)
{
    struct berth_agent *a = user;
    sys_wakeup_clear(a->wake_fd);
}

static int open_agent(struct berth_agent *a)
{
    static const struct session_events events = {.result = on_result,
                                                 .done = on_done,
                                                 .delivery = on_delivery,
                                                 .state = on_state,
                                                 .connection = on_connection,
                                                 .stream = on_stream,
                                                 .call = on_call,
                                                 .ssrc_refused = on_ssrc_refused,
                                                 .packet = on_packet,
                                                 .log = on_log};
    int err = sys_poller_new(&a->poller);
    if (err < 0)
        return err;
    a->wake_fd = sys_wakeup_open();
    if (a->wake_fd < 0)
        return a->wake_fd;
    err = sys_watch_add(a->poller, &a->wake, a->wake_fd, SYS_READ, on_wake, a);
    return err < 0 ? err : session_new(&a->session, &a->options, a->poller, &events, a);
}

int berth_agent_create(struct berth_agent **out, const struct berth_options *options)
{
    if (!out || !options)
        return -EINVAL;
    pthread_once(&libraries_once, init_libraries);
    struct berth_agent *a = calloc(1, sizeof *a);
    if (!a)
        return -ENOMEM;
    a->wake_fd = -1;
    pthread_mutex_init(&a->lock, NULL);
    int err = events_open(&a->events);
    if (err == 0)
        err = agent_options_init(&a->options, options);
    if (err == 0)
        err = open_agent(a);
    if (err < 0) {
        berth_agent_destroy(a);
        return err;
    }
    *out = a;
    return 0;
}

void berth_agent_destroy(struct berth_agent *agent)
{
    if (!agent)
        return;
    berth_agent_stop_thread(agent);
    session_destroy(agent->session);
    if (agent->poller)
        sys_watch_remove(agent->poller, &agent->wake);
    sys_close(agent->wake_fd);
    sys_poller_destroy(agent->poller);
    events_close(&agent->events);
    packets_clear(&agent->packets);
    agent_options_clear(&agent->options);
    pthread_mutex_destroy(&agent->lock);
    free(agent);
}

/* ---- the loop ---- */

int berth_agent_fd(const struct berth_agent *agent)
{
    return sys_poller_fd(agent->poller);
}

/* Microseconds until there is something to do; -1: never. With the lock held. */
static int64_t time_left_us(const struct berth_agent *a)
{
    int64_t deadline = session_deadline(a->session);
    if (a->events.n > 0 || a->packets.n > 0)
        return 0;
    if (deadline == INT64_MAX)
        return -1;
    int64_t left = deadline - clock_mono_us();
    return left > 0 ? left : 0;
}

int berth_agent_timeout(struct berth_agent *agent)
{
    pthread_mutex_lock(&agent->lock);
    int64_t left = time_left_us(agent);
    pthread_mutex_unlock(&agent->lock);
    int64_t ms = left < 0 ? -1 : (left + 999) / 1000;
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

/* What it is about may have been closed meanwhile. */
static bool is_current(const struct berth_agent *a, struct event *e)
{
    if (e->kind == EVENT_CONNECTION)
        return session_connection(a->session, e->u.connection.is.id) != NULL;
    if (e->kind == EVENT_CALL)
        return session_call(a->session, e->u.call.is.id) != NULL;
    if (e->kind == EVENT_SSRC_REFUSED)
        return session_call(a->session, e->u.ssrc.call) != NULL;
    if (e->kind == EVENT_STREAM)
        return session_follower(a->session, e->u.stream.number, &e->u.stream.event, &e->u.stream.user);
    return true;
}

/* With the lock held, which it lets go of while the caller's code runs. */
static void tell_events(struct berth_agent *a)
{
    struct event e;
    while (!a->stopping && events_pop(&a->events, &e)) {
        if (is_current(a, &e)) {
            pthread_mutex_unlock(&a->lock);
            event_tell(&e, &a->options.callbacks, a->options.user, a);
            pthread_mutex_lock(&a->lock);
        }
        event_clear(&e);
    }
}

/* The same for packets, of which a callback sees one at a time. */
static void tell_packets(struct berth_agent *a)
{
    struct packet_head h;
    struct session_call_user to;
    uint8_t bytes[PACKET_LEN_MAX];
    while (!a->stopping && packets_pop(&a->packets, &h, bytes)) {
        if (!session_call_listener(a->session, h.call, &to) || !to.packet)
            continue;
        const struct berth_packet p = {
            .call = h.call, .bytes = bytes, .len = h.len, .rtcp = h.rtcp, .received_us = h.received_us};
        pthread_mutex_unlock(&a->lock);
        to.packet(to.user, a, &p);
        pthread_mutex_lock(&a->lock);
    }
}

/* With the lock held. */
static int dispatch(struct berth_agent *a)
{
    if (a->dispatching)
        return -EBUSY;
    a->dispatching = true;
    int err = sys_poller_dispatch(a->poller);
    if (err == 0)
        session_step(a->session, clock_mono_us());
    tell_events(a);
    tell_packets(a);
    a->dispatching = false;
    return err;
}

int berth_agent_dispatch(struct berth_agent *agent)
{
    pthread_mutex_lock(&agent->lock);
    int err = agent->thread || agent->stopping ? -EBUSY : dispatch(agent);
    pthread_mutex_unlock(&agent->lock);
    return err;
}

/* With the lock held. */
static void tell_thread_failed(struct berth_agent *a, int error)
{
    on_log(a, BERTH_LOG_ERROR, "thread_failed", berth_strerror(error));
    a->dispatching = true;
    tell_events(a);
    a->dispatching = false;
}

static void thread_run(void *arg)
{
    struct berth_agent *a = arg;
    pthread_mutex_lock(&a->lock);
    while (!a->stopping) {
        a->thread_error = dispatch(a);
        if (a->thread_error < 0) {
            tell_thread_failed(a, a->thread_error);
            break;
        }
        int64_t left = time_left_us(a);
        pthread_mutex_unlock(&a->lock);
        sys_wait(sys_poller_fd(a->poller), left);
        pthread_mutex_lock(&a->lock);
    }
    pthread_mutex_unlock(&a->lock);
}

int berth_agent_start_thread(struct berth_agent *agent)
{
    pthread_mutex_lock(&agent->lock);
    int err = -EALREADY;
    if (agent->dispatching && !agent->thread)
        err = -EBUSY;
    else if (!agent->thread && !agent->stopping)
        err = sys_thread_start(&agent->thread, thread_run, agent);
    pthread_mutex_unlock(&agent->lock);
    return err;
}

int berth_agent_stop_thread(struct berth_agent *agent)
{
    pthread_mutex_lock(&agent->lock);
    struct sys_thread *thread = agent->thread;
    int err = !thread ? -ESRCH : sys_thread_is_self(thread) ? -EDEADLK : 0;
    if (err == 0) {
        agent->thread = NULL;
        agent->stopping = true;
    }
    pthread_mutex_unlock(&agent->lock);
    if (err < 0)
        return err;
    sys_wakeup_signal(agent->wake_fd);
    sys_thread_join(thread);
    pthread_mutex_lock(&agent->lock);
    agent->stopping = false;
    err = agent->thread_error;
    agent->thread_error = 0;
    pthread_mutex_unlock(&agent->lock);
    return err;
}

/* ---- what to do ---- */

/* Lets go of the lock; whoever waits for the agent looks again at how long. */
static int unlock_and_wake(struct berth_agent *a, int result)
{
    pthread_mutex_unlock(&a->lock);
    sys_wakeup_signal(a->wake_fd);
    return result;
}

int berth_agent_probe(struct berth_agent *agent, unsigned flags)
{
    pthread_mutex_lock(&agent->lock);
    return unlock_and_wake(agent, session_probe(agent->session, flags));
}

int berth_agent_cancel(struct berth_agent *agent)
{
    pthread_mutex_lock(&agent->lock);
    session_cancel(agent->session);
    return unlock_and_wake(agent, 0);
}

int berth_agent_watch(struct berth_agent *agent, int on)
{
    pthread_mutex_lock(&agent->lock);
    return unlock_and_wake(agent, session_watch(agent->session, on != 0, clock_mono_us()));
}

int berth_agent_follow(struct berth_agent *agent, const struct berth_follow_options *options)
{
    pthread_mutex_lock(&agent->lock);
    return unlock_and_wake(agent, session_follow(agent->session, options, clock_mono_us()));
}

int berth_agent_set_token(struct berth_agent *agent, const char *token)
{
    if (!token)
        return -EINVAL;
    pthread_mutex_lock(&agent->lock);
    int err = agent_options_set_token(&agent->options, token);
    if (err == 0)
        session_token_changed(agent->session, clock_mono_us());
    return unlock_and_wake(agent, err);
}

int berth_agent_connect(struct berth_agent *agent, const struct berth_connect_options *options,
                        uint64_t *connection)
{
    pthread_mutex_lock(&agent->lock);
    return unlock_and_wake(agent, session_connect(agent->session, options, clock_mono_us(), connection));
}

int berth_agent_disconnect(struct berth_agent *agent, uint64_t connection)
{
    pthread_mutex_lock(&agent->lock);
    return unlock_and_wake(agent, session_disconnect(agent->session, connection));
}

int berth_agent_join(struct berth_agent *agent, const struct berth_join_options *options, uint64_t *call)
{
    pthread_mutex_lock(&agent->lock);
    return unlock_and_wake(agent, session_join(agent->session, options, clock_mono_us(), call));
}

int berth_agent_leave(struct berth_agent *agent, uint64_t call)
{
    pthread_mutex_lock(&agent->lock);
    return unlock_and_wake(agent, session_leave(agent->session, call, clock_mono_us()));
}

/* Nobody need look again at how long to wait, unless the path has turned out to be lost. */
int berth_agent_send(struct berth_agent *agent, uint64_t call, const void *packet, size_t len)
{
    pthread_mutex_lock(&agent->lock);
    int err = session_send(agent->session, call, packet, len);
    if (err == -ENOTCONN)
        return unlock_and_wake(agent, err);
    pthread_mutex_unlock(&agent->lock);
    return err;
}

/* ---- what is known ---- */

int berth_agent_state(struct berth_agent *agent)
{
    pthread_mutex_lock(&agent->lock);
    int state = session_state(agent->session);
    pthread_mutex_unlock(&agent->lock);
    return state;
}

size_t berth_agent_result_count(struct berth_agent *agent)
{
    pthread_mutex_lock(&agent->lock);
    size_t n = session_results(agent->session)->n_rows;
    pthread_mutex_unlock(&agent->lock);
    return n;
}

int berth_agent_result(struct berth_agent *agent, size_t index, struct berth_result *out)
{
    pthread_mutex_lock(&agent->lock);
    const struct results *r = session_results(agent->session);
    int err = index < r->n_rows ? 0 : -ENOENT;
    if (err == 0)
        results_public(r, index, out);
    pthread_mutex_unlock(&agent->lock);
    return err;
}

size_t berth_agent_node_count(struct berth_agent *agent)
{
    pthread_mutex_lock(&agent->lock);
    size_t n = results_nodes(session_results(agent->session));
    pthread_mutex_unlock(&agent->lock);
    return n;
}

int berth_agent_node(struct berth_agent *agent, size_t index, struct berth_node_info *out)
{
    pthread_mutex_lock(&agent->lock);
    const struct results *r = session_results(agent->session);
    int err = index < results_nodes(r) ? 0 : -ENOENT;
    if (err == 0) {
        const struct node_entry *n = &r->list.nodes[index];
        *out = (struct berth_node_info){.mesh = n->mesh};
        memcpy(out->node, n->node, sizeof out->node);
        memcpy(out->cluster, n->cluster, sizeof out->cluster);
        memcpy(out->region, n->region, sizeof out->region);
    }
    pthread_mutex_unlock(&agent->lock);
    return err;
}

int berth_agent_connection(struct berth_agent *agent, uint64_t connection, struct berth_connection *out)
{
    pthread_mutex_lock(&agent->lock);
    const struct connection *c = session_connection(agent->session, connection);
    if (c)
        connection_public(c, clock_mono_us(), out);
    pthread_mutex_unlock(&agent->lock);
    return c ? 0 : -ENOENT;
}

int berth_agent_rung(struct berth_agent *agent, uint64_t connection, size_t index,
                     struct berth_rung_result *out)
{
    pthread_mutex_lock(&agent->lock);
    const struct connection *c = session_connection(agent->session, connection);
    int err = c && index < c->n ? 0 : -ENOENT;
    if (err == 0)
        connection_rung(c, index, out);
    pthread_mutex_unlock(&agent->lock);
    return err;
}

int berth_agent_call(struct berth_agent *agent, uint64_t call, struct berth_call *out)
{
    pthread_mutex_lock(&agent->lock);
    const struct session_call *k = session_call(agent->session, call);
    if (k)
        session_call_public(k, clock_mono_us(), out);
    pthread_mutex_unlock(&agent->lock);
    return k ? 0 : -ENOENT;
}

size_t berth_agent_call_count(struct berth_agent *agent)
{
    pthread_mutex_lock(&agent->lock);
    size_t n = session_call_count(agent->session);
    pthread_mutex_unlock(&agent->lock);
    return n;
}

int berth_agent_network_id(struct berth_agent *agent, char out[BERTH_NETWORK_ID_TEXT])
{
    pthread_mutex_lock(&agent->lock);
    int err = session_known_network(agent->session, out);
    pthread_mutex_unlock(&agent->lock);
    return err;
}

int berth_agent_results_json(struct berth_agent *agent, char **out)
{
    pthread_mutex_lock(&agent->lock);
    json_t *j = results_to_json(session_results(agent->session));
    pthread_mutex_unlock(&agent->lock);
    char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    json_decref(j);
    if (!text)
        return -ENOMEM;
    *out = text;
    return 0;
}

void berth_free(void *p)
{
    free(p);
}
