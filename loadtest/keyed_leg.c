/* SRTP with given keys on a socket of its own. Invariant: only what is authentic and comes from the peer reaches the callback. */
#include "keyed_leg.h"

#include "media/rtp.h"
#include "sys/sockaddr.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

enum { RECEIVE_BATCH = 256, PACKET_LEN = RTP_PACKET_MAX + SRTP_OVERHEAD };

static void heard(struct keyed_leg *l, const struct sys_datagram *d)
{
    _Alignas(4) uint8_t bytes[PACKET_LEN];
    size_t len = d->len;
    struct rtp r;
    enum packet_kind kind = packet_kind(d->bytes, d->len);
    if (d->bounced != 0 || len > RTP_PACKET_MAX || !addr_eq(&d->peer, &l->remote) ||
        (kind != PACKET_RTP && kind != PACKET_RTCP))
        return;
    memcpy(bytes, d->bytes, len);
    int err = kind == PACKET_RTP ? srtp_leg_unprotect(l->srtp, bytes, &len)
                                 : srtp_leg_unprotect_rtcp(l->srtp, bytes, &len);
    if (err < 0 || (kind == PACKET_RTP && rtp_parse(&r, bytes, len) < 0)) {
        l->refused++;
        return;
    }
    if (kind == PACKET_RTP)
        reception_heard(&l->reception, &r, len, d->received_us);
    l->packet(l->user, bytes, len, kind == PACKET_RTCP, d->received_us);
}

static void ready(void *user, unsigned events)
{
    struct keyed_leg *l = user;
    for (int i = 0; i < RECEIVE_BATCH && sys_udp_receive(l->fd, &l->datagram) == 1; i++)
        heard(l, &l->datagram);
}

int keyed_leg_open(struct keyed_leg *l, struct sys_poller *poller, const struct keyed_plan *plan,
                   void (*packet)(void *user, const uint8_t *bytes, size_t len, bool rtcp, int64_t now_us),
                   void *user)
{
    struct sockaddr_storage ss;
    socklen_t ss_len = sockaddr_from_addr(&ss, &plan->local);
    l->remote = plan->remote;
    l->packet = packet;
    l->user = user;
    l->fd = sys_udp_open((enum addr_family)plan->local.family);
    int err = l->fd < 0 ? l->fd : 0;
    if (err == 0 && bind(l->fd, (struct sockaddr *)&ss, ss_len) < 0)
        err = -errno;
    if (err == 0)
        err = srtp_leg_new(&l->srtp, plan->suite, &plan->sends, &plan->receives);
    if (err == 0)
        err = sys_watch_add(poller, &l->watch, l->fd, SYS_READ, ready, l);
    if (err < 0)
        keyed_leg_close(l, poller);
    return err;
}

void keyed_leg_close(struct keyed_leg *l, struct sys_poller *poller)
{
    sys_watch_remove(poller, &l->watch);
    sys_close(l->fd);
    l->fd = -1;
    srtp_leg_destroy(l->srtp);
    l->srtp = NULL;
}

int keyed_leg_send(struct keyed_leg *l, const uint8_t *packet, size_t len)
{
    _Alignas(4) uint8_t bytes[PACKET_LEN];
    if (len > RTP_PACKET_MAX - SRTP_OVERHEAD)
        return -EMSGSIZE;
    memcpy(bytes, packet, len);
    int err = srtp_leg_protect(l->srtp, bytes, &len);
    if (err == 0 && sys_udp_send(l->fd, &l->remote, bytes, len) < 0)
        err = -EAGAIN;
    return err;
}
