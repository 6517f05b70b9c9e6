/* A node as the command line gives it: HOST[,udp=PORT][,tcp=PORT][,tls=PORT]. Pure. */
#ifndef BERTH_CLI_NODE_SPEC_H
#define BERTH_CLI_NODE_SPEC_H

#include "../berth.h"
#include "core/addr.h"

enum { NODE_SPEC_ERROR = 160 };

struct node_spec {
    char host[HOST_MAX + 1]; /* IPv6 without brackets */
    struct berth_node node;  /* .host is node_spec_parse's to set: it points to `host` here */
};

/* Each transport may be named several times, for several ports. The spec must stay where it is. 0, or -EINVAL with `err`. */
int node_spec_parse(struct node_spec *s, const char *text, char err[static NODE_SPEC_ERROR])
    __attribute__((warn_unused_result));

#endif
