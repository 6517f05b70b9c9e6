/* What happened to a call, in order: where it came up, what was lost and why, where it went, and how long nobody was
 * heard meanwhile. Pure: the library's news and times in, events out. The newest STORY_MAX are kept. */
#ifndef BERTH_CLI_STORY_H
#define BERTH_CLI_STORY_H

#include "../berth.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STORY_MAX = 64, STORY_LINE_MAX = 512 };

#define STORY_UNREACHED \
    " was not reached: " /* in the reasons of STORY_WAITING where no rung of a node's works */

enum story_kind {
    STORY_UP,      /* media flows; `from`: where it did before, "" the first time */
    STORY_LOST,    /* it doesn't any more */
    STORY_MOVED,   /* it does on another node, and did until then on `from` */
    STORY_WAITING, /* it doesn't yet: why */
    STORY_ENDED,
};

struct story_event {
    enum story_kind kind;
    int64_t at_us; /* since the beginning */
    int transport; /* of UP and MOVED; else -1 */
    int64_t
        silent_us; /* of UP after a loss, and MOVED: from the last packet heard before it to the first one after it; -1: not known */
    char node[BERTH_NODE_MAX + 1], from[BERTH_NODE_MAX + 1];
    char reason[BERTH_ERROR_TEXT]; /* of UP: why it was lost before */
};

struct story {
    int64_t began_us;
    size_t n, left_out; /* so many older ones are no longer kept */
    struct story_event events[STORY_MAX];
    int state;
    char up_node[BERTH_NODE_MAX + 1]; /* on which it was up last */
    char reason[BERTH_ERROR_TEXT];    /* of the last event */
    char lost_reason[BERTH_ERROR_TEXT];
    int64_t heard_us;       /* the newest packet; -1 */
    int64_t quiet_since_us; /* -1: the last event waits for no packet */
};

void story_init(struct story *s, int64_t began_us);
/* The library has told of the call. The event that it makes, the story's; NULL: nothing new. */
const struct story_event *story_changed(struct story *s, const struct berth_call *call, int64_t now_us);
/* A packet of another participant's has come. */
void story_heard(struct story *s, int64_t now_us);

/* The newest event of this kind whose reason holds `text` (NULL: any); or NULL. */
const struct story_event *story_newest(const struct story *s, enum story_kind kind, const char *text);

/* "lost n1: port unreachable": one line for people, while it happens. */
void story_line(const struct story_event *e, char out[static STORY_LINE_MAX]);
/* "n2 -> n1 at 5 s (port unreachable), 0.2 s without media": of an UP after a loss, and MOVED. False: the event has
 * no such line. */
bool story_return_line(const struct story_event *e, char out[static STORY_LINE_MAX]);
/* [{"at_us","event",...}] */
json_t *story_json(const struct story *s);

#endif
