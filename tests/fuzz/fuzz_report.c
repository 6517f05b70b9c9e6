/* Reports: what is accepted is written out, read again, and is the same; and read straight from the text it is what
 * it is by way of JSON. */
#include "core/doc.h"
#include "fuzz.h"

#include <string.h>

/* Where the short way is taken, it ends as the long one does: in the same report, or the same error. */
static void both_ways(const char *text, size_t size, const json_t *j)
{
    struct doc_rows rows = {0};
    struct doc_error e = {0}, e_short = {0};
    struct report r, r_short;
    json_t *rest = NULL;
    if (report_rows_read(text, size, &rows, &rest) != 0)
        return;
    FUZZ_CHECK(j);
    int rc = report_from_json(j, &r, &e), rc_short = report_from_rows(rest, &rows, &r_short, &e_short);
    FUZZ_CHECK(rc == rc_short && strcmp(e.pointer, e_short.pointer) == 0 &&
               strcmp(e.code, e_short.code) == 0);
    if (rc == 0) {
        json_t *out = report_to_json(&r), *out_short = report_to_json(&r_short);
        FUZZ_CHECK(out && json_equal(out, out_short));
        json_decref(out);
        json_decref(out_short);
        report_clear(&r);
        report_clear(&r_short);
    }
    doc_rows_clear(&rows);
    json_decref(rest);
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
