/* A document read straight from its text, as far as it is plain: what the files that do so share. Private to core.
 * Whatever a reader gives up on is read by way of JSON, which also says what is wrong. */
#ifndef BERTH_CORE_DOC_TEXT_H
#define BERTH_CORE_DOC_TEXT_H

#include "core/doc.h"

#include <assert.h>
#include <string.h>

enum { WORD_MAX = 132 };
static_assert((int)WORD_MAX > (int)NODE_ID_MAX && (int)WORD_MAX >= (int)ADDR_TEXT_LEN &&
                  (int)WORD_MAX > (int)AGENT_ID_MAX && (int)WORD_MAX > (int)NETWORK_ID_MAX,
              "ids and addresses fit");

/* Goes over the text; `p` NULL: it isn't plain. */
struct reader {
    const char *p, *end;
};

/* Of the text itself, without its quotes. */
struct word {
    const char *p;
    size_t len; /* below WORD_MAX */
};

static inline void give_up(struct reader *rd)
{
    rd->p = NULL;
}

static inline bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline char next(struct reader *rd)
{
    const char *p = rd->p;
    if (!p)
        return '\0';
    while (p < rd->end && is_space(*p))
        p++;
    rd->p = p;
    return p < rd->end ? *p : '\0';
}

static inline bool take(struct reader *rd, char c)
{
    if (next(rd) != c)
        return false;
    rd->p++;
    return true;
}

static inline void expect(struct reader *rd, char c)
{
    if (!take(rd, c))
        give_up(rd);
}

/* Takes just this text, if it is what comes next. */
static inline bool literal(struct reader *rd, const char *s, size_t len)
{
    if (!rd->p || (size_t)(rd->end - rd->p) < len || memcmp(rd->p, s, len) != 0)
        return false;
    rd->p += len;
    return true;
}
#define LITERAL(rd, text) literal(rd, text, sizeof(text) - 1)

/* Printable ASCII that neither ends a string nor is escaped. */
static inline bool is_plain(char c)
{
    static const uint64_t plain[2] = {UINT64_C(0xFFFFFFFB00000000), UINT64_C(0x7FFFFFFFEFFFFFFF)};
    uint8_t u = (uint8_t)c;
    return u < 128 && (plain[u / 64] >> (u % 64) & 1);
}

/* A string without escapes; an empty word where it isn't one. */
static inline struct word word(struct reader *rd)
{
    expect(rd, '"');
    if (!rd->p)
        return (struct word){"", 0};
    const char *from = rd->p, *p = from;
    while (p < rd->end && is_plain(*p))
        p++;
    if (p == rd->end || *p != '"' || p - from >= WORD_MAX) {
        give_up(rd);
        return (struct word){"", 0};
    }
    rd->p = p + 1;
    return (struct word){from, (size_t)(p - from)};
}

static inline bool word_is(struct word w, const char *s)
{
    return strlen(s) == w.len && memcmp(w.p, s, w.len) == 0;
}

static inline const char *word_text(struct word w, char out[static WORD_MAX])
{
    memcpy(out, w.p, w.len);
    out[w.len] = '\0';
    return out;
}

/* The array of a report's results, which report_clear frees. 0 (the reader may have given up) or -ENOMEM. */
int doc_text_rows(struct reader *rd, struct report *r) __attribute__((warn_unused_result));

#endif
