/* From rows to a decision. Invariant: what is decided on is exactly what the statements of one transaction saw, the meeting's epoch read
 * first; so a plan kept under that epoch was made on nothing older. */
#include "join_scene.h"

#include "pgarray.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { RESULT_MEETING, RESULT_PEOPLE, RESULT_REPORTS };

static const struct db_stmt meeting_stmt = {
    "join_meeting", "select epoch, policy, node_org, node from meeting where org = $1 and id = $2"};

static const struct db_stmt people_stmt = {
    "join_people", "select agent, network, capabilities, node_org, node, transport, ladder from participant"
                   " where org = $1 and meeting = $2 order by agent"};

/* The live reports of everybody in the meeting and of the newcomer, each for the network it named. Addresses and proxies are of use in the
 * newcomer's ladder alone. */
static const struct db_stmt reports_stmt = {
    "join_reports",
    "select r.agent, r.capabilities, r.names, r.node, r.transport, r.status, r.rtt_min_us,"
    " case when r.agent = $3 then r.addrs end, case when r.agent = $3 then r.address end,"
    " case when r.agent = $3 then r.proxies end"
    " from (select array_agg(q.agent::text) as agents, array_agg(q.network::text) as networks from"
    "  (select agent, network from participant where org = $1 and meeting = $2 and agent <> $3"
    "   union all select $3, $4) q) asked,"
    " live_report($1, asked.agents, asked.networks) r order by r.agent"};

void join_scene_read(struct db_batch *b, const struct join_ask *ask)
{
    const struct db_param p[] = {db_text(ask->org), db_text(ask->meeting), db_text(ask->agent),
                                 db_text(ask->network)};

    db_add(b, &meeting_stmt, p, 2);
    db_add(b, &people_stmt, p, 2);
    db_add(b, &reports_stmt, p, 4);
}

static void *scene_alloc(struct join_scene *s, size_t n, size_t size)
{
    void *p = h2o_mem_alloc_pool(&s->pool, (n + 1) * size);

    memset(p, 0, (n + 1) * size);
    return p;
}

static const char *scene_text(struct join_scene *s, const PGresult *res, int row, int col)
{
    return db_null(res, row, col) ? NULL : h2o_strdup(&s->pool, db_get(res, row, col), SIZE_MAX).base;
}

/* ---- the meeting ---- */

static int read_meeting(struct join_scene *s, const PGresult *res)
{
    struct doc_error e;

    if (PQntuples(res) == 0)
        return -ENOENT;
    s->epoch = db_get_i64(res, 0, 0);
    s->policy_json = json_loads(db_get(res, 0, 1), 0, NULL);
    if (s->policy_json == NULL || meeting_policy_from_json(s->policy_json, &s->policy, &e) != 0)
        return -EBADMSG;
    s->node_org = scene_text(s, res, 0, 2);
    s->node = scene_text(s, res, 0, 3);
    s->problem.policy = (struct place_policy){
        .n_allow = s->policy.n_allow,
        .n_deny = s->policy.n_deny,
        .allow = s->policy.allow,
        .deny = s->policy.deny,
        .private_only = s->policy.private_only,
        .transports = meeting_policy_transports(&s->policy),
    };
    return 0;
}

/* ---- nodes ---- */

static void correct(struct place_node *to, const struct catalogue_node *n, const struct join_ask *ask)
{
    for (size_t i = 0; i < ask->n_corrections; i++) {
        const struct join_correction *c = &ask->corrections[i];

        if (strcmp(c->node, n->id) != 0 || strcmp(c->org, n->org) != 0)
            continue;
        if (c->full)
            to->capacity = to->assigned = 1;
        else
            to->state = PLACE_DRAINING;
    }
}

static int by_id(const void *a, const void *b)
{
    const struct catalogue_node *const *x = a, *const *y = b;

    return strcmp((*x)->id, (*y)->id);
}

static void read_nodes(struct join_scene *s, const struct join_ask *ask, const struct catalogue *c)
{
    struct catalogue_iter count = {0}, it = {0};
    const struct catalogue_node *n;
    struct place_node *nodes;
    size_t len = 0;

    while (catalogue_next(c, ask->org, &count) != NULL)
        len++;
    s->nodes = scene_alloc(s, len, sizeof(s->nodes[0]));
    len = 0;
    while ((n = catalogue_next(c, ask->org, &it)) != NULL) {
        if (node_listed(catalogue_load_of(c, n)))
            s->nodes[len++] = n;
    }
    qsort(s->nodes, len, sizeof(s->nodes[0]), by_id);
    nodes = scene_alloc(s, len, sizeof(*nodes));
    for (size_t i = 0; i < len; i++) {
        const struct catalogue_load *l;

        n = s->nodes[i];
        l = catalogue_load_of(c, n);
        nodes[i] = (struct place_node){
            .id = n->id,
            .org = n->mesh ? n->org : NULL,
            .cluster = n->cluster,
            .region = n->region,
            .state = n->drain || l->draining ? PLACE_DRAINING
                     : node_healthy(l)       ? PLACE_IN_SERVICE
                                             : PLACE_QUARANTINED,
            .capacity = n->capacity,
            .assigned = l->assigned,
            .load = l->cpu,
            .transports = node_transports(n),
        };
        correct(&nodes[i], n, ask);
    }
    s->problem.nodes = nodes;
    s->problem.n_nodes = len;
}

static size_t node_index(const struct join_scene *s, const char *id)
{
    const struct catalogue_node key = {.id = id}, *p = &key, **found;

    if (id == NULL)
        return PLACE_NONE;
    found = bsearch(&p, s->nodes, s->problem.n_nodes, sizeof(s->nodes[0]), by_id);
    return found != NULL ? (size_t)(found - s->nodes) : PLACE_NONE;
}

/* A node that was stored with its org; PLACE_NONE where another one has the id by now. */
static size_t stored_node_index(const struct join_scene *s, const char *org, const char *id)
{
    size_t i = node_index(s, id);

    return i != PLACE_NONE && org != NULL && strcmp(s->nodes[i]->org, org) == 0 ? i : PLACE_NONE;
}

/* ---- people ---- */

static void read_person(struct join_scene *s, const PGresult *res, int row, struct join_person *who)
{
    *who = (struct join_person){
        .agent = scene_text(s, res, row, 0),
        .network = scene_text(s, res, row, 1),
        .capabilities = db_null(res, row, 2) ? -1 : (int)db_get_i64(res, row, 2),
        .stored = true,
        .node_org = scene_text(s, res, row, 3),
        .node = scene_text(s, res, row, 4),
        .transport = (int)db_get_i64(res, row, 5),
        .ladder = scene_text(s, res, row, 6),
    };
}

static void read_people(struct join_scene *s, const struct join_ask *ask, const PGresult *res)
{
    size_t n = (size_t)PQntuples(res);
    struct place_participant *out;

    s->people = scene_alloc(s, n + 1, sizeof(s->people[0]));
    s->me = n;
    for (size_t i = 0; i < n; i++) {
        read_person(s, res, (int)i, &s->people[i]);
        /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): part of the primary key, so never null */
        if (strcmp(s->people[i].agent, ask->agent) == 0)
            s->me = i;
    }
    if (s->me == n)
        n++;
    s->people[s->me].agent = ask->agent;
    out = scene_alloc(s, n, sizeof(*out));
    for (size_t i = 0; i < n; i++) {
        const struct join_person *who = &s->people[i];
        int capabilities = i == s->me ? ask->capabilities : who->capabilities;

        out[i] = (struct place_participant){
            .agent = who->agent,
            .capabilities = capabilities >= 0 ? (unsigned)capabilities : TRANSPORTS_ALL,
            .present = who->stored ? stored_node_index(s, who->node_org, who->node) : PLACE_NONE,
        };
    }
    s->problem.participants = out;
    s->problem.n_participants = n;
    s->problem.org = ask->org;
    s->problem.present = stored_node_index(s, s->node_org, s->node);
}

/* ---- reports ---- */

enum { REPORT_TEXT_MAX = 320 }; /* a node's id or an address */

struct report_arrays {
    size_t n, n_names, n_addrs;
    const char **names, **addrs;
    int64_t *node, *transport, *status, *rtt, *address;
};

/* The n integers of a column. */
static int64_t *read_ints(struct join_scene *s, const PGresult *res, int row, int col, size_t n)
{
    int64_t *v = scene_alloc(s, n, sizeof(*v));

    return pgarray_ints(db_get(res, row, col), v, n) == 0 ? v : NULL;
}

static const char **read_texts(struct join_scene *s, const char *text, size_t *n)
{
    struct pgarray a = pgarray_open(text);
    int count = pgarray_count(text);
    char element[REPORT_TEXT_MAX];
    const char **v;
    bool null;

    if (count < 0)
        return NULL;
    v = scene_alloc(s, (size_t)count, sizeof(*v));
    for (*n = 0; *n < (size_t)count; (*n)++) {
        if (pgarray_next(&a, element, sizeof(element), &null) != 1)
            return NULL;
        v[*n] = h2o_strdup(&s->pool, element, SIZE_MAX).base;
    }
    return v;
}

static int read_arrays(struct join_scene *s, const PGresult *res, int row, struct report_arrays *a)
{
    int n = pgarray_count(db_get(res, row, 3));

    if (n < 0)
        return -EBADMSG;
    a->n = (size_t)n;
    a->names = read_texts(s, db_get(res, row, 2), &a->n_names);
    a->node = read_ints(s, res, row, 3, a->n);
    a->transport = read_ints(s, res, row, 4, a->n);
    a->status = read_ints(s, res, row, 5, a->n);
    a->rtt = read_ints(s, res, row, 6, a->n);
    if (a->names == NULL || a->node == NULL || a->transport == NULL || a->status == NULL || a->rtt == NULL)
        return -EBADMSG;
    if (db_null(res, row, 8))
        return 0;
    a->addrs = read_texts(s, db_get(res, row, 7), &a->n_addrs);
    a->address = read_ints(s, res, row, 8, a->n);
    return a->addrs != NULL && a->address != NULL ? 0 : -EBADMSG;
}

/* Positions in a report count from 1; 0 is none. */
static const char *at_position(const char *const *list, size_t n, int64_t position)
{
    return position >= 1 && (size_t)position <= n ? list[position - 1] : NULL;
}

static const char *proxy_url(struct join_scene *s, const json_t *proxies, size_t position)
{
    const char *url;
    char key[24];

    snprintf(key, sizeof(key), "%zu", position);
    url = json_string_value(json_object_get(json_object_get(proxies, key), "url"));
    return url != NULL ? h2o_strdup(&s->pool, url, SIZE_MAX).base : NULL;
}

/* Rows that say something of nodes that are candidates. */
static void fill_rows(struct join_scene *s, struct place_participant *who, const struct report_arrays *a,
                      const json_t *proxies, bool me)
{
    struct place_row *rows = scene_alloc(s, a->n, sizeof(*rows));
    size_t *index = scene_alloc(s, a->n_names, sizeof(*index)), n = 0;

    for (size_t i = 0; i < a->n_names; i++)
        index[i] = node_index(s, a->names[i]);
    if (me) {
        s->measured.address = scene_alloc(s, a->n, sizeof(s->measured.address[0]));
        s->measured.proxy = scene_alloc(s, a->n, sizeof(s->measured.proxy[0]));
    }
    for (size_t k = 0; k < a->n; k++) {
        if (at_position(a->names, a->n_names, a->node[k]) == NULL || index[a->node[k] - 1] == PLACE_NONE ||
            a->status[k] == PROBE_UNTESTED || a->transport[k] < 0 || a->transport[k] >= TRANSPORT_COUNT)
            continue;
        rows[n] = (struct place_row){.node = (uint32_t)index[a->node[k] - 1],
                                     .transport = (uint8_t)a->transport[k],
                                     .reachable = a->status[k] == PROBE_REACHABLE,
                                     .rtt_us = (int32_t)a->rtt[k]};
        if (me && a->address != NULL) {
            s->measured.address[n] = at_position(a->addrs, a->n_addrs, a->address[k]);
            s->measured.proxy[n] = proxies != NULL ? proxy_url(s, proxies, k + 1) : NULL;
        }
        n++;
    }
    who->rows = rows;
    who->n_rows = n;
}

static int find_person(const struct join_scene *s, const char *agent, size_t *out)
{
    for (size_t i = 0; i < s->problem.n_participants; i++) {
        if (strcmp(s->people[i].agent, agent) == 0) {
            *out = i;
            return 0;
        }
    }
    return -ENOENT;
}

static int read_report(struct join_scene *s, const struct join_ask *ask, struct place_participant *people,
                       const PGresult *res, int row)
{
    struct report_arrays a = {0};
    json_t *proxies = NULL;
    size_t i;
    int said;

    if (find_person(s, db_get(res, row, 0), &i) != 0)
        return 0; /* it has left between two statements: the epoch will tell */
    if (read_arrays(s, res, row, &a) != 0)
        return -EBADMSG;
    if (i == s->me && !db_null(res, row, 9))
        proxies = json_loads(db_get(res, row, 9), 0, NULL);
    people[i].measured = true;
    fill_rows(s, &people[i], &a, proxies, i == s->me);
    json_decref(proxies);
    said = i == s->me ? ask->capabilities : s->people[i].capabilities;
    if (said < 0 && !db_null(res, row, 1))
        people[i].capabilities = (unsigned)db_get_i64(res, row, 1) & TRANSPORTS_ALL;
    return 0;
}

static int read_reports(struct join_scene *s, const struct join_ask *ask, const PGresult *res)
{
    struct place_participant *people = scene_alloc(s, s->problem.n_participants, sizeof(*people));

    memcpy(people, s->problem.participants, s->problem.n_participants * sizeof(*people));
    s->problem.participants = people;
    for (int row = 0; row < PQntuples(res); row++) {
        int r = read_report(s, ask, people, res, row);

        if (r != 0)
            return r;
    }
    return 0;
}

int join_scene_build(struct join_scene *s, const struct join_ask *ask, const struct catalogue *c,
                     const struct db_result *result)
{
    int r;

    memset(s, 0, sizeof(*s));
    h2o_mem_init_pool(&s->pool);
    s->ready = true;
    r = read_meeting(s, result->res[RESULT_MEETING]);
    if (r != 0)
        return r;
    read_nodes(s, ask, c);
    read_people(s, ask, result->res[RESULT_PEOPLE]);
    r = read_reports(s, ask, result->res[RESULT_REPORTS]);
    if (r != 0)
        return r;
    s->plan.candidates = scene_alloc(s, s->problem.n_nodes, sizeof(s->plan.candidates[0]));
    s->plan.reach = scene_alloc(s, s->problem.n_nodes, sizeof(s->plan.reach[0]));
    s->plan.seats = scene_alloc(s, s->problem.n_participants, sizeof(s->plan.seats[0]));
    s->plan.work =
        scene_alloc(s, place_work_size(s->problem.n_nodes, s->problem.n_participants), sizeof(char));
    place_decide(&s->problem, &s->plan);
    return 0;
}

void join_scene_clear(struct join_scene *s)
{
    if (!s->ready)
        return;
    json_decref(s->policy_json);
    h2o_mem_clear_pool(&s->pool);
    s->ready = false;
}

/* ---- what is kept of it ---- */

const char *join_ladder_text(struct join_scene *s, const struct place_seat *seat)
{
    char *text = scene_alloc(s, 2 * TRANSPORT_COUNT + 2, 1), *p = text;

    *p++ = '{';
    for (size_t i = 0; i < seat->n_ladder; i++) {
        if (i > 0)
            *p++ = ',';
        *p++ = (char)('0' + (int)seat->ladder[i]);
    }
    *p = '}';
    return text;
}

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool join_person_unchanged(struct join_scene *s, const struct join_ask *ask, size_t i)
{
    const struct join_person *who = &s->people[i];
    const struct place_seat *seat = &s->plan.seats[i];

    if (seat->node == PLACE_NONE) /* nothing better is known than where it is */
        return true;
    if (!who->stored || strcmp(who->node, s->nodes[seat->node]->id) != 0 ||
        strcmp(who->node_org, s->nodes[seat->node]->org) != 0 || who->transport != (int)seat->ladder[0] ||
        strcmp(who->ladder, join_ladder_text(s, seat)) != 0)
        return false;
    return i != s->me || (same_text(who->network, ask->network) && who->capabilities == ask->capabilities);
}
