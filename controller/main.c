/* berth-controller: the order of starting is the order of dependence, the end is its exact reverse: requests under
 * way at the end need the snapshots to stay fresh. Invariant: only this file exits, reads the environment and waits
 * for signals. */
#include "api_peers.h"
#include "auth.h"
#include "control.h"
#include "geo.h"
#include "housekeeper.h"
#include "migrate.h"
#include "options.h"
#include "outbox.h"
#include "router.h"
#include "server.h"
#include "sys/clock.h"
#include "sys/service.h"
#include "sys/tls.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_NEWER_SCHEMA = 3 };
enum { LIMITER_CELLS = 1 << 16, FIGURE_CELLS = 1 << 14, WATCH_MS = 1000 };

/* What a serving controller is made of; each part NULL until it is made. */
struct program {
    struct options options;
    struct controller ctl;
    struct snapshot_slot slots[CONTROLLER_SNAPSHOTS_MAX];
    struct limiter limiter, figures;
    void *cells, *figure_cells; /* the limiters' */
    struct tls_server *tls;
    struct server *server;
    struct geo *geo;
    struct predict_errors predict_errors;
    struct control *control;
    struct housekeeper *housekeeper;
    int signal_fd;
};

static int fail(struct program *p, const char *event, const char *why)
{
    log_event(p->ctl.log, LOG_ERROR, "main", event, LOG_S("error", why));
    return EXIT_FAILED;
}

static int load_keys(struct program *p)
{
    char err[256];

    if (auth_keys_load(&p->slots[SNAPSHOT_KEYS], p->options.master_key, p->options.admin_key, err) != 0)
        return fail(p, "keys_failed", err);
    return 0;
}

static int load_tls(struct program *p)
{
    static const char *const alpn[] = {"http/1.1", NULL};
    const struct tls_server_opts opts = {
        .cert_file = p->options.cert, .key_file = p->options.key, .alpn = alpn};
    char err[TLS_ERROR_TEXT];

    if (p->options.insecure_http)
        return 0;
    if (tls_server_new(&p->tls, &opts, err) != 0)
        return fail(p, "tls_failed", err);
    return 0;
}

static int make_limiters(struct program *p)
{
    uint8_t seed[16];

    p->cells = calloc(LIMITER_CELLS, sizeof(_Atomic int64_t));
    p->figure_cells = calloc(FIGURE_CELLS, sizeof(_Atomic int64_t));
    if (p->cells == NULL || p->figure_cells == NULL)
        return fail(p, "limiter_failed", "out of memory");
    randombytes_buf(seed, sizeof(seed));
    limiter_init(&p->figures, p->figure_cells, FIGURE_CELLS, PEERS_ORG_FIGURES_PER_S, PEERS_ORG_FIGURES_BURST,
                 seed);
    p->ctl.figures = &p->figures;
    if (p->options.rate_limit == 0)
        return 0;
    limiter_init(&p->limiter, p->cells, LIMITER_CELLS, p->options.rate_limit, p->options.rate_burst, seed);
    p->ctl.limiter = &p->limiter;
    return 0;
}

/* SIGHUP: keys and certificate are read again; what can't be read stays as it was. */
static void reload(struct program *p)
{
    char err[TLS_ERROR_TEXT];

    service_reloading();
    if (load_keys(p) == 0)
        log_event(p->ctl.log, LOG_INFO, "main", "reloaded", LOG_S("what", "keys"));
    if (p->tls != NULL && tls_server_reload(p->tls, err) != 0)
        (void)fail(p, "tls_failed", err);
    else if (p->tls != NULL)
        log_event(p->ctl.log, LOG_INFO, "main", "reloaded", LOG_S("what", "certificate"));
    service_ready();
}

/* What to end with: done when told to, failed where this controller has no business with the database. */
static int wait_for_stop(struct program *p)
{
    int watchdog_ms = service_watchdog_ms();
    int wait_ms = watchdog_ms > 0 && watchdog_ms < WATCH_MS ? watchdog_ms : WATCH_MS;

    for (;;) {
        enum service_event e = service_wait(p->signal_fd, wait_ms);
        if (e == SERVICE_STOP)
            return EXIT_DONE;
        if (atomic_load(&p->ctl.keys_foreign))
            return EXIT_FAILED;
        if (e == SERVICE_RELOAD)
            reload(p);
        log_flush(p->ctl.log);
        if (server_is_alive(p->server))
            service_watchdog();
        else
            log_event(p->ctl.log, LOG_ERROR, "main", "worker_stuck", LOG_S("action", "left to the watchdog"));
    }
}

static int start(struct program *p)
{
    int r;

    if (load_keys(p) != 0 || load_tls(p) != 0 || make_limiters(p) != 0)
        return EXIT_FAILED;
    r = router_new(&p->ctl.router, api_modules, api_modules_n);
    if (r != 0)
        return fail(p, "routes_failed", strerror(-r));
    r = outbox_board_new(&p->ctl.outbox);
    if (r == 0)
        r = control_start(&p->control, &p->ctl);
    if (r == 0)
        r = server_start(&p->server, &p->ctl, p->tls);
    if (r == 0 && p->options.housekeeping)
        r = housekeeper_start(&p->housekeeper, &p->ctl);
    if (r != 0)
        return fail(p, "start_failed", strerror(-r));
    return 0;
}

static void stop(struct program *p)
{
    housekeeper_stop(p->housekeeper);
    server_stop(p->server);
    control_stop(p->control);
    outbox_board_destroy(p->ctl.outbox);
    router_destroy(p->ctl.router);
    free(p->cells);
    free(p->figure_cells);
    tls_server_destroy(p->tls);
}

static int serve(struct program *p)
{
    int r;

    p->signal_fd = service_signals();
    if (p->signal_fd < 0)
        return fail(p, "signals_failed", strerror(-p->signal_fd));
    if (p->options.die_with_parent && service_die_with_parent() != 0)
        return fail(p, "parent_is_gone", "--die-with-parent");
    (void)service_raise_fds();
    p->ctl.options = &p->options;
    p->ctl.slots = p->slots;
    p->ctl.predict_errors = &p->predict_errors;
    randombytes_buf(p->ctl.boot_id, sizeof(p->ctl.boot_id));
    for (size_t i = 0; i < CONTROLLER_SNAPSHOTS_MAX; i++)
        snapshot_slot_init(&p->slots[i]);
    r = start(p);
    if (r == 0) {
        service_ready();
        r = wait_for_stop(p);
        service_stopping();
        log_event(p->ctl.log, LOG_INFO, "main", "stopping", LOG_I("workers", p->ctl.n_workers));
    }
    stop(p);
    for (size_t i = CONTROLLER_SNAPSHOTS_MAX; i > 0; i--)
        snapshot_slot_destroy(&p->slots[i - 1]);
    close(p->signal_fd);
    return r;
}

static int migrate(struct program *p)
{
    int r;

    if (p->options.database == NULL) {
        fprintf(stderr, "berth-controller migrate: --database URL is needed\n");
        return EXIT_USAGE;
    }
    r = migrate_run(p->options.database, p->ctl.log);
    return r == 0 ? EXIT_DONE : r == -EPROTONOSUPPORT ? EXIT_NEWER_SCHEMA : EXIT_FAILED;
}

/* True: it was one of the options that print and end. */
static bool printed(const struct options *o)
{
    if (o->help)
        options_print_help();
    else if (o->version)
        printf("berth-controller %s, schema %d\n", BERTH_VERSION, schema_version_needed());
    else if (o->print_config)
        options_print_sample();
    return o->help || o->version || o->print_config;
}

static int run(struct program *p, const struct config_list *words)
{
    struct config_error e;
    enum log_level level;
    enum log_format format;
    bool migrating = words->n == 1 && strcmp(words->v[0], "migrate") == 0;
    int r;

    if (printed(&p->options))
        return EXIT_DONE;
    if (words->n == 1 && !migrating) {
        fprintf(stderr, "berth-controller: unknown command '%s'\n", words->v[0]);
        return EXIT_USAGE;
    }
    if (options_check(&p->options, &e) != 0 || (!migrating && options_check_serve(&p->options, &e) != 0)) {
        fprintf(stderr, "berth-controller: %s\n", e.text);
        return EXIT_USAGE;
    }
    if (!migrating && p->options.geoip != NULL && p->options.geoip[0] != '\0' &&
        geo_open(&p->geo, p->options.geoip, e.text, sizeof(e.text)) != 0) {
        fprintf(stderr, "berth-controller: geoip: %s\n", e.text);
        return EXIT_USAGE;
    }
    p->ctl.geo = p->geo;
    if (p->options.check_config) {
        printf("the configuration is fine\n");
        return EXIT_DONE;
    }
    if (log_level_parse(p->options.log_level, &level) != 0 ||
        log_format_parse(p->options.log_format, &format) != 0)
        return EXIT_USAGE; /* options_check has told already */
    p->ctl.log = log_new(STDERR_FILENO, level, format);
    if (p->ctl.log == NULL || sodium_init() < 0)
        return EXIT_FAILED;
    r = migrating ? migrate(p) : serve(p);
    log_destroy(p->ctl.log);
    return r;
}

int main(int argc, char **argv)
{
    struct program program;
    struct config *config = NULL;
    struct config_list words = {0};
    struct config_error e;
    int r;

    memset(&program, 0, sizeof(program));
    if (options_load(&program.options, &config, &words, argc, argv, environ, &e) != 0) {
        fprintf(stderr, "berth-controller: %s\n", e.text);
        return EXIT_USAGE;
    }
    r = run(&program, &words);
    geo_close(program.geo);
    config_destroy(config);
    return r;
}
