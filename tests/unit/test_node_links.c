/* link: berth_node_lib */
/* Pages of removals and of joined nodes, kept sorted and bounded; and what two nodes share. */
#include "check.h"

#include "node/links.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct link_keys keys, other;
static char other_key[LINK_KEY_TEXT_LEN + 1];

static int update(struct links *l, const char *body, size_t len)
{
    return links_update(l, &keys, body, len);
}

static int page(struct links *l, const char *removed, const char *more)
{
    char body[20 * 1024];
    snprintf(body, sizeof(body),
             "{\"version\":\"7.9\",\"more\":%s,\"all\":false,\"links\":[],\"removed\":[%s]}", more, removed);
    return update(l, body, strlen(body));
}

#define ANN(number) "{\"org\":\"o\",\"meeting\":\"m\",\"agent\":\"ann\",\"number\":" number "}"
#define BEN(number) "{\"org\":\"o\",\"meeting\":\"m\",\"agent\":\"ben\",\"number\":" number "}"

static bool is_out(const struct links *l, const char *who, int64_t number)
{
    struct media_plan_held *held = links_plan(l);
    struct ticket t = {.kind = TICKET_PARTICIPANT, .org = "o", .meeting = "m", .number = number};
    assert_non_null(held);
    strcpy(t.who, who);
    bool out = media_plan_is_removed(media_plan_of(held), &t);
    assert_null(media_plan_meeting(media_plan_of(held), "o", "m"));
    media_plan_release(media_plan_hold(held));
    media_plan_release(held);
    return out;
}

static void test_who_is_removed_is_out_up_to_the_number(void **state)
{
    (void)state;
    struct links l = {.n_removed = 0};
    assert_false(is_out(&l, "ann", 1));
    assert_int_equal(page(&l, BEN("20") "," ANN("10"), "true"), 0);
    assert_true(l.more);
    assert_string_equal(l.version, "7.9");
    assert_true(is_out(&l, "ann", 10));
    assert_false(is_out(&l, "ann", 11)); /* joined again */
    assert_true(is_out(&l, "ben", 20));
    links_clear(&l);
}

/* Of who has been erased only a hash is told, of the name in that meeting: echo -n o/m/ann | sha256sum */
static void test_who_is_erased_is_out_too(void **state)
{
    (void)state;
    struct links l = {.n_removed = 0};
    char name[AGENT_ID_MAX + 1], entry[256];
    media_plan_hash_name(name, "o", "m", "ann");
    assert_string_equal(name, "~4171d1a06c4d4ae27df722d01474e3f0abef72775fe15acdc644ed5c76560eed");
    snprintf(entry, sizeof(entry), "{\"org\":\"o\",\"meeting\":\"m\",\"agent\":\"%s\",\"number\":10}", name);
    assert_int_equal(page(&l, entry, "false"), 0);
    assert_true(is_out(&l, "ann", 10));
    assert_false(is_out(&l, "ann", 11));
    assert_false(is_out(&l, "anna", 10));
    links_clear(&l);
}

static void test_the_greatest_number_stays_whatever_the_order(void **state)
{
    (void)state;
    struct links l = {.n_removed = 0};
    assert_int_equal(page(&l, ANN("30"), "false"), 0);
    assert_int_equal(page(&l, ANN("10") "," ANN("20"), "false"), 0);
    assert_int_equal(l.n_removed, 1);
    assert_true(is_out(&l, "ann", 30));
    assert_false(l.more);
    links_clear(&l);
}

static void test_what_cannot_be_read_changes_nothing(void **state)
{
    (void)state;
    static const char *const bodies[] = {"",
                                         "[]",
                                         "{}",
                                         "{\"removed\":[]}",
                                         "{\"version\":\"\",\"removed\":[]}",
                                         "{\"version\":1,\"removed\":[]}",
                                         "{\"version\":\"1\",\"removed\":{}}"};
    struct links l = {.n_removed = 0};
    assert_int_equal(page(&l, ANN("10"), "false"), 0);
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
        assert_int_equal(update(&l, bodies[i], strlen(bodies[i])), -EBADMSG);
    assert_int_equal(update(&l, NULL, 0), -EBADMSG);
    assert_string_equal(l.version, "7.9");
    /* Entries that make no sense are left out, and the rest taken. */
    assert_int_equal(page(&l, "7,{},{\"org\":\"o\",\"meeting\":\"m\",\"agent\":\"x\"}," BEN("5"), "false"),
                     0);
    assert_int_equal(l.n_removed, 2);
    assert_true(is_out(&l, "ben", 5));
    links_clear(&l);
}

static void test_the_newest_stay_where_there_are_too_many(void **state)
{
    (void)state;
    struct links l = {.n_removed = 0};
    for (int i = 0; i < LINKS_REMOVED_MAX + 10;) {
        char many[16 * 1024];
        size_t len = 0;
        for (int k = 0; k < 200 && i < LINKS_REMOVED_MAX + 10; k++, i++)
            len += (size_t)snprintf(many + len, sizeof(many) - len,
                                    "%s{\"org\":\"o\",\"meeting\":\"m\",\"agent\":\"a%d\",\"number\":%d}",
                                    k > 0 ? "," : "", i, i + 1);
        assert_int_equal(page(&l, many, "false"), 0);
    }
    assert_int_equal(l.n_removed, LINKS_REMOVED_MAX);
    assert_false(is_out(&l, "a9", 10));
    assert_true(is_out(&l, "a10", 11));
    links_clear(&l);
}

/* ---- joined nodes ---- */

enum { BODY = 64 * 1024 };

/* One meeting's link to `n` nodes, c0 on; `more` is what else it says. */
static size_t write_link(char *out, const char *meeting, int n, const char *more)
{
    size_t len =
        (size_t)sprintf(out, "{\"org\":\"o\",\"meeting\":\"%s\",\"epoch\":3%s,\"peers\":[", meeting, more);
    for (int i = 0; i < n; i++)
        len += (size_t)sprintf(
            out + len,
            "%s{\"org\":\"cloud\",\"node\":\"c%d\",\"key\":\"%s\",\"role\":\"%s\",\"leaf\":%s,"
            "\"addresses\":{\"udp\":[\"192.0.2.1:5004\"],\"tls\":[\"192.0.2.1:443\"]},"
            "\"tls_name\":\"c.example\"%s}",
            i > 0 ? "," : "", i, other_key, i % 2 ? "accept" : "dial", i % 3 ? "false" : "true",
            i % 4 == 3 ? "" : ",\"ticket\":{\"username\":\"u\",\"password\":\"p\"}");
    return len + (size_t)sprintf(out + len, "]}");
}

static int told(struct links *l, const char *links, const char *more)
{
    static char body[BODY + 100];
    snprintf(body, sizeof(body), "{\"version\":\"7.9\",%s,\"links\":[%s],\"removed\":[]}", more, links);
    return update(l, body, strlen(body));
}

static void test_two_nodes_share_the_same(void **state)
{
    (void)state;
    uint8_t a[MEDIA_SHARED_LEN], b[MEDIA_SHARED_LEN];
    for (int i = 0; i < 8; i++) { /* whichever has the lesser key */
        struct link_keys one, two;
        link_keys_make(&one);
        link_keys_make(&two);
        assert_int_equal(link_keys_share(&one, two.public_key, a), 0);
        assert_int_equal(link_keys_share(&two, one.public_key, b), 0);
        assert_memory_equal(a, b, sizeof(a));
        assert_int_equal(link_keys_share(&one, one.public_key, a), -EINVAL);
        static const uint8_t none[crypto_kx_PUBLICKEYBYTES];
        assert_int_equal(link_keys_share(&one, none, a), -EINVAL);
    }
}

static void test_a_meeting_is_joined(void **state)
{
    (void)state;
    struct links l = {.n_removed = 0};
    char link[BODY];
    uint8_t shared[MEDIA_SHARED_LEN];
    write_link(link, "m", 4, ",\"hub\":\"n1\",\"is_hub\":true");
    assert_int_equal(told(&l, link, "\"more\":false,\"all\":true"), 0);
    struct media_plan_held *held = links_plan(&l);
    const struct media_plan_meeting *m = media_plan_meeting(media_plan_of(held), "o", "m");
    assert_non_null(m);
    assert_true(m->hub && m->epoch == 3 && m->n_peers == 4);
    const struct media_plan_peer *p = media_plan_peer(m, "cloud/c1");
    assert_true(p && !p->dial && !p->leaf && m->peers[0].dial && m->peers[0].leaf);
    assert_int_equal(link_keys_share(&other, keys.public_key, shared), 0);
    assert_memory_equal(p->shared, shared, sizeof(shared));
    struct link_orders *o = links_orders(&l);
    assert_int_equal(o->n, 3); /* c3 has no ticket for us: it dials */
    assert_string_equal(o->at[1].peer.who, "cloud/c1");
    assert_string_equal(o->at[1].tls_name, "c.example");
    assert_int_equal(o->at[1].addresses.n[TRANSPORT_UDP], 1);
    link_orders_free(o);
    media_plan_release(held);
    write_link(link, "m", 0, "");
    assert_int_equal(told(&l, link, "\"more\":false,\"all\":false"), 0);
    assert_int_equal(l.n_meetings, 0);
    links_clear(&l);
}

static void test_who_is_the_hub(void **state)
{
    (void)state;
    static const struct {
        const char *more;
        bool hub;
    } cases[] = {{"", false},
                 {",\"hub\":\"n1\",\"is_hub\":true", true},
                 {",\"hub\":\"n1\",\"is_hub\":false", false}, /* another org's may be called as this one is */
                 {",\"hub\":\"n1\"", false},
                 {",\"is_hub\":7", false}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct links l = {.n_removed = 0};
        char link[BODY];
        write_link(link, "m", 1, cases[i].more);
        assert_int_equal(told(&l, link, "\"more\":false,\"all\":true"), 0);
        assert_int_equal(l.meetings[0].plan.hub, cases[i].hub);
        links_clear(&l);
    }
    struct links l = {.n_removed = 0};
    assert_int_equal(links_update(&l, &keys, "{}", 0), -EBADMSG);
    links_clear(&l);
}

/* What an answer that tells everything doesn't name is over, when its last page has come; others change what they name. */
static void test_everything_anew(void **state)
{
    (void)state;
    struct links l = {.n_removed = 0};
    char link[BODY];
    for (char name[] = "a"; name[0] <= 'e'; name[0]++) {
        write_link(link, name, 1, "");
        assert_int_equal(told(&l, link, "\"more\":false,\"all\":false"), 0);
    }
    assert_int_equal(l.n_meetings, 5);
    links_forget_version(&l);
    assert_string_equal(l.version, "");
    assert_int_equal(l.n_meetings, 5);
    write_link(link, "d", 2, "");
    assert_int_equal(told(&l, link, "\"more\":true,\"all\":true"), 0);
    assert_true(l.more && l.n_meetings == 5);
    write_link(link, "b", 1, "");
    assert_int_equal(told(&l, link, "\"more\":false,\"all\":true"), 0);
    assert_false(l.more);
    assert_int_equal(l.n_meetings, 2);
    assert_string_equal(l.meetings[0].plan.id, "b");
    assert_int_equal(l.meetings[1].n_peers, 2);
    links_clear(&l);
}

static void test_bounds_of_joined_nodes(void **state)
{
    (void)state;
    struct links l = {.n_removed = 0};
    static char link[BODY];
    write_link(link, "m", LINKS_PEERS_MAX + 3, "");
    assert_int_equal(told(&l, link, "\"more\":false,\"all\":true"), 0);
    assert_int_equal(l.meetings[0].n_peers, LINKS_PEERS_MAX);
    for (int i = 0; i < LINKS_MEETINGS_MAX + 5; i++) {
        char name[16];
        snprintf(name, sizeof(name), "x%d", i);
        write_link(link, name, 1, "");
        assert_int_equal(told(&l, link, "\"more\":false,\"all\":false"), 0);
    }
    assert_int_equal(l.n_meetings, LINKS_MEETINGS_MAX);
    assert_int_equal(l.left_out, 6);
    struct link_orders *o = links_orders(&l);
    assert_int_equal(o->n, LINKS_ORDERS_MAX);
    assert_int_equal(o->left_out.meetings, 6);
    assert_int_equal(o->left_out.peers, 3);
    assert_int_equal(o->left_out.links, LINKS_MEETINGS_MAX - 1 + LINKS_PEERS_MAX * 3 / 4 - LINKS_ORDERS_MAX);
    link_orders_free(o);
    write_link(link, "m", 1, ""); /* everything anew: there is room for all of it */
    assert_int_equal(told(&l, link, "\"more\":false,\"all\":true"), 0);
    o = links_orders(&l);
    assert_int_equal(o->left_out.meetings + o->left_out.peers + o->left_out.links, 0);
    link_orders_free(o);
    links_clear(&l);
}

/* Where there are more links than may be dialled, those that have been stay, whatever comes before them by its name. */
static void test_links_that_are_ordered_stay(void **state)
{
    (void)state;
    struct links l = {.n_removed = 0};
    static char link[BODY];
    for (int i = 0; i < LINKS_ORDERS_MAX; i++) {
        char name[16];
        snprintf(name, sizeof(name), "m%04d", i);
        write_link(link, name, 1, "");
        assert_int_equal(told(&l, link, "\"more\":false,\"all\":false"), 0);
    }
    struct link_orders *o = links_orders(&l);
    assert_int_equal(o->n, LINKS_ORDERS_MAX);
    link_orders_free(o);
    write_link(link, "a", 2, "");
    assert_int_equal(told(&l, link, "\"more\":false,\"all\":false"), 0);
    write_link(link, "m0500", 1, ",\"hub\":\"c0\""); /* told anew, it is the same link */
    assert_int_equal(told(&l, link, "\"more\":false,\"all\":false"), 0);
    o = links_orders(&l);
    assert_int_equal(o->left_out.links, 2);
    for (size_t i = 0; i < o->n; i++)
        assert_string_not_equal(o->at[i].meeting, "a");
    link_orders_free(o);
    write_link(link, "m0007", 0, ""); /* there is room for one */
    assert_int_equal(told(&l, link, "\"more\":false,\"all\":false"), 0);
    o = links_orders(&l);
    assert_int_equal(o->n, LINKS_ORDERS_MAX);
    assert_string_equal(o->at[o->n - 1].meeting, "a");
    assert_string_equal(o->at[o->n - 1].peer.who, "cloud/c0");
    link_orders_free(o);
    links_clear(&l);
}

static int told_peer(struct links *l, const char *role, const char *ticket)
{
    static char link[BODY];
    snprintf(link, sizeof(link),
             "{\"org\":\"o\",\"meeting\":\"m\",\"epoch\":3,\"peers\":[{\"org\":\"cloud\",\"node\":\"c0\","
             "\"key\":\"%s\","
             "\"role\":\"%s\",\"leaf\":false,\"addresses\":{\"udp\":[\"192.0.2.1:5004\"]}%s}]}",
             other_key, role, ticket);
    return told(l, link, "\"more\":false,\"all\":false");
}

/* An answer without a ticket takes none away from who is still to dial. */
static void test_a_ticket_stays_until_another_comes(void **state)
{
    (void)state;
    struct links l = {.n_removed = 0};
    static const struct {
        const char *role, *ticket, *has;
    } told[] = {
        {"dial", "", NULL},
        {"dial", ",\"ticket\":{\"username\":\"u1\",\"password\":\"p1\"}", "u1"},
        {"dial", "", "u1"},
        {"dial", ",\"ticket\":{\"username\":\"\",\"password\":\"\"}", "u1"},
        {"dial", ",\"ticket\":{\"username\":\"u2\",\"password\":\"p2\"}", "u2"},
        {"accept", "", NULL},
    };
    for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
        assert_int_equal(told_peer(&l, told[i].role, told[i].ticket), 0);
        struct link_orders *o = links_orders(&l);
        assert_int_equal(o->n, told[i].has != NULL);
        if (told[i].has) {
            assert_string_equal(o->at[0].grant.username, told[i].has);
            assert_int_equal(o->at[0].addresses.n[TRANSPORT_UDP], 1);
        }
        link_orders_free(o);
    }
    links_clear(&l);
}

static void test_peers_that_make_no_sense(void **state)
{
    (void)state;
    static const char *const bad[] = {"7", "{}", "{\"org\":\"cloud\",\"node\":\"x\"}",
                                      "{\"org\":\"cloud\",\"node\":\"x\",\"key\":\"abc\"}",
                                      "{\"org\":\"cloud\",\"node\":\"\",\"key\":\"AAAA\"}"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct links l = {.n_removed = 0};
        char link[512];
        snprintf(link, sizeof(link), "{\"org\":\"o\",\"meeting\":\"m\",\"epoch\":1,\"peers\":[%s]}", bad[i]);
        assert_int_equal(told(&l, link, "\"more\":false,\"all\":true"), 0);
        assert_int_equal(l.n_meetings, 0);
        links_clear(&l);
    }
}

int main(void)
{
    link_keys_make(&keys);
    link_keys_make(&other);
    link_keys_text(&other, other_key);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_is_removed_is_out_up_to_the_number),
        cmocka_unit_test(test_who_is_erased_is_out_too),
        cmocka_unit_test(test_the_greatest_number_stays_whatever_the_order),
        cmocka_unit_test(test_what_cannot_be_read_changes_nothing),
        cmocka_unit_test(test_the_newest_stay_where_there_are_too_many),
        cmocka_unit_test(test_two_nodes_share_the_same),
        cmocka_unit_test(test_a_meeting_is_joined),
        cmocka_unit_test(test_who_is_the_hub),
        cmocka_unit_test(test_everything_anew),
        cmocka_unit_test(test_bounds_of_joined_nodes),
        cmocka_unit_test(test_links_that_are_ordered_stay),
        cmocka_unit_test(test_a_ticket_stays_until_another_comes),
        cmocka_unit_test(test_peers_that_make_no_sense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
