/* Simulated agents' reports. Invariant: every template's id, agent and time stand at known places and have the length of what replaces them. */
#include "swarm_reports.h"

#include "core/timefmt.h"
#include "replay/rng.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UUID_LEN = 36 };

struct kind {
    struct report report;
    char *json;
    size_t len, id_at, agent_at, time_at, time_len;
};

struct swarm_reports {
    uint64_t seed;
    struct kind kind[SWARM_KINDS];
};

static const char blank_id[] = "00000000-0000-4000-8000-000000000000";
static const char blank_agent[] = "a0000000";

void swarm_agent_id(size_t agent, char out[static SWARM_AGENT_LEN + 1])
{
    static_assert(SWARM_AGENTS_MAX <= 10000000, "seven digits");
    snprintf(out, SWARM_AGENT_LEN + 1, "a%07u", (unsigned)(agent % SWARM_AGENTS_MAX));
}

void swarm_report_id(const struct swarm_reports *s, uint64_t n, char out[static 37])
{
    uint64_t state = s->seed + n;
    uint64_t a = rng_next(&state), b = rng_next(&state);
    snprintf(out, UUID_LEN + 1, "%08x-%04x-4%03x-8%03x-%012" PRIx64, (unsigned)(a >> 32),
             (unsigned)(a >> 16 & 0xffff), (unsigned)(a & 0xfff), (unsigned)(b >> 52),
             (uint64_t)(b & 0xffffffffffffU));
}

/* A tenth of the rows didn't come through: some nodes are blocked, some time out. */
static void fill_row(struct probe_result *p, size_t node, enum transport transport, uint64_t *seed)
{
    static const uint16_t ports[] = {5004, 5004, 443};
    int64_t rtt = 5000 + (int64_t)(rng_next(seed) % 150000), extra = (int64_t)(rng_next(seed) % 3000);
    probe_result_init(p);
    snprintf(p->node, sizeof(p->node), "n%04zu", node);
    p->transport = transport;
    p->address = (struct addr){.family = ADDR_V4, .port = ports[transport]};
    const uint8_t ip[4] = {192, 0, 2, (uint8_t)(node % 250 + 1)};
    memcpy(p->address.ip, ip, sizeof(ip));
    p->sent = 5;
    if (rng_next(seed) % 10 == 0) {
        p->status = PROBE_TIMEOUT;
        p->received = 0;
        return;
    }
    p->status = PROBE_REACHABLE;
    p->framing = FRAMING_STUN;
    p->received = 5;
    p->rtt_min_us = rtt;
    p->rtt_median_us = rtt + extra / 2;
    p->rtt_p95_us = rtt + extra;
    p->mapped_address = (struct addr){.family = ADDR_V4, .port = (uint16_t)(20000 + rng_next(seed) % 40000)};
    const uint8_t mapped[4] = {198, 51, 100, 7};
    memcpy(p->mapped_address.ip, mapped, sizeof(mapped));
    if (transport != TRANSPORT_UDP)
        p->connect_us = rtt + 300;
    if (transport == TRANSPORT_TLS)
        p->tls_us = rtt + 2500;
}

static int fill_report(struct report *r, size_t nodes, uint64_t *seed)
{
    static const enum transport transports[] = {TRANSPORT_UDP, TRANSPORT_TCP, TRANSPORT_TLS};
    memcpy(r->report_id, blank_id, sizeof(blank_id));
    memcpy(r->agent, blank_agent, sizeof(blank_agent));
    snprintf(r->network_id, sizeof(r->network_id), "net-%06u", (unsigned)(rng_next(seed) % 1000000));
    r->n_mapped = 1;
    const uint8_t mapped[4] = {198, 51, 100, (uint8_t)(rng_next(seed) % 250 + 1)};
    r->mapped[0] = (struct addr){.family = ADDR_V4};
    memcpy(r->mapped[0].ip, mapped, sizeof(mapped));
    r->has_capabilities = true;
    r->capabilities = 1U << TRANSPORT_UDP | 1U << TRANSPORT_TCP | 1U << TRANSPORT_TLS;
    r->measured_at_us = INT64_C(1700000000123456);
    r->results = calloc(nodes * 3, sizeof(*r->results));
    if (!r->results)
        return -ENOMEM;
    r->n_results = nodes * 3;
    for (size_t i = 0; i < r->n_results; i++)
        fill_row(&r->results[i], i / 3, transports[i % 3], seed);
    return 0;
}

static int fill_kind(struct kind *k, size_t nodes, uint64_t *seed)
{
    char at[TIME_TEXT_LEN];
    int rc = fill_report(&k->report, nodes, seed);
    json_t *doc = rc == 0 ? report_to_json(&k->report) : NULL;
    k->json = doc ? json_dumps(doc, DOC_COMPACT) : NULL;
    json_decref(doc);
    if (!k->json)
        return -ENOMEM;
    k->len = strlen(k->json);
    time_format(k->report.measured_at_us, at);
    k->time_len = strlen(at);
    const char *id = strstr(k->json, blank_id), *agent = strstr(k->json, blank_agent),
               *time = strstr(k->json, at);
    if (!id || !agent || !time)
        return -ENOMEM; /* our own document: json_dumps was cut short */
    k->id_at = (size_t)(id - k->json);
    k->agent_at = (size_t)(agent - k->json);
    k->time_at = (size_t)(time - k->json);
    return 0;
}

int swarm_reports_new(struct swarm_reports **out, size_t nodes, uint64_t seed)
{
    struct swarm_reports *s = calloc(1, sizeof(*s));
    int rc = s ? 0 : -ENOMEM;
    if (s)
        s->seed = seed * UINT64_C(1000003);
    for (size_t i = 0; rc == 0 && i < SWARM_KINDS; i++)
        rc = fill_kind(&s->kind[i], nodes, &seed);
    if (rc == 0)
        *out = s;
    else
        swarm_reports_destroy(s);
    return rc;
}

void swarm_reports_destroy(struct swarm_reports *s)
{
    for (size_t i = 0; s && i < SWARM_KINDS; i++) {
        report_clear(&s->kind[i].report);
        free(s->kind[i].json);
    }
    free(s);
}

const char *swarm_report_json(struct swarm_reports *s, uint64_t n, size_t agent, int64_t measured_at_us,
                              size_t *len)
{
    struct kind *k = &s->kind[n % SWARM_KINDS];
    char id[UUID_LEN + 1], name[SWARM_AGENT_LEN + 1], at[TIME_TEXT_LEN];
    swarm_report_id(s, n, id);
    swarm_agent_id(agent, name);
    time_format(measured_at_us, at);
    memcpy(k->json + k->id_at, id, UUID_LEN);
    memcpy(k->json + k->agent_at, name, SWARM_AGENT_LEN);
    if (strlen(at) == k->time_len)
        memcpy(k->json + k->time_at, at, k->time_len);
    *len = k->len;
    return k->json;
}

const struct report *swarm_report(const struct swarm_reports *s, uint64_t n)
{
    return &s->kind[n % SWARM_KINDS].report;
}
