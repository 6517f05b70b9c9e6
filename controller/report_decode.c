/* Rows of `report` back to reports. Invariant: whatever the columns hold, nothing outside of the row's own arrays is read or written: a
 * row that doesn't fit together is -EBADMSG. */
#include "report_store.h"

#include "db.h"
#include "pgarray.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    COL_AGENT,
    COL_REPORT_ID,
    COL_MEASURED,
    COL_RECEIVED,
    COL_EXPIRES,
    COL_NETWORK,
    COL_MAPPED,
    COL_CAPABILITIES,
    COL_NAMES,
    COL_ADDRS,
    COL_NODE,
    COL_TRANSPORT,
    COL_STATUS,
    COL_FRAMING,
    COL_ADDRESS,
    COL_MAPPED_ADDRESS,
    COL_RTT_MIN,
    COL_RTT_MEDIAN,
    COL_RTT_P95,
    COL_SENT,
    COL_RCVD,
    COL_CONNECT,
    COL_TLS,
    COL_PROXIES,
    COL_CALLS,
};
_Static_assert(COL_CALLS + 1 == REPORT_COLUMNS_N, "REPORT_COLUMNS and its readers belong together");

static int addr_read(const char *text, struct addr *a)
{
    return addr_parse(a, text) == 0 || addr_parse_ip(a, text) == 0 ? 0 : -EBADMSG;
}

static int copy_text(char *out, size_t cap, const char *s)
{
    if (strlen(s) >= cap)
        return -EBADMSG;
    memcpy(out, s, strlen(s) + 1);
    return 0;
}

/* What one row's columns are read with; `ints` holds one array at a time. */
struct decoder {
    const PGresult *res;
    int row, col;
    struct report *r;
    size_t n;
    int64_t *ints;
};

static const char *column(const struct decoder *d, int which)
{
    return db_get(d->res, d->row, d->col + which);
}

/* An array of one figure a result, all of them within the range. */
static int read_ints(struct decoder *d, int which, int64_t least, int64_t most)
{
    if (pgarray_ints(column(d, which), d->ints, d->n) != 0)
        return -EBADMSG;
    for (size_t i = 0; i < d->n; i++) {
        if (d->ints[i] < least || d->ints[i] > most)
            return -EBADMSG;
    }
    return 0;
}

/* The nodes that the report speaks of, to be freed. */
static int read_names(const struct decoder *d, int which, struct report_name **out, size_t *n)
{
    struct pgarray a = pgarray_open(column(d, which));
    size_t cap = pgarray_most(column(d, which));
    struct report_name *names = malloc(cap * sizeof(*names));
    int more = 1;
    bool null;

    if (names == NULL)
        return -ENOMEM;
    for (*n = 0; *n < cap && more == 1; *n += more == 1)
        more = pgarray_next(&a, names[*n].id, sizeof(names[*n].id), &null);
    if (more < 0) {
        free(names);
        return -EBADMSG;
    }
    *out = names;
    return 0;
}

static int decode_names(struct decoder *d)
{
    struct report_name *names;
    size_t n;
    int rc = read_names(d, COL_NAMES, &names, &n);

    if (rc != 0)
        return rc;
    rc = read_ints(d, COL_NODE, 1, (int64_t)n);
    for (size_t i = 0; i < d->n && rc == 0; i++)
        memcpy(d->r->results[i].node, names[d->ints[i] - 1].id, sizeof(names->id));
    free(names);
    return rc;
}

static int decode_addrs(struct decoder *d)
{
    struct pgarray a = pgarray_open(column(d, COL_ADDRS));
    size_t cap = pgarray_most(column(d, COL_ADDRS)), n = 0;
    struct addr *addrs = calloc(cap + 1, sizeof(*addrs));
    char element[ADDR_TEXT_LEN];
    bool null;
    int rc;

    if (addrs == NULL)
        return -ENOMEM;
    while ((rc = pgarray_next(&a, element, sizeof(element), &null)) == 1 && n < cap) {
        if (addr_read(element, &addrs[++n]) != 0)
            break;
    }
    if (rc != 0)
        rc = -EBADMSG;
    for (int which = COL_ADDRESS; which <= COL_MAPPED_ADDRESS && rc == 0; which++) {
        rc = read_ints(d, which, 0, (int64_t)n);
        for (size_t i = 0; i < d->n && rc == 0; i++) {
            struct probe_result *p = &d->r->results[i];
            *(which == COL_ADDRESS ? &p->address : &p->mapped_address) = addrs[d->ints[i]];
        }
    }
    free(addrs);
    return rc;
}

static int decode_kinds(struct decoder *d)
{
    static const int64_t most[] = {TRANSPORT_COUNT - 1, PROBE_STATUS_COUNT - 1, FRAMING_WEBSOCKET};

    for (int which = COL_TRANSPORT; which <= COL_FRAMING; which++) {
        if (read_ints(d, which, 0, most[which - COL_TRANSPORT]) != 0)
            return -EBADMSG;
        for (size_t i = 0; i < d->n; i++) {
            struct probe_result *p = &d->r->results[i];
            if (which == COL_TRANSPORT)
                p->transport = (enum transport)d->ints[i];
            else if (which == COL_STATUS)
                p->status = (enum probe_status)d->ints[i];
            else
                p->framing = (enum framing)d->ints[i];
        }
    }
    return 0;
}

static int decode_figures(struct decoder *d)
{
    static const size_t offsets[] = {
        offsetof(struct probe_result, rtt_min_us), offsetof(struct probe_result, rtt_median_us),
        offsetof(struct probe_result, rtt_p95_us), offsetof(struct probe_result, sent),
        offsetof(struct probe_result, received),   offsetof(struct probe_result, connect_us),
        offsetof(struct probe_result, tls_us)};

    for (int which = COL_RTT_MIN; which <= COL_TLS; which++) {
        if (pgarray_ints(column(d, which), d->ints, d->n) != 0)
            return -EBADMSG;
        for (size_t i = 0; i < d->n; i++)
            memcpy((char *)&d->r->results[i] + offsets[which - COL_RTT_MIN], &d->ints[i], sizeof(d->ints[i]));
    }
    return 0;
}

static int decode_proxies(struct decoder *d)
{
    const char *key;
    json_t *all, *one;
    int rc = 0;

    if (db_null(d->res, d->row, d->col + COL_PROXIES))
        return 0;
    all = json_loads(column(d, COL_PROXIES), 0, NULL);
    json_object_foreach(all, key, one)
    {
        long at = strtol(key, NULL, 10);
        struct probe_result *p = at >= 1 && (size_t)at <= d->n ? &d->r->results[at - 1] : NULL;
        const char *url = json_string_value(json_object_get(one, "url"));
        const char *scheme = json_string_value(json_object_get(one, "scheme"));
        const char *auth = json_string_value(json_object_get(one, "auth"));
        if (p == NULL || url == NULL || scheme == NULL || auth == NULL ||
            copy_text(p->proxy_url, sizeof(p->proxy_url), url) != 0 ||
            copy_text(p->proxy_scheme, sizeof(p->proxy_scheme), scheme) != 0 ||
            copy_text(p->proxy_auth, sizeof(p->proxy_auth), auth) != 0) {
            rc = -EBADMSG;
            break;
        }
        p->via_proxy = json_is_true(json_object_get(one, "via"));
        p->tls_intercepted = json_is_true(json_object_get(one, "tls_intercepted"));
    }
    if (all == NULL)
        rc = -EBADMSG;
    json_decref(all);
    return rc;
}

static int decode_calls(struct decoder *d)
{
    struct doc_error e;
    json_t *all;
    size_t n;
    int rc = 0;

    if (db_null(d->res, d->row, d->col + COL_CALLS))
        return 0;
    all = json_loads(column(d, COL_CALLS), 0, NULL);
    n = json_array_size(all);
    if (!json_is_array(all) || n > REPORT_CALLS_MAX)
        rc = -EBADMSG;
    else if ((d->r->calls = calloc(n + 1, sizeof(*d->r->calls))) == NULL)
        rc = -ENOMEM;
    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = call_stretch_from_json(json_array_get(all, i), &d->r->calls[i], &e) == 0 ? 0 : -EBADMSG;
        d->r->n_calls += rc == 0;
    }
    json_decref(all);
    return rc;
}

static int decode_head(struct stored_report *out, struct decoder *d)
{
    struct report *r = d->r;
    struct pgarray a = pgarray_open(column(d, COL_MAPPED));
    char element[ADDR_TEXT_LEN];
    bool null;
    int more;

    r->measured_at_us = db_get_i64(d->res, d->row, d->col + COL_MEASURED);
    out->received_at_us = db_get_i64(d->res, d->row, d->col + COL_RECEIVED);
    out->expires_at_us = db_get_i64(d->res, d->row, d->col + COL_EXPIRES);
    r->has_capabilities = !db_null(d->res, d->row, d->col + COL_CAPABILITIES);
    r->capabilities = (unsigned)db_get_i64(d->res, d->row, d->col + COL_CAPABILITIES);
    while ((more = pgarray_next(&a, element, sizeof(element), &null)) == 1) {
        if (r->n_mapped == REPORT_MAPPED_MAX || addr_read(element, &r->mapped[r->n_mapped]) != 0)
            return -EBADMSG;
        r->n_mapped++;
    }
    if (more != 0 || copy_text(r->agent, sizeof(r->agent), column(d, COL_AGENT)) != 0 ||
        copy_text(r->report_id, sizeof(r->report_id), column(d, COL_REPORT_ID)) != 0)
        return -EBADMSG;
    return copy_text(r->network_id, sizeof(r->network_id), column(d, COL_NETWORK));
}

/* Room for the results: as many as there are nodes' positions. */
static int count_results(struct decoder *d, int which)
{
    size_t cap = pgarray_most(column(d, which));
    int n;

    if (cap > REPORT_RESULTS_MAX)
        return -EBADMSG;
    d->ints = malloc(cap * sizeof(*d->ints));
    if (d->ints == NULL)
        return -ENOMEM;
    n = pgarray_int_list(column(d, which), d->ints, cap);
    d->n = n > 0 ? (size_t)n : 0;
    return n < 0 ? n : 0;
}

int report_row_decode(struct stored_report *out, const PGresult *res, int row, int col)
{
    struct decoder d = {.res = res, .row = row, .col = col, .r = &out->report};
    int rc;

    memset(out, 0, sizeof(*out));
    rc = count_results(&d, COL_NODE);
    if (rc != 0)
        goto out;
    out->report.results = calloc(d.n + 1, sizeof(*out->report.results));
    out->report.n_results = out->report.results != NULL ? d.n : 0;
    rc = out->report.results != NULL ? 0 : -ENOMEM;
    for (size_t i = 0; i < out->report.n_results; i++)
        probe_result_init(&out->report.results[i]);
    if (rc == 0)
        rc = decode_head(out, &d);
    if (rc == 0)
        rc = decode_names(&d);
    if (rc == 0)
        rc = decode_addrs(&d);
    if (rc == 0)
        rc = decode_kinds(&d);
    if (rc == 0)
        rc = decode_figures(&d);
    if (rc == 0)
        rc = decode_proxies(&d);
    if (rc == 0)
        rc = decode_calls(&d);
out:
    free(d.ints);
    if (rc != 0)
        report_clear(&out->report);
    return rc;
}

/* ---- the brief ---- */

uint8_t report_count(int64_t n)
{
    return n < 0 ? 0 : n > UINT8_MAX ? UINT8_MAX : (uint8_t)n;
}

uint8_t report_lost(uint8_t sent, int64_t received)
{
    return received < 0 || received >= sent ? 0 : (uint8_t)(sent - received);
}

enum {
    BRIEF_AGENT,
    BRIEF_CAPABILITIES,
    BRIEF_NAMES,
    BRIEF_NODE,
    BRIEF_TRANSPORT,
    BRIEF_STATUS,
    BRIEF_RTT_MIN,
    BRIEF_SENT,
    BRIEF_RECEIVED
};
_Static_assert(BRIEF_RECEIVED + 1 == REPORT_BRIEF_COLUMNS_N,
               "REPORT_BRIEF_COLUMNS and its reader belong together");

/* Column after column, each read into the one list of integers. */
static int brief_results(struct decoder *d, struct report_brief *out)
{
    int rc = read_ints(d, BRIEF_NODE, 1, (int64_t)out->n_names);
    size_t n = d->n; /* every column's */

    for (size_t i = 0; i < n && rc == 0; i++)
        out->results[i] = (struct report_brief_result){.name = (uint16_t)(d->ints[i] - 1)};
    if (rc == 0)
        rc = read_ints(d, BRIEF_TRANSPORT, 0, TRANSPORT_COUNT - 1);
    for (size_t i = 0; i < n && rc == 0; i++)
        out->results[i].transport = (uint8_t)d->ints[i];
    if (rc == 0)
        rc = read_ints(d, BRIEF_STATUS, 0, PROBE_STATUS_COUNT - 1);
    for (size_t i = 0; i < n && rc == 0; i++)
        out->results[i].status = (uint8_t)d->ints[i];
    if (rc == 0)
        rc = read_ints(d, BRIEF_RTT_MIN, NOT_MEASURED, INT32_MAX);
    for (size_t i = 0; i < n && rc == 0; i++)
        out->results[i].rtt_min_us = (int32_t)d->ints[i];
    if (rc == 0)
        rc = read_ints(d, BRIEF_SENT, NOT_MEASURED, INT32_MAX);
    for (size_t i = 0; i < n && rc == 0; i++)
        out->results[i].sent = report_count(d->ints[i]);
    if (rc == 0)
        rc = read_ints(d, BRIEF_RECEIVED, NOT_MEASURED, INT32_MAX);
    for (size_t i = 0; i < n && rc == 0; i++)
        out->results[i].lost = report_lost(out->results[i].sent, d->ints[i]);
    return rc;
}

int report_brief_decode(struct report_brief *out, const PGresult *res, int row, int col)
{
    struct decoder d = {.res = res, .row = row, .col = col};
    int rc;

    *out = (struct report_brief){
        .agent = column(&d, BRIEF_AGENT),
        .has_capabilities = !db_null(res, row, col + BRIEF_CAPABILITIES),
        .capabilities = (unsigned)db_get_i64(res, row, col + BRIEF_CAPABILITIES),
    };
    rc = count_results(&d, BRIEF_NODE);
    if (rc == 0)
        rc = read_names(&d, BRIEF_NAMES, &out->names, &out->n_names);
    if (rc != 0)
        goto out;
    out->n_results = d.n;
    out->results = malloc((d.n + 1) * sizeof(*out->results));
    rc = out->results != NULL ? brief_results(&d, out) : -ENOMEM;
out:
    free(d.ints);
    if (rc != 0)
        report_brief_clear(out);
    return rc;
}

void report_brief_clear(struct report_brief *b)
{
    free(b->names);
    free(b->results);
    memset(b, 0, sizeof(*b));
}
