/* One REST call as a curl handle. Invariant: a token leaves this process only over verified TLS, or to loopback. */
#include "sys/rest.h"

#include "core/addr.h"
#include "sys/clock.h"
#include "sys/secret.h"

#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { CONNECT_TIMEOUT_MS = 10000, RETRY_AFTER_MAX_S = 86400, HEADER_LINE_MAX = 1024 };

static bool is_loopback_host(const char *host)
{
    struct addr ip;
    return strcasecmp(host, "localhost") == 0 || (addr_parse_ip(&ip, host) == 0 && addr_is_loopback(&ip));
}

static bool has_part(CURLU *u, CURLUPart part)
{
    char *text = NULL;
    bool has = curl_url_get(u, part, &text, 0) == CURLUE_OK;
    curl_free(text);
    return has;
}

/* Is this a URL that may be called; is its host this machine? */
static int check_base(CURLU *u, const char *base_url, bool *loopback)
{
    char *scheme = NULL, *host = NULL;
    int rc = -EINVAL;
    if (curl_url_set(u, CURLUPART_URL, base_url, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK)
        goto out;
    *loopback = is_loopback_host(host);
    bool scheme_ok = strcmp(scheme, "https") == 0 || (strcmp(scheme, "http") == 0 && *loopback);
    if (scheme_ok && !has_part(u, CURLUPART_USER) && !has_part(u, CURLUPART_PASSWORD) &&
        !has_part(u, CURLUPART_QUERY) && !has_part(u, CURLUPART_FRAGMENT))
        rc = 0;
out:
    curl_free(scheme);
    curl_free(host);
    return rc;
}

const char *rest_url_text(const char *url, char out[static REST_URL_TEXT])
{
    const char *at = strrchr(url, '@'), *authority = url + strspn(url, "HTPShtps");
    authority = strncmp(authority, "://", 3) == 0 ? authority + 3 : url;
    if (at == NULL)
        snprintf(out, REST_URL_TEXT, "%s", url);
    else /* a password may hold anything, also what ends an authority */
        snprintf(out, REST_URL_TEXT, "%.*s***%s", (int)(authority - url), url, at);
    return out;
}

/* base_url and path joined by exactly one slash; free() it. */
static int make_url(const struct rest_request *r, char **url, bool *loopback)
{
    CURLU *u = curl_url();
    if (u == NULL)
        return -ENOMEM;
    int rc = check_base(u, r->base_url, loopback);
    curl_url_cleanup(u);
    if (rc != 0)
        return rc;
    size_t base_len = strlen(r->base_url);
    while (base_len > 0 && r->base_url[base_len - 1] == '/')
        base_len--;
    if (asprintf(url, "%.*s%s", (int)base_len, r->base_url, r->path) < 0) {
        *url = NULL;
        return -ENOMEM;
    }
    return 0;
}

static bool is_header_value(const char *s)
{
    for (; *s != '\0'; s++) {
        if ((unsigned char)*s < 0x20 || *s == 0x7F)
            return false;
    }
    return true;
}

static int add_header(struct rest_call *c, const char *name, const char *value)
{
    char *line = NULL;
    if (!is_header_value(value))
        return -EINVAL;
    if (asprintf(&line, "%s%s", name, value) < 0)
        return -ENOMEM;
    struct curl_slist *grown = curl_slist_append(c->headers, line);
    secret_free(line);
    if (grown == NULL)
        return -ENOMEM;
    c->headers = grown;
    return 0;
}

static int add_headers(struct rest_call *c, const struct rest_request *r)
{
    int rc = add_header(c, "Accept: ",
                        r->stream != NULL ? "text/event-stream, application/problem+json"
                                          : "application/json, application/problem+json");
    if (rc == 0)
        rc = add_header(c, "Expect:", ""); /* no waiting for 100 Continue */
    if (rc == 0 && r->token != NULL)
        rc = add_header(c, "Authorization: Bearer ", r->token);
    if (rc == 0 && r->stream != NULL && r->stream->last_id[0] != '\0')
        rc = add_header(c, "Last-Event-ID: ", r->stream->last_id);
    if (rc == 0 && r->etag != NULL)
        rc = add_header(c, "If-None-Match: ", r->etag);
    if (rc == 0)
        rc = add_header(c, "Content-Type:", r->body != NULL ? " application/json" : "");
    return rc;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    struct rest_call *c = arg;
    size_t len = size * n;
    if (c->stream.data != NULL && rest_call_status(c) == 200)
        return c->stream.data(c->stream.user, data, len) ? len : 0;
    if (len > REST_BODY_MAX - c->body_len)
        return 0; /* the transfer fails with CURLE_WRITE_ERROR */
    if (c->body_len + len + 1 > c->body_cap) {
        size_t cap = c->body_cap == 0 ? 4096 : c->body_cap;
        while (cap < c->body_len + len + 1)
            cap *= 2;
        char *grown = realloc(c->body, cap);
        if (grown == NULL)
            return 0;
        c->body = grown;
        c->body_cap = cap;
    }
    memcpy(c->body + c->body_len, data, len);
    c->body_len += len;
    c->body[c->body_len] = '\0';
    return len;
}

/* Seconds, or an HTTP date. */
static int64_t parse_retry_after(const char *value)
{
    char *end;
    errno = 0;
    long long s = strtoll(value, &end, 10);
    if (end == value || *end != '\0' || errno != 0) {
        time_t date = curl_getdate(value, NULL);
        if (date < 0)
            return -1;
        s = (long long)date - clock_wall_us() / 1000000;
    }
    return s < 0 ? 0 : s > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : s;
}

/* The header's value in `line` when its name is this one, else NULL. */
static const char *header_value(const char *line, const char *name)
{
    size_t len = strlen(name);
    if (strncasecmp(line, name, len) != 0 || line[len] != ':')
        return NULL;
    return line + len + 1 + strspn(line + len + 1, " \t");
}

static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
    struct rest_call *c = arg;
    size_t len = size * n, keep = len;
    char line[HEADER_LINE_MAX] = "";
    while (keep > 0 && strchr(" \t\r\n", data[keep - 1]) != NULL)
        keep--;
    if (keep >= sizeof(line))
        return len; /* none of ours is so long */
    memcpy(line, data, keep);
    line[keep] = '\0';
    const char *value;
    if (strncmp(line, "HTTP/", 5) == 0) { /* an answer begins: forget what an interim one or a proxy said */
        c->etag[0] = '\0';
        c->retry_after_s = -1;
    } else if ((value = header_value(line, "ETag")) != NULL && strlen(value) < sizeof(c->etag)) {
        strcpy(c->etag, value);
    } else if ((value = header_value(line, "Retry-After")) != NULL) {
        c->retry_after_s = parse_retry_after(value);
    }
    return len;
}

static bool has_login(const struct rest_proxy *p)
{
    return p->user != NULL && p->user[0] != '\0';
}

/* What may be answered to a proxy that asks who we are. */
static unsigned long proxy_schemes(const struct rest_proxy *p)
{
    if (!has_login(p))
        return CURLAUTH_NEGOTIATE | CURLAUTH_ONLY; /* ONLY: not before it asks */
    return CURLAUTH_DIGEST | CURLAUTH_NTLM | (p->guard_password ? 0 : CURLAUTH_BASIC);
}

void rest_set_proxy(CURL *easy, const struct rest_proxy *p)
{
    curl_easy_setopt(easy, CURLOPT_NOPROXY, ""); /* not the environment's list either */
    curl_easy_setopt(easy, CURLOPT_PROXY, p != NULL ? p->url : "");
    if (p == NULL)
        return;
    curl_easy_setopt(easy, CURLOPT_PROXYAUTH, (long)proxy_schemes(p));
    curl_easy_setopt(easy, CURLOPT_PROXYUSERNAME, has_login(p) ? p->user : "");
    curl_easy_setopt(easy, CURLOPT_PROXYPASSWORD, has_login(p) && p->password != NULL ? p->password : "");
    curl_easy_setopt(easy, CURLOPT_PROXY_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (p->ca_file != NULL)
        curl_easy_setopt(easy, CURLOPT_PROXY_CAINFO,
                         p->ca_file); /* CURLOPT_PROXY_CAPATH stays the system's */
}

static int on_progress(void *arg, curl_off_t download_size, curl_off_t downloaded, curl_off_t upload_size,
                       curl_off_t uploaded)
{
    struct rest_patience *p = arg;
    if (downloaded == 0 && uploaded == 0 && ++p->steps > REST_PROXY_ANSWER_MAX)
        p->exceeded = true;
    return p->exceeded || (p->stop != NULL && p->stop(p->user)) ? 1 : 0;
}

void rest_set_patience(CURL *easy, struct rest_patience *p)
{
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(easy, CURLOPT_XFERINFODATA, p);
}

const char *rest_proxy_auth(CURL *easy, const struct rest_proxy *p)
{
    static const struct {
        unsigned long bit;
        const char *name;
    } order[] = {/* in which curl chooses */
                 {CURLAUTH_NEGOTIATE, "negotiate"},
                 {CURLAUTH_DIGEST, "digest"},
                 {CURLAUTH_NTLM, "ntlm"},
                 {CURLAUTH_BASIC, "basic"}};
    long offered = 0;
    curl_easy_getinfo(easy, CURLINFO_PROXYAUTH_AVAIL, &offered);
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        if (((unsigned long)offered & proxy_schemes(p) & order[i].bit) != 0)
            return order[i].name;
    }
    return "none";
}

static void set_transfer(struct rest_call *c, const struct rest_request *r, const char *url, bool loopback)
{
    CURL *e = c->easy;
    long timeout = r->timeout_ms > 0 ? (long)r->timeout_ms : 1;
    curl_easy_setopt(e, CURLOPT_URL, url);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, loopback ? "http,https" : "https");
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, r->stream != NULL ? 0L : timeout);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS,
                     timeout < CONNECT_TIMEOUT_MS ? timeout : CONNECT_TIMEOUT_MS);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(e, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)(r->stream != NULL ? 0 : REST_BODY_MAX));
    curl_easy_setopt(e, CURLOPT_USERAGENT, "berth/" BERTH_VERSION);
    if (r->ca_file != NULL) {
        curl_easy_setopt(e, CURLOPT_CAINFO, r->ca_file);
        curl_easy_setopt(e, CURLOPT_CAPATH, NULL); /* this file alone */
    }
    bool clear = strncasecmp(url, "http:", 5) == 0;
    rest_set_proxy(e, clear ? NULL : r->proxy);
}

static void set_callbacks(struct rest_call *c)
{
    curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, c->headers);
    curl_easy_setopt(c->easy, CURLOPT_ERRORBUFFER, c->error);
    curl_easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c->easy, CURLOPT_WRITEDATA, c);
    curl_easy_setopt(c->easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c->easy, CURLOPT_HEADERDATA, c);
    rest_set_patience(c->easy, &c->patience);
}

static void set_method(struct rest_call *c, const struct rest_request *r)
{
    bool post = strcmp(r->method, "POST") == 0;
    if (post || r->body != NULL) {
        const char *body = c->request_body != NULL ? c->request_body : "";
        curl_easy_setopt(c->easy, CURLOPT_POST, 1L);
        curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
        curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, body);
    }
    if (!post)
        curl_easy_setopt(c->easy, CURLOPT_CUSTOMREQUEST, r->method);
}

CURL *rest_easy_new(void)
{
    CURL *e = curl_easy_init();
    if (e != NULL) {
        curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(e, CURLOPT_QUICK_EXIT,
                         1L); /* else it waits for getaddrinfo, which may take half a minute */
    }
    return e;
}

int rest_call_init(struct rest_call *c, const struct rest_request *r)
{
    char *url = NULL;
    bool loopback = false;
    *c = (struct rest_call){.retry_after_s = -1, .patience = {.stop = r->stop, .user = r->stop_user}};
    if (r->stream != NULL)
        c->stream = *r->stream;
    int rc = make_url(r, &url, &loopback);
    if (rc == 0)
        rc = add_headers(c, r);
    if (rc != 0)
        goto out;
    rc = -ENOMEM;
    c->easy = rest_easy_new();
    if (c->easy == NULL)
        goto out;
    if (r->body != NULL && (c->request_body = strdup(r->body)) == NULL)
        goto out;
    set_transfer(c, r, url, loopback);
    set_callbacks(c);
    set_method(c, r);
    rc = 0;
out:
    free(url);
    if (rc != 0)
        rest_call_clear(c);
    return rc;
}

long rest_call_status(const struct rest_call *c)
{
    long status = 0;
    if (c->easy != NULL)
        curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

const char *rest_call_error(const struct rest_call *c, CURLcode code)
{
    if (code == CURLE_OK)
        return "";
    if (c->patience.exceeded)
        return "the proxy's answer to CONNECT is too long";
    return c->error[0] != '\0' ? c->error : curl_easy_strerror(code);
}

int64_t rest_call_date(const struct rest_call *c)
{
    struct curl_header *h;
    if (curl_easy_header(c->easy, "date", 0, CURLH_HEADER, -1, &h) != CURLHE_OK)
        return -1;
    return (int64_t)curl_getdate(h->value, NULL);
}

void rest_call_clear(struct rest_call *c)
{
    curl_easy_cleanup(c->easy);
    for (struct curl_slist *h = c->headers; h != NULL; h = h->next)
        sodium_memzero(h->data, strlen(h->data)); /* one is the token */
    curl_slist_free_all(c->headers);
    free(c->request_body);
    free(c->body);
    *c = (struct rest_call){.retry_after_s = -1};
}
