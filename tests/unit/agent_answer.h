/* Answers to a probe's request that aren't what a berth-node makes: for what an agent must accept and what it must not. */
#ifndef BERTH_TESTS_AGENT_ANSWER_H
#define BERTH_TESTS_AGENT_ANSWER_H

#include "check.h"

#include "core/frame.h"
#include "core/stun.h"

enum { ANSWER_PLAIN = 0, ANSWER_MAX = FRAME_HEADER_MAX + STUN_BINDING_ANSWER_MAX };

/* A success, or (`code` > 0) an error, with an attribute `type` more. ANSWER_PLAIN: without one. `code` < 0: an
 * error that names none. */
static inline size_t answer_make(const uint8_t *request, int code, uint16_t type,
                                 uint8_t out[static ANSWER_MAX])
{
    struct stun_writer w;
    struct addr us = {.family = ADDR_V4, .port = 4444, .ip = {192, 0, 2, 7}};
    size_t len = 0;
    stun_begin(&w, out, ANSWER_MAX, code == 0 ? STUN_SUCCESS : STUN_ERROR, STUN_BINDING,
               request + STUN_HEADER_LEN - STUN_TXID_LEN);
    if (code == 0)
        stun_put_xor_addr(&w, STUN_ATTR_XOR_MAPPED_ADDRESS, &us);
    else if (code > 0)
        stun_put_error(&w, code, NULL);
    if (type != ANSWER_PLAIN)
        stun_put_u32(&w, type, 1);
    assert_int_equal(stun_finish(&w, &len), 0);
    return len;
}

/* RFC 8489 6.3.3 and 6.3.4: which of them count. */
static const struct answer_case {
    int code;
    uint16_t type;
    bool counts;
} answer_cases[] = {
    {0, 0x7F01, false},                   /* nobody knows it, and it must be understood */
    {0, STUN_ATTR_CHANGE_REQUEST, false}, /* asks, and this is an answer */
    {420, 0x7F01, false},
    {-1, ANSWER_PLAIN, false}, /* an error that doesn't say which */
    {0, 0x8F01, true},         /* nobody knows it, and nobody need */
    {0, STUN_ATTR_OTHER_ADDRESS, true},
    {420, 0x8F01, true},
    {420, STUN_ATTR_UNKNOWN_ATTRIBUTES, true},
    {0, ANSWER_PLAIN, true},
};
enum { ANSWER_CASES = sizeof answer_cases / sizeof answer_cases[0] };

#endif
