/* The documents that the node exchanges with a controller. Pure. */
#ifndef BERTH_NODE_REGISTRATION_H
#define BERTH_NODE_REGISTRATION_H

#include "load.h"
#include "media/ticket.h"
#include "options.h"
#include "peer_table.h"

/* Bodies are text to free(); NULL: out of memory. `advertise` NULL: the bound addresses are handed out. `spki` NULL:
 * no TLS. `media_key` NULL: no links. */
char *registration_body(const struct node_identity *id, const struct node_addresses *addresses,
                        const struct node_addresses *advertise, const char *spki, const char *media_key);

struct heartbeat {
    struct load load;
    bool draining, stopping;
    const struct peer_rtt *rtt;
    size_t n_rtt;
    const char *links_version; /* "": none is known */
    const char *media_key;     /* as registered: by it one tells two programs with one id apart. NULL: none */
};
char *heartbeat_body(const struct heartbeat *h);

/* What both are answered with; members that are missing or absurd keep what was there. */
enum { PEERS_VERSION_MAX = 64 };
struct control_answer {
    int64_t heartbeat_s; /* 1 to 3600 */
    bool drain;
    char peers_version[PEERS_VERSION_MAX + 1]; /* "": the controller has not said any */
    int64_t now_us;                            /* its clock's time; 0: not said */
    char org[ORG_ID_MAX + 1];                  /* the node's; "": not said */
    bool links_changed;                        /* there is more to be asked for than what is known */
    /* Of tickets. Those that can't be read are left out; a list without any that can changes nothing. Wipe them when done. */
    size_t n_ticket_keys;
    struct ticket_key ticket_keys[TICKET_KEYS_MAX];
};
/* 0, or -EBADMSG where it isn't a JSON object. */
int control_answer_parse(struct control_answer *a, const char *body, size_t len)
    __attribute__((warn_unused_result));

/* The stable code of a problem document, "" where there is none. */
enum { PROBLEM_CODE_MAX = 64 };
void problem_code(char code[static PROBLEM_CODE_MAX], const char *body, size_t len);

#endif
