/* How a NAT maps and filters (RFC 4787), told by the tests of RFC 5780 at a node that offers them, or, as for
 * mapping, by how several nodes see one socket. Pure: it says what to ask next and is told what came of it. What
 * can't be told stays unknown. */
#ifndef BERTH_AGENT_FIREWALL_NAT_H
#define BERTH_AGENT_FIREWALL_NAT_H

#include "firewall_ask.h"

enum nat_kind {
    NAT_UNKNOWN,
    NAT_ENDPOINT_INDEPENDENT,
    NAT_ADDRESS_DEPENDENT,
    NAT_ADDRESS_AND_PORT_DEPENDENT,
    NAT_ENDPOINT_DEPENDENT, /* one of the two before; which one could not be told */
};
const char *nat_kind_name(enum nat_kind k); /* "unknown", "endpoint-independent" ... */

/* Does a mapping of kind `a` stand more in the way than one of kind `b`? */
bool nat_worse(enum nat_kind a, enum nat_kind b);

enum nat_evidence { NAT_BY_NOTHING, NAT_BY_NODES, NAT_BY_RFC5780 };
const char *nat_evidence_name(enum nat_evidence e); /* "none", "nodes", "rfc5780" */

struct nat_findings {
    enum nat_kind mapping, filtering;
    enum nat_evidence evidence; /* of the mapping; filtering is known by RFC 5780 alone */
};

/* A socket of ours, and how a node at `to` saw it. */
struct nat_sight {
    struct addr to, mapped;
};
/* The mapping from sights of one socket of one family; filtering is unknown. */
struct nat_findings nat_from_sights(const struct nat_sight *s, size_t n);

/* The sockets of the tests: an answer opens the NAT towards where it came from, so filtering has one of its own. */
enum { NAT_SOCKET_MAPPING, NAT_SOCKET_FILTERING, NAT_SOCKETS };

struct nat_test {
    int step;
    struct addr server, other, mapped, mapped_other;
    bool filtered_by_silence;
    struct nat_findings found;
};

void nat_test_begin(struct nat_test *t, const struct addr *server);
/* False: the tests are through, or the server doesn't offer them; t->found says what is known. */
bool nat_test_next(const struct nat_test *t, struct ask *a, size_t *socket);
void nat_test_answer(struct nat_test *t, const struct ask_reply *r);

#endif
