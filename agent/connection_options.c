/* What a connection is asked for. Invariant: a ladder that is taken has at least one rung, and every figure is
 * within its limits. */
#include "connection.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int set(int64_t *figure, int64_t wanted, int64_t least, int64_t most)
{
    if (wanted != 0 && (wanted < least || wanted > most))
        return -EINVAL;
    if (wanted != 0)
        *figure = wanted;
    return 0;
}

static int set_policy(struct connection *c, const struct berth_connect_options *o)
{
    int64_t keepalive_ms = KEEPALIVE_MS;
    struct ladder_policy *p = &c->policy;
    ladder_policy_init(p);
    if (set(&p->rung_delay_ms, o->rung_delay_ms, 1, 60000) < 0 ||
        set(&p->grace_ms, o->grace_ms, 1, 60000) < 0 ||
        set(&p->rung_timeout_ms, o->rung_timeout_ms, 50, 600000) < 0 ||
        set(&p->timeout_ms, o->timeout_ms, 50, 600000) < 0 ||
        set(&keepalive_ms, o->keepalive_ms, KEEPALIVE_LEAST_MS, KEEPALIVE_MOST_MS) < 0)
        return -EINVAL;
    c->keepalive_us = keepalive_ms * 1000;
    return 0;
}

static int copy_text(char *out, size_t cap, const char *text)
{
    int n = snprintf(out, cap, "%s", text ? text : "");
    return n >= 0 && (size_t)n < cap ? 0 : -EINVAL;
}

static int read_rung(struct ladder_place *p, const struct berth_rung *r)
{
    if (r->transport < BERTH_UDP || r->transport > BERTH_PROXY || !r->address ||
        addr_parse(&p->to, r->address) < 0 || p->to.port == 0)
        return -EINVAL;
    p->transport = (enum transport)r->transport;
    int err = copy_text(p->tls_name, sizeof p->tls_name, r->tls_name);
    return err == 0 ? copy_text(p->proxy, sizeof p->proxy, r->proxy) : err;
}

static int read_assignment(struct connection *c, const char *text)
{
    struct doc_error e;
    json_t *j = doc_parse(text, strlen(text), &e);
    ssize_t n = j ? ladder_from_json(j, c->ladder, &e) : doc_parse_errno(&e);
    json_decref(j);
    c->n = n > 0 ? (size_t)n : 0;
    return n > 0 ? 0 : (int)n;
}

int connection_options(struct connection *c, const struct berth_connect_options *o)
{
    if (!o || o->size != sizeof *o || (o->assignment != NULL) == (o->n_rungs > 0) ||
        o->n_rungs > LADDER_PLACES_MAX || (o->n_rungs > 0 && !o->rungs))
        return -EINVAL;
    int err = set_policy(c, o);
    if (err == 0 && o->assignment)
        err = read_assignment(c, o->assignment);
    for (size_t i = 0; err == 0 && i < o->n_rungs; i++)
        err = read_rung(&c->ladder[c->n++], &o->rungs[i]);
    for (size_t i = 0; i < c->n; i++)
        c->ours[i] = c->ladder[i].transport == TRANSPORT_PROXY && c->ladder[i].proxy[0] == '\0';
    c->changed = o->changed;
    c->user = o->user;
    return err;
}

bool connection_has_proxies(const struct connection *c)
{
    for (size_t i = 0; i < c->n; i++) {
        if (c->ladder[i].transport == TRANSPORT_PROXY)
            return true;
    }
    return false;
}
