/* A result: one node over one transport. Invariant: what was not measured is left out, and a row that says "reachable"
 * has its round-trip times. */
#include "core/doc_json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Of the last three, which most rows leave empty and which are most of it, no more than their ends: a report has a
 * hundred rows. */
void probe_result_init(struct probe_result *r)
{
    memset(r, 0, offsetof(struct probe_result, proxy_url));
    r->rtt_min_us = r->rtt_median_us = r->rtt_p95_us = NOT_MEASURED;
    r->sent = r->received = r->connect_us = r->tls_us = NOT_MEASURED;
    r->proxy_url[0] = r->proxy_scheme[0] = r->proxy_auth[0] = '\0';
}

/* A proxy's URL is kept without the name and password that may stand in it. Controls and spaces are refused. */
static int copy_proxy_url(const char *url, char out[static PROXY_URL_MAX + 1])
{
    size_t n = 0;
    const char *scheme_end = strstr(url, "://");
    const char *authority = scheme_end ? scheme_end + 3 : url;
    const char *authority_end = authority + strcspn(authority, "/?#");
    const char *at = memrchr(authority, '@', (size_t)(authority_end - authority));
    for (const char *p = url; *p; p++) {
        if (p == authority && at)
            p = at + 1;
        if (*p == '\0')
            break;
        if (*p <= ' ' || *p > '~' || n == PROXY_URL_MAX)
            return -EINVAL;
        out[n++] = *p;
    }
    out[n] = '\0';
    return 0;
}

/* ---- to JSON ---- */

static int set_addr(json_t *o, const char *name, const struct addr *a)
{
    return addr_is_set(a) ? json_object_set_new(o, name, doc_addr_to_json(a)) : 0;
}

static int set_via_proxy(json_t *o, const struct probe_result *r)
{
    char url[PROXY_URL_MAX + 1];
    if (!r->via_proxy && !r->tls_intercepted)
        return 0;
    if (copy_proxy_url(r->proxy_url, url) < 0)
        url[0] = '\0';
    json_t *via = json_object();
    int failed = json_object_set_new(o, "via_proxy", via); /* now o's; NULL fails */
    if (failed)
        return failed;
    if (r->via_proxy)
        failed = doc_set_text(via, "url", url) | doc_set_text(via, "scheme", r->proxy_scheme) |
                 doc_set_text(via, "auth", r->proxy_auth);
    return failed | json_object_set_new(via, "tls_intercepted", json_boolean(r->tls_intercepted));
}

static int set_framing(json_t *o, const struct probe_result *r)
{
    if (r->framing == FRAMING_NONE)
        return 0;
    return doc_set_text(o, "framing", r->framing == FRAMING_STUN ? "stun" : "websocket");
}

json_t *probe_result_to_json(const struct probe_result *r)
{
    json_t *o = json_object();
    if (!o)
        return NULL;
    int failed =
        doc_set_text(o, "node", r->node) | doc_set_text(o, "transport", transport_name(r->transport)) |
        doc_set_text(o, "status", probe_status_name(r->status)) | set_addr(o, "address", &r->address) |
        doc_set_rtt(o, "rtt_us", r->rtt_min_us, r->rtt_median_us, r->rtt_p95_us) |
        doc_set_measured(o, "sent", r->sent) | doc_set_measured(o, "received", r->received) |
        doc_set_measured(o, "connect_us", r->connect_us) | doc_set_measured(o, "tls_us", r->tls_us) |
        set_addr(o, "mapped_address", &r->mapped_address) | set_via_proxy(o, r) | set_framing(o, r);
    if (failed) {
        json_decref(o);
        return NULL;
    }
    return o;
}

/* ---- from JSON ---- */

static int get_kind(const json_t *j, struct probe_result *r, struct doc_error *e)
{
    const char *transport = NULL, *status = NULL;
    if (doc_get_id(j, "node", DOC_REQUIRED, r->node, sizeof r->node, e) < 0 ||
        doc_get_string(j, "transport", DOC_REQUIRED, &transport, e) < 0 ||
        doc_get_string(j, "status", DOC_REQUIRED, &status, e) < 0)
        return -EINVAL;
    if (transport_parse(transport, &r->transport) < 0)
        return doc_fail(e, "/transport", "invalid_member", "transport must be udp, tcp, tls or proxy");
    for (unsigned i = 0; i < PROBE_STATUS_COUNT; i++) {
        if (strcmp(status, probe_status_name((enum probe_status)i)) == 0) {
            r->status = (enum probe_status)i;
            return 0;
        }
    }
    return doc_fail(e, "/status", "invalid_member",
                    "status must be reachable, timeout, refused, tls_error, proxy_error or untested");
}

static int get_rtt(const json_t *j, struct probe_result *r, struct doc_error *e)
{
    int answer = doc_get_rtt(j, "rtt_us", DOC_OPTIONAL, &r->rtt_min_us, &r->rtt_median_us, &r->rtt_p95_us, e);
    if (answer == 0 && r->status == PROBE_REACHABLE)
        return doc_fail(e, "/rtt_us", "invalid_member", "a reachable row has its rtt_us");
    return answer < 0 ? answer : 0;
}

static int get_counts(const json_t *j, struct probe_result *r, struct doc_error *e)
{
    if (doc_get_int(j, "sent", DOC_OPTIONAL, 0, PROBE_PACKETS_MAX, &r->sent, e) < 0 ||
        doc_get_int(j, "received", DOC_OPTIONAL, 0, PROBE_PACKETS_MAX, &r->received, e) < 0 ||
        doc_get_int(j, "connect_us", DOC_OPTIONAL, 0, RTT_MAX_US, &r->connect_us, e) < 0 ||
        doc_get_int(j, "tls_us", DOC_OPTIONAL, 0, RTT_MAX_US, &r->tls_us, e) < 0)
        return -EINVAL;
    if (r->sent != NOT_MEASURED && r->received > r->sent)
        return doc_fail(e, "/received", "invalid_member", "received is more than sent");
    return 0;
}

static int get_addresses(const json_t *j, struct probe_result *r, struct doc_error *e)
{
    const char *address = NULL, *mapped = NULL;
    if (doc_get_string(j, "address", DOC_OPTIONAL, &address, e) < 0 ||
        doc_get_string(j, "mapped_address", DOC_OPTIONAL, &mapped, e) < 0)
        return -EINVAL;
    if (address && (addr_parse(&r->address, address) < 0 || r->address.port == 0))
        return doc_fail(e, "/address", "invalid_member", "address must be ip:port or [ipv6]:port");
    if (mapped && doc_addr_parse(&r->mapped_address, mapped) < 0)
        return doc_fail(e, "/mapped_address", "invalid_member", "mapped_address must be ip:port");
    return 0;
}

/* A short word, such as a scheme's name. */
static int get_word(const json_t *o, const char *name, char *out, size_t cap, struct doc_error *e)
{
    return doc_get_id(o, name, DOC_OPTIONAL, out, cap, e);
}

static int get_via_proxy(const json_t *j, struct probe_result *r, struct doc_error *e)
{
    const json_t *via = NULL;
    const char *url = NULL;
    int answer = doc_get_object(j, "via_proxy", DOC_OPTIONAL, &via, e);
    if (answer <= 0)
        return answer;
    if (doc_get_string(via, "url", DOC_OPTIONAL, &url, e) < 0 ||
        get_word(via, "scheme", r->proxy_scheme, sizeof r->proxy_scheme, e) < 0 ||
        get_word(via, "auth", r->proxy_auth, sizeof r->proxy_auth, e) < 0 ||
        doc_get_bool(via, "tls_intercepted", DOC_OPTIONAL, &r->tls_intercepted, e) < 0)
        return doc_fail_under(e, "/via_proxy");
    if (url && copy_proxy_url(url, r->proxy_url) < 0)
        return doc_fail(e, "/via_proxy/url", "invalid_member", "url must be a URL of at most %d characters",
                        PROXY_URL_MAX);
    r->via_proxy = url || r->proxy_scheme[0] || r->proxy_auth[0];
    return 0;
}

static int get_framing(const json_t *j, struct probe_result *r, struct doc_error *e)
{
    const char *framing = NULL;
    int answer = doc_get_string(j, "framing", DOC_OPTIONAL, &framing, e);
    if (answer <= 0)
        return answer;
    if (strcmp(framing, "stun") == 0)
        r->framing = FRAMING_STUN;
    else if (strcmp(framing, "websocket") == 0)
        r->framing = FRAMING_WEBSOCKET;
    else
        return doc_fail(e, "/framing", "invalid_member", "framing must be stun or websocket");
    return 0;
}

int probe_result_from_json(const json_t *j, struct probe_result *r, struct doc_error *e)
{
    struct probe_result parsed;
    probe_result_init(&parsed);
    if (doc_check_object(j, "a result", e) < 0 || get_kind(j, &parsed, e) < 0 || get_rtt(j, &parsed, e) < 0 ||
        get_counts(j, &parsed, e) < 0 || get_addresses(j, &parsed, e) < 0 ||
        get_via_proxy(j, &parsed, e) < 0 || get_framing(j, &parsed, e) < 0)
        return -EINVAL;
    *r = parsed;
    return 0;
}
