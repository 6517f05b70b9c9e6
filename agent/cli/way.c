/* Proxies for the command's own calls. Invariant: a password stays in struct way, which way_clear wipes. */
#include "way.h"

#include "sys/clock.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

void way_from_environment(struct cli_options *o, char *const *environ_)
{
    struct proxy_inputs in = {
        .proxy = o->proxy, .pac = o->proxy_pac, .no_proxy = o->no_proxy, .environment = environ_};
    struct proxy_choice choice;
    proxy_choose(&choice, &in);
    o->no_proxy = choice.no_proxy;
    if (choice.source == PROXY_FROM_ENVIRONMENT && way_valid(choice.proxy))
        o->proxy = choice.proxy;
    else if (choice.source == PROXY_FROM_ENVIRONMENT)
        o->proxy_unusable = true;
}

bool way_valid(const char *proxy)
{
    struct proxy_endpoint p;
    struct proxy_login login;
    if (strcmp(proxy, "auto") == 0 || strcmp(proxy, "none") == 0)
        return true;
    int rc = proxy_url_parse(&p, &login, proxy);
    sodium_memzero(&login, sizeof(login));
    return rc == 0;
}

enum cli_exit way_check(const struct cli *c)
{
    struct proxy_endpoint p;
    struct proxy_login login;
    if (c->o.proxy_unusable)
        cli_fail(
            c, CLI_OK,
            "the proxy of the environment (https_proxy or all_proxy) can't be used, and is left out: it is "
            "http://[user:password@]host:port or https://...");
    if (c->o.proxy == NULL || way_valid(c->o.proxy))
        return CLI_OK;
    int rc = proxy_url_parse(&p, &login, c->o.proxy);
    sodium_memzero(&login, sizeof(login));
    if (rc == -ENOTSUP)
        return cli_fail(c, CLI_USAGE, "--proxy: only http:// and https:// proxies can be used");
    return cli_fail(c, CLI_USAGE, "--proxy is http://[user:password@]host:port, https://..., auto or none");
}

static bool destination_of(const char *url, char host[static HOST_MAX + 1], uint16_t *port)
{
    char text[HOST_MAX + 16];
    const char *authority = strstr(url, "://");
    authority = authority != NULL ? authority + 3 : url;
    size_t len = strcspn(authority, "/?#");
    if (len >= sizeof(text))
        return false;
    memcpy(text, authority, len);
    text[len] = '\0';
    return host_port_parse(text, 443, host, port) == 0;
}

static void on_found(void *user)
{
    *(bool *)user = true;
}

/* The first proxy of the list; a subcommand does not try others. */
static const struct rest_proxy *choose(struct way *w, const struct proxy_finder *f, const char *ca_file)
{
    const struct proxy_list *l = proxy_finder_lists(f);
    const struct proxy_table *t = proxy_finder_table(f);
    if (l[0].n == 0 || t->at[l[0].at[0]].kind == PROXY_DIRECT)
        return NULL;
    struct proxy_identity who = proxy_finder_identity(f, ca_file);
    w->login = *who.login; /* the finder is about to go */
    who.login = &w->login;
    return proxy_hop_set(&w->hop, &t->at[l[0].at[0]], &who);
}

static const struct rest_proxy *look(struct way *w, const struct cli *c, bool ask_network)
{
    const struct proxy_finder_options o = {c->o.proxy,      c->o.proxy_pac,      c->o.no_proxy,
                                           c->o.proxy_user, c->o.proxy_password, NULL};
    const struct rest_proxy *found = NULL;
    struct sys_poller *poller = NULL;
    struct proxy_finder *f = NULL;
    char host[HOST_MAX + 1];
    struct proxy_destination d = {.host = host};
    bool done = false;
    memset(w, 0, sizeof(*w));
    if (!destination_of(c->o.controller, host, &d.port) || sys_poller_new(&poller) < 0 ||
        proxy_finder_new(&f, poller, &o) < 0 || (ask_network && !proxy_finder_try_network(f)))
        goto out;
    int rc = proxy_finder_ask(f, &d, 1, on_found, &done);
    int64_t until = clock_mono_us() + PROXY_FINDER_US, now;
    while (rc == 0 && !done && (now = clock_mono_us()) < until) {
        sys_wait(sys_poller_fd(poller), until - now);
        rc = sys_poller_dispatch(poller);
    }
    if (rc == 1 || done)
        found = choose(w, f, c->o.ca);
out:
    proxy_finder_destroy(f);
    sys_poller_destroy(poller);
    return found;
}

const struct rest_proxy *way_find(struct way *w, const struct cli *c)
{
    return look(w, c, false);
}

const struct rest_proxy *way_ask_network(struct way *w, const struct cli *c)
{
    return look(w, c, true);
}

void way_clear(struct way *w)
{
    sodium_memzero(w, sizeof(*w));
}

const char *way_advice(const struct cli *c, const char *error)
{
    bool proxied = c->o.proxy != NULL && strcmp(c->o.proxy, "none") != 0 && strcmp(c->o.proxy, "auto") != 0;
    if (strstr(error, "response 407") != NULL)
        return "the proxy wants a login: --proxy-user, with BERTH_PROXY_PASSWORD";
    if (strstr(error, "CONNECT tunnel failed") != NULL)
        return "the proxy refuses: it must allow CONNECT to the controller's host and port";
    if (strstr(error, "resolve proxy") != NULL ||
        (proxied && (strstr(error, "Failed to connect") != NULL || strstr(error, "timed out") != NULL)))
        return "the proxy can't be reached: check --proxy (https_proxy)";
    if (strstr(error, "Failed to connect") != NULL || strstr(error, "timed out") != NULL)
        return "check --controller; the network must let HTTPS out, else give a --proxy URL";
    return NULL;
}
