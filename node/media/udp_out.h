/* What media sends over one UDP socket of one thread: gathered, and sent in batches, each packet with its source and
 * its DSCP mark. No allocation per packet. */
#ifndef BERTH_NODE_MEDIA_UDP_OUT_H
#define BERTH_NODE_MEDIA_UDP_OUT_H

#include "../stats.h"
#include "home.h"

struct udp_out;
/* `fd` is borrowed: the socket's owner closes it afterwards. */
int udp_out_new(struct udp_out **out, int fd, struct node_stats *stats) __attribute__((warn_unused_result));
void udp_out_destroy(struct udp_out *u);

/* RTP_PACKET_MAX + SRTP_OVERHEAD bytes, aligned to 4; what was gathered is sent where there is no more room.
 * udp_out_commit follows. */
uint8_t *udp_out_room(struct udp_out *u);
/* true: something waits for udp_out_flush. */
bool udp_out_commit(struct udp_out *u, const struct media_path *to, enum media_class c, size_t len);
/* Sends what was gathered; what the kernel doesn't take is counted as dropped. */
void udp_out_flush(struct udp_out *u);

#endif
