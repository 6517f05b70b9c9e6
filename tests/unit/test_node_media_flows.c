/* link: berth_node_lib */
#include "node/media/flows.h"

#include "check.h"

#include <errno.h>

enum { MAX = 64 };

static struct media_path path_of(unsigned n)
{
    struct media_path p = {.peer = {.family = ADDR_V4, .port = (uint16_t)(1000 + n % 7), .ip = {192, 0, 2}}};
    p.peer.ip[3] = (uint8_t)(n / 7);
    return p;
}

static struct media_flows *make(void)
{
    struct media_flows *f;
    assert_int_equal(media_flows_new(&f, MAX), 0);
    return f;
}

static void sizes(void **state)
{
    struct media_flows *f;
    assert_int_equal(media_flows_new(&f, 0), -EINVAL);
    assert_int_equal(media_flows_new(&f, 3), -EINVAL);
    assert_int_equal(media_flows_new(&f, 2 * MEDIA_FLOWS_MAX), -EINVAL);
    media_flows_destroy(NULL);
}

static void key(void **state)
{
    struct media_flows *f = make();
    const struct media_path p = path_of(3);
    struct media_path q = p;
    assert_int_equal(media_flows_find(f, &p), -1);
    assert_int_equal(media_flows_put(f, &p, 4, 0), 0);
    assert_int_equal(media_flows_find(f, &p), 4);
    q.thread = 9; /* the thread isn't part of it, */
    assert_int_equal(media_flows_find(f, &q), 4);
    q = p; /* all of these are */
    q.port = 1;
    assert_int_equal(media_flows_find(f, &q), -1);
    q = p;
    q.peer.port++;
    assert_int_equal(media_flows_find(f, &q), -1);
    q = p;
    q.local = (struct addr){.family = ADDR_V4, .ip = {192, 0, 2, 200}};
    assert_int_equal(media_flows_find(f, &q), -1);
    media_flows_destroy(f);
}

static void whose(void **state)
{
    struct media_flows *f = make();
    const struct media_path p = path_of(3);
    assert_int_equal(media_flows_put(f, &p, 4, 0), 0);
    assert_int_equal(media_flows_put(f, &p, 5, 0), 0); /* another home's from now on, */
    media_flows_remove(f, &p, 4);                      /* so the old one takes nothing away */
    assert_int_equal(media_flows_find(f, &p), 5);
    media_flows_remove(f, &p, 5);
    assert_int_equal(media_flows_find(f, &p), -1);
    media_flows_remove(f, &p, 5);
    assert_int_equal(media_flows_count(f), 0);
    media_flows_destroy(f);
}

static void full(void **state)
{
    struct media_flows *f = make();
    for (unsigned i = 0; i < MAX; i++) {
        const struct media_path p = path_of(i);
        assert_int_equal(media_flows_put(f, &p, (uint8_t)i, 0), 0);
    }
    const struct media_path more = path_of(MAX), known = path_of(5);
    assert_int_equal(media_flows_put(f, &more, 1, 0), -ENOSPC);
    assert_int_equal(media_flows_put(f, &known, 77, 0), 0);
    assert_int_equal(media_flows_count(f), MAX);
    media_flows_destroy(f);
}

/* Random puts and removals against a plain array. */
static void like_an_array(void **state)
{
    struct media_flows *f = make();
    int home[MAX];
    uint64_t seed = 42;
    for (unsigned i = 0; i < MAX; i++)
        home[i] = -1;
    for (unsigned i = 0; i < 50000; i++) {
        unsigned n = (unsigned)(check_random(&seed) % MAX);
        const struct media_path p = path_of(n);
        if (check_random(&seed) % 2) {
            home[n] = (int)(check_random(&seed) % 256);
            assert_int_equal(media_flows_put(f, &p, (uint8_t)home[n], 0), 0);
        } else if (home[n] >= 0) {
            media_flows_remove(f, &p, (uint8_t)home[n]);
            home[n] = -1;
        }
        n = (unsigned)(check_random(&seed) % MAX);
        const struct media_path q = path_of(n);
        assert_int_equal(media_flows_find(f, &q), home[n]);
    }
    media_flows_destroy(f);
}

/* What nobody speaks of any more is forgotten, in a bounded time, and nothing else: also where cells move up into gaps. */
static void forgotten(void **state)
{
    const int64_t late_us = MEDIA_STALE_US - 1;
    struct media_flows *f = make();
    for (unsigned n = 0; n < MAX; n++) {
        const struct media_path p = path_of(n);
        assert_int_equal(media_flows_put(f, &p, 1, n % 3 ? 0 : late_us), 0);
    }
    for (int i = 0; i < 2 * MEDIA_FLOWS_PARTS; i++)
        media_flows_sweep(f, late_us);
    assert_int_equal(media_flows_count(f), MAX);
    for (int i = 0; i < MEDIA_FLOWS_PARTS; i++)
        media_flows_sweep(f, MEDIA_STALE_US);
    for (unsigned n = 0; n < MAX; n++) {
        const struct media_path p = path_of(n);
        assert_int_equal(media_flows_find(f, &p), n % 3 ? -1 : 1);
    }
    assert_int_equal(media_flows_count(f), (MAX + 2) / 3);
    media_flows_destroy(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes), cmocka_unit_test(key),           cmocka_unit_test(whose),
        cmocka_unit_test(full),  cmocka_unit_test(like_an_array), cmocka_unit_test(forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
