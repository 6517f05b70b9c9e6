/* A report read straight from its text; its results are doc_report_rows.c's. Invariant: as there, what is read is
 * what report_from_json would make of it, and whatever is not plain or not right is left to that. */
#include "core/doc_json.h"
#include "core/doc_text.h"
#include "core/timefmt.h"

#include <errno.h>
#include <stdlib.h>

enum member { REPORT_ID, AGENT, MEASURED_AT, NETWORK, CAPABILITIES, RESULTS, CALLS, MEMBERS };
enum { REQUIRED = 1 << REPORT_ID | 1 << MEASURED_AT | 1 << NETWORK | 1 << RESULTS };
static const char *const names[MEMBERS] = {"report_id",    "agent",   "measured_at", "network",
                                           "capabilities", "results", "calls"};

/* The next member's name and colon. */
static enum member member_next(struct reader *rd)
{
    struct word name = word(rd);
    expect(rd, ':');
    for (unsigned m = 0; m < MEMBERS && rd->p; m++)
        if (word_is(name, names[m]))
            return (enum member)m;
    give_up(rd);
    return MEMBERS;
}

static void mapped_addresses(struct reader *rd, struct report *r)
{
    char text[WORD_MAX];
    expect(rd, '[');
    if (take(rd, ']'))
        return;
    do {
        struct word w = word(rd);
        if (!rd->p || r->n_mapped == REPORT_MAPPED_MAX ||
            doc_addr_parse(&r->mapped[r->n_mapped++], word_text(w, text)) < 0)
            give_up(rd);
    } while (take(rd, ','));
    expect(rd, ']');
}

static void network(struct reader *rd, struct report *r)
{
    char text[WORD_MAX];
    bool id = false, mapped = false;
    expect(rd, '{');
    do {
        struct word name = word(rd), w;
        expect(rd, ':');
        if (rd->p && !mapped && word_is(name, "mapped_addresses")) {
            mapped = true;
            mapped_addresses(rd, r);
        } else if (rd->p && !id && word_is(name, "id")) {
            w = word(rd);
            id = rd->p && id_valid(word_text(w, text), NETWORK_ID_MAX);
            if (id)
                memcpy(r->network_id, text, w.len + 1);
            else
                give_up(rd);
        } else {
            give_up(rd);
        }
    } while (take(rd, ','));
    expect(rd, '}');
    if (!id)
        give_up(rd);
}

static void capabilities(struct reader *rd, struct report *r)
{
    char text[WORD_MAX];
    enum transport t;
    r->has_capabilities = true;
    expect(rd, '[');
    if (take(rd, ']'))
        return;
    do {
        struct word w = word(rd);
        if (!rd->p || transport_parse(word_text(w, text), &t) < 0 || (r->capabilities & 1U << t)) {
            give_up(rd);
            return;
        }
        r->capabilities |= 1U << t;
    } while (take(rd, ','));
    expect(rd, ']');
}

/* Past the brackets that begin here, and what is in them. */
static void pass(struct reader *rd)
{
    const char *p = rd->p;
    size_t depth = 0;
    bool in_string = false;
    for (; p && p < rd->end; p++) {
        if (in_string && *p == '\\')
            p += p + 1 < rd->end;
        else if (*p == '"')
            in_string = !in_string;
        else if (!in_string && (*p == '[' || *p == '{'))
            depth++;
        else if (!in_string && (*p == ']' || *p == '}') && --depth == 0)
            break;
    }
    rd->p = p && p < rd->end ? p + 1 : NULL;
}

/* There are few, and of much: by way of JSON, as the only member of a document. */
static int calls(struct reader *rd, struct report *r)
{
    static const char before[] = "{\"calls\":";
    struct doc_error e;
    if (next(rd) != '[') {
        give_up(rd);
        return 0;
    }
    const char *from = rd->p;
    pass(rd);
    if (!rd->p)
        return 0;
    size_t len = (size_t)(rd->p - from);
    char *text = malloc(sizeof(before) + len);
    if (!text)
        return -ENOMEM;
    memcpy(text, before, sizeof(before) - 1);
    memcpy(text + sizeof(before) - 1, from, len);
    text[sizeof(before) - 1 + len] = '}';
    json_t *j = doc_parse(text, sizeof(before) + len, &e);
    free(text);
    int rc = j ? report_calls_from_json(j, r, &e) : -EINVAL;
    json_decref(j);
    if (rc == -EINVAL)
        give_up(rd);
    return rc == -ENOMEM ? rc : 0;
}

/* The members that are words. */
static bool set_word(struct report *r, enum member m, struct word w)
{
    char text[WORD_MAX];
    word_text(w, text);
    if (m == REPORT_ID)
        return report_set_id(r, text);
    if (m == MEASURED_AT)
        return time_parse(text, &r->measured_at_us) == 0;
    if (!agent_id_valid(text))
        return false;
    memcpy(r->agent, text, w.len + 1);
    return true;
}

static int value(struct reader *rd, struct report *r, enum member m)
{
    struct word w;
    switch (m) {
    case NETWORK:
        network(rd, r);
        return 0;
    case CAPABILITIES:
        capabilities(rd, r);
        return 0;
    case RESULTS:
        return doc_text_rows(rd, r);
    case CALLS:
        return calls(rd, r);
    default:
        w = word(rd);
        if (rd->p && !set_word(r, m, w))
            give_up(rd);
        return 0;
    }
}

static int document(struct reader *rd, struct report *r)
{
    unsigned seen = 0;
    int rc = 0;
    expect(rd, '{');
    do {
        enum member m = member_next(rd);
        if (!rd->p || (seen & 1U << m))
            return -EAGAIN;
        seen |= 1U << m;
        rc = value(rd, r, m);
    } while (rc == 0 && take(rd, ','));
    expect(rd, '}');
    (void)next(rd);
    if (rc == 0 && (rd->p != rd->end || (seen & REQUIRED) != REQUIRED))
        rc = -EAGAIN;
    return rc;
}

int report_read(const char *text, size_t len, struct report *r)
{
    struct reader rd = {text, text + len};
    struct report read = {0};
    struct doc_error e;
    int rc = document(&rd, &read);
    if (rc == 0)
        rc = report_check_pairs(&read, &e);
    if (rc < 0) {
        report_clear(&read);
        return rc == -EINVAL ? -EAGAIN : rc;
    }
    *r = read;
    return 0;
}
