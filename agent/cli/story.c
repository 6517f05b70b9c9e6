/* A call's story. Invariant: events are in the order of time, and what is kept of them is the newest without a gap. */
#include "story.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The library's reasons: "n1: the connection was lost: port unreachable", "n1: no rung of the ladder works: udp
 * 192.0.2.1:5004 ..." */
static const char was_lost[] = ": the connection was lost: ", no_rung[] = ": no rung of the ladder works";

void story_init(struct story *s, int64_t began_us)
{
    *s = (struct story){
        .began_us = began_us, .state = BERTH_CALL_JOINING, .heard_us = -1, .quiet_since_us = -1};
}

static struct story_event *add(struct story *s, enum story_kind kind, int64_t now_us)
{
    if (s->n == STORY_MAX) {
        memmove(s->events, s->events + 1, sizeof(s->events[0]) * --s->n);
        s->left_out++;
    }
    struct story_event *e = &s->events[s->n++];
    *e = (struct story_event){.kind = kind, .at_us = now_us - s->began_us, .transport = -1, .silent_us = -1};
    return e;
}

/* In words for people: without what the event says already. */
static void copy_reason(struct story_event *e, const char *reason)
{
    const char *lost = e->kind == STORY_LOST ? strstr(reason, was_lost) : NULL;
    const char *rung = strstr(reason, no_rung);
    if (lost != NULL)
        reason = lost + sizeof(was_lost) - 1;
    else if (rung != NULL)
        snprintf(e->reason, sizeof(e->reason), "%.*s" STORY_UNREACHED "%s", (int)(rung - reason), reason,
                 rung + sizeof(no_rung) - 1 + strspn(rung + sizeof(no_rung) - 1, ":; "));
    if (lost != NULL || rung == NULL)
        snprintf(e->reason, sizeof(e->reason), "%s", reason);
}

static const struct story_event *came_up(struct story *s, const struct berth_call *call, int64_t now_us)
{
    bool moved = s->state == BERTH_CALL_UP;
    if (moved && strcmp(s->up_node, call->node) == 0)
        return NULL;
    struct story_event *e = add(s, moved ? STORY_MOVED : STORY_UP, now_us);
    e->transport = call->transport;
    memcpy(e->node, call->node, sizeof(e->node));
    memcpy(e->from, s->up_node, sizeof(e->from));
    copy_reason(e, moved ? call->reason : s->lost_reason);
    if (moved)
        s->quiet_since_us = s->heard_us;
    memcpy(s->up_node, call->node, sizeof(s->up_node));
    return e;
}

static const struct story_event *went_down(struct story *s, const struct berth_call *call, int64_t now_us)
{
    struct story_event *e = add(s, STORY_LOST, now_us);
    memcpy(e->node, s->up_node, sizeof(e->node));
    copy_reason(e, call->reason);
    memcpy(s->lost_reason, e->reason, sizeof(s->lost_reason));
    s->quiet_since_us = s->heard_us;
    return e;
}

static const struct story_event *waits(struct story *s, const struct berth_call *call, int64_t now_us)
{
    bool ended = call->state == BERTH_CALL_ENDED;
    bool same = call->reason[0] == '\0' || strcmp(call->reason, s->reason) == 0;
    if (same && (!ended || s->state == BERTH_CALL_ENDED))
        return NULL;
    struct story_event *e = add(s, ended ? STORY_ENDED : STORY_WAITING, now_us);
    memcpy(e->node, call->node, sizeof(e->node));
    copy_reason(e, call->reason);
    return e;
}

const struct story_event *story_changed(struct story *s, const struct berth_call *call, int64_t now_us)
{
    const struct story_event *e;
    if (call->state == BERTH_CALL_UP)
        e = came_up(s, call, now_us);
    else if (s->state == BERTH_CALL_UP && call->state != BERTH_CALL_ENDED)
        e = went_down(s, call, now_us);
    else
        e = waits(s, call, now_us);
    s->state = call->state;
    memcpy(s->reason, call->reason, sizeof(s->reason));
    return e;
}

void story_heard(struct story *s, int64_t now_us)
{
    struct story_event *e = s->n > 0 ? &s->events[s->n - 1] : NULL;
    if (s->state == BERTH_CALL_UP && s->quiet_since_us >= 0 && e != NULL) {
        e->silent_us = now_us - s->quiet_since_us;
        s->quiet_since_us = -1;
    }
    s->heard_us = now_us;
}

const struct story_event *story_newest(const struct story *s, enum story_kind kind, const char *text)
{
    for (size_t i = s->n; i-- > 0;) {
        const struct story_event *e = &s->events[i];
        if (e->kind == kind && (text == NULL || strstr(e->reason, text) != NULL))
            return e;
    }
    return NULL;
}

/* ---- for people ---- */

void story_line(const struct story_event *e, char out[static STORY_LINE_MAX])
{
    const char *why = e->reason, *colon = why[0] != '\0' ? ": " : "";
    switch (e->kind) {
    case STORY_UP:
        snprintf(out, STORY_LINE_MAX, "up on %s over %s", e->node, berth_transport_name(e->transport));
        break;
    case STORY_MOVED:
        snprintf(out, STORY_LINE_MAX, "moved to %s over %s%s%s", e->node, berth_transport_name(e->transport),
                 colon, why);
        break;
    case STORY_LOST:
        snprintf(out, STORY_LINE_MAX, "lost %s%s%s", e->node, colon, why);
        break;
    case STORY_WAITING:
        snprintf(out, STORY_LINE_MAX, "%s", why);
        break;
    case STORY_ENDED:
        snprintf(out, STORY_LINE_MAX, "ended%s%s", colon, why);
        break;
    }
}

bool story_return_line(const struct story_event *e, char out[static STORY_LINE_MAX])
{
    char where[2 * BERTH_NODE_MAX + 16], silent[64] = "";
    if (e->from[0] == '\0')
        return false;
    if (strcmp(e->from, e->node) == 0)
        snprintf(where, sizeof(where), "%s again", e->node);
    else
        snprintf(where, sizeof(where), "%s -> %s", e->from, e->node);
    if (e->silent_us >= 0)
        snprintf(silent, sizeof(silent), ", %.1f s without media", (double)e->silent_us / 1e6);
    const int64_t at_s = e->at_us / 1000000;
    if (e->reason[0] == '\0')
        snprintf(out, STORY_LINE_MAX, "%s at %" PRId64 " s%s", where, at_s, silent);
    else if (e->kind == STORY_MOVED) /* the reason is a sentence */
        snprintf(out, STORY_LINE_MAX, "%s at %" PRId64 " s%s: %s", where, at_s, silent, e->reason);
    else
        snprintf(out, STORY_LINE_MAX, "%s at %" PRId64 " s (%s)%s", where, at_s, e->reason, silent);
    return true;
}

/* ---- as JSON ---- */

static void set_text(json_t *o, const char *member, const char *text)
{
    if (text[0] != '\0')
        json_object_set_new(o, member, json_string(text));
}

static json_t *event_json(const struct story_event *e)
{
    static const char *const names[] = {"up", "lost", "moved", "waiting", "ended"};
    json_t *o = json_pack("{s:I, s:s}", "at_us", (json_int_t)e->at_us, "event", names[e->kind]);
    set_text(o, "node", e->node);
    set_text(o, "from", e->from);
    if (e->transport >= 0)
        set_text(o, "transport", berth_transport_name(e->transport));
    set_text(o, "reason", e->reason);
    if (e->silent_us >= 0)
        json_object_set_new(o, "without_media_us", json_integer(e->silent_us));
    return o;
}

json_t *story_json(const struct story *s)
{
    json_t *a = json_array();
    for (size_t i = 0; i < s->n; i++)
        json_array_append_new(a, event_json(&s->events[i]));
    return a;
}
