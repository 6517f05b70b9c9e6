/* A participant's side of media without any I/O of its own, for tests in other languages: a command a line on standard input, an answer a line on
 * standard output, bytes in hexadecimal. Invariant: every line is answered by one line.
 *
 *   hello USERNAME PASSWORD [NONCE]   the request's bytes; the newest one is what `answer` is about
 *   consent [leave] [NONCE]           of the session; the same
 *   answer BYTES                      "welcome", "ok", or "error CODE NONCE"; "none": it answers another
 *   send SSRC SEQUENCE LENGTH         a protected packet of RTP with that much payload
 *   receive BYTES                     "rtp SSRC SEQUENCE LENGTH", "rtcp", "bad" */
#include "media/handshake.h"
#include "media/rtp.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_LEN = 8192, WORDS = 4, PAYLOAD_TYPE = 111 };

struct peer {
    struct ticket_grant grant;
    struct media_hello hello;
    struct media_session_id session;
    struct srtp_leg *srtp;
    uint8_t txid[STUN_TXID_LEN];
    bool asked_hello;
};

static void print_hex(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        printf("%02x", bytes[i]);
    putchar('\n');
}

/* The length. */
static size_t from_hex(const char *text, uint8_t *out, size_t cap)
{
    size_t len = 0;
    if (!text || sodium_hex2bin(out, cap, text, strlen(text), NULL, &len, NULL) != 0)
        return 0;
    return len;
}

static struct slice nonce_of(const char *text, uint8_t out[static MEDIA_NONCE_MAX])
{
    size_t len = from_hex(text, out, MEDIA_NONCE_MAX);
    return (struct slice){len > 0 ? out : NULL, len};
}

static void say_hello(struct peer *p, char *const *word)
{
    uint8_t nonce[MEDIA_NONCE_MAX], out[MEDIA_MESSAGE_MAX];
    snprintf(p->grant.username, sizeof(p->grant.username), "%s", word[1] ? word[1] : "");
    snprintf(p->grant.password, sizeof(p->grant.password), "%s", word[2] ? word[2] : "");
    p->hello = (struct media_hello){.suites = 1 << SRTP_AES_128_GCM};
    randombytes_buf(p->hello.random, sizeof(p->hello.random));
    randombytes_buf(p->hello.name.bytes, sizeof(p->hello.name.bytes));
    randombytes_buf(p->txid, sizeof(p->txid));
    p->asked_hello = true;
    print_hex(out, media_write_hello(out, p->txid, &p->grant, &p->hello, nonce_of(word[3], nonce)));
}

static void ask_consent(struct peer *p, char *const *word)
{
    uint8_t nonce[MEDIA_NONCE_MAX], out[MEDIA_MESSAGE_MAX];
    bool leave = word[1] && strcmp(word[1], "leave") == 0;
    randombytes_buf(p->txid, sizeof(p->txid));
    p->asked_hello = false;
    print_hex(out, media_write_consent(out, p->txid, p->grant.password, &p->session, leave,
                                       nonce_of(leave ? word[2] : word[1], nonce)));
}

static void begin(struct peer *p, const struct media_welcome *w)
{
    uint8_t secret[TICKET_SECRET_LEN];
    struct srtp_keys mine, nodes;
    p->session = w->session;
    srtp_leg_destroy(p->srtp);
    p->srtp = NULL;
    if (ticket_secret(secret, p->grant.password) != 0)
        return;
    media_session_keys(&mine, &nodes, secret, NULL, w->suite, p->hello.random, w->random, &w->session);
    if (srtp_leg_new(&p->srtp, w->suite, &mine, &nodes) != 0)
        p->srtp = NULL;
}

static void take_answer(struct peer *p, char *const *word)
{
    uint8_t bytes[LINE_MAX_LEN / 2];
    struct media_answer a;
    size_t len = from_hex(word[1], bytes, sizeof(bytes));
    if (media_read_answer(&a, bytes, len, p->txid, p->grant.password) != 0) {
        puts("none");
        return;
    }
    if (a.error) {
        printf("error %d ", a.error);
        print_hex(a.nonce.p, a.nonce.len);
        return;
    }
    if (p->asked_hello && a.has_welcome)
        begin(p, &a.welcome);
    puts(p->asked_hello ? "welcome" : "ok");
}

static void make_packet(struct peer *p, char *const *word)
{
    _Alignas(8) uint8_t out[RTP_PACKET_MAX + SRTP_OVERHEAD] = {0};
    const struct rtp r = {.payload_type = PAYLOAD_TYPE,
                          .ssrc = word[1] ? (uint32_t)strtoul(word[1], NULL, 10) : 0,
                          .sequence = word[2] ? (uint16_t)strtoul(word[2], NULL, 10) : 0};
    size_t len = RTP_HEADER_LEN + (word[3] ? strtoul(word[3], NULL, 10) : 0);
    if (!p->srtp || len > RTP_PACKET_MAX - SRTP_OVERHEAD) {
        puts("bad");
        return;
    }
    rtp_write(out, &r);
    if (srtp_leg_protect(p->srtp, out, &len) != 0)
        puts("bad");
    else
        print_hex(out, len);
}

static void take_packet(struct peer *p, char *const *word)
{
    _Alignas(8) uint8_t bytes[LINE_MAX_LEN / 2];
    struct rtp r;
    size_t len = from_hex(word[1], bytes, sizeof(bytes));
    enum packet_kind kind = packet_kind(bytes, len);
    if (p->srtp && kind == PACKET_RTCP && srtp_leg_unprotect_rtcp(p->srtp, bytes, &len) == 0)
        puts("rtcp");
    else if (p->srtp && kind == PACKET_RTP && srtp_leg_unprotect(p->srtp, bytes, &len) == 0 &&
             rtp_parse(&r, bytes, len) == 0)
        printf("rtp %u %u %zu\n", r.ssrc, r.sequence, r.payload_len);
    else
        puts("bad");
}

static void obey(struct peer *p, char *line)
{
    static const struct {
        const char *name;
        void (*run)(struct peer *p, char *const *word);
    } commands[] = {{"hello", say_hello},
                    {"consent", ask_consent},
                    {"answer", take_answer},
                    {"send", make_packet},
                    {"receive", take_packet}};
    char *word[WORDS] = {NULL}, *at = NULL;
    for (size_t i = 0; i < WORDS; i++)
        word[i] = strtok_r(i == 0 ? line : NULL, " \n", &at);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (word[0] && strcmp(word[0], commands[i].name) == 0) {
            commands[i].run(p, word);
            return;
        }
    puts("unknown command");
}

int main(void)
{
    struct peer p = {0};
    char line[LINE_MAX_LEN];
    if (sodium_init() < 0 || srtp_leg_library() != 0)
        return 1;
    while (fgets(line, sizeof(line), stdin)) {
        obey(&p, line);
        fflush(stdout);
    }
    srtp_leg_destroy(p.srtp);
    return 0;
}
