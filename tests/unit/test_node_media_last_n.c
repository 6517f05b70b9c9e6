/* link: test_media_joined */
/* As many as are heard, on joined nodes: while no more than the last N send, nobody loses a packet, whoever comes,
 * goes, falls silent or moves to another node. */
#include "check.h"

#include "node/media/speakers.h"
#include "support/media/joined.h"

enum { LAST_N = 4, AUDIO_US = 20 * 1000, LEVELS = 100 };

static size_t count(const struct joined *w)
{
    size_t n = 0;
    for (size_t i = 0; i < w->n * JOINED_PEOPLE; i++)
        n += w->nodes[i / JOINED_PEOPLE].people[i % JOINED_PEOPLE] != NULL;
    return n;
}

static void join(struct joined *w, size_t i, size_t seat)
{
    if (w->nodes[i].people[seat] || count(w) == LAST_N)
        return;
    joined_join(w, i, seat);
    w->nodes[i].people[seat]->level = (uint8_t)(check_random(&w->random) % LEVELS);
}

static struct joined *begin(uint64_t seed)
{
    struct joined *w = joined_begin(3, 3, seed);
    w->last_n = LAST_N;
    w->epoch = 1;
    w->gap_us = AUDIO_US;
    joined_plan_all(w);
    for (size_t i = 0; i < w->n; i++)
        join(w, i, 0);
    joined_dial_all(w);
    return w;
}

/* It leaves where it was before anything else happens, or only after it has talked where it is. */
static void move(struct joined *w, size_t i, size_t seat)
{
    size_t to = check_random(&w->random) % w->n, to_seat = check_random(&w->random) % JOINED_PEOPLE;
    if (to == i || !w->nodes[i].people[seat] || w->nodes[to].people[to_seat])
        return;
    struct sim_agent *old = joined_move(w, i, seat, to, to_seat);
    if (check_random(&w->random) % 2)
        joined_talk(w, true);
    joined_left(w, old);
}

static void random_event(struct joined *w)
{
    size_t i = check_random(&w->random) % w->n, seat = check_random(&w->random) % JOINED_PEOPLE;
    switch (check_random(&w->random) % 8) {
    case 0:
    case 1:
    case 2:
        join(w, i, seat);
        break;
    case 3:
        joined_leave(w, i, seat);
        break;
    case 4:
        joined_pass(w, (int64_t)(check_random(&w->random) % 3000) * 1000);
        break;
    default:
        move(w, i, seat);
    }
    joined_settle(w);
}

static void test_random(void **state)
{
    enum { RUNS = 20, EVENTS = 60 };
    (void)state;
    for (uint64_t seed = 1; seed <= RUNS; seed++) {
        struct joined *w = begin(seed);
        for (int e = 0; e < EVENTS; e++) {
            random_event(w);
            joined_talk(w, true);
        }
        joined_end(w);
    }
}

static struct joined *begin_full(void)
{
    struct joined *w = begin(1);
    join(w, 2, 1);
    assert_int_equal(count(w), LAST_N);
    joined_talk(w, true);
    return w;
}

/* Elsewhere, so that the other nodes have to hear of it before the newcomer speaks. */
static void test_one_leaves_and_another_comes(void **state)
{
    (void)state;
    struct joined *w = begin_full();
    for (size_t from = 0; from < 2; from++) {
        joined_leave(w, from, 0);
        joined_settle(w);
        join(w, 1 - from, 1);
        struct sim_agent *newcomer = w->nodes[1 - from].people[1];
        sim_send(newcomer, 100);
        joined_settle(w);
        assert_int_equal(joined_heard(w->nodes[2].people[0], newcomer->ssrc), 1);
        joined_talk(w, true);
    }
    joined_end(w);
}

/* As one person, though it has two sessions and its packets come two ways; and over links it is heard at once where
 * it has been before. */
static void test_there_and_back(void **state)
{
    (void)state;
    struct joined *w = begin_full();
    for (size_t i = 0; i < 10; i++) {
        struct sim_agent *old = joined_move(w, i % 2, 0, 1 - i % 2, 2);
        joined_talk(w, true);
        joined_left(w, old);
        joined_talk(w, true);
        old = joined_move(w, 1 - i % 2, 2, i % 2, 0);
        joined_talk(w, true);
        joined_left(w, old);
        joined_pass(w, 3 * SPEAKER_SILENT_US);
        joined_talk(w, true);
    }
    joined_end(w);
}

/* A link's ticket says nothing of the last N, whatever epoch it is of: who comes after it with an older one brings what counts. */
static void test_a_link_comes_first(void **state)
{
    (void)state;
    struct joined *w = joined_begin(2, 2, 1);
    joined_plan_all(w);
    w->link_epoch = 50;
    joined_dial(w, 1, 0);
    w->last_n = 1;
    w->epoch = 17;
    for (size_t seat = 0; seat < JOINED_PEOPLE; seat++)
        joined_join(w, 0, seat);
    struct sim_agent *const *people = w->nodes[0].people;
    for (int i = 0; i < 10; i++) {
        sim_send(people[0], 100);
        sim_send(people[1], 100);
    }
    assert_int_equal(joined_heard(people[2], people[0]->ssrc), 10);
    assert_int_equal(joined_heard(people[2], people[1]->ssrc), 0);
    joined_end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_leaves_and_another_comes),
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_a_link_comes_first),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
