/* What the calls on analytics share: whose reports, as which sites. Private to them. */
#ifndef BERTH_CONTROLLER_API_ANALYTICS_H
#define BERTH_CONTROLLER_API_ANALYTICS_H

#include "api.h"
#include "catalogue.h"

#define SAMPLE           4000 /* reports that one answer is made of, at most */
#define TEXT_OF(v)       #v
#define TEXT(macro)      TEXT_OF(macro)
#define ANALYTICS_SAMPLE TEXT(SAMPLE)

/* Reports, of which each agent's newest counts: of an org ($1), those of its first agents by name; of all, the same share of each. */
#define OF_ORG \
    "select * from report where org = $1 and expires_at > now() order by agent limit " ANALYTICS_SAMPLE
#define OF_ALL "select * from analytics_sample(" ANALYTICS_SAMPLE ")"

/* Sites: networks as reports name them, or the /24 and /48 that the agents are seen from. */
#define BY_NETWORK "l.network"
#define BY_PREFIX                                                                                      \
    "(case when l.net4 is not null then concat_ws('.', l.net4 >> 16, l.net4 >> 8 & 255, l.net4 & 255)" \
    " || '.0/24' when l.net6 is not null then concat_ws(':', to_hex(l.net6 >> 32),"                    \
    " to_hex(l.net6 >> 16 & 65535), to_hex(l.net6 & 65535)) || '::/48' end)::cidr::text"

#define LIVE(where)                                                                   \
    "with live as materialized (select distinct on (r.org, r.agent) r.* from (" where \
    ") r order by r.org, r.agent, r.measured_at desc)"
/* Of each agent and node the transport that it would use, with its least round trip below. `only`: a condition on x.name. */
#define PER(site, only)                                                                                  \
    ", per as materialized (select l.org || ' ' || l.agent as agent, " site " as site, x.name as node,"  \
    "  bool_or(x.status <> 0) as tested,"                                                                \
    "  min(x.transport::bigint << 32 | x.rtt) filter (where x.status = 1 and x.rtt >= 0) as used"        \
    "  from live l cross join lateral (select l.names[u.node] as name, u.transport, u.status, u.rtt"     \
    "   from unnest(l.node, l.transport, l.status, l.rtt_min_us) as u (node, transport, status, rtt)) x" \
    " where " only " group by 1, 2, 3)"

struct analysis {
    struct api_page page;
    const char *org; /* CLOUD_ORG for all of them */
    bool all;        /* orgs together: the operator has named none */
    bool by_prefix;
    const char *network, *like; /* as asked; NULL */
    int64_t gain_us;
    size_t landmarks; /* nodes to which the place's round trips are known */
    json_t *(*item)(const struct api_request *r, const PGresult *res, int row);
};

/* Once it is this org's turn: what takes the database long is one after another for each org on a worker. */
void analysis_turn(struct api_request *r, api_handler *then);

/* Whose: an org's own, the one that the operator names, or all. NULL: answered. */
struct analysis *analysis_begin(struct api_request *r);

/* The ids of the nodes that a->org has, as a text array. */
struct db_param analysis_nodes(struct api_request *r, const struct analysis *a);

void api_new_node(struct api_request *r); /* GET /v1/analytics/new-node */

#endif
