/* The reader of events. Invariant: at any event, those who are in a meeting are exactly those whose joins were accepted and whose
 * leaves have not come. */
#include "events.h"

#include "core/doc.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TIME_MAX_S 4e9 /* seconds: a century and more */

struct reading {
    struct events *v;
    const struct world *w;
    const char *file;
    size_t line;
    struct names keys; /* "meeting participant" by numbers: one name for each pair */
    size_t *present;   /* keys.n: stay + 1, 0: not there */
    size_t *size;      /* meetings.n: participants now */
    size_t cap_events, cap_stays, cap_keys, cap_meetings;
    struct replay_error *e;
};

static int no_memory(struct reading *r)
{
    replay_fail(r->e, r->file, r->line, "out of memory");
    return -ENOMEM;
}

/* The array with room for one more behind its n, what is new zeroed. NULL: out of memory, and the old one stays. */
static void *reserve(void *array, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return array;
    size_t more = *cap > 0 ? *cap * 2 : 64;
    char *bigger = realloc(array, more * size);
    if (!bigger)
        return NULL;
    memset(bigger + *cap * size, 0, (more - *cap) * size);
    *cap = more;
    return bigger;
}

static int text_member(struct reading *r, const json_t *j, const char *name, const char **out)
{
    const char *text = json_string_value(json_object_get(j, name));
    if (!text || *text == '\0' || strlen(text) > NAME_MAX_LEN)
        return replay_fail(r->e, r->file, r->line, "%s: a text of 1 to %d bytes is wanted", name,
                           NAME_MAX_LEN);
    *out = text;
    return 0;
}

static int time_member(struct reading *r, const json_t *j, int64_t *t_us)
{
    const json_t *t = json_object_get(j, "t");
    double s = json_number_value(t);
    if (!json_is_number(t) || !isfinite(s) || s < 0 || s > TIME_MAX_S)
        return replay_fail(r->e, r->file, r->line, "t: seconds, from 0, are wanted");
    *t_us = llround(s * 1e6);
    if (r->v->n > 0 && *t_us < r->v->event[r->v->n - 1].t_us)
        return replay_fail(r->e, r->file, r->line,
                           "t: %.6f is before the line above: events stand in the order of time", s);
    return 0;
}

static int kind_member(struct reading *r, const json_t *j, bool *leave)
{
    const char *kind = json_string_value(json_object_get(j, "event"));
    *leave = kind && strcmp(kind, "leave") == 0;
    if (!kind || (!*leave && strcmp(kind, "join") != 0))
        return replay_fail(r->e, r->file, r->line, "event: join or leave is wanted");
    return 0;
}

/* The meeting's number; its facts are there when it is new. */
static int meeting_number(struct reading *r, const json_t *j, size_t *number)
{
    struct events *v = r->v;
    const char *name = NULL, *mix = NULL;
    size_t had = v->meetings.n, cap = r->cap_meetings;
    if (text_member(r, j, "meeting", &name) < 0 ||
        (json_object_get(j, "mix") && text_member(r, j, "mix", &mix) < 0))
        return -EINVAL;
    if (names_add(&v->meetings, name, number) < 0)
        return no_memory(r);
    if (*number < had)
        return 0;
    struct meeting_facts *meeting = reserve(v->meeting, had, &cap, sizeof *meeting);
    if (!meeting)
        return no_memory(r);
    v->meeting = meeting;
    size_t *sizes = reserve(r->size, had, &r->cap_meetings, sizeof *sizes);
    if (!sizes)
        return no_memory(r);
    r->size = sizes;
    v->meeting[had] = (struct meeting_facts){.mix = NAMES_NONE, .first = v->n_stays};
    if (mix && names_add(&v->mixes, mix, &v->meeting[had].mix) < 0)
        return no_memory(r);
    if (v->mixes.n > MIXES_MAX)
        return replay_fail(r->e, r->file, r->line, "mix: more than %d different ones", MIXES_MAX);
    return 0;
}

/* The place that says whether this participant is in this meeting. */
static int presence(struct reading *r, size_t meeting, const char *participant, size_t **slot, size_t *name)
{
    char key[48];
    size_t number;
    if (names_add(&r->v->participant_names, participant, name) < 0)
        return no_memory(r);
    snprintf(key, sizeof key, "%zu %zu", meeting, *name);
    if (names_add(&r->keys, key, &number) < 0)
        return no_memory(r);
    size_t *present = reserve(r->present, number, &r->cap_keys, sizeof *present);
    if (!present)
        return no_memory(r);
    r->present = present;
    *slot = &r->present[number];
    return 0;
}

static int add_stay(struct reading *r, const json_t *j, const char *participant)
{
    struct events *v = r->v;
    const json_t *measured = json_object_get(j, "measured");
    const char *site = NULL;
    if (text_member(r, j, "site", &site) < 0)
        return -EINVAL;
    size_t number = names_find(&r->w->sites, site);
    if (number == NAMES_NONE)
        return replay_fail(r->e, r->file, r->line, "site '%.60s' has no row in the matrix", site);
    if (measured && !json_is_boolean(measured))
        return replay_fail(r->e, r->file, r->line, "measured: true or false is wanted");
    struct stay *stay = reserve(v->stay, v->n_stays, &r->cap_stays, sizeof *stay);
    if (!stay)
        return no_memory(r);
    v->stay = stay;
    v->stay[v->n_stays++] =
        (struct stay){.name = participant, .site = number, .unmeasured = json_is_false(measured)};
    return 0;
}

static int accept(struct reading *r, const json_t *j)
{
    struct events *v = r->v;
    struct event ev = {0};
    const char *participant = NULL;
    size_t *slot = NULL, name = 0;
    int answer;
    if (time_member(r, j, &ev.t_us) < 0 || kind_member(r, j, &ev.leave) < 0 ||
        text_member(r, j, "participant", &participant) < 0)
        return -EINVAL;
    if ((answer = meeting_number(r, j, &ev.meeting)) < 0 ||
        (answer = presence(r, ev.meeting, participant, &slot, &name)) < 0)
        return answer;
    if (ev.leave != (*slot > 0))
        return replay_fail(r->e, r->file, r->line, "participant '%.60s' %s", participant,
                           ev.leave ? "leaves a meeting it is not in" : "joins a meeting it is in already");
    struct meeting_facts *m = &v->meeting[ev.meeting];
    if (ev.leave) {
        ev.participant = *slot - 1;
        *slot = 0;
        r->size[ev.meeting]--;
    } else {
        if (++r->size[ev.meeting] > MEETING_SIZE_MAX)
            return replay_fail(r->e, r->file, r->line, "more than %d in one meeting", MEETING_SIZE_MAX);
        if ((answer = add_stay(r, j, v->participant_names.text[name])) < 0)
            return answer;
        ev.participant = v->n_stays - 1;
        ev.unmeasured = v->stay[ev.participant].unmeasured;
        *slot = v->n_stays;
    }
    if (r->size[ev.meeting] >= m->largest) {
        m->largest = r->size[ev.meeting];
        m->full_at = v->n;
    }
    struct event *event = reserve(v->event, v->n, &r->cap_events, sizeof *event);
    if (!event)
        return no_memory(r);
    v->event = event;
    v->event[v->n++] = ev;
    return 0;
}

/* The parser counts lines too, and knows of one. */
static int not_json(struct reading *r, const char *detail)
{
    const char *line = strstr(detail, ", at line "), *column = line ? strstr(line, "column ") : NULL;
    size_t what = line ? (size_t)(line - detail) : strlen(detail);
    return replay_fail(r->e, r->file, r->line, "%.*s%s%s", (int)what, detail, column ? ", at " : "",
                       column ? column : "");
}

static int read_line(struct reading *r, const char *line, size_t len)
{
    struct doc_error why;
    if (len > EVENT_LINE_MAX)
        return replay_fail(r->e, r->file, r->line, "a line of more than %d bytes", EVENT_LINE_MAX);
    if (r->v->n == EVENTS_MAX)
        return replay_fail(r->e, r->file, r->line, "more than %d events", EVENTS_MAX);
    json_t *j = doc_parse(line, len, &why);
    if (!j)
        return not_json(r, why.detail);
    int answer =
        json_is_object(j) ? accept(r, j) : replay_fail(r->e, r->file, r->line, "an object is wanted");
    json_decref(j);
    return answer;
}

int events_read(struct events *v, const struct world *w, const char *file, const char *text, size_t size,
                struct replay_error *e)
{
    struct reading r = {.v = v, .w = w, .file = file, .e = e};
    int answer = 0;
    for (const char *at = text + replay_text_start(text, size), *end = text + size;
         at < end && answer == 0;) {
        const char *eol = memchr(at, '\n', (size_t)(end - at));
        const char *next = eol ? eol + 1 : end;
        size_t len = (size_t)((eol ? eol : end) - at);
        r.line++;
        if (strspn(at, " \t\r") < len) /* the text ends with a NUL */
            answer = read_line(&r, at, len);
        at = next;
    }
    if (answer == 0 && v->n == 0)
        answer = replay_fail(e, file, 0, "no events");
    names_clear(&r.keys);
    free(r.present);
    free(r.size);
    return answer;
}

void events_clear(struct events *v)
{
    free(v->event);
    free(v->meeting);
    free(v->stay);
    names_clear(&v->meetings);
    names_clear(&v->mixes);
    names_clear(&v->participant_names);
    *v = (struct events){0};
}
