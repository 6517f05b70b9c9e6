/* link: berth_agent_core */
/* Proxies as texts: URLs with and without credentials, no_proxy lists, PAC answers, and what goes before what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "probe/proxy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

static void urls(void **state)
{
    static const struct {
        const char *text, *url, *user, *password; /* url NULL: refused */
    } cases[] = {
        {"http://proxy.example:3128", "http://proxy.example:3128", "", ""},
        {"proxy.example:3128", "http://proxy.example:3128", "", ""},
        {"proxy", "http://proxy:80", "", ""},
        {"HTTPS://proxy/", "https://proxy:443", "", ""},
        {"http://10.0.0.1:8080/", "http://10.0.0.1:8080", "", ""},
        {"http://[2001:db8::1]:8080", "http://[2001:db8::1]:8080", "", ""},
        {"http://carol:secret@proxy:1", "http://proxy:1", "carol", "secret"},
        {"http://carol:@proxy:1", "http://proxy:1", "carol", ""},
        {"carol@proxy:1", "http://proxy:1", "carol", ""},
        {"http://lab%5Ccarol:a%40b%3Ac%2f@proxy:1", "http://proxy:1", "lab\\carol", "a@b:c/"},
        {"http://a@b:c@proxy:1", "http://proxy:1", "a@b", "c"},
        {"", NULL, "", ""},
        {"http://", NULL, "", ""},
        {"http://proxy:0", NULL, "", ""},
        {"http://proxy:65536", NULL, "", ""},
        {"http://proxy:x", NULL, "", ""},
        {"http://proxy/path", NULL, "", ""},
        {"http://proxy?q", NULL, "", ""},
        {"http://pro xy:1", NULL, "", ""},
        {"http://proxy\r\nX: y:1", NULL, "", ""},
        {"http://a%0d%0a:b@proxy:1", NULL, "", ""},
        {"http://a%2:b@proxy:1", NULL, "", ""},
        {"http://a%zz:b@proxy:1", NULL, "", ""},
        {"http://a%00:b@proxy:1", NULL, "", ""},
        {"http://a:b@:1", NULL, "", ""},
        {"ftp://proxy:1", NULL, "", ""},
    };
    for (size_t i = 0; i < N(cases); i++) {
        struct proxy_endpoint p = {.kind = PROXY_DIRECT};
        struct proxy_login login = {"", ""};
        char url[PROXY_URL_MAX + 1];
        int err = proxy_url_parse(&p, &login, cases[i].text);
        if (!cases[i].url) {
            assert_int_equal(err, -EINVAL);
            assert_int_equal(p.kind, PROXY_DIRECT);
        } else {
            assert_int_equal(err, 0);
            assert_string_equal(proxy_format(&p, url), cases[i].url);
        }
        assert_string_equal(login.user, cases[i].user);
        assert_string_equal(login.password, cases[i].password);
    }
    struct proxy_endpoint p;
    struct proxy_login login = {"", ""};
    assert_int_equal(proxy_url_parse(&p, &login, "socks5://proxy:1080"), -ENOTSUP);
    assert_int_equal(proxy_url_parse(&p, NULL, "http://a:b@proxy:1"), -EINVAL);
    assert_int_equal(proxy_url_parse(&p, NULL, "http://proxy:1"), 0);
}

static void long_texts_are_refused(void **state)
{
    char text[1024];
    struct proxy_endpoint p;
    struct proxy_login login = {"", ""};
    for (int len = 250; len < 260; len++) {
        snprintf(text, sizeof text, "http://%0*d@proxy:1", len, 0);
        assert_int_equal(proxy_url_parse(&p, &login, text), len <= PROXY_SECRET_MAX ? 0 : -EINVAL);
        snprintf(text, sizeof text, "http://u:%0*d@proxy:1", len, 0);
        assert_int_equal(proxy_url_parse(&p, &login, text), len <= PROXY_SECRET_MAX ? 0 : -EINVAL);
        snprintf(text, sizeof text, "http://%0*d:65535", len, 0);
        int err = proxy_url_parse(&p, &login, text);
        assert_int_equal(err, len <= HOST_MAX ? 0 : -EINVAL);
        if (err == 0)
            assert_true(strlen(proxy_format(&p, text)) <= PROXY_URL_MAX);
    }
}

static const struct {
    const char *list, *host;
    uint16_t port;
    bool direct;
} no_proxy_cases[] = {
    {NULL, "a.example", 443, false},
    {"", "a.example", 443, false},
    {",, ,", "a.example", 443, false},
    {"*", "a.example", 443, true},
    {"*", "10.0.0.1", 443, true},
    {"example", "a.example", 443, true},
    {"example", "example", 443, true},
    {"example", "notexample", 443, false},
    {".example", "example", 443, true},
    {".example", "a.b.example", 443, true},
    {"*.example", "a.example", 443, true},
    {"A.Example", "a.eXample", 443, true},
    {"a.example.", "a.example", 443, true},
    {"a.example", "a.example.", 443, true},
    {"b.example,a.example", "a.example", 443, true},
    {"b.example a.example", "a.example", 443, true},
    {"b.example;a.example", "a.example", 443, true},
    {"a.example:443", "a.example", 443, true},
    {"a.example:8443", "a.example", 443, false},
    {"a.example:", "a.example", 443, false},
    {"a.example:99999", "a.example", 443, false},
    {"10.0.0.1", "10.0.0.1", 443, true},
    {"10.0.0.1", "10.0.0.11", 443, false},
    {"10.0.0.1:443", "10.0.0.1", 443, true},
    {"10.0.0.1:444", "10.0.0.1", 443, false},
    {"10.0.0.0/8", "10.200.3.4", 443, true},
    {"10.0.0.0/8", "11.200.3.4", 443, false},
    {"10.0.0.0/31", "10.0.0.1", 443, true},
    {"10.0.0.0/32", "10.0.0.1", 443, false},
    {"0.0.0.0/0", "10.0.0.1", 443, true},
    {"10.0.0.0/33", "10.0.0.0", 443, false},
    {"10.0.0.0/", "10.0.0.0", 443, false},
    {"10.0.0.0/x", "10.0.0.0", 443, false},
    {"0.0.0.0/0", "::1", 443, false},
    {"0.0.0.0/0", "a.example", 443, false},
    {"fd00::/8", "fd12:3456::1", 443, true},
    {"fd00::/8", "fe80::1", 443, false},
    {"::1", "::1", 443, true},
    {"[::1]", "::1", 443, true},
    {"[::1]:443", "::1", 443, true},
    {"[::1]:444", "::1", 443, false},
    {"0.1", "10.0.0.1", 443, false}, /* a name's end, not an address's */
    {"<local>", "intranet", 443, true},
    {"<local>", "a.example", 443, false},
    {"<local>", "::1", 443, false},
    {".", "a.example", 443, false},
    {":443", "a.example", 443, false},
    {"/8", "10.0.0.1", 443, false},
};

static void no_proxy_lists(void **state)
{
    for (size_t i = 0; i < N(no_proxy_cases); i++) {
        if (no_proxy_match(no_proxy_cases[i].list, no_proxy_cases[i].host, no_proxy_cases[i].port) !=
            no_proxy_cases[i].direct)
            fail_msg("'%s' with %s:%u", no_proxy_cases[i].list ? no_proxy_cases[i].list : "(null)",
                     no_proxy_cases[i].host, no_proxy_cases[i].port);
    }
}

/* The list as text again: "http://a:1 direct". */
static const char *list_text(const struct proxy_list *l, const struct proxy_table *t, char *out, size_t cap)
{
    char url[PROXY_URL_MAX + 1];
    out[0] = '\0';
    for (size_t i = 0; i < l->n; i++) {
        size_t at = strlen(out);
        snprintf(out + at, cap - at, "%s%s", i > 0 ? " " : "", proxy_format(&t->at[l->at[i]], url));
    }
    return out;
}

static void pac_answers(void **state)
{
    static const struct {
        const char *answer, *list;
        bool has_proxy;
    } cases[] = {
        {"DIRECT", "direct", false},
        {"", "direct", false},
        {" ; ;", "direct", false},
        {"PROXY a:8080", "http://a:8080", true},
        {"proxy a:8080;direct", "http://a:8080 direct", true},
        {"PROXY a:1; HTTPS b:2; HTTP c; DIRECT;", "http://a:1 https://b:2 http://c:80 direct", true},
        {"DIRECT; PROXY a:1", "direct http://a:1", true},
        {"SOCKS a:1; PROXY b:2", "http://b:2", true},
        {"SOCKS a:1", "", false}, /* nothing that can be used is not the same as DIRECT */
        {"PROXY a:1; PROXY A:1; PROXY b:1", "http://a:1 http://b:1", true},
        {"PROXY\t a:1 \n;PROXY b:0;PROXY c:x;PROXY ;PROXYd:1", "http://a:1", true},
        {"PROXY [::1]:3128", "http://[::1]:3128", true},
        {"PROXY u:p@a:1; DIRECT", "direct", false},
        {"DIRECT now", "", false},
    };
    for (size_t i = 0; i < N(cases); i++) {
        struct proxy_table t = {.n = 0};
        struct proxy_list l = {.n = 3};
        char text[1024];
        proxy_list_from_pac(&l, &t, cases[i].answer);
        assert_string_equal(list_text(&l, &t, text, sizeof text), cases[i].list);
        assert_int_equal(proxy_list_has_proxy(&l, &t), cases[i].has_proxy);
    }
}

static void lists_and_the_table_are_bounded(void **state)
{
    struct proxy_table t = {.n = 0};
    for (size_t round = 0; round < 8; round++) {
        struct proxy_list l;
        char answer[1024] = "";
        for (size_t i = 0; i < 10; i++) {
            size_t at = strlen(answer);
            snprintf(answer + at, sizeof answer - at, "PROXY p%zu:1;", round * 10 + i);
        }
        proxy_list_from_pac(&l, &t, answer);
        size_t left = round < 4 ? PROXY_CANDIDATES_MAX : 0;
        assert_int_equal(l.n, left);
        for (size_t i = 0; i < l.n; i++)
            assert_true(l.at[i] < t.n);
    }
    assert_int_equal(t.n, PROXY_TABLE_MAX);
}

static void what_goes_before_what(void **state)
{
    char lower[] = "https_proxy=http://lower:1", upper[] = "HTTPS_PROXY=http://upper:1";
    char all[] = "all_proxy=http://all:1", empty[] = "https_proxy=", other[] = "https_proxyx=http://x:1";
    char no_lower[] = "no_proxy=a.example", no_upper[] = "NO_PROXY=b.example";
    char *everything[] = {other, no_upper, no_lower, all, upper, lower, NULL};
    char *some[] = {empty, all, no_upper, NULL};
    char *nothing[] = {other, NULL};
    const struct {
        struct proxy_inputs in;
        enum proxy_source source;
        const char *proxy, *no_proxy;
    } cases[] = {
        {{NULL, NULL, NULL, NULL}, PROXY_FROM_NOTHING, NULL, NULL},
        {{"", "", "", nothing}, PROXY_FROM_NOTHING, NULL, NULL},
        {{NULL, NULL, NULL, everything}, PROXY_FROM_ENVIRONMENT, "http://lower:1", "a.example"},
        {{NULL, NULL, NULL, some}, PROXY_FROM_ENVIRONMENT, "http://all:1", "b.example"},
        {{"http://o:1", "f.pac", "c.example", everything}, PROXY_FROM_OPTION, "http://o:1", "c.example"},
        {{NULL, "f.pac", NULL, everything}, PROXY_FROM_PAC, NULL, "a.example"},
        {{"none", "f.pac", NULL, everything}, PROXY_FROM_NOTHING, NULL, "a.example"},
        {{"auto", "f.pac", NULL, everything}, PROXY_FROM_WPAD, NULL, "a.example"},
    };
    for (size_t i = 0; i < N(cases); i++) {
        struct proxy_choice c;
        proxy_choose(&c, &cases[i].in);
        assert_int_equal(c.source, cases[i].source);
        assert_true(cases[i].proxy ? c.proxy && strcmp(c.proxy, cases[i].proxy) == 0 : !c.proxy);
        assert_true(cases[i].no_proxy ? c.no_proxy && strcmp(c.no_proxy, cases[i].no_proxy) == 0
                                      : !c.no_proxy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls),
        cmocka_unit_test(long_texts_are_refused),
        cmocka_unit_test(no_proxy_lists),
        cmocka_unit_test(pac_answers),
        cmocka_unit_test(lists_and_the_table_are_bounded),
        cmocka_unit_test(what_goes_before_what),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
