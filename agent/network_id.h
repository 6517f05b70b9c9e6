/* A fingerprint of the network that this machine is in: the same while the network is, another elsewhere, and telling nobody else
 * anything about it. Pure. */
#ifndef BERTH_AGENT_NETWORK_ID_H
#define BERTH_AGENT_NETWORK_ID_H

#include "core/addr.h"
#include "sys_machine.h"

enum { NETWORK_ID_TEXT_LEN = 33, NETWORK_ID_KEY_LEN = 32 };

/* A key from what only this machine knows (`machine`, 16 bytes or NULL) and who asks. */
void network_id_key(uint8_t key[static NETWORK_ID_KEY_LEN], const uint8_t *machine, const char *agent_id);
/* Neither the order of lines nor that of `mapped` (their ports don't count) matters. 32 hex digits. */
void network_id_make(char out[static NETWORK_ID_TEXT_LEN], const uint8_t key[static NETWORK_ID_KEY_LEN],
                     const struct sys_network *net, const struct addr *mapped, size_t n_mapped);

#endif
