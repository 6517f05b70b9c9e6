/* Analytics' arithmetic. Invariant: an item stands for at least one row, and a figure of it for at least one that has it. */
#include "analytics.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- figures of many ---- */

static int by_value(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

/* The nearest rank, as PostgreSQL's percentile_disc; sorts. n >= 1. */
static int64_t percentile(int64_t *v, size_t n, unsigned pct)
{
    size_t rank = (n * pct + 99) / 100;

    qsort(v, n, sizeof(*v), by_value);
    return v[rank > 0 ? rank - 1 : 0];
}

static int64_t sum(const int64_t *v, size_t n)
{
    int64_t total = 0;

    for (size_t i = 0; i < n; i++)
        total += v[i];
    return total;
}

/* ---- calls ---- */

static int by_node(const void *a, const void *b)
{
    const struct analytics_call *x = a, *y = b;
    int order = strcmp(x->node, y->node);

    return order != 0 ? order : (int)x->transport - (int)y->transport;
}

/* What the calls of one node and transport have: `v` has room for n. */
static json_t *error_json(const struct analytics_call *c, size_t n, int64_t *v, size_t *compared,
                          size_t *elsewhere)
{
    int64_t mean;

    *compared = *elsewhere = 0;
    for (size_t i = 0; i < n; i++) {
        if (c[i].expected.rtt_us == NOT_MEASURED)
            continue;
        if (c[i].expected.transport != c[i].transport)
            ++*elsewhere;
        else
            v[(*compared)++] = c[i].rtt_us - c[i].expected.rtt_us;
    }
    if (*compared == 0)
        return NULL;
    mean = sum(v, *compared) / (int64_t)*compared;
    for (size_t i = 0; i < *compared; i++)
        v[i] = llabs(v[i]);
    return json_pack("{s:I, s:I, s:I, s:I}", "mean", (json_int_t)mean, "mean_abs",
                     (json_int_t)(sum(v, *compared) / (int64_t)*compared), "median_abs",
                     (json_int_t)percentile(v, *compared, 50), "p95_abs",
                     (json_int_t)percentile(v, *compared, 95));
}

static void set_loss(json_t *item, const struct analytics_call *c, size_t n)
{
    int64_t received = 0, lost = 0;

    for (size_t i = 0; i < n; i++) {
        if (c[i].received < 0 || c[i].lost < 0)
            continue;
        received += c[i].received;
        lost += c[i].lost;
    }
    if (received + lost > 0)
        (void)json_object_set_new(item, "loss", json_real((double)lost / (double)(received + lost)));
}

static json_t *call_json(const struct analytics_call *c, size_t n, int64_t *v)
{
    size_t compared, elsewhere;
    json_t *error = error_json(c, n, v, &compared, &elsewhere);
    int64_t seconds = 0, median, p95;
    json_t *item;

    for (size_t i = 0; i < n; i++) {
        seconds += c[i].seconds;
        v[i] = c[i].rtt_us;
    }
    median = percentile(v, n, 50);
    p95 = percentile(v, n, 95);
    item = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:{s:I, s:I, s:I}}", "node", c->node, "transport",
                     transport_name(c->transport), "calls", (json_int_t)n, "seconds", (json_int_t)seconds,
                     "compared", (json_int_t)compared, "elsewhere", (json_int_t)elsewhere, "rtt_us", "min",
                     (json_int_t)v[0], "median", (json_int_t)median, "p95", (json_int_t)p95);
    if (error != NULL)
        (void)json_object_set_new(item, "error_us", error);
    if (item != NULL)
        set_loss(item, c, n);
    return item;
}

json_t *analytics_calls(struct analytics_call *calls, size_t n)
{
    json_t *items = json_array();
    int64_t *v = calloc(n + 1, sizeof(*v));

    if (v == NULL) {
        json_decref(items);
        return NULL;
    }
    qsort(calls, n, sizeof(*calls), by_node);
    for (size_t i = 0, next; i < n; i = next) {
        for (next = i + 1; next < n && by_node(&calls[i], &calls[next]) == 0; next++)
            ;
        (void)json_array_append_new(items, call_json(&calls[i], next - i, v));
    }
    free(v);
    return items;
}

/* ---- a node in a new place ---- */

enum { OWN_NETWORK_US = 2000, MARGIN_US = 5000 };

/* Half as much again as the greatest difference, and 5 ms, and no more than the least sum; in a network of its own 2
 * ms. docs/placement.md says how far that was from measured matrices. */
int64_t analytics_then(const struct analytics_agent *a)
{
    int64_t then = a->apart_us == NOT_MEASURED ? NOT_MEASURED : a->apart_us * 3 / 2 + MARGIN_US;

    if (a->there)
        return a->now_us < OWN_NETWORK_US ? a->now_us : OWN_NETWORK_US;
    return then > a->most_us ? a->most_us : then;
}

static int by_site(const void *a, const void *b)
{
    const struct analytics_agent *x = a, *y = b;

    if (x->site == NULL || y->site == NULL)
        return (x->site == NULL) - (y->site == NULL);
    return strcmp(x->site, y->site);
}

/* Of some agents those that gain. */
struct gain {
    const char *site;
    size_t agents, helped;
    int64_t total_us;
    json_t *json;
};

static void gain_of(const struct analytics_agent *a, size_t n, int64_t least_gain_us, int64_t *v,
                    struct gain *g)
{
    int64_t *now = v, *then = v + n, *gained = v + 2 * n;

    *g = (struct gain){.site = n > 0 ? a[0].site : NULL, .agents = n};
    for (size_t i = 0; i < n; i++) {
        int64_t t = analytics_then(&a[i]);

        if (t == NOT_MEASURED || a[i].now_us - t < least_gain_us)
            continue;
        now[g->helped] = a[i].now_us;
        then[g->helped] = t;
        gained[g->helped++] = a[i].now_us - t;
    }
    g->total_us = sum(gained, g->helped);
    g->json = json_pack("{s:I,s:I}", "agents", (json_int_t)n, "helped", (json_int_t)g->helped);
    if (g->helped == 0)
        return;
    (void)json_object_update_new(g->json, json_pack("{s:I,s:I,s:I}", "rtt_now_us",
                                                    (json_int_t)percentile(now, g->helped, 50), "rtt_then_us",
                                                    (json_int_t)percentile(then, g->helped, 50), "gain_us",
                                                    (json_int_t)percentile(gained, g->helped, 50)));
}

static int by_total(const void *a, const void *b)
{
    const struct gain *x = a, *y = b;

    if (x->total_us != y->total_us)
        return x->total_us > y->total_us ? -1 : 1;
    return strcmp(x->site, y->site);
}

/* The sites that gain, into `g`, which has room for n. */
static size_t gains(struct analytics_agent *agents, size_t n, int64_t least_gain_us, int64_t *v,
                    struct gain *g)
{
    size_t found = 0;

    qsort(agents, n, sizeof(*agents), by_site);
    for (size_t i = 0, next; i < n && agents[i].site != NULL; i = next) {
        for (next = i + 1; next < n && by_site(&agents[i], &agents[next]) == 0; next++)
            ;
        gain_of(&agents[i], next - i, least_gain_us, v, &g[found]);
        if (g[found].helped > 0)
            found++;
        else
            json_decref(g[found].json);
    }
    qsort(g, found, sizeof(*g), by_total);
    return found;
}

json_t *analytics_gain(struct analytics_agent *agents, size_t n, int64_t least_gain_us, size_t sites_max,
                       const char *name, size_t *told)
{
    int64_t *v = calloc(3 * n + 1, sizeof(*v));
    struct gain all = {0}, *g = calloc(n + 1, sizeof(*g));
    json_t *sites = json_array();
    size_t found = 0;

    *told = 0;
    if (v == NULL || g == NULL)
        goto out;
    for (size_t i = 0; i < n; i++)
        *told += analytics_then(&agents[i]) != NOT_MEASURED;
    gain_of(agents, n, least_gain_us, v, &all);
    found = gains(agents, n, least_gain_us, v, g);
    for (size_t i = 0; i < found && i < sites_max; i++) {
        (void)json_object_set_new(g[i].json, name, json_string(g[i].site));
        (void)json_array_append(sites, g[i].json);
    }
    (void)json_object_set(all.json, "sites", sites);
    for (size_t i = 0; i < found; i++)
        json_decref(g[i].json);
out:
    json_decref(sites);
    free(v);
    free(g);
    return all.json;
}
