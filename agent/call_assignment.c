/* Reading an assignment. Invariant: what is taken names a node, a transport of its own ladder or none, and a ticket
 * whole or none. */
#include "call_assignment.h"

#include "core/utf8.h"
#include "path/ladder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool copy(char *out, size_t cap, const json_t *from, const char *member)
{
    const json_t *j = json_object_get(from, member);
    size_t len = json_string_length(j);
    out[0] = '\0';
    if (!json_is_string(j) || len == 0 || len >= cap || strlen(json_string_value(j)) != len)
        return false;
    memcpy(out, json_string_value(j), len + 1);
    return true;
}

/* Which transports its ladder has; the first stands for one that isn't named, or isn't in it. */
static int read_ladder(struct call_target *to, const json_t *j)
{
    struct ladder_place *places = calloc(LADDER_PLACES_MAX, sizeof *places);
    struct doc_error e;
    ssize_t n = places ? ladder_from_json(j, places, &e) : -ENOMEM;
    for (ssize_t i = 0; i < n; i++)
        to->transports |= 1u << places[i].transport;
    if (n > 0 && (to->transports & 1u << to->transport) == 0)
        to->transport = places[0].transport;
    free(places);
    return n > 0 ? 0 : -EINVAL;
}

/* How often the controller is to be told of the call, and what it counts on. */
static void read_report(struct call_assignment *a, const json_t *j)
{
    const json_t *every = json_object_get(j, "every_s");
    struct doc_error e;
    a->expected.rtt_us = NOT_MEASURED;
    a->tell_every_s = json_integer_value(every) > 0 ? json_integer_value(every) : 0;
    (void)(call_expected_from_json(json_object_get(j, "expected"), &a->expected, &e) < 0);
}

/* Why it is this node, for people. */
static void read_why(struct call_assignment *a, const json_t *j)
{
    const char *sentence = json_string_value(json_object_get(j, "sentence"));
    if (sentence)
        snprintf(a->why, sizeof a->why, "%.*s", utf8_prefix(sentence, sizeof a->why - 1), sentence);
}

static int read_assignment(struct call_assignment *a, const json_t *j)
{
    const json_t *media = json_object_get(j, "media");
    const char *transport = json_string_value(json_object_get(j, "transport"));
    if (!copy(a->to.node, sizeof a->to.node, j, "node") ||
        !copy(a->participant, sizeof a->participant, j, "participant"))
        return -EINVAL;
    (void)copy(a->meeting, sizeof a->meeting, j, "meeting");
    if (!transport || transport_parse(transport, &a->to.transport) < 0)
        a->to.transport = TRANSPORT_UDP;
    a->has_grant = copy(a->grant.username, sizeof a->grant.username, media, "username") &&
                   copy(a->grant.password, sizeof a->grant.password, media, "password");
    a->epoch = json_integer_value(json_object_get(media, "epoch"));
    read_report(a, json_object_get(j, "report"));
    read_why(a, json_object_get(j, "why"));
    return read_ladder(&a->to, j);
}

int call_assignment_read(struct call_assignment *a, const char *text)
{
    struct doc_error e;
    *a = (struct call_assignment){0};
    json_t *j = doc_parse(text, strlen(text), &e);
    int err = !j ? doc_parse_errno(&e) : json_is_object(j) ? read_assignment(a, j) : -EINVAL;
    json_decref(j);
    return err;
}
