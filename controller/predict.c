/* Predictions from aggregates. Invariant: no figure comes from anything but the group that it is told of, and none
 * is surer than its source allows. */
#include "predict.h"

#include <errno.h>
#include <string.h>

static const struct source {
    const char *name;
    unsigned base_pct; /* with many agents, all alike */
} sources[PREDICT_SOURCES] = {
    [PREDICT_NETWORK] = {"network", 90},         [PREDICT_PREFIX] = {"prefix", 75},
    [PREDICT_OTHERS] = {"others", 60},           [PREDICT_WIDER] = {"wider", 45},
    [PREDICT_ORG_COUNTRY] = {"org_country", 40}, [PREDICT_ORG] = {"org", 30},
    [PREDICT_COUNTRY] = {"country", 25},
};

const char *predict_source_name(enum predict_source s)
{
    return (unsigned)s < PREDICT_SOURCES ? sources[s].name : "unknown";
}

int predict_source_parse(const char *name, enum predict_source *out)
{
    for (unsigned i = 0; i < PREDICT_SOURCES; i++) {
        if (strcmp(sources[i].name, name) == 0) {
            *out = (enum predict_source)i;
            return 0;
        }
    }
    return -EINVAL;
}

/* ---- where somebody is ---- */

static bool public_v4(const uint8_t *ip)
{
    return !(ip[0] == 10 || (ip[0] == 172 && ip[1] >> 4 == 1) ||
             (ip[0] == 192 && ip[1] == 168) ||                                     /* RFC 1918 */
             (ip[0] == 100 && ip[1] >> 6 == 1) ||                                  /* RFC 6598 */
             (ip[0] == 169 && ip[1] == 254) || (ip[0] == 198 && ip[1] >> 1 == 9)); /* RFC 3927, 2544 */
}

bool predict_addr_public(const struct addr *a)
{
    struct addr bare = *a;

    addr_unmap(&bare);
    if (!addr_is_set(&bare) || addr_is_loopback(&bare) || !addr_is_unicast_target(&bare))
        return false;
    return bare.family == ADDR_V4 ? public_v4(bare.ip) : bare.ip[0] >> 5 == 1; /* 2000::/3, RFC 4291 2.4 */
}

void predict_nets_add(struct predict_nets *n, const struct addr *a)
{
    struct addr bare = *a;
    int64_t *to, net = 0;

    addr_unmap(&bare);
    to = bare.family == ADDR_V4 ? &n->net4 : &n->net6;
    if (!predict_addr_public(&bare) || *to != 0)
        return;
    for (size_t i = 0; i < (bare.family == ADDR_V4 ? 3 : 6); i++)
        net = net << 8 | bare.ip[i];
    *to = net;
}

/* ---- what is known of there ---- */

unsigned predict_confidence(const struct predict_group *g)
{
    int64_t rtt = 1, spread = 0, agents = g->agents > 0 ? g->agents : 1, pct;

    for (size_t i = 0; i < g->n; i++) {
        if (g->cells[i].rtt_us >= 0) {
            rtt += g->cells[i].rtt_us;
            spread += g->cells[i].spread_us;
        }
    }
    pct = (int64_t)sources[g->source].base_pct * (agents + 1) / (agents + 2) * rtt / (rtt + spread);
    return pct < 1 ? 1 : (unsigned)pct;
}

static bool works(const struct predict_cell *c)
{
    return c->rtt_us >= 0 && c->reached > 0 && c->reached * 2 >= c->tested;
}

size_t predict_rows(const struct predict_group *g, struct place_row *rows)
{
    size_t n = 0;

    for (size_t i = 0; i < g->n; i++) {
        const struct predict_cell *c = &g->cells[i];

        if (c->node == PLACE_NONE)
            continue;
        rows[n++] = (struct place_row){.node = (uint32_t)c->node,
                                       .transport = (uint8_t)c->transport,
                                       .reachable = works(c),
                                       .rtt_us = works(c) ? (int32_t)c->rtt_us : -1};
    }
    return n;
}

int64_t predict_rtt(const struct predict_group *g, size_t node)
{
    const struct predict_cell *best = NULL;

    for (size_t i = 0; i < g->n; i++) {
        const struct predict_cell *c = &g->cells[i];

        if (c->node == node && works(c) && (best == NULL || c->transport < best->transport))
            best = c;
    }
    return best != NULL ? best->rtt_us : -1;
}
