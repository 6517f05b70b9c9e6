/* One REST call to a controller as a libcurl easy handle: made here so that the agent's multi handle and the node's control
 * thread set the same limits, verification and headers. HTTPS, or HTTP to loopback only. */
#ifndef BERTH_SYS_REST_H
#define BERTH_SYS_REST_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REST_BODY_MAX = 16 * 1024 * 1024, REST_PROXY_ANSWER_MAX = 64 * 1024 };

/* An HTTP proxy on the way. */
struct rest_proxy {
    const char *url;             /* "http://host:port" or "https://host:port", without credentials */
    const char *user, *password; /* NULL or "": none; then Kerberos where the proxy asks for Negotiate */
    bool guard_password;         /* never send it as Basic: nobody vouches for this proxy */
    const char *ca_file;         /* of an HTTPS proxy: trusted beside the system's store; NULL: none */
};

/* Patience with a proxy: libcurl reads its answers to CONNECT byte by byte, and as long as bytes come it neither
 * returns nor looks at its own time limits. */
struct rest_patience {
    size_t steps; /* bytes of answers to CONNECT, and a few others */
    bool exceeded;
    bool (*stop)(void *user); /* NULL, or asked now and then: is the transfer to be broken off? */
    void *user;
};

/* For an answer without end: server-sent events. */
struct rest_stream {
    const char *last_id; /* Last-Event-ID; "": none */
    /* Bytes of a 200's body, as they come; false ends the call. Other answers' bodies are kept as ever. */
    bool (*data)(void *user, const char *bytes, size_t len);
    void *user;
};

struct rest_request {
    const char *method;               /* "GET", "POST", "DELETE" */
    const char *base_url;             /* "https://host:port" */
    const char *path;                 /* "/v1/nodes" */
    const char *token;                /* bearer, or NULL */
    const char *ca_file;              /* NULL: the system's store */
    const char *body;                 /* JSON, or NULL; copied */
    const char *etag;                 /* If-None-Match, or NULL */
    int64_t timeout_ms;               /* whole call; of a stream, until it is connected */
    const struct rest_stream *stream; /* or NULL */
    const struct rest_proxy *proxy;   /* NULL: directly. HTTP to loopback never goes through one */
    bool (*stop)(void *user);         /* see rest_patience */
    void *stop_user;
};

/* Owns the handle, headers, body and answer. Stays where it is until rest_call_clear: the handle points into it. */
struct rest_call {
    CURL *easy;
    struct curl_slist *headers;
    char *request_body;
    char *body; /* answer, NUL-terminated; NULL where empty */
    size_t body_len, body_cap;
    struct rest_stream stream; /* data NULL: none */
    char etag[128];
    int64_t retry_after_s; /* -1: no such header */
    struct rest_patience patience;
    char error[CURL_ERROR_SIZE];
};

/* A handle that ends at once, with a lookup of a name under way as well (its thread goes on alone), and raises no
 * signal. NULL: no memory. */
CURL *rest_easy_new(void) __attribute__((warn_unused_result));

/* The call is ready for curl_easy_perform or curl_multi_add_handle. 0, -ENOMEM, or -EINVAL: not a URL that may be
 * called (HTTPS, or HTTP to loopback; no user, query or fragment), or a token or etag with control characters. *c is
 * then empty, and may be cleared. */
int rest_call_init(struct rest_call *c, const struct rest_request *r) __attribute__((warn_unused_result));
/* The URL as it may be shown: without user and password, whether it is one or not, and cut. */
enum { REST_URL_TEXT = 256 };
const char *rest_url_text(const char *url, char out[static REST_URL_TEXT]);
/* Sends what `easy` does through the proxy (NULL: directly), whatever the environment says. Texts are copied. */
void rest_set_proxy(CURL *easy, const struct rest_proxy *proxy);
/* Breaks off (CURLE_ABORTED_BY_CALLBACK) when proxies have said more than REST_PROXY_ANSWER_MAX before the
 * destination said anything. *p stays where it is as long as `easy`. */
void rest_set_patience(CURL *easy, struct rest_patience *p);
/* The authentication that a proxy was satisfied with: "basic", "digest", "ntlm", "negotiate", or "none". Static. */
const char *rest_proxy_auth(CURL *easy, const struct rest_proxy *proxy);
/* The HTTP status after the transfer, or 0. */
long rest_call_status(const struct rest_call *c);
/* Why the transfer ended so: "" where it did not fail. The call's, or static. */
const char *rest_call_error(const struct rest_call *c, CURLcode code);
/* Unix time by the server's clock as it answered, to the second; -1: it doesn't say. */
int64_t rest_call_date(const struct rest_call *c);
void rest_call_clear(struct rest_call *c);

#endif
