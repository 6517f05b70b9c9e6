/* Reports: what is accepted is written out, read again, and is the same; and read straight from the text it is what
 * it is by way of JSON. */
#include "core/doc.h"
#include "fuzz.h"

/* Where the short way is taken, the long one ends in the same report. */
static void both_ways(const char *text, size_t size, const json_t *j)
{
    struct doc_error e;
    struct report r, r_short;
    if (report_read(text, size, &r_short) != 0)
        return;
    FUZZ_CHECK(j && report_from_json(j, &r, &e) == 0);
    json_t *out = report_to_json(&r), *out_short = report_to_json(&r_short);
    FUZZ_CHECK(out && json_equal(out, out_short));
    json_decref(out);
    json_decref(out_short);
    report_clear(&r);
    report_clear(&r_short);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct doc_error e;
    struct report r, again;
    char *text = fuzz_text(data, size);
    json_t *j = doc_parse(text, size, &e), *out = NULL, *out_again = NULL;
    both_ways(text, size, j);
    free(text);
    if (!j)
        return 0;
    if (report_from_json(j, &r, &e) == 0) {
        out = report_to_json(&r);
        FUZZ_CHECK(out && report_from_json(out, &again, &e) == 0);
        out_again = report_to_json(&again);
        FUZZ_CHECK(json_equal(out, out_again));
        report_clear(&again);
        report_clear(&r);
    }
    json_decref(out_again);
    json_decref(out);
    json_decref(j);
    return 0;
}
