/* The least that answers a Binding over TCP or TLS: accept, read, answer, and close once the client has, one after
 * the other. It looks at nothing but the transaction id. Who closes first leaves the other's system most of the work
 * of ending, a third of all that a connection over TCP costs: as any server does (RFC 8489 6.2.2), this one leaves
 * it to the client. So that it needn't wait for that, an answered connection is closed when KEPT others have been
 * answered after it. Invariant: one connection at a time is served; what goes wrong with it ends it and nothing
 * else. */
#include "yardstick.h"

#include "sys/clock.h"
#include "sys/sockaddr.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

enum { REQUEST_LEN = 20, BYTES_MAX = 256, BACKLOG = 1024, POLL_MS = 100, STALL_S = 2 };
enum { KEPT = 64 }; /* more than berth-load has at once without --connections */

struct conn {
    int fd; /* -1: none */
    SSL *ssl;
};

static void drop(struct conn *c)
{
    SSL_free(c->ssl);
    ERR_clear_error();
    if (c->fd >= 0)
        close(c->fd);
    *c = (struct conn){.fd = -1};
}

/* Reads the client's goodbye, and over TLS answers it. */
static void end_one(struct conn *c)
{
    uint8_t bytes[BYTES_MAX];
    if (c->ssl && SSL_read(c->ssl, bytes, sizeof(bytes)) <= 0)
        SSL_shutdown(c->ssl);
    else if (c->fd >= 0 && !c->ssl)
        (void)!recv(c->fd, bytes, sizeof(bytes), 0);
    drop(c);
}

static void answer_one(struct conn *c, const struct sockaddr_storage *from, SSL_CTX *ctx)
{
    uint8_t bytes[BYTES_MAX];
    const struct timeval stall = {.tv_sec = STALL_S};
    int on = 1;

    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &stall, sizeof(stall));
    if (ctx) {
        c->ssl = SSL_new(ctx);
        if (!c->ssl || SSL_set_fd(c->ssl, c->fd) != 1 || SSL_accept(c->ssl) != 1)
            goto out;
    }
    long n = ctx ? SSL_read(c->ssl, bytes, sizeof(bytes)) : recv(c->fd, bytes, sizeof(bytes), 0);
    if (n < REQUEST_LEN)
        goto out;
    size_t len = yardstick_rewrite(bytes, (const struct sockaddr_in6 *)from);
    n = ctx ? SSL_write(c->ssl, bytes, (int)len) : send(c->fd, bytes, len, MSG_NOSIGNAL);
    if (n == (long)len)
        return;
out:
    drop(c);
}

static SSL_CTX *server_context(const char *cert, const char *key)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (ctx && SSL_CTX_use_certificate_chain_file(ctx, cert) == 1 &&
        SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) == 1)
        return ctx;
    SSL_CTX_free(ctx);
    return NULL;
}

int yardstick_streams(const struct addr *at, const char *cert, const char *key, int64_t end_us)
{
    SSL_CTX *ctx = cert ? server_context(cert, key) : NULL;
    if (cert && !ctx)
        return -EINVAL;
    int fd = socket_listen_tcp(at, false, BACKLOG);
    struct pollfd pfd = {.fd = fd, .events = POLLIN};
    struct conn kept[KEPT];
    size_t at_kept = 0;
    for (size_t i = 0; i < KEPT; i++)
        kept[i] = (struct conn){.fd = -1};
    while (fd >= 0 && clock_mono_us() < end_us) {
        struct sockaddr_storage from;
        socklen_t len = sizeof(from);
        int conn = accept4(fd, (struct sockaddr *)&from, &len, SOCK_CLOEXEC);
        if (conn < 0) {
            poll(&pfd, 1, POLL_MS);
            continue;
        }
        struct conn *c = &kept[at_kept++ % KEPT];
        end_one(c);
        c->fd = conn;
        answer_one(c, &from, ctx);
    }
    for (size_t i = 0; i < KEPT; i++)
        end_one(&kept[i]);
    SSL_CTX_free(ctx);
    if (fd < 0)
        return fd;
    close(fd);
    return 0;
}
