/* berth-load media-engine: what the node's media engine costs for each packet that it sends on, without sockets and
 * threads: unprotect once, and for each receiver map, copy and protect. Every participant sends in turn, all are
 * heard. Only the engine's own work is counted. */
#include "command.h"

#include "media/rtp.h"
#include "media/srtp_leg.h"
#include "node/media/home.h"
#include "sys/clock.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PARTICIPANTS_MAX = 500,
    ROOMS = 256, /* packets that stand where the kernel would take them from */
    ROOM_LEN = (RTP_PACKET_MAX + SRTP_OVERHEAD + 7) / 8 * 8,
    PAYLOAD_MAX = 1400,
    ROUND_US = 20 * 1000, /* between two packets of a participant */
    BATCH = 64,           /* packets at least between two looks at the clock, which cost as much as one */
    CONSENT_US = 5 * 1000 * 1000,
    UNIX_S = 1700000000,
    PAYLOAD_TYPE = 111,
};

struct participant {
    struct media_path path;
    struct ticket_grant grant;
    struct media_hello hello;
    struct media_session_id session;
    struct srtp_leg *srtp;
    uint16_t sequence;
};

struct bench {
    int64_t participants, seconds, payload;
    enum srtp_suite suite;
    bool json;
    struct media_home *home;
    struct ticket_key key;
    struct ticket_keys keys;
    _Atomic int64_t legs;
    struct participant *at;
    size_t rounds;            /* of a batch: a packet of each participant */
    uint8_t *packets, *rooms; /* ROOM_LEN each: of one batch; of the sink */
    size_t *lens, next_room;
    uint8_t answer[MEDIA_MESSAGE_MAX];
    size_t answer_len, sent, sent_bytes;
    int64_t now_us, consent_us;
};

/* ---- the engine's side ---- */

static void random_bytes(void *ctx, uint8_t *out, size_t len)
{
    randombytes_buf(out, len);
}

static uint8_t *sink_room(void *ctx, const struct media_path *to, enum media_class c)
{
    struct bench *b = ctx;
    return b->rooms + b->next_room++ % ROOMS * ROOM_LEN;
}

static void sink_commit(void *ctx, const struct media_path *to, enum media_class c, size_t len)
{
    struct bench *b = ctx;
    const uint8_t *bytes = b->rooms + (b->next_room - 1) % ROOMS * ROOM_LEN;
    if (stun_looks_like(bytes, len)) {
        memcpy(b->answer, bytes, len);
        b->answer_len = len;
    } else if (len > 0 && c != MEDIA_CONTROL) {
        b->sent++;
        b->sent_bytes += len;
    }
}

static void sink_attach(void *ctx, const struct media_path *path)
{
}

static void sink_detach(void *ctx, const struct media_path *path, enum media_end_reason why)
{
}

static void sink_ended(void *ctx, const struct media_leg_info *leg, enum media_end_reason why)
{
}

static void sink_plan_is_old(void *ctx)
{
}

/* ---- the participants' ---- */

static int ask(struct bench *b, struct participant *p, const uint8_t *bytes, size_t len, const uint8_t *txid,
               struct media_answer *answer)
{
    media_home_stun(b->home, &p->path, bytes, len, b->now_us, UNIX_S);
    int err = media_read_answer(answer, b->answer, b->answer_len, txid, p->grant.password);
    return err < 0 ? err : answer->error ? -EACCES : 0;
}

static int ask_consent(struct bench *b, struct participant *p, struct slice nonce,
                       struct media_answer *answer)
{
    uint8_t bytes[MEDIA_MESSAGE_MAX], txid[STUN_TXID_LEN];
    randombytes_buf(txid, sizeof txid);
    size_t len = media_write_consent(bytes, txid, p->grant.password, &p->session, false, nonce);
    return ask(b, p, bytes, len, txid, answer);
}

/* Once a minute of the engine's time it takes a proof. */
static int consent(struct bench *b, struct participant *p)
{
    struct media_answer answer = {0};
    int err = ask_consent(b, p, (struct slice){0}, &answer);
    if (err == 0 || !answer.nonce.p || answer.nonce.len > MEDIA_NONCE_MAX)
        return err;
    uint8_t nonce[MEDIA_NONCE_MAX];
    struct slice kept = {nonce, answer.nonce.len};
    memcpy(nonce, answer.nonce.p, answer.nonce.len);
    return ask_consent(b, p, kept, &answer);
}

static int join(struct bench *b, struct participant *p, size_t n)
{
    uint8_t bytes[MEDIA_MESSAGE_MAX], txid[STUN_TXID_LEN], nonce[TICKET_NONCE_LEN], secret[TICKET_SECRET_LEN];
    struct srtp_keys agent_sends, node_sends;
    struct media_answer answer;
    struct ticket t = {.kind = TICKET_PARTICIPANT,
                       .org = "o",
                       .meeting = "m",
                       .number = 1,
                       .expires_s = UNIX_S + 60,
                       .kbps = UINT32_MAX,
                       .last_n = PARTICIPANTS_MAX};
    snprintf(t.who, sizeof t.who, "p%zu", n);
    p->path.peer = (struct addr){.family = ADDR_V4, .port = (uint16_t)(1024 + n), .ip = {10, 0, 0, 1}};
    p->hello.suites = 1u << b->suite;
    randombytes_buf(nonce, sizeof nonce);
    randombytes_buf(txid, sizeof txid);
    randombytes_buf(p->hello.random, sizeof p->hello.random);
    int err = ticket_seal(&p->grant, &t, &b->key, "o", "n", nonce);
    if (err < 0)
        return err;
    err = ask(b, p, bytes, media_write_hello(bytes, txid, &p->grant, &p->hello, (struct slice){0}), txid,
              &answer);
    if (err == 0)
        err = ticket_secret(secret, p->grant.password);
    if (err < 0)
        return err;
    p->session = answer.welcome.session;
    media_session_keys(&agent_sends, &node_sends, secret, NULL, b->suite, p->hello.random,
                       answer.welcome.random, &p->session);
    err = srtp_leg_new(&p->srtp, b->suite, &agent_sends, &node_sends);
    return err < 0 ? err : consent(b, p);
}

static int write_batch(struct bench *b)
{
    size_t n = (size_t)b->participants;
    for (size_t i = 0; i < b->rounds * n; i++) {
        struct participant *p = &b->at[i % n];
        uint8_t *packet = b->packets + i * ROOM_LEN;
        struct rtp r = {
            .payload_type = PAYLOAD_TYPE, .sequence = p->sequence++, .ssrc = 1 + (uint32_t)(i % n)};
        rtp_write(packet, &r);
        memset(packet + RTP_HEADER_LEN, (int)(r.sequence & 0xFF), (size_t)b->payload);
        b->lens[i] = RTP_HEADER_LEN + (size_t)b->payload;
        int err = srtp_leg_protect(p->srtp, packet, &b->lens[i]);
        if (err < 0)
            return err;
    }
    return 0;
}

/* ---- the measurement ---- */

static int consents(struct bench *b)
{
    int err = 0;
    if (b->now_us < b->consent_us)
        return 0;
    b->consent_us = b->now_us + CONSENT_US;
    for (size_t i = 0; err == 0 && i < (size_t)b->participants; i++)
        err = consent(b, &b->at[i]);
    return err;
}

static int run(struct bench *b, int64_t *cpu_ns, int64_t *came)
{
    int64_t end_us = clock_mono_us() + b->seconds * 1000000;
    size_t n = (size_t)b->participants;
    while (clock_mono_us() < end_us) {
        int err = write_batch(b);
        if (err == 0)
            err = consents(b);
        if (err < 0)
            return err;
        int64_t began_ns = clock_cpu_ns();
        for (size_t i = 0; i < b->rounds * n; i++) {
            media_home_packet(b->home, &b->at[i % n].path, b->packets + i * ROOM_LEN, b->lens[i], b->now_us);
            if ((i + 1) % n != 0)
                continue;
            media_home_step(b->home, b->now_us);
            b->now_us += ROUND_US;
        }
        *cpu_ns += clock_cpu_ns() - began_ns;
        *came += (int64_t)(b->rounds * n);
    }
    return 0;
}

static void print(const struct bench *b, int64_t cpu_ns, int64_t came)
{
    double per_us = b->sent ? (double)cpu_ns / 1000 / (double)b->sent : 0;
    if (b->json) {
        printf("{\"participants\": %" PRId64 ", \"payload\": %" PRId64
               ", \"suite\": \"%s\", \"packets_in\": %" PRId64
               ", \"packets_out\": %zu, \"cpu_us_per_packet_out\": %.4f}\n",
               b->participants, b->payload, b->suite == SRTP_AES_128_GCM ? "gcm" : "cm", came, b->sent,
               per_us);
        return;
    }
    printf("%" PRId64 " participants, %" PRId64 " bytes, %s: %" PRId64
           " packets in, %zu out, %.3f us of CPU for each "
           "that went out\n",
           b->participants, b->payload, b->suite == SRTP_AES_128_GCM ? "AES-GCM" : "AES-CM-SHA1", came,
           b->sent, per_us);
}

static int start(struct bench *b)
{
    static const uint8_t master[MASTER_KEY_LEN] = {1};
    size_t n = (size_t)b->participants;
    ticket_key_derive(&b->key, master, "o", "n", UNIX_S / TICKET_DAY_S);
    b->keys = (struct ticket_keys){.n = 1, .key = {b->key}, .node_org = "o", .node = "n"};
    b->at = calloc(n, sizeof *b->at);
    b->rounds = (BATCH + n - 1) / n;
    b->lens = calloc(b->rounds * n, sizeof *b->lens);
    b->packets = calloc(b->rounds * n, ROOM_LEN);
    b->rooms = calloc(ROOMS, ROOM_LEN);
    if (!b->at || !b->lens || !b->packets || !b->rooms)
        return -ENOMEM;
    struct media_opts opts = {
        .homes = 1,
        .random = random_bytes,
        .sink = {.room = sink_room,
                 .commit = sink_commit,
                 .attach = sink_attach,
                 .detach = sink_detach,
                 .ended = sink_ended,
                 .plan_is_old = sink_plan_is_old,
                 .ctx = b},
        .legs = &b->legs,
    };
    b->now_us = 1000000;
    b->consent_us = b->now_us + CONSENT_US;
    int err = media_home_new(&b->home, &opts);
    if (err < 0)
        return err;
    media_home_set_keys(b->home, &b->keys);
    for (size_t i = 0; err == 0 && i < n; i++)
        err = join(b, &b->at[i], i);
    return err;
}

static int parse(int argc, char **argv, struct bench *b)
{
    static const struct option options[] = {{"participants", required_argument, NULL, 'p'},
                                            {"seconds", required_argument, NULL, 's'},
                                            {"payload", required_argument, NULL, 'l'},
                                            {"suite", required_argument, NULL, 'u'},
                                            {"json", no_argument, NULL, 'j'},
                                            {NULL, 0, NULL, 0}};
    for (int opt; (opt = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        int wrong = -1;
        if (opt == 'p')
            wrong = number_parse(optarg, 2, PARTICIPANTS_MAX, &b->participants);
        else if (opt == 's')
            wrong = number_parse(optarg, 1, SECONDS_MAX, &b->seconds);
        else if (opt == 'l')
            wrong = number_parse(optarg, 1, PAYLOAD_MAX, &b->payload);
        else if (opt == 'u' && (strcmp(optarg, "gcm") == 0 || strcmp(optarg, "cm") == 0))
            b->suite = (wrong = 0, *optarg == 'g' ? SRTP_AES_128_GCM : SRTP_AES_CM_128_SHA1_80);
        else if (opt == 'j')
            b->json = (wrong = 0, true);
        if (wrong < 0)
            return -1;
    }
    return optind == argc && b->participants > 0 && b->seconds > 0 ? 0 : -1;
}

int command_media_engine(int argc, char **argv)
{
    struct bench b = {.payload = 160};
    int64_t cpu_ns = 0, came = 0;
    if (parse(argc, argv, &b) < 0) {
        fprintf(stderr,
                "berth-load media-engine: --participants N (2 to %d) and --seconds N (1 to %d)\n"
                "    are needed; --payload 1 to %d, --suite gcm or cm\n",
                PARTICIPANTS_MAX, SECONDS_MAX, PAYLOAD_MAX);
        return EXIT_USAGE;
    }
    int err = start(&b);
    if (err == 0)
        err = run(&b, &cpu_ns, &came);
    if (err == 0)
        print(&b, cpu_ns, came);
    else
        fprintf(stderr, "berth-load media-engine: %s\n", strerror(-err));
    media_home_destroy(b.home);
    for (size_t i = 0; b.at && i < (size_t)b.participants; i++)
        srtp_leg_destroy(b.at[i].srtp);
    free(b.at);
    free(b.lens);
    free(b.packets);
    free(b.rooms);
    return err < 0 ? EXIT_REFUSED : b.sent > 0 ? EXIT_WORKED : EXIT_NOTHING;
}
