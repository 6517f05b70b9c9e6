/* What a controller tells of the meetings on this node beside the keys (GET /v1/nodes/{node}/links): over which
 * nodes they are joined, how those are reached, and who has been removed from them. Pure; one thread's. */
#ifndef BERTH_NODE_LINKS_H
#define BERTH_NODE_LINKS_H

#include "core/doc.h"
#include "media/plan.h"

#include <sodium.h>
#include <stdint.h>

enum {
    LINKS_VERSION_MAX = 511,
    LINKS_REMOVED_MAX = 4096, /* the newest; an older one's ticket has run out long ago */
    LINKS_PAGES_MAX = 64,     /* asked for in one turn */
    LINKS_MEETINGS_MAX =
        4096, /* over several nodes, as far as this one has them; of more the first that were told */
    LINKS_PEERS_MAX = 64,    /* nodes that one meeting here is joined to */
    LINKS_ORDERS_MAX = 1024, /* links that this node dials */
};

/* This node's pair of crypto_kx, made at its start. */
struct link_keys {
    uint8_t public_key[crypto_kx_PUBLICKEYBYTES], secret_key[crypto_kx_SECRETKEYBYTES];
};
enum { LINK_KEY_TEXT_LEN = 43 }; /* base64url of the public one */
void link_keys_make(struct link_keys *k);
void link_keys_text(const struct link_keys *k, char out[static LINK_KEY_TEXT_LEN + 1]);
/* What the two share: the same on both sides. 0, or -EINVAL: that is no other's key. */
int link_keys_share(const struct link_keys *k, const uint8_t theirs[static crypto_kx_PUBLICKEYBYTES],
                    uint8_t shared[static MEDIA_SHARED_LEN]) __attribute__((warn_unused_result));

/* One link that this node may dial. */
struct link_order {
    char org[ORG_ID_MAX + 1], meeting[TICKET_MEETING_MAX + 1]; /* the meeting's */
    struct media_plan_peer peer;
    struct ticket_grant grant;
    struct node_addresses addresses;
    char tls_name[HOST_MAX + 1];
};
/* What there is no room for. */
struct links_left_out {
    size_t meetings; /* for LINKS_MEETINGS_MAX, since everything was told last */
    size_t peers;    /* for LINKS_PEERS_MAX, of all meetings */
    size_t links;    /* for LINKS_ORDERS_MAX */
};
struct link_orders {
    size_t n;
    struct links_left_out left_out;
    struct link_order at[];
};
void link_orders_free(struct link_orders *o); /* NULL is fine; wiped */

struct links_peer {
    struct link_order order;
    bool has_ticket;
    bool ordered; /* it was among the newest orders */
};
struct links_meeting {
    struct media_plan_meeting plan; /* first: media_plan_meeting_cmp is for these, too; its peers are none */
    uint64_t round;
    size_t n_peers, left_out; /* for LINKS_PEERS_MAX */
    struct links_peer *peers;
};

struct links {
    char version[LINKS_VERSION_MAX + 1]; /* "": nothing is known */
    bool more;                           /* another page is to be asked for at once */
    size_t n_removed, room;
    struct media_plan_removed *removed; /* by media_plan_removed_cmp */
    size_t n_meetings, left_out;        /* for LINKS_MEETINGS_MAX, since everything was told last */
    struct links_meeting *meetings; /* by media_plan_meeting_cmp; room for all of them once there is one */
    uint64_t round;                 /* of answers that tell everything */
    bool in_round;                  /* one of several pages has been read */
};

/* Zeroed it is empty. */
void links_clear(struct links *l);
/* Takes one answer. 0, -EBADMSG (nothing has changed then), or -ENOMEM. */
int links_update(struct links *l, const struct link_keys *keys, const char *body, size_t len)
    __attribute__((warn_unused_result));
/* Asks for everything anew: what is known stays until it has come. */
void links_forget_version(struct links *l);
/* A plan that outlives it, held once; NULL: out of memory. */
struct media_plan_held *links_plan(const struct links *l);
/* What this node dials: of more than LINKS_ORDERS_MAX those that were ordered before stay. NULL: out of memory. */
struct link_orders *links_orders(struct links *l);

#endif
