/* What RTCP's files share: numbers of the protocol. */
#ifndef BERTH_MEDIA_RTCP_INTERNAL_H
#define BERTH_MEDIA_RTCP_INTERNAL_H

#include "media/rtcp.h"

enum {
    RTCP_TYPE_SR = 200,
    RTCP_TYPE_RR = 201,
    RTCP_TYPE_SDES = 202,
    RTCP_TYPE_BYE = 203,
    RTCP_TYPE_RTPFB = 205,
    RTCP_TYPE_PSFB = 206,
    RTCP_FORMAT_NACK = 1,
    RTCP_FORMAT_WIDE = 15,
    RTCP_FORMAT_PLI = 1,
    RTCP_FORMAT_FIR = 4,
    RTCP_FORMAT_APPLICATION = 15,
};

/* The rest of transport-wide feedback; what is wrong is rd->bad. */
void rtcp_read_wide(struct wire_rd *rd, struct rtcp *r);

/* A header whose length rtcp_end fills in. Where something had no room, rtcp_end takes it all back and answers false. */
struct rtcp_mark {
    uint8_t *p;
    bool bad;
};
struct rtcp_mark rtcp_begin(struct wire_wr *w, unsigned count, uint8_t type);
bool rtcp_end(struct wire_wr *w, struct rtcp_mark mark);

#endif
