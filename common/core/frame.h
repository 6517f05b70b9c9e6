/* Framing of a byte stream: plain STUN over TCP (RFC 8489 6.2.2) or RFC 4571 frames, decided once, by where the magic cookie
 * stands in a connection's first message. Used by node, agent and tests alike.
 *
 *   plain STUN   | type | length | 21 12 A4 42 | ...            cookie at byte 4
 *   RFC 4571     | LENGTH | type | length | 21 12 A4 42 | ...   cookie at byte 6 */
#ifndef BERTH_CORE_FRAME_H
#define BERTH_CORE_FRAME_H

#include "core/wire.h"

#include <sys/types.h>

enum frame_mode { FRAME_UNDECIDED, FRAME_STUN, FRAME_RFC4571 };
enum { FRAME_PAYLOAD_MAX = 2048, FRAME_HEADER_MAX = 2 };

/* Reads one frame from the front of the buffered bytes. >0: that many bytes are consumed and *payload (a slice of `p`) is the
 * message; 0: more bytes are needed; -EBADMSG: broken, close the stream. *mode is decided by the first message and kept.
 * A broken first message is told as early as its bytes show it. An empty RFC 4571 frame (length 0) is consumed
 * with an empty payload. */
ssize_t frame_next(enum frame_mode *mode, const uint8_t *p, size_t len, struct slice *payload);

/* Writes what goes before a payload of that length: 0 bytes for plain STUN, 2 for RFC 4571. Returns how many. */
size_t frame_header(enum frame_mode mode, size_t payload_len, uint8_t out[static FRAME_HEADER_MAX]);

#endif
