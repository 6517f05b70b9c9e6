/* The subcommands: one function each, in the file of its name. */
#ifndef BERTH_CLI_COMMANDS_H
#define BERTH_CLI_COMMANDS_H

#include "cli.h"

enum cli_exit cmd_probe(struct cli *c);
enum cli_exit cmd_watch(struct cli *c);
enum cli_exit cmd_join(struct cli *c);
enum cli_exit cmd_firewall(struct cli *c);
enum cli_exit cmd_node_list(struct cli *c);
enum cli_exit cmd_node_show(struct cli *c);
enum cli_exit cmd_node_drain(struct cli *c);
enum cli_exit cmd_node_undrain(struct cli *c);
enum cli_exit cmd_node_weight(struct cli *c);
enum cli_exit cmd_node_delete(struct cli *c);
enum cli_exit cmd_agent_list(struct cli *c);
enum cli_exit cmd_agent_show(struct cli *c);
enum cli_exit cmd_agent_report(struct cli *c);
enum cli_exit cmd_agent_delete(struct cli *c);
enum cli_exit cmd_org_create(struct cli *c);
enum cli_exit cmd_org_list(struct cli *c);
enum cli_exit cmd_event_list(struct cli *c);
enum cli_exit cmd_org_show(struct cli *c);
enum cli_exit cmd_org_delete(struct cli *c);
enum cli_exit cmd_key_create(struct cli *c);
enum cli_exit cmd_key_list(struct cli *c);
enum cli_exit cmd_key_revoke(struct cli *c);
enum cli_exit cmd_key_token(struct cli *c);
enum cli_exit cmd_meeting_create(struct cli *c);
enum cli_exit cmd_meeting_list(struct cli *c);
enum cli_exit cmd_meeting_show(struct cli *c);
enum cli_exit cmd_meeting_delete(struct cli *c);
enum cli_exit cmd_meeting_join(struct cli *c);
enum cli_exit cmd_meeting_explain(struct cli *c);
enum cli_exit cmd_meeting_leave(struct cli *c);
enum cli_exit cmd_simulate(struct cli *c);
enum cli_exit cmd_analytics_transports(struct cli *c);
enum cli_exit cmd_analytics_rtt(struct cli *c);
enum cli_exit cmd_analytics_calls(struct cli *c);
enum cli_exit cmd_analytics_new_node(struct cli *c);

#endif
