/* BLAKE2b over sorted lines, keyed by a secret of this machine, so that the few possible home networks can't be tried out.
 * Invariant: the order in which the system lists things does not show. */
#include "network_id.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HASH_LEN = 16, MAPPED_MAX = 16, LINES_MAX = SYS_NETWORK_LINES + MAPPED_MAX };

_Static_assert(NETWORK_ID_TEXT_LEN == 2 * HASH_LEN + 1, "the hash as hex");

void network_id_key(uint8_t key[static NETWORK_ID_KEY_LEN], const uint8_t *machine, const char *agent_id)
{
    crypto_generichash_state h;
    crypto_generichash_init(&h, machine, machine ? 16 : 0, NETWORK_ID_KEY_LEN);
    crypto_generichash_update(&h, (const uint8_t *)"berth-network-1", 15);
    crypto_generichash_update(&h, (const uint8_t *)agent_id, strlen(agent_id));
    crypto_generichash_final(&h, key, NETWORK_ID_KEY_LEN);
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void network_id_make(char out[static NETWORK_ID_TEXT_LEN], const uint8_t key[static NETWORK_ID_KEY_LEN],
                     const struct sys_network *net, const struct addr *mapped, size_t n_mapped)
{
    char mapped_text[MAPPED_MAX][ADDR_TEXT_LEN + 8];
    const char *lines[LINES_MAX];
    size_t n = 0;
    for (size_t i = 0; i < net->n; i++)
        lines[n++] = net->line[i];
    for (size_t i = 0; i < n_mapped && i < MAPPED_MAX; i++) {
        char ip[ADDR_TEXT_LEN];
        snprintf(mapped_text[i], sizeof mapped_text[i], "mapped %s", addr_format_ip(&mapped[i], ip));
        lines[n++] = mapped_text[i];
    }
    qsort(lines, n, sizeof lines[0], compare_lines);
    crypto_generichash_state h;
    uint8_t hash[HASH_LEN];
    crypto_generichash_init(&h, key, NETWORK_ID_KEY_LEN, sizeof hash);
    for (size_t i = 0; i < n; i++)
        crypto_generichash_update(&h, (const uint8_t *)lines[i], strlen(lines[i]) + 1);
    crypto_generichash_final(&h, hash, sizeof hash);
    sodium_bin2hex(out, NETWORK_ID_TEXT_LEN, hash, sizeof hash);
}
