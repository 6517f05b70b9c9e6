/* Proxy URLs, PAC answers and no_proxy lists (the input's first line is the host): what is accepted is written out,
 * read again, and is the same; nothing of a login shows. */
#include "../../common/probe/proxy.c"
#include "fuzz.h"

static void check_endpoint(const struct proxy_endpoint *p)
{
    char url[PROXY_URL_MAX + 1];
    struct proxy_endpoint again;
    if (p->kind == PROXY_DIRECT)
        return;
    FUZZ_CHECK(p->port != 0 && p->host[0] != '\0' && strlen(p->host) <= HOST_MAX);
    proxy_format(p, url);
    FUZZ_CHECK(strchr(url, '@') == NULL);
    FUZZ_CHECK(strlen(p->host) > 230 || (proxy_url_parse(&again, NULL, url) == 0 && proxy_eq(p, &again)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    struct proxy_endpoint p;
    struct proxy_login login;
    struct proxy_table t = {.n = 0};
    struct proxy_list l;
    if (proxy_url_parse(&p, &login, text) == 0)
        check_endpoint(&p);
    proxy_list_from_pac(&l, &t, text);
    FUZZ_CHECK(l.n <= PROXY_CANDIDATES_MAX && t.n <= PROXY_TABLE_MAX);
    for (size_t i = 0; i < l.n; i++)
        check_endpoint(&t.at[l.at[i]]);
    char *list = strchr(text, '\n');
    if (list) {
        *list++ = '\0';
        bool direct = no_proxy_match(list, text, 443);
        FUZZ_CHECK(!direct || list[0] != '\0');
    }
    free(text);
    return 0;
}
