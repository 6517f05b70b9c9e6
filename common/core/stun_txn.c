/* The client transaction, RFC 8489 6.2: when to send, send again and give up. Invariant: `next_us` is the one moment at
 * which the answer of stun_txn_step changes. */
#include "core/stun.h"

#include <string.h>

enum { INTERVAL_DOUBLINGS_MAX = 20 }; /* bounds the shift: beyond it the interval stays */

void stun_txn_start(struct stun_txn *t, const uint8_t txid[static STUN_TXID_LEN], bool reliable,
                    int64_t rto_us, unsigned rc, unsigned rm, int64_t now_us)
{
    *t = (struct stun_txn){
        .reliable = reliable,
        .rc = reliable  ? 1
              : rc != 0 ? rc
                        : STUN_RC,
        .rm = rm != 0 ? rm : STUN_RM,
        .rto_us = rto_us > 0 ? rto_us : STUN_RTO_US,
        .next_us = now_us,
        .last_sent_us = now_us,
    };
    memcpy(t->txid, txid, STUN_TXID_LEN);
}

/* How long to wait after transmission number `sent`: RTO, 2 RTO, 4 RTO ..., and Rm RTO (or Ti) after the last. */
static int64_t interval_after(const struct stun_txn *t)
{
    if (t->reliable)
        return STUN_TI_US;
    if (t->sent == t->rc)
        return t->rto_us * (int64_t)t->rm;
    unsigned doublings = t->sent - 1;
    return t->rto_us << (doublings < INTERVAL_DOUBLINGS_MAX ? doublings : INTERVAL_DOUBLINGS_MAX);
}

enum stun_txn_step stun_txn_step(struct stun_txn *t, int64_t now_us)
{
    if (now_us < t->next_us)
        return STUN_TXN_WAIT;
    if (t->sent == t->rc)
        return STUN_TXN_FAILED;
    t->sent++;
    t->last_sent_us = now_us;
    t->next_us = now_us + interval_after(t);
    return STUN_TXN_SEND;
}

int64_t stun_txn_deadline(const struct stun_txn *t)
{
    return t->next_us;
}

bool stun_txn_matches(const struct stun_txn *t, const struct stun_msg *m)
{
    return t->sent > 0 && (m->cls == STUN_SUCCESS || m->cls == STUN_ERROR) &&
           memcmp(t->txid, m->txid, STUN_TXID_LEN) == 0;
}
