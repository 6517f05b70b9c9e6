/* berth firewall: what this network lets through, and what to open. */
#include "commands.h"

#include "../firewall_run.h"
#include "../options.h"
#include "../resolver.h"
#include "../sys_machine.h"
#include "call.h"
#include "driver.h"
#include "firewall_page.h"
#include "port_list.h"
#include "sys/clock.h"
#include "way.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct firewall {
    struct cli *cli;
    struct nodelist list;
    int64_t clock_ahead_us;
    uint16_t udp[FIREWALL_ASKED_PORTS_MAX];
    size_t n_udp;
};

static void on_progress(void *user, const char *what, size_t done, size_t of)
{
    const struct cli *c = user;
    if (!c->progress)
        return;
    fprintf(c->err, "\rTesting %s: %zu", what, done);
    if (of > 0)
        fprintf(c->err, " of %zu", of);
    fputs("\x1b[K", c->err);
}

static enum cli_exit read_ports(struct firewall *f)
{
    const struct config_list *l = &f->cli->o.udp;
    for (size_t i = 0; i < l->n; i++) {
        int rc = port_list_parse(f->udp, &f->n_udp, FIREWALL_ASKED_PORTS_MAX, l->v[i]);
        if (rc == -E2BIG)
            return cli_fail(f->cli, CLI_USAGE, "--udp takes at most %d ports", FIREWALL_ASKED_PORTS_MAX);
        if (rc != 0)
            return cli_fail(
                f->cli, CLI_USAGE,
                "--udp takes ports of 1 to 65535 (58024,58523) and ranges (60000-60010), not '%.80s'",
                l->v[i]);
    }
    return CLI_OK;
}

/* ---- which nodes ---- */

static enum cli_exit resolve(struct firewall *f, const struct agent_options *o)
{
    size_t found = 0;
    f->list.nodes = calloc(o->n_given + 1, sizeof(*f->list.nodes));
    if (f->list.nodes == NULL)
        return cli_fail(f->cli, CLI_USAGE, "out of memory");
    for (size_t i = 0; i < o->n_given; i++) {
        struct addr at[RESOLVED_MAX];
        int n = sys_resolve(o->given[i].host, at, RESOLVED_MAX);
        if (n <= 0)
            cli_fail(f->cli, CLI_USAGE, "%s has no address: is the name right, does DNS work here?",
                     o->given[i].host);
        found += n > 0;
        given_node_entry(&f->list.nodes[f->list.n++], &o->given[i], at, n > 0 ? (size_t)n : 0);
    }
    return found > 0 ? CLI_OK : cli_fail(f->cli, CLI_USAGE, "there is nothing to test");
}

static enum cli_exit given_nodes(struct firewall *f)
{
    struct driver s = {.cli = f->cli};
    struct agent_options options = {0};
    enum cli_exit code = driver_nodes(&s);
    struct berth_options o = {.size = sizeof(o), .nodes = s.nodes, .n_nodes = s.n_nodes};
    if (code == CLI_OK) {
        int rc = agent_options_init(&options, &o);
        code = rc == 0 ? resolve(f, &options) : cli_fail(f->cli, CLI_USAGE, "%s", berth_strerror(rc));
    }
    agent_options_clear(&options);
    driver_close(&s);
    probe_policy_init(&f->list.policy);
    return code;
}

static enum cli_exit listed_nodes(struct firewall *f)
{
    const struct cli *c = f->cli;
    json_t *answer = NULL;
    struct doc_error e;
    int64_t date_s = -1;
    if (c->o.controller == NULL)
        return cli_fail(c, CLI_USAGE, "what to test? Give --controller (BERTH_CONTROLLER), or --node");
    if (c->o.token == NULL)
        return cli_fail(c, CLI_USAGE, "no token: give --token TOKEN, or set BERTH_TOKEN");
    enum cli_exit code =
        call_dated(c, CALL_TOKEN_OWN, "get the list of nodes", "/v1/nodes", &answer, &date_s);
    if (code != CLI_OK) {
        cli_advise(c, "with no controller: berth firewall --node HOST, a node's name");
        return code;
    }
    if (date_s >= 0)
        f->clock_ahead_us = clock_wall_us() - date_s * 1000000;
    if (nodelist_from_json(answer, &f->list, &e) != 0)
        code = cli_fail(c, CLI_CONTROLLER, "the controller's list of nodes is not understood: %s", e.detail);
    else if (f->list.n == 0)
        code = cli_fail(c, CLI_BUT, "the controller knows no node: there is nothing to test");
    json_decref(answer);
    return code;
}

/* ---- the whole ---- */

static enum cli_exit print(const struct cli *c, const struct firewall_verdict *v)
{
    if (!c->o.json)
        return firewall_page_print(c, v);
    json_t *j = firewall_to_json(v);
    enum cli_exit code = cli_print_json(c, j);
    json_decref(j);
    return code;
}

static enum cli_exit examine(struct firewall *f, SSL_CTX *tls_ctx)
{
    struct cli *c = f->cli;
    const struct proxy_finder_options proxy = {c->o.proxy,      c->o.proxy_pac,      c->o.no_proxy,
                                               c->o.proxy_user, c->o.proxy_password, NULL};
    struct firewall_plan plan = {.list = &f->list,
                                 .tls_ctx = tls_ctx,
                                 .udp_ports = f->udp,
                                 .n_udp_ports = f->n_udp,
                                 .proxy = &proxy,
                                 .ca_file = c->o.ca,
                                 .pinhole_limit_s = c->o.pinhole ? c->o.pinhole_limit : 0,
                                 .clock_ahead_us = f->clock_ahead_us,
                                 .progress = on_progress,
                                 .user = c};
    struct firewall_seen seen;
    struct firewall_verdict *v = calloc(1, sizeof(*v));
    int rc = v != NULL ? firewall_look(&seen, &plan) : -ENOMEM;
    if (c->progress)
        fputs("\r\x1b[K", c->err);
    if (rc < 0) {
        free(v);
        return cli_fail(c, CLI_BUT, "%s", berth_strerror(rc));
    }
    firewall_judge(v, &seen);
    enum cli_exit code = print(c, v);
    if (code == CLI_OK && v->rung == TRANSPORT_COUNT)
        code = cli_fail(c, CLI_BUT, "no node was reached by any transport");
    firewall_seen_clear(&seen);
    free(v);
    return code;
}

enum cli_exit cmd_firewall(struct cli *c)
{
    struct firewall f = {.cli = c, .clock_ahead_us = CLOCK_UNKNOWN};
    char err[TLS_ERROR_TEXT];
    SSL_CTX *tls_ctx = NULL;
    struct tls_fallback *fallback = NULL;
    enum cli_exit code = read_ports(&f);
    if (code == CLI_OK)
        code = way_check(c);
    if (code == CLI_OK)
        code = c->o.node.n > 0 ? given_nodes(&f) : listed_nodes(&f);
    if (code == CLI_OK && tls_client_ctx_new(&tls_ctx, c->o.ca, err) != 0)
        code = cli_fail(c, CLI_USAGE, "--ca can't be used: %s", err);
    if (code == CLI_OK && c->o.ca != NULL && tls_fallback_new(&fallback) == 0)
        tls_client_fall_back(tls_ctx, fallback);
    if (code == CLI_OK)
        code = examine(&f, tls_ctx);
    SSL_CTX_free(tls_ctx);
    tls_fallback_destroy(fallback);
    nodelist_clear(&f.list);
    return code;
}
