/* STUN messages, RFC 8489: reading, writing, authentication, and the client transaction. Pure: bytes in, bytes out.
 *
 *   0                   1                   2                   3      RFC 8489 section 5
 *   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *  |0 0|     STUN Message Type     |         Message Length        |
 *  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *  |                     Magic Cookie = 0x2112A442                 |
 *  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *  |                     Transaction ID (96 bits)                  |
 *  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+ */
#ifndef BERTH_CORE_STUN_H
#define BERTH_CORE_STUN_H

#include "core/addr.h"
#include "core/wire.h"

#define STUN_MAGIC_COOKIE 0x2112A442u

enum {
    STUN_HEADER_LEN = 20,
    STUN_TXID_LEN = 12,
    STUN_MESSAGE_MAX = 1600, /* what we write, and the most that we read: 1500 bytes of PADDING fit */
    STUN_USERNAME_MAX = 508, /* RFC 8489 14.3: fewer than 509 bytes */
    STUN_REASON_MAX = 763,   /* RFC 8489 14.8 */
    STUN_SHA1_LEN = 20,
    STUN_SHA256_LEN = 32,
    STUN_UNKNOWN_MAX = 16, /* unknown attributes that an answer names */
};

enum stun_class { STUN_REQUEST = 0, STUN_INDICATION = 1, STUN_SUCCESS = 2, STUN_ERROR = 3 };
enum stun_method { STUN_BINDING = 0x001 };

enum stun_attr_type {
    STUN_ATTR_MAPPED_ADDRESS = 0x0001,
    STUN_ATTR_CHANGE_REQUEST = 0x0003, /* RFC 5780 */
    STUN_ATTR_USERNAME = 0x0006,
    STUN_ATTR_MESSAGE_INTEGRITY = 0x0008,
    STUN_ATTR_ERROR_CODE = 0x0009,
    STUN_ATTR_UNKNOWN_ATTRIBUTES = 0x000A,
    STUN_ATTR_REALM = 0x0014,
    STUN_ATTR_NONCE = 0x0015,
    STUN_ATTR_MESSAGE_INTEGRITY_SHA256 = 0x001C,
    STUN_ATTR_PASSWORD_ALGORITHM = 0x001D,
    STUN_ATTR_USERHASH = 0x001E,
    STUN_ATTR_XOR_MAPPED_ADDRESS = 0x0020,
    STUN_ATTR_PRIORITY = 0x0024,      /* RFC 8445 */
    STUN_ATTR_USE_CANDIDATE = 0x0025, /* RFC 8445 */
    STUN_ATTR_PADDING = 0x0026,       /* RFC 5780 */
    STUN_ATTR_RESPONSE_PORT = 0x0027, /* RFC 5780 */
    STUN_ATTR_SOFTWARE = 0x8022,
    STUN_ATTR_ALTERNATE_SERVER = 0x8023,
    STUN_ATTR_FINGERPRINT = 0x8028,
    STUN_ATTR_ICE_CONTROLLED = 0x8029,  /* RFC 8445 */
    STUN_ATTR_ICE_CONTROLLING = 0x802A, /* RFC 8445 */
    STUN_ATTR_RESPONSE_ORIGIN = 0x802B, /* RFC 5780 */
    STUN_ATTR_OTHER_ADDRESS = 0x802C,   /* RFC 5780 */
};

/* ---- reading: stun_msg.c ---- */

/* A view of one whole message; everything points into the caller's bytes. */
struct stun_msg {
    const uint8_t *bytes;
    size_t len; /* header included */
    enum stun_class cls;
    uint16_t method;
    const uint8_t *txid; /* STUN_TXID_LEN bytes */
};

struct stun_attr {
    uint16_t type;
    size_t len; /* without padding */
    const uint8_t *value;
    size_t offset; /* of the attribute's header, from the start of the message */
};

struct stun_attr_iter {
    struct wire_rd rd;
    const uint8_t *start;
};

/* Do the first bytes look like STUN rather than media (RFC 7983: first byte 0 to 3, cookie in place)? */
bool stun_looks_like(const uint8_t *p, size_t len);

/* Parses exactly one message that fills all of `p`. Every attribute is checked to lie inside, padding counted; nothing
 * may follow FINGERPRINT. 0, or -EBADMSG. */
int stun_parse(struct stun_msg *m, const uint8_t *p, size_t len) __attribute__((warn_unused_result));

/* Iterates over the attributes in order of the wire. Of a parsed message it cannot fail. */
struct stun_attr_iter stun_attrs(const struct stun_msg *m);
bool stun_attr_next(struct stun_attr_iter *it, struct stun_attr *a);
/* The first attribute of that type that counts: what follows MESSAGE-INTEGRITY(-SHA256) is ignored except
 * MESSAGE-INTEGRITY-SHA256 and FINGERPRINT (RFC 8489 14.5). */
bool stun_find(const struct stun_msg *m, uint16_t type, struct stun_attr *a);
/* Comprehension-required attributes (below 0x8000) that nobody here understands, RFC 5780's CHANGE-REQUEST and RESPONSE-PORT
 * among them; how many were stored in `types`. */
size_t stun_unknown_attrs(const struct stun_msg *m, uint16_t types[static STUN_UNKNOWN_MAX]);

/* Values of attributes; 0, or -EBADMSG. stun_addr.c */
int stun_attr_addr(const struct stun_attr *a, struct addr *out) __attribute__((warn_unused_result));
int stun_attr_xor_addr(const struct stun_msg *m, const struct stun_attr *a, struct addr *out)
    __attribute__((warn_unused_result));
/* ERROR-CODE: 300 to 699; `reason` is a slice of the message. */
int stun_attr_error(const struct stun_attr *a, int *code, struct slice *reason)
    __attribute__((warn_unused_result));
/* XOR-MAPPED-ADDRESS, or MAPPED-ADDRESS where there is none. 0, -ENOENT or -EBADMSG. */
int stun_mapped_address(const struct stun_msg *m, struct addr *out) __attribute__((warn_unused_result));

/* ---- writing: stun_write.c ---- */

/* Write the header with stun_begin, attributes in the order wanted, integrity and fingerprint last, then stun_finish.
 * The message length is kept right after every attribute. */
struct stun_writer {
    struct wire_wr w;
};

void stun_begin(struct stun_writer *b, uint8_t *buf, size_t cap, enum stun_class cls, uint16_t method,
                const uint8_t txid[static STUN_TXID_LEN]);
void stun_put(struct stun_writer *b, uint16_t type, const void *value, size_t len);
void stun_put_u32(struct stun_writer *b, uint16_t type, uint32_t v);
void stun_put_addr(struct stun_writer *b, uint16_t type, const struct addr *a);
void stun_put_xor_addr(struct stun_writer *b, uint16_t type, const struct addr *a);
/* `reason` may be NULL: the code's standard phrase is then left out, to keep the answer small. */
void stun_put_error(struct stun_writer *b, int code, const char *reason);
void stun_put_unknown(struct stun_writer *b, const uint16_t *types, size_t n);
/* Keys: short-term credentials use the password's bytes (RFC 8489 9.1.1). stun_auth.c */
void stun_put_integrity_sha1(struct stun_writer *b, const void *key, size_t key_len);
void stun_put_integrity_sha256(struct stun_writer *b, const void *key, size_t key_len);
void stun_put_fingerprint(struct stun_writer *b); /* stun_fingerprint.c */
/* The message's length, or -ENOBUFS when something did not fit. */
int stun_finish(struct stun_writer *b, size_t *len) __attribute__((warn_unused_result));

/* ---- checking: stun_auth.c ---- */

/* 0 right (compared in constant time), -ENOENT absent, -EACCES wrong, -EBADMSG malformed. A truncated SHA-256 tag (16
 * to 32 bytes, a multiple of 4) is accepted as RFC 8489 14.6 allows. */
int stun_check_integrity_sha1(const struct stun_msg *m, const void *key, size_t key_len)
    __attribute__((warn_unused_result));
int stun_check_integrity_sha256(const struct stun_msg *m, const void *key, size_t key_len)
    __attribute__((warn_unused_result));
int stun_check_fingerprint(const struct stun_msg *m)
    __attribute__((warn_unused_result)); /* stun_fingerprint.c */

/* ---- the client transaction, RFC 8489 6.2: stun_txn.c ---- */

enum {
    STUN_RTO_US = 500000, /* initial retransmission time-out */
    STUN_RC = 7,          /* requests sent at most */
    STUN_RM = 16,         /* RTOs waited after the last */
    STUN_TI_US = 39500000 /* reliable transport: one request, this long */
};

enum stun_txn_step { STUN_TXN_WAIT, STUN_TXN_SEND, STUN_TXN_FAILED };

/* One request and its retransmissions. Over UDP it is sent at 0, RTO, 3 RTO, 7 RTO ...; over a reliable transport once. */
struct stun_txn {
    uint8_t txid[STUN_TXID_LEN];
    bool reliable;
    unsigned sent, rc, rm;
    int64_t rto_us, next_us, last_sent_us;
};

/* `rto_us`, `rc`, `rm`: 0 means the RFC's default. The first stun_txn_step(now) answers SEND. */
void stun_txn_start(struct stun_txn *t, const uint8_t txid[static STUN_TXID_LEN], bool reliable,
                    int64_t rto_us, unsigned rc, unsigned rm, int64_t now_us);
/* What to do now; SEND counts a transmission. Call again after it. */
enum stun_txn_step stun_txn_step(struct stun_txn *t, int64_t now_us);
int64_t stun_txn_deadline(const struct stun_txn *t);
/* Is `m` an answer (success or error) to this transaction? */
bool stun_txn_matches(const struct stun_txn *t, const struct stun_msg *m);

/* ---- the server's answer to a Binding request: stun_binding.c ---- */

struct stun_binding_opts {
    const char *software; /* NULL: no SOFTWARE attribute, the default */
    /* RFC 5780, for stun_behaviour.c. Errors carry none of it. */
    bool change_request, response_port; /* understood: the caller does what they ask */
    const struct addr *origin, *other;  /* RESPONSE-ORIGIN, OTHER-ADDRESS; NULL: none */
    size_t pad_to;                      /* PADDING fills the answer up to this length at most; 0: none */
    bool refuse;                        /* 400 whatever else is right */
};

/* Writes the answer to one datagram or frame: a Binding success with XOR-MAPPED-ADDRESS, 420 with UNKNOWN-ATTRIBUTES, or
 * 400 where the options refuse. FINGERPRINT is added where the request carried one. Its length, or 0: silence
 * (not STUN, not a request, another method, malformed, a wrong FINGERPRINT: RFC 8489 6.3). The answer needs no authentication and
 * is at most STUN_BINDING_ANSWER_MAX bytes without SOFTWARE and padding. PADDING in a request is accepted and, but for
 * `pad_to`, ignored: a small answer to a padded request tells what size of packet the path carries. */
enum { STUN_BINDING_ANSWER_MAX = 128 };
size_t stun_binding_answer(const uint8_t *req, size_t len, const struct addr *source,
                           const struct stun_binding_opts *opts, uint8_t *out, size_t cap);

#endif
