/* A scene of what a request gives: participants with measurements as in a report, a policy, and perhaps who is where. Invariant: nothing is
 * taken before its shape and number are checked, and every refusal names the member at fault. */
#include "join_rows.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What was wrong with a part, at its place in the whole. */
static int within(struct doc_error *e, const char *at)
{
    char pointer[sizeof(e->pointer)];

    snprintf(pointer, sizeof(pointer), "%s%s", at, e->pointer);
    memcpy(e->pointer, pointer, sizeof(pointer));
    return -EINVAL;
}

static const json_t *member(const json_t *in, const char *name)
{
    const json_t *v = json_object_get(in, name);

    return json_is_null(v) ? NULL : v;
}

/* ---- policy ---- */

static int take_policy(struct join_scene *s, const json_t *body, struct doc_error *e)
{
    json_t *policy = json_object_get(body, "policy");

    if (meeting_policy_check_members(policy, e) != 0 || meeting_policy_from_json(policy, &s->policy, e) != 0)
        return within(e, "/policy");
    s->policy_json = json_incref(policy);
    return 0;
}

/* ---- who ---- */

static int read_id(const json_t *in, const char *name, size_t max, const char *at, const char **out,
                   struct doc_error *e)
{
    const json_t *v = member(in, name);
    char pointer[sizeof(e->pointer)];

    if (v == NULL)
        return 0;
    if (json_is_string(v) && strlen(json_string_value(v)) == json_string_length(v) &&
        id_valid(json_string_value(v), max)) {
        *out = json_string_value(v);
        return 0;
    }
    snprintf(pointer, sizeof(pointer), "%s/%s", at, name);
    return doc_fail(e, pointer, "invalid_member", "an id of 1 to %zu characters is wanted", max);
}

static int read_person(struct join_person *who, const json_t *j, const char *at, struct doc_error *e)
{
    const json_t *capabilities = member(j, "capabilities"), *results = member(j, "results");
    char of[64];
    unsigned bits;

    *who = (struct join_person){.capabilities = -1, .given = j};
    if (!json_is_object(j))
        return doc_fail(e, at, "invalid_member", "an object is wanted");
    if (read_id(j, "agent", AGENT_ID_MAX, at, &who->agent, e) != 0 ||
        read_id(j, "network", NETWORK_ID_MAX, at, &who->network, e) != 0)
        return -EINVAL;
    if (who->agent == NULL || !agent_id_valid(who->agent))
        return doc_fail(e, at, "invalid_member",
                        "a participant's `agent` is required: 1 to 128 of A-Z a-z 0-9 . _ -");
    if (capabilities != NULL) {
        snprintf(of, sizeof(of), "%s/capabilities", at);
        if (capabilities_from_json(capabilities, &bits, e) != 0)
            return within(e, of);
        who->capabilities = (int)bits;
    }
    if (results != NULL && !json_is_array(results))
        return doc_fail(e, at, "invalid_member", "`results` is a list, as in a report");
    return 0;
}

static int by_agent(const void *a, const void *b)
{
    const struct join_person *x = a, *y = b;

    return strcmp(x->agent, y->agent);
}

static int take_people(struct join_scene *s, const json_t *list, struct doc_error *e)
{
    size_t n = json_array_size(list), rows = 0;
    char at[40];

    if (!json_is_array(list) || n < 1 || n > JOIN_PEOPLE_MAX)
        return doc_fail(e, "/participants", "invalid_member", "a list of 1 to %d participants is wanted",
                        JOIN_PEOPLE_MAX);
    s->people = join_scene_alloc(s, n, sizeof(s->people[0]));
    for (size_t i = 0; i < n; i++) {
        snprintf(at, sizeof(at), "/participants/%zu", i);
        if (read_person(&s->people[i], json_array_get(list, i), at, e) != 0)
            return -EINVAL;
        rows += json_array_size(json_object_get(json_array_get(list, i), "results"));
        if (rows > JOIN_ROWS_LITTLE)
            return doc_fail(e, at, "too_many_results",
                            "at most %d results are taken, of all participants together", JOIN_ROWS_LITTLE);
        s->people[i].place = i;
    }
    qsort(s->people, n, sizeof(s->people[0]), by_agent);
    for (size_t i = 1; i < n; i++) {
        snprintf(at, sizeof(at), "/participants/%zu", s->people[i].place);
        if (strcmp(s->people[i - 1].agent, s->people[i].agent) == 0)
            return doc_fail(e, at, "invalid_member", "agent %s stands there twice", s->people[i].agent);
    }
    s->problem.n_participants = n;
    return 0;
}

/* ---- measurements ---- */

static int take_results(struct join_scene *s, const struct join_ask *ask, const struct catalogue *c,
                        const struct join_person *who, struct place_participant *to, struct doc_error *e)
{
    const json_t *results = member(who->given, "results"), *j;
    struct place_row *rows = join_scene_alloc(s, json_array_size(results), sizeof(*rows));
    uint8_t *seen = join_scene_alloc(s, s->problem.n_nodes, sizeof(*seen)); /* transports of each node */
    struct probe_result m;
    char at[64];
    size_t k, node;

    json_array_foreach(results, k, j)
    {
        snprintf(at, sizeof(at), "/participants/%zu/results/%zu", who->place, k);
        if (probe_result_from_json(j, &m, e) != 0)
            return within(e, at);
        if (!catalogue_knows(c, ask->org, m.node)) {
            (void)doc_fail(e, "/node", "unknown_node", "there is no node %s", m.node);
            return within(e, at);
        }
        node = join_scene_node(s, m.node, PLACE_NONE);
        if (node != PLACE_NONE && (seen[node] & (1u << m.transport))) {
            (void)doc_fail(e, "", "duplicate_result", "node %s stands there twice over %s", m.node,
                           transport_name(m.transport));
            return within(e, at);
        }
        if (node != PLACE_NONE)
            seen[node] |= (uint8_t)(1u << m.transport);
        join_rows_add(rows, &to->n_rows, node, join_rows_brief(&m));
    }
    to->measured = results != NULL;
    to->rows = rows;
    return 0;
}

/* The plan's member, or the plan where a pointer can't hold its name as it is. */
static const char *plan_pointer(struct doc_error *e, const char *agent, char *out)
{
    bool fits = agent_id_valid(agent) && strlen(agent) + sizeof("/plan/") <= sizeof(e->pointer);

    snprintf(out, sizeof(e->pointer), "/plan%s%s", fits ? "/" : "", fits ? agent : "");
    return out;
}

static int take_plan(struct join_scene *s, const struct join_ask *ask, const struct catalogue *c,
                     const json_t *plan, struct place_participant *to, struct doc_error *e)
{
    struct join_person key;
    char pointer[sizeof(e->pointer)];
    const char *agent, *at;
    const json_t *node;

    if (plan != NULL && !json_is_object(plan))
        return doc_fail(e, "/plan", "invalid_member", "an object is wanted: agents and their nodes");
    json_object_foreach((json_t *)(uintptr_t)plan, agent, node)
    {
        const struct join_person *who;

        key.agent = agent;
        who = bsearch(&key, s->people, s->problem.n_participants, sizeof(key), by_agent);
        at = plan_pointer(e, agent, pointer);
        if (who == NULL)
            return doc_fail(e, at, "invalid_member", "agent %s is none of the participants", agent);
        if (!json_is_string(node) && !json_is_null(node))
            return doc_fail(e, at, "invalid_member", "a node's id is wanted, or null");
        if (json_is_null(node))
            continue;
        if (!catalogue_knows(c, ask->org, json_string_value(node)))
            return doc_fail(e, at, "unknown_node", "there is no such node as agent %s is to be on", agent);
        to[who - s->people].present = join_scene_node(s, json_string_value(node), PLACE_NONE);
    }
    return 0;
}

/* Whom the plan has on a node may be among those whom the catalogue counts there, as of a meeting that runs: only who is beyond their number
 * takes a seat more. The meeting's node is the one with most of them. */
static void seat_plan(struct join_scene *s, const struct join_ask *ask, const struct catalogue *c,
                      const struct place_participant *people)
{
    int64_t *seats = join_scene_alloc(s, s->problem.n_nodes, sizeof(*seats)), most = 0;

    for (size_t i = 0; i < s->problem.n_participants; i++) {
        if (people[i].present != PLACE_NONE)
            seats[people[i].present]++;
    }
    s->problem.present = PLACE_NONE;
    for (size_t i = 0; i < s->problem.n_nodes; i++) {
        if (seats[i] > most) {
            most = seats[i];
            s->problem.present = i;
        }
    }
    join_scene_take_seats(s, ask, c, seats);
}

int join_scene_given(struct join_scene *s, const struct join_ask *ask, const struct catalogue *c,
                     const json_t *body, struct doc_error *e)
{
    struct place_participant *to;

    join_scene_init(s);
    if (take_policy(s, body, e) != 0 || take_people(s, json_object_get(body, "participants"), e) != 0)
        return -EINVAL;
    join_scene_take_nodes(s, ask, c);
    to = join_scene_alloc(s, s->problem.n_participants, sizeof(*to));
    for (size_t i = 0; i < s->problem.n_participants; i++) {
        const struct join_person *who = &s->people[i];

        to[i] = (struct place_participant){
            .agent = who->agent,
            .capabilities = who->capabilities >= 0 ? (unsigned)who->capabilities : TRANSPORTS_ALL,
            .present = PLACE_NONE};
        if (take_results(s, ask, c, who, &to[i], e) != 0)
            return -EINVAL;
    }
    if (take_plan(s, ask, c, member(body, "plan"), to, e) != 0)
        return -EINVAL;
    s->problem.participants = s->participants = to;
    s->problem.org = ask->org;
    seat_plan(s, ask, c, to);
    join_scene_decide(s);
    return 0;
}
