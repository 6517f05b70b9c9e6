/* What nodes are told for their media: the secret of the TURN server beside one. Invariant: a node's secrets are derived as they are told, and
 * told to whoever may manage that very node. */
#include "admission.h"
#include "api_nodes.h"
#include "catalogue.h"

void api_node_turn_secret(struct api_request *r)
{
    const struct catalogue *c = api_catalogue(r);
    const struct catalogue_node *n = c != NULL ? api_node_of(r, c) : NULL;

    if (c == NULL)
        return;
    if (n == NULL) {
        api_problem(r, 404, "unknown_node", "there is no such node");
        return;
    }
    api_header(r, "cache-control", "no-store");
    api_json(
        r, 200,
        json_pack("{s:s, s:o}", "node", n->id, "secrets", admission_turn_secrets(r->ctl, n->org, n->id)));
}
