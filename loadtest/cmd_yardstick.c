/* berth-load yardstick: the least that answers a Binding request, here over UDP. It looks at nothing but the transaction id and the
 * sender: what a real server costs beyond it is the price of its checks. Never for use as a server. */
#include "command.h"
#include "yardstick.h"

#include "core/stun.h"
#include "sys/clock.h"
#include "sys/sockaddr.h"

#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BATCH = 64, DATAGRAM_MAX = 1536, POLL_MS = 100 };

struct buffers {
    struct mmsghdr msgs[BATCH];
    struct iovec iov[BATCH];
    struct sockaddr_in6 names[BATCH];
    uint8_t bytes[BATCH][DATAGRAM_MAX];
};

/* Header and XOR-MAPPED-ADDRESS (RFC 8489 14.2). */
size_t yardstick_rewrite(uint8_t *p, const struct sockaddr_in6 *from)
{
    struct sockaddr_in v4;
    memcpy(&v4, from, sizeof v4);
    bool is_v4 = from->sin6_family == AF_INET;
    const uint8_t *port = (const uint8_t *)(is_v4 ? &v4.sin_port : &from->sin6_port);
    const uint8_t *ip = is_v4 ? (const uint8_t *)&v4.sin_addr : (const uint8_t *)&from->sin6_addr;
    size_t ip_len = is_v4 ? 4 : 16;
    const uint8_t head[4] = {0x01, 0x01, 0, (uint8_t)(8 + ip_len)};
    const uint8_t attr[6] = {0, 0x20, 0, (uint8_t)(4 + ip_len), 0, is_v4 ? 1 : 2};
    memcpy(p, head, sizeof head);
    memcpy(p + 20, attr, sizeof attr);
    p[26] = port[0] ^ p[4];
    p[27] = port[1] ^ p[5];
    for (size_t i = 0; i < ip_len; i++)
        p[28 + i] = ip[i] ^ p[4 + i];
    return 28 + ip_len;
}

static void serve(int fd, struct buffers *b, int64_t end_us)
{
    struct pollfd pfd = {.fd = fd, .events = POLLIN};
    while (clock_mono_us() < end_us) {
        for (size_t i = 0; i < BATCH; i++) {
            b->iov[i] = (struct iovec){b->bytes[i], DATAGRAM_MAX};
            b->msgs[i].msg_hdr = (struct msghdr){.msg_name = &b->names[i],
                                                 .msg_namelen = sizeof b->names[i],
                                                 .msg_iov = &b->iov[i],
                                                 .msg_iovlen = 1};
        }
        int n = recvmmsg(fd, b->msgs, BATCH, MSG_DONTWAIT, NULL);
        if (n <= 0) {
            poll(&pfd, 1, POLL_MS);
            continue;
        }
        for (int i = 0; i < n; i++)
            b->iov[i].iov_len = yardstick_rewrite(b->bytes[i], &b->names[i]);
        for (int sent = 0; sent < n;) {
            int k = sendmmsg(fd, b->msgs + sent, (unsigned)(n - sent), 0);
            sent += k > 0 ? k : 1; /* one that cannot be sent is left out */
        }
    }
}

struct asked {
    char transport; /* 'u', 't', 'T': TLS */
    struct addr at;
    int64_t seconds;
    const char *cert, *key;
};

static int parse(int argc, char **argv, struct asked *a)
{
    static const struct option options[] = {{"udp", required_argument, NULL, 'u'},
                                            {"tcp", required_argument, NULL, 't'},
                                            {"tls", required_argument, NULL, 'T'},
                                            {"seconds", required_argument, NULL, 's'},
                                            {"cert", required_argument, NULL, 'c'},
                                            {"key", required_argument, NULL, 'k'},
                                            {NULL, 0, NULL, 0}};
    for (int opt; (opt = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        int wrong = 0;
        if (opt == 's')
            wrong = number_parse(optarg, 1, SECONDS_MAX, &a->seconds);
        else if (opt == 'c')
            a->cert = optarg;
        else if (opt == 'k')
            a->key = optarg;
        else if (opt == '?' || a->transport)
            wrong = -1;
        else if ((wrong = addr_parse(&a->at, optarg)) == 0)
            a->transport = (char)opt;
        if (wrong < 0)
            return -1;
    }
    bool tls = a->transport == 'T';
    return optind == argc && a->transport && a->seconds > 0 && (a->cert != NULL) == tls &&
                   (a->key != NULL) == tls
               ? 0
               : -1;
}

static int serve_datagrams(const struct addr *at, int64_t end_us)
{
    struct sockaddr_storage ss;
    socklen_t len = sockaddr_from_addr(&ss, at);
    int fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), rc = 0;
    struct buffers *b = calloc(1, sizeof *b);
    if (!b || fd < 0 || bind(fd, (struct sockaddr *)&ss, len) < 0)
        rc = b ? -errno : -ENOMEM;
    else
        serve(fd, b, end_us);
    free(b);
    if (fd >= 0)
        close(fd);
    return rc;
}

int command_yardstick(int argc, char **argv)
{
    struct asked a = {0};
    if (parse(argc, argv, &a) < 0) {
        fprintf(stderr,
                "berth-load yardstick: one of --udp, --tcp and --tls ADDR:PORT, --seconds N\n"
                "    (1 to %d), and for TLS --cert FILE and --key FILE are needed\n",
                SECONDS_MAX);
        return EXIT_USAGE;
    }
    int64_t end_us = clock_mono_us() + a.seconds * 1000000;
    int rc =
        a.transport == 'u' ? serve_datagrams(&a.at, end_us) : yardstick_streams(&a.at, a.cert, a.key, end_us);
    if (rc < 0)
        fprintf(stderr, "berth-load yardstick: %s\n",
                rc == -EINVAL ? "certificate or key can't be used" : strerror(-rc));
    return rc < 0 ? EXIT_REFUSED : EXIT_WORKED;
}
