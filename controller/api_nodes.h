/* Handlers of calls that change a node; api_nodes.c has their routes. */
#ifndef BERTH_CONTROLLER_API_NODES_H
#define BERTH_CONTROLLER_API_NODES_H

#include "api.h"

/* Whose node a path means: the caller's own; the admin says with ?org=, or means the cloud's node or else the only one there is. */
#define NODE_TARGET                                                                                    \
    "with target as (select t.org, t.id, t.drain from node t where t.id = $2 and t.deleted_at is null" \
    " and t.org = coalesce($1, (select case when bool_or(s.org = 'cloud') then 'cloud'"                \
    " when count(*) = 1 then min(s.org) end from node s where s.id = $2 and s.deleted_at is null)))"

void api_node_register(struct api_request *r);
void api_node_heartbeat(struct api_request *r);
void api_node_drain(struct api_request *r);
void api_node_undrain(struct api_request *r);
void api_node_weight(struct api_request *r);
void api_node_delete(struct api_request *r);
void api_node_peers(struct api_request *r);
void api_node_turn_secret(struct api_request *r);
void api_node_links(struct api_request *r);

struct catalogue_node;
/* The node of the path; NULL: it is not in the catalogue, or not the caller's. api_peers.c */
const struct catalogue_node *api_node_of(struct api_request *r, const struct catalogue *c);

#endif
