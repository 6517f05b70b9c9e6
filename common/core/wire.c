/* Wire cursors. Invariant: start <= p <= end, whatever was asked. */
#include "core/wire.h"

#include <string.h>

struct wire_rd wire_rd_init(const uint8_t *p, size_t len)
{
    return (struct wire_rd){.p = p, .end = p + len};
}

size_t wire_rd_left(const struct wire_rd *r)
{
    return r->bad ? 0 : (size_t)(r->end - r->p);
}

struct slice wire_rd_bytes(struct wire_rd *r, size_t len)
{
    if (wire_rd_left(r) < len || r->bad) {
        r->bad = true;
        return (struct slice){.p = r->end};
    }
    struct slice s = {.p = r->p, .len = len};
    r->p += len;
    return s;
}

uint8_t wire_rd_u8(struct wire_rd *r)
{
    struct slice s = wire_rd_bytes(r, 1);
    return s.len == 1 ? s.p[0] : (uint8_t)0;
}

uint16_t wire_rd_u16(struct wire_rd *r)
{
    struct slice s = wire_rd_bytes(r, 2);
    if (s.len != 2)
        return 0;
    return (uint16_t)(s.p[0] << 8 | s.p[1]);
}

uint32_t wire_rd_u32(struct wire_rd *r)
{
    struct slice s = wire_rd_bytes(r, 4);
    if (s.len != 4)
        return 0;
    return (uint32_t)s.p[0] << 24 | (uint32_t)s.p[1] << 16 | (uint32_t)s.p[2] << 8 | s.p[3];
}

uint64_t wire_rd_u64(struct wire_rd *r)
{
    struct slice s = wire_rd_bytes(r, 8);
    uint64_t v = 0;
    for (size_t i = 0; i < s.len; i++)
        v = v << 8 | s.p[i];
    return v;
}

struct wire_wr wire_wr_init(uint8_t *p, size_t cap)
{
    return (struct wire_wr){.start = p, .p = p, .end = p + cap};
}

size_t wire_wr_len(const struct wire_wr *w)
{
    return (size_t)(w->p - w->start);
}

uint8_t *wire_wr_room(struct wire_wr *w, size_t len)
{
    if (w->bad || (size_t)(w->end - w->p) < len) {
        w->bad = true;
        return NULL;
    }
    uint8_t *at = w->p;
    w->p += len;
    return at;
}

void wire_wr_u8(struct wire_wr *w, uint8_t v)
{
    uint8_t *at = wire_wr_room(w, 1);
    if (at)
        at[0] = v;
}

void wire_wr_u16(struct wire_wr *w, uint16_t v)
{
    uint8_t *at = wire_wr_room(w, 2);
    if (!at)
        return;
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}

void wire_wr_u32(struct wire_wr *w, uint32_t v)
{
    uint8_t *at = wire_wr_room(w, 4);
    for (size_t i = 0; at && i < 4; i++)
        at[i] = (uint8_t)(v >> (24 - 8 * i));
}

void wire_wr_u64(struct wire_wr *w, uint64_t v)
{
    uint8_t *at = wire_wr_room(w, 8);
    for (size_t i = 0; at && i < 8; i++)
        at[i] = (uint8_t)(v >> (56 - 8 * i));
}

void wire_wr_bytes(struct wire_wr *w, const void *p, size_t len)
{
    uint8_t *at = wire_wr_room(w, len);
    if (at && len > 0)
        memcpy(at, p, len);
}

void wire_wr_zero(struct wire_wr *w, size_t len)
{
    uint8_t *at = wire_wr_room(w, len);
    if (at && len > 0)
        memset(at, 0, len);
}

void wire_wr_patch_u16(struct wire_wr *w, size_t at, uint16_t v)
{
    if (w->bad || wire_wr_len(w) < 2 || at > wire_wr_len(w) - 2) {
        w->bad = true;
        return;
    }
    w->start[at] = (uint8_t)(v >> 8);
    w->start[at + 1] = (uint8_t)v;
}
