/* Options, checked and copied. Invariant: what agent_options_init lets through needs no further check. */
#include "options.h"

#include "sys/secret.h"
#include "sys_machine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { GIVEN_MAX = 1365 }; /* three targets each */

static int copy_text(char **out, const char *text)
{
    if (!text)
        return 0;
    *out = strdup(text);
    return *out ? 0 : -ENOMEM;
}

static bool policy_field_valid(int64_t v, int64_t low, int64_t high)
{
    return v == 0 || (v >= low && v <= high);
}

static bool policy_valid(const struct berth_policy *p)
{
#define X(member, least, most, def) &&policy_field_valid(p->member, least, most)
    return true PROBE_POLICY_MEMBERS(X);
#undef X
}

static void give_default_ports(struct given_node *g)
{
    static const uint16_t defaults[TRANSPORT_PROXY][BERTH_PORTS_MAX] = {
        [TRANSPORT_UDP] = {5004, 3478}, [TRANSPORT_TCP] = {5004}, [TRANSPORT_TLS] = {443}};
    memcpy(g->ports, defaults, sizeof g->ports);
}

static int copy_given(struct given_node *g, const struct berth_node *from)
{
    if (!from->host || from->host[0] == '\0' || strlen(from->host) > HOST_MAX ||
        (from->tls_name && strlen(from->tls_name) > HOST_MAX))
        return -EINVAL;
    snprintf(g->node, sizeof g->node, "%s", from->node ? from->node : from->host);
    memcpy(g->ports[TRANSPORT_UDP], from->udp, sizeof from->udp);
    memcpy(g->ports[TRANSPORT_TCP], from->tcp, sizeof from->tcp);
    memcpy(g->ports[TRANSPORT_TLS], from->tls, sizeof from->tls);
    if (from->udp[0] == 0 && from->tcp[0] == 0 && from->tls[0] == 0)
        give_default_ports(g);
    int err = copy_text(&g->host, from->host);
    return err < 0 ? err : copy_text(&g->tls_name, from->tls_name ? from->tls_name : from->host);
}

static int copy_all_given(struct agent_options *o, const struct berth_options *from)
{
    if (from->n_nodes > GIVEN_MAX || (from->n_nodes > 0 && !from->nodes))
        return -EINVAL;
    o->given = calloc(from->n_nodes + 1, sizeof *o->given);
    if (!o->given)
        return -ENOMEM;
    o->n_given = from->n_nodes;
    for (size_t i = 0; i < from->n_nodes; i++) {
        int err = copy_given(&o->given[i], &from->nodes[i]);
        if (err < 0)
            return err;
    }
    return 0;
}

/* A host name may hold what an agent id may not. */
static int default_agent_id(struct agent_options *o)
{
    int err = sys_host_name(o->agent_id, sizeof o->agent_id);
    for (char *c = o->agent_id; err == 0 && *c; c++) {
        char one[2] = {*c, '\0'};
        if (!agent_id_valid(one))
            *c = '-';
    }
    return err;
}

static int set_agent_id(struct agent_options *o, const char *id)
{
    if (!id)
        return default_agent_id(o);
    if (!agent_id_valid(id))
        return -EINVAL;
    snprintf(o->agent_id, sizeof o->agent_id, "%s", id);
    return 0;
}

/* A JWT has two dots and names the agent; an API key has one. */
static bool token_is_jwt(const char *token)
{
    const char *dot = token ? strchr(token, '.') : NULL;
    return dot && strchr(dot + 1, '.');
}

const char *agent_options_name(const struct agent_options *o)
{
    bool named = o->name_agent == 0 ? !token_is_jwt(o->token) : o->name_agent == 1;
    return named ? o->agent_id : NULL;
}

static int copy_proxy(struct agent_options *o, const struct berth_options *from)
{
    int err = copy_text(&o->proxy, from->proxy);
    if (err == 0)
        err = copy_text(&o->proxy_pac, from->proxy_pac);
    if (err == 0)
        err = copy_text(&o->pac_helper, from->pac_helper);
    if (err == 0)
        err = copy_text(&o->no_proxy, from->no_proxy);
    if (err == 0)
        err = copy_text(&o->proxy_user, from->proxy_user);
    if (err == 0)
        err = copy_text(&o->state_file, from->state_file);
    return err == 0 ? copy_text(&o->proxy_password, from->proxy_password) : err;
}

/* Callers built with an earlier header have a shorter struct: what they don't know is zero. */
static bool options_whole(struct berth_options *out, const struct berth_options *given)
{
    if (!given || given->size < offsetof(struct berth_options, proxy) || given->size > sizeof *out)
        return false;
    memset(out, 0, sizeof *out);
    memcpy(out, given, given->size);
    return true;
}

/* Whatever else is wrong about it is told by the first call on it. */
static bool controller_valid(const char *url)
{
    return !url || strncasecmp(url, "https://", 8) == 0 || strncasecmp(url, "http://", 7) == 0;
}

int agent_options_init(struct agent_options *o, const struct berth_options *given)
{
    struct berth_options whole;
    const struct berth_options *from = &whole;
    *o = (struct agent_options){0};
    if (!options_whole(&whole, given) || from->name_agent < 0 || from->name_agent > 2 ||
        (!from->controller && from->n_nodes == 0) || !controller_valid(from->controller) ||
        !policy_valid(&from->policy))
        return -EINVAL;
    o->policy = from->policy;
    o->callbacks = from->callbacks;
    o->user = from->user;
    o->name_agent = from->name_agent;
    int err = copy_text(&o->controller, from->controller);
    if (err == 0)
        err = copy_text(&o->token, from->token);
    if (err == 0)
        err = copy_text(&o->ca_file, from->ca_file);
    if (err == 0)
        err = copy_proxy(o, from);
    if (err == 0)
        err = set_agent_id(o, from->agent_id);
    if (err == 0)
        err = copy_all_given(o, from);
    if (err < 0)
        agent_options_clear(o);
    return err;
}

void agent_options_clear(struct agent_options *o)
{
    for (size_t i = 0; i < o->n_given; i++) {
        free(o->given[i].host);
        free(o->given[i].tls_name);
    }
    free(o->given);
    free(o->controller);
    secret_free(o->token);
    free(o->ca_file);
    secret_free(o->proxy); /* it may have a password in it */
    free(o->proxy_pac);
    free(o->pac_helper);
    free(o->no_proxy);
    free(o->state_file);
    free(o->proxy_user);
    secret_free(o->proxy_password);
    *o = (struct agent_options){0};
}

int agent_options_set_token(struct agent_options *o, const char *token)
{
    char *copy = strdup(token);
    if (!copy)
        return -ENOMEM;
    secret_free(o->token);
    o->token = copy;
    return 0;
}

void agent_options_policy(const struct agent_options *o, struct probe_policy *p)
{
    const struct berth_policy *mine = &o->policy;
    p->samples = mine->samples ? mine->samples : p->samples;
    p->spacing_ms = mine->spacing_ms ? mine->spacing_ms : p->spacing_ms;
    p->timeout_ms = mine->timeout_ms ? mine->timeout_ms : p->timeout_ms;
    p->node_budget_ms = mine->node_budget_ms ? mine->node_budget_ms : p->node_budget_ms;
    p->budget_ms = mine->budget_ms ? mine->budget_ms : p->budget_ms;
    p->reprobe_after_s = mine->reprobe_after_s ? mine->reprobe_after_s : p->reprobe_after_s;
    p->pace_per_s = mine->pace_per_s ? mine->pace_per_s : p->pace_per_s;
}

static void combine(const uint16_t *ports, const struct addr *at, size_t n_at, struct addr *out, size_t *n)
{
    for (size_t p = 0; p < BERTH_PORTS_MAX && ports[p] != 0; p++) {
        for (size_t i = 0; i < n_at && *n < NODE_ADDRESSES_MAX; i++) {
            out[*n] = at[i];
            out[(*n)++].port = ports[p];
        }
    }
}

void given_node_entry(struct node_entry *e, const struct given_node *g, const struct addr *at, size_t n)
{
    memcpy(e->node, g->node, sizeof e->node);
    snprintf(e->tls_name, sizeof e->tls_name, "%s", g->tls_name);
    for (size_t t = 0; t < TRANSPORT_PROXY; t++)
        combine(g->ports[t], at, n, e->addresses.at[t], &e->addresses.n[t]);
}
