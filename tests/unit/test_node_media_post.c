/* link: berth_node_lib */
/* One thread's way between the addresses of datagrams and the homes of all threads: whose an address is, and who hears of it when that changes. */
#include "node/media/post_internal.h"

#include "check.h"

enum { THREADS = 3, ME = 0, OTHER = 1, THIRD = 2 };

struct world {
    struct media_exchange *exchange;
    struct media_post *post;
    h2o_loop_t *loop;
    struct node_stats stats;
    struct media_figures figures;
    struct media_path path;
};

static int start(void **state)
{
    static struct world w;
    const struct media_exchange_opts x = {.threads = THREADS};
    w = (struct world){.loop = h2o_evloop_create(),
                       .path = {.thread = ME, .peer = {.family = ADDR_V4, .port = 5}}};
    assert_int_equal(media_exchange_new(&w.exchange, &x), 0);
    const struct media_post_opts o = {
        .exchange = w.exchange, .thread = ME, .loop = w.loop, .stats = &w.stats, .figures = &w.figures};
    assert_int_equal(media_post_new(&w.post, &o), 0);
    *state = &w;
    return 0;
}

static int stop(void **state)
{
    struct world *w = *state;
    media_post_end(w->post, MEDIA_END_NODE_STOPPED);
    media_post_destroy(w->post);
    media_exchange_destroy(w->exchange);
    h2o_evloop_destroy(w->loop);
    return 0;
}

/* The next message to that thread, which is its kind's; the caller's until the next call. */
static struct media_cell *told(struct world *w, uint8_t to, enum media_cell_kind kind)
{
    static struct media_cell cell;
    struct media_ring *ring = media_exchange_ring(w->exchange, ME, to);
    struct media_cell *c = media_ring_peek(ring);
    assert_non_null(c);
    assert_int_equal(c->kind, kind);
    cell = *c;
    media_ring_pop(ring);
    return &cell;
}

static void assert_told_nothing(struct world *w, uint8_t to)
{
    assert_null(media_ring_peek(media_exchange_ring(w->exchange, ME, to)));
}

/* A home whose address is another's now is told, once. */
static void test_who_loses_an_address_hears_of_it(void **state)
{
    struct world *w = *state;
    post_attach(w->post, &w->path, OTHER);
    post_attach(w->post, &w->path, OTHER);
    assert_told_nothing(w, OTHER);
    post_attach(w->post, &w->path, THIRD);
    assert_told_nothing(w, THIRD);
    const struct media_cell *c = told(w, OTHER, MEDIA_CELL_GONE);
    assert_true(media_path_eq(&c->path, &w->path));
    assert_int_not_equal(c->reason, MEDIA_END_HANGING);
    assert_told_nothing(w, OTHER);
    post_attach(w->post, &w->path, ME);
    told(w, THIRD, MEDIA_CELL_GONE);
    post_attach(w->post, &w->path, OTHER); /* from this thread's own home: nobody of it was there */
    assert_told_nothing(w, THIRD);
    post_detach(w->post, &w->path, OTHER, MEDIA_END_LEFT);
    post_attach(w->post, &w->path, THIRD);
    assert_told_nothing(w, OTHER);
}

/* A request says whose its address is, where that is another home than the one that it goes to. */
static void test_requests_tell_whose_their_address_is(void **state)
{
    struct world *w = *state;
    static const uint8_t txid[STUN_TXID_LEN] = {1};
    static const char password[TICKET_PASSWORD_LEN + 1] = "password";
    const struct media_session_id session = {{OTHER, 1, 2}};
    const struct {
        int home; /* whose the address is; -1: nobody's */
        uint8_t taken;
    } cases[] = {{-1, 0}, {THIRD, THIRD + 1}, {ME, ME + 1}, {OTHER, 0}};
    uint8_t bytes[MEDIA_MESSAGE_MAX];
    struct limits limits = {0};
    size_t len = media_write_consent(bytes, txid, password, &session, false, (struct slice){NULL, 0});
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (uint8_t to = OTHER; to < THREADS; to++) {
            while (media_ring_peek(media_exchange_ring(w->exchange, ME, to)))
                media_ring_pop(media_exchange_ring(w->exchange, ME, to));
        }
        if (cases[i].home >= 0)
            assert_int_equal(media_flows_put(w->post->flows, &w->path, (uint8_t)cases[i].home), 0);
        assert_int_equal(media_post_ask(w->post, &w->path, bytes, len, &limits, 1), MEDIA_ASKED_SESSION);
        const struct media_cell *c = told(w, OTHER, MEDIA_CELL_STUN);
        assert_int_equal(c->path.taken, cases[i].taken);
        assert_true(media_path_eq(&c->path, &w->path));
    }
}

/* What other threads push, as if they were those threads. */
static void push_gone(struct world *w, uint8_t from, size_t cells)
{
    struct media_ring *ring = media_exchange_ring(w->exchange, from, ME);
    for (size_t i = 0; i < cells; i++) {
        struct media_cell *c = media_ring_room(ring, false);
        assert_non_null(c);
        *c = (struct media_cell){.kind = MEDIA_CELL_GONE, .path = w->path};
        media_ring_push(ring);
    }
}

static size_t waiting(struct world *w, uint8_t from)
{
    struct media_ring *ring = media_exchange_ring(w->exchange, from, ME);
    size_t n = 0;
    for (; media_ring_peek(ring); n++)
        media_ring_pop(ring);
    return n;
}

/* A thread that always has more than a turn takes holds up neither another's message nor the loop. */
static void test_a_flood_from_one_thread_holds_up_nobody(void **state)
{
    struct world *w = *state;
    const size_t share = POST_CELLS_A_TURN / THREADS, many = 1024;
    for (size_t turn = 0; turn < THREADS; turn++) {
        push_gone(w, OTHER, many);
        push_gone(w, THIRD, 1);
        assert_true(post_take_cells(w->post));
        assert_int_equal(waiting(w, THIRD), 0);
        assert_int_equal(waiting(w, OTHER), many - share);
    }
    push_gone(w, OTHER, share - 1);
    assert_false(post_take_cells(w->post)); /* that was all: nobody need look again */
    assert_int_equal(waiting(w, OTHER), 0);
}

/* Who is read first changes with every turn. */
static void test_every_ring_is_first_in_its_turn(void **state)
{
    struct world *w = *state;
    bool was_first[THREADS] = {false};
    for (size_t turn = 0; turn < THREADS; turn++) {
        was_first[w->post->first_ring] = true;
        (void)!post_take_cells(w->post);
    }
    for (size_t i = 0; i < THREADS; i++)
        assert_true(was_first[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_who_loses_an_address_hears_of_it, start, stop),
        cmocka_unit_test_setup_teardown(test_requests_tell_whose_their_address_is, start, stop),
        cmocka_unit_test_setup_teardown(test_a_flood_from_one_thread_holds_up_nobody, start, stop),
        cmocka_unit_test_setup_teardown(test_every_ring_is_first_in_its_turn, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
