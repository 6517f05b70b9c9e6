/* The session's way out: which proxies lead to the controller and to the nodes. Invariant: what follows a search
 * that has begun (`after_find`) comes exactly once, with what was found, or with nothing when the time is up; one
 * that can't begin is an error, and not "no proxies". */
#include "session_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_found(void *user)
{
    struct session *s = user;
    s->found = true;
}

static void tell_problem(struct session *s)
{
    const char *problem = proxy_finder_problem(s->finder);
    if (problem[0] != '\0')
        session_log(s, BERTH_LOG_WARN, "proxy_unknown", "%s: %s", proxy_finder_source(s->finder), problem);
}

/* 0: it has begun, and may have ended; -errno: it has not. */
static int find(struct session *s, const struct proxy_destination *d, size_t n,
                void (*next)(struct session *s, int64_t now_us), int64_t now_us)
{
    s->found = false;
    s->after_find = next;
    int rc = proxy_finder_ask(s->finder, d, n, on_found, s);
    if (rc == 0) {
        s->find_deadline_us = now_us + PROXY_FINDER_US;
        s->phase = PHASE_FIND;
    } else if (rc > 0) {
        s->phase = PHASE_REST;
        tell_problem(s);
        next(s, now_us);
    }
    return rc < 0 ? rc : 0;
}

bool session_step_find(struct session *s, int64_t now_us)
{
    if (!s->found && now_us < s->find_deadline_us)
        return false;
    if (!s->found)
        proxy_finder_give_up(s->finder);
    tell_problem(s);
    s->phase = PHASE_REST;
    s->after_find(s, now_us);
    return true;
}

/* ---- to the controller ---- */

static void take_route(struct session *s, int64_t now_us)
{
    char url[PROXY_URL_MAX + 1];
    void (*next)(struct session *, int64_t) = s->after_route;
    s->after_route = NULL;
    s->route = proxy_finder_lists(s->finder)[0];
    s->route_table = *proxy_finder_table(s->finder);
    s->route_at = 0;
    s->route_known = true;
    if (s->route.n > 0)
        session_log(s, BERTH_LOG_INFO, "proxy", "the controller is reached by %s, says %s",
                    proxy_format(&s->route_table.at[s->route.at[0]], url), proxy_finder_source(s->finder));
    next(s, now_us);
}

int session_find_route(struct session *s, void (*next)(struct session *s, int64_t now_us), int64_t now_us)
{
    char host[HOST_MAX + 1];
    struct proxy_destination d = {.host = host};
    if (s->route_known || url_place_parse(s->options->controller, host, &d.port) < 0)
        return 0;
    s->after_route = next;
    int err = find(s, &d, 1, take_route, now_us);
    return err < 0 ? err : 1;
}

void session_find_again(struct session *s)
{
    proxy_finder_network_changed(s->finder);
    s->route_known = false;
}

void session_forget_route(struct session *s)
{
    proxy_finder_forget(s->finder);
    s->route_known = false;
}

bool session_next_route(struct session *s)
{
    if (s->route_at + 1 < s->route.n) {
        s->route_at++;
        return true;
    }
    s->route_at = 0;
    return false;
}

bool session_ask_network(struct session *s)
{
    if (!proxy_finder_try_network(s->finder))
        return false;
    s->route_known = false;
    return true;
}

bool session_route_is_direct(const struct session *s)
{
    return !proxy_list_has_proxy(&s->route, &s->route_table);
}

const struct rest_proxy *session_route(struct session *s, struct proxy_hop *hop)
{
    if (s->route.n == 0 || s->route_table.at[s->route.at[s->route_at]].kind == PROXY_DIRECT)
        return NULL;
    const struct proxy_identity who = proxy_finder_identity(s->finder, s->options->ca_file);
    return proxy_hop_set(hop, &s->route_table.at[s->route.at[s->route_at]], &who);
}

/* ---- to the nodes ---- */

static void take_node_routes(struct session *s, int64_t now_us)
{
    int err = results_set_proxies(&s->results, proxy_finder_table(s->finder), proxy_finder_lists(s->finder));
    if (err < 0)
        session_probe_failed(s, err, 0, 0, "", now_us);
    else
        session_start_probe(s, now_us);
}

void session_begin_probe(struct session *s, int64_t now_us)
{
    size_t n = results_nodes(&s->results);
    struct proxy_destination *d = calloc(n + 1, sizeof *d);
    char(*ip)[ADDR_TEXT_LEN] = calloc(n + 1, sizeof *ip);
    int err = d && ip ? 0 : -ENOMEM;
    for (size_t i = 0; err == 0 && i < n; i++)
        d[i] = proxy_destination_of(&s->results.list.nodes[i], ip[i]);
    if (err == 0)
        err = find(s, d, n, take_node_routes, now_us);
    if (err < 0)
        session_probe_failed(s, err, 0, 0, "proxies can't be looked for", now_us);
    free(d);
    free(ip);
}
