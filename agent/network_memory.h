/* The networks that reports were made of, remembered in a file, so that the next process knows them too:
 * fingerprints alone, which tell nobody anything (network_id.h). Losing it costs nothing but the name of a network
 * when joining. */
#ifndef BERTH_AGENT_NETWORK_MEMORY_H
#define BERTH_AGENT_NETWORK_MEMORY_H

#include "berth.h"
#include "network_id.h"

enum { NETWORK_MEMORY_MAX = 64 }; /* networks in the file; the ones that end first make room */

/* A network that was reported of. */
struct known_network {
    char local[NETWORK_ID_TEXT_LEN]; /* without mapped addresses: what can be told at once */
    char id[BERTH_NETWORK_ID_TEXT];
    int64_t until_wall_us; /* Unix time: the report lives as long */
};

/* The network of this local fingerprint, if the file knows it and its report lives. 0, or -ENOENT: also where the
 * file can't be read. */
int network_memory_find(const char *path, const char *local, int64_t now_wall_us, struct known_network *out)
    __attribute__((warn_unused_result));
/* Adds it, or replaces what had its local fingerprint; the file's folder must be there. Of two processes that do so
 * at once one may lose its entry; the file is always a whole one. 0, or -errno. */
int network_memory_add(const char *path, const struct known_network *one, int64_t now_wall_us)
    __attribute__((warn_unused_result));

#endif
