/* A meeting's policy as a request's body has it: what is accepted is within its bounds, is written, read again, and is the same. */
#include "../../controller/meeting_policy.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct doc_error e = {.pointer = ""}, none;
    struct meeting_policy p, again;
    char *text = fuzz_text(data, size);
    json_t *j = doc_parse(text, size, &e), *written = NULL, *rewritten = NULL;
    if (!j)
        goto out;
    int strict = meeting_policy_check_members(j, &e);
    FUZZ_CHECK(strict == 0 || e.pointer[0] == '/' || e.pointer[0] == '\0');
    if (meeting_policy_from_json(j, &p, &e) != 0)
        goto out;
    FUZZ_CHECK(p.n_allow <= POLICY_REGIONS_MAX && p.n_deny <= POLICY_REGIONS_MAX &&
               p.last_n <= POLICY_LAST_N_MAX);
    FUZZ_CHECK(p.expected_size >= 0 && p.expected_size <= POLICY_SIZE_MAX &&
               p.bitrate_kbps <= POLICY_BITRATE_MAX_KBPS);
    written = meeting_policy_to_json(&p);
    FUZZ_CHECK(written && meeting_policy_check_members(written, &none) == 0);
    FUZZ_CHECK(meeting_policy_from_json(written, &again, &none) == 0);
    rewritten = meeting_policy_to_json(&again);
    FUZZ_CHECK(rewritten && json_equal(written, rewritten));
    FUZZ_CHECK(meeting_policy_bitrate(&p) == meeting_policy_bitrate(&again));
out:
    json_decref(rewritten);
    json_decref(written);
    json_decref(j);
    free(text);
    return 0;
}
