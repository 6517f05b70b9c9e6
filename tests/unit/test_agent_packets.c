/* link: berth_agent_core */
/* The queue of packets: order, wrapping, and its bound. */
#include "check.h"

#include "agent/packets.h"

#include <string.h>

static bool push(struct packets *q, uint64_t number, size_t len)
{
    uint8_t bytes[PACKET_LEN_MAX + 1];
    const struct packet_head h = {
        .call = number, .len = len, .received_us = (int64_t)number, .rtcp = number % 2 == 0};
    memset(bytes, (int)(number & 0xff), sizeof bytes);
    return packets_push(q, &h, bytes);
}

static void pop(struct packets *q, uint64_t number, size_t len)
{
    struct packet_head h;
    uint8_t bytes[PACKET_LEN_MAX];
    assert_true(packets_pop(q, &h, bytes));
    assert_true(h.call == number && h.len == len && h.rtcp == (number % 2 == 0));
    for (size_t i = 0; i < len; i++)
        assert_int_equal(bytes[i], number & 0xff);
}

static void packets_come_out_as_they_went_in(void **state)
{
    struct packets q = {0};
    uint64_t random = 99, in = 0, out = 0;
    static size_t lens[4096];
    for (int i = 0; i < 20000; i++) { /* the room is gone round many times */
        size_t len = check_random(&random) % (PACKET_LEN_MAX + 1);
        if (in - out < 200 && push(&q, in, len))
            lens[in++ % 4096] = len;
        if (check_random(&random) % 2 == 0 && out < in) {
            pop(&q, out, lens[out % 4096]);
            out++;
        }
    }
    for (; out < in; out++)
        pop(&q, out, lens[out % 4096]);
    struct packet_head h;
    uint8_t bytes[PACKET_LEN_MAX];
    assert_false(packets_pop(&q, &h, bytes));
    packets_clear(&q);
}

static void past_the_room_they_are_dropped(void **state)
{
    struct packets q = {0};
    uint64_t n = 0;
    assert_false(push(&q, 0, PACKET_LEN_MAX + 1));
    while (push(&q, n, 1000))
        n++;
    assert_int_equal(n, PACKETS_ROOM / (1000 + sizeof(struct packet_head)));
    pop(&q, 0, 1000);
    assert_true(push(&q, n, 1000));
    assert_false(push(&q, n + 1, 1000));
    packets_clear(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_come_out_as_they_went_in),
        cmocka_unit_test(past_the_room_they_are_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
