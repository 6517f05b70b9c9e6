/* The table of keys and the checks across keys. Invariant: a plan that was made can be carried out, but for what the
 * machine refuses. */
#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define AT(field) offsetof(struct node_options, field)

const struct config_key node_keys[] = {
    {"udp", "listen", CONFIG_LIST, AT(udp), NULL, 0, 0, "ADDR:PORT", "Answer STUN over UDP here.", false},
    {"tcp", "listen", CONFIG_LIST, AT(tcp), NULL, 0, 0, "ADDR:PORT", "Answer STUN over TCP here.", false},
    {"tls", "listen", CONFIG_LIST, AT(tls), NULL, 0, 0, "ADDR:PORT", "Answer STUN and HTTPS over TLS here.",
     false},
    {"cert", "listen", CONFIG_STRING, AT(cert), NULL, 0, 0, "FILE", "Certificate chain (PEM) for TLS.",
     false},
    {"key", "listen", CONFIG_STRING, AT(key), NULL, 0, 0, "FILE", "Private key (PEM) of the certificate.",
     false},
    {"behaviour-alternate", "listen", CONFIG_STRING, AT(behaviour_alternate), NULL, 0, 0, "IP",
     "Second IP of this machine for NAT behaviour discovery (RFC 5780) with two --udp of one IP; default: "
     "none.",
     false},
    {"behaviour-response-port", "listen", CONFIG_BOOL, AT(behaviour_response_port), "false", 0, 0, NULL,
     "Answer to another port of the asking IP where --behaviour-alternate is set and a request wants it.",
     false},
    {"metrics", "listen", CONFIG_STRING, AT(metrics), NULL, 0, 0, "ADDR:PORT",
     "Health and metrics in clear HTTP; 127.0.0.1:9641 unless --standalone; 'off': none.", true},
    {"threads", "listen", CONFIG_INT, AT(threads), "0", 0, NODE_THREADS_MAX, "N",
     "Threads that serve; 0: one a core.", false},
    {"standalone", "node", CONFIG_BOOL, AT(standalone), "false", 0, 0, NULL,
     "A plain STUN server: no controller, no listeners but those asked for.", false},
    {"node", "node", CONFIG_STRING, AT(node), NULL, 0, 0, "ID", "The node's id; default: the host name.",
     false},
    {"cluster", "node", CONFIG_STRING, AT(cluster), "default", 0, 0, "NAME",
     "The cluster that the node belongs to.", false},
    {"region", "node", CONFIG_STRING, AT(region), "default", 0, 0, "NAME", "The region that the node is in.",
     false},
    {"advertise", "node", CONFIG_LIST, AT(advertise), NULL, 0, 0, "ADDR",
     "What agents are given instead of the bound address: IP, IP:PORT or TRANSPORT=IP:PORT.", false},
    {"tls-name", "node", CONFIG_STRING, AT(tls_name), NULL, 0, 0, "NAME",
     "The name that agents expect in the certificate.", false},
    {"capacity", "node", CONFIG_INT, AT(capacity), "0", 0, 1000000000, "N",
     "Participants that the node takes; 0: no limit.", false},
    {"capacity-kbps", "node", CONFIG_INT, AT(capacity_kbps), "0", 0, 1000000000, "N",
     "What the node's connection carries, in kbit/s, for meetings to be kept within; 0: no limit.", false},
    {"labels", "node", CONFIG_LIST, AT(labels), NULL, 0, 0, "KEY=VALUE", "Labels for operators.", false},
    {"location", "node", CONFIG_STRING, AT(location), NULL, 0, 0, "LAT,LON",
     "Where the node stands, in degrees.", false},
    {"turn", "node", CONFIG_LIST, AT(turn), NULL, 0, 0, "URL",
     "A TURN server beside the node, turn:HOST:PORT or turns:...: assignments to the node hold it with "
     "credentials.",
     false},
    {"services", "node", CONFIG_LIST, AT(services), NULL, 0, 0, "NAME=VALUE",
     "What else runs beside the node, as in livekit=wss://...: given out with assignments to it.", false},
    {"controller", "controller", CONFIG_STRING, AT(controller), NULL, 0, 0, "URL",
     "The controller to register with.", false},
    {"token", "controller", CONFIG_STRING, AT(token), NULL, 0, 0, "KEY",
     "Node key; better in --token-file or BERTH_TOKEN, since others see arguments.", false},
    {"token-file", "controller", CONFIG_STRING, AT(token_file), NULL, 0, 0, "FILE",
     "File whose first line is the node key; goes before --token.", false},
    {"ca", "controller", CONFIG_STRING, AT(ca), NULL, 0, 0, "FILE",
     "CA of the controller's certificate; default: the system's.", false},
    {"proxy", "controller", CONFIG_STRING, AT(proxy), NULL, 0, 0, "URL",
     "HTTP proxy to the controller, and the last way to other nodes, http://[USER:PASSWORD@]HOST:PORT; "
     "'none'; default: https_proxy.",
     false},
    {"no-proxy", "controller", CONFIG_STRING, AT(no_proxy), NULL, 0, 0, "LIST",
     "Controllers reached without it: domains, IPs, prefixes; default: no_proxy.", false},
    {"peer-probe-interval", "controller", CONFIG_INT, AT(peer_probe_interval), "60", 0, 3600, "S",
     "Time in which each other node is probed once, for the round trips between nodes; 0: none is.", false},
    {"stun-rate", "limits", CONFIG_INT, AT(stun_rate), "2000", 0, 1000000, "N",
     "UDP requests a second answered to one IP, and handshakes for media over its streams; 0: no limits.",
     false},
    {"stun-rate-prefix", "limits", CONFIG_INT, AT(stun_rate_prefix), "20000", 0, 1000000, "N",
     "The same for one IPv4 /24 or IPv6 /48; 0: no such limit.", false},
    {"max-connections", "limits", CONFIG_INT, AT(max_connections), "100000", 1, 10000000, "N",
     "TCP connections at once on one listener; on all together, what the limit on descriptors leaves.",
     false},
    {"max-connections-per-ip", "limits", CONFIG_INT, AT(max_connections_per_ip), "4096", 0, 10000000, "N",
     "TCP connections at once from one IPv4 address or IPv6 /64; 0: no limit. An office behind one address "
     "needs a few for each "
     "agent.",
     false},
    {"handshake-timeout", "limits", CONFIG_INT, AT(handshake_timeout), "10", 1, 3600, "S",
     "Time for a TLS handshake.", false},
    {"first-timeout", "limits", CONFIG_INT, AT(first_timeout), "10", 1, 3600, "S",
     "Time for a connection's first message.", false},
    {"idle-timeout", "limits", CONFIG_INT, AT(idle_timeout), "30", 1, 86400, "S",
     "Time between messages of a connection.", false},
    {"drain-timeout", "limits", CONFIG_INT, AT(drain_timeout), "5", 0, 86400, "S",
     "Time for open connections to end after SIGTERM.", false},
    {"session-drain-timeout", "limits", CONFIG_INT, AT(session_drain_timeout), "30", 0, 86400, "S",
     "Time for media sessions to move to other nodes after SIGTERM.", false},
    {"log-level", "log", CONFIG_STRING, AT(log_level), "info", 0, 0, "LEVEL", "debug, info, warn or error.",
     false},
    {"log-format", "log", CONFIG_STRING, AT(log_format), "logfmt", 0, 0, "FORMAT", "logfmt or json.", false},
    {"config", NULL, CONFIG_STRING, AT(config), NULL, 0, 0, "FILE", "Configuration file.", false},
    {"check-config", NULL, CONFIG_BOOL, AT(check_config), "false", 0, 0, NULL,
     "Check the configuration and exit.", true},
    {"print-config", NULL, CONFIG_BOOL, AT(print_config), "false", 0, 0, NULL,
     "Print a sample configuration file and exit.", true},
    {"die-with-parent", NULL, CONFIG_BOOL, AT(die_with_parent), "false", 0, 0, NULL,
     "End when the process that started this one ends.", true},
    {"help", NULL, CONFIG_BOOL, AT(help), "false", 0, 0, NULL, "Print this and exit.", true},
    {"version", NULL, CONFIG_BOOL, AT(version), "false", 0, 0, NULL, "Print the version and exit.", true},
};
const size_t node_n_keys = sizeof(node_keys) / sizeof(node_keys[0]);

/* ---- what may change while running ---- */

bool options_is_reloadable(const char *key)
{
    static const char *const names[] = {
        "cluster",       "region",       "advertise",     "tls-name",         "capacity",
        "labels",        "location",     "token",         "token-file",       "stun-rate",
        "first-timeout", "idle-timeout", "drain-timeout", "stun-rate-prefix", "session-drain-timeout",
        "capacity-kbps", "turn",         "services",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(key, names[i]) == 0)
            return true;
    return false;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_list(const struct config_list *a, const struct config_list *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!same_text(a->v[i], b->v[i]))
            return false;
    return true;
}

static bool same_value(const struct config_key *k, const void *a, const void *b)
{
    switch (k->type) {
    case CONFIG_STRING:
        return same_text(*(const char *const *)a, *(const char *const *)b);
    case CONFIG_INT:
        return *(const int64_t *)a == *(const int64_t *)b;
    case CONFIG_BOOL:
        return *(const bool *)a == *(const bool *)b;
    case CONFIG_LIST:
        return same_list(a, b);
    }
    return true;
}

void options_diff(const struct node_options *a, const struct node_options *b,
                  void (*changed)(void *ctx, const char *key), void *ctx)
{
    for (size_t i = 0; i < node_n_keys; i++) {
        const struct config_key *k = &node_keys[i];
        if (!same_value(k, (const char *)a + k->offset, (const char *)b + k->offset))
            changed(ctx, k->name);
    }
}

/* ---- checks ---- */

static int fail(struct options_error *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int fail(struct options_error *e, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->text, sizeof(e->text), fmt, ap);
    va_end(ap);
    return -EINVAL;
}

static int plan_list(struct node_plan *plan, enum transport t, const struct config_list *list,
                     struct options_error *e)
{
    const char *name = transport_name(t);
    if (list->n > NODE_ADDRESSES_MAX)
        return fail(e, "--%s: at most %d addresses", name, NODE_ADDRESSES_MAX);
    for (size_t i = 0; i < list->n; i++) {
        struct addr *a = &plan->bind.at[t][i];
        if (addr_parse(a, list->v[i]) != 0)
            return fail(
                e, "--%s: '%.80s' is not ADDR:PORT (an IP address; [v6]:PORT for IPv6; 0.0.0.0:PORT for all)",
                name, list->v[i]);
        for (size_t j = 0; j < i; j++)
            if (a->port != 0 && addr_eq(a, &plan->bind.at[t][j]))
                return fail(e, "--%s: '%.80s' is listed twice", name, list->v[i]);
        plan->bind.n[t] = i + 1;
    }
    return 0;
}

static void plan_default(struct node_plan *plan, enum transport t, uint16_t port)
{
    const struct addr v4 = {.family = ADDR_V4, .port = port}, v6 = {.family = ADDR_V6, .port = port};
    plan->bind.at[t][plan->bind.n[t]++] = v4;
    plan->bind.at[t][plan->bind.n[t]++] = v6;
}

static int plan_listeners(struct node_plan *plan, const struct node_options *o, struct options_error *e)
{
    int rc = plan_list(plan, TRANSPORT_UDP, &o->udp, e);
    if (rc == 0)
        rc = plan_list(plan, TRANSPORT_TCP, &o->tcp, e);
    if (rc == 0)
        rc = plan_list(plan, TRANSPORT_TLS, &o->tls, e);
    if (rc != 0)
        return rc;
    bool none = o->udp.n + o->tcp.n + o->tls.n == 0;
    if (none && o->standalone)
        return fail(e,
                    "nothing to listen on: --standalone needs at least one of --udp, --tcp, --tls ADDR:PORT");
    if (none) {
        plan->bind_defaults = true;
        plan_default(plan, TRANSPORT_UDP, 5004);
        plan_default(plan, TRANSPORT_UDP, 3478);
        plan_default(plan, TRANSPORT_UDP, 9000);
        plan_default(plan, TRANSPORT_TCP, 5004);
        plan_default(plan, TRANSPORT_TLS, 443);
    }
    bool tls = plan->bind.n[TRANSPORT_TLS] > 0;
    if (tls && (!o->cert || !o->key))
        return fail(e, "TLS%s needs a certificate and its key: give --cert FILE and --key FILE%s",
                    none ? " on port 443" : "",
                    none ? ", or name the addresses to listen on with --udp and --tcp only" : "");
    if ((o->cert == NULL) != (o->key == NULL))
        return fail(e, "--cert and --key go together");
    return 0;
}

/* The IP of the first UDP address that names one, of the alternate's family, and the next port on that IP. */
static size_t find_primary(const struct node_plan *plan, uint8_t family, size_t primary[static 2])
{
    const struct addr *at = plan->bind.at[TRANSPORT_UDP];
    size_t n = 0;
    for (size_t i = 0; i < plan->bind.n[TRANSPORT_UDP] && n < 2; i++)
        if (at[i].family == family && !addr_is_wildcard(&at[i]) &&
            (n == 0 || addr_ip_eq(&at[i], &at[primary[0]])))
            primary[n++] = i;
    return n;
}

static int plan_behaviour(struct node_plan *plan, const struct node_options *o, struct options_error *e)
{
    struct node_behaviour *b = &plan->behaviour;
    if (!o->behaviour_alternate)
        return o->behaviour_response_port
                   ? fail(e, "--behaviour-response-port needs --behaviour-alternate IP")
                   : 0;
    if (addr_parse_ip(&b->alternate, o->behaviour_alternate) != 0 || addr_is_wildcard(&b->alternate))
        return fail(e, "--behaviour-alternate: '%.80s' is not an IP address of this machine",
                    o->behaviour_alternate);
    if (find_primary(plan, b->alternate.family, b->primary) < 2)
        return fail(
            e,
            "--behaviour-alternate needs two --udp IP:PORT of one IP (not 0.0.0.0 or [::]), of its family");
    if (addr_ip_eq(&b->alternate, &plan->bind.at[TRANSPORT_UDP][b->primary[0]]))
        return fail(e, "--behaviour-alternate: '%.80s' is the IP of --udp; another one is needed",
                    o->behaviour_alternate);
    b->on = true;
    b->response_port = o->behaviour_response_port;
    return 0;
}

static int plan_metrics(struct node_plan *plan, const struct node_options *o, struct options_error *e)
{
    const char *text = o->metrics ? o->metrics : o->standalone ? "off" : "127.0.0.1:9641";
    if (strcmp(text, "off") == 0)
        return 0;
    if (addr_parse(&plan->metrics, text) != 0)
        return fail(e, "--metrics: '%.80s' is neither ADDR:PORT nor 'off'", text);
    plan->has_metrics = true;
    return 0;
}

static int check_name(const char *key, const char *s, struct options_error *e)
{
    size_t len = strlen(s);
    if (len == 0 || len > NODE_ID_MAX)
        return fail(e, "--%s: 1 to %d characters", key, NODE_ID_MAX);
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)s[i]) && !strchr("._-", s[i]))
            return fail(e, "--%s: only letters, digits, '.', '_' and '-'", key);
    return 0;
}

static int plan_label(struct node_label *l, const char *text, struct options_error *e)
{
    const char *eq = strchr(text, '=');
    if (!eq || eq == text || (size_t)(eq - text) > NODE_LABEL_MAX || strlen(eq + 1) > NODE_LABEL_MAX)
        return fail(e, "--labels: '%.80s' is not KEY=VALUE of at most %d characters each", text,
                    NODE_LABEL_MAX);
    memcpy(l->key, text, (size_t)(eq - text));
    memcpy(l->value, eq + 1, strlen(eq + 1) + 1);
    return 0;
}

static int plan_turn(struct node_identity *id, const struct config_list *urls, struct options_error *e)
{
    if (urls->n > TURN_URLS_MAX)
        return fail(e, "--turn: at most %d", TURN_URLS_MAX);
    for (size_t i = 0; i < urls->n; i++) {
        if (!turn_url_valid(urls->v[i]))
            return fail(e,
                        "--turn: '%.80s' is not turn:HOST[:PORT], nor turns:, stun: or stuns:", urls->v[i]);
        id->turn[id->n_turn++] = urls->v[i];
    }
    return 0;
}

static int plan_services(struct node_identity *id, const struct config_list *services,
                         struct options_error *e)
{
    static const char turn[] = "turn=";
    if (services->n > NODE_SERVICES_MAX)
        return fail(e, "--services: at most %d", NODE_SERVICES_MAX);
    for (size_t i = 0; i < services->n; i++) {
        const char *text = services->v[i], *eq = strchr(text, '=');
        if (!eq || eq == text || (size_t)(eq - text) > NODE_LABEL_MAX || strlen(eq + 1) > NODE_SERVICE_MAX)
            return fail(e, "--services: '%.80s' is not NAME=VALUE of at most %d and %d characters", text,
                        NODE_LABEL_MAX, NODE_SERVICE_MAX);
        if (strncmp(text, turn, sizeof(turn) - 1) == 0)
            return fail(e, "--services: 'turn' has an option of its own, --turn URL");
        id->services[id->n_services++] = text;
    }
    return 0;
}

static int plan_location(struct node_identity *id, const char *text, struct options_error *e)
{
    char *end = NULL, *end2 = NULL;
    id->lat = strtod(text, &end);
    if (end != text && *end == ',')
        id->lon = strtod(end + 1, &end2);
    bool ok = end2 && end2 != end + 1 && *end2 == '\0' && isfinite(id->lat) && isfinite(id->lon) &&
              fabs(id->lat) <= 90 && fabs(id->lon) <= 180;
    if (!ok)
        return fail(e, "--location: '%.40s' is not LATITUDE,LONGITUDE in degrees, as in 52.37,4.90", text);
    id->has_location = true;
    return 0;
}

static int plan_identity(struct node_plan *plan, const struct node_options *o, struct options_error *e)
{
    struct node_identity *id = &plan->identity;
    id->node = o->node ? o->node : plan->host_name;
    id->cluster = o->cluster;
    id->region = o->region;
    id->tls_name = o->tls_name;
    id->capacity = o->capacity;
    id->capacity_kbps = o->capacity_kbps;
    int rc = check_name("node", id->node, e);
    if (rc == 0)
        rc = check_name("cluster", id->cluster, e);
    if (rc == 0)
        rc = check_name("region", id->region, e);
    if (rc == 0 && o->tls_name && !host_valid(o->tls_name))
        rc = fail(e, "--tls-name: '%.80s' is no host name or IP (no port belongs here)", o->tls_name);
    if (rc == 0 && o->labels.n > NODE_LABELS_MAX)
        rc = fail(e, "--labels: at most %d", NODE_LABELS_MAX);
    for (size_t i = 0; i < o->labels.n && rc == 0; i++) {
        rc = plan_label(&id->labels[i], o->labels.v[i], e);
        id->n_labels = i + 1;
    }
    if (rc == 0 && o->location)
        rc = plan_location(id, o->location, e);
    if (rc == 0)
        rc = plan_turn(id, &o->turn, e);
    if (rc == 0)
        rc = plan_services(id, &o->services, e);
    return rc;
}

/* What it was is not repeated: it may hold a password. */
static int plan_proxy(struct node_plan *plan, const struct node_options *o, char *const *environment,
                      struct options_error *e)
{
    const struct proxy_inputs in = {.proxy = o->proxy, .no_proxy = o->no_proxy, .environment = environment};
    if (o->controller && control_proxy_choose(&plan->proxy, &in, o->controller) != 0)
        return fail(e, "--proxy is http://[USER:PASSWORD@]HOST:PORT, https://... or none");
    return 0;
}

static int plan_controller(const struct node_options *o, struct options_error *e)
{
    if (o->standalone) /* wins: BERTH_CONTROLLER may be in the environment for other programs */
        return 0;
    if (!o->controller)
        return fail(e, "give --controller URL with a node key (--token-file FILE), or --standalone");
    if (!o->token && !o->token_file)
        return fail(e,
                    "--controller needs the node key: --token-file FILE, or BERTH_TOKEN in the environment");
    return 0;
}

int options_plan(struct node_plan *plan, const struct node_options *o, const struct options_machine *machine,
                 struct options_error *e)
{
    memset(plan, 0, sizeof(*plan));
    snprintf(plan->host_name, sizeof(plan->host_name), "%s", machine->host_name);
    plan->threads = o->threads > 0 ? (size_t)o->threads : machine->cores;
    if (plan->threads > NODE_THREADS_MAX)
        plan->threads = NODE_THREADS_MAX;
    if (log_level_parse(o->log_level, &plan->log_level) != 0)
        return fail(e, "--log-level: '%.40s' is none of debug, info, warn, error", o->log_level);
    if (log_format_parse(o->log_format, &plan->log_format) != 0)
        return fail(e, "--log-format: '%.40s' is neither logfmt nor json", o->log_format);
    int rc = plan_controller(o, e);
    if (rc == 0)
        rc = plan_proxy(plan, o, machine->environment, e);
    if (rc == 0)
        rc = plan_listeners(plan, o, e);
    if (rc == 0)
        rc = plan_behaviour(plan, o, e);
    if (rc == 0)
        rc = plan_metrics(plan, o, e);
    if (rc == 0)
        rc = plan_identity(plan, o, e);
    return rc;
}
