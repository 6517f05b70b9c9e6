/* The catalogue: every node, what it offers, and how it does. An immutable snapshot, built by a thread of its own
 * (watch.h); what nodes are (their addresses, names) is shared between snapshots until it changes, their load is new
 * every second. Readers hold a snapshot of SNAPSHOT_CATALOGUE and may keep no pointer into it beyond. Any thread. */
#ifndef BERTH_CONTROLLER_CATALOGUE_H
#define BERTH_CONTROLLER_CATALOGUE_H

#include "catalogue_links.h"
#include "core/doc.h"
#include "core/token.h"
#include "health.h"
#include "snapshot.h"

#include <stdbool.h>

enum {
    CATALOGUE_HEALTHY_US = HEALTH_DEAD_AGE_US, /* since the last heartbeat: then a node is down */
    CATALOGUE_LISTED_US = HEALTH_GONE_AGE_US,  /* ... and then it leaves the list to probe */
    CATALOGUE_DIGEST_LEN = 16,
    CATALOGUE_VERSION_LEN = 2 * CATALOGUE_DIGEST_LEN,
};
#define CLOUD_ORG "cloud"

/* What a node is. Strings live as long as the snapshot. */
struct catalogue_node {
    const char *org; /* CLOUD_ORG, or the org whose mesh node it is */
    const char *id, *cluster, *region, *tls_name;
    uint64_t id_hash; /* catalogue_hash_id's, for tables of nodes that are made for one decision */
    const char *labels, *location, *services; /* JSON text; location and services may be NULL */
    bool mesh;
    bool drain;                      /* asked for by an operator */
    bool deleted;                    /* known to reports for a while yet, in no list */
    int64_t capacity, capacity_kbps; /* 0: no limit */
    double weight;                   /* the operator's */
    int64_t created_at_us;
    struct node_addresses addresses; /* what is handed out */
    const char *json;                /* its entry in GET /v1/nodes */
    size_t json_len;
    uint8_t digest[CATALOGUE_DIGEST_LEN]; /* of json */
    struct link_id link;                  /* its name in the table of round trips */
    bool located;
    double lat, lon; /* degrees */
};

/* How a node does, as of the snapshot. */
struct catalogue_load {
    int64_t heartbeat_age_us; /* negative: never heard of */
    bool told;                /* the figures that follow; before the first heartbeat they aren't known */
    double cpu;               /* 0 to 1; 1 where it isn't known: such a node counts as busy, not as idle */
    int64_t packets_per_s, sessions, bandwidth_bps;
    bool draining, stopping; /* as the node says */
    int64_t assigned;        /* participants */
    int64_t assigned_told;   /* at the last heartbeat: whoever came since is not in its figures yet */
    enum health_state health;
    enum health_cause cause; /* why it isn't in service, or last wasn't */
    bool doubt;              /* its silence doesn't count: most nodes of its org's are silent at once */
    double failures;         /* whom it did not work for lately, with decay: see node_failure_scores */
};

enum node_state { NODE_UP, NODE_DRAINING, NODE_DOWN };
const char *node_state_name(enum node_state s);

struct catalogue;
extern const struct snapshot_builder catalogue_builder;

/* Goes over what an org may see: cloud nodes, then its own mesh nodes, each by id; a mesh node whose id a cloud node
 * has is hidden by it. org NULL: everything (the operator). Deleted nodes are left out. Start with a zeroed
 * iterator. */
struct catalogue_iter {
    size_t at;
    bool mesh;
};
const struct catalogue_node *catalogue_next(const struct catalogue *c, const char *org,
                                            struct catalogue_iter *it);
/* Any node, deleted ones included, by place; NULL behind the last. */
const struct catalogue_node *catalogue_at(const struct catalogue *c, size_t i);
/* A node of exactly that org (CLOUD_ORG for cloud nodes); NULL where there is none. */
const struct catalogue_node *catalogue_find(const struct catalogue *c, const char *org, const char *id);
/* The node that an org means by this id. */
const struct catalogue_node *catalogue_resolve(const struct catalogue *c, const char *org, const char *id);
/* May a report of that org speak of this node? Deleted nodes count for one report lifetime. */
bool catalogue_knows(const struct catalogue *c, const char *org, const char *id);

/* With a key of the catalogue's own: those who choose ids can't make them collide. */
uint64_t catalogue_hash_id(const struct catalogue *c, const char *id);

const struct catalogue_load *catalogue_load_of(const struct catalogue *c, const struct catalogue_node *n);
bool node_healthy(const struct catalogue_load *l); /* heard of, and not stopping */
/* May be given to somebody, were it not drained: not quarantined, and healthy, or its silence doesn't count. */
bool node_usable(const struct catalogue_load *l);
bool node_listed(const struct catalogue_load *l); /* heard of lately enough to be probed */
enum node_state node_state_of(const struct catalogue_node *n, const struct catalogue_load *l);
/* Bits (1 << enum transport) that the node offers; a proxy tunnels to its TLS port. */
unsigned node_transports(const struct catalogue_node *n);

/* The version of the list of an org: changes with what stands in it, and with nothing else. */
void catalogue_version(const struct catalogue *c, const char *org, const struct probe_policy *policy,
                       char out[static CATALOGUE_VERSION_LEN + 1]);
/* The body of GET /v1/nodes for an org, to be freed; NULL: out of memory. */
char *catalogue_list_json(const struct catalogue *c, const char *org, const struct probe_policy *policy,
                          size_t *len);

/* The round trip between two nodes, as at least one of them measured it of late (the lesser where both did); 0 from
 * a node to itself. False: nobody did. One look in a table, whatever the number of nodes. */
bool catalogue_rtt(const struct catalogue *c, const struct catalogue_node *a, const struct catalogue_node *b,
                   int32_t *rtt_us);
/* The same with when it was told, in seconds of Unix time. False for a node and itself. */
bool catalogue_link(const struct catalogue *c, const struct catalogue_node *a, const struct catalogue_node *b,
                    struct link *out);
/* They tried, and neither reaches the other. */
bool catalogue_apart(const struct catalogue *c, const struct catalogue_node *a,
                     const struct catalogue_node *b);
/* What it is likely to be by where the two stand: better than nothing, worse than what measurements to third parties
 * say. False: one of them has no location. */
bool catalogue_rtt_by_place(const struct catalogue_node *a, const struct catalogue_node *b, int32_t *rtt_us);

/* What nodes are told of the others: the version of the list of a node of that org, and its body (to be freed) with
 * each peer's round trip where it is known. now_s: Unix time. */
void catalogue_peers_version(const struct catalogue *c, const char *org,
                             char out[static CATALOGUE_VERSION_LEN + 1]);
char *catalogue_peers_json(const struct catalogue *c, const struct catalogue_node *of, int64_t now_s,
                           size_t *len);

/* Built from rows, by the builder and by tests. `rows` are copied; sorted by (org, id). */
struct catalogue_row {
    const char *org, *id, *cluster, *region, *tls_name, *labels, *location, *services;
    const char *addresses, *advertised, *tls_spki; /* JSON text; the latter two may be NULL */
    int64_t capacity, capacity_kbps, created_at_us;
    double weight;
    bool drain, deleted;
};
struct catalogue_nodes; /* the shared part, counted */
struct catalogue_nodes *catalogue_nodes_new(int64_t version, const struct catalogue_row *rows, size_t n);
/* Takes a reference to `nodes`; `loads` (parallel to the rows) are copied. */
struct catalogue *catalogue_new(struct catalogue_nodes *nodes, const struct catalogue_load *loads);
/* Before it is published. Takes a reference to `links` (NULL: none are known). */
void catalogue_set_links(struct catalogue *c, struct links *links);
struct links *catalogue_links(const struct catalogue *c); /* borrowed */
void catalogue_nodes_unref(struct catalogue_nodes *nodes);
void catalogue_destroy(void *c);
struct catalogue_nodes *catalogue_shared(const struct catalogue *c);
int64_t catalogue_nodes_version(const struct catalogue_nodes *n);
size_t catalogue_nodes_count(const struct catalogue_nodes *n);
/* Where (org, id) stands among the rows; catalogue_nodes_count where it doesn't. */
size_t catalogue_nodes_index(const struct catalogue_nodes *n, const char *org, const char *id);

/* What is handed out of bound and advertised addresses: by transport, the advertised ones where there are any; never a wildcard. */
void catalogue_merge_addresses(struct node_addresses *out, const struct node_addresses *bound,
                               const struct node_addresses *advertised);

#endif
