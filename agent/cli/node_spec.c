/* Parses --node. Invariant: what is accepted is one host, and ports of 1 to 65535. */
#include "node_spec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(char err[static NODE_SPEC_ERROR], const char *what, const char *text, size_t len)
{
    snprintf(err, NODE_SPEC_ERROR, "%s '%.*s'", what, (int)(len < 80 ? len : 80), text);
    return -EINVAL;
}

static int parse_host(struct node_spec *s, const char *text, size_t len, char err[static NODE_SPEC_ERROR])
{
    bool bracketed = len >= 2 && text[0] == '[' && text[len - 1] == ']';
    if (bracketed) {
        text++;
        len -= 2;
    }
    if (len == 0 || len > HOST_MAX)
        return fail(err, "there is no host in", text, len);
    memcpy(s->host, text, len);
    s->host[len] = '\0';
    bool is_v6 = strchr(s->host, ':') != NULL;
    if (!host_valid(s->host) || (bracketed && !is_v6))
        return fail(err, "not a host (ports are given as ,udp=PORT):", text, len);
    return 0;
}

static uint16_t *ports_of(struct berth_node *n, const char *name, size_t len)
{
    static const char *const names[] = {"udp", "tcp", "tls"};
    uint16_t *const ports[] = {n->udp, n->tcp, n->tls};
    for (size_t i = 0; i < 3; i++) {
        if (len == 3 && memcmp(name, names[i], 3) == 0)
            return ports[i];
    }
    return NULL;
}

/* "udp=3478" */
static int parse_port(struct node_spec *s, const char *text, size_t len, char err[static NODE_SPEC_ERROR])
{
    const char *equals = memchr(text, '=', len);
    uint16_t *ports = equals != NULL ? ports_of(&s->node, text, (size_t)(equals - text)) : NULL;
    if (ports == NULL)
        return fail(err, "not udp=PORT, tcp=PORT or tls=PORT:", text, len);
    unsigned long port = 0;
    for (const char *p = equals + 1; p < text + len; p++) {
        port = *p >= '0' && *p <= '9' && port <= UINT16_MAX ? port * 10 + (unsigned long)(*p - '0')
                                                            : UINT16_MAX + 1ul;
    }
    if (port == 0 || port > UINT16_MAX)
        return fail(err, "not a port of 1 to 65535:", text, len);
    for (size_t i = 0; i < BERTH_PORTS_MAX; i++) {
        if (ports[i] == 0) {
            ports[i] = (uint16_t)port;
            return 0;
        }
    }
    return fail(err, "too many ports:", text, len);
}

int node_spec_parse(struct node_spec *s, const char *text, char err[static NODE_SPEC_ERROR])
{
    size_t len = strcspn(text, ",");
    memset(s, 0, sizeof(*s));
    int rc = parse_host(s, text, len, err);
    s->node.host = s->host;
    for (text += len; rc == 0 && *text == ','; text += len) {
        text++;
        len = strcspn(text, ",");
        rc = parse_port(s, text, len, err);
    }
    return rc;
}
