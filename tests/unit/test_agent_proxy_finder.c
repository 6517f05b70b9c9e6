/* link: berth_agent_core */
/* Proxies of destinations: from options at once, from real PAC scripts in their process, and what becomes of scripts
 * that are none. */
#include "check.h"

#include "agent/pac.h"
#include "agent/proxy_finder.h"
#include "sys/clock.h"

#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char script[] =
    "function FindProxyForURL(url, host) {\n"
    "  if (isPlainHostName(host) || dnsDomainIs(host, '.inside.example')) return 'DIRECT';\n"
    "  if (isInNet(host, '10.0.0.0', '255.0.0.0')) return 'PROXY ten.example:8080; DIRECT';\n"
    "  if (url == 'https://special.example:8443/') return 'HTTPS special:443';\n"
    "  if (host == 'socks.example') return 'SOCKS s:1';\n"
    "  if (host == 'bad.example') return nothing.such;\n"
    "  return 'PROXY a.example:3128; PROXY b.example:3128';\n"
    "}\n";

static char *write_script(const char *text, size_t len)
{
    char path[] = "/tmp/berth-pac-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), (ssize_t)len);
    close(fd);
    return strdup(path);
}

static struct proxy_destination to(const char *host, uint16_t port)
{
    return (struct proxy_destination){.host = host, .port = port};
}

static void on_done(void *user)
{
    *(bool *)user = true;
}

/* Asks, and waits until the answer is there. */
static void ask(struct proxy_finder *f, struct sys_poller *p, const struct proxy_destination *d, size_t n)
{
    bool done = false;
    int64_t until = clock_mono_us() + 20 * 1000000;
    int rc = proxy_finder_ask(f, d, n, on_done, &done);
    assert_true(rc >= 0);
    while (rc == 0 && !done) {
        assert_true(clock_mono_us() < until);
        sys_wait(sys_poller_fd(p), 100000);
        assert_int_equal(sys_poller_dispatch(p), 0);
    }
}

static const char *text_of(const struct proxy_finder *f, size_t i, char *out, size_t cap)
{
    const struct proxy_list *l = &proxy_finder_lists(f)[i];
    char url[PROXY_URL_MAX + 1];
    out[0] = '\0';
    for (size_t k = 0; k < l->n; k++) {
        size_t at = strlen(out);
        snprintf(out + at, cap - at, "%s%s", k > 0 ? " " : "",
                 proxy_format(&proxy_finder_table(f)->at[l->at[k]], url));
    }
    return out;
}

static void options_answer_at_once(void **state)
{
    struct sys_poller *p;
    struct proxy_finder *f;
    char text[512];
    assert_int_equal(sys_poller_new(&p), 0);
    struct proxy_finder_options o = {
        .proxy = "http://u:p@proxy:3128", .no_proxy = "inside.example,10.0.0.0/8", .user = "x"};
    assert_int_equal(proxy_finder_new(&f, p, &o), 0);
    struct proxy_destination d[] = {to("n.example", 443), to("n.inside.example", 443), to("m.example", 443)};
    assert_int_equal(addr_parse_ip(&d[2].ip, "10.1.2.3"), 0);
    assert_int_equal(proxy_finder_ask(f, d, 3, on_done, NULL), 1);
    assert_string_equal(text_of(f, 0, text, sizeof text), "http://proxy:3128");
    assert_string_equal(text_of(f, 1, text, sizeof text), "");
    assert_string_equal(text_of(f, 2, text, sizeof text), "");            /* by its address */
    assert_string_equal(proxy_finder_identity(f, NULL).login->user, "u"); /* the URL's own */
    assert_string_equal(proxy_finder_identity(f, NULL).login->password, "p");
    assert_false(proxy_finder_identity(f, NULL).guard_password);
    assert_false(proxy_finder_try_network(f));
    proxy_finder_destroy(f);
    static const struct {
        const char *proxy;
        int err;
    } bad[] = {{"socks5://x:1", -ENOTSUP}, {"http://", -EINVAL}, {"ftp://x", -EINVAL}};
    for (size_t i = 0; i < 3; i++) {
        struct proxy_finder_options b = {.proxy = bad[i].proxy};
        assert_int_equal(proxy_finder_new(&f, p, &b), bad[i].err);
    }
    sys_poller_destroy(p);
}

static void a_script_decides_for_each_destination(void **state)
{
    skip_under_valgrind(); /* which knows no pidfd_open, so that no script runs */
    struct sys_poller *p;
    struct proxy_finder *f;
    char *path = write_script(script, sizeof script - 1), text[512];
    assert_int_equal(sys_poller_new(&p), 0);
    struct proxy_finder_options o = {.pac = path, .no_proxy = "except.example"};
    assert_int_equal(proxy_finder_new(&f, p, &o), 0);
    struct proxy_destination d[] = {to("x.example", 443),        to("plain", 443),
                                    to("n.inside.example", 443), to("10.9.9.9", 443),
                                    to("special.example", 8443), to("special.example", 443),
                                    to("socks.example", 443),    to("bad.example", 443),
                                    to("except.example", 443),   to("evil');alert('", 443)};
    static const char *const want[] = {"http://a.example:3128 http://b.example:3128",
                                       "direct",
                                       "direct",
                                       "http://ten.example:8080 direct",
                                       "https://special:443",
                                       "http://a.example:3128 http://b.example:3128",
                                       "",
                                       "direct",
                                       "",
                                       "direct"};
    for (int again = 0; again < 3; again++) {
        ask(f, p, d, sizeof d / sizeof d[0]);
        for (size_t i = 0; i < sizeof d / sizeof d[0]; i++)
            assert_string_equal(text_of(f, i, text, sizeof text), want[i]);
        if (again == 0)
            unlink(path); /* it is remembered */
    }
    proxy_finder_forget(f);
    ask(f, p, d, 1);
    assert_string_equal(text_of(f, 0, text, sizeof text), ""); /* until the network is another */
    /* A question that nobody waits for any more. */
    bool done = false;
    assert_int_equal(proxy_finder_ask(f, d, 1, on_done, &done), 0);
    proxy_finder_give_up(f);
    assert_int_equal(sys_poller_dispatch(p), 0);
    assert_false(done);
    assert_string_equal(proxy_finder_problem(f), "it gave no answer in time");
    ask(f, p, d, 1); /* a thread of its own again: nothing says that the script does not end */
    assert_string_equal(proxy_finder_problem(f), "the PAC script can't be loaded");
    proxy_finder_destroy(f);
    sys_poller_destroy(p);
    free(path);
}

static void what_is_loaded_is_a_script_and_bounded(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        int err;
    } cases[] = {
        {"", 0, -EINVAL},
        {"<html>Please log in</html>", 26, -EINVAL},
        {"function FindProxyForURL(u,h){}\0", 32, -EINVAL},
        {"function FindProxyForURL(u,h){}", 31, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *path = write_script(cases[i].text, cases[i].len), *loaded = NULL;
        assert_int_equal(pac_load(&loaded, path), cases[i].err);
        assert_true((loaded != NULL) == (cases[i].err == 0));
        free(loaded);
        unlink(path);
        free(path);
    }
    char *big = malloc(PAC_SCRIPT_MAX + 1), *loaded = NULL;
    memset(big, ' ', PAC_SCRIPT_MAX + 1);
    char *path = write_script(big, PAC_SCRIPT_MAX + 1);
    assert_int_equal(pac_load(&loaded, path), -EFBIG);
    unlink(path);
    free(path);
    free(big);
    assert_int_equal(pac_load(&loaded, "/no/such/file"), -ENOENT);
    assert_int_equal(pac_load(&loaded, "http://127.0.0.1:1/proxy.pac"), -EIO);
}

static void note(void *user, size_t index, const char *text)
{
    size_t at = strlen(user);
    snprintf((char *)user + at, 256 - at, "%zu:%.20s ", index, text);
}

/* What the hosts "a", "b" and "c" are told. */
static int run(const char *text, char told[static 256])
{
    _Atomic int64_t began = 0;
    const struct pac_way way = {.stop_fd = -1};
    const struct pac_question q[] = {{"a", 443, note, told}, {"b", 443, note, told}, {"c", 443, note, told}};
    told[0] = '\0';
    int err = pac_run(text, q, 3, &way, &began);
    assert_true(began != 0);
    return err;
}

static char *nested(const char *before, char open, char close, const char *after)
{
    enum { DEPTH = 20000 };
    char *text = calloc(1, strlen(before) + strlen(after) + 2 * DEPTH + 2);
    char *at = stpcpy(text, before);
    memset(at, open, DEPTH);
    at[DEPTH] = '1';
    memset(at + DEPTH + 1, close, DEPTH);
    strcpy(at + 2 * DEPTH + 1, after);
    return text;
}

/* Each ends a process, and not this one. */
static void scripts_that_do_not_run(void **state)
{
    skip_under_valgrind(); /* which knows no pidfd_open, so that no script runs */
    static const struct {
        const char *text, *told;
        int err;
    } cases[] = {
        {"function FindProxyForURL(", "", -EINVAL},
        {"function f() { return f(); } function FindProxyForURL(u, h) { return h == 'b' ? f() : 'PROXY p:1'; "
         "}",
         "0:PROXY p:1 1: 2:PROXY p:1 ", -EDOM},
        {"function FindProxyForURL(u, h) { return h == 'b' ? nothing.such : 'DIRECT'; }",
         "0:DIRECT 1: 2:DIRECT ", -EDOM},
        {"function FindProxyForURL(u, h) { var s = 'x'; while (h == 'b' && s.length < 2049) s += 'x'; return "
         "s; }",
         "0:x 1: 2:x ", -EMSGSIZE},
        {"function FindProxyForURL(u, h) { while (h == 'c'); return 'DIRECT'; }", "0:DIRECT 1:DIRECT ",
         -ECHILD},
        {"function FindProxyForURL(u, h) { var r = '('; while (h == 'b' && r.length < 1e6) r += r; "
         "if (h == 'b') new RegExp(r); return 'DIRECT'; }",
         NULL, 0},
        {"function FindProxyForURL(u, h) { var a = []; while (h == 'b') a.push(new Array(1e6).join('x') + "
         "a.length); "
         "return 'DIRECT'; }",
         NULL, 0},
    };
    char told[256];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int err = run(cases[i].text, told);
        if (cases[i].told) {
            assert_int_equal(err, cases[i].err);
            assert_string_equal(told, cases[i].told);
        } else {
            assert_true(err == -ECHILD || err == -EDOM); /* ended, or refused by the engine */
            assert_int_equal(strncmp(told, "0:DIRECT ", 9), 0);
        }
    }
    char *deep = nested("function FindProxyForURL(u, h) { return ", '(', ')', "; }");
    assert_true(run(deep, told) < 0);
    free(deep);
    deep = nested("function FindProxyForURL(u, h) { return ", '[', ']', ".toString(); }");
    assert_true(run(deep, told) < 0);
    free(deep);
}

/* An embedder that reaps whatever ends, or has no standard descriptors, or no helper. */
static void the_process_is_nobodys_concern(void **state)
{
    skip_under_valgrind(); /* which knows no pidfd_open, so that no script runs */
    static const char good[] = "function FindProxyForURL(u, h) { return 'PROXY ' + h + ':1'; }";
    char told[256];
    struct sigaction reap = {.sa_handler = SIG_IGN}, before;
    assert_int_equal(sigaction(SIGCHLD, &reap, &before), 0);
    assert_int_equal(run(good, told), 0);
    assert_string_equal(told, "0:PROXY a:1 1:PROXY b:1 2:PROXY c:1 ");
    assert_int_equal(run("function FindProxyForURL(u, h) { while (true); }", told), -ECHILD);
    assert_int_equal(sigaction(SIGCHLD, &before, NULL), 0);
    int in = dup(0), out = dup(1);
    close(0);
    close(1);
    int err = run(good, told);
    dup2(in, 0);
    dup2(out, 1);
    close(in);
    close(out);
    assert_int_equal(err, 0);
    assert_string_equal(told, "0:PROXY a:1 1:PROXY b:1 2:PROXY c:1 ");
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* none is left */
    _Atomic int64_t began = 0;
    const struct pac_way nowhere = {.helper = "/no/such/helper", .stop_fd = -1}, liar = {"/bin/yes", -1};
    const struct pac_question q = {"a", 443, note, told};
    assert_int_equal(pac_run(good, &q, 1, &nowhere, &began), -ENOEXEC);
    assert_true(pac_run(good, &q, 1, &liar, &began) < 0);
}

static void a_script_is_ended_when_nobody_wants_its_answer(void **state)
{
    skip_under_valgrind(); /* which knows no pidfd_open, so that no script runs */
    char told[256] = "";
    _Atomic int64_t began = 0;
    const struct pac_way way = {.stop_fd = sys_wakeup_open()};
    const struct pac_question q = {"a", 443, note, told};
    sys_wakeup_signal(way.stop_fd);
    assert_int_equal(pac_run("function FindProxyForURL(u, h) { while (true); }", &q, 1, &way, &began),
                     -ECANCELED);
    sys_close(way.stop_fd);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void the_network_is_asked_only_where_it_may(void **state)
{
    struct sys_poller *p;
    struct proxy_finder *f;
    assert_int_equal(sys_poller_new(&p), 0);
    struct proxy_finder_options nothing = {.pac = NULL}, none = {.proxy = "none"},
                                automatic = {.proxy = "auto"};
    assert_int_equal(proxy_finder_new(&f, p, &nothing), 0);
    struct proxy_destination d = to("x.example", 443);
    assert_int_equal(proxy_finder_ask(f, &d, 1, on_done, NULL), 1);
    assert_true(proxy_finder_try_network(f));
    assert_false(proxy_finder_try_network(f)); /* once */
    assert_true(proxy_finder_identity(f, NULL).guard_password);
    proxy_finder_forget(f);
    assert_int_equal(proxy_finder_ask(f, &d, 1, on_done, NULL), 1);
    proxy_finder_destroy(f);
    assert_int_equal(proxy_finder_new(&f, p, &none), 0);
    assert_false(proxy_finder_try_network(f));
    proxy_finder_destroy(f);
    assert_int_equal(proxy_finder_new(&f, p, &automatic), 0);
    assert_true(proxy_finder_identity(f, NULL).guard_password);
    assert_false(proxy_finder_try_network(f));
    proxy_finder_destroy(f);
    sys_poller_destroy(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_answer_at_once),
        cmocka_unit_test(a_script_decides_for_each_destination),
        cmocka_unit_test(what_is_loaded_is_a_script_and_bounded),
        cmocka_unit_test(scripts_that_do_not_run),
        cmocka_unit_test(the_process_is_nobodys_concern),
        cmocka_unit_test(a_script_is_ended_when_nobody_wants_its_answer),
        cmocka_unit_test(the_network_is_asked_only_where_it_may),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
