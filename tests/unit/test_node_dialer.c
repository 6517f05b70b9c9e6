/* link: berth_node_lib */
/* Orders of links to dial: what its home is told of one that isn't ordered any more, and when it is forgotten. */
#include "node/dialer_internal.h"

#include "check.h"
#include "sys/clock.h"

#include <stdlib.h>
#include <string.h>

enum { THREADS = 1 };

struct world {
    struct media_exchange *exchange;
    struct dialer *dialer; /* without its thread: the test is that */
};

static int start(void **state)
{
    static struct world w;
    const struct media_exchange_opts x = {.threads = THREADS};
    assert_int_equal(media_exchange_new(&w.exchange, &x), 0);
    w.dialer = calloc(1, sizeof(*w.dialer));
    assert_non_null(w.dialer);
    w.dialer->self = THREADS;
    w.dialer->opts.exchange = w.exchange;
    pthread_mutex_init(&w.dialer->lock, NULL);
    w.dialer->wakeup_fd = sys_wakeup_open();
    assert_true(w.dialer->wakeup_fd >= 0);
    *state = &w;
    return 0;
}

static int stop(void **state)
{
    struct world *w = *state;
    dialer_update(w->dialer, calloc(1, sizeof(struct link_orders)));
    dialer_take_orders(w->dialer);
    for (size_t i = 0; i < LINKS_ORDERS_MAX; i++)
        assert_null(w->dialer->dials[i]);
    dialer_destroy(w->dialer);
    media_exchange_destroy(w->exchange);
    return 0;
}

/* Links of that many meetings, from that number on. */
static void order(struct world *w, size_t first, size_t n)
{
    struct link_orders *o = calloc(1, sizeof(*o) + n * sizeof(o->at[0]));
    assert_non_null(o);
    for (size_t i = 0; i < n; i++, o->n++) {
        strcpy(o->at[i].org, "o");
        snprintf(o->at[i].meeting, sizeof(o->at[i].meeting), "m%zu", first + i);
        strcpy(o->at[i].peer.who, "cloud/c0");
    }
    dialer_update(w->dialer, o);
    dialer_take_orders(w->dialer);
}

static struct media_ring *ring(struct world *w)
{
    return media_exchange_ring(w->exchange, THREADS, 0);
}

static struct dial *the_dial(struct world *w, size_t slot)
{
    assert_non_null(w->dialer->dials[slot]);
    return w->dialer->dials[slot];
}

/* One that was refused for its ticket waits; a newer ticket has it dial at once, the same again doesn't. */
static void test_a_newer_ticket(void **state)
{
    struct world *w = *state;
    const int64_t later_us = clock_mono_us() + 3600 * (int64_t)1000000;
    order(w, 0, 1);
    struct dial *x = the_dial(w, 0);
    x->due_us = later_us;
    x->backoff.failures = 9;
    order(w, 0, 1);
    assert_int_equal(x->due_us, later_us);
    struct link_orders *o = calloc(1, sizeof(*o) + sizeof(o->at[0]));
    assert_non_null(o);
    o->n = 1;
    o->at[0] = x->order;
    strcpy(o->at[0].grant.username, "newer");
    dialer_update(w->dialer, o);
    dialer_take_orders(w->dialer);
    assert_ptr_equal(the_dial(w, 0), x);
    assert_string_equal(x->order.grant.username, "newer");
    assert_true(x->due_us <= clock_mono_us());
    assert_int_equal(x->backoff.failures, 0);
}

/* What its home hasn't heard of an end is kept for it, even where nobody orders the link any more; then it is forgotten. */
static void test_a_home_hears_of_the_end_however_full_its_ring_is(void **state)
{
    struct world *w = *state;
    struct media_cell *c;
    order(w, 0, 1);
    struct dial *x = the_dial(w, 0);
    x->gone = 77 << DIAL_SLOT_BITS;
    while ((c = media_ring_room(ring(w), false))) {
        c->kind = MEDIA_CELL_PACKET;
        media_ring_push(ring(w));
    }
    order(w, 1, 1);
    assert_false(the_dial(w, 0)->wanted);
    assert_true(dialer_step_one(w->dialer, 0, 1) < INT64_MAX);
    assert_ptr_equal(the_dial(w, 0), x);
    while (media_ring_peek(ring(w)))
        media_ring_pop(ring(w));
    assert_true(dialer_step_one(w->dialer, 0, 2) == INT64_MAX);
    assert_null(w->dialer->dials[0]);
    c = media_ring_peek(ring(w));
    assert_non_null(c);
    assert_int_equal(c->kind, MEDIA_CELL_GONE);
    assert_true(c->path.stream == 77 << DIAL_SLOT_BITS);
    media_ring_pop(ring(w));
}

/* One that is ordered again before its end could be told is the same. */
static void test_ordered_again_in_time(void **state)
{
    struct world *w = *state;
    order(w, 0, 2);
    struct dial *x = the_dial(w, 0);
    x->gone = 78 << DIAL_SLOT_BITS;
    while (media_ring_room(ring(w), false))
        media_ring_push(ring(w));
    order(w, 1, 1);
    order(w, 0, 2);
    assert_ptr_equal(the_dial(w, 0), x);
    assert_true(x->wanted && x->gone != 0);
    while (media_ring_peek(ring(w)))
        media_ring_pop(ring(w));
    x->gone = 0;
}

/* As many as there may be, all of them others than before: those make room first. */
static void test_all_others(void **state)
{
    struct world *w = *state;
    for (size_t round = 0; round < 2; round++) {
        order(w, round * LINKS_ORDERS_MAX, LINKS_ORDERS_MAX);
        size_t n = 0;
        for (size_t i = 0; i < LINKS_ORDERS_MAX; i++)
            n += w->dialer->dials[i] && w->dialer->dials[i]->wanted;
        assert_int_equal(n, LINKS_ORDERS_MAX);
    }
}

/* What there is no room for shows, until there is. */
static void test_what_is_left_out_shows(void **state)
{
    struct world *w = *state;
    for (size_t left = 3; left-- > 0;) {
        struct link_orders *o = calloc(1, sizeof(*o));
        assert_non_null(o);
        o->left_out = (struct links_left_out){left, 10 * left, 100 * left};
        dialer_update(w->dialer, o);
        dialer_take_orders(w->dialer);
        struct metrics_text m;
        char text[8192], line[80];
        metrics_init(&m, text, sizeof(text));
        dialer_metrics(&w->dialer->counts, &m);
        static const char *const of[] = {"meetings", "peers", "links"};
        for (size_t i = 0, n = left; i < 3; i++, n *= 10) {
            snprintf(line, sizeof(line), "berth_node_links_left_out{of=\"%s\"} %zu\n", of[i], n);
            assert_non_null(strstr(text, line));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_home_hears_of_the_end_however_full_its_ring_is, start, stop),
        cmocka_unit_test_setup_teardown(test_a_newer_ticket, start, stop),
        cmocka_unit_test_setup_teardown(test_ordered_again_in_time, start, stop),
        cmocka_unit_test_setup_teardown(test_all_others, start, stop),
        cmocka_unit_test_setup_teardown(test_what_is_left_out_shows, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
