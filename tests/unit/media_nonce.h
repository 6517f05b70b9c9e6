/* The nonce that a node wants to hear back (438), for tests of the media engine. */
#ifndef BERTH_TESTS_MEDIA_NONCE_H
#define BERTH_TESTS_MEDIA_NONCE_H

#include "check.h"

#include "support/media/sim.h"

#include <string.h>

/* Of the newest answer, which has to be such a one; its bytes are in `room`. */
static inline struct slice sim_nonce(const struct sim_agent *a, uint8_t room[static MEDIA_NONCE_MAX])
{
    struct media_answer answer;
    assert_int_equal(sim_answer(a, &answer), 0);
    assert_int_equal(answer.error, 438);
    assert_true(answer.authentic);
    memcpy(room, answer.nonce.p, answer.nonce.len);
    return (struct slice){room, answer.nonce.len};
}

#endif
