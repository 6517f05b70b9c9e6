/* Whether this controller's master keys are those of the database's other controllers. A controller with another
 * master key would refuse every key there is, and make keys that nobody else knows. */
#ifndef BERTH_CONTROLLER_MASTER_CHECK_H
#define BERTH_CONTROLLER_MASTER_CHECK_H

#include "core/token.h"
#include "db_sync.h"

enum { MASTER_FINGERPRINT_LEN = 16, MASTER_FINGERPRINT_TEXT = 2 * MASTER_FINGERPRINT_LEN + 1 };

/* Tells master keys apart, and nothing of them: a hash keyed with the master key itself, in hex. */
void master_fingerprint(const uint8_t key[static MASTER_KEY_LEN], char out[static MASTER_FINGERPRINT_TEXT]);
/* True where the two lists share a key: one is what rotation made of the other. */
bool master_keys_related(const struct master_keys *a, const struct master_keys *b);
/* 1: they fit, and are remembered; 0: they are of another installation; -EIO: see db->error. `before`: those that fitted and led to
 * these by rotation, so that these fit as well however fast that went; NULL: none. */
int master_keys_fit(struct db_sync *db, const struct master_keys *keys, const struct master_keys *before)
    __attribute__((warn_unused_result));

#endif
