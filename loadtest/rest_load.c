/* Requests over kept connections. Invariant: a connection is idle (in the list) or has one request under way; every request that was taken
 * and is no warm-up is counted once, as answered or as failed. */
#include "rest_load.h"

#include "sys/clock.h"
#include "sys/sockaddr.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { EVENTS = 256, WAIT_MOST_US = 50000, PROGRESS_US = 1000000, VERSION_LEN = 9 };
enum { RECORDS_MAX = REST_LOAD_REQUEST_MAX + 8 * 1024 }; /* a request's, with what TLS adds */

struct connection {
    int fd;
    SSL *ssl;
    bool open, busy;
    uint64_t tag;
    int64_t meant_us, deadline_us;
    size_t out_len, out_at, in_len;
    uint8_t *out, *in;
};

struct rest_load {
    struct rest_load_opts opts;
    const struct rest_source *source;
    struct rest_load_result result;
    SSL_CTX *ctx;
    int epoll;
    struct connection *all;
    size_t *idle, n_idle;
    int64_t told_us, answered_us; /* the last answer */
    uint64_t told;
};

/* ---- one connection ---- */

static void hang_up(struct connection *c)
{
    SSL_free(c->ssl);
    c->ssl = NULL;
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->open = false;
}

static void rest(struct rest_load *l, struct connection *c)
{
    c->busy = false;
    c->in_len = c->out_len = c->out_at = 0;
    l->idle[l->n_idle++] = (size_t)(c - l->all);
}

/* Nothing of the warm-up does, whenever it ends. */
static bool counts(const struct rest_load *l, const struct connection *c)
{
    return c->meant_us >= l->opts.warm_us;
}

static void fail(struct rest_load *l, struct connection *c)
{
    if (counts(l, c))
        l->result.failed++;
    ERR_clear_error();
    hang_up(c);
    rest(l, c);
}

/* TLS over it. A request's records leave together, when they are flushed: one call of the kernel, not one for each. */
static int dress(struct rest_load *l, struct connection *c)
{
    BIO *in = BIO_new_socket(c->fd, BIO_NOCLOSE), *buffer = BIO_new(BIO_f_buffer());
    c->ssl = SSL_new(l->ctx);
    if (!in || !buffer || !c->ssl || BIO_set_write_buffer_size(buffer, RECORDS_MAX) != 1 ||
        BIO_up_ref(in) != 1) {
        BIO_free(in);
        BIO_free(buffer);
        return -ENOMEM;
    }
    SSL_set_bio(c->ssl, in, BIO_push(buffer, in));
    SSL_set_connect_state(c->ssl);
    return 0;
}

static int call(struct rest_load *l, struct connection *c)
{
    struct sockaddr_storage ss;
    socklen_t len = sockaddr_from_addr(&ss, &l->opts.server);
    int on = 1;
    c->fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return -errno;
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                            .data.u64 = (uint64_t)(c - l->all)};
    if ((connect(c->fd, (struct sockaddr *)&ss, len) < 0 && errno != EINPROGRESS) ||
        epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &e) < 0)
        return -errno;
    int rc = l->ctx ? dress(l, c) : 0;
    c->open = rc == 0;
    return rc;
}

/* >0 bytes, 0 not now, -1 broken. */
static ssize_t moved(struct connection *c, ssize_t n, bool reading)
{
    if (n > 0)
        return n;
    if (c->ssl) {
        int why = SSL_get_error(c->ssl, (int)n);
        return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : -1;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOTCONN))
        return 0;
    return reading || n < 0 ? -1 : 0;
}

static bool push(struct connection *c)
{
    while (c->out_at < c->out_len) {
        const uint8_t *from = c->out + c->out_at;
        size_t len = c->out_len - c->out_at;
        ssize_t n = moved(
            c, c->ssl ? SSL_write(c->ssl, from, (int)len) : send(c->fd, from, len, MSG_NOSIGNAL), false);
        if (n <= 0)
            return n == 0;
        c->out_at += (size_t)n;
    }
    return !c->ssl || BIO_flush(SSL_get_wbio(c->ssl)) == 1 || BIO_should_retry(SSL_get_wbio(c->ssl));
}

/* The length of the answer at the front of the input, its status and body; 0: more is needed; -1: not an answer. */
static ssize_t answer_of(const struct connection *c, int *status, struct slice *body)
{
    static const char length_is[] = "content-length:";
    const char *in = (const char *)c->in, *end = memmem(in, c->in_len, "\r\n\r\n", 4);
    if (!end)
        return 0;
    *status = c->in_len > VERSION_LEN ? (int)strtol(in + VERSION_LEN, NULL, 10) : 0;
    if (memcmp(in, "HTTP/1.1 ", VERSION_LEN) != 0 || *status < 100 || *status >= REST_LOAD_STATUS_MAX)
        return -1;
    size_t head = (size_t)(end - in) + 4, length = 0;
    for (const char *p = in; (p = memchr(p, '\n', (size_t)(end - p))) != NULL;) {
        if (strncasecmp(++p, length_is, sizeof(length_is) - 1) == 0)
            length = strtoul(p + sizeof(length_is) - 1, NULL, 10);
    }
    if (length > REST_LOAD_ANSWER_MAX - head)
        return -1;
    *body = (struct slice){c->in + head, length};
    return c->in_len < head + length ? 0 : (ssize_t)(head + length);
}

static void answered(struct rest_load *l, struct connection *c, int status, struct slice body)
{
    l->answered_us = clock_mono_us();
    int64_t took = l->answered_us - c->meant_us;
    if (counts(l, c)) {
        l->result.answered++;
        l->result.status[status]++;
        histogram_add(&l->result.latency, took);
        if (l->source->answered)
            l->source->answered(l->source->ctx, c->tag, status, body, took);
    }
    rest(l, c);
}

/* Edge-triggered, so reads until there is no more. Behind an answer there is none, unless the server has `ended` it. */
static void pull(struct rest_load *l, struct connection *c, bool ended)
{
    for (bool more = true; more;) {
        uint8_t *to = c->in + c->in_len;
        size_t room = REST_LOAD_ANSWER_MAX - c->in_len;
        ssize_t n = moved(c, c->ssl ? SSL_read(c->ssl, to, (int)room) : recv(c->fd, to, room, 0), true);
        if (n == 0)
            return;
        if (n < 0 && !c->busy) {
            hang_up(c); /* an idle one was ended: the next request opens another */
            return;
        }
        if (n > 0)
            c->in_len += (size_t)n;
        int status;
        struct slice body;
        ssize_t whole = n < 0 || !c->busy ? -1 : answer_of(c, &status, &body);
        if (whole < 0) {
            if (c->busy)
                fail(l, c);
            else
                hang_up(c);
            return;
        }
        if (whole > 0)
            answered(l, c, status, body);
        more = whole == 0 || ended || (c->ssl && SSL_has_pending(c->ssl));
    }
}

/* ---- all ---- */

static int begin(struct rest_load *l, int64_t meant_us, int64_t now)
{
    struct connection *c = &l->all[l->idle[--l->n_idle]];
    c->busy = true;
    c->meant_us = meant_us > 0 ? meant_us : now;
    c->deadline_us = now + REST_LOAD_TIMEOUT_US;
    c->out_len = l->source->take(l->source->ctx, c->out, REST_LOAD_REQUEST_MAX, &c->tag);
    l->result.sent++;
    int rc = c->open ? 0 : call(l, c);
    if (rc < 0 && rc != -ECONNREFUSED)
        return rc;
    if (rc < 0 || !push(c))
        fail(l, c);
    return 0;
}

static void give_up(struct rest_load *l, int64_t now)
{
    for (size_t i = 0; i < l->opts.connections; i++) {
        if (l->all[i].busy && l->all[i].deadline_us <= now)
            fail(l, &l->all[i]);
    }
}

static void tell(struct rest_load *l, int64_t now)
{
    if (l->opts.quiet || now - l->told_us < PROGRESS_US || !isatty(STDERR_FILENO))
        return;
    fprintf(stderr, "\r%10.0f/s  %12zu answered  %8zu failed  ",
            (double)(l->result.answered - l->told) * 1e6 / (double)(now - l->told_us),
            (size_t)l->result.answered, (size_t)l->result.failed);
    l->told_us = now;
    l->told = l->result.answered;
}

static int turn(struct rest_load *l, int64_t wait)
{
    struct epoll_event events[EVENTS];
    const struct timespec t = {0, wait * 1000};
    int n = epoll_pwait2(l->epoll, events, EVENTS, &t, NULL);
    if (n < 0 && errno != EINTR)
        return -errno;
    for (int i = 0; i < n; i++) {
        struct connection *c = &l->all[events[i].data.u64];
        if (c->fd < 0)
            continue;
        if (c->busy && !push(c))
            fail(l, c);
        else
            pull(l, c, (events[i].events & ~(unsigned)(EPOLLIN | EPOLLOUT)) != 0);
    }
    return 0;
}

static int loop(struct rest_load *l)
{
    int64_t now, looked_us = 0;
    while ((now = clock_mono_us()) < l->opts.until_us || l->n_idle < l->opts.connections) {
        int64_t next = now < l->opts.until_us ? l->source->peek_us(l->source->ctx) : INT64_MAX;
        if (next == INT64_MAX && l->n_idle == l->opts.connections)
            break;
        if (next <= now && l->n_idle > 0) {
            int rc = begin(l, next, now);
            if (rc < 0)
                return rc;
            continue;
        }
        int64_t wait = l->n_idle > 0 && next - now < WAIT_MOST_US ? next - now : WAIT_MOST_US;
        int rc = turn(l, wait);
        if (rc < 0)
            return rc;
        if (now - looked_us > WAIT_MOST_US) {
            give_up(l, now);
            tell(l, now);
            looked_us = now;
        }
    }
    return 0;
}

static int set_up(struct rest_load *l)
{
    size_t n = l->opts.connections;
    l->all = calloc(n, sizeof(*l->all));
    l->idle = calloc(n, sizeof(*l->idle));
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!l->all || !l->idle)
        return -ENOMEM;
    if (l->epoll < 0)
        return -errno;
    for (size_t i = 0; i < n; i++)
        l->all[i].fd = -1;
    for (size_t i = n; i > 0; i--) {
        struct connection *c = &l->all[i - 1];
        c->out = malloc(REST_LOAD_REQUEST_MAX);
        c->in = malloc(REST_LOAD_ANSWER_MAX);
        if (!c->out || !c->in)
            return -ENOMEM;
        l->idle[l->n_idle++] = i - 1;
    }
    if (l->opts.tls && !(l->ctx = SSL_CTX_new(TLS_client_method())))
        return -ENOMEM;
    if (l->ctx)
        SSL_CTX_set_read_ahead(l->ctx, 1); /* else a record's head is read by itself */
    return 0;
}

static void tear_down(struct rest_load *l)
{
    for (size_t i = 0; l->all && i < l->opts.connections; i++) {
        hang_up(&l->all[i]);
        free(l->all[i].out);
        free(l->all[i].in);
    }
    SSL_CTX_free(l->ctx);
    if (l->epoll >= 0)
        close(l->epoll);
    free(l->idle);
    free(l->all);
}

int rest_load_run(const struct rest_load_opts *opts, const struct rest_source *source,
                  struct rest_load_result *out)
{
    struct rest_load l = {.opts = *opts, .source = source, .epoll = -1};
    int rc = set_up(&l);
    int64_t start = clock_mono_us();
    l.told_us = start;
    if (rc == 0)
        rc = loop(&l);
    if (rc == 0) {
        int64_t counted_from = start > opts->warm_us ? start : opts->warm_us, over_us = clock_mono_us();
        if (over_us > opts->until_us)
            over_us = opts->until_us;
        l.result.elapsed_us = (l.answered_us > over_us ? l.answered_us : over_us) - counted_from;
        (void)source->skip(source->ctx, opts->warm_us);
        l.result.missed = source->skip(source->ctx, opts->until_us); /* it couldn't keep its schedule */
        *out = l.result;
    }
    tear_down(&l);
    return rc;
}

/* ---- requests ---- */

int rest_load_url(struct rest_load_opts *opts, const char *url)
{
    char at[ADDR_TEXT_LEN];
    opts->tls = strncmp(url, "https://", 8) == 0;
    if (!opts->tls && strncmp(url, "http://", 7) != 0)
        return -EINVAL;
    url += opts->tls ? 8 : 7;
    size_t len = strcspn(url, "/");
    if (len >= sizeof(at) || (url[len] == '/' && url[len + 1] != '\0'))
        return -EINVAL;
    memcpy(at, url, len);
    at[len] = '\0';
    int rc = addr_parse(&opts->server, at);
    return rc < 0 || opts->server.port == 0 ? -EINVAL : 0;
}

size_t rest_load_request(uint8_t *out, size_t cap, const char *method, const char *path, const char *token,
                         const void *body, size_t len)
{
    int head = snprintf((char *)out, cap,
                        "%s %s HTTP/1.1\r\nHost: load\r\nAuthorization: Bearer %s\r\nContent-Type: "
                        "application/json\r\nContent-Length: %zu\r\n\r\n",
                        method, path, token, len);
    if (head < 0 || (size_t)head + len > cap)
        return 0;
    if (len > 0)
        memcpy(out + head, body, len);
    return (size_t)head + len;
}
