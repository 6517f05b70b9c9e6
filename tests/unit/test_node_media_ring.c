/* link: berth_node_lib, threads */
#include "node/media/ring.h"

#include "check.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

enum { CELLS = 16, MANY = 20000 };

static struct media_ring *make(void)
{
    struct media_ring *r;
    assert_int_equal(media_ring_new(&r, CELLS), 0);
    return r;
}

/* Pushes a packet that says `n`; false: full. */
static bool push(struct media_ring *r, uint64_t n, bool packet)
{
    struct media_cell *c = media_ring_room(r, packet);
    if (!c)
        return false;
    c->kind = packet ? MEDIA_CELL_PACKET : MEDIA_CELL_ATTACH;
    c->path.stream = n;
    c->len = MEDIA_CELL_BYTES;
    memset(c->bytes, (int)(n & 0xFF), c->len);
    media_ring_push(r);
    return true;
}

static void sizes(void **state)
{
    struct media_ring *r;
    assert_int_equal(media_ring_new(&r, 0), -EINVAL);
    assert_int_equal(media_ring_new(&r, 2), -EINVAL);
    assert_int_equal(media_ring_new(&r, 24), -EINVAL);
    assert_int_equal((int)(offsetof(struct media_cell, bytes) % 4), 0);
    media_ring_destroy(NULL);
}

static void full(void **state)
{
    struct media_ring *r = make();
    const uint64_t packets = CELLS - CELLS / MEDIA_RING_RESERVE;
    assert_null(media_ring_peek(r));
    for (int round = 0; round < 3; round++) {
        for (uint64_t i = 0; i < packets; i++)
            assert_true(push(r, i, true));
        assert_false(push(r, 99, true)); /* a packet finds it full, */
        for (uint64_t i = packets; i < CELLS; i++)
            assert_true(push(r, i, false)); /* what isn't one has the reserve, */
        assert_false(push(r, 99, false));   /* which ends too */
        for (uint64_t i = 0; i < CELLS; i++) {
            const struct media_cell *c = media_ring_peek(r);
            assert_non_null(c);
            assert_int_equal(c->path.stream, i);
            media_ring_pop(r);
        }
        assert_null(media_ring_peek(r));
    }
    media_ring_destroy(r);
}

/* What room gave and nobody pushed was never there. */
static void abandoned(void **state)
{
    struct media_ring *r = make();
    assert_non_null(media_ring_room(r, true));
    assert_null(media_ring_peek(r));
    assert_true(push(r, 7, true));
    assert_int_equal(media_ring_peek(r)->path.stream, 7);
    media_ring_destroy(r);
}

struct pair {
    struct media_ring *ring;
    struct media_bell bell;
};

static void *write_many(void *arg)
{
    struct pair *p = arg;
    uint64_t next = 0;
    while (next < MANY) {
        if (push(p->ring, next, true))
            next++;
        else
            sched_yield(); /* full: the reader has its turn */
        media_bell_ring(&p->bell);
    }
    return NULL;
}

static void two_threads(void **state)
{
    struct pair p = {.ring = make()};
    pthread_t writer;
    assert_int_equal(media_bell_open(&p.bell), 0);
    assert_int_equal(pthread_create(&writer, NULL, write_many, &p), 0);
    for (uint64_t next = 0; next < MANY;) {
        struct pollfd f = {.fd = p.bell.fd, .events = POLLIN};
        assert_int_equal(poll(&f, 1, 10000), 1); /* a wake-up that gets lost hangs here */
        media_bell_hear(&p.bell);
        for (struct media_cell *c; (c = media_ring_peek(p.ring)); media_ring_pop(p.ring), next++) {
            assert_int_equal(c->path.stream, next);
            assert_int_equal(c->bytes[0], next & 0xFF);
            assert_int_equal(c->bytes[MEDIA_CELL_BYTES - 1], next & 0xFF);
        }
    }
    assert_int_equal(pthread_join(writer, NULL), 0);
    media_bell_close(&p.bell);
    media_ring_destroy(p.ring);
}

static void one_wake_up(void **state)
{
    struct media_bell b;
    assert_int_equal(media_bell_open(&b), 0);
    struct pollfd f = {.fd = b.fd, .events = POLLIN};
    assert_int_equal(poll(&f, 1, 0), 0);
    for (int i = 0; i < 5; i++)
        media_bell_ring(&b);
    assert_int_equal(poll(&f, 1, 0), 1);
    media_bell_hear(&b);
    assert_int_equal(poll(&f, 1, 0), 0);
    media_bell_ring(&b);
    assert_int_equal(poll(&f, 1, 0), 1);
    media_bell_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),       cmocka_unit_test(full),        cmocka_unit_test(abandoned),
        cmocka_unit_test(two_threads), cmocka_unit_test(one_wake_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
