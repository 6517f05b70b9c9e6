/* berth-load media-parts: what the parts cost that forwarding is made of: receive, parse and unprotect for each
 * packet that comes, copy, protect and send for each that goes out. Their sum is the least that a node can cost. CPU
 * of this thread; what the kernel does for a datagram on the loopback interface is counted with its sending. */
#include "command.h"

#include "media/rtp.h"
#include "media/srtp_gcm.h"
#include "media/srtp_leg.h"
#include "sys/clock.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BATCH = 64,
    ROOM_LEN = (RTP_PACKET_MAX + SRTP_OVERHEAD + 7) / 8 * 8,
    RECEIVERS_MAX = 500,
    RECEIVERS = 50,
    PAYLOAD_TYPE = 111,
    FIGURES = (SRTP_SUITES + 1) * 2, /* measured one after the other, in equal shares of the time */
};

enum part { RECEIVE, PARSE, UNPROTECT, COPY, PROTECT, SEND, PARTS };
static const char *const part_names[PARTS] = {"receive", "parse", "unprotect", "copy", "protect", "send"};

static const size_t sizes[] = {172, 1212}; /* of Opus at 64 kbit/s, of video; with the header */
enum { SIZES = sizeof sizes / sizeof *sizes };

struct rooms {
    uint8_t bytes[BATCH][ROOM_LEN];
    size_t len[BATCH];
};

struct parts {
    int64_t seconds, receivers;
    bool json;
    struct srtp_leg *sender, *node, *legs[RECEIVERS_MAX];
    struct srtp_gcm *gcm[RECEIVERS_MAX]; /* what a node sends AES-GCM with */
    uint64_t index;                      /* of the next packet */
    struct rooms *in, *out;
    struct mmsghdr msgs[BATCH];
    struct iovec iov[BATCH];
    int from, to;
    double us[SRTP_SUITES][SIZES][PARTS]; /* for each packet */
};

/* ---- SRTP ---- */

static int legs_open(struct parts *p, enum srtp_suite suite)
{
    static const struct srtp_keys keys[] = {{{1}}, {{2}}};
    int err = srtp_leg_new(&p->sender, suite, &keys[0], &keys[1]);
    if (err == 0)
        err = srtp_leg_new(&p->node, suite, &keys[1], &keys[0]);
    for (size_t i = 0; err == 0 && i < (size_t)p->receivers; i++) {
        const struct srtp_keys own = {{3, (uint8_t)i, (uint8_t)(i >> 8)}};
        err = suite == SRTP_AES_128_GCM ? srtp_gcm_new(&p->gcm[i], &own)
                                        : srtp_leg_new(&p->legs[i], suite, &own, &keys[0]);
    }
    return err;
}

static void legs_close(struct parts *p)
{
    srtp_leg_destroy(p->sender);
    srtp_leg_destroy(p->node);
    p->sender = p->node = NULL;
    for (size_t i = 0; i < (size_t)p->receivers; i++) {
        srtp_leg_destroy(p->legs[i]);
        srtp_gcm_destroy(p->gcm[i]);
        p->legs[i] = NULL;
        p->gcm[i] = NULL;
    }
}

static int prepare(struct parts *p, size_t size)
{
    int err = 0;
    for (size_t i = 0; err == 0 && i < BATCH; i++) {
        const struct rtp r = {.payload_type = PAYLOAD_TYPE, .sequence = (uint16_t)p->index++, .ssrc = 1};
        rtp_write(p->in->bytes[i], &r);
        memset(p->in->bytes[i] + RTP_HEADER_LEN, (int)(r.sequence & 0xFF), size - RTP_HEADER_LEN);
        p->in->len[i] = size;
        err = srtp_leg_protect(p->sender, p->in->bytes[i], &p->in->len[i]);
    }
    return err;
}

static int protect(struct parts *p, size_t to)
{
    int err = 0;
    for (size_t i = 0; err == 0 && i < BATCH; i++) {
        uint8_t *bytes = p->out->bytes[i];
        err = p->gcm[to]
                  ? srtp_gcm_protect(p->gcm[to], bytes, &p->out->len[i], RTP_HEADER_LEN, p->index - BATCH + i)
                  : srtp_leg_protect(p->legs[to], bytes, &p->out->len[i]);
    }
    return err;
}

/* One batch comes, and goes to every receiver. */
static int forward(struct parts *p, int64_t ns[static PARTS])
{
    struct rtp r;
    int err = 0;
    int64_t began = clock_cpu_ns(), now;
    for (size_t i = 0; err == 0 && i < BATCH; i++)
        err = rtp_parse_protected(&r, p->in->bytes[i], p->in->len[i]);
    ns[PARSE] += (now = clock_cpu_ns()) - began;
    for (size_t i = 0; err == 0 && i < BATCH; i++)
        err = srtp_leg_unprotect(p->node, p->in->bytes[i], &p->in->len[i]);
    ns[UNPROTECT] += clock_cpu_ns() - now;
    for (size_t to = 0; err == 0 && to < (size_t)p->receivers; to++) {
        began = clock_cpu_ns();
        for (size_t i = 0; i < BATCH; i++)
            memcpy(p->out->bytes[i], p->in->bytes[i], p->out->len[i] = p->in->len[i]);
        ns[COPY] += (now = clock_cpu_ns()) - began;
        err = protect(p, to);
        ns[PROTECT] += clock_cpu_ns() - now;
    }
    return err;
}

static int measure_srtp(struct parts *p, enum srtp_suite suite, size_t size)
{
    int64_t ns[PARTS] = {0}, batches = 0, end_us = clock_mono_us() + p->seconds * 1000000 / FIGURES;
    double *us = p->us[suite][size];
    int err = legs_open(p, suite);
    for (; err == 0 && (batches == 0 || clock_mono_us() < end_us); batches++) {
        err = prepare(p, sizes[size]);
        if (err == 0)
            err = forward(p, ns);
    }
    legs_close(p);
    if (err < 0)
        return err;
    double came = (double)batches * BATCH * 1000, went = came * (double)p->receivers;
    us[PARSE] = (double)ns[PARSE] / came;
    us[UNPROTECT] = (double)ns[UNPROTECT] / came;
    us[COPY] = (double)ns[COPY] / went;
    us[PROTECT] = (double)ns[PROTECT] / went;
    return 0;
}

/* ---- the kernel ---- */

static int sockets_open(struct parts *p)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof at;
    p->from = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    p->to = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (p->from < 0 || p->to < 0 || bind(p->to, (struct sockaddr *)&at, len) < 0 ||
        getsockname(p->to, (struct sockaddr *)&at, &len) < 0 ||
        connect(p->from, (struct sockaddr *)&at, len) < 0)
        return -errno;
    return 0;
}

static void point_at(struct parts *p, struct rooms *rooms, size_t len)
{
    for (size_t i = 0; i < BATCH; i++) {
        p->iov[i] = (struct iovec){rooms->bytes[i], len};
        p->msgs[i].msg_hdr = (struct msghdr){.msg_iov = &p->iov[i], .msg_iovlen = 1};
    }
}

static int measure_kernel(struct parts *p, size_t size)
{
    int64_t sending = 0, receiving = 0, sent = 0, received = 0,
            end_us = clock_mono_us() + p->seconds * 1000000 / FIGURES;
    do {
        int64_t began = clock_cpu_ns();
        point_at(p, p->out, sizes[size] + SRTP_OVERHEAD - 4);
        int n = sendmmsg(p->from, p->msgs, BATCH, 0);
        sending += clock_cpu_ns() - began;
        if (n <= 0)
            return -errno;
        began = clock_cpu_ns();
        point_at(p, p->in, ROOM_LEN);
        int got = recvmmsg(p->to, p->msgs, BATCH, MSG_DONTWAIT, NULL);
        receiving += clock_cpu_ns() - began;
        sent += n;
        received += got > 0 ? got : 0;
    } while (clock_mono_us() < end_us);
    for (size_t suite = 0; suite < SRTP_SUITES; suite++) {
        p->us[suite][size][SEND] = (double)sending / 1000 / (double)sent;
        p->us[suite][size][RECEIVE] = received > 0 ? (double)receiving / 1000 / (double)received : 0;
    }
    return received > 0 ? 0 : -ENODATA;
}

/* ---- */

/* What a packet costs that goes out, its share of what came included. */
static double sum(const struct parts *p, const double us[static PARTS])
{
    return (us[RECEIVE] + us[PARSE] + us[UNPROTECT]) / (double)p->receivers + us[COPY] + us[PROTECT] +
           us[SEND];
}

static void print_head(const struct parts *p)
{
    printf("us of CPU for each packet; the sum is of one that goes out, with its share of\n"
           "what came: %" PRId64 " receivers\n%-5s%6s",
           p->receivers, "suite", "bytes");
    for (size_t i = 0; i < PARTS; i++)
        printf("%10s", part_names[i]);
    printf("%8s\n", "sum");
}

static void print(const struct parts *p)
{
    static const char *const suites[SRTP_SUITES] = {"gcm", "cm"};
    if (p->json)
        printf("{\"receivers\": %" PRId64 ", \"parts\": [", p->receivers);
    else
        print_head(p);
    for (size_t row = 0; row < SRTP_SUITES * SIZES; row++) {
        const double *us = p->us[row / SIZES][row % SIZES];
        printf(p->json ? "%s{\"suite\": \"%s\", \"bytes\": %zu" : "%s%-5s%6zu",
               p->json && row > 0 ? ", " : "", suites[row / SIZES], sizes[row % SIZES]);
        for (size_t i = 0; i < PARTS; i++) {
            if (p->json)
                printf(", \"%s_us\": %.4f", part_names[i], us[i]);
            else
                printf("%10.3f", us[i]);
        }
        printf(p->json ? ", \"sum_us\": %.4f}" : "%8.3f\n", sum(p, us));
    }
    if (p->json)
        printf("]}\n");
}

static int parse(int argc, char **argv, struct parts *p)
{
    static const struct option options[] = {{"seconds", required_argument, NULL, 's'},
                                            {"receivers", required_argument, NULL, 'r'},
                                            {"json", no_argument, NULL, 'j'},
                                            {NULL, 0, NULL, 0}};
    for (int opt; (opt = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        int wrong = -1;
        if (opt == 's')
            wrong = number_parse(optarg, 1, SECONDS_MAX, &p->seconds);
        else if (opt == 'r')
            wrong = number_parse(optarg, 1, RECEIVERS_MAX, &p->receivers);
        else if (opt == 'j')
            p->json = (wrong = 0, true);
        if (wrong < 0)
            return -1;
    }
    return optind == argc && p->seconds > 0 ? 0 : -1;
}

static int run(struct parts *p)
{
    int err = sockets_open(p);
    for (size_t size = 0; size < SIZES; size++) {
        for (size_t suite = 0; err == 0 && suite < SRTP_SUITES; suite++)
            err = measure_srtp(p, (enum srtp_suite)suite, size);
        if (err == 0)
            err = measure_kernel(p, size);
    }
    return err;
}

int command_media_parts(int argc, char **argv)
{
    struct parts *p = calloc(1, sizeof *p);
    int err = -ENOMEM, status = EXIT_USAGE;
    if (!p)
        goto out;
    p->receivers = RECEIVERS;
    p->from = p->to = -1;
    if (parse(argc, argv, p) < 0) {
        fprintf(stderr, "berth-load media-parts: --seconds N (1 to %d) is needed; --receivers 1 to %d\n",
                SECONDS_MAX, RECEIVERS_MAX);
        free(p);
        return status;
    }
    p->in = calloc(1, sizeof *p->in);
    p->out = calloc(1, sizeof *p->out);
    if (p->in && p->out)
        err = run(p);
out:
    if (err == 0)
        print(p);
    else
        fprintf(stderr, "berth-load media-parts: %s\n", strerror(-err));
    if (p) {
        free(p->in);
        free(p->out);
        if (p->from >= 0)
            close(p->from);
        if (p->to >= 0)
            close(p->to);
    }
    free(p);
    return err == 0 ? EXIT_WORKED : EXIT_REFUSED;
}
