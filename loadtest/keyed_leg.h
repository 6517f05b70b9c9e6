/* A leg of SRTP over UDP whose keys are known beforehand, as SDES tells them (RFC 4568): what other servers of media
 * speak. One thread at a time. */
#ifndef BERTH_LOADTEST_KEYED_LEG_H
#define BERTH_LOADTEST_KEYED_LEG_H

#include "core/addr.h"
#include "media/srtp_leg.h"
#include "path/reception.h"
#include "probe/sys.h"

struct keyed_plan {
    struct addr local, remote;
    enum srtp_suite suite;
    struct srtp_keys sends, receives;
};

struct keyed_leg {
    struct addr remote;
    int fd;
    struct sys_watch watch;
    struct srtp_leg *srtp;
    struct reception reception;
    uint64_t refused; /* not authentic */
    void (*packet)(void *user, const uint8_t *bytes, size_t len, bool rtcp, int64_t now_us);
    void *user;
    struct sys_datagram datagram;
};

/* *l stays where it is, and is zeroed at first. 0, or -errno; then it is as closed. */
int keyed_leg_open(struct keyed_leg *l, struct sys_poller *poller, const struct keyed_plan *plan,
                   void (*packet)(void *user, const uint8_t *bytes, size_t len, bool rtcp, int64_t now_us),
                   void *user) __attribute__((warn_unused_result));
void keyed_leg_close(struct keyed_leg *l, struct sys_poller *poller);
/* 0, -EMSGSIZE, -EINVAL, or -EAGAIN: it can't be sent now, and is dropped. */
int keyed_leg_send(struct keyed_leg *l, const uint8_t *packet, size_t len)
    __attribute__((warn_unused_result));

#endif
