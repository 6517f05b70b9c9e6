/* The media handshake and the consent check as STUN messages, and the keys that come of them: docs/media.md, "The
 * handshake". Pure: the caller brings randomness. Used by the agent, by nodes of one another, and by tests. */
#ifndef BERTH_MEDIA_HANDSHAKE_H
#define BERTH_MEDIA_HANDSHAKE_H

#include "core/stun.h"
#include "media/srtp_leg.h"
#include "media/ticket.h"

enum {
    STUN_ATTR_BERTH_HELLO = 0xC0B0,
    STUN_ATTR_BERTH_WELCOME = 0xC0B1,
    STUN_ATTR_BERTH_SESSION = 0xC0B2,
    STUN_ATTR_BERTH_NEWS = 0xC0B3,
    MEDIA_RANDOM_LEN = 32,
    MEDIA_SESSION_LEN = 8,
    MEDIA_NONCE_MAX = 64,
    MEDIA_REFUSED_MAX = 16,  /* SSRCs that BERTH-NEWS names */
    MEDIA_MESSAGE_MAX = 768, /* of all these messages */
};

struct media_session_id {
    uint8_t bytes[MEDIA_SESSION_LEN];
};

struct media_hello {
    unsigned suites;                             /* 1 << enum srtp_suite, ORed */
    uint8_t audio_level_ext, transport_wide_ext; /* ids of header extensions, 1 to 14; 0: none */
    uint8_t random[MEDIA_RANDOM_LEN];
    struct media_session_id name; /* the agent's choice */
};

struct media_welcome {
    enum srtp_suite suite;
    uint16_t last_n; /* 0: all are heard */
    uint8_t random[MEDIA_RANDOM_LEN];
    struct media_session_id session;
};

struct media_news {
    bool move_soon; /* the node drains */
    size_t n_refused;
    uint32_t refused[MEDIA_REFUSED_MAX];
};

/* ---- what the agent writes ---- */

/* `nonce` as a 438 gave it, or {NULL, 0}. The length; it always fits. */
size_t media_write_hello(uint8_t out[static MEDIA_MESSAGE_MAX], const uint8_t txid[static STUN_TXID_LEN],
                         const struct ticket_grant *grant, const struct media_hello *h, struct slice nonce);
size_t media_write_consent(uint8_t out[static MEDIA_MESSAGE_MAX], const uint8_t txid[static STUN_TXID_LEN],
                           const char *password, const struct media_session_id *s, bool leave,
                           struct slice nonce);

/* ---- what the agent reads ---- */

struct media_answer {
    int error;      /* 0: success; else STUN's code (401, 437, 438 ...) */
    bool authentic; /* its integrity is right; a success that isn't authentic is never returned */
    struct addr mapped;
    bool has_welcome;
    struct media_welcome welcome;
    struct media_news news;
    struct slice nonce; /* of the message */
};
/* Reads an answer to the transaction `txid`. 0; -ENOENT: not an answer to it; -EBADMSG: broken, or without the
 * integrity that it needs. */
int media_read_answer(struct media_answer *a, const uint8_t *bytes, size_t len,
                      const uint8_t txid[static STUN_TXID_LEN], const char *password)
    __attribute__((warn_unused_result));

/* ---- what the node reads ---- */

enum media_request_kind { MEDIA_REQUEST_NONE, MEDIA_REQUEST_HELLO, MEDIA_REQUEST_CONSENT };

/* A view into the message; nothing is believed yet. */
struct media_request {
    enum media_request_kind kind; /* NONE: an ordinary Binding request, or something else */
    struct stun_msg msg;
    struct slice username, nonce; /* of a hello; of any; {NULL, 0}: none */
    bool hello_ok;                /* of a hello: it can be read */
    struct media_hello hello;
    struct media_session_id session; /* of a consent check */
    bool leave;
};
/* Cheap: looks at the attributes once. Messages that aren't whole are NONE. */
void media_read_request(struct media_request *r, const uint8_t *bytes, size_t len);
/* 0, or -EACCES. */
int media_check_request(const struct media_request *r, const char *password)
    __attribute__((warn_unused_result));

/* ---- what the node writes ---- */

size_t media_write_welcome(uint8_t out[static MEDIA_MESSAGE_MAX], const struct media_request *r,
                           const char *password, const struct addr *mapped, const struct media_welcome *w);
/* `news` NULL: none. */
size_t media_write_consent_answer(uint8_t out[static MEDIA_MESSAGE_MAX], const struct media_request *r,
                                  const char *password, const struct addr *mapped,
                                  const struct media_news *news);
/* `password` NULL: without integrity. Never longer than the request: 0 where it would be. */
size_t media_write_error(uint8_t out[static MEDIA_MESSAGE_MAX], const struct media_request *r, int code,
                         const char *password, struct slice nonce);

/* ---- addresses that have to be proven ---- */

/* A nonce for that address and session that holds for a minute; `key`: the node's own, random at start. */
enum { MEDIA_NONCE_KEY_LEN = 32, MEDIA_NONCE_LEN = 43, MEDIA_NONCE_LIFE_S = 60 };
void media_nonce_make(char out[static MEDIA_NONCE_LEN + 1], const uint8_t key[static MEDIA_NONCE_KEY_LEN],
                      const struct addr *from, int64_t now_us);
bool media_nonce_holds(struct slice nonce, const uint8_t key[static MEDIA_NONCE_KEY_LEN],
                       const struct addr *from, int64_t now_us);

/* ---- keys ---- */

/* `shared`: of a link between nodes, 32 bytes of crypto_kx that are mixed in; NULL of a participant. */
void media_session_keys(struct srtp_keys *agent_sends, struct srtp_keys *node_sends,
                        const uint8_t secret[static TICKET_SECRET_LEN], const uint8_t *shared,
                        enum srtp_suite suite, const uint8_t agent_random[static MEDIA_RANDOM_LEN],
                        const uint8_t node_random[static MEDIA_RANDOM_LEN],
                        const struct media_session_id *session);
/* What a link's HELLO calls its session: it shows that who dials shares that secret, without telling it. */
void media_link_name(struct media_session_id *name, const uint8_t shared[static TICKET_SECRET_LEN],
                     const uint8_t random[static MEDIA_RANDOM_LEN]);

#endif
