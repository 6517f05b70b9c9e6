/* berth-node. What follows in main is the order of things: configuration, log, sockets (the only privileged part),
 * threads; then signals until the end; then the same backwards. */
#include "node.h"
#include "sys/clock.h"
#include "sys/service.h"

#include <curl/curl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };
enum { DRAIN_LOOK_MS = 20, DRAIN_ECHO_US = 50000, WATCH_MS = 2000 };

/* One reading of the configuration. */
struct settings {
    struct config *config;
    struct node_options options;
    struct node_plan plan;
};

struct program {
    int argc;
    char **argv;
    char host_name[NODE_ID_MAX + 1];
    size_t cores;
};

static void settings_destroy(struct settings *s)
{
    if (!s)
        return;
    config_destroy(s->config);
    control_proxy_wipe(&s->plan.proxy);
    free(s);
}

/* NULL with a text. Words of the command line that are no flags are an error. */
static struct settings *settings_load(const struct program *p, bool plan, struct options_error *e)
{
    struct settings *s = calloc(1, sizeof(*s));
    struct config_error ce = {"out of memory"};
    const struct config_source source = {
        .keys = node_keys, .n_keys = node_n_keys, .argc = p->argc, .argv = p->argv, .environ_ = environ};
    int rc = s ? config_load(&s->config, &source, &s->options, NULL, &ce) : -1;
    snprintf(e->text, sizeof(e->text), "%s", ce.text);
    bool asks = s && rc == 0 && (s->options.help || s->options.version || s->options.print_config);
    if (rc == 0 && plan && !asks)
        rc = options_plan(&s->plan, &s->options, &(struct options_machine){p->host_name, p->cores, environ},
                          e);
    if (rc == 0)
        return s;
    settings_destroy(s);
    return NULL;
}

static void about_this_machine(struct program *p)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    p->cores = cores > 0 ? (size_t)cores : 1;
    if (gethostname(p->host_name, sizeof(p->host_name)) != 0 || p->host_name[0] == '\0')
        snprintf(p->host_name, sizeof(p->host_name), "localhost");
    p->host_name[sizeof(p->host_name) - 1] = '\0';
}

/* What is answered without serving. true: done. */
static bool answer_questions(const struct node_options *o)
{
    if (o->help) {
        printf("berth-node answers STUN over UDP, TCP and TLS, alone or for a controller.\n\n"
               "  berth-node --standalone --udp 0.0.0.0:3478\n"
               "  berth-node --controller https://berth.example --token-file FILE \\\n"
               "             --cert FILE --key FILE\n\n");
        config_print_help(stdout, node_keys, node_n_keys);
    } else if (o->version) {
        printf("berth-node %s\n", BERTH_VERSION);
    } else if (o->print_config) {
        config_print_sample(stdout, node_keys, node_n_keys);
    } else if (o->check_config) {
        printf("the configuration is right\n");
    }
    return o->help || o->version || o->print_config || o->check_config;
}

/* ---- while it runs ---- */

static void reload(const struct program *p, struct node *node, struct settings **current, struct log *log)
{
    struct options_error e;
    service_reloading();
    struct settings *fresh = settings_load(p, true, &e);
    if (fresh && node_reload(node, &fresh->options, &fresh->plan, &e) == 0) {
        settings_destroy(*current);
        *current = fresh;
        log_event(log, LOG_INFO, "node", "reloaded", LOG_S("result", "ok"));
    } else {
        settings_destroy(fresh);
        log_event(log, LOG_ERROR, "node", "reload_failed", LOG_S("error", e.text));
    }
    service_ready();
}

static void serve(const struct program *p, struct node *node, struct settings **current, struct log *log,
                  int signals)
{
    int watchdog = service_watchdog_ms();
    int wait = watchdog > 0 && watchdog < WATCH_MS ? watchdog : WATCH_MS;
    for (;;) {
        enum service_event event = service_wait(signals, wait);
        if (event == SERVICE_STOP)
            return;
        if (event == SERVICE_RELOAD)
            reload(p, node, current, log);
        log_flush(log);
        if (node_is_alive(node))
            service_watchdog();
        else
            log_event(log, LOG_ERROR, "node", "thread_stuck", LOG_S("action", "left to the watchdog"));
    }
}

/* A second SIGTERM. One that comes at once is the first one's echo: timeout(1) sends to the process and to its group. */
static bool told_again(int signals, int64_t began_us)
{
    return service_wait(signals, DRAIN_LOOK_MS) == SERVICE_STOP &&
           clock_mono_us() >= began_us + DRAIN_ECHO_US;
}

/* Is there something left whose time isn't over? */
static bool is_busy(const struct node *node, const struct node_options *o, int64_t began_us)
{
    int64_t past_us = clock_mono_us() - began_us;
    return (node_open_connections(node) > 0 && past_us < o->drain_timeout * 1000000) ||
           (node_sessions(node) > 0 && past_us < o->session_drain_timeout * 1000000);
}

/* Sessions have a time of their own; none at all: they end with the node. */
static bool is_time_over(const struct node_options *o, int64_t began_us)
{
    return o->session_drain_timeout > 0 && clock_mono_us() - began_us >= o->session_drain_timeout * 1000000;
}

/* Until open connections and sessions have ended and the controller knows, the time is over, or a second SIGTERM. */
static void drain(struct node *node, const struct node_options *o, struct log *log, int signals)
{
    int64_t began = clock_mono_us();
    log_event(log, LOG_INFO, "node", "draining", LOG_I("open", node_open_connections(node)),
              LOG_I("sessions", node_sessions(node)), LOG_I("timeout_s", o->drain_timeout),
              LOG_I("session_timeout_s", o->session_drain_timeout));
    service_stopping();
    node_drain(node);
    bool hurry = false;
    while (!hurry && is_busy(node, o, began)) {
        hurry = told_again(signals, began);
        if (is_time_over(o, began))
            node_end_sessions(node);
        service_watchdog();
    }
    if (!hurry && is_time_over(o, began))
        node_end_sessions(node);
    node_finish(node);
    while (!hurry && !node_finished(node))
        hurry = told_again(signals, began);
    log_event(log, LOG_INFO, "node", "stopping", LOG_I("open", node_open_connections(node)),
              LOG_I("sessions", node_sessions(node)));
}

int main(int argc, char **argv)
{
    int rc = EXIT_USAGE, signals = -1;
    struct program p = {.argc = argc, .argv = argv};
    struct options_error e = {""};
    struct log *log = NULL;
    struct node_sockets sockets = {.metrics_fd = -1};
    struct node *node = NULL;

    about_this_machine(&p);
    struct settings *s = settings_load(&p, true, &e);
    if (!s)
        goto out;
    if (answer_questions(&s->options)) {
        rc = EXIT_OK;
        goto out;
    }
    rc = EXIT_FAILED;
    if (s->options.die_with_parent && service_die_with_parent() != 0) {
        snprintf(e.text, sizeof(e.text), "the parent has ended already");
        goto out;
    }
    log = log_new(STDERR_FILENO, s->plan.log_level, s->plan.log_format);
    signals = service_signals();
    if (!log || signals < 0 || sodium_init() < 0 || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        snprintf(e.text, sizeof(e.text), "cannot start");
        goto out;
    }
    unsigned long fds = service_raise_fds();

    /* Privileged where a port is below 1024. */
    if (sockets_open(&sockets, &s->plan, log, &e) != 0)
        goto out;

    const struct node_setup setup = {&s->options, &s->plan, &sockets, (unsigned)p.cores, log};
    if (node_start(&node, &setup, &e) != 0)
        goto out;
    log_event(log, LOG_INFO, "node", "ready", LOG_S("node", s->plan.identity.node),
              LOG_I("threads", s->plan.threads), LOG_I("descriptors", fds));
    service_ready();
    serve(&p, node, &s, log, signals);
    drain(node, &s->options, log, signals);
    rc = EXIT_OK;

out:
    if (rc != EXIT_OK && e.text[0] != '\0')
        fprintf(stderr, "berth-node: %s\n", e.text);
    node_destroy(node);
    sockets_close(&sockets);
    if (signals >= 0) {
        curl_global_cleanup();
        close(signals);
    }
    log_destroy(log);
    settings_destroy(s);
    return rc;
}
