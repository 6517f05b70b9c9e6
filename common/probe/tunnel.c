/* CONNECT tunnels by libcurl. Invariant: the job stays in the loop until tunnel_close, since curl keeps the connection only so
 * long; and what is told of a failure names no credentials. */
#include "probe/tunnel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tunnel {
    struct curl_job job; /* first: its address is ours */
    struct curl_loop *loop;
    curl_socket_t fd;
    bool with_login, refused;
    const char *auth;
    tunnel_cb cb;
    void *user;
    struct rest_patience patience;
    struct rest_proxy schemes; /* no texts: what rest_proxy_auth asks */
    char error[TUNNEL_ERROR_TEXT];
};

/* "Basic, Digest": what a proxy asks for. */
static void name_schemes(char *out, size_t cap, unsigned long offered)
{
    static const struct {
        unsigned long bit;
        const char *name;
    } names[] = {{CURLAUTH_BASIC, "Basic"},
                 {CURLAUTH_DIGEST, "Digest"},
                 {CURLAUTH_NTLM, "NTLM"},
                 {CURLAUTH_NEGOTIATE, "Negotiate"}};
    snprintf(out, cap, "none that is known");
    for (size_t i = 0, n = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t at = n == 0 ? 0 : strlen(out);
        if ((offered & names[i].bit) != 0) {
            snprintf(out + at, cap - at, "%s%s", n > 0 ? ", " : "", names[i].name);
            n++;
        }
    }
}

/* The proxy answered, and not with 2xx. */
static void explain_status(struct tunnel *t, long status)
{
    long offered = 0;
    char schemes[64];
    curl_easy_getinfo(t->job.easy, CURLINFO_PROXYAUTH_AVAIL, &offered);
    name_schemes(schemes, sizeof schemes, (unsigned long)offered);
    if (status == 407)
        snprintf(t->error, sizeof t->error, "%s (407; it offers %s)",
                 t->with_login ? "the proxy refuses the user or password" : "the proxy wants authentication",
                 schemes);
    else if (status >= 500)
        snprintf(t->error, sizeof t->error, "the proxy could not connect (%ld)", status);
    else
        snprintf(t->error, sizeof t->error, "the proxy refuses to connect (%ld)", status);
}

static const char *explain_code(CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
        return "the proxy's name has no address";
    case CURLE_COULDNT_CONNECT:
        return "the proxy can't be reached";
    case CURLE_OPERATION_TIMEDOUT:
        return "the proxy does not answer";
    case CURLE_PEER_FAILED_VERIFICATION:
        return "the proxy's own certificate was refused";
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
        return "the proxy closed the connection";
    default:
        return curl_easy_strerror(code);
    }
}

static void on_done(struct curl_job *job, CURLcode code)
{
    struct tunnel *t = (struct tunnel *)job;
    long status = 0;
    curl_easy_getinfo(job->easy, CURLINFO_HTTP_CONNECTCODE, &status);
    curl_easy_getinfo(job->easy, CURLINFO_ACTIVESOCKET, &t->fd);
    if (code == CURLE_OK && t->fd != CURL_SOCKET_BAD) {
        t->auth = rest_proxy_auth(job->easy, &t->schemes);
        t->cb(t->user, t, NULL);
        return;
    }
    t->fd = CURL_SOCKET_BAD;
    if (code == CURLE_OUT_OF_MEMORY)
        status = 0; /* what the proxy had said was nothing final */
    t->refused = status >= 300 && status != 407;
    if (t->patience.exceeded)
        snprintf(t->error, sizeof t->error, "the proxy's answer is too long (%ld)", status);
    else if (status >= 300)
        explain_status(t, status);
    else
        snprintf(t->error, sizeof t->error, "%s", explain_code(code));
    t->cb(t->user, t, t->error);
}

static size_t ignore(char *data, size_t size, size_t n, void *arg)
{
    return size * n;
}

static void set_options(CURL *e, const struct tunnel_request *r)
{
    char url[320];
    bool v6 = strchr(r->host, ':') != NULL;
    snprintf(url, sizeof url, "http://%s%s%s:%u/", v6 ? "[" : "", r->host, v6 ? "]" : "", r->port);
    curl_easy_setopt(e, CURLOPT_URL, url);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(e, CURLOPT_HTTPPROXYTUNNEL, 1L);
    curl_easy_setopt(e, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(e, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)(r->timeout_ms > 0 ? r->timeout_ms : 1));
    curl_easy_setopt(e, CURLOPT_USERAGENT, "berth/" BERTH_VERSION);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, ignore);
    rest_set_proxy(e, r->proxy);
}

int tunnel_open(struct tunnel **out, struct curl_loop *loop, const struct tunnel_request *r, tunnel_cb cb,
                void *user)
{
    struct tunnel *t = calloc(1, sizeof *t);
    if (!t)
        return -ENOMEM;
    t->loop = loop;
    t->fd = CURL_SOCKET_BAD;
    t->auth = "none";
    t->cb = cb;
    t->user = user;
    t->with_login = r->proxy->user && r->proxy->user[0] != '\0';
    t->schemes =
        (struct rest_proxy){.user = t->with_login ? "x" : NULL, .guard_password = r->proxy->guard_password};
    t->job = (struct curl_job){.easy = rest_easy_new(), .done = on_done};
    int err = -ENOMEM;
    if (t->job.easy) {
        set_options(t->job.easy, r);
        rest_set_patience(t->job.easy, &t->patience);
        err = curl_loop_add(loop, &t->job);
    }
    if (err < 0) {
        tunnel_close(t);
        return err;
    }
    *out = t;
    return 0;
}

void tunnel_close(struct tunnel *t)
{
    if (!t)
        return;
    curl_loop_remove(t->loop, &t->job);
    struct sys_sigpipe held = sys_sigpipe_hold();
    curl_easy_cleanup(t->job.easy);
    sys_sigpipe_release(held);
    free(t);
}

int tunnel_fd(const struct tunnel *t)
{
    return (int)t->fd;
}

bool tunnel_refused(const struct tunnel *t)
{
    return t->refused;
}

const char *tunnel_auth(const struct tunnel *t)
{
    return t->auth;
}

ssize_t tunnel_read(struct tunnel *t, uint8_t *buf, size_t cap)
{
    size_t n = 0;
    CURLcode code = curl_easy_recv(t->job.easy, buf, cap, &n);
    if (code == CURLE_AGAIN)
        return -EAGAIN;
    return code == CURLE_OK ? (ssize_t)n : code == CURLE_GOT_NOTHING ? 0 : -ECONNRESET;
}

ssize_t tunnel_write(struct tunnel *t, const uint8_t *bytes, size_t len)
{
    size_t n = 0;
    struct sys_sigpipe held = sys_sigpipe_hold();
    CURLcode code = curl_easy_send(t->job.easy, bytes, len, &n);
    sys_sigpipe_release(held);
    if (code == CURLE_AGAIN)
        return -EAGAIN;
    return code == CURLE_OK ? (ssize_t)n : -EPIPE;
}
