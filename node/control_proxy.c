/* Option, then environment. Invariant: credentials stand in `user` and `password` alone. */
#include "control_proxy.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <strings.h>

static const char *variable(char *const *environment, const char *name)
{
    size_t len = strlen(name);
    for (; environment && *environment; environment++) {
        if (strncmp(*environment, name, len) == 0 && (*environment)[len] == '=' &&
            (*environment)[len + 1] != '\0')
            return *environment + len + 1;
    }
    return NULL;
}

static const char *first_variable(char *const *environment, const char *const *names)
{
    const char *value = NULL;
    for (; *names && !value; names++)
        value = variable(environment, *names);
    return value;
}

static int copy(char *out, size_t cap, const char *text)
{
    size_t len = strlen(text);
    if (len >= cap)
        return -EINVAL;
    memcpy(out, text, len + 1);
    return 0;
}

/* Moves a part of the URL out of it. Absent: "". */
static int take_part(CURLU *u, CURLUPart part, char *out, size_t cap)
{
    char *text = NULL;
    int rc = 0;
    if (curl_url_get(u, part, &text, CURLU_URLDECODE) == CURLUE_OK) {
        rc = copy(out, cap, text);
        sodium_memzero(text, strlen(text));
    }
    curl_free(text);
    return curl_url_set(u, part, NULL, 0) == CURLUE_OK ? rc : -EINVAL;
}

static int parse(struct control_proxy *p, const char *text)
{
    CURLU *u = curl_url();
    char *url = NULL, *path = NULL;
    int rc = u ? -EINVAL : -ENOMEM;
    const char *whole = text;
    char with_scheme[CONTROL_PROXY_URL + 2 * CONTROL_PROXY_LOGIN];
    if (!strstr(text, "://")) { /* as the environment often has it */
        if (strlen(text) + sizeof("http://") > sizeof(with_scheme))
            goto out;
        memcpy(with_scheme, "http://", sizeof("http://"));
        memcpy(with_scheme + strlen(with_scheme), text, strlen(text) + 1);
        whole = with_scheme;
    }
    if (!u || (strncasecmp(whole, "http://", 7) != 0 && strncasecmp(whole, "https://", 8) != 0) ||
        curl_url_set(u, CURLUPART_URL, whole, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_PATH, &path, 0) != CURLUE_OK || strcmp(path, "/") != 0)
        goto out;
    rc = take_part(u, CURLUPART_USER, p->user, sizeof(p->user));
    if (rc == 0)
        rc = take_part(u, CURLUPART_PASSWORD, p->password, sizeof(p->password));
    if (rc == 0)
        rc = curl_url_get(u, CURLUPART_URL, &url, CURLU_DEFAULT_PORT) == CURLUE_OK
                 ? copy(p->url, sizeof(p->url), url)
                 : -EINVAL;
out:
    curl_free(path);
    curl_free(url);
    curl_url_cleanup(u);
    sodium_memzero(with_scheme, sizeof(with_scheme));
    if (rc != 0)
        sodium_memzero(p, sizeof(*p));
    return rc;
}

int control_proxy_choose(struct control_proxy *p, const struct control_proxy_inputs *in)
{
    static const char *const proxies[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", NULL};
    static const char *const exceptions[] = {"no_proxy", "NO_PROXY", NULL};
    const char *except = in->no_proxy ? in->no_proxy : first_variable(in->environment, exceptions);
    const char *named = first_variable(in->environment, proxies);
    struct control_proxy made = {0};
    *p = made;
    if (in->proxy && strcmp(in->proxy, "none") == 0)
        return 0;
    int rc = in->proxy ? parse(&made, in->proxy) : named ? parse(&made, named) : -ENOENT;
    if (rc != 0)
        return in->proxy ? rc : 0;
    rc = copy(made.except, sizeof(made.except), except ? except : "");
    if (rc == 0)
        *p = made;
    sodium_memzero(&made, sizeof(made));
    return rc == 0 || !in->no_proxy ? 0 : rc;
}

const struct rest_proxy *control_proxy_rest(const struct control_proxy *p, struct rest_proxy *r)
{
    *r = (struct rest_proxy){.url = p->url, .user = p->user, .password = p->password, .except = p->except};
    return p->url[0] != '\0' ? r : NULL;
}
