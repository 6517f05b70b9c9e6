/* Reports to rows. Invariant: every per-result array has n_results elements, in the order of the document; names and addresses
 * stand once and are referred to by position from 1, 0 is none. */
#include "report_store.h"

#include "geo.h"
#include "pgarray.h"
#include "predict.h"
#include "report_dict.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAPPED_TEXT_MAX = ADDR_TEXT_LEN };

/* ---- encoding ---- */

/* What the arrays are written from. */
struct encoder {
    const struct report *r;
    struct report_dict_key key;
    struct report_dict names, addrs;
    int16_t *node, *address, *mapped, *small; /* the last: whatever is written next */
    int32_t *figures;                         /* likewise */
    struct wire_wr w;
    struct report_row *row;
};

/* What of a row is text already. */
struct row_texts {
    const char *org, *agent, *country;
    char *proxies, *calls; /* NULL: null */
};

static int encoder_init(struct encoder *e, const struct report *r, struct report_row *row)
{
    size_t n = r->n_results;

    memset(e, 0, sizeof(*e));
    e->r = r;
    e->row = row;
    report_dict_keygen(&e->key);
    if (report_dict_init(&e->names, n, &e->key) != 0 || report_dict_init(&e->addrs, 2 * n, &e->key) != 0)
        return -ENOMEM;
    e->node = malloc((4 * n + 1) * sizeof(*e->node));
    e->figures = malloc((n + 1) * sizeof(*e->figures));
    if (e->node == NULL || e->figures == NULL)
        return -ENOMEM;
    e->address = e->node + n;
    e->mapped = e->node + 2 * n;
    e->small = e->node + 3 * n;
    for (size_t i = 0; i < n; i++) {
        const struct probe_result *p = &r->results[i], *before = i > 0 ? p - 1 : NULL;
        bool same = before != NULL && strcmp(p->node, before->node) == 0;
        e->node[i] = same ? e->node[i - 1] : report_dict_name(&e->names, p->node);
        same = before != NULL && addr_eq(&p->address, &before->address);
        e->address[i] = same ? e->address[i - 1] : report_dict_addr(&e->addrs, &p->address);
        e->mapped[i] = report_dict_addr(&e->addrs, &p->mapped_address);
    }
    return 0;
}

static void encoder_clear(struct encoder *e)
{
    report_dict_clear(&e->names);
    report_dict_clear(&e->addrs);
    free(e->node);
    free(e->figures);
}

/* Adds a parameter that was written from `start` on. */
static void param_bytes(struct encoder *e, const uint8_t *start)
{
    e->row->params[e->row->n_params++] = db_bytes(start, (size_t)(e->w.p - start));
}

/* Text with its NUL in the row's memory. */
static void param_text(struct encoder *e, const char *s)
{
    const uint8_t *start = e->w.p;

    wire_wr_bytes(&e->w, s, strlen(s) + 1);
    e->row->params[e->row->n_params++] = db_text((const char *)start);
}

static void param_int(struct encoder *e, int64_t v)
{
    char text[24];

    (void)db_i64(text, v);
    param_text(e, text);
}

static void param_strings(struct encoder *e, const struct report_dict *d)
{
    const uint8_t *start = e->w.p;

    pgarray_begin(&e->w, PGARRAY_TEXT_OID, d->n);
    wire_wr_bytes(&e->w, d->elements, d->bytes);
    param_bytes(e, start);
}

static void param_mapped(struct encoder *e)
{
    const uint8_t *start = e->w.p;
    char text[ADDR_TEXT_LEN];

    pgarray_begin(&e->w, PGARRAY_TEXT_OID, e->r->n_mapped);
    for (size_t i = 0; i < e->r->n_mapped; i++) {
        (void)addr_write(&e->r->mapped[i], text);
        pgarray_text(&e->w, text);
    }
    param_bytes(e, start);
}

static void param_int2s(struct encoder *e, const int16_t *v)
{
    const uint8_t *start = e->w.p;

    pgarray_int2s(&e->w, v, e->r->n_results);
    param_bytes(e, start);
}

enum small_field { SMALL_TRANSPORT, SMALL_STATUS, SMALL_FRAMING };

static void param_small(struct encoder *e, enum small_field field)
{
    for (size_t i = 0; i < e->r->n_results; i++) {
        const struct probe_result *p = &e->r->results[i];
        int v = field == SMALL_TRANSPORT ? (int)p->transport
                : field == SMALL_STATUS  ? (int)p->status
                                         : (int)p->framing;
        e->small[i] = (int16_t)v;
    }
    param_int2s(e, e->small);
}

static void param_figures(struct encoder *e, size_t offset)
{
    const uint8_t *start = e->w.p;

    for (size_t i = 0; i < e->r->n_results; i++) {
        const char *base = (const char *)&e->r->results[i];
        int64_t v;
        memcpy(&v, base + offset, sizeof(v));
        e->figures[i] = v < 0 ? NOT_MEASURED : v > INT32_MAX ? INT32_MAX : (int32_t)v;
    }
    pgarray_int4s(&e->w, e->figures, e->r->n_results);
    param_bytes(e, start);
}

/* The members of via_proxy by position, as JSON text to be freed; NULL: no result has any, or out of memory (*failed). */
static char *proxies_text(const struct report *r, bool *failed)
{
    json_t *all = NULL;
    char *text = NULL, position[24];

    *failed = false;
    for (size_t i = 0; i < r->n_results; i++) {
        const struct probe_result *p = &r->results[i];
        if (!p->via_proxy && !p->tls_intercepted)
            continue;
        if (all == NULL)
            all = json_object();
        (void)db_i64(position, (int64_t)i + 1);
        if (json_object_set_new(all, position,
                                json_pack("{s:b,s:s,s:s,s:s,s:b}", "via", p->via_proxy, "url", p->proxy_url,
                                          "scheme", p->proxy_scheme, "auth", p->proxy_auth, "tls_intercepted",
                                          p->tls_intercepted)) != 0)
            *failed = true;
    }
    if (all != NULL && !*failed) {
        text = json_dumps(all, JSON_COMPACT);
        *failed = text == NULL;
    }
    json_decref(all);
    return text;
}

/* The calls as JSON text to be freed; NULL: there are none, or out of memory (*failed). */
static char *calls_text(const struct report *r, bool *failed)
{
    json_t *all = r->n_calls > 0 ? json_array() : NULL;
    char *text;
    int bad = 0;

    for (size_t i = 0; i < r->n_calls; i++)
        bad |= json_array_append_new(all, call_stretch_to_json(&r->calls[i]));
    text = all != NULL && bad == 0 ? json_dumps(all, JSON_COMPACT) : NULL;
    *failed = r->n_calls > 0 && text == NULL;
    json_decref(all);
    return text;
}

static size_t optional_size(const char *text)
{
    return text != NULL ? strlen(text) + 1 : 0;
}

static size_t encoded_size(const struct encoder *e, const struct row_texts *t)
{
    size_t n = e->r->n_results;

    return strlen(t->org) + strlen(t->agent) + sizeof(e->r->report_id) + strlen(e->r->network_id) + 16 +
           6 * 24 + COUNTRY_LEN + 1 + 3 * (size_t)PGARRAY_HEADER + e->names.bytes + e->addrs.bytes +
           e->r->n_mapped * (4 + MAPPED_TEXT_MAX) + 6 * pgarray_int_size(n, 2) + 7 * pgarray_int_size(n, 4) +
           optional_size(t->proxies) + optional_size(t->calls);
}

static void param_optional(struct encoder *e, const char *s)
{
    if (s != NULL)
        param_text(e, s);
    else
        e->row->params[e->row->n_params++] = db_text(NULL);
}

static void param_net(struct encoder *e, int64_t net)
{
    char text[24];

    param_optional(e, net != 0 ? db_i64(text, net).value : NULL);
}

/* Where it comes from, for predictions. */
static void param_place(struct encoder *e, const char *country)
{
    struct predict_nets nets = {0, 0};

    for (size_t i = 0; i < e->r->n_mapped; i++)
        predict_nets_add(&nets, &e->r->mapped[i]);
    param_net(e, nets.net4);
    param_net(e, nets.net6);
    param_optional(e, country[0] != '\0' ? country : NULL);
}

static void write_params(struct encoder *e, const struct row_texts *t)
{
    static const size_t figures[] = {
        offsetof(struct probe_result, rtt_min_us), offsetof(struct probe_result, rtt_median_us),
        offsetof(struct probe_result, rtt_p95_us), offsetof(struct probe_result, sent),
        offsetof(struct probe_result, received),   offsetof(struct probe_result, connect_us),
        offsetof(struct probe_result, tls_us)};

    char bits[24];

    param_text(e, t->org);
    param_text(e, t->agent);
    param_text(e, e->r->report_id);
    param_int(e, e->r->measured_at_us);
    param_int(e, e->row->alive_us / 1000000);
    param_text(e, e->r->network_id);
    param_mapped(e);
    param_optional(e, e->r->has_capabilities ? db_i64(bits, (int64_t)e->r->capabilities).value : NULL);
    param_strings(e, &e->names);
    param_strings(e, &e->addrs);
    param_int2s(e, e->node);
    param_small(e, SMALL_TRANSPORT);
    param_small(e, SMALL_STATUS);
    param_small(e, SMALL_FRAMING);
    param_int2s(e, e->address);
    param_int2s(e, e->mapped);
    for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
        param_figures(e, figures[i]);
    param_optional(e, t->proxies);
    param_place(e, t->country);
    param_optional(e, t->calls);
}

int report_row_encode(struct report_row *row, const struct report *r, const char *org, const char *agent,
                      int64_t lifetime_s, const char *country)
{
    struct row_texts t = {.org = org, .agent = agent, .country = country};
    struct encoder e;
    bool no_proxies, no_calls;
    int rc;

    memset(row, 0, sizeof(*row));
    row->measured_at_us = r->measured_at_us;
    row->alive_us = report_is_of_calls(r) ? 0 : lifetime_s * 1000000;
    rc = encoder_init(&e, r, row);
    if (rc != 0)
        goto out;
    rc = -ENOMEM;
    t.proxies = proxies_text(r, &no_proxies);
    t.calls = calls_text(r, &no_calls);
    if (no_proxies || no_calls)
        goto out;
    row->bytes = encoded_size(&e, &t);
    row->memory = malloc(row->bytes);
    if (row->memory == NULL)
        goto out;
    e.w = wire_wr_init(row->memory, row->bytes);
    write_params(&e, &t);
    rc = e.w.bad || row->n_params != REPORT_PARAMS ? -EOVERFLOW : 0;
out:
    free(t.proxies);
    free(t.calls);
    encoder_clear(&e);
    if (rc != 0)
        report_row_clear(row);
    return rc;
}

void report_row_clear(struct report_row *row)
{
    free(row->memory);
    memset(row, 0, sizeof(*row));
}
