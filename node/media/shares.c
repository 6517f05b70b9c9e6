/* Shares: how many of a meeting's sources each of those has that bring them, participants here and links, and how
 * fast new ones come. Invariant: a share's `n` is the number of sources that name it; one of none is free for
 * another. */
#include "engine.h"

#include <stdlib.h>

enum { SHARES_FIRST = 4 };

static struct share *find(const struct meeting *m, uint64_t of)
{
    for (size_t i = 0; i < m->n_shares; i++) {
        if (m->shares[i].n > 0 && m->shares[i].of == of)
            return &m->shares[i];
    }
    return NULL;
}

static struct share *make(struct meeting *m, uint64_t of)
{
    size_t i = 0;
    while (i < m->n_shares && m->shares[i].n > 0)
        i++;
    if (i == m->share_room) {
        size_t room = m->share_room ? 2 * m->share_room : SHARES_FIRST;
        struct share *grown = realloc(m->shares, room * sizeof *grown);
        if (!grown)
            return NULL;
        m->shares = grown;
        m->share_room = room;
    }
    if (i == m->n_shares)
        m->n_shares++;
    m->shares[i] = (struct share){.of = of};
    return &m->shares[i];
}

bool share_add(struct meeting *m, uint64_t of, bool link, int64_t now_us)
{
    const int64_t each_us = link ? SHARE_LINK_NEW_US : SHARE_NEW_US;
    const int64_t burst = link ? MEETING_SOURCES_MAX : SHARE_NEW_BURST;
    struct share *s = find(m, of);
    s = s ? s : make(m, of);
    if (!s)
        return false;
    int64_t whole_us = (s->whole_us > now_us ? s->whole_us : now_us) + each_us;
    if (whole_us - now_us > burst * each_us)
        return false;
    s->whole_us = whole_us;
    s->n++;
    return true;
}

void share_drop(struct meeting *m, uint64_t of)
{
    find(m, of)->n--;
}

void share_move(struct meeting *m, struct source *s, uint64_t to)
{
    struct share *is = s->share == to ? NULL : find(m, to);
    if (s->share == to)
        return;
    is = is ? is : make(m, to);
    if (!is)
        return; /* it goes on counting where it does */
    is->n++;
    share_drop(m, s->share);
    s->share = to;
}

size_t share_count(const struct meeting *m, uint64_t of)
{
    const struct share *s = find(m, of);
    return s ? s->n : 0;
}

const struct share *share_largest(const struct meeting *m)
{
    const struct share *most = NULL;
    for (size_t i = 0; i < m->n_shares; i++) {
        if (!most || m->shares[i].n > most->n)
            most = &m->shares[i];
    }
    return most;
}
