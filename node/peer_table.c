/* The table of peers. Invariant: starts of probes are at least interval_us / PEER_ROUND_MAX apart, however many
 * peers there are, and every peer that has an address is probed before any is probed again. */
#include "peer_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CHANGE_PARTS = 20, CHANGE_US = 1000 };

void peer_table_init(struct peer_table *t, int64_t interval_us, uint32_t random, int64_t now_us)
{
    *t = (struct peer_table){.interval_us = interval_us};
    t->due_us = now_us + (int64_t)((double)random / UINT32_MAX * (double)interval_us / PEER_ROUND_MAX);
}

void peer_table_clear(struct peer_table *t)
{
    free(t->at);
    t->at = NULL;
    t->n = 0;
}

static struct peer *find(const struct peer_table *t, const char *node)
{
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(t->at[i].entry.node, node) == 0)
            return &t->at[i];
    return NULL;
}

/* UDP goes first: its round trip is the network's alone. */
static enum transport first_transport(const struct node_addresses *a, enum transport from)
{
    for (unsigned i = 0; i < TRANSPORT_PROXY; i++) {
        enum transport t = (from + i) % TRANSPORT_PROXY;
        if (a->n[t] > 0)
            return t;
    }
    return TRANSPORT_PROXY;
}

static bool same_place(const struct node_addresses *a, const struct node_addresses *b)
{
    for (size_t t = 0; t < TRANSPORT_PROXY; t++) {
        if (a->n[t] != b->n[t])
            return false;
        for (size_t i = 0; i < a->n[t]; i++)
            if (!addr_eq(&a->at[t][i], &b->at[t][i]))
                return false;
    }
    return true;
}

int peer_table_update(struct peer_table *t, const struct nodelist *list)
{
    struct peer *fresh = calloc(list->n + 1, sizeof(*fresh));
    if (!fresh)
        return -ENOMEM;
    for (size_t i = 0; i < list->n; i++) {
        const struct node_entry *e = &list->nodes[i];
        const struct peer *before = find(t, e->node);
        if (before && same_place(&before->entry.addresses, &e->addresses))
            fresh[i] = *before;
        else
            fresh[i] = (struct peer){.transport = first_transport(&e->addresses, TRANSPORT_UDP),
                                     .rtt_us = NOT_MEASURED};
        fresh[i].entry = *e;
    }
    free(t->at);
    t->at = fresh;
    t->n = list->n;
    t->next = t->n > 0 ? t->next % t->n : 0;
    t->tell = t->n > 0 ? t->tell % t->n : 0;
    return 0;
}

/* ---- whose turn it is ---- */

static int64_t step_us(const struct peer_table *t)
{
    size_t round = t->n < PEER_ROUND_MAX ? t->n : PEER_ROUND_MAX;
    return t->interval_us / (int64_t)round;
}

size_t peer_table_next(struct peer_table *t, int64_t now_us)
{
    if (t->n == 0 || now_us < t->due_us)
        return PEER_NONE;
    for (size_t tries = 0; tries < t->n; tries++) {
        size_t i = t->next;
        t->next = (t->next + 1) % t->n;
        if (t->at[i].transport == TRANSPORT_PROXY)
            continue;
        t->due_us = now_us + step_us(t);
        return i;
    }
    t->due_us = now_us + t->interval_us;
    return PEER_NONE;
}

int64_t peer_table_deadline(const struct peer_table *t)
{
    return t->n > 0 ? t->due_us : INT64_MAX;
}

/* ---- how it went ---- */

static int64_t least_of_window(const struct peer *p)
{
    size_t n = p->n_window < PEER_WINDOW ? p->n_window : PEER_WINDOW;
    int64_t least = p->window_us[0];
    for (size_t i = 1; i < n; i++)
        least = p->window_us[i] < least ? p->window_us[i] : least;
    return least;
}

static bool is_lost(const struct peer *p)
{
    return p->silent >= PEER_LOST_AFTER;
}

/* NULL: it has gone, or is elsewhere now. */
static struct peer *find_probed(const struct peer_table *t, const struct node_entry *probed)
{
    struct peer *p = find(t, probed->node);
    return p && same_place(&p->entry.addresses, &probed->addresses) ? p : NULL;
}

bool peer_table_measured(struct peer_table *t, const struct node_entry *probed, int64_t rtt_us,
                         int64_t now_us)
{
    struct peer *p = find_probed(t, probed);
    t->measured++;
    if (!p)
        return false;
    bool back = is_lost(p);
    p->silent = 0;
    p->window_us[p->n_window++ % PEER_WINDOW] = rtt_us;
    int64_t least = least_of_window(p);
    p->rtt_us = p->rtt_us == NOT_MEASURED ? least : p->rtt_us + (least - p->rtt_us) / PEER_SMOOTHING;
    p->at_us = now_us;
    p->news = true;
    return back;
}

bool peer_table_failed(struct peer_table *t, const struct node_entry *probed, enum transport transport)
{
    struct peer *p = find_probed(t, probed);
    t->failed++;
    if (!p)
        return false;
    if (p->transport == transport)
        p->transport = first_transport(&p->entry.addresses, (transport + 1) % TRANSPORT_PROXY);
    bool before = is_lost(p);
    p->silent++;
    p->news = p->news || is_lost(p);
    return !before && is_lost(p);
}

/* ---- what the controller is told ---- */

static int64_t figure(const struct peer *p)
{
    return is_lost(p) ? NOT_MEASURED : p->rtt_us;
}

static bool worth_telling(const struct peer *p, int64_t now_us)
{
    if (!p->news)
        return false;
    if (!p->told || now_us - p->told_at_us >= PEER_TELL_AGAIN_US)
        return true;
    if (figure(p) == NOT_MEASURED || p->told_us == NOT_MEASURED)
        return figure(p) != p->told_us;
    int64_t change = p->rtt_us > p->told_us ? p->rtt_us - p->told_us : p->told_us - p->rtt_us;
    return change > CHANGE_US && change > p->told_us / CHANGE_PARTS;
}

size_t peer_table_tell(struct peer_table *t, struct peer_rtt out[static PEER_TELL_MAX], int64_t now_us)
{
    size_t n = 0, first = t->tell;
    for (size_t k = 0; k < t->n && n < PEER_TELL_MAX; k++) {
        size_t i = (first + k) % t->n;
        struct peer *p = &t->at[i];
        if (!worth_telling(p, now_us))
            continue;
        p->telling = true;
        p->news = false;
        p->telling_us = figure(p);
        memcpy(out[n].node, p->entry.node, sizeof(out[n].node));
        out[n++].rtt_us = p->telling_us;
        t->tell = (i + 1) % t->n; /* what had no room goes first next time */
    }
    return n;
}

void peer_table_told(struct peer_table *t, bool heard, int64_t now_us)
{
    for (size_t i = 0; i < t->n; i++) {
        struct peer *p = &t->at[i];
        if (p->telling && heard) {
            p->told = true;
            p->told_us = p->telling_us;
            p->told_at_us = now_us;
        }
        p->news = p->news || (p->telling && !heard);
        p->telling = false;
    }
}

void peer_table_tell_all(struct peer_table *t, int64_t now_us)
{
    for (size_t i = 0; i < t->n; i++) {
        struct peer *p = &t->at[i];
        p->told = false;
        p->news =
            p->news || is_lost(p) || (p->rtt_us != NOT_MEASURED && now_us - p->at_us < PEER_TELL_AGAIN_US);
    }
}

struct peer_counts peer_table_counts(const struct peer_table *t)
{
    struct peer_counts c = {.peers = t->n, .measured = t->measured, .failed = t->failed};
    for (size_t i = 0; i < t->n; i++) {
        c.known += t->at[i].rtt_us != NOT_MEASURED;
        c.lost += is_lost(&t->at[i]);
        c.newest_us = t->at[i].at_us > c.newest_us ? t->at[i].at_us : c.newest_us;
    }
    return c;
}
