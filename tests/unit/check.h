/* What every unit test includes: cmocka and what cmocka needs. */
#ifndef BERTH_TESTS_CHECK_H
#define BERTH_TESTS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* Ends a test of what valgrind can't run; its caller says what that is. */
static inline void skip_under_valgrind(void)
{
    if (getenv("BERTH_UNDER_VALGRIND"))
        skip();
}

/* A small generator with a fixed seed (xorshift64): failures repeat. */
static inline uint64_t check_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

#endif
