/* A line an entry: local fingerprint, reported fingerprint, end. Invariant: the file is replaced as a whole, and
 * what isn't a right line counts for nothing. */
#include "network_memory.h"

#include "sys_machine.h"

#include "sys/file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_LEN = 256, HEX_LEN = NETWORK_ID_TEXT_LEN - 1 };

_Static_assert((int)BERTH_NETWORK_ID_TEXT > (int)HEX_LEN, "fingerprints of 32 digits");

static bool is_fingerprint(const char *text)
{
    return strlen(text) == HEX_LEN && strspn(text, "0123456789abcdef") == HEX_LEN;
}

static bool parse_line(char *line, struct known_network *out)
{
    char *rest = NULL, *end = NULL;
    const char *local = strtok_r(line, " \t", &rest), *id = strtok_r(NULL, " \t", &rest);
    const char *until = strtok_r(NULL, " \t", &rest);
    if (!until || strtok_r(NULL, " \t", &rest) || !is_fingerprint(local) || !is_fingerprint(id))
        return false;
    errno = 0;
    out->until_wall_us = strtoll(until, &end, 10);
    if (end == until || *end != '\0' || errno != 0)
        return false;
    memcpy(out->local, local, HEX_LEN + 1);
    memcpy(out->id, id, HEX_LEN + 1);
    return true;
}

/* The living entries, the first NETWORK_MEMORY_MAX of them. None where there is no file. */
static size_t read_all(const char *path, int64_t now_wall_us,
                       struct known_network out[static NETWORK_MEMORY_MAX])
{
    char text[NETWORK_MEMORY_MAX * LINE_MAX_LEN + 1];
    size_t n = 0;
    ssize_t len = file_read(path, text, sizeof text - 1);
    text[len > 0 ? len : 0] = '\0';
    for (char *line = text, *end; n < NETWORK_MEMORY_MAX && (end = strchr(line, '\n')) != NULL;
         line = end + 1) {
        *end = '\0';
        if (end - line < LINE_MAX_LEN && parse_line(line, &out[n]) && out[n].until_wall_us > now_wall_us)
            n++;
    }
    return n;
}

int network_memory_find(const char *path, const char *local, int64_t now_wall_us, struct known_network *out)
{
    struct known_network all[NETWORK_MEMORY_MAX];
    size_t n = read_all(path, now_wall_us, all);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(all[i].local, local) == 0) {
            *out = all[i];
            return 0;
        }
    }
    return -ENOENT;
}

/* Puts it in; the number of entries then. */
static size_t merge(struct known_network all[static NETWORK_MEMORY_MAX], size_t n,
                    const struct known_network *one)
{
    size_t at = n < NETWORK_MEMORY_MAX ? n : 0;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(all[i].local, one->local) == 0) {
            all[i] = *one;
            return n;
        }
        if (n == NETWORK_MEMORY_MAX && all[i].until_wall_us < all[at].until_wall_us)
            at = i;
    }
    all[at] = *one;
    return at == n ? n + 1 : n;
}

int network_memory_add(const char *path, const struct known_network *one, int64_t now_wall_us)
{
    struct known_network all[NETWORK_MEMORY_MAX];
    char text[NETWORK_MEMORY_MAX * LINE_MAX_LEN];
    size_t len = 0;
    if (!is_fingerprint(one->local) || !is_fingerprint(one->id))
        return -EINVAL;
    size_t n = merge(all, read_all(path, now_wall_us, all), one);
    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(text + len, LINE_MAX_LEN, "%s %s %" PRId64 "\n", all[i].local, all[i].id,
                                all[i].until_wall_us);
    return sys_file_replace(path, text, len);
}
