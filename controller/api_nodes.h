/* Handlers of calls that change a node; api_nodes.c has their routes. */
#ifndef BERTH_CONTROLLER_API_NODES_H
#define BERTH_CONTROLLER_API_NODES_H

#include "api.h"

/* Whose node a path means: the caller's own; the admin says with ?org=, or means the cloud's node or else the only one there is. */
#define NODE_TARGET                                                                                          \
    "with target as (select t.org, t.id, t.drain, t.media_key from node t where t.id = $2 and t.deleted_at " \
    "is null"                                                                                                \
    " and t.org = coalesce($1, (select case when bool_or(s.org = 'cloud') then 'cloud'"                      \
    " when count(*) = 1 then min(s.org) end from node s where s.id = $2 and s.deleted_at is null)))"

enum { HEARTBEAT_S = 5, MEDIA_KEY_LEN = 43 /* base64url */ };

/* In an answer to a node: whose it is, the time, and the keys that open tickets: for whoever has a node's key, so
 * for the node itself. Keys of an org or the operator's manage nodes, they aren't told what admits to them. */
void api_node_tell_keys(struct api_request *r, json_t *answer, const char *org, const char *node,
                        int64_t now_us);

void api_node_register(struct api_request *r); /* api_node_register.c */
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
