/* recvmmsg, answer, sendmmsg. Invariant: a batch ends with every answer sent or counted as dropped; nothing is kept for later. */
#include "udp.h"

#include "core/stun.h"
#include "sys/clock.h"
#include "sys/sockaddr.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum {
    UDP_BATCH = 64,
    UDP_ROUNDS = 4,                      /* batches before other sockets of the loop get their turn */
    UDP_DATAGRAM_MAX = STUN_MESSAGE_MAX, /* longer ones are no STUN of ours and ignored */
    UDP_CONTROL = CMSG_SPACE(sizeof(struct in6_pktinfo))
};
static_assert((int)UDP_DATAGRAM_MAX >= (int)RTP_PACKET_MAX && UDP_DATAGRAM_MAX % 4 == 0,
              "a packet of media fits, and each begins aligned");
static_assert(CMSG_SPACE(sizeof(struct in6_pktinfo)) >= CMSG_SPACE(sizeof(struct in_pktinfo)),
              "room for either");

union udp_name {
    struct sockaddr sa;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

struct udp_control {
    _Alignas(struct cmsghdr) uint8_t bytes[UDP_CONTROL];
};

struct udp_batch {
    struct mmsghdr rx[UDP_BATCH], tx[UDP_BATCH];
    struct iovec rx_iov[UDP_BATCH], tx_iov[UDP_BATCH];
    union udp_name names[UDP_BATCH];
    struct udp_control rx_control[UDP_BATCH], tx_control[UDP_BATCH];
    uint8_t tx_buf[UDP_BATCH][STUN_BINDING_ANSWER_MAX];
    _Alignas(16) uint8_t rx_buf[UDP_BATCH][UDP_DATAGRAM_MAX];
    uint8_t behaviour_buf[STUN_MESSAGE_MAX]; /* an answer that may be padded */
};

struct udp_port {
    h2o_socket_t *sock;
    bool wildcard; /* else the kernel knows the source of answers */
    struct udp_opts opts;
};

struct udp_batch *udp_batch_new(void)
{
    struct udp_batch *b = calloc(1, sizeof(*b));
    if (!b)
        return NULL;
    for (size_t i = 0; i < UDP_BATCH; i++) {
        b->rx_iov[i] = (struct iovec){b->rx_buf[i], UDP_DATAGRAM_MAX};
        b->rx[i].msg_hdr.msg_iov = &b->rx_iov[i];
        b->rx[i].msg_hdr.msg_iovlen = 1;
        b->rx[i].msg_hdr.msg_name = &b->names[i];
        b->tx[i].msg_hdr.msg_iov = &b->tx_iov[i];
        b->tx[i].msg_hdr.msg_iovlen = 1;
    }
    return b;
}

static int receive(struct udp_port *u, struct udp_batch *b)
{
    for (size_t i = 0; i < UDP_BATCH; i++) {
        struct msghdr *h = &b->rx[i].msg_hdr;
        h->msg_namelen = sizeof(b->names[i]);
        h->msg_control = u->wildcard ? b->rx_control[i].bytes : NULL;
        h->msg_controllen = u->wildcard ? UDP_CONTROL : 0;
    }
    return recvmmsg(h2o_socket_get_fd(u->sock), b->rx, UDP_BATCH, MSG_DONTWAIT, NULL);
}

/* The address asked, as the source for the answer. Only a link-local address needs the interface too; for others the routing
 * decides. Returns the length of the control data. */
static size_t reply_control(struct msghdr *rx, struct udp_control *out)
{
    struct msghdr tx = {.msg_control = out->bytes, .msg_controllen = UDP_CONTROL};
    struct cmsghdr *to = CMSG_FIRSTHDR(&tx);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(rx); c; c = CMSG_NXTHDR(rx, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            info.ipi_ifindex = 0;
            *to = (struct cmsghdr){CMSG_LEN(sizeof(info)), IPPROTO_IP, IP_PKTINFO};
            memcpy(CMSG_DATA(to), &info, sizeof(info));
            return CMSG_SPACE(sizeof(info));
        }
        if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            if (!IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
                info.ipi6_ifindex = 0;
            *to = (struct cmsghdr){CMSG_LEN(sizeof(info)), IPPROTO_IPV6, IPV6_PKTINFO};
            memcpy(CMSG_DATA(to), &info, sizeof(info));
            return CMSG_SPACE(sizeof(info));
        }
    }
    return 0;
}

/* ---- media ---- */

/* The address asked, "none" on a socket that has but one. */
static struct addr local_of(const struct msghdr *rx)
{
    struct addr a = {0};
    struct msghdr h = *rx;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c; c = CMSG_NXTHDR(&h, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            a.family = ADDR_V4;
            memcpy(a.ip, &info.ipi_spec_dst, sizeof(info.ipi_spec_dst));
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            a.family = ADDR_V6;
            a.scope = IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr) ? info.ipi6_ifindex : 0;
            memcpy(a.ip, &info.ipi6_addr, sizeof(info.ipi6_addr));
        }
    }
    return a;
}

static struct media_path path_of(const struct udp_port *u, const struct msghdr *rx, const struct addr *source)
{
    struct media_path p = {.carrier = MEDIA_UDP,
                           .thread = media_post_thread(u->opts.media),
                           .port = u->opts.port,
                           .peer = *source};
    if (u->wildcard)
        p.local = local_of(rx);
    return p;
}

/* Media, or a request for it? Ordinary requests are told from it by their length alone. */
static enum media_asked take_media(const struct udp_port *u, struct udp_batch *b, unsigned i,
                                   const struct addr *source, int64_t now)
{
    uint8_t *bytes = b->rx_buf[i];
    size_t len = b->rx[i].msg_len;
    enum packet_kind kind = packet_kind(bytes, len);
    if (kind == PACKET_OTHER || (kind == PACKET_STUN && len < MEDIA_REQUEST_LEAST) ||
        b->rx[i].msg_hdr.msg_flags & MSG_TRUNC)
        return MEDIA_ASKED_NOTHING;
    const struct media_path from = path_of(u, &b->rx[i].msg_hdr, source);
    if (kind == PACKET_STUN)
        return media_post_ask(u->opts.media, &from, bytes, len, u->opts.limits, now);
    media_post_packet(u->opts.media, &from, bytes, len, now);
    return MEDIA_ASKED_PACKET;
}

/* ---- answers ---- */

/* Now, from another socket than the batch's, or longer than it has room for: rare, so no batches. */
static void send_apart(struct udp_port *from, const uint8_t *bytes, const struct stun_behaviour_answer *a)
{
    struct node_stats *st = from->opts.stats;
    struct sockaddr_storage ss;
    socklen_t len = sockaddr_from_addr(&ss, &a->to);
    ssize_t n =
        sendto(h2o_socket_get_fd(from->sock), bytes, a->len, MSG_DONTWAIT, (struct sockaddr *)&ss, len);
    if (n < 0) {
        stats_add(errno == EAGAIN || errno == ENOBUFS ? &st->udp_send_full : &st->udp_send_error, 1);
        return;
    }
    stats_add(&st->udp_answers, 1);
    stats_add(&st->udp_bytes_out, (uint64_t)n);
}

/* As stun_binding_answer; 0 also where the answer has gone already. */
static size_t behaviour_answer(const struct udp_port *u, struct udp_batch *b, const uint8_t *req, size_t len,
                               const struct addr *source, uint8_t out[static STUN_BINDING_ANSWER_MAX])
{
    const struct udp_behaviour *all = u->opts.behaviour;
    const struct stun_behaviour_answer a = stun_behaviour_answer(&all->rules, u->opts.place, req, len, source,
                                                                 b->behaviour_buf, sizeof(b->behaviour_buf));
    if (a.len == 0)
        return 0;
    struct udp_port *from = all->port[a.from.ip][a.from.port];
    if (from != u || a.len > STUN_BINDING_ANSWER_MAX || !addr_eq(&a.to, source)) {
        send_apart(from, b->behaviour_buf, &a);
        return 0;
    }
    memcpy(out, b->behaviour_buf, a.len);
    return a.len;
}

static size_t answer_one(const struct udp_port *u, struct udp_batch *b, const uint8_t *req, size_t len,
                         const struct addr *source, uint8_t out[static STUN_BINDING_ANSWER_MAX])
{
    if (u->opts.behaviour)
        return behaviour_answer(u, b, req, len, source, out);
    return stun_binding_answer(req, len, source, NULL, out, STUN_BINDING_ANSWER_MAX);
}

/* The answer to one datagram; false: there is none. */
static bool write_answer(const struct udp_port *u, struct udp_batch *b, unsigned i, const struct addr *source,
                         unsigned n_tx)
{
    struct msghdr *rx = &b->rx[i].msg_hdr, *tx = &b->tx[n_tx].msg_hdr;
    size_t len = rx->msg_flags & MSG_TRUNC
                     ? 0
                     : answer_one(u, b, b->rx_buf[i], b->rx[i].msg_len, source, b->tx_buf[n_tx]);
    if (len == 0)
        return false;
    tx->msg_name = rx->msg_name;
    tx->msg_namelen = rx->msg_namelen;
    tx->msg_controllen = u->wildcard ? reply_control(rx, &b->tx_control[n_tx]) : 0;
    tx->msg_control = tx->msg_controllen ? b->tx_control[n_tx].bytes : NULL;
    b->tx_iov[n_tx] = (struct iovec){b->tx_buf[n_tx], len};
    return true;
}

/* Writes the answers to `n` datagrams; how many there are. */
static unsigned answer(struct udp_port *u, struct udp_batch *b, unsigned n)
{
    uint64_t bytes_in = 0, limited = 0, packets = 0;
    unsigned n_tx = 0;
    int64_t now = clock_mono_us();
    for (unsigned i = 0; i < n; i++) {
        struct addr source;
        bytes_in += b->rx[i].msg_len;
        addr_from_sockaddr(&source, &b->names[i].sa);
        enum media_asked asked = u->opts.media ? take_media(u, b, i, &source, now) : MEDIA_ASKED_NOTHING;
        bool allowed =
            asked == MEDIA_ASKED_NOTHING && limits_allow(u->opts.limits, LIMITS_DATAGRAMS, &source, now);
        packets += asked == MEDIA_ASKED_PACKET;
        limited += asked == MEDIA_ASKED_TOO_OFTEN || (asked == MEDIA_ASKED_NOTHING && !allowed);
        if (allowed)
            n_tx += write_answer(u, b, i, &source, n_tx);
    }
    stats_add(&u->opts.stats->udp_requests, n - packets);
    stats_add(&u->opts.stats->udp_bytes_in, bytes_in);
    stats_add(&u->opts.stats->udp_limited, limited);
    return n_tx;
}

static void transmit(struct udp_port *u, struct udp_batch *b, unsigned n)
{
    uint64_t sent = 0, bytes = 0;
    for (unsigned at = 0; at < n;) {
        int k = sendmmsg(h2o_socket_get_fd(u->sock), b->tx + at, n - at, MSG_DONTWAIT);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0 && (errno == EAGAIN || errno == ENOBUFS)) {
            stats_add(&u->opts.stats->udp_send_full, n - at);
            break;
        }
        if (k <= 0) { /* this one cannot be sent (no route, a source port of 0); the others can */
            stats_add(&u->opts.stats->udp_send_error, 1);
            at++;
            continue;
        }
        for (unsigned i = at; i < at + (unsigned)k; i++)
            bytes += b->tx_iov[i].iov_len;
        sent += (unsigned)k;
        at += (unsigned)k;
    }
    stats_add(&u->opts.stats->udp_answers, sent);
    stats_add(&u->opts.stats->udp_bytes_out, bytes);
}

static void on_readable(h2o_socket_t *sock, const char *err)
{
    struct udp_port *u = sock->data;
    struct udp_batch *b = u->opts.batch;
    (void)err;
    for (int round = 0; round < UDP_ROUNDS; round++) {
        int n = receive(u, b);
        if (n <= 0)
            return;
        transmit(u, b, answer(u, b, (unsigned)n));
        if (n < UDP_BATCH)
            return;
    }
}

int udp_open(struct udp_port **out, h2o_loop_t *loop, const struct udp_opts *opts)
{
    struct addr local;
    int rc = socket_local_addr(opts->fd, &local);
    if (rc != 0)
        return rc;
    struct udp_port *u = calloc(1, sizeof(*u));
    if (!u)
        return -ENOMEM;
    u->opts = *opts;
    if (opts->behaviour)
        opts->behaviour->port[opts->place.ip][opts->place.port] = u;
    u->wildcard = addr_is_wildcard(&local);
    u->sock = h2o_evloop_socket_create(loop, opts->fd, H2O_SOCKET_FLAG_DONT_READ);
    u->sock->data = u;
    h2o_socket_read_start(u->sock, on_readable);
    *out = u;
    return 0;
}

void udp_close(struct udp_port *u)
{
    if (!u)
        return;
    h2o_socket_read_stop(u->sock);
    h2o_socket_close(u->sock);
    free(u);
}
