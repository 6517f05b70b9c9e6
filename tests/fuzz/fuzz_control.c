/* What a node is told by a controller: answers to registrations and heartbeats, problems, and who has left. Whatever comes, the node goes on
 * with what it has: bounds hold, order holds, and what was no answer has changed nothing. */
#include "../../node/links.h"
#include "../../node/media/plan.h"
#include "../../node/registration.h"
#include "fuzz.h"

static void check_answer(const char *text, size_t size)
{
    struct control_answer a = {.heartbeat_s = 5};
    char code[PROBLEM_CODE_MAX];
    int rc = control_answer_parse(&a, text, size);
    FUZZ_CHECK(a.heartbeat_s >= 1 && a.heartbeat_s <= 3600 && a.n_ticket_keys <= TICKET_KEYS_MAX);
    FUZZ_CHECK(strnlen(a.org, sizeof a.org) <= ORG_ID_MAX);
    FUZZ_CHECK(strnlen(a.peers_version, sizeof a.peers_version) <= PEERS_VERSION_MAX);
    FUZZ_CHECK(rc == 0 || (a.heartbeat_s == 5 && !a.drain && a.n_ticket_keys == 0 && a.org[0] == '\0'));
    problem_code(code, text, size);
    FUZZ_CHECK(strnlen(code, sizeof code) < sizeof code);
}

/* Twice the same answer is once. */
static void check_links(const char *text, size_t size)
{
    struct links l = {.n_removed = 0};
    for (int turn = 0; turn < 2; turn++) {
        size_t before = l.n_removed;
        int rc = links_update(&l, text, size);
        FUZZ_CHECK(l.n_removed <= LINKS_REMOVED_MAX && (rc == 0 || l.n_removed == before));
        FUZZ_CHECK(turn == 0 || l.n_removed == before);
        FUZZ_CHECK(strnlen(l.version, sizeof l.version) <= LINKS_VERSION_MAX);
    }
    for (size_t i = 1; i < l.n_removed; i++)
        FUZZ_CHECK(media_plan_removed_cmp(&l.removed[i - 1], &l.removed[i]) < 0);
    links_clear(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    check_answer(text, size);
    check_links(text, size);
    free(text);
    return 0;
}
