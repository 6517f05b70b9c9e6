/* A report: what one agent measured. Invariant: a parsed report holds each (node, transport) pair once. */
#include "core/doc_json.h"

#include "core/timefmt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool uuid_valid(const char *s)
{
    for (size_t i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? s[i] != '-' : !is_hex(s[i])) /* stops at the NUL of a short one */
            return false;
    }
    return s[36] == '\0';
}

int capabilities_from_json(const json_t *j, unsigned *bits, struct doc_error *e)
{
    unsigned parsed = 0;
    if (!json_is_array(j))
        return doc_fail(e, "", "invalid_member", "capabilities must be an array");
    for (size_t i = 0; i < json_array_size(j); i++) {
        enum transport t;
        char pointer[32];
        const char *name = json_string_value(json_array_get(j, i));
        snprintf(pointer, sizeof pointer, "/%zu", i);
        if (!name || transport_parse(name, &t) < 0)
            return doc_fail(e, pointer, "invalid_member", "a capability is udp, tcp, tls or proxy");
        if (parsed & 1u << t)
            return doc_fail(e, pointer, "invalid_member", "%s occurs twice", transport_name(t));
        parsed |= 1u << t;
    }
    *bits = parsed;
    return 0;
}

json_t *capabilities_to_json(unsigned bits)
{
    json_t *a = json_array();
    for (unsigned t = 0; a && t < TRANSPORT_COUNT; t++) {
        if (bits & 1u << t && json_array_append_new(a, json_string(transport_name((enum transport)t))) != 0) {
            json_decref(a);
            return NULL;
        }
    }
    return a;
}

/* ---- from JSON ---- */

bool report_set_id(struct report *r, const char *text)
{
    if (!uuid_valid(text))
        return false;
    for (size_t i = 0; i < sizeof r->report_id; i++)
        r->report_id[i] = (char)(text[i] >= 'A' && text[i] <= 'F' ? text[i] - 'A' + 'a' : text[i]);
    return true;
}

static int get_identity(const json_t *j, struct report *r, struct doc_error *e)
{
    const char *id = NULL, *agent = NULL, *measured_at = NULL;
    if (doc_get_string(j, "report_id", DOC_REQUIRED, &id, e) < 0 ||
        doc_get_string(j, "agent", DOC_OPTIONAL, &agent, e) < 0 ||
        doc_get_string(j, "measured_at", DOC_REQUIRED, &measured_at, e) < 0)
        return -EINVAL;
    if (!report_set_id(r, id))
        return doc_fail(e, "/report_id", "invalid_member", "report_id must be a UUID");
    if (agent && !agent_id_valid(agent))
        return doc_fail(e, "/agent", "invalid_member", "agent must be 1 to %d of A-Z a-z 0-9 . _ -",
                        AGENT_ID_MAX);
    if (agent)
        memcpy(r->agent, agent, strlen(agent) + 1);
    if (time_parse(measured_at, &r->measured_at_us) < 0)
        return doc_fail(e, "/measured_at", "invalid_member", "measured_at must be an RFC 3339 time");
    return 0;
}

static int get_network(const json_t *j, struct report *r, struct doc_error *e)
{
    const json_t *network = NULL, *mapped = NULL;
    if (doc_get_object(j, "network", DOC_REQUIRED, &network, e) < 0)
        return -EINVAL;
    if (doc_get_id(network, "id", DOC_REQUIRED, r->network_id, sizeof r->network_id, e) < 0 ||
        doc_get_array(network, "mapped_addresses", DOC_OPTIONAL, &mapped, e) < 0)
        return doc_fail_under(e, "/network");
    size_t n = json_array_size(mapped); /* 0 of NULL */
    if (n > REPORT_MAPPED_MAX)
        return doc_fail(e, "/network/mapped_addresses", "invalid_member", "at most %d mapped addresses",
                        REPORT_MAPPED_MAX);
    for (size_t i = 0; i < n; i++) {
        const char *text = json_string_value(json_array_get(mapped, i));
        if (!text || doc_addr_parse(&r->mapped[i], text) < 0) {
            doc_fail(e, "", "invalid_member", "a mapped address is an IP or ip:port");
            return doc_fail_under(e, "/network/mapped_addresses/%zu", i);
        }
    }
    r->n_mapped = n;
    return 0;
}

static int get_capabilities(const json_t *j, struct report *r, struct doc_error *e)
{
    const json_t *capabilities = NULL;
    int answer = doc_get_array(j, "capabilities", DOC_OPTIONAL, &capabilities, e);
    if (answer <= 0)
        return answer;
    if (capabilities_from_json(capabilities, &r->capabilities, e) < 0)
        return doc_fail_under(e, "/capabilities");
    r->has_capabilities = true;
    return 0;
}

static int pair_order(const void *a, const void *b)
{
    const struct probe_result *x = *(const struct probe_result *const *)a;
    const struct probe_result *y = *(const struct probe_result *const *)b;
    int order = strcmp(x->node, y->node);
    if (order != 0)
        return order;
    if (x->transport != y->transport)
        return x->transport < y->transport ? -1 : 1;
    return x < y ? -1 : x > y; /* of one array: the later row of a pair comes second */
}

/* By node and transport already, as many agents send them. */
static bool in_order(const struct report *r)
{
    for (size_t i = 1; i < r->n_results; i++) {
        const struct probe_result *x = &r->results[i - 1], *y = &r->results[i];
        int order = strcmp(x->node, y->node);
        if (order > 0 || (order == 0 && x->transport >= y->transport))
            return false;
    }
    return true;
}

/* Sorted, a repeated pair stands side by side; the first repetition in the document's order is told. */
int report_check_pairs(const struct report *r, struct doc_error *e)
{
    if (in_order(r))
        return 0;
    const struct probe_result **sorted = calloc(r->n_results + 1, sizeof *sorted);
    if (!sorted)
        return -ENOMEM;
    for (size_t i = 0; i < r->n_results; i++)
        sorted[i] = &r->results[i];
    qsort(sorted, r->n_results, sizeof *sorted, pair_order);
    const struct probe_result *repeated = NULL;
    for (size_t i = 1; i < r->n_results; i++) {
        bool same = strcmp(sorted[i]->node, sorted[i - 1]->node) == 0 &&
                    sorted[i]->transport == sorted[i - 1]->transport;
        if (same && (!repeated || sorted[i] < repeated))
            repeated = sorted[i];
    }
    free(sorted);
    if (!repeated)
        return 0;
    doc_fail(e, "", "duplicate_result", "%s over %s occurs twice", repeated->node,
             transport_name(repeated->transport));
    return doc_fail_under(e, "/results/%zu", (size_t)(repeated - r->results));
}

static int get_results(const json_t *j, struct report *r, struct doc_error *e)
{
    const json_t *rows = NULL;
    if (doc_get_array(j, "results", DOC_REQUIRED, &rows, e) < 0)
        return -EINVAL;
    size_t n = json_array_size(rows);
    if (n > REPORT_RESULTS_MAX)
        return doc_fail(e, "/results", "too_many_results", "at most %d results", REPORT_RESULTS_MAX);
    r->results = calloc(n + 1, sizeof *r->results);
    if (!r->results)
        return -ENOMEM;
    for (; r->n_results < n; r->n_results++) {
        if (probe_result_from_json(json_array_get(rows, r->n_results), &r->results[r->n_results], e) < 0)
            return doc_fail_under(e, "/results/%zu", r->n_results);
    }
    return report_check_pairs(r, e);
}

int report_calls_from_json(const json_t *j, struct report *r, struct doc_error *e)
{
    const json_t *rows = NULL;
    int answer = doc_get_array(j, "calls", DOC_OPTIONAL, &rows, e);
    size_t n = json_array_size(rows); /* 0 of NULL */
    if (answer < 0 || n == 0)
        return answer < 0 ? answer : 0;
    if (n > REPORT_CALLS_MAX)
        return doc_fail(e, "/calls", "invalid_member", "at most %d calls", REPORT_CALLS_MAX);
    r->calls = calloc(n, sizeof *r->calls);
    if (!r->calls)
        return -ENOMEM;
    for (; r->n_calls < n; r->n_calls++) {
        if (call_stretch_from_json(json_array_get(rows, r->n_calls), &r->calls[r->n_calls], e) < 0)
            return doc_fail_under(e, "/calls/%zu", r->n_calls);
    }
    return 0;
}

bool report_is_of_calls(const struct report *r)
{
    return r->n_results == 0 && r->n_calls > 0;
}

int report_from_json(const json_t *j, struct report *r, struct doc_error *e)
{
    struct report parsed = {0};
    int answer = 0;
    if (doc_check_object(j, "a report", e) < 0 || get_identity(j, &parsed, e) < 0 ||
        get_network(j, &parsed, e) < 0 || get_capabilities(j, &parsed, e) < 0)
        return -EINVAL;
    answer = get_results(j, &parsed, e);
    if (answer == 0)
        answer = report_calls_from_json(j, &parsed, e);
    if (answer < 0) {
        report_clear(&parsed);
        return answer;
    }
    *r = parsed;
    return 0;
}

void report_clear(struct report *r)
{
    if (!r)
        return;
    free(r->results);
    free(r->calls);
    *r = (struct report){0};
}

/* ---- to JSON ---- */

static json_t *network_to_json(const struct report *r)
{
    json_t *mapped = json_array(), *network = json_pack("{s:s}", "id", r->network_id);
    int failed = !mapped || !network;
    for (size_t i = 0; i < r->n_mapped; i++)
        failed |= json_array_append_new(mapped, doc_addr_to_json(&r->mapped[i]));
    failed |= json_object_set(network, "mapped_addresses", mapped);
    json_decref(mapped);
    if (failed) {
        json_decref(network);
        return NULL;
    }
    return network;
}

static json_t *results_to_json(const struct report *r)
{
    json_t *rows = json_array();
    for (size_t i = 0; rows && i < r->n_results; i++) {
        if (json_array_append_new(rows, probe_result_to_json(&r->results[i])) != 0) {
            json_decref(rows);
            return NULL;
        }
    }
    return rows;
}

static json_t *calls_to_json(const struct report *r)
{
    json_t *calls = json_array();
    for (size_t i = 0; calls && i < r->n_calls; i++) {
        if (json_array_append_new(calls, call_stretch_to_json(&r->calls[i])) != 0) {
            json_decref(calls);
            return NULL;
        }
    }
    return calls;
}

json_t *report_to_json(const struct report *r)
{
    char measured_at[TIME_TEXT_LEN];
    json_t *o = json_pack("{s:s, s:s}", "report_id", r->report_id, "measured_at",
                          time_format(r->measured_at_us, measured_at));
    int failed = json_object_set_new(o, "network", network_to_json(r));
    if (r->agent[0] != '\0')
        failed |= json_object_set_new(o, "agent", json_string(r->agent));
    if (r->has_capabilities)
        failed |= json_object_set_new(o, "capabilities", capabilities_to_json(r->capabilities));
    failed |= json_object_set_new(o, "results", results_to_json(r));
    if (r->n_calls > 0)
        failed |= json_object_set_new(o, "calls", calls_to_json(r));
    if (failed) {
        json_decref(o);
        return NULL;
    }
    return o;
}
