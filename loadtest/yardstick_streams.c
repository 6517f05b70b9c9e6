/* The least that answers a Binding over TCP or TLS: accept, read, answer, close, one after the other. It looks at nothing but the transaction id.
 * Invariant: one connection at a time; what goes wrong with it ends it and nothing else. */
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

static void answer_one(int fd, const struct sockaddr_storage *from, SSL_CTX *ctx)
{
    uint8_t bytes[BYTES_MAX];
    const struct timeval stall = {.tv_sec = STALL_S};
    int on = 1;
    SSL *ssl = NULL;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &stall, sizeof(stall));
    if (ctx) {
        ssl = SSL_new(ctx);
        if (!ssl || SSL_set_fd(ssl, fd) != 1 || SSL_accept(ssl) != 1)
            goto out;
    }
    long n = ssl ? SSL_read(ssl, bytes, sizeof(bytes)) : recv(fd, bytes, sizeof(bytes), 0);
    if (n < REQUEST_LEN)
        goto out;
    size_t len = yardstick_rewrite(bytes, (const struct sockaddr_in6 *)from);
    if (ssl && SSL_write(ssl, bytes, (int)len) > 0)
        SSL_shutdown(ssl);
    else if (!ssl)
        (void)!send(fd, bytes, len, MSG_NOSIGNAL);
out:
    SSL_free(ssl);
    ERR_clear_error();
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
    while (fd >= 0 && clock_mono_us() < end_us) {
        struct sockaddr_storage from;
        socklen_t len = sizeof(from);
        int conn = accept4(fd, (struct sockaddr *)&from, &len, SOCK_CLOEXEC);
        if (conn < 0) {
            poll(&pfd, 1, POLL_MS);
            continue;
        }
        answer_one(conn, &from, ctx);
        close(conn);
    }
    SSL_CTX_free(ctx);
    if (fd < 0)
        return fd;
    close(fd);
    return 0;
}
