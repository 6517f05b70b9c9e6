/* What is put, and who is to be told. Invariant: what was committed before outbox_tell stays on the board until a
 * NOTIFY that speaks of it has been sent, however many come meanwhile. */
#include "outbox.h"

#include "core/hash.h"
#include "core/hex.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { HEX = 16 };
_Static_assert((int)OUTBOX_NEWS_TEXT > (int)OUTBOX_NEWS_MAX * (int)HEX, "room for all");
_Static_assert((int)OUTBOX_NEWS_TEXT <= 7999, "what a NOTIFY may carry");

/* ---- putting ---- */

/* Agents in one order, whoever puts: see outbox_put. */
static const struct db_stmt put_stmt = {
    "outbox_put",
    "select count(outbox_put($1, v.agent, v.kind, case when octet_length(v.body::text) <= 32768 then v.body"
    "  else v.body #- '{why,candidates}' end)) from (select agent, kind, body::jsonb from unnest($2::text[], "
    "$3::text[], $4::text[]) as u (agent, kind, body)"
    "  order by agent collate \"C\") v"
    " where " OUTBOX_NOT_VOID};

void outbox_add(struct db_batch *b, h2o_mem_pool_t *pool, const char *org, const struct outbox_event *v,
                size_t n)
{
    const char **columns[3];

    if (n == 0)
        return;
    for (size_t k = 0; k < 3; k++)
        columns[k] = h2o_mem_alloc_pool(pool, n * sizeof(**columns));
    for (size_t i = 0; i < n; i++) {
        columns[0][i] = v[i].agent;
        columns[1][i] = v[i].kind;
        columns[2][i] = v[i].body;
    }
    const struct db_param p[] = {db_text(org), db_text_array(pool, columns[0], n),
                                 db_text_array(pool, columns[1], n), db_text_array(pool, columns[2], n)};
    db_add(b, &put_stmt, p, sizeof(p) / sizeof(p[0]));
}

/* ---- what a NOTIFY says ---- */

uint64_t outbox_agent_hash(const char *org, const char *agent)
{
    return hash64_add(hash64_add(hash64_add(HASH64_BEGIN, org), "/"), agent);
}

void outbox_news_add(struct outbox_news *n, uint64_t agent)
{
    for (size_t i = 0; i < n->n; i++)
        if (n->agents[i] == agent)
            return;
    if (n->n == OUTBOX_NEWS_MAX)
        n->all = true;
    else
        n->agents[n->n++] = agent;
}

void outbox_news_merge(struct outbox_news *n, const struct outbox_news *more)
{
    n->all = n->all || more->all;
    for (size_t i = 0; i < more->n; i++)
        outbox_news_add(n, more->agents[i]);
}

bool outbox_news_empty(const struct outbox_news *n)
{
    return !n->all && n->n == 0;
}

void outbox_news_write(const struct outbox_news *n, char text[static OUTBOX_NEWS_TEXT])
{
    char *p = text;

    if (n->all) {
        snprintf(text, OUTBOX_NEWS_TEXT, "*");
        return;
    }
    *p = '\0';
    for (size_t i = 0; i < n->n; i++, p += HEX)
        snprintf(p, HEX + 1, "%016llx", (unsigned long long)n->agents[i]);
}

void outbox_news_read(struct outbox_news *n, const char *text)
{
    size_t len = strlen(text);

    n->n = 0;
    n->all = len == 0 || len % HEX != 0 || len / HEX > OUTBOX_NEWS_MAX;
    for (size_t i = 0; i < len && !n->all; i += HEX) {
        uint64_t agent = 0;
        int bad = 0;

        for (size_t k = 0; k < HEX; k++) {
            int digit = hex_digit(text[i + k]);
            bad |= digit;
            agent = agent << 4 | (uint64_t)(digit & 15);
        }
        if (bad < 0)
            n->all = true;
        else
            n->agents[n->n++] = agent;
    }
}

/* ---- between threads ---- */

struct outbox_board {
    int fd;
    pthread_mutex_t lock; /* guards what follows */
    struct outbox_news news;
    struct outbox_listener *listeners;
};

int outbox_board_new(struct outbox_board **out)
{
    struct outbox_board *b = calloc(1, sizeof(*b));

    if (b == NULL)
        return -ENOMEM;
    b->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (b->fd < 0) {
        int r = -errno;
        free(b);
        return r;
    }
    pthread_mutex_init(&b->lock, NULL);
    *out = b;
    return 0;
}

void outbox_board_destroy(struct outbox_board *b)
{
    if (b == NULL)
        return;
    pthread_mutex_destroy(&b->lock);
    close(b->fd);
    free(b);
}

static void wake(struct outbox_board *b)
{
    uint64_t one = 1;

    if (write(b->fd, &one, sizeof(one)) < 0) {
        /* An eventfd that is full is readable already. */
    }
}

void outbox_tell(struct outbox_board *b, const char *org, const struct outbox_event *v, size_t n)
{
    bool first;

    pthread_mutex_lock(&b->lock);
    first = outbox_news_empty(&b->news);
    for (size_t i = 0; i < n; i++)
        outbox_news_add(&b->news, outbox_agent_hash(org, v[i].agent));
    pthread_mutex_unlock(&b->lock);
    if (first && n > 0)
        wake(b);
}

int outbox_board_fd(const struct outbox_board *b)
{
    return b->fd;
}

bool outbox_board_take(struct outbox_board *b, struct outbox_news *out)
{
    uint64_t count;

    if (read(b->fd, &count, sizeof(count)) < 0) {
        /* Nobody has woken us: there may be something all the same. */
    }
    pthread_mutex_lock(&b->lock);
    *out = b->news;
    b->news.all = false;
    b->news.n = 0;
    pthread_mutex_unlock(&b->lock);
    return !outbox_news_empty(out);
}

void outbox_board_return(struct outbox_board *b, const struct outbox_news *n)
{
    pthread_mutex_lock(&b->lock);
    outbox_news_merge(&b->news, n);
    pthread_mutex_unlock(&b->lock);
    wake(b);
}

void outbox_board_hear(struct outbox_board *b, const struct outbox_news *n)
{
    pthread_mutex_lock(&b->lock);
    for (struct outbox_listener *l = b->listeners; l != NULL; l = l->next)
        l->hear(l, n);
    pthread_mutex_unlock(&b->lock);
}

void outbox_board_join(struct outbox_board *b, struct outbox_listener *l)
{
    pthread_mutex_lock(&b->lock);
    l->next = b->listeners;
    b->listeners = l;
    pthread_mutex_unlock(&b->lock);
}

void outbox_board_leave(struct outbox_board *b, struct outbox_listener *l)
{
    struct outbox_listener **at = &b->listeners;

    pthread_mutex_lock(&b->lock);
    while (*at != NULL && *at != l)
        at = &(*at)->next;
    if (*at != NULL)
        *at = l->next;
    pthread_mutex_unlock(&b->lock);
}
