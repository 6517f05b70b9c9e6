/* sendmmsg. Invariant: entries before `n` are whole; after a flush there is none, and nothing is kept for later. */
#include "udp_out.h"

#include "sys/sockaddr.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum {
    BATCH = 64,
    PACKET = RTP_PACKET_MAX + SRTP_OVERHEAD,
    CONTROL = CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(int)),
    DSCP_SHIFT = 2 /* above the two bits of ECN */
};
static_assert(CMSG_SPACE(sizeof(struct in6_pktinfo)) >= CMSG_SPACE(sizeof(struct in_pktinfo)),
              "room for either");

struct entry {
    struct sockaddr_storage to;
    _Alignas(struct cmsghdr) uint8_t control[CONTROL];
    _Alignas(16) uint8_t bytes[PACKET];
};

struct udp_out {
    int fd;
    struct node_stats *stats;
    unsigned n;
    struct mmsghdr msg[BATCH];
    struct iovec iov[BATCH];
    struct entry entry[BATCH];
};

int udp_out_new(struct udp_out **out, int fd, struct node_stats *stats)
{
    struct udp_out *u = calloc(1, sizeof(*u));
    if (!u)
        return -ENOMEM;
    u->fd = fd;
    u->stats = stats;
    for (size_t i = 0; i < BATCH; i++) {
        u->iov[i].iov_base = u->entry[i].bytes;
        u->msg[i].msg_hdr.msg_iov = &u->iov[i];
        u->msg[i].msg_hdr.msg_iovlen = 1;
        u->msg[i].msg_hdr.msg_name = &u->entry[i].to;
    }
    *out = u;
    return 0;
}

void udp_out_destroy(struct udp_out *u)
{
    free(u);
}

uint8_t *udp_out_room(struct udp_out *u)
{
    if (u->n == BATCH)
        udp_out_flush(u);
    return u->entry[u->n].bytes;
}

/* What CMSG_NXTHDR would give, without its doubts about what lies there yet. */
static void put_control(struct entry *e, size_t *at, int level, int type, const void *data, size_t len)
{
    struct cmsghdr *c = (struct cmsghdr *)(void *)(e->control + *at);
    *c = (struct cmsghdr){CMSG_LEN(len), level, type};
    memcpy(CMSG_DATA(c), data, len);
    *at += CMSG_SPACE(len);
}

static size_t write_control(struct entry *e, const struct media_path *to, enum media_class c)
{
    size_t at = 0;
    const int tos = (c == MEDIA_VIDEO ? DSCP_VIDEO : DSCP_AUDIO) << DSCP_SHIFT;
    bool v6 = to->peer.family == ADDR_V6;
    put_control(e, &at, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_TCLASS : IP_TOS, &tos, sizeof(tos));
    if (to->local.family == ADDR_V4) {
        struct in_pktinfo info = {0};
        memcpy(&info.ipi_spec_dst, to->local.ip, sizeof(info.ipi_spec_dst));
        put_control(e, &at, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
    } else if (to->local.family == ADDR_V6) {
        struct in6_pktinfo info = {.ipi6_ifindex = to->local.scope};
        memcpy(&info.ipi6_addr, to->local.ip, sizeof(info.ipi6_addr));
        put_control(e, &at, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
    }
    return at;
}

bool udp_out_commit(struct udp_out *u, const struct media_path *to, enum media_class c, size_t len)
{
    struct entry *e = &u->entry[u->n];
    struct msghdr *h = &u->msg[u->n].msg_hdr;
    if (len == 0 || len > PACKET)
        return u->n > 0;
    h->msg_namelen = sockaddr_from_addr(&e->to, &to->peer);
    h->msg_control = e->control;
    h->msg_controllen = write_control(e, to, c);
    u->iov[u->n].iov_len = len;
    u->n++;
    return true;
}

/* Answers are counted as they are made. */
static void count_sent(struct udp_out *u, const uint8_t *bytes, size_t len)
{
    if (packet_kind(bytes, len) == PACKET_STUN)
        return;
    stats_add(&u->stats->media_packets_out, 1);
    stats_add(&u->stats->media_bytes_out, len);
}

void udp_out_flush(struct udp_out *u)
{
    uint64_t bytes = 0;
    for (unsigned at = 0; at < u->n;) {
        int k = sendmmsg(u->fd, u->msg + at, u->n - at, MSG_DONTWAIT);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0 && (errno == EAGAIN || errno == ENOBUFS)) {
            stats_add(&u->stats->media_send_full, u->n - at);
            break;
        }
        if (k <= 0) { /* this one cannot be sent; the others can */
            stats_add(&u->stats->media_send_error, 1);
            at++;
            continue;
        }
        for (unsigned i = at; i < at + (unsigned)k; i++) {
            count_sent(u, u->entry[i].bytes, u->iov[i].iov_len);
            bytes += u->iov[i].iov_len;
        }
        at += (unsigned)k;
    }
    u->n = 0;
    stats_add(&u->stats->udp_bytes_out, bytes);
}
