/* Sessions of media, so that Binding requests can be signed and their answers too (docs/media.md, "Consent"). */
#ifndef BERTH_LOADTEST_STUN_SESSIONS_H
#define BERTH_LOADTEST_STUN_SESSIONS_H

#include "media/handshake.h"
#include "replay/fail.h"

struct stun_session {
    struct ticket_grant grant;
    struct media_session_id id; /* once it has begun */
};

/* A file of tickets: a JSON list of `{"username", "password"}`, as answers to joins have them under "media". How many: `max` at most; or a negative errno
 * with *e. */
ssize_t stun_sessions_read(const char *path, size_t max, struct stun_session *out, struct replay_error *e)
    __attribute__((warn_unused_result));

/* Shakes hands over a connected UDP socket; blocks. 0, -ETIMEDOUT, or -EACCES: the node refuses it. */
int stun_session_begin(struct stun_session *s, int fd) __attribute__((warn_unused_result));

#endif
