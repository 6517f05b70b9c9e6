/* Lists of nodes: what is accepted is written out entry by entry, read again, and is the same. */
#include "core/doc.h"
#include "fuzz.h"

static void check_again(const struct nodelist *l)
{
    struct doc_error e;
    struct nodelist again;
    json_t *nodes = json_array();
    for (size_t i = 0; i < l->n; i++)
        FUZZ_CHECK(json_array_append_new(nodes, node_entry_to_json(&l->nodes[i])) == 0);
    json_t *out = json_pack("{s:s, s:o, s:o}", "version", l->version, "policy",
                            probe_policy_to_json(&l->policy), "nodes", nodes);
    FUZZ_CHECK(out && nodelist_from_json(out, &again, &e) == 0);
    FUZZ_CHECK(again.n_listed == l->n && again.n_addresses_left_out == 0 &&
               again.first_left_out.code[0] == '\0');
    FUZZ_CHECK(again.n == l->n && memcmp(&again.policy, &l->policy, sizeof l->policy) == 0);
    for (size_t i = 0; i < l->n; i++) {
        json_t *entry = node_entry_to_json(&again.nodes[i]);
        FUZZ_CHECK(json_equal(entry, json_array_get(nodes, i)));
        json_decref(entry);
    }
    nodelist_clear(&again);
    json_decref(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct doc_error e;
    struct nodelist l;
    char *text = fuzz_text(data, size);
    json_t *j = doc_parse(text, size, &e);
    free(text);
    if (!j)
        return 0;
    if (nodelist_from_json(j, &l, &e) == 0) {
        check_again(&l);
        nodelist_clear(&l);
    }
    json_decref(j);
    return 0;
}
