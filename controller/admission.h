/* What admits a participant to the node that it was given: the ticket for the node itself, and credentials for
 * services beside it. All of it is derived from the master keys as it is told, so nothing of it is ever stored, and
 * no log has it. Any thread. */
#ifndef BERTH_CONTROLLER_ADMISSION_H
#define BERTH_CONTROLLER_ADMISSION_H

#include "controller.h"
#include "core/token.h"
#include "meeting_policy.h"

#include <jansson.h>

/* An assignment's `media` as it may be stored: whose node it is, the plan's epoch, and the limits. NULL: out of memory. */
json_t *admission_terms(const char *node_org, int64_t epoch, const struct meeting_policy *p);

struct admission {
    const char *org, *meeting, *agent;
    int64_t now_us; /* Unix time, by the database's clock */
};
/* Makes a stored assignment one that can be told: `media` gets its username and password, `report` how often the
 * call is to be told of, `ice_servers` and `services` are what stands beside the node. Nothing happens to what is no
 * assignment with terms. */
void admission_complete(const struct controller *ctl, const struct admission *a, json_t *assignment);

/* What a node dials another with for that meeting: {"username", "password", "expires_at"}. `who`: the dialer. NULL:
 * out of memory. */
struct admission_link {
    const char *org, *meeting;
    int64_t epoch;
    const char *who_org, *who_node, *to_org, *to_node;
};
json_t *admission_link(const struct controller *ctl, const struct admission_link *l, int64_t now_us);

/* The keys that a node opens tickets with: [{"id", "key"}], of yesterday, today and tomorrow under every master key.
 * NULL: out of memory. */
json_t *admission_node_keys(const struct controller *ctl, const char *org, const char *node, int64_t now_us);

/* Is a registration's services.turn {"urls": [...]} of a WebRTC client's kind? NULL, none, is fine. */
bool admission_turn_valid(const json_t *turn);
/* What a node's TURN server shares with the controllers, one under each master key, the newest first: credentials
 * are made with that one. */
enum { TURN_SECRET_LEN = 43 };
json_t *admission_turn_secrets(const struct controller *ctl, const char *org, const char *node);

#endif
