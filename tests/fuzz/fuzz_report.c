/* Reports: what is accepted is written out, read again, and is the same. */
#include "core/doc.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct doc_error e;
    struct report r, again;
    char *text = fuzz_text(data, size);
    json_t *j = doc_parse(text, size, &e), *out = NULL, *out_again = NULL;
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
