/* Tickets: what admits a participant, or another node, to a node with no call to the controller. Pure, but for the random nonce that the
 * caller brings. docs/media.md says how they are used.
 *
 *   sealed   version (1 byte) | key id (4) | nonce (24) | XChaCha20-Poly1305 of the content, with the node's org and id as additional data
 *   username base64url of it, without padding: STUN_USERNAME_MAX characters at most
 *   secret   BLAKE2b-256 of the sealed bytes, keyed with the node's ticket key: so it needs no room in the ticket
 *   password base64url of the secret; its characters key MESSAGE-INTEGRITY-SHA256 (RFC 8489 9.1.1) */
#ifndef BERTH_MEDIA_TICKET_H
#define BERTH_MEDIA_TICKET_H

#include "core/stun.h"
#include "core/token.h"

enum {
    TICKET_KEY_LEN = 32,
    TICKET_KEY_ID_LEN = 4,
    TICKET_NONCE_LEN = 24,
    TICKET_SECRET_LEN = 32,
    TICKET_PASSWORD_LEN = 43,
    TICKET_MEETING_MAX = 128,
    TICKET_KEYS_MAX = 3 * MASTER_KEYS_MAX, /* yesterday's, today's and tomorrow's of every master key */
    TICKET_NODE_MAX = 64,
    TICKET_DAY_S = 24 * 3600,
};

/* One node's key of one day under one master key. Wipe with sodium_memzero when done. */
struct ticket_key {
    uint8_t id[TICKET_KEY_ID_LEN]; /* of the key's hash: tells keys apart, and nothing else */
    uint8_t key[TICKET_KEY_LEN];
};

/* `day`: Unix time / TICKET_DAY_S. */
void ticket_key_derive(struct ticket_key *out, const uint8_t master[static MASTER_KEY_LEN],
                       const char *node_org, const char *node, int64_t day);

enum ticket_kind { TICKET_PARTICIPANT = 1, TICKET_LINK = 2 };

struct ticket {
    enum ticket_kind kind;
    char org[ORG_ID_MAX + 1]; /* the meeting's */
    char meeting[TICKET_MEETING_MAX + 1];
    char who[AGENT_ID_MAX + 1]; /* the participant; of a link "<org>/<node>" of who dials */
    int64_t number;    /* of the same participant's tickets the greatest counts: microseconds of Unix time */
    int64_t expires_s; /* Unix time; up to 2^32 - 1 */
    uint64_t epoch;    /* the meeting's plan's */
    uint32_t kbps;     /* what it may send; 0: the node's default */
    uint16_t last_n;   /* 0: the node's default */
};

struct ticket_grant {
    char username[STUN_USERNAME_MAX + 1];
    char password[TICKET_PASSWORD_LEN + 1];
};

/* Seals for that node. 0, or -EINVAL: an id too long or empty, a time out of range. */
int ticket_seal(struct ticket_grant *out, const struct ticket *t, const struct ticket_key *key,
                const char *node_org, const char *node, const uint8_t nonce[static TICKET_NONCE_LEN])
    __attribute__((warn_unused_result));

/* What a node opens with. */
struct ticket_keys {
    size_t n;
    struct ticket_key key[TICKET_KEYS_MAX];
    char node_org[ORG_ID_MAX + 1], node[TICKET_NODE_MAX + 1];
};
/* `password` is filled too. Whether it has expired is the caller's to see. 0, -EBADMSG: no ticket; -EACCES: sealed
 * for another node, under a key that isn't known, or altered. Nothing is allocated. */
int ticket_open(struct ticket *t, char password[static TICKET_PASSWORD_LEN + 1],
                const struct ticket_keys *keys, const uint8_t *username, size_t len)
    __attribute__((warn_unused_result));

/* The secret of a password: 0, or -EINVAL. */
int ticket_secret(uint8_t secret[static TICKET_SECRET_LEN], const char *password)
    __attribute__((warn_unused_result));

#endif
