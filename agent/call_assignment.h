/* An assignment as a call reads it: where to, and with what ticket. Its ladder is the connection's to read. */
#ifndef BERTH_AGENT_CALL_ASSIGNMENT_H
#define BERTH_AGENT_CALL_ASSIGNMENT_H

#include "call.h"
#include "core/doc.h"
#include "core/token.h"
#include "media/ticket.h"

struct call_assignment {
    struct call_target to;
    char participant[AGENT_ID_MAX + 1];
    char meeting[BERTH_MEETING_TEXT]; /* of an event; "" of an answer */
    int64_t epoch;                    /* of the plan that it is of; 0: not said */
    int64_t tell_every_s;             /* of what the call measures; 0: not */
    struct call_expected expected;
    char why[BERTH_ERROR_TEXT]; /* the controller's sentence, as much of it as there is room for; "" */
    bool has_grant;
    struct ticket_grant grant;
};

/* 0, -ENOMEM, or -EINVAL: not an assignment. */
int call_assignment_read(struct call_assignment *a, const char *text) __attribute__((warn_unused_result));

#endif
