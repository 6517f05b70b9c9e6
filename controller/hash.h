/* FNV-1a over strings, one after another: for spreading, where nobody gains by choosing what collides. */
#ifndef BERTH_CONTROLLER_HASH_H
#define BERTH_CONTROLLER_HASH_H

#include <stdint.h>

#define HASH_BEGIN 2166136261U

static inline uint32_t hash_add(uint32_t hash, const char *s)
{
    for (; *s != '\0'; s++)
        hash = (hash ^ (uint8_t)*s) * 16777619U;
    return hash;
}

/* Its upper bits brought down, for a remainder. */
static inline uint32_t hash_end(uint32_t hash)
{
    return hash ^ hash >> 16;
}

#endif
