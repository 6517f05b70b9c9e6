/* Cursors over wire bytes, big-endian, with a sticky error: read or write everything, check once at the end.
 * A cursor borrows its buffer and never allocates. */
#ifndef BERTH_CORE_WIRE_H
#define BERTH_CORE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A borrowed run of bytes. */
struct slice {
    const uint8_t *p;
    size_t len;
};

/* After the first read past the end `bad` stays set, and every read answers zero (or an empty slice). */
struct wire_rd {
    const uint8_t *p, *end;
    bool bad;
};

struct wire_rd wire_rd_init(const uint8_t *p, size_t len);
size_t wire_rd_left(const struct wire_rd *r);
uint8_t wire_rd_u8(struct wire_rd *r);
uint16_t wire_rd_u16(struct wire_rd *r);
uint32_t wire_rd_u32(struct wire_rd *r);
uint64_t wire_rd_u64(struct wire_rd *r);
struct slice wire_rd_bytes(struct wire_rd *r, size_t len);

/* After the first write past the end `bad` stays set, and nothing more is written. */
struct wire_wr {
    uint8_t *start, *p, *end;
    bool bad;
};

struct wire_wr wire_wr_init(uint8_t *p, size_t cap);
size_t wire_wr_len(const struct wire_wr *w);
void wire_wr_u8(struct wire_wr *w, uint8_t v);
void wire_wr_u16(struct wire_wr *w, uint16_t v);
void wire_wr_u32(struct wire_wr *w, uint32_t v);
void wire_wr_u64(struct wire_wr *w, uint64_t v);
void wire_wr_bytes(struct wire_wr *w, const void *p, size_t len);
void wire_wr_zero(struct wire_wr *w, size_t len);
/* Room for `len` more bytes, which the caller writes; NULL where there isn't that much, and the error sticks. */
uint8_t *wire_wr_room(struct wire_wr *w, size_t len);
/* Overwrites two bytes already written, at `at` from the start (a length that was not known yet). */
void wire_wr_patch_u16(struct wire_wr *w, size_t at, uint16_t v);

#endif
