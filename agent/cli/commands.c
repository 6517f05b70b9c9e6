/* The table of subcommands and their options. Everything that help and the manual page say about them stands here. */
#include "commands.h"

#include "firewall_pinhole.h"

#include <string.h>

#define AT(member) offsetof(struct cli_options, member)
#define N(a)       (sizeof(a) / sizeof((a)[0]))

static const struct config_key common[] = {
    {"controller", NULL, CONFIG_STRING, AT(controller), NULL, 0, 0, "URL",
     "The controller: https://host[:port].", false},
    {"token", NULL, CONFIG_STRING, AT(token), NULL, 0, 0, "TOKEN",
     "API key, or a token made with one; better in BERTH_TOKEN, where other users don't see it.", false},
    {"ca", NULL, CONFIG_STRING, AT(ca), NULL, 0, 0, "FILE",
     "Trust these certificates (PEM) instead of the system's.", false},
    {"agent", NULL, CONFIG_STRING, AT(agent), NULL, 0, 0, "ID",
     "Who this agent is; the host name by default.", false},
    {"proxy", NULL, CONFIG_STRING, AT(proxy), NULL, 0, 0, "URL",
     "Go through this HTTP proxy; or auto (ask the network: WPAD), or none.", false},
    {"proxy-pac", NULL, CONFIG_STRING, AT(proxy_pac), NULL, 0, 0, "FILE|URL",
     "The PAC script that names the proxies.", false},
    {"no-proxy", NULL, CONFIG_STRING, AT(no_proxy), NULL, 0, 0, "LIST",
     "Domains, addresses and prefixes that are reached directly.", false},
    {"proxy-user", NULL, CONFIG_STRING, AT(proxy_user), NULL, 0, 0, "USER",
     "For the proxy, where its URL names none.", false},
    {"proxy-password", NULL, CONFIG_STRING, AT(proxy_password), NULL, 0, 0, "PASSWORD",
     "Better in BERTH_PROXY_PASSWORD, where other users don't see it.", false},
    {"state", NULL, CONFIG_STRING, AT(state), NULL, 0, 0, "FILE",
     "Where the networks that were reported of are remembered; none: nowhere.", false},
    {"json", NULL, CONFIG_BOOL, AT(json), NULL, 0, 0, NULL, "Print JSON instead of tables.", true},
    {"help", NULL, CONFIG_BOOL, AT(help), NULL, 0, 0, NULL, "Show this help.", true},
    {"version", NULL, CONFIG_BOOL, AT(version), NULL, 0, 0, NULL, "Show the version.", true},
};

#define ADMIN_TOKEN                                                                                       \
    {                                                                                                     \
        "admin-token", NULL, CONFIG_STRING, AT(admin_token), NULL, 0, 0, "TOKEN",                         \
            "The operator's admin key, better in BERTH_ADMIN_TOKEN; preferred to BERTH_TOKEN where both " \
            "are set.",                                                                                   \
            false                                                                                         \
    }
#define NODE_SPEC                                                                                   \
    {                                                                                               \
        "node", NULL, CONFIG_LIST, AT(node), NULL, 0, 0, "HOST[,udp=PORT][,tcp=PORT][,tls=PORT]",   \
            "Probe this node, with no controller. HOST is a name, an IPv4 address or [IPv6].", true \
    }

static const struct config_key probe_keys[] = {
    {"report", NULL, CONFIG_BOOL, AT(report), NULL, 0, 0, NULL, "Send the results to the controller.", true},
    NODE_SPEC,
    {"require", NULL, CONFIG_LIST, AT(require), NULL, 0, 0, "TRANSPORT",
     "Exit with 1 unless udp, tcp, tls or proxy reaches a node.", true},
};
static const struct config_key watch_keys[] = {NODE_SPEC};
static const struct config_key firewall_keys[] = {
    NODE_SPEC,
    {"udp", NULL, CONFIG_LIST, AT(udp), NULL, 0, 0, "PORTS",
     "Test these UDP ports as well: 58024,58523 or 60000-60010.", true},
    {"pinhole", NULL, CONFIG_BOOL, AT(pinhole), NULL, 0, 0, NULL,
     "Find out how long a silent UDP pinhole stays open; takes as long as the limit.", true},
    {"pinhole-limit", NULL, CONFIG_INT, AT(pinhole_limit), "120", PINHOLE_LIMIT_LEAST_S, PINHOLE_LIMIT_MOST_S,
     "SECONDS", "The longest silence to try.", true},
};
static const struct config_key operator_keys[] = {ADMIN_TOKEN};
static const struct config_key one_node_keys[] = {
    ADMIN_TOKEN,
    {"org", NULL, CONFIG_STRING, AT(org), NULL, 0, 0, "ORG", "Whose mesh node it is; the cloud's by default.",
     true},
};
static const struct config_key node_show_keys[] = {
    ADMIN_TOKEN,
    {"org", NULL, CONFIG_STRING, AT(org), NULL, 0, 0, "ORG", "Whose mesh node it is; the cloud's by default.",
     true},
    {"rtt", NULL, CONFIG_BOOL, AT(rtt), NULL, 0, 0, NULL,
     "Also the round trips between it and the other nodes.", true},
};
static const struct config_key agent_report_keys[] = {
    {"network", NULL, CONFIG_STRING, AT(network), NULL, 0, 0, "ID", "Only of this network; else the newest.",
     true},
};
static const struct config_key event_list_keys[] = {
    ADMIN_TOKEN,
    {"open", NULL, CONFIG_BOOL, AT(open), NULL, 0, 0, NULL, "Only those that still hold.", true},
    {"severity", NULL, CONFIG_STRING, AT(severity), NULL, 0, 0, "SEVERITY",
     "Only those: info, warning or critical.", true},
};
static const struct config_key key_keys[] = {
    ADMIN_TOKEN,
    {"org", NULL, CONFIG_STRING, AT(org), NULL, 0, 0, "ORG", "The organisation; by default the token's own.",
     true},
};
static const struct config_key key_create_keys[] = {
    ADMIN_TOKEN,
    {"org", NULL, CONFIG_STRING, AT(org), NULL, 0, 0, "ORG", "The organisation; by default the token's own.",
     true},
    {"kind", NULL, CONFIG_STRING, AT(kind), "org", 0, 0, "KIND", "org: for its backend; node: for its nodes.",
     true},
};
static const struct config_key key_token_keys[] = {
    {"grants", NULL, CONFIG_LIST, AT(grants), NULL, 0, 0, "GRANT", "probe, join; both by default.", true},
    {"ttl", NULL, CONFIG_INT, AT(ttl), "3600", 1, 86400, "SECONDS", "How long it is valid.", true},
};
static const struct config_key meeting_create_keys[] = {
    {"allow-region", NULL, CONFIG_LIST, AT(allow_region), NULL, 0, 0, "REGION", "Only nodes there.", true},
    {"deny-region", NULL, CONFIG_LIST, AT(deny_region), NULL, 0, 0, "REGION", "No nodes there.", true},
    {"private", NULL, CONFIG_BOOL, AT(private_only), NULL, 0, 0, NULL, "Only the organisation's own nodes.",
     true},
    {"transport", NULL, CONFIG_LIST, AT(transports), NULL, 0, 0, "TRANSPORT",
     "Only over udp, tcp, tls or proxy.", true},
    {"expected-size", NULL, CONFIG_INT, AT(expected_size), "0", 0, 1000000, "N", "How many will come.", true},
    {"bitrate-kbps", NULL, CONFIG_INT, AT(bitrate_kbps), "0", 0, 1000000, "N", "What each will send.", true},
    {"last-n", NULL, CONFIG_INT, AT(last_n), "0", 0, 500, "N",
     "So many are heard and seen at a time, the loudest; 0: 20.", true},
    {"mesh-within-ms", NULL, CONFIG_INT, AT(mesh_within_ms), "-1", -1, 60000, "MS",
     "Own nodes no farther go before the cloud's; 0: no preference; -1: as the controller has it, 250.",
     true},
    {"cap-worst", NULL, CONFIG_BOOL, AT(cap_worst), NULL, 0, 0, NULL,
     "The worst-off participant goes before the mean: within 50 ms, else 100, else 200.", true},
};
static const struct config_key meeting_join_keys[] = {
    {"network", NULL, CONFIG_STRING, AT(network), NULL, 0, 0, "ID",
     "Only measurements of this network count; else the newest.", true},
    {"capability", NULL, CONFIG_LIST, AT(capabilities), NULL, 0, 0, "TRANSPORT",
     "What the participant can do: udp, tcp, tls or proxy; all by default.", true},
    {"probe", NULL, CONFIG_BOOL, AT(probe_first), NULL, 0, 0, NULL,
     "Probe and report first, then join naming this network.", true},
    {"connect", NULL, CONFIG_BOOL, AT(connect), NULL, 0, 0, NULL,
     "Connect by the ladder, and keep the connection open for --seconds.", true},
    {"seconds", NULL, CONFIG_INT, AT(seconds), "10", 1, 86400, "N", "How long to stay connected.", true},
};

static const struct config_key meeting_explain_keys[] = {
    {"participant", NULL, CONFIG_STRING, AT(participant), NULL, 0, 0, "AGENT",
     "This participant only, with up to 500 candidates in JSON.", true},
};

static const struct config_key simulate_keys[] = {
    {"participant", NULL, CONFIG_STRING, AT(participant), NULL, 0, 0, "AGENT", "This participant only.",
     true},
};

#define ANALYTICS_ORG                                                                                    \
    ADMIN_TOKEN,                                                                                         \
        {"org",   NULL,  CONFIG_STRING,                                                                  \
         AT(org), NULL,  0,                                                                              \
         0,       "ORG", "The organisation, with the operator's admin key; by default the token's own.", \
         true},                                                                                          \
    {                                                                                                    \
        "all-orgs", NULL, CONFIG_BOOL, AT(all_orgs), NULL, 0, 0, NULL,                                   \
            "All organisations together, with the operator's admin key.", true                           \
    }
#define ANALYTICS_BY                                                                             \
    {                                                                                            \
        "by", NULL, CONFIG_STRING, AT(by), NULL, 0, 0, "SITE",                                   \
            "network (the default), or prefix: the /24 and /48 that agents are seen from.", true \
    }
static const struct config_key analytics_keys[] = {ANALYTICS_ORG};
static const struct config_key analytics_transports_keys[] = {ANALYTICS_ORG, ANALYTICS_BY};
static const struct config_key analytics_rtt_keys[] = {
    ANALYTICS_ORG,
    {"network", NULL, CONFIG_STRING, AT(network), NULL, 0, 0, "ID", "Only agents of this network.", true},
};
static const struct config_key analytics_new_node_keys[] = {
    ANALYTICS_ORG,
    ANALYTICS_BY,
    {"network", NULL, CONFIG_STRING, AT(network), NULL, 0, 0, "ID", "The node would stand in this network.",
     true},
    {"like", NULL, CONFIG_STRING, AT(like), NULL, 0, 0, "NODE", "It would stand where this node does.", true},
    {"lat", NULL, CONFIG_STRING, AT(lat), NULL, 0, 0, "DEGREES", "It would stand there; with --lon.", true},
    {"lon", NULL, CONFIG_STRING, AT(lon), NULL, 0, 0, "DEGREES", "It would stand there; with --lat.", true},
};

static const struct config_key join_keys[] = {
    {"seconds", NULL, CONFIG_INT, AT(seconds), "10", 1, 86400, "N", "How long to take part.", true},
};

enum { CONTROLLER = CLI_NEEDS_CONTROLLER, CA = CLI_NEEDS_CA };

const struct command cli_commands[] = {
    {"probe", "", 0, 0, CA, "measure which nodes are reached, and how far they are",
     "Probes every node of the controller's list, or the nodes given with --node, over UDP, TCP and TLS. All "
     "times are in milliseconds: the STUN round trip (least, median, 95th percentile), and the TCP and TLS "
     "handshakes. Without any port, a given node is probed on Berth's default ports.\n\n"
     "Exit status 1: no node was reached, or a required transport reached none.",
     probe_keys, N(probe_keys), cmd_probe},
    {"watch", "", 0, 0, CA | CLI_NEEDS_SIGNALS, "stay, probe when it is time, and report",
     "Probes and reports at start, when the network changes, when SIGHUP says so, and before the report "
     "expires; until "
     "SIGINT or SIGTERM. A report that could not be delivered is delivered later while it is valid.",
     watch_keys, N(watch_keys), cmd_watch},
    {"join", "MEETING", 1, 1, CONTROLLER | CLI_NEEDS_SIGNALS, "take part in a meeting with test media",
     "Gets an assignment, connects by its ladder, and exchanges packets of the size and pace of Opus with "
     "the meeting's other participants for "
     "--seconds: lost paths and nodes are replaced meanwhile. What happens is told on standard error; shown "
     "at the end, for each that was heard: "
     "packets, loss, jitter, the round trip "
     "to it and back, and an estimate of how speech would sound (ITU-T G.107: R, and MOS). "
     "Ctrl-C leaves the meeting before --seconds are over, and shows the same.\n\n"
     "Exit status 1: no rung of the ladder works; or the call was lost and had not come back by the end; or "
     "the same agent has joined from elsewhere meanwhile.",
     join_keys, N(join_keys), cmd_join},
    {"firewall", "", 0, 0, CA, "show what this network lets through, and what to open",
     "Tests the ports of the controller's nodes, or of those given with --node, and tells what NAT, firewall "
     "and "
     "proxy do: which ports are open, dropped or rejected, which transport media would take and how good it "
     "is, "
     "and what to open, the most useful first. What can't be told is unknown: NAT behaviour is known where a "
     "node "
     "offers RFC 5780, or several nodes see one socket. A port that no node serves is untested.\n\n"
     "Exit status 1: media would find no way.",
     firewall_keys, N(firewall_keys), cmd_firewall},
    {"node list", "", 0, 0, CONTROLLER, "list the nodes; with the admin key also state and load", NULL,
     operator_keys, N(operator_keys), cmd_node_list},
    {"node show", "NODE", 1, 1, CONTROLLER, "show one node; with the admin key also state and load", NULL,
     node_show_keys, N(node_show_keys), cmd_node_show},
    {"node drain", "NODE", 1, 1, CONTROLLER, "give a node nobody new, and move who is there", NULL,
     one_node_keys, N(one_node_keys), cmd_node_drain},
    {"node undrain", "NODE", 1, 1, CONTROLLER, "give a node meetings again", NULL, one_node_keys,
     N(one_node_keys), cmd_node_undrain},
    {"node weight", "NODE WEIGHT", 2, 2, CONTROLLER,
     "make a node nearer (2 halves its round trips) or farther", "WEIGHT is 0.1 to 10; 1 is as measured.",
     one_node_keys, N(one_node_keys), cmd_node_weight},
    {"node delete", "NODE", 1, 1, CONTROLLER, "forget a node that has been stopped for good",
     "A node that still runs registers again with its next heartbeat: stop it first.", one_node_keys,
     N(one_node_keys), cmd_node_delete},
    {"event list", "", 0, 0, CONTROLLER, "list what is wrong, or was, the newest first", NULL,
     event_list_keys, N(event_list_keys), cmd_event_list},
    {"agent list", "", 0, 0, CONTROLLER, "list the organisation's agents", NULL, NULL, 0, cmd_agent_list},
    {"agent show", "AGENT", 1, 1, CONTROLLER, "show an agent and the meetings it is in", NULL, NULL, 0,
     cmd_agent_show},
    {"agent report", "AGENT", 1, 1, CONTROLLER, "show what an agent has measured, while it is valid", NULL,
     agent_report_keys, N(agent_report_keys), cmd_agent_report},
    {"agent delete", "AGENT", 1, 1, CONTROLLER, "erase all that is stored of an agent", NULL, NULL, 0,
     cmd_agent_delete},
    {"org create", "NAME", 1, 1, CONTROLLER, "make an organisation", NULL, operator_keys, N(operator_keys),
     cmd_org_create},
    {"org list", "", 0, 0, CONTROLLER, "list the organisations", NULL, operator_keys, N(operator_keys),
     cmd_org_list},
    {"org show", "ORG", 1, 1, CONTROLLER, "show one organisation", NULL, operator_keys, N(operator_keys),
     cmd_org_show},
    {"org delete", "ORG", 1, 1, CONTROLLER, "delete an organisation and all that is stored of it", NULL,
     operator_keys, N(operator_keys), cmd_org_delete},
    {"key create", "", 0, 0, CONTROLLER, "make an API key; it is shown once",
     "A key of kind org is for the organisation's backend: meetings, agents, and tokens for agents. A key of "
     "kind node "
     "enrols nodes: the organisation's own mesh, or those of the organisation \"cloud\".",
     key_create_keys, N(key_create_keys), cmd_key_create},
    {"key list", "", 0, 0, CONTROLLER, "list API keys, without their secrets", NULL, key_keys, N(key_keys),
     cmd_key_list},
    {"key revoke", "KEY_ID", 1, 1, CONTROLLER, "end a key and all tokens made with it, within 5 s", NULL,
     operator_keys, N(operator_keys), cmd_key_revoke},
    {"key token", "", 0, 0, 0, "make an agent's token from an org's key, offline",
     "Prints a JWT for --agent (which must be given) to use as its --token. The organisation's key is "
     "--token or "
     "BERTH_TOKEN; no controller is asked.",
     key_token_keys, N(key_token_keys), cmd_key_token},
    {"meeting create", "[MEETING]", 0, 1, CONTROLLER, "make a meeting, with an id of yours or a new one",
     NULL, meeting_create_keys, N(meeting_create_keys), cmd_meeting_create},
    {"meeting list", "", 0, 0, CONTROLLER, "list the meetings", NULL, NULL, 0, cmd_meeting_list},
    {"meeting show", "MEETING", 1, 1, CONTROLLER, "show a meeting and who is in it", NULL, NULL, 0,
     cmd_meeting_show},
    {"meeting delete", "MEETING", 1, 1, CONTROLLER, "end a meeting", NULL, NULL, 0, cmd_meeting_delete},
    {"meeting join", "MEETING", 1, 1, CONTROLLER, "get a participant's node, and why it is this one",
     "Adds --agent (by default the token's, else the host name) to the meeting and shows the assignment: the "
     "node, "
     "the transport expected, the ladder of addresses to try in order, and the reasons. With --connect the "
     "rungs are raced, each a little later than the one before; the best that answers is kept alive, and "
     "shown "
     "are what happened to each rung and the keep-alives' round trips.\n\n"
     "Exit status 1, with --connect: no rung works, or the connection did not last.",
     meeting_join_keys, N(meeting_join_keys), cmd_meeting_join},
    {"meeting explain", "MEETING", 1, 1, CONTROLLER, "show what each node would cost, and why",
     "Shows for each participant what would be decided now: the node, and what each candidate costs, in "
     "one-way "
     "milliseconds: the way to the node, penalties and prices, the others' ways, the way between nodes. A "
     "node "
     "that can't be used has the reasons beside it. JSON has every term by itself.",
     meeting_explain_keys, N(meeting_explain_keys), cmd_meeting_explain},
    {"meeting leave", "MEETING", 1, 1, CONTROLLER, "take a participant out of a meeting",
     "The participant is --agent: by default the one that the token names, else the host name.", NULL, 0,
     cmd_meeting_leave},
    {"simulate", "FILE", 1, 1, CONTROLLER, "decide for given measurements, and store nothing",
     "FILE (\"-\": standard input) has what POST /v1/simulate takes: participants with the results that they "
     "would report, a policy, and who is on which node already. The nodes are those that the organisation "
     "sees, as they are now; what agents have reported is not read. Shown is what meeting explain shows.",
     simulate_keys, N(simulate_keys), cmd_simulate},
    {"analytics transports", "", 0, 0, CONTROLLER, "show which transports work, network by network",
     "Of the agents with a live report: the share of those who tried a transport that reached some node by "
     "it, "
     "and how many reach none at all.",
     analytics_transports_keys, N(analytics_transports_keys), cmd_analytics_transports},
    {"analytics rtt", "", 0, 0, CONTROLLER, "show how far each node is from the agents",
     "Each agent counts with the least round trip over the transport that it would use: least, median and "
     "95th percentile over the agents that reach the node.",
     analytics_rtt_keys, N(analytics_rtt_keys), cmd_analytics_rtt},
    {"analytics calls", "", 0, 0, CONTROLLER, "show what calls measured, and what was counted on",
     "By node and transport: the round trips of calls, the packets lost, and by how much their round trips "
     "were "
     "longer (or shorter: below 0) than their assignments had counted on.",
     analytics_keys, N(analytics_keys), cmd_analytics_calls},
    {"analytics new-node", "", 0, 0, CONTROLLER, "estimate whom a node in a new place would help",
     "Where it would stand is said by --network, --like, or --lat and --lon. The round trips that agents "
     "would "
     "have to it are estimated from those that both have to the nodes that are there: an estimate, good to "
     "some "
     "10 ms at the median where there are ten nodes or more. Agents count as helped from 5 ms on.",
     analytics_new_node_keys, N(analytics_new_node_keys), cmd_analytics_new_node},
    {"help", "[COMMAND]", 0, 2, 0, "explain a command", NULL, NULL, 0, cli_help},
};
const size_t cli_n_commands = N(cli_commands);

size_t cli_keys(const struct command *command, struct config_key out[static CLI_KEYS_MAX])
{
    size_t own = command != NULL ? command->n_keys : 0;
    _Static_assert(N(common) + N(meeting_create_keys) <= CLI_KEYS_MAX, "the longest list of keys fits");
    if (own > 0)
        memcpy(out, command->keys, own * sizeof(*out));
    memcpy(out + own, common, sizeof(common));
    return own + N(common);
}
