/* Meetings of a controller, joined over REST as any organisation's backend does it: what media load is carried by. Blocks. */
#ifndef BERTH_LOADTEST_MEDIA_ASSIGN_H
#define BERTH_LOADTEST_MEDIA_ASSIGN_H

#include "media/ticket.h"
#include "media_tally.h"
#include "path/ladder.h"

struct media_assign_opts {
    const char *controller, *token, *ca_file; /* an org's key; NULL: the system's store */
    const char *name;                         /* meetings are NAME-1 ..., agents NAME-1-1 ... */
    struct media_shape shape;
    int64_t last_n;
    enum transport transport; /* lines of others are left out */
    bool websocket;           /* TLS: by WebSocket */
    const char *proxy;        /* TRANSPORT_PROXY: the TLS lines through this one. NULL */
};

struct media_assignment {
    struct ladder_place places[LADDER_PLACES_MAX];
    size_t n;
    struct ticket_grant grant;
    char node[NODE_ID_MAX + 1];
};

enum { MEDIA_ASSIGN_TEXT = 320 };

/* Makes the meetings and joins all: out[meetings * participants]. 0, or -errno and why, with what it was. *made: so many
 * meetings are there now that are to be ended. */
int media_assign(const struct media_assign_opts *o, struct media_assignment *out, size_t *made,
                 char why[static MEDIA_ASSIGN_TEXT]) __attribute__((warn_unused_result));
/* Ends the first `made` of the meetings, as far as the controller lets us. */
void media_assign_end(const struct media_assign_opts *o, size_t made);

#endif
