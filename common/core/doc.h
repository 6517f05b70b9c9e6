/* The JSON documents that agent and controller exchange: probe results, reports, the list of nodes. One place for names, limits and
 * checks. Parsing fills fixed structs and answers an error that names the member at fault; it never keeps the json_t. */
#ifndef BERTH_CORE_DOC_H
#define BERTH_CORE_DOC_H

#include "core/addr.h"
#include "core/token.h"
#include "core/transport.h"

#include <jansson.h>

enum {
    NODE_ID_MAX = 64,
    NETWORK_ID_MAX = 128,
    REPORT_RESULTS_MAX = 4096, /* rows in a report */
    REPORT_CALLS_MAX = 16,
    MEETING_ID_MAX = 128,
    REPORT_MAPPED_MAX = 16,
    NODE_ADDRESSES_MAX = 16, /* per transport */
    NODELIST_MAX = 10000,
    RTT_MAX_US = 60 * 1000 * 1000, /* more is absurd: a probe never waits so long */
    PROBE_PACKETS_MAX = 1000000,   /* sent or received; more in one row is absurd */
    JSON_DEPTH_MAX = 16,
    PROXY_URL_MAX = 255,
};
/* How a document is written: 0.05 as 0.05, not as the nearest binary fraction in full. */
enum {
    DOC_COMPACT = JSON_COMPACT | JSON_REAL_PRECISION(15),
    DOC_INDENT = JSON_INDENT(2) | JSON_REAL_PRECISION(15)
};
enum { NOT_MEASURED = -1 }; /* in every int64 figure below: the member is left out */

enum probe_status {
    PROBE_UNTESTED,
    PROBE_REACHABLE,
    PROBE_TIMEOUT,
    PROBE_REFUSED,
    PROBE_TLS_ERROR,
    PROBE_PROXY_ERROR,
    PROBE_STATUS_COUNT
};
enum framing { FRAMING_NONE, FRAMING_STUN, FRAMING_WEBSOCKET };

const char *probe_status_name(enum probe_status s); /* "reachable", "tls_error", ... */

/* What is wrong with a document: `pointer` is an RFC 6901 JSON pointer, `code` stable, `detail` for people. */
struct doc_error {
    char pointer[96];
    char code[40];
    char detail[200];
};

struct probe_result {
    char node[NODE_ID_MAX + 1];
    enum transport transport;
    enum probe_status status;
    struct addr address;                           /* none: left out */
    int64_t rtt_min_us, rtt_median_us, rtt_p95_us; /* all three or none */
    int64_t sent, received, connect_us, tls_us;    /* microseconds, counts */
    struct addr mapped_address;
    enum framing framing;
    bool via_proxy;
    bool tls_intercepted;
    char proxy_url[PROXY_URL_MAX + 1], proxy_scheme[16], proxy_auth[16];
};

void probe_result_init(struct probe_result *r);             /* untested, nothing measured */
json_t *probe_result_to_json(const struct probe_result *r); /* new reference, or NULL: out of memory */
int probe_result_from_json(const json_t *j, struct probe_result *r, struct doc_error *e)
    __attribute__((warn_unused_result));

/* How what a call told of ended; CALL_GOES_ON: it hadn't. */
enum call_end { CALL_GOES_ON, CALL_LEFT, CALL_MOVED, CALL_LOST, CALL_ENDED, CALL_END_COUNT };

/* What an assignment counts on, as the agent is told it and tells it back with what it then measured. */
struct call_expected {
    enum transport transport;
    int64_t rtt_us; /* NOT_MEASURED: nothing */
    bool predicted; /* from others' reports; else the agent's own said so */
};

/* What a call measured on one node over one transport, since it came up there or since it told of that last. */
struct call_stretch {
    char node[NODE_ID_MAX + 1];
    char meeting[MEETING_ID_MAX + 1]; /* "": not said */
    enum transport transport;
    enum call_end ended;
    int64_t seconds;
    int64_t rtt_min_us, rtt_median_us, rtt_p95_us; /* of consent checks */
    int64_t checks;                                /* that were answered */
    int64_t received, lost, jitter_us;             /* packets of the others */
    struct call_expected expected;
};

void call_stretch_init(struct call_stretch *c);             /* nothing measured, nothing expected */
json_t *call_stretch_to_json(const struct call_stretch *c); /* new reference, or NULL: out of memory */
int call_stretch_from_json(const json_t *j, struct call_stretch *c, struct doc_error *e)
    __attribute__((warn_unused_result));
json_t *call_expected_to_json(const struct call_expected *x);
int call_expected_from_json(const json_t *j, struct call_expected *x, struct doc_error *e)
    __attribute__((warn_unused_result));

struct report {
    char report_id[37];           /* UUID, lower case */
    char agent[AGENT_ID_MAX + 1]; /* "" where the document leaves it to the token */
    char network_id[NETWORK_ID_MAX + 1];
    size_t n_mapped;
    struct addr mapped[REPORT_MAPPED_MAX]; /* port 0: an address alone */
    int64_t measured_at_us;                /* Unix time */
    bool has_capabilities;
    unsigned capabilities; /* bit (1 << enum transport) */
    size_t n_results;
    struct probe_result *results; /* report_clear frees it */
    size_t n_calls;
    struct call_stretch *calls; /* as well; NULL: none */
};
/* It has no results, and calls: it tells nothing of where its agent reaches what, so it never is the live one. */
bool report_is_of_calls(const struct report *r);

/* Checks shapes and ranges, and refuses a repeated (node, transport) pair (`duplicate_result`). Whether nodes are known and times
 * are acceptable is the controller's to say. 0, -EINVAL with *e filled, or -ENOMEM. On failure nothing is kept. */
int report_from_json(const json_t *j, struct report *r, struct doc_error *e)
    __attribute__((warn_unused_result));
/* The same from text, at a fraction of the price where it is as Berth's agents write it: it is read without making
 * JSON of it. 0; -EAGAIN: it isn't so plain, or isn't right, so use doc_parse and the above, which also say what is
 * wrong; -ENOMEM. On failure nothing is kept. */
int report_read(const char *text, size_t len, struct report *r) __attribute__((warn_unused_result));
json_t *report_to_json(const struct report *r);
void report_clear(struct report *r);
/* "capabilities": array of transports to bits; an unknown name or a repeat is an error. */
int capabilities_from_json(const json_t *j, unsigned *bits, struct doc_error *e)
    __attribute__((warn_unused_result));
json_t *capabilities_to_json(unsigned bits);
bool uuid_valid(const char *s);

/* How long a report lives unless the controller is told otherwise. No enum, since tables of options want it as text too. */
#define REPORT_LIFETIME_DEFAULT_S 7200
enum {
    REPROBE_PARTS = 11,
    REPROBE_OF = 12
}; /* of a report's life: an agent probes again before they are over */

/* How agents are to probe: member, least, most, default. The one place of these figures. */
#define PROBE_POLICY_MEMBERS(X)                                                             \
    X(samples, 1, 50, 5)                                                                    \
    X(spacing_ms, 1, 10000, 50)                                                             \
    X(timeout_ms, 50, 60000, 1500)                                                          \
    X(node_budget_ms, 50, 600000, 6000)                                                     \
    X(budget_ms, 50, 3600000, 20000)                                                        \
    X(reprobe_after_s, 1, 604800, (REPORT_LIFETIME_DEFAULT_S * REPROBE_PARTS / REPROBE_OF)) \
    X(pace_per_s, 1, 10000, 500)

#define X(member, least, most, def) PROBE_LEAST_##member = (least), PROBE_MOST_##member = (most),
enum { PROBE_POLICY_MEMBERS(X) };
#undef X

/* Durations in milliseconds and seconds on the wire, as named. */
struct probe_policy {
    int64_t samples;         /* per node and transport */
    int64_t spacing_ms;      /* between samples of one target */
    int64_t timeout_ms;      /* for one answer, connect or handshake */
    int64_t node_budget_ms;  /* for one node, all transports */
    int64_t budget_ms;       /* for the whole probe */
    int64_t reprobe_after_s; /* the agent picks a random moment before it */
    int64_t pace_per_s;      /* packets and connects started a second over all targets */
};
void probe_policy_init(struct probe_policy *p);
json_t *probe_policy_to_json(const struct probe_policy *p);
int probe_policy_from_json(const json_t *j, struct probe_policy *p, struct doc_error *e)
    __attribute__((warn_unused_result));

struct node_addresses {
    size_t n[TRANSPORT_PROXY]; /* udp, tcp, tls */
    struct addr at[TRANSPORT_PROXY][NODE_ADDRESSES_MAX];
};
json_t *node_addresses_to_json(const struct node_addresses *a);
/* Unknown transports are an error; ports must not be 0. */
int node_addresses_from_json(const json_t *j, struct node_addresses *a, struct doc_error *e)
    __attribute__((warn_unused_result));

/* SHA-256 of a certificate's SubjectPublicKeyInfo, in base64: what the node itself says that its TLS shows. */
enum { SPKI_TEXT_LEN = 44, NODE_SPKI_MAX = 4 };
struct node_spki {
    size_t n; /* 0: nothing said */
    char at[NODE_SPKI_MAX][SPKI_TEXT_LEN + 1];
};
json_t *node_spki_to_json(const struct node_spki *s);
/* An array of at most NODE_SPKI_MAX; pointers of *e start at it. */
int node_spki_from_json(const json_t *j, struct node_spki *s, struct doc_error *e)
    __attribute__((warn_unused_result));

/* One entry of GET /v1/nodes. */
struct node_entry {
    char node[NODE_ID_MAX + 1];
    char cluster[NODE_ID_MAX + 1];
    char region[NODE_ID_MAX + 1];
    bool mesh; /* class: "mesh", else "cloud" */
    struct node_addresses addresses;
    char tls_name[HOST_MAX + 1];
    struct node_spki tls_spki;
};

struct nodelist {
    char version[65];
    struct probe_policy policy;
    size_t n;
    struct node_entry *nodes; /* nodelist_clear frees it */
    /* What was read, and what of it is not in `nodes`: */
    size_t n_listed;                 /* entries of the document */
    size_t n_addresses_left_out;     /* of the entries in `nodes` */
    struct doc_error first_left_out; /* code "": nothing was */
};
json_t *node_entry_to_json(const struct node_entry *n);
/* Leaves out, and counts, what an agent can't use: entries that are wrong, repeat a node or stand behind the first
 * NODELIST_MAX, and of the others each address that is none. 0, -EINVAL with *e filled (no list, or a list of which
 * no entry is right), or -ENOMEM. */
int nodelist_from_json(const json_t *j, struct nodelist *l, struct doc_error *e)
    __attribute__((warn_unused_result));
void nodelist_clear(struct nodelist *l);

/* Reads a whole text as JSON: an object or array, UTF-8, no member twice, nothing behind it, no deeper than JSON_DEPTH_MAX (checked
 * before anything is built). A new reference, or NULL with *e filled (`bad_json`, or `internal` when out of memory). */
json_t *doc_parse(const char *buf, size_t len, struct doc_error *e);
/* Of what doc_parse has said: -ENOMEM or -EINVAL. */
int doc_parse_errno(const struct doc_error *e);
/* An object's text (DOC_COMPACT) with one member more, which it doesn't have, whose value is JSON text already. To be
 * freed; NULL: out of memory, or one of both is NULL, which it is where that ran out before. */
char *doc_text_with(const json_t *object, const char *name, const char *value);
/* Fills *e: `fmt` makes the detail. Returns -EINVAL, so that a check can `return doc_fail(...)`. */
int doc_fail(struct doc_error *e, const char *pointer, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
