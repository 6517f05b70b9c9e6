/* Registration and heartbeats. Invariant: at most one call is under way, and no more are made than backoff or the heartbeat allow,
 * but for the single ones at drain and stop. */
#include "control.h"

#include "backoff.h"
#include "registration.h"
#include "sys/clock.h"
#include "sys/rest.h"
#include "sys/secret.h"

#include <errno.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { CALL_TIMEOUT_MS = 5000, STOP_TIMEOUT_MS = 2000, HEARTBEAT_DEFAULT_S = 5 };
enum { BACKOFF_FIRST_US = 1000000, BACKOFF_MOST_US = 30000000, LINKS_AGAIN_US = 30000000 };
enum { NEWS_EVERY_US = 250 * 1000 };
enum {
    PATH_LEN = 160,
    HEARTBEAT_JITTER = 10 /* up to a tenth early, so that many nodes spread out */
};

struct control {
    struct control_opts opts; /* url, ca, node: copies of our own */
    char *url, *ca, *node;
    struct control_proxy proxy;
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t wake;
    char *body, *token;
    bool news;               /* one of the next three changed */
    bool hurry;              /* a heartbeat is wanted before its time; after a failure that waits */
    bool renew, drain, stop; /* asked of the thread */
    struct control_state state;

    _Atomic bool abort;   /* ends the call under way */
    _Atomic bool at_once; /* no last call */
    _Atomic bool finished;
    _Atomic int64_t asked_us; /* when news were asked for last */
    _Atomic bool renew_links;

    /* The thread's own. */
    struct backoff backoff;
    struct control_answer answer;
    char peers_version[PEERS_VERSION_MAX + 1]; /* of the list that the peers have */
    int64_t peers_due_us;
    struct link_keys keys;
    bool has_keys;
    struct links links;
    int64_t links_due_us;
    struct load_sample last;
    bool registered;
    bool fine;             /* the last step was: its pause may be cut short */
    bool down;             /* the last call failed: only changes are logged */
    int64_t retry_after_s; /* of the last call; -1: none */
};

/* ---- one call ---- */

static bool is_broken_off(void *arg)
{
    const struct control *c = arg;
    return atomic_load(&c->abort);
}

static void log_result(struct control *c, const char *what, long status, const char *error, const char *code,
                       const char *hint)
{
    char shown[REST_URL_TEXT];
    bool failed = status < 200 || status > 299;
    if (failed && atomic_load(&c->abort))
        return; /* we broke it off ourselves */
    if (failed && !c->down)
        log_event(c->opts.log, LOG_WARN, "control", "call_failed", LOG_S("call", what),
                  LOG_I("status", status), LOG_S("code", code), LOG_S("error", error),
                  LOG_S("controller", rest_url_text(c->opts.url, shown)), LOG_S("hint", hint));
    else if (failed)
        log_event(c->opts.log, LOG_DEBUG, "control", "call_failed", LOG_S("call", what),
                  LOG_I("status", status), LOG_S("code", code), LOG_S("error", error));
    else if (c->down)
        log_event(c->opts.log, LOG_INFO, "control", "controller_is_back",
                  LOG_S("controller", rest_url_text(c->opts.url, shown)));
    c->down = failed;
}

/* What people can do about a refusal that time won't mend. */
static const char *advice(long status, const char *code)
{
    if (status == 401)
        return "the node key is not accepted: check --token-file, or make a new key";
    if (strcmp(code, "node_not_yours") == 0)
        return "another organisation registered this node id: choose another --node";
    if (status == 403)
        return "this key is no node key: make one with berth key create --kind node";
    if (status == 404)
        return "the controller doesn't know this node (it was deleted, or silent for long): it registers "
               "again";
    if (strcmp(code, "node_replaced") == 0)
        return "another berth-node has registered with this id, and agents are sent to that one: give one of "
               "them another --node";
    if (status == 422)
        return "the controller refuses what this node says of itself";
    return "";
}

/* The same for calls without an answer. */
static const char *advice_of_transport(CURLcode code, const char *url)
{
    bool clear = strncasecmp(url, "http:", 5) == 0;
    switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
        return "give --ca the CA that signed the controller's certificate, and --controller a name that it "
               "carries";
    case CURLE_COULDNT_RESOLVE_HOST:
        return "check the name in --controller";
    case CURLE_COULDNT_CONNECT:
        return "check --controller, and that the controller runs";
    case CURLE_SSL_CONNECT_ERROR:
        return "check the port in --controller: perhaps no HTTPS is served there";
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
        return clear ? "this seems to be an HTTPS port: say https:// in --controller" : "";
    default:
        return "";
    }
}

struct call {
    const char *what, *method, *path, *body, *token; /* `what`: for the log */
    int64_t timeout_ms;
    int (*read)(void *to, const char *body, size_t len); /* what a success says; not 0: it makes no sense */
    void *to;
};

/* The HTTP status, 0 without an answer or where it makes no sense. */
static long perform(struct control *c, const struct call *w, char code[static PROBLEM_CODE_MAX])
{
    struct rest_call call;
    struct rest_proxy proxy;
    const struct rest_request r = {.method = w->method,
                                   .base_url = c->opts.url,
                                   .path = w->path,
                                   .token = w->token,
                                   .ca_file = c->opts.ca,
                                   .body = w->body,
                                   .timeout_ms = w->timeout_ms,
                                   .proxy = control_proxy_rest(&c->proxy, &proxy),
                                   .stop = is_broken_off,
                                   .stop_user = c};
    code[0] = '\0';
    c->retry_after_s = -1;
    int rc = rest_call_init(&call, &r);
    if (rc != 0) {
        log_result(c, w->what, 0,
                   rc == -EINVAL ? "the controller's URL must be https (or http to loopback)" : strerror(-rc),
                   "", "");
        return 0;
    }
    CURLcode done = curl_easy_perform(call.easy);
    long status = done == CURLE_OK ? rest_call_status(&call) : 0;
    if (status < 200 || status > 299)
        problem_code(code, call.body, call.body_len);
    else if (w->read(w->to, call.body, call.body_len) != 0)
        status = 0;
    c->retry_after_s = call.retry_after_s;
    log_result(c, w->what, status, rest_call_error(&call, done), code,
               done == CURLE_OK ? advice(status, code) : advice_of_transport(done, c->opts.url));
    if (call.body)
        sodium_memzero((char *)(uintptr_t)call.body, call.body_len); /* it may hold keys */
    rest_call_clear(&call);
    return status;
}

static int read_answer(void *to, const char *body, size_t len)
{
    return control_answer_parse(to, body, len);
}

static long post(struct control *c, const char *what, const char *path, const char *body, const char *token,
                 int64_t timeout_ms, char code[static PROBLEM_CODE_MAX])
{
    const struct call w = {what, "POST", path, body, token, timeout_ms, read_answer, &c->answer};
    return perform(c, &w, code);
}

static bool is_ok(long status)
{
    return status >= 200 && status <= 299;
}

/* Passes on what a registration or heartbeat was answered with; the secrets go with it. */
static void hear(struct control *c, bool ok)
{
    if (ok && c->opts.heard)
        c->opts.heard(c->opts.ctx, &c->answer);
    sodium_memzero(c->answer.ticket_keys, sizeof(c->answer.ticket_keys));
    c->answer.n_ticket_keys = 0;
    c->answer.now_us = 0;
}

/* ---- what is said ---- */

static char *copy_locked(struct control *c, char *const *text)
{
    pthread_mutex_lock(&c->lock);
    char *copy = strdup(*text);
    pthread_mutex_unlock(&c->lock);
    return copy;
}

static void note_drain(struct control *c, bool before)
{
    if (before != c->answer.drain)
        log_event(c->opts.log, LOG_INFO, "control",
                  c->answer.drain ? "drained_by_controller" : "undrained_by_controller",
                  LOG_S("node", c->opts.node));
}

static bool do_register(struct control *c)
{
    char code[PROBLEM_CODE_MAX];
    char *body = copy_locked(c, &c->body), *token = copy_locked(c, &c->token);
    bool before = c->answer.drain;
    long status = body && token ? post(c, "register", "/v1/nodes", body, token, CALL_TIMEOUT_MS, code) : 0;
    free(body);
    secret_free(token);
    bool admits = c->answer.n_ticket_keys > 0;
    hear(c, is_ok(status));
    if (!is_ok(status))
        return false;
    if (!admits)
        log_event(c->opts.log, LOG_WARN, "control", "admits_nobody", LOG_S("node", c->opts.node),
                  LOG_S("hint", "only a node key is told what opens tickets, and without it no media is "
                                "taken: make one with berth key create --kind node"));
    c->opts.sample(c->opts.ctx, &c->last);
    log_event(c->opts.log, LOG_INFO, "control", "registered", LOG_S("node", c->opts.node),
              LOG_I("heartbeat_s", c->answer.heartbeat_s));
    note_drain(c, before);
    if (c->opts.peers)
        peers_tell_all(c->opts.peers);
    return true;
}

enum heartbeat_result { HEARTBEAT_OK, HEARTBEAT_FAILED, HEARTBEAT_UNKNOWN_NODE };

static enum heartbeat_result do_heartbeat(struct control *c, bool draining, bool stopping)
{
    char path[PATH_LEN], code[PROBLEM_CODE_MAX];
    struct load_sample now = {0};
    struct peer_rtt rtt[PEER_TELL_MAX];
    char media_key[LINK_KEY_TEXT_LEN + 1];
    bool before = c->answer.drain;
    c->opts.sample(c->opts.ctx, &now);
    if (c->has_keys)
        link_keys_text(&c->keys, media_key);
    const struct heartbeat h = {.load = load_between(&c->last, &now, c->opts.cores),
                                .draining = draining,
                                .stopping = stopping,
                                .links_version = c->links.version,
                                .media_key = c->has_keys ? media_key : NULL,
                                .rtt = rtt,
                                .n_rtt = c->opts.peers ? peers_tell(c->opts.peers, rtt) : 0};
    c->last = now;
    snprintf(path, sizeof(path), "/v1/nodes/%s/heartbeat", c->opts.node);
    char *body = heartbeat_body(&h), *token = copy_locked(c, &c->token);
    int64_t timeout = stopping ? STOP_TIMEOUT_MS : CALL_TIMEOUT_MS;
    long status = body && token ? post(c, "heartbeat", path, body, token, timeout, code) : 0;
    free(body);
    secret_free(token);
    hear(c, is_ok(status));
    if (is_ok(status))
        note_drain(c, before);
    if (c->opts
            .peers) /* what is refused is not said again at once: a heartbeat may not fail for its figures */
        peers_told(c->opts.peers, is_ok(status) || status == 422);
    return is_ok(status) ? HEARTBEAT_OK : status == 404 ? HEARTBEAT_UNKNOWN_NODE : HEARTBEAT_FAILED;
}

/* ---- peers ---- */

static int read_peers(void *to, const char *body, size_t len)
{
    return peers_update(to, body, len);
}

/* Asks for the list where it is another one; how it went shows in the log, and nothing else depends on it. */
static void look_for_peers(struct control *c)
{
    char path[PATH_LEN], code[PROBLEM_CODE_MAX];
    int64_t now = clock_mono_us();
    if (!c->opts.peers || now < c->peers_due_us || strcmp(c->answer.peers_version, c->peers_version) == 0)
        return;
    snprintf(path, sizeof(path), "/v1/nodes/%s/peers", c->opts.node);
    char *token = copy_locked(c, &c->token);
    const struct call w = {"peers", "GET", path, NULL, token, CALL_TIMEOUT_MS, read_peers, c->opts.peers};
    bool ok = token && is_ok(perform(c, &w, code));
    secret_free(token);
    c->peers_due_us = now + c->opts.peers_every_us;
    if (ok)
        memcpy(c->peers_version, c->answer.peers_version, sizeof(c->peers_version));
}

/* ---- links ---- */

static int read_links(void *to, const char *body, size_t len)
{
    struct control *c = to;
    return links_update(&c->links, &c->keys, body, len);
}

static bool ask_for_links(struct control *c)
{
    char path[PATH_LEN + LINKS_VERSION_MAX], code[PROBLEM_CODE_MAX];
    bool first = c->links.version[0] == '\0';
    snprintf(path, sizeof(path), "/v1/nodes/%s/links%s%s", c->opts.node,
             first ? "" : "?since=", c->links.version);
    char *token = copy_locked(c, &c->token);
    const struct call w = {"links", "GET", path, NULL, token, CALL_TIMEOUT_MS, read_links, c};
    bool ok = token && is_ok(perform(c, &w, code));
    secret_free(token);
    if (!ok && strcmp(code, "bad_request") == 0)
        links_forget_version(
            &c->links); /* the place is none of this controller's: from the start, next time */
    return ok;
}

/* Where something has changed, and this node is one that admits. */
static void look_for_links(struct control *c)
{
    int64_t now = clock_mono_us();
    bool ok = true;
    if (!c->opts.planned || c->answer.org[0] == '\0' || now < c->links_due_us)
        return;
    if (atomic_exchange(&c->renew_links, false))
        links_forget_version(&c->links);
    if (c->links.version[0] != '\0' && !c->links.more && !c->answer.links_changed)
        return;
    for (int page = 0; ok && page < LINKS_PAGES_MAX && (page == 0 || c->links.more); page++)
        ok = ask_for_links(c);
    if (!ok)
        c->links_due_us = now + LINKS_AGAIN_US;
    struct media_plan_held *plan = links_plan(&c->links);
    struct link_orders *orders = links_orders(&c->links);
    if (plan && orders) {
        c->opts.planned(c->opts.ctx, plan, orders);
        return;
    }
    media_plan_release(plan); /* out of memory: what was planned before stands */
    link_orders_free(orders);
}

/* ---- the thread ---- */

/* What others asked for since the last look. */
struct wishes {
    bool stop, drain, renew;
};

static struct wishes take_wishes(struct control *c)
{
    pthread_mutex_lock(&c->lock);
    const struct wishes w = {c->stop, c->drain, c->renew};
    c->news = c->renew = c->hurry = false;
    pthread_mutex_unlock(&c->lock);
    return w;
}

static void wait_us(struct control *c, int64_t us)
{
    int64_t until = clock_mono_us() + us;
    const struct timespec ts = {.tv_sec = until / 1000000, .tv_nsec = until % 1000000 * 1000};
    pthread_mutex_lock(&c->lock);
    while (!c->news && !(c->hurry && c->fine) && pthread_cond_timedwait(&c->wake, &c->lock, &ts) == 0)
        ;
    pthread_mutex_unlock(&c->lock);
}

static void note_result(struct control *c, bool ok, bool was_registration)
{
    pthread_mutex_lock(&c->lock);
    c->state.registered = c->registered;
    c->state.drain = c->answer.drain;
    c->state.failures += !ok;
    c->state.registrations += ok && was_registration;
    c->state.heartbeats += ok && !was_registration;
    pthread_mutex_unlock(&c->lock);
}

/* One call; how long to wait for the next. */
static int64_t step(struct control *c, const struct wishes *w)
{
    bool was_registration = !c->registered || w->renew, ok;
    enum heartbeat_result beat = HEARTBEAT_OK;
    if (was_registration) {
        ok = c->registered = do_register(c);
    } else {
        beat = do_heartbeat(c, w->drain, false);
        ok = beat == HEARTBEAT_OK;
        c->registered = beat != HEARTBEAT_UNKNOWN_NODE;
    }
    note_result(c, ok, was_registration);
    c->fine = ok;
    if (beat == HEARTBEAT_UNKNOWN_NODE)
        return 0; /* the controller lost or deleted it: register at once */
    if (!ok) {
        int64_t wait = backoff_next(&c->backoff, randombytes_random());
        return c->retry_after_s * 1000000 > wait ? c->retry_after_s * 1000000 : wait;
    }
    backoff_reset(&c->backoff);
    if (!was_registration) {
        look_for_peers(c);
        look_for_links(c);
    }
    if (was_registration && w->drain)
        return 0; /* a registration can't say that the node drains */
    int64_t whole = c->answer.heartbeat_s * 1000000;
    return whole - (int64_t)randombytes_uniform((uint32_t)(whole / HEARTBEAT_JITTER));
}

static void *run(void *arg)
{
    struct control *c = arg;
    struct wishes w = take_wishes(c);
    while (!w.stop) {
        wait_us(c, step(c, &w));
        w = take_wishes(c);
    }
    if (c->registered && !atomic_load(&c->at_once)) {
        atomic_store(&c->abort, false);
        (void)do_heartbeat(c, true, true);
    }
    atomic_store(&c->finished, true);
    return NULL;
}

/* ---- the face ---- */

static void control_free(struct control *c)
{
    pthread_cond_destroy(&c->wake);
    pthread_mutex_destroy(&c->lock);
    free(c->url);
    free(c->ca);
    free(c->node);
    free(c->body);
    links_clear(&c->links);
    secret_free(c->token);
    control_proxy_wipe(&c->proxy);
    sodium_memzero(&c->keys, sizeof(c->keys));
    free(c);
}

static int copy_texts(struct control *c, const struct control_opts *opts, const char *body, const char *token)
{
    c->opts = *opts;
    c->opts.url = c->url = strdup(opts->url);
    c->opts.ca = c->ca = opts->ca ? strdup(opts->ca) : NULL;
    c->opts.node = c->node = strdup(opts->node);
    c->opts.proxy = NULL; /* a copy of our own */
    if (opts->proxy)
        c->proxy = *opts->proxy;
    c->opts.keys = NULL;
    c->has_keys = opts->keys != NULL;
    if (opts->keys)
        c->keys = *opts->keys;
    c->body = strdup(body);
    c->token = strdup(token);
    return c->url && (c->ca || !opts->ca) && c->node && c->body && c->token ? 0 : -ENOMEM;
}

int control_start(struct control **out, const struct control_opts *opts, const char *body, const char *token)
{
    struct control *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    int rc = copy_texts(c, opts, body, token);
    c->backoff = (struct backoff){.first_us = BACKOFF_FIRST_US, .most_us = BACKOFF_MOST_US};
    c->answer.heartbeat_s = HEARTBEAT_DEFAULT_S;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&c->wake, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&c->lock, NULL);
    if (rc == 0)
        rc = -pthread_create(&c->thread, NULL, run, c);
    if (rc != 0) {
        control_free(c);
        return rc;
    }
    *out = c;
    return 0;
}

int control_set(struct control *c, const char *body, const char *token)
{
    char *b = strdup(body), *t = strdup(token);
    if (!b || !t) {
        free(b);
        secret_free(t);
        return -ENOMEM;
    }
    pthread_mutex_lock(&c->lock);
    free(c->body);
    secret_free(c->token);
    c->body = b;
    c->token = t;
    c->renew = c->news = true;
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->lock);
    return 0;
}

static void tell(struct control *c, bool *wish)
{
    pthread_mutex_lock(&c->lock);
    *wish = c->news = true;
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->lock);
}

void control_ask_news(struct control *c)
{
    int64_t now = clock_mono_us(), asked = atomic_load(&c->asked_us);
    if (now - asked < NEWS_EVERY_US || !atomic_compare_exchange_strong(&c->asked_us, &asked, now))
        return;
    pthread_mutex_lock(&c->lock); /* held for as long as a copy takes */
    c->hurry = true;
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->lock);
}

void control_renew_links(struct control *c)
{
    atomic_store(&c->renew_links, true);
    control_ask_news(c);
}

void control_drain(struct control *c)
{
    tell(c, &c->drain);
}

void control_finish(struct control *c)
{
    atomic_store(&c->abort, true); /* of the call under way; the last one clears it */
    tell(c, &c->stop);
}

bool control_finished(struct control *c)
{
    return atomic_load(&c->finished);
}

void control_destroy(struct control *c)
{
    if (!c)
        return;
    atomic_store(&c->at_once, true);
    control_finish(c);
    pthread_join(c->thread, NULL);
    control_free(c);
}

struct control_state control_read(struct control *c)
{
    pthread_mutex_lock(&c->lock);
    struct control_state s = c->state;
    pthread_mutex_unlock(&c->lock);
    return s;
}
