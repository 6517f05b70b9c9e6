/* link: berth_sys test_support */
#include "sys/config.h"

#include "support/certs.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct options {
    const char *name, *config, *token;
    int64_t lifetime;
    bool drain, help;
    struct config_list listen, label;
};

#define AT(member) offsetof(struct options, member)
static const struct config_key keys[] = {
    {"name", "node", CONFIG_STRING, AT(name), "default-name", 0, 0, "NAME", "What it is called.", false},
    {"report-lifetime", "limits", CONFIG_INT, AT(lifetime), "7200", 60, 86400, "S",
     "How long a report lives, which is a sentence so long that it has to be wrapped somewhere.", false},
    {"drain", "node", CONFIG_BOOL, AT(drain), NULL, 0, 0, NULL, "Take no more.", false},
    {"listen", "node", CONFIG_LIST, AT(listen), "127.0.0.1:1, [::1]:1", 0, 0, "ADDR:PORT", "Where to listen.",
     false},
    {"label", "node", CONFIG_LIST, AT(label), NULL, 0, 0, "K=V", "A label.", true},
    {"token", "node", CONFIG_STRING, AT(token), NULL, 0, 0, "TOKEN", "A secret.", false},
    {"config", NULL, CONFIG_STRING, AT(config), NULL, 0, 0, "FILE", "Read this file first.", false},
    {"help", NULL, CONFIG_BOOL, AT(help), NULL, 0, 0, NULL, "Show this.", true},
};
enum { N_KEYS = sizeof(keys) / sizeof(keys[0]), ARGS_MAX = CONFIG_LIST_MAX + 16 };

struct loaded {
    struct config *c;
    struct options o;
    struct config_list words;
    struct config_error e;
    int rc;
};

/* Arguments are separated by '|'. */
static struct loaded load(const char *args, const char *const *env)
{
    struct loaded l = {0};
    char text[4096];
    char *argv[ARGS_MAX] = {text}, *save = NULL, *environment[8] = {0};
    int argc = 1;
    snprintf(text, sizeof(text), "prog|%s", args);
    strtok_r(text, "|", &save);
    for (char *word; (word = strtok_r(NULL, "|", &save)) != NULL;)
        argv[argc++] = word;
    for (size_t i = 0; env != NULL && env[i] != NULL; i++)
        environment[i] = strdup(env[i]);
    struct config_source src = {.keys = keys,
                                .n_keys = N_KEYS,
                                .argc = argc,
                                .argv = argv,
                                .environ_ = environment,
                                .positional_max = 2};
    l.rc = config_load(&l.c, &src, &l.o, &l.words, &l.e);
    for (size_t i = 0; i < 8; i++)
        free(environment[i]);
    return l;
}

static void defaults_apply(void **state)
{
    struct loaded l = load("", NULL);
    assert_int_equal(l.rc, 0);
    assert_string_equal(l.o.name, "default-name");
    assert_int_equal(l.o.lifetime, 7200);
    assert_false(l.o.drain);
    assert_int_equal(l.o.listen.n, 2);
    assert_string_equal(l.o.listen.v[1], "[::1]:1");
    assert_null(l.o.token);
    config_destroy(l.c);
}

static void flags_in_all_their_forms(void **state)
{
    struct loaded l = load(
        "--name=a b|--report-lifetime|90|word|--drain|--listen|[::]:5|--listen=1.2.3.4:6,x|--token|-dash|"
        "--|--other",
        NULL);
    assert_int_equal(l.rc, 0);
    assert_string_equal(l.o.name, "a b");
    assert_int_equal(l.o.lifetime, 90);
    assert_true(l.o.drain);
    assert_int_equal(l.o.listen.n, 2);
    assert_string_equal(l.o.listen.v[0], "[::]:5");
    assert_string_equal(l.o.listen.v[1], "1.2.3.4:6,x"); /* a flag's value is one item */
    assert_string_equal(l.o.token, "-dash");
    assert_int_equal(l.words.n, 2);
    assert_string_equal(l.words.v[0], "word");
    assert_string_equal(l.words.v[1], "--other");
    config_destroy(l.c);

    l = load("--drain|--no-drain|-h", NULL);
    assert_int_equal(l.rc, 0);
    assert_false(l.o.drain);
    assert_true(l.o.help);
    config_destroy(l.c);
}

static void wrong_flags_are_named(void **state)
{
    static const struct {
        const char *args, *error;
    } cases[] = {
        {"--nmae=x", "unknown option --nmae, did you mean '--name'?"},
        {"--report-lifetme|60", "unknown option --report-lifetme, did you mean '--report-lifetime'?"},
        {"--zzz", "unknown option --zzz"},
        {"-z", "unknown option -z"},
        {"--no-name", "unknown option --no-name"},
        {"--name", "--name needs a value: NAME"},
        {"--name|--drain", "--name needs a value: NAME"},
        {"--report-lifetime=59", "--report-lifetime: 59 is not within 60 to 86400"},
        {"--report-lifetime=99999999999999999999",
         "--report-lifetime: 99999999999999999999 is not within 60 to 86400"},
        {"--report-lifetime=7200s", "--report-lifetime: '7200s' is not a whole number"},
        {"--report-lifetime=", "--report-lifetime: '' is not a whole number"},
        {"--drain=maybe", "--drain: 'maybe' is neither true nor false"},
        {"a|b|c", "unexpected argument 'c'"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct loaded l = load(cases[i].args, NULL);
        assert_int_equal(l.rc, -EINVAL);
        assert_string_equal(l.e.text, cases[i].error);
        assert_null(l.c);
    }
}

static void a_list_is_bounded(void **state)
{
    char args[CONFIG_LIST_MAX * 12 + 32] = "";
    for (int i = 0; i < CONFIG_LIST_MAX; i++)
        strcat(args, "--label=a|");
    struct loaded l = load(args, NULL);
    assert_int_equal(l.rc, 0);
    assert_int_equal(l.o.label.n, CONFIG_LIST_MAX);
    config_destroy(l.c);
    strcat(args, "--label=a");
    l = load(args, NULL);
    assert_int_equal(l.rc, -EINVAL);
    assert_string_equal(l.e.text, "--label: more than 256 values");
}

struct fixture {
    char dir[TEST_PATH_MAX], path[TEST_PATH_MAX], arg[TEST_PATH_MAX + 16];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    test_dir_make(f->dir);
    test_path(f->path, f->dir, "b.conf");
    snprintf(f->arg, sizeof(f->arg), "--config=%s", f->path);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    test_dir_remove(f->dir);
    free(f);
    return 0;
}

static void later_sources_override(void **state)
{
    const struct fixture *f = *state;
    test_file_write(
        f->path,
        "# comment\n[node]\nname = from file\n  listen = 10.0.0.1:1, 10.0.0.2:2\nlisten = 10.0.0.3:3\n"
        "[limits]\nreport-lifetime = 100 ; a remark\n");
    const char *env[] = {"BERTH_NAME=from env", "BERTH_LABEL=never", "BERTH_UNHEARD_OF=1",
                         "BERTH_TOKEN=",        "BERTH_DRAIN=yes",   NULL};
    struct loaded l = load(f->arg, NULL);
    assert_int_equal(l.rc, 0);
    assert_string_equal(l.o.name, "from file");
    assert_int_equal(l.o.lifetime, 100);
    assert_int_equal(l.o.listen.n, 3);
    assert_string_equal(l.o.listen.v[1], "10.0.0.2:2");
    assert_string_equal(l.o.listen.v[2], "10.0.0.3:3");
    config_destroy(l.c);

    char args[TEST_PATH_MAX + 80];
    snprintf(args, sizeof(args), "%s|--listen=[::1]:9|--no-drain", f->arg);
    l = load(args, env);
    assert_int_equal(l.rc, 0);
    assert_string_equal(l.o.name, "from env");
    assert_int_equal(l.o.label.n, 0); /* not a key of the environment */
    assert_null(l.o.token);           /* an empty variable counts as none */
    assert_int_equal(l.o.listen.n, 1);
    assert_string_equal(l.o.listen.v[0], "[::1]:9");
    assert_false(l.o.drain);
    config_destroy(l.c);
}

static void the_environment_names_the_file(void **state)
{
    const struct fixture *f = *state;
    char variable[TEST_PATH_MAX + 20];
    snprintf(variable, sizeof(variable), "BERTH_CONFIG=%s", f->path);
    const char *env[] = {variable, "BERTH_LISTEN=a:1,, b:2 ,", NULL};
    test_file_write(f->path, "[node]\nname=n\n");
    struct loaded l = load("", env);
    assert_int_equal(l.rc, 0);
    assert_string_equal(l.o.name, "n");
    assert_int_equal(l.o.listen.n, 2);
    assert_string_equal(l.o.listen.v[1], "b:2");
    config_destroy(l.c);
    const char *bad[] = {"BERTH_REPORT_LIFETIME=soon", NULL};
    l = load("", bad);
    assert_int_equal(l.rc, -EINVAL);
    assert_string_equal(l.e.text, "BERTH_REPORT_LIFETIME: 'soon' is not a whole number");
}

static void errors_in_the_file_name_the_line(void **state)
{
    const struct fixture *f = *state;
    static const struct {
        const char *text, *error; /* after the file's name */
    } cases[] = {
        {"[node]\n\nnam = x\n", ":3: unknown key 'nam' in [node], did you mean 'name'?"},
        {"[node]\nhelp = true\n", ":2: unknown key 'help' in [node]"},
        {"name = x\n", ":1: 'name' belongs in [node], not in []"},
        {"[nodes]\nname = x\n", ":2: 'name' belongs in [node], not in [nodes]"},
        {"[node]\nname = a\nname = b\n", ":3: 'name' is set on line 2 already"},
        {"[limits]\nreport-lifetime = 1\n", ":2: 'report-lifetime': 1 is not within 60 to 86400"},
        {"[node]\nname = x\njust words\n", ":3: neither [section] nor key = value"},
        {"[node\nname = x\n", ":1: neither [section] nor key = value"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char expected[TEST_PATH_MAX + 128];
        test_file_write(f->path, cases[i].text);
        snprintf(expected, sizeof(expected), "%s%s", f->path, cases[i].error);
        struct loaded l = load(f->arg, NULL);
        assert_int_equal(l.rc, -EINVAL);
        assert_string_equal(l.e.text, expected);
    }
    unlink(f->path);
    struct loaded l = load(f->arg, NULL);
    assert_int_equal(l.rc, -EINVAL);
    assert_non_null(strstr(l.e.text, "No such file or directory"));
    l = load("--config=/", NULL);
    assert_int_equal(l.rc, -EINVAL);
    assert_string_equal(l.e.text, "/: Is a directory");
    l = load("--config=/dev/zero", NULL); /* which has no end */
    assert_int_equal(l.rc, -EINVAL);
    assert_string_equal(l.e.text, "/dev/zero: it is no regular file");
}

static void long_lines_in_the_file(void **state)
{
    const struct fixture *f = *state;
    static char text[10000];
    memset(text, 'x', sizeof(text) - 1);
    memcpy(text, "[node]\nname = ", 14);
    text[4000] = '\0';
    test_file_write(f->path, text);
    struct loaded l = load(f->arg, NULL);
    assert_int_equal(l.rc, 0);
    assert_int_equal(strlen(l.o.name), 4000 - 14);
    config_destroy(l.c);
    text[4000] = 'x';
    test_file_write(f->path, text);
    l = load(f->arg, NULL);
    assert_int_equal(l.rc, -EINVAL);
    assert_non_null(strstr(l.e.text, ":2: the line is too long"));
}

static void help_fits_the_terminal(void **state)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    assert_non_null(f);
    config_print_help(f, keys, N_KEYS);
    fclose(f);
    for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1)
        assert_in_range(strcspn(line, "\n"), 1, 80);
    for (size_t i = 0; i < N_KEYS; i++)
        assert_non_null(strstr(text, keys[i].name));
    assert_non_null(strstr(text, "[7200; 60 to 86400]"));
    assert_non_null(strstr(text, "  --listen ADDR:PORT ..."));
    free(text);
}

/* The sample, with its comments on keys taken away, is a file that loads. */
static void the_sample_loads(void **state)
{
    const struct fixture *f = *state;
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    config_print_sample(out, keys, N_KEYS);
    fclose(out);
    assert_null(strstr(text, "help"));
    for (char *p = text; (p = strstr(p, "\n#")) != NULL; p += 2) {
        if (p[2] != ' ' && p[2] != '\n')
            p[1] = ' ';
    }
    test_file_write(f->path, text);
    free(text);
    struct loaded l = load(f->arg, NULL);
    assert_string_equal(l.e.text, "");
    assert_int_equal(l.rc, 0);
    assert_string_equal(l.o.name, "default-name");
    assert_int_equal(l.o.lifetime, 7200);
    assert_int_equal(l.o.listen.n, 2);
    config_destroy(l.c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_apply),
        cmocka_unit_test(flags_in_all_their_forms),
        cmocka_unit_test(wrong_flags_are_named),
        cmocka_unit_test(a_list_is_bounded),
        cmocka_unit_test_setup_teardown(later_sources_override, setup, teardown),
        cmocka_unit_test_setup_teardown(the_environment_names_the_file, setup, teardown),
        cmocka_unit_test_setup_teardown(errors_in_the_file_name_the_line, setup, teardown),
        cmocka_unit_test_setup_teardown(long_lines_in_the_file, setup, teardown),
        cmocka_unit_test(help_fits_the_terminal),
        cmocka_unit_test_setup_teardown(the_sample_loads, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
