/* What a node is told by a controller: answers to registrations and heartbeats, problems, who has left, and joined
 * nodes. Whatever comes, the node goes on with what it has: bounds hold, order holds, and what was no answer has
 * changed nothing. */
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

/* What comes of it holds together, whatever it says. */
static void check_plan(struct links *l)
{
    struct media_plan_held *held = links_plan(l);
    struct link_orders *orders = links_orders(l);
    FUZZ_CHECK(held && orders && orders->n <= LINKS_ORDERS_MAX);
    const struct media_plan *plan = media_plan_of(held);
    FUZZ_CHECK(plan->n_meetings == l->n_meetings && plan->n_meetings <= LINKS_MEETINGS_MAX);
    for (size_t i = 0; i < plan->n_meetings; i++) {
        const struct media_plan_meeting *m = &plan->meetings[i];
        FUZZ_CHECK(m->n_peers > 0 && m->n_peers <= LINKS_PEERS_MAX);
        FUZZ_CHECK(media_plan_meeting(plan, m->org, m->id) == m);
        FUZZ_CHECK(media_plan_peer(m, m->peers[0].who) == &m->peers[0]);
    }
    for (size_t i = 0; i < orders->n; i++)
        FUZZ_CHECK(media_plan_peer(media_plan_meeting(plan, orders->at[i].org, orders->at[i].meeting),
                                   orders->at[i].peer.who));
    link_orders_free(orders);
    media_plan_release(held);
}

/* Twice the same answer is once. */
static void check_links(const char *text, size_t size)
{
    static const struct link_keys keys = {.public_key = {1}, .secret_key = {2}};
    struct links l = {.n_removed = 0};
    for (int turn = 0; turn < 2; turn++) {
        size_t before = l.n_removed;
        int rc = links_update(&l, &keys, text, size);
        FUZZ_CHECK(l.n_removed <= LINKS_REMOVED_MAX && (rc == 0 || l.n_removed == before));
        FUZZ_CHECK(turn == 0 || l.n_removed == before);
        FUZZ_CHECK(strnlen(l.version, sizeof l.version) <= LINKS_VERSION_MAX);
    }
    for (size_t i = 1; i < l.n_removed; i++)
        FUZZ_CHECK(media_plan_removed_cmp(&l.removed[i - 1], &l.removed[i]) < 0);
    check_plan(&l);
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
