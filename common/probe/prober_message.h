/* What the prober, the ladder and the keep-alive send and hear: a bare Binding request whose transaction id names
 * its sample, its answer, and what an errno says. Pure. */
#ifndef BERTH_PROBE_PROBER_MESSAGE_H
#define BERTH_PROBE_PROBER_MESSAGE_H

#include "probe/prober_txid.h"

void prober_request_write(const uint8_t seed[static PROBER_SEED_LEN], const struct sample_name *s,
                          uint8_t out[static PROBER_MESSAGE_LEN]);
/* Is it a whole answer to a request made with this seed, and one that a client may accept (RFC 8489 6.3.3, 6.3.4)?
 * *mapped is none where it is an error's. Who sent it is the caller's to check. */
bool prober_answer_read(const uint8_t seed[static PROBER_SEED_LEN], const uint8_t *bytes, size_t len,
                        struct sample_name *s, struct addr *mapped) __attribute__((warn_unused_result));
/* Is it the beginning of a request made with this seed, sent back to us? */
bool prober_request_read(const uint8_t seed[static PROBER_SEED_LEN], const uint8_t *bytes, size_t len,
                         struct sample_name *s) __attribute__((warn_unused_result));

/* For people; static text. 0: closed by the peer. */
const char *prober_error_text(int error, bool stream);
/* Is it a want of this machine's, which says nothing of the path? */
bool prober_own_shortage(int error);

#endif
