/* Refuses requests that another server in the way might cut differently (RFC 9112 3.2, 5.2, 6.1, 6.3). libh2o takes
 * the last of several and doesn't show them among the request's headers, so they are counted in its bytes.
 * Invariant: runs before every other handler of a host; the input begins with the request's head until the answer
 * has been sent. */
#include "serve/http.h"

#include <string.h>

enum { HTTP_1_1 = 0x101 };

struct head {
    unsigned hosts, lengths, codings;
    bool folded;
};

/* The next line without its end; false: there is no whole one. */
static bool next_line(const char **at, const char *end, h2o_iovec_t *line)
{
    const char *lf = memchr(*at, '\n', (size_t)(end - *at));
    if (!lf)
        return false;
    size_t len = (size_t)(lf - *at);
    *line = h2o_iovec_init(*at, len > 0 && lf[-1] == '\r' ? len - 1 : len);
    *at = lf + 1;
    return true;
}

static bool is_field(h2o_iovec_t line, const char *name, size_t len)
{
    return line.len > len && line.base[len] == ':' && h2o_lcstris(line.base, len, name, len);
}

static struct head read_head(const char *at, size_t len)
{
    struct head f = {0};
    const char *end = at + len;
    h2o_iovec_t line = {NULL, 0};
    if (next_line(&at, end, &line) && line.len == 0) /* one empty line may come before the request's */
        (void)next_line(&at, end, &line);
    while (next_line(&at, end, &line) && line.len > 0) {
        f.hosts += is_field(line, H2O_STRLIT("host"));
        f.lengths += is_field(line, H2O_STRLIT("content-length"));
        f.codings += is_field(line, H2O_STRLIT("transfer-encoding"));
        f.folded |= line.base[0] == ' ' || line.base[0] == '\t';
    }
    return f;
}

/* NULL: nothing is. */
static const char *what_is_wrong(const struct head *f, int version)
{
    if (f->hosts > 1 || (f->hosts == 0 && version >= HTTP_1_1))
        return "exactly one Host is wanted";
    if (f->lengths + f->codings > 1)
        return "more than one of Content-Length and Transfer-Encoding";
    if (f->codings > 0 && version < HTTP_1_1)
        return "HTTP/1.0 has no Transfer-Encoding";
    if (f->folded)
        return "header lines must not be folded";
    return NULL;
}

static int on_request(h2o_handler_t *handler, h2o_req_t *req)
{
    const h2o_socket_t *sock = req->conn->callbacks->get_socket(req->conn);
    const struct head f = read_head(sock->input->bytes, sock->input->size);
    const char *wrong = what_is_wrong(&f, req->version);
    (void)handler;
    if (!wrong)
        return -1;
    req->http1_is_persistent = 0; /* what follows may be anything */
    http_send_problem(req, 400, "bad_request", wrong);
    return 0;
}

static void check_first(h2o_pathconf_t *path)
{
    h2o_create_handler(path, sizeof(h2o_handler_t))->on_req = on_request;
    h2o_handler_t **all = path->handlers.entries, *mine = all[path->handlers.size - 1];
    memmove(all + 1, all, (path->handlers.size - 1) * sizeof(*all));
    all[0] = mine;
}

void http_check_framing(h2o_globalconf_t *conf)
{
    for (h2o_hostconf_t **host = conf->hosts; *host; host++) {
        for (size_t i = 0; i < (*host)->paths.size; i++)
            check_first(&(*host)->paths.entries[i]);
        check_first(&(*host)->fallback_path);
    }
}
