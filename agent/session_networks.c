/* The networks that the session knows: those it has reported of, here and, where the caller named a file, from process to process.
 * Invariant: a network is known exactly as long as its report lives. */
#include "session_internal.h"

#include "sys/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void session_remember_network(struct session *s)
{
    struct known_network *at = &s->known[0];
    for (size_t i = 0; i < KNOWN_NETWORKS; i++) {
        if (strcmp(s->known[i].local, s->reported.local) == 0) {
            at = &s->known[i];
            break;
        }
        if (s->known[i].until_wall_us < at->until_wall_us)
            at = &s->known[i];
    }
    *at = s->reported;
    if (s->options->state_file) {
        int err = network_memory_add(s->options->state_file, &s->reported, clock_wall_us());
        if (err < 0)
            session_log(s, BERTH_LOG_WARN, "state_not_kept", "%s: %s", s->options->state_file,
                        sys_error_text(-err));
    }
}

int session_known_network(struct session *s, char out[static BERTH_NETWORK_ID_TEXT])
{
    char local[NETWORK_ID_TEXT_LEN];
    session_network_id(s, local, NULL, 0);
    for (size_t i = 0; i < KNOWN_NETWORKS; i++) {
        if (strcmp(s->known[i].local, local) == 0 && clock_wall_us() < s->known[i].until_wall_us) {
            snprintf(out, BERTH_NETWORK_ID_TEXT, "%s", s->known[i].id);
            return 0;
        }
    }
    struct known_network earlier;
    if (!s->options->state_file ||
        network_memory_find(s->options->state_file, local, clock_wall_us(), &earlier) < 0)
        return -ENOENT;
    memcpy(out, earlier.id, sizeof earlier.id);
    return 0;
}
