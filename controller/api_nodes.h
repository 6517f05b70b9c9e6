/* Handlers of calls that change a node; api_nodes.c has their routes. */
#ifndef BERTH_CONTROLLER_API_NODES_H
#define BERTH_CONTROLLER_API_NODES_H

#include "api.h"

void api_node_register(struct api_request *r);
void api_node_heartbeat(struct api_request *r);
void api_node_drain(struct api_request *r);
void api_node_undrain(struct api_request *r);
void api_node_delete(struct api_request *r);

#endif
