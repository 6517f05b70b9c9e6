/* Makes reports. Invariant: a kept report's text never changes, so that a repeat is the same report to the controller. */
#include "report.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

static void uuid_make(char out[static BERTH_UUID_TEXT])
{
    uint8_t b[16];
    char hex[33];
    randombytes_buf(b, sizeof b);
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40); /* version 4, RFC 9562 5.4 */
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    sodium_bin2hex(hex, sizeof hex, b, sizeof b);
    snprintf(out, BERTH_UUID_TEXT, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

static char *to_text(const struct report *r)
{
    json_t *j = report_to_json(r);
    char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    json_decref(j);
    return text;
}

/* What every report has. NULL: out of memory; else to be cleared and freed. */
static struct report *begin(const struct report_head *head, const struct call_stretches *calls)
{
    struct report *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    uuid_make(r->report_id);
    snprintf(r->agent, sizeof r->agent, "%s", head->agent_id ? head->agent_id : "");
    snprintf(r->network_id, sizeof r->network_id, "%s", head->network_id);
    r->measured_at_us = head->measured_at_us;
    r->calls = calloc(calls->n + 1, sizeof *r->calls);
    if (!r->calls) {
        free(r);
        return NULL;
    }
    for (; r->n_calls < calls->n; r->n_calls++)
        r->calls[r->n_calls] = calls->at[r->n_calls];
    return r;
}

static void end(struct report *r)
{
    report_clear(r);
    free(r);
}

json_t *report_of_calls(const struct report_head *head, const struct call_stretches *calls)
{
    struct report *r = begin(head, calls);
    json_t *j = r ? report_to_json(r) : NULL;
    end(r);
    return j;
}

int kept_report_make(struct kept_report *k, const struct report_head *head, const struct results *results,
                     const struct call_stretches *calls)
{
    struct report *r = begin(head, calls);
    char *body = NULL;
    if (!r)
        return -ENOMEM;
    r->n_mapped = results_mapped(results, r->mapped);
    r->has_capabilities = true;
    r->capabilities = 1u << TRANSPORT_UDP | 1u << TRANSPORT_TCP | 1u << TRANSPORT_TLS;
    if (results_has_proxies(results))
        r->capabilities |= 1u << TRANSPORT_PROXY;
    r->results = calloc(results->n_rows + 1, sizeof *r->results);
    if (!r->results)
        goto out;
    r->n_results = results->n_rows;
    for (size_t i = 0; i < results->n_rows; i++)
        r->results[i] = results->rows[i].r;
    body = to_text(r);
    if (!body)
        goto out;
    kept_report_clear(k);
    k->body = body;
    k->measured_at_us = head->measured_at_us;
    snprintf(k->report_id, sizeof k->report_id, "%s", r->report_id);
out:
    end(r);
    return body ? 0 : -ENOMEM;
}

void kept_report_clear(struct kept_report *k)
{
    free(k->body);
    *k = (struct kept_report){0};
}
