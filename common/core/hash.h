/* FNV-1a over strings, one after another: for spreading, where nobody gains by choosing what collides. */
#ifndef BERTH_CORE_HASH_H
#define BERTH_CORE_HASH_H

#include <stdint.h>

#define HASH32_BEGIN UINT32_C(2166136261)
#define HASH64_BEGIN UINT64_C(14695981039346656037)

static inline uint32_t hash32_add(uint32_t hash, const char *s)
{
    for (; *s != '\0'; s++)
        hash = (hash ^ (uint8_t)*s) * UINT32_C(16777619);
    return hash;
}

static inline uint64_t hash64_add(uint64_t hash, const char *s)
{
    for (; *s != '\0'; s++)
        hash = (hash ^ (uint8_t)*s) * UINT64_C(1099511628211);
    return hash;
}

/* Its upper bits brought down, for a remainder. */
static inline uint32_t hash32_end(uint32_t hash)
{
    return hash ^ hash >> 16;
}

static inline uint64_t hash64_end(uint64_t hash)
{
    return hash ^ hash >> 32;
}

#endif
