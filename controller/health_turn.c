/* Reads what is known of the nodes, lets health.c judge, writes what has changed, and tells operators. Invariant: a
 * turn's states are written only where no other controller has ended the same turn; events follow the states as they
 * are stored, so whatever is interrupted is made good by a later turn. */
#include "health_turn.h"

#include "catalogue.h"
#include "db.h"
#include "health.h"
#include "pgarray.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TURN_MS = 2000,
    PROBES_MS = 10000,
    FAILURES_MAX = 64, /* orgs of one node; of more, those that are read first */
    EVENTS_MAX = 64,   /* told in one turn; more in the next */
};

/* The cloud, or an org with its mesh nodes. */
struct scope {
    char org[ORG_ID_MAX + 1];
    struct health_hearing hearing;
    bool doubt, told;
    int64_t heard_us;
};

struct turn {
    struct controller *ctl;
    struct db_sync *db;
    int64_t number, now_us;
    bool alone;
    size_t told;
    size_t n_scopes;
    struct scope *scopes; /* by org */
};

/* health_evidence's columns. */
enum {
    ORG,
    NODE,
    STATE,
    CAUSE,
    SINCE,
    BAD,
    STRIKES,
    HEARTBEAT,
    PLANNED,
    PARTICIPANTS,
    FAILURES,
    FAIL,
    WORK,
    TOLD
};

static void lost(const struct turn *t, const char *what)
{
    if (!t->db->stopped)
        log_event(t->ctl->log, LOG_WARN, "health", what, LOG_S("error", t->db->error));
}

/* ---- events ---- */

static void tell(struct turn *t, const struct event *e)
{
    const char *params[] = {e->org, e->kind, e->subject, event_severity_name(e->severity), e->detail};
    bool clear = e->detail == NULL;
    PGresult *res;

    if (t->db->conn == NULL || t->told++ >= EVENTS_MAX)
        return;
    res = clear ? db_sync_exec(t->db, "select event_clear($1, $2, $3)", params, 3)
                : db_sync_exec(t->db, "select event_raise($1, $2, $3, $4, $5)", params, 5);
    if (res == NULL)
        lost(t, "event_not_told");
    PQclear(res);
}

static const char *cause_text(enum health_cause c)
{
    static const char *const texts[HEALTH_CAUSES] = {"nothing is known", "its heartbeats have stopped",
                                                     "it did not work for several participants",
                                                     "agents' probes of it fail"};

    return (unsigned)c < HEALTH_CAUSES ? texts[c] : texts[0];
}

static void tell_node(struct turn *t, const PGresult *res, int row, const struct health *h)
{
    static const enum event_severity severities[HEALTH_STATES] = {EVENT_SEVERITIES, EVENT_WARNING,
                                                                  EVENT_CRITICAL, EVENT_INFO};
    static const char *const words[HEALTH_STATES] = {"", "is suspect", "is quarantined",
                                                     "is back on probation"};
    enum event_severity told =
        db_null(res, row, TOLD) ? EVENT_SEVERITIES : event_severity_parse(db_get(res, row, TOLD));
    enum event_severity is = db_get_bool(res, row, PLANNED) ? EVENT_SEVERITIES : severities[h->state];
    char detail[512];
    struct event e = {.org = db_get(res, row, ORG),
                      .kind = "node_health",
                      .subject = db_get(res, row, NODE),
                      .severity = is};

    if (is == told)
        return;
    snprintf(detail, sizeof(detail), "The node %s %s%s%s.", e.subject, words[h->state],
             h->state == HEALTH_PROBATION ? "; before, " : ": ", cause_text(h->cause));
    if (is != EVENT_SEVERITIES)
        e.detail = detail;
    tell(t, &e);
}

/* A doubt is told of once somebody's silence would count. */
static void tell_doubt(struct turn *t, const struct scope *of)
{
    bool cloud = strcmp(of->org, CLOUD_ORG) == 0;
    struct event e = {.org = of->org, .kind = "nodes_silent", .subject = "", .severity = EVENT_CRITICAL};
    char detail[512];

    if (of->doubt ? of->told || of->hearing.dead == 0 : !of->told)
        return;
    snprintf(detail, sizeof(detail),
             "Of %zu %s%s only %zu %s heard, so the fault is taken to be here or between: nobody is moved "
             "for their "
             "silence. Look whether nodes reach the controllers, and the controllers the database.",
             of->hearing.expected, cloud ? "cloud nodes" : "mesh nodes of ", cloud ? "" : of->org,
             of->hearing.heard, of->hearing.heard == 1 ? "is" : "are");
    if (of->doubt)
        e.detail = detail;
    tell(t, &e);
}

/* ---- scopes ---- */

static int64_t heartbeat_age(const struct turn *t, const PGresult *res, int row)
{
    int64_t age = t->now_us - db_get_i64(res, row, HEARTBEAT);

    return age > 0 ? age : 0;
}

/* As health_doubts() has them. */
enum { DOUBT_ORG, DOUBT_IS, DOUBT_HEARD, DOUBT_TOLD };

static int by_org(const void *a, const void *b)
{
    return strcmp(((const struct scope *)a)->org, ((const struct scope *)b)->org);
}

static struct scope *scope_of(const struct turn *t, const char *org)
{
    struct scope key;

    snprintf(key.org, sizeof(key.org), "%s", org);
    return bsearch(&key, t->scopes, t->n_scopes, sizeof(key), by_org);
}

/* Those of the nodes and of the doubts there were, each once, by name. False: out of memory. */
static bool make_scopes(struct turn *t, const PGresult *nodes, const PGresult *doubts)
{
    size_t n = (size_t)PQntuples(nodes), all = n + (size_t)PQntuples(doubts);

    t->scopes = calloc(all + 1, sizeof(*t->scopes));
    if (t->scopes == NULL)
        return false;
    for (size_t i = 0; i < all; i++)
        snprintf(t->scopes[i].org, sizeof(t->scopes[i].org), "%s",
                 i < n ? db_get(nodes, (int)i, ORG) : db_get(doubts, (int)(i - n), DOUBT_ORG));
    qsort(t->scopes, all, sizeof(*t->scopes), by_org);
    for (size_t i = 0; i < all; i++) {
        if (i == 0 || by_org(&t->scopes[i], &t->scopes[t->n_scopes - 1]) != 0)
            t->scopes[t->n_scopes++] = t->scopes[i];
    }
    for (int row = 0; row < PQntuples(doubts); row++) {
        struct scope *of = scope_of(t, db_get(doubts, row, DOUBT_ORG));

        of->doubt = db_get_bool(doubts, row, DOUBT_IS);
        of->heard_us = db_get_i64(doubts, row, DOUBT_HEARD);
        of->told = db_get_bool(doubts, row, DOUBT_TOLD);
    }
    return true;
}

static void hear_all(struct turn *t, const PGresult *nodes)
{
    for (int row = 0; row < PQntuples(nodes); row++)
        health_hear(&scope_of(t, db_get(nodes, row, ORG))->hearing,
                    (enum health_state)db_get_i64(nodes, row, STATE), db_get_bool(nodes, row, PLANNED),
                    heartbeat_age(t, nodes, row));
    for (size_t i = 0; i < t->n_scopes; i++) {
        struct scope *of = &t->scopes[i];

        of->doubt = health_doubt_next(of->doubt, &of->heard_us, &of->hearing, t->now_us);
    }
}

/* ---- judging ---- */

static size_t read_failures(const char *text, double out[static FAILURES_MAX])
{
    struct pgarray a = pgarray_open(text);
    char number[64];
    size_t n = 0;
    bool null;

    while (n < FAILURES_MAX && pgarray_next(&a, number, sizeof(number), &null) == 1)
        out[n++] = strtod(number, NULL);
    return n;
}

static struct health stored(const PGresult *res, int row)
{
    return (struct health){.state = (enum health_state)db_get_i64(res, row, STATE),
                           .cause = (enum health_cause)db_get_i64(res, row, CAUSE),
                           .since_us = db_get_i64(res, row, SINCE),
                           .bad_us = db_get_i64(res, row, BAD),
                           .strikes = (unsigned)db_get_i64(res, row, STRIKES)};
}

static bool judge(const struct turn *t, const PGresult *res, int row, struct health *h)
{
    double failures[FAILURES_MAX];
    struct health_evidence e = {
        .heartbeat_age_us = heartbeat_age(t, res, row),
        .planned = db_get_bool(res, row, PLANNED),
        .doubt = scope_of(t, db_get(res, row, ORG))->doubt,
        .mesh = strcmp(db_get(res, row, ORG), CLOUD_ORG) != 0,
        .alone = t->alone,
        .participants = db_get_i64(res, row, PARTICIPANTS),
        .failures = failures,
        .n_failures = db_null(res, row, FAILURES) ? 0 : read_failures(db_get(res, row, FAILURES), failures),
        .probes_fail = db_get_i64(res, row, FAIL),
        .probes_work = db_get_i64(res, row, WORK),
    };

    return health_step(h, &e, t->now_us);
}

static json_t *changed_json(const PGresult *res, int row, const struct health *h)
{
    return json_pack("{s:s, s:s, s:i, s:i, s:I, s:I, s:i}", "org", db_get(res, row, ORG), "node",
                     db_get(res, row, NODE), "state", (int)h->state, "cause", (int)h->cause, "since",
                     (json_int_t)h->since_us, "bad", (json_int_t)h->bad_us, "strikes", (int)h->strikes);
}

static void note(const struct turn *t, const PGresult *res, int row, const struct health *h)
{
    enum health_state was = (enum health_state)db_get_i64(res, row, STATE);

    if (was != h->state)
        log_event(t->ctl->log, LOG_INFO, "health", "node_state", LOG_S("org", db_get(res, row, ORG)),
                  LOG_S("node", db_get(res, row, NODE)), LOG_S("was", health_state_name(was)),
                  LOG_S("is", health_state_name(h->state)), LOG_S("because", cause_text(h->cause)));
}

static json_t *doubts_json(const struct turn *t)
{
    json_t *list = json_array();

    for (size_t i = 0; i < t->n_scopes; i++) {
        if (t->scopes[i].doubt)
            json_array_append_new(list, json_pack("{s:s, s:I}", "org", t->scopes[i].org, "heard",
                                                  (json_int_t)t->scopes[i].heard_us));
    }
    return list;
}

/* True: these states are the stored ones now. */
static bool end_turn(struct turn *t, json_t *changed)
{
    json_t *doubts = doubts_json(t);
    char number[24], *in_doubt = json_dumps(doubts, JSON_COMPACT), *text = json_dumps(changed, JSON_COMPACT);
    const char *params[] = {number, in_doubt, text};
    PGresult *res = NULL;
    bool ended;

    (void)db_i64(number, t->number);
    if (text != NULL && in_doubt != NULL)
        res = db_sync_exec(t->db, "select health_end($1::bigint, $2::jsonb, $3::jsonb)", params, 3);
    ended = res != NULL && db_get_bool(res, 0, 0);
    if (res == NULL)
        lost(t, "turn_not_ended");
    PQclear(res);
    free(text);
    free(in_doubt);
    json_decref(doubts);
    return ended;
}

/* The cloud's first. Then the orgs', from another place each turn: what there is no room to tell comes again, and
 * may not go before all else. */
static void tell_all(struct turn *t, const PGresult *nodes, const struct health *all)
{
    int n = PQntuples(nodes), first = n > 0 ? (int)(t->number * EVENTS_MAX % n) : 0;

    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < t->n_scopes; i++)
            if ((strcmp(t->scopes[i].org, CLOUD_ORG) == 0) == (pass == 0))
                tell_doubt(t, &t->scopes[i]);
        for (int i = 0; i < n; i++) {
            int row = (first + i) % n;

            if ((strcmp(db_get(nodes, row, ORG), CLOUD_ORG) == 0) == (pass == 0))
                tell_node(t, nodes, row, &all[row]);
        }
    }
}

static void decide(struct turn *t, const PGresult *res, const PGresult *doubts)
{
    int n = PQntuples(res);
    struct health *all = calloc((size_t)n + 1, sizeof(*all));
    json_t *changed = json_array();

    if (all == NULL || !make_scopes(t, res, doubts))
        goto out;
    hear_all(t, res);
    for (int row = 0; row < n; row++) {
        all[row] = stored(res, row);
        if (judge(t, res, row, &all[row]))
            json_array_append_new(changed, changed_json(res, row, &all[row]));
    }
    if (!end_turn(t, changed))
        goto out;
    for (int row = 0; row < n; row++)
        note(t, res, row, &all[row]);
    tell_all(t, res, all);
out:
    json_decref(changed);
    free(t->scopes);
    free(all);
}

/* ---- turns ---- */

/* A look that takes too long is for the next time: the turns don't wait for it, and judge by what was seen last. */
static void look_at_probes(const struct turn *t)
{
    char every[24];
    const char *params[] = {every};
    PGresult *res;
    bool due;

    (void)db_i64(every, PROBES_MS);
    res = db_sync_exec(t->db, "select health_probes_due($1::bigint)", params, 1);
    due = res != NULL && db_get_bool(res, 0, 0);
    if (due) {
        PQclear(res);
        res = db_sync_exec(t->db, "select health_probes_look()", NULL, 0);
    }
    if (res == NULL)
        lost(t, "probes_not_looked_at");
    PQclear(res);
}

static bool begin(struct turn *t)
{
    char period[24];
    const char *params[] = {period};
    PGresult *res;
    bool due;

    (void)db_i64(period, TURN_MS);
    res = db_sync_exec(t->db, "select turn, now_us, alone from health_begin($1::bigint)", params, 1);
    due = res != NULL && PQntuples(res) == 1;
    if (res == NULL)
        lost(t, "turn_not_begun");
    if (due) {
        t->number = db_get_i64(res, 0, 0);
        t->now_us = db_get_i64(res, 0, 1);
        t->alone = db_get_bool(res, 0, 2);
    }
    PQclear(res);
    return due;
}

void health_turn(struct controller *ctl, struct db_sync *db)
{
    struct turn t = {.ctl = ctl, .db = db};
    PGresult *nodes = NULL, *doubts = NULL;

    look_at_probes(&t);
    if (!begin(&t))
        return;
    nodes = db_sync_exec(db, "select * from health_evidence()", NULL, 0);
    if (nodes != NULL)
        doubts = db_sync_exec(db, "select * from health_doubts()", NULL, 0);
    if (doubts == NULL)
        lost(&t, "evidence_not_read");
    else
        decide(&t, nodes, doubts);
    PQclear(doubts);
    PQclear(nodes);
}
