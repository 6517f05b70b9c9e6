/* link: berth_agent_core */
/* Where a network says that its PAC script is: lease files of three DHCP clients, resolv.conf, names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "agent/wpad.h"

#include <string.h>

#define N(a) (sizeof(a) / sizeof((a)[0]))

static void leases(void **state)
{
    static const struct {
        const char *text, *url;
    } cases[] = {
        {"", NULL},
        /* dhclient, with the option named in its configuration, or not */
        {"lease {\n  interface \"eth0\";\n  option wpad \"http://wpad.example/wpad.dat\";\n}\n",
         "http://wpad.example/wpad.dat"},
        {"lease {\n  option wpad \"http://old/p\";\n}\nlease {\n  option wpad \"http://new/p\";\n}\n",
         "http://new/p"},
        {"  option unknown-252 68:74:74:70:3a:2f:2f:61:2f:62:a;\n", "http://a/b"},
        {"  option option-252 \"https://a/b\";\n", "https://a/b"},
        /* systemd-networkd */
        {"# This is private data. Do not parse.\nADDRESS=192.0.2.7\nOPTION_252=687474703a2f2f612f62\n",
         "http://a/b"},
        {"OPTION_252=687474703a2f2f612f6200\n", "http://a/b"}, /* ended by NUL, as some servers do */
        /* NetworkManager */
        {"ip_address=192.0.2.7\nwpad=http://a/b\nprivate_252=http://c/d\n", "http://c/d"},
        {"WPAD=http://a/b", "http://a/b"},
        /* what is none */
        {"OPTION_252=6874\n", NULL},
        {"OPTION_252=xyz\n", NULL},
        {"OPTION_252=687474703a2f2f610a2f62\n", NULL}, /* a line break inside */
        {"OPTION_252=\n", NULL},
        {"option wpad \"ftp://a/b\";\n", NULL},
        {"option wpad \"file:///etc/passwd\";\n", NULL},
        {"option wpad \"http://a b\";\n", NULL},
        {"option domain-name \"wpad.example\";\n", NULL},
    };
    for (size_t i = 0; i < N(cases); i++) {
        char url[WPAD_URL_MAX] = "untouched";
        assert_int_equal(wpad_from_lease(cases[i].text, url), cases[i].url != NULL);
        assert_string_equal(url, cases[i].url ? cases[i].url : "untouched");
    }
}

static void a_url_that_is_too_long_is_none(void **state)
{
    char text[2 * WPAD_URL_MAX], url[WPAD_URL_MAX];
    for (size_t len = WPAD_URL_MAX - 3; len < WPAD_URL_MAX + 3; len++) {
        memset(text, 'a', sizeof text);
        memcpy(text, "WPAD=http://", 12);
        text[5 + len] = '\0';
        assert_int_equal(wpad_from_lease(text, url), len < WPAD_URL_MAX);
    }
}

static void domains(void **state)
{
    static const struct {
        const char *conf, *domain;
    } cases[] = {
        {"nameserver 192.0.2.1\nsearch corp.example other.example\n", "corp.example"},
        {"domain corp.example\n", "corp.example"},
        {"domain a.example\nsearch b.example\n", "b.example"},
        {"search\tcorp.example", "corp.example"},
        {"# search corp.example\nsearching x\n", NULL},
        {"search \n", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < N(cases); i++) {
        char domain[WPAD_DOMAIN_MAX + 1] = "";
        assert_int_equal(wpad_domain(cases[i].conf, domain), cases[i].domain != NULL);
        if (cases[i].domain)
            assert_string_equal(domain, cases[i].domain);
    }
}

static void names_to_ask(void **state)
{
    char url[WPAD_URL_MAX];
    assert_true(wpad_url_of_domain("corp.example", url));
    assert_string_equal(url, "http://wpad.corp.example/wpad.dat");
    assert_true(wpad_url_of_domain("corp.example.", url));
    assert_string_equal(url, "http://wpad.corp.example/wpad.dat");
    static const char *const refused[] = {"",    ".",   ".example", "local", "LOCAL",      "localdomain",
                                          "a b", "a/b", "a@b",      "a:1",   "ex\xc3\xa4", "a\r\nb"};
    for (size_t i = 0; i < N(refused); i++)
        assert_false(wpad_url_of_domain(refused[i], url));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leases),
        cmocka_unit_test(a_url_that_is_too_long_is_none),
        cmocka_unit_test(domains),
        cmocka_unit_test(names_to_ask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
