/* Tickets out of a file, and the handshake that makes sessions of them. Invariant: a session has an id only from an answer that the node has signed. */
#include "stun_sessions.h"

#include "slurp.h"
#include "sys/clock.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    TRIES = 10, /* requests, with those that a challenge asks for */
    TRY_MS = 500,
};

static int take(const json_t *from, const char *member, char *out, size_t cap)
{
    const char *text = json_string_value(json_object_get(from, member));
    if (!text || text[0] == '\0' || strlen(text) >= cap)
        return -EINVAL;
    memcpy(out, text, strlen(text) + 1);
    return 0;
}

static ssize_t read_all(const json_t *file, const char *path, size_t max, struct stun_session *out,
                        struct replay_error *e)
{
    size_t n = json_array_size(file);
    if (n == 0 || n > max)
        return replay_fail(e, path, 0, "a list of 1 to %zu tickets is wanted", max);
    for (size_t i = 0; i < n; i++) {
        const json_t *j = json_array_get(file, i);
        struct ticket_grant *g = &out[i].grant;
        if (take(j, "username", g->username, sizeof g->username) < 0 ||
            take(j, "password", g->password, sizeof g->password) < 0)
            return replay_fail(e, path, 0, "ticket %zu has no right username and password", i + 1);
    }
    return (ssize_t)n;
}

ssize_t stun_sessions_read(const char *path, size_t max, struct stun_session *out, struct replay_error *e)
{
    json_t *j = NULL;
    int err = slurp_json(path, &j, e);
    ssize_t n = err < 0 ? err : read_all(j, path, max, out, e);
    json_decref(j);
    return n;
}

/* The answer to that request, as far as one comes in time. */
static int await(int fd, const char *password, const uint8_t txid[static STUN_TXID_LEN], uint8_t *bytes,
                 size_t cap, struct media_answer *out)
{
    int64_t end_us = clock_mono_us() + TRY_MS * 1000;
    for (int64_t left_us; (left_us = end_us - clock_mono_us()) > 0;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        ssize_t n = poll(&p, 1, (int)(left_us / 1000) + 1) > 0 ? recv(fd, bytes, cap, MSG_DONTWAIT) : -1;
        if (n > 0 && media_read_answer(out, bytes, (size_t)n, txid, password) == 0)
            return 0;
    }
    return -ETIMEDOUT;
}

int stun_session_begin(struct stun_session *s, int fd)
{
    struct media_hello hello = {.suites = 1u << SRTP_AES_128_GCM};
    uint8_t out[MEDIA_MESSAGE_MAX], in[MEDIA_MESSAGE_MAX], nonce[MEDIA_NONCE_MAX], txid[STUN_TXID_LEN];
    struct slice proof = {NULL, 0};
    randombytes_buf(hello.random, sizeof hello.random);
    randombytes_buf(hello.name.bytes, sizeof hello.name.bytes);
    for (int i = 0; i < TRIES; i++) {
        struct media_answer a;
        randombytes_buf(txid, sizeof txid);
        size_t len = media_write_hello(out, txid, &s->grant, &hello, proof);
        if (send(fd, out, len, MSG_NOSIGNAL) < 0 || await(fd, s->grant.password, txid, in, sizeof in, &a) < 0)
            continue;
        if (a.error == 0 && a.has_welcome) {
            s->id = a.welcome.session;
            return 0;
        }
        if (a.error == 0 || !a.nonce.p)
            return -EACCES;
        memcpy(nonce, a.nonce.p, a.nonce.len);
        proof = (struct slice){nonce, a.nonce.len};
    }
    return -ETIMEDOUT;
}
