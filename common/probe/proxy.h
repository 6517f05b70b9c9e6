/* Which HTTP proxies lead to a destination: URLs, no_proxy lists, the answers of PAC scripts, and what goes before what. Pure.
 * A proxy is written without its credentials everywhere: those stand in struct proxy_login alone. */
#ifndef BERTH_PROBE_PROXY_H
#define BERTH_PROBE_PROXY_H

#include "core/addr.h"
#include "core/doc.h"

enum {
    PROXY_CANDIDATES_MAX = 8, /* for one destination */
    PROXY_TABLE_MAX = 32,     /* different proxies in all */
    PROXY_SECRET_MAX = 255,   /* user, password */
};

enum proxy_kind { PROXY_DIRECT, PROXY_HTTP, PROXY_HTTPS };

struct proxy_endpoint {
    enum proxy_kind kind;
    uint16_t port;
    char host[HOST_MAX + 1]; /* IPv6 without brackets */
};

/* Both "" where none is known. Whoever holds one wipes it. */
struct proxy_login {
    char user[PROXY_SECRET_MAX + 1], password[PROXY_SECRET_MAX + 1];
};

/* Reads [http://|https://][user[:password]@]host[:port][/]; percent-encoding is for user and password. The port is 80 or 443 where
 * there is none. *login (NULL: refuse any) is written only where the URL has a user. 0, -EINVAL, or -ENOTSUP: a
 * kind of proxy that can't be used (SOCKS). */
int proxy_url_parse(struct proxy_endpoint *p, struct proxy_login *login, const char *text)
    __attribute__((warn_unused_result));
/* "http://host:port"; of PROXY_DIRECT "direct". */
const char *proxy_format(const struct proxy_endpoint *p, char out[static PROXY_URL_MAX + 1]);
const char *proxy_scheme_name(enum proxy_kind kind); /* "http", "https", "direct" */
bool proxy_eq(const struct proxy_endpoint *a, const struct proxy_endpoint *b);

/* Does the list (commas or spaces between) say that host:port is reached directly? Entries: "*"; a domain with or
 * without a dot before it, which stands for itself and all below it; an IP; a prefix (10.0.0.0/8, fd00::/8);
 * "<local>" (names without a dot); names and IPs may be followed by :port. NULL list: no. */
bool no_proxy_match(const char *list, const char *host, uint16_t port);

/* All proxies that are known, each once, and a destination's: places in the table, in the order in which to try them. */
struct proxy_table {
    size_t n;
    struct proxy_endpoint at[PROXY_TABLE_MAX];
};
struct proxy_list {
    size_t n;
    uint8_t at[PROXY_CANDIDATES_MAX];
};
/* Appends unless it is there already. False: no room. */
bool proxy_list_add(struct proxy_list *l, struct proxy_table *t, const struct proxy_endpoint *p);
/* Reads "PROXY a:8080; HTTPS b:443; SOCKS c; DIRECT". What can't be used is left out; an empty answer means DIRECT. */
void proxy_list_from_pac(struct proxy_list *l, struct proxy_table *t, const char *answer);
/* Is any of them more than "directly"? */
bool proxy_list_has_proxy(const struct proxy_list *l, const struct proxy_table *t);

/* What was asked for, and where. NULL and "" are the same: nothing. */
struct proxy_inputs {
    const char *proxy, *pac, *no_proxy; /* options; `proxy` may be "none" or "auto" as well */
    char *const *environment;           /* "name=value", NULL at its end; NULL: none is asked */
};
enum proxy_source {
    PROXY_FROM_NOTHING,
    PROXY_FROM_OPTION,
    PROXY_FROM_ENVIRONMENT,
    PROXY_FROM_PAC,
    PROXY_FROM_WPAD /* "auto" */
};
/* The option goes before the PAC option, that before the environment (https_proxy, HTTPS_PROXY, all_proxy, ALL_PROXY). no_proxy
 * comes from the option, else from no_proxy or NO_PROXY in the environment. The texts are borrowed from the inputs. */
struct proxy_choice {
    enum proxy_source source;
    const char *proxy;    /* PROXY_FROM_OPTION, PROXY_FROM_ENVIRONMENT: its URL */
    const char *pac;      /* PROXY_FROM_PAC */
    const char *no_proxy; /* NULL: none */
};
void proxy_choose(struct proxy_choice *out, const struct proxy_inputs *in);

#endif
