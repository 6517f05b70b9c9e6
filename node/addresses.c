/* Address lists. Invariant: no list holds an address twice, one that agents may not be told, or more than NODE_ADDRESSES_MAX. */
#include "addresses.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void add(struct node_addresses *list, enum transport t, struct addr a)
{
    if (!addr_is_unicast_target(&a))
        return;
    for (size_t i = 0; i < list->n[t]; i++)
        if (addr_eq(&list->at[t][i], &a))
            return;
    if (list->n[t] < NODE_ADDRESSES_MAX)
        list->at[t][list->n[t]++] = a;
}

void addresses_expand(struct node_addresses *out, const struct node_addresses *bound, const struct addr *ips,
                      size_t n_ips)
{
    memset(out, 0, sizeof(*out));
    for (int t = 0; t < TRANSPORT_PROXY; t++) {
        for (size_t i = 0; i < bound->n[t]; i++) {
            struct addr a = bound->at[t][i];
            if (!addr_is_wildcard(&a)) {
                add(out, (enum transport)t, a);
                continue;
            }
            for (size_t k = 0; k < n_ips; k++) {
                struct addr concrete = ips[k];
                concrete.port = a.port;
                if (concrete.family == a.family)
                    add(out, (enum transport)t, concrete);
            }
        }
    }
}

struct spec {
    int transport;    /* -1: any */
    struct addr addr; /* port 0: the bound ones */
};

static int parse_spec(struct spec *s, const char *text)
{
    const char *eq = strchr(text, '=');
    char name[8];
    s->transport = -1;
    if (eq) {
        enum transport t;
        if ((size_t)(eq - text) >= sizeof(name))
            return -EINVAL;
        memcpy(name, text, (size_t)(eq - text));
        name[eq - text] = '\0';
        if (transport_parse(name, &t) != 0 || t >= TRANSPORT_PROXY)
            return -EINVAL;
        s->transport = (int)t;
        text = eq + 1;
    }
    if (addr_parse_ip(&s->addr, text) != 0 && (addr_parse(&s->addr, text) != 0 || s->addr.port == 0))
        return -EINVAL;
    return addr_is_unicast_target(&s->addr) ? 0 : -EINVAL;
}

static bool is_bound(const struct node_addresses *bound, enum transport t, uint16_t port)
{
    for (size_t i = 0; i < bound->n[t]; i++)
        if (bound->at[t][i].port == port)
            return true;
    return false;
}

static void add_with_bound_ports(struct node_addresses *out, const struct node_addresses *bound,
                                 enum transport t, struct addr ip)
{
    for (size_t i = 0; i < bound->n[t]; i++) {
        ip.port = bound->at[t][i].port;
        add(out, t, ip);
    }
}

/* Whether the spec spoke of anything. */
static bool apply_spec(struct node_addresses *out, const struct node_addresses *bound, const struct spec *s)
{
    bool any = false;
    for (int i = 0; i < TRANSPORT_PROXY; i++) {
        enum transport t = (enum transport)i;
        if (bound->n[t] == 0 || (s->transport >= 0 && s->transport != i))
            continue;
        if (s->addr.port == 0)
            add_with_bound_ports(out, bound, t, s->addr);
        else if (s->transport >= 0 || is_bound(bound, t, s->addr.port))
            add(out, t,
                s->addr); /* with a transport named, another port than the bound one is a port mapping */
        else
            continue;
        any = true;
    }
    return any;
}

int addresses_advertise(struct node_addresses *out, const struct node_addresses *bound,
                        const struct node_addresses *expanded, const struct config_list *specs,
                        char err[static ADDRESSES_ERROR])
{
    memset(out, 0, sizeof(*out));
    for (size_t i = 0; i < specs->n; i++) {
        struct spec s = {0};
        if (parse_spec(&s, specs->v[i]) != 0) {
            snprintf(err, ADDRESSES_ERROR,
                     "--advertise: '%.60s' is none of IP, IP:PORT, TRANSPORT=IP, TRANSPORT=IP:PORT that "
                     "others can reach",
                     specs->v[i]);
            return -EINVAL;
        }
        if (!apply_spec(out, bound, &s)) {
            snprintf(err, ADDRESSES_ERROR,
                     "--advertise: no listener fits '%.60s'; for a mapped port write TRANSPORT=IP:PORT",
                     specs->v[i]);
            return -EINVAL;
        }
    }
    for (int t = 0; t < TRANSPORT_PROXY; t++) {
        if (out->n[t] > 0)
            continue;
        out->n[t] = expanded->n[t];
        memcpy(out->at[t], expanded->at[t], sizeof(out->at[t]));
    }
    return 0;
}

bool addresses_have_wildcard(const struct node_addresses *a)
{
    for (int t = 0; t < TRANSPORT_PROXY; t++)
        for (size_t i = 0; i < a->n[t]; i++)
            if (addr_is_wildcard(&a->at[t][i]))
                return true;
    return false;
}

const char *addresses_text(const struct node_addresses *a, char out[static ADDRESSES_TEXT])
{
    size_t len = 0;
    out[0] = '\0';
    for (int t = 0; t < TRANSPORT_PROXY; t++)
        for (size_t i = 0; i < a->n[t]; i++) {
            char one[ADDR_TEXT_LEN];
            int n = snprintf(out + len, ADDRESSES_TEXT - len, "%s%s %s", len > 0 ? " " : "",
                             transport_name((enum transport)t), addr_format(&a->at[t][i], one));
            if (n < 0 || (size_t)n >= ADDRESSES_TEXT - len) {
                memcpy(out + (len < ADDRESSES_TEXT - 5 ? len : ADDRESSES_TEXT - 5), " ...", 5);
                return out;
            }
            len += (size_t)n;
        }
    return out;
}
