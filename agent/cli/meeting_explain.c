/* berth meeting explain, berth simulate: a table for each participant, the node that it is given first. Invariant:
 * every participant is asked for, page by page; of each one's candidates so many rows are shown, and the rest
 * counted. */
#include "commands.h"
#include "core/token.h"
#include "list.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { ROWS_SHOWN = 8 };

static const struct table_column columns[] = {
    {"NODE", TABLE_LEFT, true},      {"VIA", TABLE_LEFT, false},     {"COST", TABLE_RIGHT, false},
    {"WAY", TABLE_RIGHT, false},     {"EXTRA", TABLE_RIGHT, false},  {"OTHERS", TABLE_RIGHT, false},
    {"BETWEEN", TABLE_RIGHT, false}, {"AGAINST", TABLE_LEFT, false},
};

static double number(const json_t *object, const char *member)
{
    return json_number_value(json_object_get(object, member));
}

static void add_candidate(struct table *t, const json_t *candidate)
{
    const json_t *terms = json_object_get(candidate, "terms_ms");
    char figures[5][32] = {"-", "", "", "", ""}, against[256], via[64];
    if (terms != NULL) {
        const double of[5] = {number(candidate, "cost_ms"), number(terms, "round_trip"),
                              number(terms, "transport") + number(terms, "loss") + number(terms, "weight") +
                                  number(terms, "load") + number(terms, "failures") + number(terms, "mesh") +
                                  number(terms, "unmeasured"),
                              number(terms, "others"), number(terms, "between_nodes")};
        for (size_t i = 0; i < 5; i++)
            snprintf(figures[i], sizeof(figures[i]), "%.2f", of[i]);
        if (number(terms, "round_trip") == 0 && number(terms, "unmeasured") != 0)
            snprintf(figures[1], sizeof(figures[1]), "?");
    }
    cli_rejections(candidate, against, sizeof(against));
    const char *node = json_string_value(json_object_get(candidate, "node"));
    const char *cells[] = {node,       cli_cell(candidate, "transport", via),
                           figures[0], figures[1],
                           figures[2], figures[3],
                           figures[4], against};
    table_row(t, cells);
    if (json_is_true(json_object_get(candidate, "chosen")))
        table_color(t, 0, TABLE_GOOD);
    else if (against[0] != '\0')
        table_color(t, 7, TABLE_BAD);
}

/* The person's sentence, and a table of its own. */
static enum cli_exit print_person(const struct cli *c, const json_t *person)
{
    const json_t *decided = json_object_get(person, "decided");
    const json_t *candidates = json_object_get(person, "candidates");
    const char *sentence = json_string_value(json_object_get(decided, "sentence"));
    const char *overflow = json_string_value(json_object_get(decided, "overflow"));
    const char *remedy = json_string_value(json_object_get(decided, "remedy"));
    char text[512];
    size_t total = (size_t)json_integer_value(json_object_get(person, "candidates_total"));
    size_t n = json_array_size(candidates) < ROWS_SHOWN ? json_array_size(candidates) : ROWS_SHOWN;
    struct table *t = table_new(columns, sizeof(columns) / sizeof(columns[0]), 2);
    fputc('\n', c->out);
    cli_say_wrapped(c, sentence != NULL ? sentence : "");
    if (overflow != NULL) {
        snprintf(text, sizeof(text), "Not on a node of its own (%.40s): %.400s", overflow,
                 remedy != NULL ? remedy : "");
        cli_say_wrapped(c, text);
    }
    for (size_t i = 0; t != NULL && i < n; i++)
        add_candidate(t, json_array_get(candidates, i));
    enum cli_exit code = cli_print_table(c, t);
    if (code == CLI_OK && n < total)
        cli_say(c, "  and %zu more, which --json has", total - n);
    return code;
}

/* "With nobody moved it would be 72.54 ms, on the best single node 35.50 ms." What a figure is of, where there is one. */
static void say_others(const struct cli *c, const json_t *costs)
{
    static const struct {
        const char *member, *words;
    } of[] = {{"present_ms", "with nobody moved"},
              {"single_node_ms", "on the best single node"},
              {"best_ms", "in the best plan, whoever is where"}};
    char text[256] = "With penalties and prices";
    size_t said = 0;
    for (size_t i = 0; i < sizeof(of) / sizeof(of[0]); i++) {
        size_t len = strlen(text);
        if (json_object_get(costs, of[i].member) != NULL)
            snprintf(text + len, sizeof(text) - len, "%s %.2f ms %s", said++ == 0 ? " it would be" : ",",
                     number(costs, of[i].member), of[i].words);
    }
    if (said == 0)
        return;
    snprintf(text + strlen(text), sizeof(text) - strlen(text), ".");
    cli_say_wrapped(c, text);
}

/* Nobody takes part, so no table tells it: "Of the nodes: 2 drained, 1 region denied." */
static void say_rejected(const struct cli *c, const json_t *rejected)
{
    const char *code;
    json_t *n;
    char text[512] = "No node of those that the meeting could have has been heard of.", words[64];
    size_t len = 0;
    json_object_foreach((json_t *)(uintptr_t)rejected, code, n)
    {
        snprintf(words, sizeof(words), "%s", code);
        cli_code_words(words);
        snprintf(text + len, sizeof(text) - len, "%s%lld %s", len == 0 ? "What rules the nodes out: " : ", ",
                 (long long)json_integer_value(n), words);
        len = strlen(text);
    }
    if (len > 0)
        snprintf(text + len, sizeof(text) - len, ".");
    if (rejected != NULL)
        cli_say_wrapped(c, text);
}

static void say_whole(const struct cli *c, const char *title, const json_t *answer)
{
    const json_t *costs = json_object_get(answer, "costs");
    long long people = json_integer_value(json_object_get(answer, "participants"));
    long long nodes = json_integer_value(json_object_get(answer, "nodes_joined"));
    char outcome[64], text[512];
    snprintf(outcome, sizeof(outcome), "%s", cli_cell(answer, "outcome", text));
    cli_code_words(outcome);
    snprintf(text, sizeof(text), "%.128s: %lld participant%s on %lld node%s, %s.", title, people,
             people == 1 ? "" : "s", nodes, nodes == 1 ? "" : "s", outcome);
    cli_say_wrapped(c, text);
    say_rejected(c, json_object_get(answer, "rejected"));
    if (json_object_get(costs, "latency_ms") != NULL) {
        snprintf(text, sizeof(text),
                 "One way %.2f ms on average, %.2f ms for the worst-off; with penalties and prices %.2f ms.",
                 number(costs, "latency_ms"), number(costs, "worst_ms"), number(costs, "decided_ms"));
        cli_say_wrapped(c, text);
    }
    say_others(c, costs);
    if (people > 0)
        cli_say_wrapped(
            c,
            "All figures are one-way milliseconds: COST is WAY to the node (?: not measured), EXTRA for "
            "transport, loss, weight, load, failures, mesh and what was not measured, the OTHERS' ways, and "
            "the way BETWEEN nodes.");
}

static enum cli_exit print(const struct cli *c, const char *title, const json_t *answer)
{
    enum cli_exit code = CLI_OK;
    json_t *person;
    size_t i;
    say_whole(c, title, answer);
    json_array_foreach(json_object_get(answer, "items"), i, person)
    {
        if (code == CLI_OK)
            code = print_person(c, person);
    }
    return code;
}

/* The first page says what holds for all; the others' participants are put behind its own. */
static enum cli_exit get(const struct cli *c, const char *path, json_t **answer)
{
    json_t *list = NULL;
    enum cli_exit code = call(c, CALL_TOKEN_OWN, "explain the meeting", "GET", path, NULL, answer);
    if (code != CLI_OK || json_is_null(json_object_get(*answer, "next")))
        return code;
    code = call_list(c, CALL_TOKEN_OWN, "explain the meeting", path, &list);
    if (code == CLI_OK) {
        json_object_set(*answer, "items", json_object_get(list, "items"));
        json_object_set_new(*answer, "next", json_null());
        json_decref(list);
    } else {
        json_decref(*answer);
    }
    return code;
}

enum cli_exit cmd_meeting_explain(struct cli *c)
{
    char path[CALL_PATH_MAX], tail[AGENT_ID_MAX + 32] = "/explain";
    json_t *answer;
    if (c->o.participant != NULL && !agent_id_valid(c->o.participant))
        return cli_fail(c, CLI_USAGE, "--participant: '%.80s' is no agent's id", c->o.participant);
    if (c->o.participant != NULL)
        snprintf(tail, sizeof(tail), "/explain?agent=%s", c->o.participant);
    enum cli_exit code = call_path(c, path, "/v1/meetings/", c->words.v[0], tail);
    if (code == CLI_OK)
        code = get(c, path, &answer);
    if (code != CLI_OK)
        return code;
    code = c->o.json ? cli_print_json(c, answer) : print(c, c->words.v[0], answer);
    json_decref(answer);
    return code;
}

/* ---- berth simulate ---- */

/* What POST /v1/simulate takes, from a file or standard input. */
static enum cli_exit read_problem(const struct cli *c, json_t **body)
{
    const char *name = c->words.v[0];
    json_error_t e;
    bool standard = strcmp(name, "-") == 0;
    *body = standard ? json_loadf(stdin, 0, &e) : json_load_file(name, 0, &e);
    if (*body != NULL)
        return CLI_OK;
    if (!standard && access(name, R_OK) != 0)
        return cli_fail(c, CLI_USAGE, "%.200s can't be read: %s", name, strerror(errno));
    return cli_fail(c, CLI_USAGE, "%.200s is no JSON: line %d: %.200s", name, e.line, e.text);
}

/* The first page says what holds for all; the others' participants are put behind its own. */
static enum cli_exit simulate(const struct cli *c, json_t *body, json_t **answer)
{
    char path[CALL_PATH_MAX] = "/v1/simulate?limit=40";
    enum cli_exit code = CLI_OK;
    if (c->o.participant != NULL)
        code = call_path_add(c, path, "&agent=", c->o.participant);
    if (code == CLI_OK)
        code = call(c, CALL_TOKEN_OWN, "simulate", "POST", path, json_incref(body), answer);
    while (code == CLI_OK && json_is_string(json_object_get(*answer, "next"))) {
        json_t *more = NULL;
        snprintf(path, sizeof(path), "/v1/simulate?limit=40");
        code = call_path_add(c, path, "&cursor=", json_string_value(json_object_get(*answer, "next")));
        if (code == CLI_OK)
            code = call(c, CALL_TOKEN_OWN, "simulate", "POST", path, json_incref(body), &more);
        if (code != CLI_OK) {
            json_decref(*answer);
            break;
        }
        (void)json_array_extend(json_object_get(*answer, "items"), json_object_get(more, "items"));
        json_object_set(*answer, "next", json_object_get(more, "next"));
        json_decref(more);
    }
    return code;
}

enum cli_exit cmd_simulate(struct cli *c)
{
    json_t *body, *answer;
    enum cli_exit code = CLI_OK;
    if (c->o.participant != NULL && !agent_id_valid(c->o.participant))
        return cli_fail(c, CLI_USAGE, "--participant: '%.80s' is no agent's id", c->o.participant);
    code = read_problem(c, &body);
    if (code != CLI_OK)
        return code;
    code = simulate(c, body, &answer);
    json_decref(body);
    if (code != CLI_OK)
        return code;
    code = c->o.json ? cli_print_json(c, answer) : print(c, "Simulated", answer);
    json_decref(answer);
    return code;
}
