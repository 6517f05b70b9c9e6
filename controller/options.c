/* The controller's configuration keys, each listed once. Invariant: what options_load accepts lies within its
 * ranges; what depends on several keys is checked by options_check_serve. */
#include "options.h"

#include "core/addr.h"
#include "sys/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define AT(member)  offsetof(struct options, member)
#define TEXT_OF(v)  #v
#define TEXT(macro) TEXT_OF(macro)

/* Defaults as text: samples_text and so on. */
#define X(member, least, most, def) static const char member##_text[] __attribute__((unused)) = #def;
PROBE_POLICY_MEMBERS(X)
#undef X

static const struct config_key keys[] = {
    {"database", "controller", CONFIG_STRING, AT(database), NULL, 0, 0, "URL",
     "PostgreSQL: postgresql://user:password@host:port/name; with a password better in the file or "
     "BERTH_DATABASE, since others see arguments.",
     false},
    {"listen", "controller", CONFIG_LIST, AT(listen), "0.0.0.0:443,[::]:443", 0, 0, "ADDR:PORT",
     "Answer HTTPS here; repeatable; port 0 takes a free one.", false},
    {"metrics", "controller", CONFIG_STRING, AT(metrics), "127.0.0.1:9640", 0, 0, "ADDR:PORT",
     "Health and metrics over clear HTTP; \"off\": none.", true},
    {"public-name", "controller", CONFIG_STRING, AT(public_name), NULL, 0, 0, "HOST[:PORT]",
     "The name that agents reach the controllers by, for GET /v1/ip-ranges; port 443 unless said.", false},
    {"public-address", "controller", CONFIG_LIST, AT(public_address), NULL, 0, 0, "IP",
     "An address behind that name, for GET /v1/ip-ranges; repeatable.", false},
    {"cert", "controller", CONFIG_STRING, AT(cert), NULL, 0, 0, "FILE", "Certificate chain, PEM.", false},
    {"key", "controller", CONFIG_STRING, AT(key), NULL, 0, 0, "FILE", "Private key, PEM.", false},
    {"insecure-http", "controller", CONFIG_BOOL, AT(insecure_http), NULL, 0, 0, NULL,
     "Clear HTTP instead of HTTPS, on loopback addresses only.", false},
    {"master-key", "controller", CONFIG_STRING, AT(master_key), NULL, 0, 0, "FILE",
     "Master keys, 64 hex digits a line, the newest first: it signs, all verify.", false},
    {"admin-key", "controller", CONFIG_STRING, AT(admin_key), NULL, 0, 0, "FILE",
     "The operator's keys, one a line.", false},
    {"threads", "controller", CONFIG_INT, AT(threads), "0", 0, 256, "N",
     "Threads, each with six database connections, and five more for all; 0: one a core.", false},
    {"report-lifetime", "controller", CONFIG_INT, AT(report_lifetime_s), TEXT(REPORT_LIFETIME_DEFAULT_S), 2,
     7 * 86400, "s", "A report lives so long from when it was measured.", false},
    {"event-lifetime", "controller", CONFIG_INT, AT(event_lifetime_s), "3600", 10, 12 * 3600, "s",
     "An agent that was away for no longer gets the events that it missed.", false},
    {"ticket-lifetime", "controller", CONFIG_INT, AT(ticket_lifetime_s), "3600", 60, 24 * 3600, "s",
     "An assignment's ticket, and its credentials for a TURN server, admit for so long.", false},
    {"call-report", "controller", CONFIG_INT, AT(call_report_s), "900", 0, 24 * 3600, "s",
     "Agents in a call tell so often what it measures, and once when it ends; 0: never.", false},
    {"geoip", "controller", CONFIG_STRING, AT(geoip), NULL, 0, 0, "FILE",
     "Countries of addresses, in MaxMind's format, for predictions.", false},
    {"housekeeping", "controller", CONFIG_BOOL, AT(housekeeping), "true", 0, 0, NULL,
     "Make and drop the reports' partitions, and drop old events, when it is this controller's turn.", false},
    {"request-deadline", "limits", CONFIG_INT, AT(request_deadline_ms), "5000", 100, 60000, "ms",
     "A request that the database hasn't answered by then gets 503.", false},
    {"max-connections", "limits", CONFIG_INT, AT(max_connections), "10000", 1, 1000000, "N",
     "Connections at once on one listener of one thread.", false},
    {"max-connections-per-ip", "limits", CONFIG_INT, AT(max_connections_per_ip), "2000", 0, 1000000, "N",
     "Connections at once from one IPv4 address or IPv6 /64; 0: no limit.", false},
    {"max-streams", "limits", CONFIG_INT, AT(max_streams), "8000", 1, 1000000, "N",
     "Event streams (GET /v1/stream) at once of one thread.", false},
    {"max-org-streams", "limits", CONFIG_INT, AT(max_org_streams), "4000", 0, 1000000, "N",
     "Of these, one org's; 0: no limit.", false},
    {"stream-keepalive", "limits", CONFIG_INT, AT(stream_keepalive_s), "15", 1, 15, "s",
     "A comment goes out on an event stream after so much silence; who takes nothing for so long is cut off.",
     false},
    {"rate-limit", "limits", CONFIG_INT, AT(rate_limit), "5000", 0, 1000000, "N",
     "Requests a second of one key, agent or address; 0: no limit.", false},
    {"rate-burst", "limits", CONFIG_INT, AT(rate_burst), "10000", 1, 1000000, "N",
     "Requests that may come at once before the rate counts.", false},
    {"max-org-nodes", "limits", CONFIG_INT, AT(max_org_nodes), "1000", 0, 1000000, "N",
     "Mesh nodes of one org; 0: no limit.", false},
    {"max-org-meetings", "limits", CONFIG_INT, AT(max_org_meetings), "100000", 0, 100000000, "N",
     "Meetings of one org at once; 0: no limit.", false},
    {"max-org-keys", "limits", CONFIG_INT, AT(max_org_keys), "1000", 0, 1000000, "N",
     "Keys of one org that aren't revoked; 0: no limit.", false},
    {"probe-samples", "probe", CONFIG_INT, AT(probe.samples), samples_text, PROBE_LEAST_samples,
     PROBE_MOST_samples, "N", "Samples that agents take of each node and transport.", false},
    {"probe-spacing", "probe", CONFIG_INT, AT(probe.spacing_ms), spacing_ms_text, PROBE_LEAST_spacing_ms,
     PROBE_MOST_spacing_ms, "ms", "Between samples of one target.", false},
    {"probe-timeout", "probe", CONFIG_INT, AT(probe.timeout_ms), timeout_ms_text, PROBE_LEAST_timeout_ms,
     PROBE_MOST_timeout_ms, "ms", "For one answer, connect or handshake.", false},
    {"probe-node-budget", "probe", CONFIG_INT, AT(probe.node_budget_ms), node_budget_ms_text,
     PROBE_LEAST_node_budget_ms, PROBE_MOST_node_budget_ms, "ms", "For one node, all transports.", false},
    {"probe-budget", "probe", CONFIG_INT, AT(probe.budget_ms), budget_ms_text, PROBE_LEAST_budget_ms,
     PROBE_MOST_budget_ms, "ms", "For all nodes together.", false},
    {"probe-pace", "probe", CONFIG_INT, AT(probe.pace_per_s), pace_per_s_text, PROBE_LEAST_pace_per_s,
     PROBE_MOST_pace_per_s, "N", "Packets and connects that an agent starts a second.", false},
    {"reprobe-after", "probe", CONFIG_INT, AT(probe.reprobe_after_s), "0", 0, PROBE_MOST_reprobe_after_s, "s",
     "Agents probe again at a random moment before that; 0: 11/12 of the lifetime.", false},
    {"log-level", "log", CONFIG_STRING, AT(log_level), "info", 0, 0, "LEVEL", "debug, info, warn or error.",
     false},
    {"log-format", "log", CONFIG_STRING, AT(log_format), "logfmt", 0, 0, "FORMAT", "logfmt or json.", false},
    {"config", NULL, CONFIG_STRING, AT(config), NULL, 0, 0, "FILE", "Configuration file.", false},
    {"check-config", NULL, CONFIG_BOOL, AT(check_config), NULL, 0, 0, NULL,
     "Check the configuration and exit.", true},
    {"print-config", NULL, CONFIG_BOOL, AT(print_config), NULL, 0, 0, NULL, "Print a sample file and exit.",
     true},
    {"die-with-parent", NULL, CONFIG_BOOL, AT(die_with_parent), NULL, 0, 0, NULL,
     "End when the process that started this one ends.", true},
    {"help", NULL, CONFIG_BOOL, AT(help), NULL, 0, 0, NULL, "Print this and exit.", true},
    {"version", NULL, CONFIG_BOOL, AT(version), NULL, 0, 0, NULL, "Print the version and exit.", true},
};
enum { N_KEYS = sizeof(keys) / sizeof(keys[0]) };

int options_load(struct options *o, struct config **config, struct config_list *words, int argc, char **argv,
                 char **environ_, struct config_error *e)
{
    const struct config_source src = {.keys = keys,
                                      .n_keys = N_KEYS,
                                      .argc = argc,
                                      .argv = argv,
                                      .environ_ = environ_,
                                      .positional_max = 1};
    int r;

    memset(o, 0, sizeof(*o));
    r = config_load(config, &src, o, words, e);
    if (r != 0)
        return r;
    if (o->probe.reprobe_after_s == 0)
        o->probe.reprobe_after_s = o->report_lifetime_s * REPROBE_PARTS / REPROBE_OF;
    return 0;
}

static int fail(struct config_error *e, const char *key, const char *value, const char *what)
{
    snprintf(e->text, sizeof(e->text), "%s: %s%s%s", key, value, value[0] != '\0' ? " " : "", what);
    return -EINVAL;
}

static int check_listen(const struct options *o, struct config_error *e)
{
    struct addr a;

    if (o->listen.n == 0)
        return fail(e, "listen", "", "at least one address is needed");
    for (size_t i = 0; i < o->listen.n; i++) {
        if (addr_parse(&a, o->listen.v[i]) != 0)
            return fail(e, "listen", o->listen.v[i], "is not ADDR:PORT");
        if (o->insecure_http && !addr_is_loopback(&a))
            return fail(e, "listen", o->listen.v[i], "is not a loopback address, as insecure-http requires");
    }
    if (strcmp(o->metrics, "off") != 0 && addr_parse(&a, o->metrics) != 0)
        return fail(e, "metrics", o->metrics, "is not ADDR:PORT");
    return 0;
}

static int check_public(const struct options *o, struct config_error *e)
{
    char host[HOST_MAX + 1];
    struct addr a;
    uint16_t port;

    if (o->public_name != NULL && (host_port_parse(o->public_name, 443, host, &port) != 0 || port == 0))
        return fail(e, "public-name", o->public_name, "is not HOST or HOST:PORT");
    for (size_t i = 0; i < o->public_address.n; i++) {
        if (addr_parse_ip(&a, o->public_address.v[i]) != 0)
            return fail(e, "public-address", o->public_address.v[i], "is not an IP address");
    }
    return 0;
}

int options_check(const struct options *o, struct config_error *e)
{
    enum log_level level;
    enum log_format format;

    if (log_level_parse(o->log_level, &level) != 0)
        return fail(e, "log-level", o->log_level, "is none of debug, info, warn, error");
    if (log_format_parse(o->log_format, &format) != 0)
        return fail(e, "log-format", o->log_format, "is neither logfmt nor json");
    return 0;
}

int options_check_serve(const struct options *o, struct config_error *e)
{
    if (o->database == NULL || o->database[0] == '\0')
        return fail(e, "database", "",
                    "a PostgreSQL URL is needed: --database, or BERTH_DATABASE in the environment");
    if (o->master_key == NULL || o->admin_key == NULL)
        return fail(e, "master-key, admin-key", "", "both files are needed: --master-key and --admin-key");
    if (!o->insecure_http && (o->cert == NULL || o->key == NULL))
        return fail(e, "cert, key", "", "both files are needed for HTTPS: --cert and --key");
    return check_listen(o, e) != 0 ? -EINVAL : check_public(o, e);
}

void options_print_help(void)
{
    printf("Usage: berth-controller [options]          serve\n"
           "       berth-controller migrate [options]  update the database's schema\n\n"
           "Any option may also stand in the file (--config) or the environment (BERTH_...).\n\n");
    config_print_help(stdout, keys, N_KEYS);
    printf("\nExit status: 0 done; 1 failed; 2 bad usage or configuration;\n"
           "3 (migrate) the database's schema is newer than this program's.\n");
}

void options_print_sample(void)
{
    config_print_sample(stdout, keys, N_KEYS);
}
