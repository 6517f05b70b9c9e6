/* Which thread a request is for. Invariant: what can't be opened is answered here, from nothing but its own bytes and the keys. */
#include "engine.h"

#include <sodium.h>
#include <string.h>

enum { STUN_UNAUTHENTICATED = 401, STUN_ALLOCATION_MISMATCH = 437, STUN_NO_CAPACITY = 508 };

/* Every thread comes to the same one, for as long as the process lives. */
uint8_t media_home_of(const char *org, const char *meeting, unsigned homes)
{
    static const uint8_t no_key[crypto_shorthash_KEYBYTES] = {0};
    uint8_t text[ORG_ID_MAX + 1 + TICKET_MEETING_MAX];
    size_t org_len = strlen(org), id_len = strlen(meeting);
    uint64_t hash;
    memcpy(text, org, org_len);
    text[org_len] = '\0';
    memcpy(text + org_len + 1, meeting, id_len);
    crypto_shorthash((unsigned char *)&hash, text, org_len + 1 + id_len, no_key);
    return (uint8_t)(hash % homes);
}

int media_route(const struct media_request *r, const struct ticket_keys *keys, unsigned homes, int64_t now_s,
                uint8_t answer[static MEDIA_MESSAGE_MAX], size_t *answer_len)
{
    const struct slice none = {NULL, 0};
    char password[TICKET_PASSWORD_LEN + 1];
    struct ticket t;
    *answer_len = 0;
    if (r->kind == MEDIA_REQUEST_NONE)
        return -1;
    if (r->kind == MEDIA_REQUEST_CONSENT) {
        if (r->session.bytes[0] < homes)
            return r->session.bytes[0];
        *answer_len = media_write_error(answer, r, STUN_ALLOCATION_MISMATCH, NULL, none);
        return -1;
    }
    int code = !keys || keys->n == 0 ? STUN_NO_CAPACITY : STUN_UNAUTHENTICATED;
    if (code == STUN_UNAUTHENTICATED &&
        ticket_open(&t, password, keys, r->username.p, r->username.len) == 0) {
        sodium_memzero(password, sizeof password);
        return media_home_of(t.org, t.meeting, homes);
    }
    *answer_len = media_write_error(answer, r, code, NULL, none);
    return -1;
}
