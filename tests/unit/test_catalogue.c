/* link: berth_controller_lib */
/* The catalogue: who sees which node, what the list's version depends on, what nodes' states are. */
#include "catalogue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define UDP "{\"udp\":[\"192.0.2.1:5004\"]}"

static struct catalogue_row row(const char *org, const char *id)
{
    return (struct catalogue_row){.org = org,
                                  .id = id,
                                  .cluster = "c1",
                                  .region = "eu",
                                  .tls_name = "n.example",
                                  .labels = "{}",
                                  .addresses = UDP};
}

static const struct catalogue_load fresh = {.heartbeat_age_us = 1000};

/* Rows must be sorted by (org, id). */
static struct catalogue *make(const struct catalogue_row *rows, size_t n, const struct catalogue_load *loads)
{
    struct catalogue_load same[16];
    struct catalogue_nodes *nodes = catalogue_nodes_new(1, rows, n);
    struct catalogue *c;

    for (size_t i = 0; i < n; i++)
        same[i] = fresh;
    c = catalogue_new(nodes, loads != NULL ? loads : same);
    catalogue_nodes_unref(nodes);
    assert_non_null(c);
    return c;
}

static void assert_sees(const struct catalogue *c, const char *org, const char *want)
{
    struct catalogue_iter it = {0};
    const struct catalogue_node *n;
    char got[256] = "";

    while ((n = catalogue_next(c, org, &it)) != NULL)
        snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s/%s ", n->org, n->id);
    assert_string_equal(got, want);
    assert_null(catalogue_next(c, org, &it)); /* the end stays the end */
}

static void test_cloud_and_own_mesh_only(void **state)
{
    const struct catalogue_row rows[] = {row("acme", "a1"), row("acme", "z9"), row("cloud", "fra"),
                                         row("cloud", "nyc"), row("globex", "g1")};
    struct catalogue *c = make(rows, 5, NULL);

    assert_sees(c, "acme", "cloud/fra cloud/nyc acme/a1 acme/z9 ");
    assert_sees(c, "globex", "cloud/fra cloud/nyc globex/g1 ");
    assert_sees(c, "nobody", "cloud/fra cloud/nyc ");
    assert_sees(c, "cloud", "cloud/fra cloud/nyc ");
    assert_sees(c, NULL, "acme/a1 acme/z9 cloud/fra cloud/nyc globex/g1 ");
    assert_true(catalogue_knows(c, "acme", "a1"));
    assert_true(catalogue_knows(c, "acme", "fra"));
    assert_false(catalogue_knows(c, "acme", "g1"));
    assert_false(catalogue_knows(c, "acme", "x"));
    assert_null(catalogue_find(c, "acme", "fra"));
    assert_non_null(catalogue_resolve(c, "acme", "fra"));
    assert_null(catalogue_resolve(c, "acme", "g1"));
    catalogue_destroy(c);
}

static void test_empty(void **state)
{
    struct catalogue *c = make(NULL, 0, NULL);

    assert_sees(c, "acme", "");
    assert_sees(c, NULL, "");
    assert_false(catalogue_knows(c, "acme", "a"));
    catalogue_destroy(c);
}

static void test_a_cloud_node_hides_a_mesh_node_of_its_name(void **state)
{
    const struct catalogue_row rows[] = {row("acme", "fra"), row("cloud", "fra")};
    struct catalogue *c = make(rows, 2, NULL);

    assert_sees(c, "acme", "cloud/fra ");
    assert_false(catalogue_resolve(c, "acme", "fra")->mesh);
    catalogue_destroy(c);
}

static void test_deleted_is_known_but_not_seen(void **state)
{
    struct catalogue_row rows[] = {row("acme", "a"), row("cloud", "a")};
    struct catalogue *c;

    rows[1].deleted = true;
    c = make(rows, 2, NULL);
    assert_sees(c, "acme", "acme/a ");
    assert_sees(c, "globex", "");
    assert_true(catalogue_knows(c, "globex", "a"));
    catalogue_destroy(c);
}

static void test_state(void **state)
{
    struct catalogue_node n = {.drain = false};
    struct catalogue_load l = fresh;

    assert_int_equal(node_state_of(&n, &l), NODE_UP);
    l.heartbeat_age_us = CATALOGUE_HEALTHY_US;
    assert_int_equal(node_state_of(&n, &l), NODE_DOWN);
    assert_true(node_listed(&l));
    l.heartbeat_age_us = CATALOGUE_LISTED_US;
    assert_false(node_listed(&l));
    l.heartbeat_age_us = -1;
    assert_false(node_healthy(&l));
    assert_false(node_listed(&l));
    l = fresh;
    l.stopping = true;
    assert_int_equal(node_state_of(&n, &l), NODE_DOWN);
    l.stopping = false;
    l.draining = true;
    assert_int_equal(node_state_of(&n, &l), NODE_DRAINING);
    l.draining = false;
    n.drain = true;
    assert_int_equal(node_state_of(&n, &l), NODE_DRAINING);
    assert_string_equal(node_state_name(NODE_DRAINING), "draining");
}

static void test_list_document(void **state)
{
    struct catalogue_row rows[] = {row("acme", "a"), row("cloud", "x"), row("cloud", "y")};
    struct catalogue_load loads[] = {fresh, {.heartbeat_age_us = CATALOGUE_LISTED_US}, fresh};
    struct probe_policy policy;
    struct nodelist list;
    struct doc_error e;
    struct catalogue *c;
    char *text;
    size_t len;
    json_t *j;

    probe_policy_init(&policy);
    rows[0].addresses =
        "{\"udp\":[\"0.0.0.0:5004\"],\"tcp\":[\"[2001:db8::1]:5004\"],\"tls\":[\"10.0.0.1:443\"]}";
    rows[0].advertised = "{\"tls\":[\"203.0.113.9:443\"]}";
    rows[0].tls_spki = "[\"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\"]";
    rows[2].tls_spki = "[\"not a digest\"]"; /* the database is not trusted to be ours alone */
    c = make(rows, 3, loads);
    text = catalogue_list_json(c, "acme", &policy, &len);
    assert_non_null(text);
    assert_int_equal(strlen(text), len);
    j = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(j);
    assert_int_equal(nodelist_from_json(j, &list, &e), 0);
    assert_int_equal(list.n, 2); /* x has been silent for long */
    assert_string_equal(list.nodes[0].node, "y");
    assert_true(list.nodes[1].mesh);
    assert_string_equal(list.nodes[1].tls_name, "n.example");
    assert_int_equal(list.nodes[0].tls_spki.n, 0);
    assert_int_equal(list.nodes[1].tls_spki.n, 1);
    assert_string_equal(list.nodes[1].tls_spki.at[0], "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    assert_int_equal(list.nodes[1].addresses.n[TRANSPORT_UDP], 0); /* a wildcard is no address to hand out */
    assert_int_equal(list.nodes[1].addresses.n[TRANSPORT_TCP], 1);
    assert_int_equal(list.nodes[1].addresses.at[TRANSPORT_TLS][0].ip[0], 203);
    assert_int_equal(node_transports(catalogue_find(c, "acme", "a")),
                     1u << TRANSPORT_TCP | 1u << TRANSPORT_TLS | 1u << TRANSPORT_PROXY);
    assert_int_equal(node_transports(catalogue_find(c, "cloud", "y")), 1u << TRANSPORT_UDP);
    nodelist_clear(&list);
    json_decref(j);
    free(text);
    text = catalogue_list_json(c, "none", &policy, &len);
    assert_non_null(strstr(text, "\"nodes\":[{\"node\":\"y\""));
    free(text);
    catalogue_destroy(c);
}

static void version(const struct catalogue_row *rows, size_t n, const struct catalogue_load *loads,
                    const char *org, char out[static CATALOGUE_VERSION_LEN + 1])
{
    struct catalogue *c = make(rows, n, loads);
    struct probe_policy policy;

    probe_policy_init(&policy);
    catalogue_version(c, org, &policy, out);
    catalogue_destroy(c);
}

static void test_version_is_of_what_the_org_sees(void **state)
{
    struct catalogue_row rows[] = {row("acme", "a"), row("cloud", "x"), row("globex", "g")};
    struct catalogue_load loads[] = {fresh, fresh, fresh};
    char before[CATALOGUE_VERSION_LEN + 1], after[CATALOGUE_VERSION_LEN + 1];

    version(rows, 3, loads, "acme", before);
    loads[1].cpu = 0.9;
    loads[1].assigned = 55;
    rows[1].drain = true;
    rows[2].region = "us"; /* another org's */
    version(rows, 3, loads, "acme", after);
    assert_string_equal(before, after);
    version(rows, 3, loads, "globex", after);
    assert_string_not_equal(before, after);
    rows[1].region = "us";
    version(rows, 3, loads, "acme", after);
    assert_string_not_equal(before, after);
    rows[1].region = "eu";
    loads[0].heartbeat_age_us = CATALOGUE_LISTED_US;
    version(rows, 3, loads, "acme", after);
    assert_string_not_equal(before, after);
}

/* Nodes outlive the snapshot that they came with as long as another one shares them. */
static void test_nodes_are_shared(void **state)
{
    const struct catalogue_row rows[] = {row("cloud", "x")};
    struct catalogue *old = make(rows, 1, NULL), *next;
    struct catalogue_load busy = {.heartbeat_age_us = 5, .sessions = 9};

    next = catalogue_new(catalogue_shared(old), &busy);
    assert_int_equal(catalogue_load_of(old, catalogue_find(old, "cloud", "x"))->sessions, 0);
    catalogue_destroy(old);
    assert_int_equal(catalogue_load_of(next, catalogue_find(next, "cloud", "x"))->sessions, 9);
    assert_int_equal(catalogue_nodes_version(catalogue_shared(next)), 1);
    catalogue_destroy(next);
    catalogue_destroy(NULL);
}

/* Round trips that nodes told, by (from, to): set on a catalogue of these rows. */
static void tell(struct catalogue *c, const char *org, const char *from, const char *to, int32_t rtt_us)
{
    const struct catalogue_node *a = catalogue_resolve(c, org, from), *b = catalogue_resolve(c, org, to);
    struct links *l = links_new(catalogue_links(c), 1, 1000);

    assert_true(links_put(l, a->link, b->link, rtt_us, 1000));
    catalogue_set_links(c, l);
    links_unref(l);
}

static void test_round_trips_between_nodes(void **state)
{
    const struct catalogue_row rows[] = {row("acme", "m"), row("cloud", "fra"), row("cloud", "nyc"),
                                         row("globex", "m")};
    struct catalogue *c = make(rows, 4, NULL);
    const struct catalogue_node *fra = catalogue_find(c, "cloud", "fra"),
                                *nyc = catalogue_find(c, "cloud", "nyc");
    int32_t us;

    assert_false(catalogue_rtt(c, fra, nyc, &us));
    assert_true(catalogue_rtt(c, fra, fra, &us));
    assert_int_equal(us, 0);
    tell(c, "cloud", "fra", "nyc", 80000);
    tell(c, "acme", "m", "fra", 9000);
    assert_true(catalogue_rtt(c, nyc, fra, &us));
    assert_int_equal(us, 80000);
    assert_true(catalogue_rtt(c, fra, catalogue_find(c, "acme", "m"), &us));
    assert_int_equal(us, 9000);
    assert_false(catalogue_rtt(c, fra, catalogue_find(c, "globex", "m"), &us)); /* another m */
    catalogue_destroy(c);
}

static void test_round_trips_by_place(void **state)
{
    struct catalogue_row rows[] = {row("cloud", "ams"), row("cloud", "fra"), row("cloud", "moon")};
    struct catalogue *c;
    int32_t us;

    rows[0].location = "{\"lat\":52.37,\"lon\":4.9}";
    rows[1].location = "{\"lat\":50.11,\"lon\":8.68}";
    c = make(rows, 3, NULL);
    const struct catalogue_node *ams = catalogue_find(c, "cloud", "ams"),
                                *fra = catalogue_find(c, "cloud", "fra");
    assert_true(catalogue_rtt_by_place(ams, fra, &us));
    assert_in_range(us, 3000, 9000);
    assert_true(catalogue_rtt_by_place(ams, ams, &us));
    assert_int_equal(us, 0);
    assert_false(catalogue_rtt_by_place(ams, catalogue_find(c, "cloud", "moon"), &us));
    catalogue_destroy(c);
}

static void assert_peers(const struct catalogue *c, const char *org, const char *of, const char *want)
{
    size_t len = 0, i;
    char got[256] = "", *text = catalogue_peers_json(c, catalogue_find(c, org, of), 1010, &len);
    json_t *list = json_loadb(text, len, 0, NULL), *peer;

    assert_non_null(list);
    json_array_foreach(json_object_get(list, "nodes"), i, peer)
    {
        const json_t *us = json_object_get(peer, "rtt_us");

        snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s",
                 json_string_value(json_object_get(peer, "node")));
        if (us != NULL)
            snprintf(got + strlen(got), sizeof(got) - strlen(got), ":%d@%d", (int)json_integer_value(us),
                     (int)json_integer_value(json_object_get(peer, "rtt_age_s")));
        strcat(got, " ");
    }
    assert_string_equal(got, want);
    json_decref(list);
    free(text);
}

/* The cloud's nodes hear of no mesh node, an org's of its own and the cloud's. */
static void test_peers_of_a_node(void **state)
{
    const struct catalogue_row rows[] = {row("acme", "m"), row("acme", "n"), row("cloud", "fra"),
                                         row("cloud", "nyc"), row("globex", "g")};
    struct catalogue *c = make(rows, 5, NULL);
    char before[CATALOGUE_VERSION_LEN + 1], after[CATALOGUE_VERSION_LEN + 1];

    catalogue_peers_version(c, "acme", before);
    tell(c, "cloud", "fra", "nyc", 80000);
    tell(c, "acme", "m", "fra", 9000);
    assert_peers(c, "cloud", "fra", "nyc:80000@10 ");
    assert_peers(c, "cloud", "nyc", "fra:80000@10 ");
    assert_peers(c, "acme", "m", "fra:9000@10 nyc n ");
    assert_peers(c, "globex", "g", "fra nyc ");
    catalogue_peers_version(c, "acme", after);
    assert_string_equal(before, after); /* figures make no new list */
    catalogue_peers_version(c, "globex", after);
    assert_string_not_equal(before, after);
    catalogue_destroy(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cloud_and_own_mesh_only),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_a_cloud_node_hides_a_mesh_node_of_its_name),
        cmocka_unit_test(test_deleted_is_known_but_not_seen),
        cmocka_unit_test(test_state),
        cmocka_unit_test(test_list_document),
        cmocka_unit_test(test_version_is_of_what_the_org_sees),
        cmocka_unit_test(test_nodes_are_shared),
        cmocka_unit_test(test_round_trips_between_nodes),
        cmocka_unit_test(test_round_trips_by_place),
        cmocka_unit_test(test_peers_of_a_node),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
