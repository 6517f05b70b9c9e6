/* What the tests of the documents share. */
#ifndef BERTH_TESTS_DOC_CASE_H
#define BERTH_TESTS_DOC_CASE_H

#include "check.h"

#include "core/doc.h"

#include <string.h>

/* The caller's to let go of; the test ends where the text is none. */
static inline json_t *doc_must_parse(const char *text)
{
    struct doc_error e;
    json_t *j = doc_parse(text, strlen(text), &e);
    if (!j)
        fail_msg("not JSON: %s", text);
    return j;
}

#endif
