/* The lab's internet without its devices: the queue, the paths' chances, the map and its routing. */
#include "delayq.h"
#include "netmap.h"
#include "path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void queue_gives_back_by_time_then_arrival(void **state)
{
    static const int64_t due[] = {50, 10, 30, 10, 40, 30, 20};
    static const char expected[] = "bdgcfea";
    struct delayq *q = delayq_new(8, 16);

    assert_non_null(q);
    assert_null(delayq_first(q));
    delayq_drop_first(q);
    for (size_t i = 0; i < 7; i++) {
        char letter = (char)('a' + i);
        assert_int_equal(delayq_add(q, due[i], i, &letter, 1), 0);
    }
    for (size_t i = 0; i < 7; i++) {
        const struct delayed *d = delayq_first(q);
        assert_int_equal(d->data[0], expected[i]);
        assert_int_equal(d->due, due[d->tag]);
        delayq_drop_first(q);
    }
    assert_int_equal(delayq_count(q), 0);
    delayq_free(q);
}

static void queue_refuses_past_its_bounds(void **state)
{
    struct delayq *q = delayq_new(2, 4);

    assert_non_null(q);
    assert_int_equal(delayq_add(q, 1, 0, "12345", 5), -EMSGSIZE);
    assert_int_equal(delayq_add(q, 2, 0, "1234", 4), 0);
    assert_int_equal(delayq_add(q, 1, 0, "1", 1), 0);
    assert_int_equal(delayq_add(q, 0, 0, "1", 1), -ENOBUFS);
    delayq_drop_first(q);
    assert_int_equal(delayq_add(q, 3, 0, "1", 1), 0);
    assert_int_equal(delayq_first(q)->due, 2);
    delayq_free(q);
    delayq_free(NULL);
}

/* A thousand random pushes and pops never give back a packet before an earlier one. */
static void queue_keeps_order_at_random(void **state)
{
    struct delayq *q = delayq_new(256, 8);
    struct rng r = {.state = 5};

    assert_non_null(q);
    for (int round = 0; round < 1000; round++) {
        while (delayq_count(q) < 200)
            assert_int_equal(delayq_add(q, (int64_t)(rng_next(&r) % 1000), 0, &round, sizeof(round)), 0);
        int64_t last = -1;
        for (size_t n = rng_next(&r) % 200; n > 0; n--) {
            assert_true(delayq_first(q)->due >= last);
            last = delayq_first(q)->due;
            delayq_drop_first(q);
        }
    }
    delayq_free(q);
}

static void plain_path_only_delays(void **state)
{
    struct path p = {.delay_us = 10000};
    struct rng r = {0};
    int64_t due[PATH_COPIES_MAX];

    assert_int_equal(path_send(&p, &r, 500, due), 1);
    assert_int_equal(due[0], 10500);
    assert_int_equal(r.state, 0); /* nothing was left to chance */
}

static void jitter_spreads_but_keeps_order(void **state)
{
    struct path p = {.delay_us = 5000, .jitter_us = 2000};
    struct rng r = {.state = 1};
    int64_t due[PATH_COPIES_MAX], last = 0, least = INT64_MAX, most = 0;

    for (int64_t now = 0; now < 1000 * 10000; now += 10000) {
        assert_int_equal(path_send(&p, &r, now, due), 1);
        assert_true(due[0] >= last);
        last = due[0];
        least = due[0] - now < least ? due[0] - now : least;
        most = due[0] - now > most ? due[0] - now : most;
    }
    assert_in_range(least, 3000, 3100);
    assert_in_range(most, 6900, 7000);
    for (int64_t now = 20000000; now < 20001000;
         now++) { /* a packet a microsecond: jitter can't turn them round */
        assert_int_equal(path_send(&p, &r, now, due), 1);
        assert_true(due[0] >= last);
        last = due[0];
    }
}

static void chances_come_out_as_asked(void **state)
{
    struct path p = {.delay_us = 1000, .loss = 0.1, .duplicate = 0.05, .reorder = 0.02};
    struct rng r = {.state = 42};
    int64_t due[PATH_COPIES_MAX], last = 0;
    unsigned lost = 0, doubled = 0, held = 0;

    for (int64_t i = 0; i < 100000; i++) {
        size_t copies = path_send(&p, &r, i * 100, due);
        lost += copies == 0;
        doubled += copies == 2;
        held += copies > 0 && due[0] == i * 100 + 1000 + PATH_HOLD_US;
        if (copies > 0 && due[0] == i * 100 + 1000) {
            assert_true(due[0] >= last);
            last = due[0];
        }
    }
    assert_in_range(lost, 9700, 10300);
    assert_in_range(doubled, 4200, 4800); /* of those not lost */
    assert_in_range(held, 1650, 1950);
}

static void the_same_seed_is_the_same_network(void **state)
{
    struct path a = {.loss = 0.5}, b = {.loss = 0.5};
    struct rng ra = {.state = 9}, rb = {.state = 9};
    int64_t due[PATH_COPIES_MAX];

    for (int i = 0; i < 1000; i++)
        assert_int_equal(path_send(&a, &ra, i, due), path_send(&b, &rb, i, due));
}

static const char map_text[] = "# three hosts, two namespaces\n"
                               "default 7000 10\n"
                               "pair paris tokyo 120000 500 0.01 duplicate=0.001 reorder=0.02\n"
                               "path tokyo osaka delay_us=3000 loss=1\n"
                               "host paris /proc/1/ns/net 203.0.113.1 2001:db8:1::/48 # its network too\n"
                               "\n"
                               "host tokyo /proc/2/ns/net 203.0.113.2 2001:db8:1:2::/64\r\n"
                               "host osaka /proc/2/ns/net 198.51.100.0/24 198.51.100.77/32\n"
                               "seed 7\nqueue 100\n";

static size_t ipv4(uint8_t packet[static 40], const uint8_t src[4], const uint8_t dst[4])
{
    memset(packet, 0, 40);
    packet[0] = 0x45;
    memcpy(packet + 12, src, 4);
    memcpy(packet + 16, dst, 4);
    return 20;
}

static void map_routes_by_source_and_destination(void **state)
{
    static const uint8_t paris[4] = {203, 0, 113, 1}, tokyo[4] = {203, 0, 113, 2},
                         osaka[4] = {198, 51, 100, 9};
    static const uint8_t nobody[4] = {192, 168, 1, 1};
    char error[NETMAP_ERROR_LEN];
    uint8_t packet[40];
    struct path *path;
    size_t to;
    struct netmap *m = netmap_parse(map_text, error);

    assert_non_null(m);
    assert_int_equal(netmap_ports(m), 2);
    assert_string_equal(netmap_port_ns(m, 1), "/proc/2/ns/net");
    assert_int_equal(netmap_queue(m), 100);
    assert_int_equal(netmap_seed(m), 7);

    size_t len = ipv4(packet, paris, tokyo);
    assert_int_equal(netmap_route(m, 0, packet, len, &to, &path), 0);
    assert_int_equal(to, 1);
    assert_int_equal(path->delay_us, 120000);
    assert_int_equal(path->jitter_us, 500);
    assert_true(path->loss == 0.01 && path->duplicate == 0.001 && path->reorder == 0.02);
    assert_int_equal(netmap_route(m, 1, packet, len, &to, &path), -EACCES); /* a source that isn't there */
    assert_int_equal(netmap_route(m, 0, packet, 19, &to, &path), -EBADMSG);

    len = ipv4(packet, osaka, paris);
    assert_int_equal(netmap_route(m, 1, packet, len, &to, &path), 0);
    assert_int_equal(path->delay_us, 7000);
    len = ipv4(packet, tokyo, osaka); /* one way only */
    assert_int_equal(netmap_route(m, 1, packet, len, &to, &path), 0);
    assert_int_equal(path->delay_us, 3000);
    len = ipv4(packet, osaka, tokyo);
    assert_int_equal(netmap_route(m, 1, packet, len, &to, &path), 0);
    assert_int_equal(path->delay_us, 7000);
    len = ipv4(packet, paris, nobody);
    assert_int_equal(netmap_route(m, 0, packet, len, &to, &path), -EHOSTUNREACH);
    netmap_free(m);
}

static void the_longest_prefix_wins(void **state)
{
    char error[NETMAP_ERROR_LEN];
    uint8_t packet[40] = {[0] = 0x60, [8] = 0x20, [9] = 0x01, [10] = 0x0d, [11] = 0xb8, [13] = 1, [15] = 5};
    struct path *path;
    size_t to;
    struct netmap *m = netmap_parse(map_text, error);

    assert_non_null(m);
    memcpy(packet + 24, packet + 8, 16);
    packet[24 + 7] = 2; /* from paris' /48 to tokyo's /64 within it */
    assert_int_equal(netmap_route(m, 0, packet, 40, &to, &path), 0);
    assert_int_equal(to, 1);
    packet[24 + 7] = 3;
    assert_int_equal(netmap_route(m, 0, packet, 40, &to, &path), 0);
    assert_int_equal(to, 0);
    assert_int_equal(netmap_route(m, 0, packet, 39, &to, &path), -EBADMSG);
    netmap_free(m);
}

static void mistakes_are_told_with_their_line(void **state)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"nonsense 1\n", "line 1: 'nonsense': not a statement, or not a value for it"},
        {"seed\n", "line 1: 'seed': not a statement, or not a value for it"},
        {"queue 0\n", "line 1: 'queue': not a statement, or not a value for it"},
        {"\nhost a /ns\n", "line 2: host NAME NAMESPACE ADDRESS ..."},
        {"host a /ns 1.2.3.4\nhost a /ns 1.2.3.5\n", "line 2: the name is too long or stands twice"},
        {"host a /ns 1.2.3\n", "line 1: '1.2.3' is no address, or there are too many"},
        {"host a /ns 1.2.3.4/33\n", "line 1: '1.2.3.4/33' is no address, or there are too many"},
        {"host a /ns 1.2.3.4\nhost b /ns 1.2.3.4\n", "an address stands twice: at "},
        {"host a /ns 1.2.3.4\npair a b 10\n", "line 2: a path between unknown hosts"},
        {"default 1 2 3\n", "line 1: '3': DELAY_US [JITTER_US [LOSS]] [duplicate=P] [reorder=P]"},
        {"default 1 2 0 4\n", "line 1: '4': DELAY_US [JITTER_US [LOSS]] [duplicate=P] [reorder=P]"},
        {"default 1 speed=2\n", "line 1: 'speed=2': DELAY_US [JITTER_US [LOSS]] [duplicate=P] [reorder=P]"},
        {"default -1\n", "line 1: '-1': DELAY_US [JITTER_US [LOSS]] [duplicate=P] [reorder=P]"},
        {"default nan\n", "line 1: 'nan': DELAY_US [JITTER_US [LOSS]] [duplicate=P] [reorder=P]"},
    };
    char error[NETMAP_ERROR_LEN];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_null(netmap_parse(cases[i].text, error));
        assert_memory_equal(error, cases[i].error, strlen(cases[i].error));
    }
}

static void the_map_is_bounded(void **state)
{
    char error[NETMAP_ERROR_LEN];
    size_t room = 64 * (NETMAP_HOSTS_MAX + 1), used = 0;
    char *text = calloc(1, room);

    assert_non_null(text);
    for (int i = 0; i < NETMAP_HOSTS_MAX; i++)
        used +=
            (size_t)snprintf(text + used, room - used, "host h%d /ns 10.0.%d.%d\n", i, i / 250, i % 250 + 1);
    struct netmap *m = netmap_parse(text, error);
    assert_non_null(m);
    assert_int_equal(netmap_ports(m), 1);
    netmap_free(m);
    snprintf(text + used, room - used, "host more /ns 10.9.9.9\n");
    assert_null(netmap_parse(text, error));
    assert_non_null(strstr(error, "more than 512 hosts"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queue_gives_back_by_time_then_arrival),
        cmocka_unit_test(queue_refuses_past_its_bounds),
        cmocka_unit_test(queue_keeps_order_at_random),
        cmocka_unit_test(plain_path_only_delays),
        cmocka_unit_test(jitter_spreads_but_keeps_order),
        cmocka_unit_test(chances_come_out_as_asked),
        cmocka_unit_test(the_same_seed_is_the_same_network),
        cmocka_unit_test(map_routes_by_source_and_destination),
        cmocka_unit_test(the_longest_prefix_wins),
        cmocka_unit_test(mistakes_are_told_with_their_line),
        cmocka_unit_test(the_map_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
