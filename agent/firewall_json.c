/* The verdict as JSON: the contract's members first, then what else is known. Invariant: what can't be told is "unknown". */
#include "firewall.h"

#include <stdio.h>

/* Sets and takes over `value`; false: no memory. */
static bool set(json_t *o, const char *name, json_t *value)
{
    return json_object_set_new(o, name, value) == 0;
}

static json_t *number_or_unknown(int64_t n)
{
    return n >= 0 ? json_integer(n) : json_string("unknown");
}

static json_t *mapped_to_json(const struct firewall_verdict *v)
{
    json_t *o = json_object();
    bool ok = o != NULL;
    for (int t = TRANSPORT_UDP; t < TRANSPORT_COUNT && ok; t++) {
        char text[ADDR_TEXT_LEN] = "unknown";
        if (addr_is_set(&v->mapped[t]))
            addr_format(&v->mapped[t], text);
        else if (t == TRANSPORT_PROXY)
            continue; /* only where one is used */
        ok = set(o, transport_name((enum transport)t), json_string(text));
    }
    if (ok)
        return o;
    json_decref(o);
    return NULL;
}

static json_t *local_to_json(const struct firewall_seen *seen)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < seen->n_local; i++) {
        char text[ADDR_TEXT_LEN];
        if (json_array_append_new(list, json_string(addr_format_ip(&seen->local[i], text))) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *port_to_json(const struct firewall_port *p)
{
    json_t *o = json_pack("{s:s, s:i, s:s, s:b}", "transport", transport_name(p->transport), "port",
                          (int)p->port, "status", port_status_name(p->status), "served", (int)p->served);
    bool ok = o != NULL;
    if (ok && p->rtt_us >= 0)
        ok = set(o, "rtt_us", json_integer(p->rtt_us));
    if (ok && p->issuer[0] != '\0')
        ok = set(o, "tls_issuer", json_string(p->issuer));
    if (ok && p->note[0] != '\0')
        ok = set(o, "note", json_string(p->note));
    if (ok)
        return o;
    json_decref(o);
    return NULL;
}

static json_t *ports_to_json(const struct firewall_verdict *v)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < v->n_ports; i++) {
        if (json_array_append_new(list, port_to_json(&v->ports[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *advice_to_json(const struct firewall_verdict *v)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < v->n_advice; i++) {
        if (json_array_append_new(list, json_pack("{s:s, s:s}", "open", v->advice[i].open, "brings",
                                                  v->advice[i].brings)) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *ranges_to_json(const struct addr *ranges, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < n; i++) {
        char text[RANGE_TEXT];
        if (json_array_append_new(list, json_string(firewall_range_text(&ranges[i], text))) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *nat_to_json(const struct firewall_verdict *v)
{
    return json_pack("{s:s, s:s, s:s, s:o}", "mapping", nat_kind_name(v->nat.mapping), "filtering",
                     nat_kind_name(v->nat.filtering), "evidence", nat_evidence_name(v->nat.evidence),
                     "translated", v->translated < 0 ? json_string("unknown") : json_boolean(v->translated));
}

static json_t *clock_to_json(const struct firewall_verdict *v)
{
    static const char *const names[] = {"unknown", "right", "wrong", "suspected"};
    int64_t ahead = v->seen->clock_ahead_us;
    return json_pack("{s:s, s:o}", "state", names[v->clock], "ahead_s",
                     ahead == CLOCK_UNKNOWN ? json_string("unknown") : json_integer(ahead / 1000000));
}

static json_t *proxy_to_json(const struct firewall_seen *seen)
{
    const struct firewall_proxy *p = &seen->proxy;
    json_t *o =
        p->looked ? json_pack("{s:b}", "found", (int)p->found) : json_pack("{s:s}", "found", "unknown");
    bool ok =
        o != NULL && (seen->proxy_problem[0] == '\0' || set(o, "problem", json_string(seen->proxy_problem)));
    if (ok && p->found)
        ok = set(o, "source", json_string(p->source)) && set(o, "url", json_string(p->url)) &&
             set(o, "scheme", json_string(p->scheme[0] != '\0' ? p->scheme : "unknown")) &&
             set(o, "auth", json_string(p->auth[0] != '\0' ? p->auth : "unknown")) &&
             set(o, "status", json_string(probe_status_name(p->status))) &&
             set(o, "tls_intercepted",
                 p->status == PROBE_REACHABLE ? json_boolean(p->intercepted) : json_string("unknown")) &&
             (p->issuer[0] == '\0' || set(o, "tls_issuer", json_string(p->issuer))) &&
             (p->error[0] == '\0' || set(o, "note", json_string(p->error)));
    if (ok)
        return o;
    json_decref(o);
    return NULL;
}

static json_t *pinhole_to_json(const struct pinhole_found *f)
{
    return json_pack("{s:o, s:o}", "at_least", number_or_unknown(f->at_least_s), "less_than",
                     number_or_unknown(f->less_than_s));
}

static json_t *throughput_to_json(const struct firewall_verdict *v)
{
    const struct firewall_throughput *t = &v->seen->throughput;
    if (t->up_bps < 0 && t->down_bps < 0)
        return json_string("unknown");
    return json_pack("{s:o, s:o, s:I, s:f, s:s, s:s}", "up_bps", number_or_unknown(t->up_bps), "down_bps",
                     number_or_unknown(t->down_bps), "bytes", (json_int_t)t->bytes, "seconds",
                     (double)t->took_us / 1000000, "transport", transport_name(t->transport), "enough_for",
                     enough_name(v->enough));
}

json_t *firewall_to_json(const struct firewall_verdict *v)
{
    const struct firewall_seen *seen = v->seen;
    json_t *o = json_object();
    bool ok = o && set(o, "mapped", mapped_to_json(v)) && set(o, "local", local_to_json(seen)) &&
              set(o, "nat", nat_to_json(v)) && set(o, "mtu", number_or_unknown(seen->mtu)) &&
              set(o, "throughput", throughput_to_json(v)) && set(o, "ports", ports_to_json(v)) &&
              set(o, "proxy", proxy_to_json(seen)) &&
              set(o, "rung", json_string(v->rung == TRANSPORT_COUNT ? "none" : transport_name(v->rung))) &&
              set(o, "advice", advice_to_json(v)) &&
              set(o, "quality", json_string(quality_name(v->quality))) &&
              set(o, "rtt_us", number_or_unknown(v->rung_rtt_us)) &&
              set(o, "allow_list",
                  json_pack("{s:b, s:o, s:o}", "suspected", (int)v->allow_list, "answered",
                            ranges_to_json(v->answered, v->n_answered), "silent",
                            ranges_to_json(v->silent, v->n_silent))) &&
              set(o, "clock", clock_to_json(v)) && set(o, "tls_intercepted", json_boolean(v->intercepted)) &&
              (v->issuer[0] == '\0' || set(o, "tls_issuer", json_string(v->issuer))) &&
              (!seen->pinhole_asked || set(o, "pinhole_s", pinhole_to_json(&seen->pinhole)));
    if (ok)
        return o;
    json_decref(o);
    return NULL;
}
