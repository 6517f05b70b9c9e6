/* The controller's configuration. Immutable once loaded. */
#ifndef BERTH_CONTROLLER_OPTIONS_H
#define BERTH_CONTROLLER_OPTIONS_H

#include "core/doc.h"
#include "sys/config.h"

struct options {
    bool help, version, check_config, print_config, insecure_http, die_with_parent;
    const char *config;
    const char *database;
    struct config_list listen;         /* ADDR:PORT */
    const char *metrics;               /* ADDR:PORT; "" or "off": none */
    const char *public_name;           /* HOST[:PORT]; NULL: not said */
    struct config_list public_address; /* IP */
    const char *cert, *key;
    const char *geoip;                  /* a MaxMind file; NULL: none */
    const char *master_key, *admin_key; /* files */
    int64_t threads;                    /* 0: one a core */
    int64_t report_lifetime_s;
    int64_t event_lifetime_s;
    int64_t ticket_lifetime_s;
    int64_t call_report_s; /* 0: agents tell nothing of their calls */
    int64_t request_deadline_ms;
    int64_t max_connections;              /* on one thread's listener */
    int64_t max_connections_per_ip;       /* 0: no limit */
    int64_t rate_limit, rate_burst;       /* requests a second of one caller; 0: off */
    int64_t max_streams, max_org_streams; /* event streams of one thread; an org's of them */
    int64_t stream_keepalive_s;
    int64_t max_org_nodes, max_org_meetings, max_org_keys; /* of one org at once; 0: no limit */
    bool housekeeping; /* this controller makes and drops partitions when its turn comes */
    struct probe_policy probe;
    const char *log_level, *log_format;
};

/* 0, or -EINVAL with a message in *e. `config` owns the strings; `words` are the positional ones ("migrate"). */
int options_load(struct options *o, struct config **config, struct config_list *words, int argc, char **argv,
                 char **environ_, struct config_error *e) __attribute__((warn_unused_result));
/* What every command needs. */
int options_check(const struct options *o, struct config_error *e) __attribute__((warn_unused_result));
/* And what needs more than one key; for `serve` alone. */
int options_check_serve(const struct options *o, struct config_error *e) __attribute__((warn_unused_result));
void options_print_help(void);
void options_print_sample(void);

#endif
