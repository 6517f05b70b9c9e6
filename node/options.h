/* What berth-node is told: the table of keys, and the checked plan that the rest of the program works from. */
#ifndef BERTH_NODE_OPTIONS_H
#define BERTH_NODE_OPTIONS_H

#include "control_proxy.h"
#include "core/addr.h"
#include "core/doc.h"
#include "core/turn_url.h"
#include "sys/config.h"
#include "sys/log.h"

enum {
    NODE_LABELS_MAX = 32,
    NODE_LABEL_MAX = 64,
    NODE_SERVICES_MAX = 16,
    NODE_SERVICE_MAX = 512, /* characters of a value */
    NODE_THREADS_MAX = 255, /* media_path's numbers */
};

/* As read; strings belong to the struct config. */
struct node_options {
    struct config_list udp, tcp, tls, advertise, labels, turn, services;
    const char *cert, *key;
    const char *behaviour_alternate;
    bool behaviour_response_port;
    int64_t threads;
    bool standalone;
    const char *controller, *token, *token_file, *ca;
    const char *proxy, *no_proxy;
    int64_t peer_probe_interval;
    const char *node, *cluster, *region, *tls_name, *location;
    int64_t capacity, capacity_kbps;
    const char *metrics;
    int64_t stun_rate, stun_rate_prefix;
    int64_t max_connections, max_connections_per_ip;
    int64_t handshake_timeout, first_timeout, idle_timeout, drain_timeout, session_drain_timeout;
    const char *log_level, *log_format;
    const char *config;
    bool check_config, print_config, die_with_parent, help, version;
};

struct node_label {
    char key[NODE_LABEL_MAX + 1], value[NODE_LABEL_MAX + 1];
};

/* Where the node announces itself, and as what. */
struct node_identity {
    const char *node, *cluster, *region, *tls_name; /* tls_name NULL: none */
    int64_t capacity, capacity_kbps;
    size_t n_labels;
    struct node_label labels[NODE_LABELS_MAX];
    bool has_location;
    double lat, lon;
    size_t n_turn, n_services;
    const char *turn[TURN_URLS_MAX], *services[NODE_SERVICES_MAX]; /* the options'; NAME=VALUE the latter */
};

/* Behaviour discovery (RFC 5780): which two UDP addresses of `bind` share an IP, and the second IP, which gets their ports. */
struct node_behaviour {
    bool on, response_port;
    size_t primary[2];
    struct addr alternate; /* port 0 */
};

/* Checked options. Strings are the options' or, for the host name, its own. */
struct node_plan {
    struct node_addresses bind; /* ports may be 0 */
    bool bind_defaults;         /* `bind` is the default list: a family that the machine lacks is left out */
    struct node_behaviour behaviour;
    bool has_metrics;
    struct addr metrics;
    struct node_identity identity;
    struct control_proxy proxy;
    enum log_level log_level;
    enum log_format log_format;
    size_t threads;
    char host_name[NODE_ID_MAX + 1];
};

struct options_error {
    char text[256];
};

extern const struct config_key node_keys[];
extern const size_t node_n_keys;

/* May this key change while the node runs (SIGHUP)? */
bool options_is_reloadable(const char *key);
/* Calls `changed` with the name of each key whose value differs. */
void options_diff(const struct node_options *a, const struct node_options *b,
                  void (*changed)(void *ctx, const char *key), void *ctx);

/* The machine that the plan is made on. */
struct options_machine {
    const char *host_name;
    size_t cores;
    char *const *environment; /* for https_proxy and no_proxy alone; NULL: none */
};

/* Checks what one key alone cannot tell. 0, or -EINVAL with a text that says what to do. */
int options_plan(struct node_plan *plan, const struct node_options *o, const struct options_machine *machine,
                 struct options_error *e) __attribute__((warn_unused_result));

#endif
