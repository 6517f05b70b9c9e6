/* link: berth_node_lib */
#include "node/media/stream_queue.h"

#include "check.h"

#include <string.h>

enum { PACKET = 1000 };

static struct stream_queue *make(void)
{
    struct stream_queue *q;
    assert_int_equal(stream_queue_new(&q), 0);
    return q;
}

static void put(struct stream_queue *q, enum media_class c, uint32_t n, size_t len)
{
    uint8_t *p = stream_queue_room(q, c);
    assert_non_null(p);
    assert_int_equal((uintptr_t)p % 4, 0);
    memset(p, (int)c, STREAM_QUEUE_PACKET); /* all of it is ours, */
    memcpy(p, &n, sizeof(n));
    stream_queue_commit(q, c, len); /* whatever came of it */
}

struct frame {
    uint32_t n;
    size_t len;
    uint8_t cls;
};

/* The next frame, cut from what was taken so far. */
struct reader {
    struct stream_queue *q;
    uint8_t bytes[STREAM_QUEUE_CHUNK];
    size_t at, len;
};

static bool next(struct reader *r, struct frame *f)
{
    if (r->at == r->len) {
        r->at = 0;
        r->len = stream_queue_take(r->q, r->bytes, sizeof(r->bytes));
        if (r->len == 0)
            return false;
    }
    f->len = (size_t)r->bytes[r->at] << 8 | r->bytes[r->at + 1];
    assert_true(r->at + 2 + f->len <= r->len);
    memcpy(&f->n, r->bytes + r->at + 2, sizeof(f->n));
    f->cls = r->bytes[r->at + 2 + f->len - 1];
    r->at += 2 + f->len;
    return true;
}

static void in_order(void **state)
{
    struct reader r = {.q = make()};
    struct frame f;
    put(r.q, MEDIA_VIDEO, 1, 1500);
    put(r.q, MEDIA_AUDIO, 2, 61);
    put(r.q, MEDIA_VIDEO, 3, 5);
    put(r.q, MEDIA_CONTROL, 4, 100);
    put(r.q, MEDIA_AUDIO, 5, 0); /* nothing came of it */
    put(r.q, MEDIA_AUDIO, 6, STREAM_QUEUE_PACKET);
    const uint32_t want[] = {4, 2, 6, 1, 3};
    const size_t lens[] = {100, 61, STREAM_QUEUE_PACKET, 1500, 5};
    for (size_t i = 0; i < 5; i++) {
        assert_true(next(&r, &f));
        assert_int_equal(f.n, want[i]);
        assert_int_equal(f.len, lens[i]);
    }
    assert_false(next(&r, &f));
    assert_int_equal(stream_queue_bytes(r.q), 0);
    assert_int_equal(stream_queue_dropped(r.q), 0);
    stream_queue_destroy(r.q);
}

/* Nobody takes anything: the oldest video goes, the newest stays. */
static void slow_for_video(void **state)
{
    struct reader r = {.q = make()};
    struct frame f;
    uint32_t last = 0, n = 0;
    for (uint32_t i = 1; i <= 1000; i++) {
        put(r.q, MEDIA_VIDEO, i, PACKET);
        assert_true(stream_queue_bytes(r.q) <= STREAM_QUEUE_HALF);
    }
    assert_true(stream_queue_bytes(r.q) > STREAM_QUEUE_HALF - 2 * STREAM_QUEUE_PACKET);
    while (next(&r, &f)) {
        assert_true(last == 0 || f.n == last + 1); /* those that stayed are the newest, in order */
        last = f.n;
        n++;
    }
    assert_int_equal(last, 1000);
    assert_int_equal(n + stream_queue_dropped(r.q), 1000);
    stream_queue_destroy(r.q);
}

/* Video makes room for audio, and audio's oldest for the newest; control stays. */
static void slow_for_all(void **state)
{
    struct reader r = {.q = make()};
    struct frame f;
    uint32_t count[STREAM_QUEUE_LANES] = {0}, newest[STREAM_QUEUE_LANES] = {0};
    for (uint32_t i = 1; i <= 2000; i++) {
        put(r.q, MEDIA_VIDEO, i, PACKET);
        put(r.q, MEDIA_AUDIO, i, 160);
        if (i % 50 == 0)
            put(r.q, MEDIA_CONTROL, i, 100);
        assert_true(stream_queue_bytes(r.q) <= STREAM_QUEUE_MOST);
    }
    while (next(&r, &f)) {
        assert_true(f.n > newest[f.cls]);
        newest[f.cls] = f.n;
        count[f.cls]++;
    }
    assert_int_equal(count[MEDIA_CONTROL], 40);
    assert_int_equal(newest[MEDIA_AUDIO], 2000);
    assert_true(count[MEDIA_AUDIO] > 300 && count[MEDIA_AUDIO] < 2000);
    assert_int_equal(newest[MEDIA_VIDEO], 2000);
    stream_queue_destroy(r.q);
}

/* Past every bound. */
static void only_control(void **state)
{
    struct reader r = {.q = make()};
    struct frame f;
    uint32_t last = 0;
    for (uint32_t i = 1; i <= 5000; i++) {
        put(r.q, MEDIA_CONTROL, i, 1200);
        put(r.q, MEDIA_AUDIO, i, 1200);
        assert_true(stream_queue_bytes(r.q) <= STREAM_QUEUE_MAX - STREAM_QUEUE_CHUNK);
    }
    while (next(&r, &f))
        last = f.cls == MEDIA_CONTROL ? f.n : last;
    assert_int_equal(last, 5000);
    stream_queue_destroy(r.q);
}

/* Of any lengths and in any rhythm: nothing is altered, nothing is out of order, and what isn't dropped comes. */
static void any_rhythm(void **state)
{
    struct reader r = {.q = make()};
    struct frame f;
    uint64_t seed = 7, put_n = 0, got_n = 0;
    uint32_t newest[STREAM_QUEUE_LANES] = {0}, i = 0;
    for (int round = 0; round < 3000; round++) {
        for (uint64_t k = check_random(&seed) % 40; k > 0; k--, put_n++)
            put(r.q, (enum media_class)(check_random(&seed) % 3), ++i,
                sizeof(uint32_t) + 1 + check_random(&seed) % (STREAM_QUEUE_PACKET - sizeof(uint32_t)));
        for (uint64_t k = check_random(&seed) % 40; k > 0 && next(&r, &f); k--, got_n++) {
            assert_true(f.cls < STREAM_QUEUE_LANES && f.n > newest[f.cls]);
            newest[f.cls] = f.n;
        }
    }
    while (next(&r, &f))
        got_n++;
    assert_int_equal(got_n + stream_queue_dropped(r.q), put_n);
    stream_queue_destroy(r.q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_order),     cmocka_unit_test(slow_for_video), cmocka_unit_test(slow_for_all),
        cmocka_unit_test(only_control), cmocka_unit_test(any_rhythm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
