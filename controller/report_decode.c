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
};
_Static_assert(COL_PROXIES + 1 == REPORT_COLUMNS_N, "REPORT_COLUMNS and its readers belong together");

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

/* What one row's columns are read with: `dict` holds the strings of names or addrs, `ints` one array at a time. */
struct decoder {
    const PGresult *res;
    int row, col;
    struct report *r;
    size_t n;
    int64_t *ints;
};

static int decode_names(struct decoder *d)
{
    const char *text = db_get(d->res, d->row, d->col + COL_NAMES);
    int n = pgarray_count(text), rc;
    char(*names)[NODE_ID_MAX + 1] = n >= 0 ? calloc((size_t)n + 1, sizeof(*names)) : NULL;
    struct pgarray a = pgarray_open(text);
    bool null;

    if (names == NULL)
        return n < 0 ? -EBADMSG : -ENOMEM;
    rc = pgarray_ints(db_get(d->res, d->row, d->col + COL_NODE), d->ints, d->n);
    for (int i = 0; i < n && rc == 0; i++)
        rc = pgarray_next(&a, names[i], sizeof(names[i]), &null) == 1 ? 0 : -EBADMSG;
    for (size_t i = 0; i < d->n && rc == 0; i++) {
        if (d->ints[i] < 1 || d->ints[i] > n)
            rc = -EBADMSG;
        else
            memcpy(d->r->results[i].node, names[d->ints[i] - 1], sizeof(*names));
    }
    free(names);
    return rc;
}

static int decode_addrs(struct decoder *d)
{
    const char *text = db_get(d->res, d->row, d->col + COL_ADDRS);
    int n = pgarray_count(text), rc = 0;
    struct addr *addrs = n >= 0 ? calloc((size_t)n + 1, sizeof(*addrs)) : NULL;
    struct pgarray a = pgarray_open(text);
    char element[ADDR_TEXT_LEN];
    bool null;

    if (addrs == NULL)
        return n < 0 ? -EBADMSG : -ENOMEM;
    for (int i = 0; i < n && rc == 0; i++)
        rc = pgarray_next(&a, element, sizeof(element), &null) == 1 ? addr_read(element, &addrs[i + 1])
                                                                    : -EBADMSG;
    for (int which = COL_ADDRESS; which <= COL_MAPPED_ADDRESS && rc == 0; which++) {
        rc = pgarray_ints(db_get(d->res, d->row, d->col + which), d->ints, d->n);
        for (size_t i = 0; i < d->n && rc == 0; i++) {
            struct probe_result *p = &d->r->results[i];
            if (d->ints[i] < 0 || d->ints[i] > n)
                rc = -EBADMSG;
            else
                *(which == COL_ADDRESS ? &p->address : &p->mapped_address) = addrs[d->ints[i]];
        }
    }
    free(addrs);
    return rc;
}

static int decode_kinds(struct decoder *d)
{
    static const int64_t limits[] = {TRANSPORT_COUNT, PROBE_STATUS_COUNT, FRAMING_WEBSOCKET + 1};

    for (int which = COL_TRANSPORT; which <= COL_FRAMING; which++) {
        if (pgarray_ints(db_get(d->res, d->row, d->col + which), d->ints, d->n) != 0)
            return -EBADMSG;
        for (size_t i = 0; i < d->n; i++) {
            struct probe_result *p = &d->r->results[i];
            if (d->ints[i] < 0 || d->ints[i] >= limits[which - COL_TRANSPORT])
                return -EBADMSG;
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
        if (pgarray_ints(db_get(d->res, d->row, d->col + which), d->ints, d->n) != 0)
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
    all = json_loads(db_get(d->res, d->row, d->col + COL_PROXIES), 0, NULL);
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

static int decode_head(struct stored_report *out, struct decoder *d)
{
    struct report *r = d->r;
    struct pgarray a = pgarray_open(db_get(d->res, d->row, d->col + COL_MAPPED));
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
    if (more != 0 || copy_text(r->agent, sizeof(r->agent), db_get(d->res, d->row, d->col + COL_AGENT)) != 0 ||
        copy_text(r->report_id, sizeof(r->report_id), db_get(d->res, d->row, d->col + COL_REPORT_ID)) != 0)
        return -EBADMSG;
    return copy_text(r->network_id, sizeof(r->network_id), db_get(d->res, d->row, d->col + COL_NETWORK));
}

int report_row_decode(struct stored_report *out, const PGresult *res, int row, int col)
{
    struct decoder d = {.res = res, .row = row, .col = col, .r = &out->report};
    int n = pgarray_count(db_get(res, row, col + COL_NODE)), rc;

    memset(out, 0, sizeof(*out));
    if (n < 0 || n > REPORT_RESULTS_MAX)
        return -EBADMSG;
    d.n = (size_t)n;
    d.ints = calloc(d.n + 1, sizeof(*d.ints));
    out->report.results = calloc(d.n + 1, sizeof(*out->report.results));
    out->report.n_results = d.n;
    rc = d.ints != NULL && out->report.results != NULL ? 0 : -ENOMEM;
    for (size_t i = 0; i < d.n && rc == 0; i++)
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
    free(d.ints);
    if (rc != 0)
        report_clear(&out->report);
    return rc;
}
