/* link: berth_node_lib */
/* One thread's way between the addresses of datagrams and the homes of all threads: whose an address is, and who
 * hears of it when that changes. */
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
    post_detach(w->post, &w->path, OTHER);
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
            assert_int_equal(media_flows_put(w->post->flows, &w->path, (uint8_t)cases[i].home, 0), 0);
        assert_int_equal(media_post_ask(w->post, &w->path, bytes, len, &limits, 1), MEDIA_ASKED_SESSION);
        const struct media_cell *c = told(w, OTHER, MEDIA_CELL_STUN);
        assert_int_equal(c->path.taken, cases[i].taken);
        assert_true(media_path_eq(&c->path, &w->path));
    }
}

/* What a consent check names is a home that its sender has chosen: only for the one that has the address's session
 * it isn't counted by its source. */
static void test_only_the_home_of_an_address_counts_for_itself(void **state)
{
    struct world *w = *state;
    static const uint8_t txid[STUN_TXID_LEN] = {1};
    struct limits_table *table = limits_table_new();
    struct limits limits;
    uint8_t bytes[MEDIA_MESSAGE_MAX];
    assert_non_null(table);
    limits_init(&limits, table, 1, 0);
    assert_int_equal(media_flows_put(w->post->flows, &w->path, OTHER, 0), 0);
    for (uint8_t to = OTHER; to < THREADS; to++) {
        const struct media_session_id session = {{to, 1, 2}};
        size_t len = media_write_consent(bytes, txid, "password", &session, false, (struct slice){NULL, 0});
        size_t n = 0;
        while (n < 10 && media_post_ask(w->post, &w->path, bytes, len, &limits, 1) == MEDIA_ASKED_SESSION)
            assert_true(told(w, to, MEDIA_CELL_STUN)->path.known == (to == OTHER) && ++n > 0);
        assert_int_equal(n, to == OTHER ? 10 : 1);
    }
    free(table);
}

/* ---- a stream ---- */

struct owner {
    bool attached;
};

static void on_write(void *owner)
{
}

static void on_attached(void *owner, bool on)
{
    struct owner *o = owner;
    assert_true(o->attached != on);
    o->attached = on;
}

static const struct stream_face face = {on_write, on_attached, on_write};

/* One that has asked for a session of that thread's. */
static struct stream_media *ask(struct world *w, struct owner *o, uint8_t home)
{
    static const uint8_t txid[STUN_TXID_LEN] = {1};
    struct limits limits = {0};
    const struct stream_place at = {
        .post = w->post, .face = &face, .owner = o, .carrier = MEDIA_TCP, .limits = &limits};
    const struct media_session_id session = {{home, 1, 2}};
    struct stream_media *m = NULL;
    uint8_t bytes[MEDIA_MESSAGE_MAX], out[STUN_BINDING_ANSWER_MAX];
    size_t written = 0;
    const struct slice message = {
        bytes, media_write_consent(bytes, txid, "password", &session, false, (struct slice){NULL, 0})};
    assert_int_equal(stream_media_message(&m, &at, message, out, &written), STUN_TAP_TAKEN);
    assert_non_null(m);
    told(w, home, MEDIA_CELL_STUN);
    return m;
}

/* As with an address: only the home that has the stream's session counts for itself what comes over it. */
static void test_only_the_home_of_a_stream_counts_for_itself(void **state)
{
    struct world *w = *state;
    struct owner o = {false};
    struct limits_table *table = limits_table_new();
    struct limits limits;
    struct stream_media *m = ask(w, &o, OTHER);
    const struct stream_place at = {
        .post = w->post, .face = &face, .owner = &o, .carrier = MEDIA_TCP, .limits = &limits};
    static const uint8_t txid[STUN_TXID_LEN] = {1};
    uint8_t bytes[MEDIA_MESSAGE_MAX], out[STUN_BINDING_ANSWER_MAX];
    assert_non_null(table);
    limits_init(&limits, table, 1, 0);
    post_attach(w->post, &m->path, OTHER);
    for (uint8_t to = OTHER; to < THREADS; to++) {
        const struct media_session_id session = {{to, 1, 2}};
        const struct slice message = {
            bytes, media_write_consent(bytes, txid, "password", &session, false, (struct slice){NULL, 0})};
        size_t n = 0, written;
        while (n < 10 && stream_media_message(&m, &at, message, out, &written) == STUN_TAP_TAKEN)
            assert_true(told(w, to, MEDIA_CELL_STUN)->path.known == (to == OTHER) && ++n > 0);
        assert_int_equal(n, to == OTHER ? 10 : 1);
    }
    stream_media_gone(m, false);
    free(table);
}

/* A stream waits for an answer only where its request was taken: what no ring had room for keeps no memory. */
static void test_a_stream_waits_for_nothing_that_was_dropped(void **state)
{
    struct world *w = *state;
    struct owner o = {false};
    struct limits limits = {0};
    const struct stream_place at = {
        .post = w->post, .face = &face, .owner = &o, .carrier = MEDIA_TCP, .limits = &limits};
    static const uint8_t txid[STUN_TXID_LEN] = {1};
    const struct media_session_id session = {{OTHER, 1, 2}};
    struct media_ring *ring = media_exchange_ring(w->exchange, ME, OTHER);
    struct stream_media *m = NULL;
    uint8_t bytes[MEDIA_MESSAGE_MAX], out[STUN_BINDING_ANSWER_MAX];
    size_t written = 0;
    const struct slice message = {
        bytes, media_write_consent(bytes, txid, "password", &session, false, (struct slice){NULL, 0})};
    while (media_ring_room(ring, true))
        media_ring_push(ring);
    assert_int_equal(stream_media_message(&m, &at, message, out, &written), STUN_TAP_TAKEN);
    assert_non_null(m);
    assert_false(m->waits);
    assert_int_equal(stream_media_take(m).len, 0);
    assert_null(m->queue);
    while (media_ring_peek(ring))
        media_ring_pop(ring);
    assert_int_equal(stream_media_message(&m, &at, message, out, &written), STUN_TAP_TAKEN);
    assert_true(m->waits);
    assert_int_equal(stream_media_take(m).len, 0);
    assert_non_null(m->queue);
    stream_media_gone(m, false);
}

/* Two homes' sessions over one stream: the one of before hears that it is over, as with an address. */
static void test_who_loses_a_stream_hears_of_it(void **state)
{
    struct world *w = *state;
    struct owner o = {false};
    struct stream_media *m = ask(w, &o, OTHER);
    post_attach(w->post, &m->path, OTHER);
    post_attach(w->post, &m->path, OTHER);
    assert_told_nothing(w, OTHER);
    post_attach(w->post, &m->path, THIRD);
    assert_true(media_path_eq(&told(w, OTHER, MEDIA_CELL_GONE)->path, &m->path));
    post_detach(w->post, &m->path, OTHER);
    assert_true(o.attached);
    post_detach(w->post, &m->path, THIRD);
    assert_false(o.attached);
    stream_media_gone(m, false);
}

/* A home's last word about a path found no room, however often it was tried: the path is forgotten all the same,
 * once it is clear that no session can be there. One whose home speaks of it stays. */
static void test_a_lost_detach_heals(void **state)
{
    struct world *w = *state;
    struct owner lost = {false}, kept = {false};
    struct media_path stays = w->path;
    struct stream_media *a = ask(w, &lost, OTHER), *b = ask(w, &kept, OTHER);
    stays.peer.port++;
    post_attach(w->post, &w->path, OTHER);
    post_attach(w->post, &a->path, OTHER);
    post_attach(w->post, &stays, OTHER);
    post_attach(w->post, &b->path, OTHER);
    const int64_t second_us = 1000 * 1000, began_us = a->attached_us;
    int64_t now_us = began_us;
    for (; now_us < began_us + MEDIA_STALE_US - second_us; now_us += second_us)
        media_post_step(w->post, now_us);
    assert_int_equal(media_flows_count(w->post->flows), 2);
    assert_true(lost.attached);
    b->attached_us = now_us; /* the same as its home's word now */
    assert_int_equal(media_flows_put(w->post->flows, &stays, OTHER, now_us), 0);
    for (int i = 0; i < 2 * MEDIA_FLOWS_PARTS; i++, now_us += second_us)
        media_post_step(w->post, now_us);
    assert_int_equal(media_flows_find(w->post->flows, &w->path), -1);
    assert_int_equal(media_flows_find(w->post->flows, &stays), OTHER);
    assert_false(lost.attached);
    assert_true(kept.attached);
    stream_media_gone(a, false);
    stream_media_gone(b, false);
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
    const size_t share = POST_CELLS_A_TURN / media_exchange_parties(w->exchange), many = 1024;
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
        cmocka_unit_test_setup_teardown(test_only_the_home_of_an_address_counts_for_itself, start, stop),
        cmocka_unit_test_setup_teardown(test_only_the_home_of_a_stream_counts_for_itself, start, stop),
        cmocka_unit_test_setup_teardown(test_a_stream_waits_for_nothing_that_was_dropped, start, stop),
        cmocka_unit_test_setup_teardown(test_who_loses_a_stream_hears_of_it, start, stop),
        cmocka_unit_test_setup_teardown(test_a_lost_detach_heals, start, stop),
        cmocka_unit_test_setup_teardown(test_a_flood_from_one_thread_holds_up_nobody, start, stop),
        cmocka_unit_test_setup_teardown(test_every_ring_is_first_in_its_turn, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
