/* What the calls on analytics share: whose reports, as which sites. Private to them. */
#ifndef BERTH_CONTROLLER_API_ANALYTICS_H
#define BERTH_CONTROLLER_API_ANALYTICS_H

#include "api.h"
#include "catalogue.h"

#define SAMPLE           4000   /* reports that one answer is made of, at most */
#define ROWS             400000 /* of their rows, at most: what an analysis costs */
#define TEXT_OF(v)       #v
#define TEXT(macro)      TEXT_OF(macro)
#define ANALYTICS_SAMPLE TEXT(SAMPLE)
#define ANALYTICS_ROWS   TEXT(ROWS)

/* Reports, of which each agent's newest counts: of an org ($1), those of its first agents by name; of all, the same
 * share of each. */
#define COLUMNS "org, agent, network, net4, net6, measured_at, names, node, transport, status, rtt_min_us"
#define OF_ORG        \
    "select " COLUMNS \
    " from report where org = $1 and expires_at > now() order by agent limit " ANALYTICS_SAMPLE
#define OF_ALL "select * from analytics_sample(" ANALYTICS_SAMPLE ")"
/* What a single org's share of the sample is. */
#define SHARE_OF_ORG ANALYTICS_SAMPLE
#define SHARE_OF_ALL "(select analytics_share(" ANALYTICS_SAMPLE "))" /* once, and not for each org */

/* Sites: networks as reports name them, or the /24 and /48 that the agents are seen from. */
#define BY_NETWORK "l.network"
#define BY_PREFIX                                                                                      \
    "(case when l.net4 is not null then concat_ws('.', l.net4 >> 16, l.net4 >> 8 & 255, l.net4 & 255)" \
    " || '.0/24' when l.net6 is not null then concat_ws(':', to_hex(l.net6 >> 32),"                    \
    " to_hex(l.net6 >> 16 & 65535), to_hex(l.net6 & 65535)) || '::/48' end)::cidr::text"

/* Of the reports as many as have ANALYTICS_ROWS rows, in this order; BY_TURNS: each org's first agents by name, and
 * its second only once each org's first are in. */
#define BY_TURNS "r.nth, r.org"
#define LIVE(where, order)                                                                                   \
    "with taken as materialized (" where                                                                     \
    "), newest as (select distinct on (t.org, t.agent) t.* from taken t"                                     \
    "  order by t.org, t.agent, t.measured_at desc),"                                                        \
    " ranked as (select n.*, row_number() over (partition by n.org order by n.agent) as nth from newest n)," \
    " counted as materialized (select r.*, sum(cardinality(r.transport)) over (order by " order              \
    "   rows unbounded preceding) as upto from ranked r),"                                                   \
    " live as materialized (select * from counted c where c.upto <= " ANALYTICS_ROWS ")"
/* Whether that leaves out what there is, or may be. */
#define SAMPLED(share)                                                                                   \
    "(select count(*) >= " ANALYTICS_SAMPLE " from taken) or exists (select from taken t group by t.org" \
    "  having count(*) >= " share ") or exists (select from counted c where c.upto > " ANALYTICS_ROWS    \
    ") as sampled"
/* Of each agent and node the transport that it would use, with its least round trip below. A report names a node
 * once; its names are unpacked once, since each look into an array of them unpacks it all. `only`: a condition on
 * x.name. */
#define PER(site, only)                                                                                 \
    ", per as materialized (select l.org || ' ' || l.agent as agent, " site " as site, x.name as node," \
    "  x.tested, x.used from live l cross join lateral (select n.name, u.tested, u.used from (select "  \
    "v.node,"                                                                                           \
    "    bool_or(v.status <> 0) as tested,"                                                             \
    "    min(v.transport::bigint << 32 | v.rtt) filter (where v.status = 1 and v.rtt >= 0) as used"     \
    "   from unnest(l.node, l.transport, l.status, l.rtt_min_us) as v (node, transport, status, rtt)"   \
    "   group by v.node) u join unnest(l.names) with ordinality as n (name, at) on n.at = u.node) x"    \
    " where " only ")"

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
