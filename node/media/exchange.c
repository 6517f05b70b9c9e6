/* A ring for every ordered pair. Invariant: ring [from][to] is written by `from` alone and read by `to` alone. */
#include "exchange.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

enum { CELLS_MOST = 1024, CELLS_LEAST = 64, CELLS_A_THREAD = 4096 /* over all rings that a thread reads */ };

struct media_exchange {
    struct media_exchange_opts opts;
    uint8_t nonce_key[MEDIA_NONCE_KEY_LEN];
    _Atomic int64_t legs;
    struct media_bell *bells;
    struct media_ring **rings;
};

static size_t cells_of(size_t threads)
{
    size_t cells = CELLS_MOST;
    while (cells > CELLS_LEAST && cells * threads > CELLS_A_THREAD)
        cells /= 2;
    return cells;
}

size_t media_exchange_parties(const struct media_exchange *x)
{
    return x->opts.threads + 1;
}

static int make_all(struct media_exchange *x)
{
    size_t n = media_exchange_parties(x);
    int rc = 0;
    for (size_t i = 0; i < n; i++)
        x->bells[i].fd = -1;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = media_bell_open(&x->bells[i]);
    for (size_t from = 0; from < n; from++)
        for (size_t to = 0; to < n && rc == 0; to++)
            if (from != to)
                rc = media_ring_new(&x->rings[from * n + to], cells_of(n));
    return rc;
}

int media_exchange_new(struct media_exchange **out, const struct media_exchange_opts *opts)
{
    struct media_exchange *x = calloc(1, sizeof(*x));
    if (!x)
        return -ENOMEM;
    x->opts = *opts;
    randombytes_buf(x->nonce_key, sizeof(x->nonce_key));
    size_t n = media_exchange_parties(x);
    x->bells = calloc(n, sizeof(*x->bells));
    x->rings = calloc(n * n, sizeof(struct media_ring *));
    int rc = x->bells && x->rings ? make_all(x) : -ENOMEM;
    if (rc != 0) {
        media_exchange_destroy(x);
        return rc;
    }
    *out = x;
    return 0;
}

void media_exchange_destroy(struct media_exchange *x)
{
    if (!x)
        return;
    size_t n = media_exchange_parties(x);
    for (size_t i = 0; x->rings && i < n * n; i++)
        media_ring_destroy(x->rings[i]);
    for (size_t i = 0; x->bells && i < n; i++)
        media_bell_close(&x->bells[i]);
    free(x->rings);
    free(x->bells);
    sodium_memzero(x->nonce_key, sizeof(x->nonce_key));
    free(x);
}

const struct media_exchange_opts *media_exchange_opts(const struct media_exchange *x)
{
    return &x->opts;
}

struct media_ring *media_exchange_ring(const struct media_exchange *x, uint8_t from, uint8_t to)
{
    return x->rings[from * media_exchange_parties(x) + to];
}

struct media_bell *media_exchange_bell(const struct media_exchange *x, uint8_t thread)
{
    return &x->bells[thread];
}

const uint8_t *media_exchange_nonce_key(const struct media_exchange *x)
{
    return x->nonce_key;
}

_Atomic int64_t *media_exchange_legs(struct media_exchange *x)
{
    return &x->legs;
}
