/* Puts the pieces together. Invariant: workers share only what is immutable, atomic or locked; everything that they use is freed
 * after they have been joined. */
#include "node_internal.h"

#include "addresses.h"
#include "certificate.h"
#include "registration.h"
#include "spki.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "sys/service.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ALIVE_WITHIN_US = 5 * 1000 * 1000,
    MACHINE_ADDRESSES_MAX = 64,
    FDS_RESERVED = 128, /* health and metrics, the controller, files */
    FDS_A_THREAD = 4,
    TOKEN_MAX = 512
};

/* ---- the controller ---- */

/* The node key: the file's first line, or the option. */
static int read_token(const struct node_options *o, char token[static TOKEN_MAX], struct options_error *e)
{
    if (!o->token_file) {
        snprintf(token, TOKEN_MAX, "%s", o->token);
        return 0;
    }
    ssize_t len = file_read_line(o->token_file, token, TOKEN_MAX);
    if (len > 0)
        return 0;
    snprintf(e->text, sizeof(e->text), "--token-file %.120s: %s", o->token_file,
             len == 0 || len == -EMSGSIZE ? "its first line must be the node key" : file_error(len));
    return -EINVAL;
}

/* What the control thread is told, but for the certificate in force. */
struct announcement {
    char token[TOKEN_MAX];
    struct node_addresses expanded, advertised;
    bool advertises;
};

static int prepare_announcement(const struct node *n, const struct node_options *o, struct announcement *a,
                                struct options_error *e)
{
    const struct node_addresses *bound = &n->setup.sockets->bound;
    struct addr ips[MACHINE_ADDRESSES_MAX];
    char err[ADDRESSES_ERROR];
    int rc = read_token(o, a->token, e);
    if (rc != 0)
        return rc;
    addresses_expand(&a->expanded, bound, ips, addresses_of_machine(ips, MACHINE_ADDRESSES_MAX));
    a->advertises = o->advertise.n > 0;
    if (a->advertises && addresses_advertise(&a->advertised, bound, &a->expanded, &o->advertise, err) != 0) {
        snprintf(e->text, sizeof(e->text), "%s", err);
        return -EINVAL;
    }
    return 0;
}

/* free() it; NULL with a text. Not before a new certificate is in force. */
static char *make_registration(const struct node *n, const struct node_plan *plan,
                               const struct announcement *a, struct options_error *e)
{
    struct node_identity identity = plan->identity;
    char spki[SPKI_TEXT_LEN + 1], media_key[LINK_KEY_TEXT_LEN + 1];
    bool tls = n->tls && spki_of_server(n->tls, spki) == 0;
    identity.node = n->id;
    link_keys_text(&n->link_keys, media_key);
    char *body = registration_body(&identity, &a->expanded, a->advertises ? &a->advertised : NULL,
                                   tls ? spki : NULL, media_key);
    if (!body)
        snprintf(e->text, sizeof(e->text), "out of memory");
    return body;
}

/* What people should know of what the controller is told. */
static void tell_announcement(const struct node *n, const struct node_plan *plan,
                              const struct announcement *a)
{
    const char *name = plan->identity.tls_name;
    char names[CERTIFICATE_NAMES_TEXT], addresses[ADDRESSES_TEXT];
    if (n->tls && name && !certificate_carries(n->tls, name, names))
        log_event(
            n->setup.log, LOG_WARN, "node", "certificate_lacks_name", LOG_S("tls_name", name),
            LOG_S("certificate", names),
            LOG_S("hint",
                  "agents will refuse TLS: give --tls-name a name of the certificate, or another --cert"));
    if (!a->advertises && addresses_have_wildcard(&n->setup.sockets->bound))
        log_event(
            n->setup.log, LOG_INFO, "node", "addresses_chosen",
            LOG_S("addresses", addresses_text(&a->expanded, addresses)),
            LOG_S("hint", "agents are told this machine's own; where they reach others, set --advertise"));
}

/* A CA file that can't be read would only show as calls that fail. */
static int check_ca(const struct node_options *o, struct options_error *e)
{
    char err[TLS_ERROR_TEXT];
    SSL_CTX *ctx = NULL;
    int rc = o->ca ? tls_client_ctx_new(&ctx, o->ca, err) : 0;
    if (rc != 0)
        snprintf(e->text, sizeof(e->text), "--ca: %s", err);
    SSL_CTX_free(ctx);
    return rc;
}

static void hear(void *ctx, const struct control_answer *answer)
{
    struct node *n = ctx;
    media_tie_heard(&n->tie, answer);
}

static void follow_plan(void *ctx, struct media_plan_held *plan, struct link_orders *orders)
{
    struct node *n = ctx;
    media_tie_planned(&n->tie, plan, orders);
}

static int start_control_with(struct node *n, const struct announcement *a, struct options_error *e)
{
    const struct node_options *o = n->setup.options;
    char *body = make_registration(n, n->setup.plan, a, e);
    if (!body)
        return -ENOMEM;
    tell_announcement(n, n->setup.plan, a);
    const struct peers_opts peers = {o->ca, o->peer_probe_interval * 1000000, n->setup.log};
    int rc = o->peer_probe_interval > 0 ? peers_start(&n->peers, &peers) : 0;
    if (rc != 0) {
        snprintf(e->text, sizeof(e->text), "cannot start the probing of other nodes: %s", strerror(-rc));
        free(body);
        return rc;
    }
    const struct control_opts opts = {.url = o->controller,
                                      .peers = n->peers,
                                      .peers_every_us = peers.interval_us,
                                      .ca = o->ca,
                                      .node = n->id,
                                      .proxy = &n->setup.plan->proxy,
                                      .cores = n->setup.cores,
                                      .sample = node_sample_load,
                                      .heard = hear,
                                      .keys = &n->link_keys,
                                      .planned = follow_plan,
                                      .ctx = n,
                                      .log = n->setup.log};
    struct control *control = NULL;
    if (opts.proxy->problem)
        log_event(n->setup.log, LOG_WARN, "control", "proxy_not_used",
                  LOG_S("source", "https_proxy or all_proxy in the environment"),
                  LOG_S("error", opts.proxy->problem),
                  LOG_S("hint", "the controller is called directly; say --proxy http://HOST:PORT, or none"));
    rc = control_start(&control, &opts, body, a->token);
    atomic_store(&n->control, control);
    if (rc != 0)
        snprintf(e->text, sizeof(e->text), "cannot start the control thread: %s", strerror(-rc));
    free(body);
    return rc;
}

static int start_control(struct node *n, struct options_error *e)
{
    struct announcement a = {.token = ""};
    int rc = prepare_announcement(n, n->setup.options, &a, e);
    if (rc == 0)
        rc = start_control_with(n, &a, e);
    sodium_memzero(a.token, sizeof(a.token));
    return rc;
}

/* ---- workers ---- */

static void plan_is_old(void *ctx)
{
    struct node *n = ctx;
    struct control *control = atomic_load(&n->control);
    if (control)
        control_ask_news(control);
}

static void want_tickets(void *ctx)
{
    struct node *n = ctx;
    struct control *control = atomic_load(&n->control);
    if (control)
        control_renew_links(control);
}

static int start_links(struct node *n, struct options_error *e)
{
    const struct dialer_opts opts = {.exchange = n->media,
                                     .ca = n->setup.options->ca,
                                     .proxy = &n->setup.plan->proxy,
                                     .tickets_wanted = want_tickets,
                                     .ctx = n,
                                     .log = n->setup.log};
    int rc = check_ca(n->setup.options, e);
    link_keys_make(&n->link_keys);
    return rc == 0 ? dialer_start(&n->dialer, &opts) : rc;
}

/* A node without a controller is given no keys, so it takes no sessions. */
static int start_media(struct node *n, struct options_error *e)
{
    const struct node_options *o = n->setup.options;
    int rc = 0;
    const struct media_exchange_opts opts = {
        .threads = n->setup.sockets->n_threads,
        .capacity = o->capacity < UINT32_MAX ? (uint32_t)o->capacity : 0,
        .plan_is_old = plan_is_old,
        .ctx = n,
        .log = n->setup.log,
    };
    if (o->controller && !o->standalone)
        rc = media_exchange_new(&n->media, &opts);
    if (rc == 0 && n->media)
        rc = start_links(n, e);
    n->tie = (struct media_tie){.workers = n->workers,
                                .n_workers = opts.threads,
                                .node = n->id,
                                .dialer = n->dialer,
                                .log = n->setup.log};
    return rc;
}

static struct worker_settings settings_of(const struct node_options *o)
{
    return (struct worker_settings){
        .stun_rate = o->stun_rate,
        .stun_rate_prefix = o->stun_rate_prefix,
        .first_timeout_ms = o->first_timeout * 1000,
        .idle_timeout_ms = o->idle_timeout * 1000,
    };
}

static int start_workers(struct node *n)
{
    const struct node_options *o = n->setup.options;
    struct node_sockets *s = n->setup.sockets;
    int64_t share = (o->max_connections + (int64_t)s->n_threads - 1) / (int64_t)s->n_threads;
    for (size_t i = 0; i < s->n_threads; i++) {
        const struct worker_opts opts = {
            .sockets = &s->threads[i],
            .bound = &s->bound,
            .behaviour = n->setup.plan->behaviour,
            .alternate = s->alternate,
            .metrics_fd = i == 0 ? &s->metrics_fd : NULL,
            .http = &n->http,
            .http_metrics = &n->http_metrics,
            .websocket = n->websocket,
            .tls = n->tls,
            .limits = n->limits,
            .sources = n->sources,
            .budget = &n->budget,
            .media = n->media,
            .thread = (uint8_t)i,
            .handshake_timeout_us = o->handshake_timeout * 1000000,
            .max_open = share,
            .settings = settings_of(o),
            .log = n->setup.log,
        };
        int rc = worker_start(&n->workers[i], &opts);
        if (rc != 0)
            return rc;
        atomic_store(&n->n_workers, i + 1);
    }
    return 0;
}

static int start_tls(struct node *n, struct options_error *e)
{
    static const char *const alpn[] = {"stun.nat-discovery", "stun.turn", "http/1.1", NULL};
    const struct node_options *o = n->setup.options;
    if (n->setup.sockets->bound.n[TRANSPORT_TLS] == 0)
        return 0;
    const struct tls_server_opts opts = {
        .cert_file = o->cert, .key_file = o->key, .alpn = alpn, .info = listener_tls_info};
    char err[TLS_ERROR_TEXT] = "out of memory";
    int rc = tls_server_new(&n->tls, &opts, err);
    if (rc != 0)
        snprintf(e->text, sizeof(e->text), "TLS: %.240s", err);
    return rc;
}

static int allocate(struct node *n)
{
    const struct node_options *o = n->setup.options;
    n->workers = calloc(n->setup.sockets->n_threads, sizeof(struct worker *));
    n->limits = limits_table_new();
    n->budget.max = service_spare_fds(FDS_RESERVED + FDS_A_THREAD * (int64_t)n->setup.sockets->n_threads);
    if (o->max_connections_per_ip > 0)
        n->sources = listener_sources_new(o->max_connections_per_ip);
    return n->workers && n->limits && (o->max_connections_per_ip == 0 || n->sources) ? 0 : -ENOMEM;
}

int node_start(struct node **out, const struct node_setup *setup, struct options_error *e)
{
    struct node *n = calloc(1, sizeof(*n));
    snprintf(e->text, sizeof(e->text), "out of memory");
    if (!n)
        return -ENOMEM;
    n->setup = *setup;
    snprintf(n->id, sizeof(n->id), "%s", setup->plan->identity.node);
    node_init_http(n);
    int rc = allocate(n);
    if (rc == 0)
        rc = start_media(n, e);
    if (rc == 0)
        rc = start_tls(n, e);
    if (rc == 0) {
        snprintf(e->text, sizeof(e->text), "cannot start the threads");
        rc = start_workers(n);
    }
    if (rc == 0 && setup->options->controller && !setup->options->standalone)
        rc = start_control(n, e);
    if (rc != 0) {
        node_destroy(n);
        return rc;
    }
    log_event(setup->log, LOG_INFO, "node", "limits", LOG_I("connections", n->budget.max));
    *out = n;
    return 0;
}

/* ---- reload ---- */

static void log_change(void *ctx, const char *key)
{
    struct node *n = ctx;
    if (options_is_reloadable(key))
        log_event(n->setup.log, LOG_INFO, "node", "changed", LOG_S("key", key));
    else
        log_event(n->setup.log, LOG_WARN, "node", "change_needs_restart", LOG_S("key", key));
}

/* The certificate's key may be another one by now. */
static int announce(struct node *n, const struct node_plan *plan, const struct announcement *a,
                    struct options_error *e)
{
    char *body = make_registration(n, plan, a, e);
    int rc = body ? control_set(n->control, body, a->token) : -ENOMEM;
    if (rc != 0)
        snprintf(e->text, sizeof(e->text), "out of memory");
    else
        tell_announcement(n, plan, a);
    free(body);
    return rc;
}

/* All that may refuse comes before the certificate changes. */
static int tell_reload(struct node *n, const struct node_options *o, const struct node_plan *plan,
                       struct options_error *e)
{
    char err[TLS_ERROR_TEXT];
    struct announcement a = {.token = ""};
    int rc = n->control ? prepare_announcement(n, o, &a, e) : 0;
    if (rc == 0 && n->tls && (rc = tls_server_reload(n->tls, err)) != 0)
        snprintf(e->text, sizeof(e->text), "TLS: %.240s", err);
    if (rc == 0 && n->control)
        rc = announce(n, plan, &a, e);
    sodium_memzero(a.token, sizeof(a.token));
    return rc;
}

int node_reload(struct node *n, const struct node_options *o, const struct node_plan *plan,
                struct options_error *e)
{
    options_diff(n->setup.options, o, log_change, n);
    int rc = tell_reload(n, o, plan, e);
    if (rc != 0)
        return rc;
    const struct worker_settings s = settings_of(o);
    for (size_t i = 0; i < n->n_workers; i++)
        worker_set(n->workers[i], &s);
    n->setup.options = o;
    n->setup.plan = plan;
    return 0;
}

/* ---- watch, end ---- */

bool node_is_alive(const struct node *n)
{
    int64_t oldest = clock_mono_us() - ALIVE_WITHIN_US;
    for (size_t i = 0; i < n->n_workers; i++)
        if (worker_alive_us(n->workers[i]) < oldest)
            return false;
    return true;
}

void node_drain(struct node *n)
{
    atomic_store(&n->draining, true);
    if (n->control)
        control_drain(n->control);
    for (size_t i = 0; i < n->n_workers; i++)
        worker_drain(n->workers[i]);
}

void node_end_sessions(struct node *n)
{
    for (size_t i = 0; i < n->n_workers; i++)
        worker_end_media(n->workers[i]);
}

int64_t node_sessions(const struct node *n)
{
    return n->media ? atomic_load(media_exchange_legs(n->media)) : 0;
}

int64_t node_open_connections(const struct node *n)
{
    int64_t open = 0;
    for (size_t i = 0; i < n->n_workers; i++)
        open += worker_open_connections(n->workers[i]);
    return open;
}

void node_finish(struct node *n)
{
    if (n->control)
        control_finish(n->control);
}

bool node_finished(struct node *n)
{
    return !n->control || control_finished(n->control);
}

void node_destroy(struct node *n)
{
    if (!n)
        return;
    for (size_t i = 0; i < n->n_workers; i++)
        worker_stop(n->workers[i]); /* their metrics read the control, */
    dialer_stop(n->dialer);         /* it asks the control, */
    control_destroy(n->control);    /* which reads their counters, and gives it orders */
    peers_stop(n->peers);           /* and tells the peers' figures */
    for (size_t i = 0; i < n->n_workers; i++)
        worker_destroy(n->workers[i]);
    dialer_destroy(n->dialer);
    sodium_memzero(&n->link_keys, sizeof(n->link_keys));
    media_tie_dispose(&n->tie);
    media_exchange_destroy(n->media);
    free(n->workers);
    h2o_config_dispose(&n->http);
    h2o_config_dispose(&n->http_metrics);
    tls_server_destroy(n->tls);
    free(n->sources);
    free(n->limits);
    free(n);
}
