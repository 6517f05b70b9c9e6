/* link: berth_cli */
#include "agent/cli/call.h"
#include "agent/cli/cli.h"
#include "agent/cli/commands.h"
#include "agent/cli/node_spec.h"
#include "agent/cli/result_table.h"
#include "agent/cli/who.h"
#include "core/token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ARGS_MAX = 32 };

/* A command line, loaded, with what was printed. */
struct line {
    struct cli c;
    struct config *config;
    enum cli_exit code;
    char text[1024];
    char *argv[ARGS_MAX];
    int argc;
    char *out, *err;
    size_t out_len, err_len;
};

/* Arguments are separated by spaces. */
static struct line *line_new(const char *args, char **env)
{
    struct line *l = calloc(1, sizeof(*l));
    char *save = NULL;
    size_t words;
    int at[2];
    assert_non_null(l);
    snprintf(l->text, sizeof(l->text), "berth %s", args);
    for (char *w = strtok_r(l->text, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
        l->argv[l->argc++] = w;
    l->c = (struct cli){.out = open_memstream(&l->out, &l->out_len),
                        .err = open_memstream(&l->err, &l->err_len),
                        .signal_fd = -1};
    l->c.command = cli_find_command(l->argc, l->argv, &words, at);
    l->code = l->c.command != NULL ? cli_load(&l->c, &l->config, l->argc, l->argv, env) : CLI_USAGE;
    fflush(l->c.err);
    return l;
}

static void line_free(struct line *l)
{
    config_destroy(l->config);
    fclose(l->c.out);
    fclose(l->c.err);
    free(l->out);
    free(l->err);
    free(l);
}

static void commands_are_found_among_options(void **state)
{
    static const struct {
        const char *args, *command; /* NULL: none */
    } cases[] = {
        {"probe", "probe"},
        {"--json probe", "probe"},
        {"--controller probe probe", "probe"},
        {"--controller=x probe --report", "probe"},
        {"node list", "node list"},
        {"--token t node --json list", "node list"},
        {"node drain list", "node drain"},
        {"help node drain", "help"},
        {"node", NULL},
        {"prob", NULL},
        {"", NULL},
        {"-- probe", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct line *l = line_new(cases[i].args, NULL);
        if (cases[i].command == NULL)
            assert_null(l->c.command);
        else
            assert_string_equal(l->c.command->name, cases[i].command);
        line_free(l);
    }
}

static void options_come_from_flags_and_environment(void **state)
{
    char *env[] = {
        (char[]){"BERTH_CONTROLLER=https://env"}, (char[]){"BERTH_TOKEN=env"},  (char[]){"BERTH_AGENT=me"},
        (char[]){"BERTH_ADMIN_TOKEN=admin"},      (char[]){"BERTH_NODE=never"}, NULL};
    struct line *l = line_new("--token=flag probe --require udp --require tcp --json", env);
    assert_int_equal(l->code, CLI_OK);
    assert_string_equal(l->c.o.controller, "https://env");
    assert_string_equal(l->c.o.token, "flag");
    assert_string_equal(l->c.o.agent, "me");
    assert_true(l->c.o.json);
    assert_true(l->c.token_given);
    assert_int_equal(l->c.o.require.n, 2);
    assert_int_equal(l->c.o.node.n, 0);
    line_free(l);
}

/* Before anything is asked of anybody, but not where nobody is asked. */
static void a_wrong_ca_is_told_by_its_name(void **state)
{
    char *env[] = {(char[]){"BERTH_CA=/no/such.pem"}, (char[]){"BERTH_TOKEN=t"}, NULL};
    static const char *const refused[] = {"probe --node h", "firewall --node h",
                                          "node list --controller https://h"};
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct line *l = line_new(refused[i], env);
        assert_int_equal(l->code, CLI_USAGE);
        assert_non_null(strstr(l->err, "/no/such.pem: No such file"));
        line_free(l);
    }
    struct line *l = line_new("key token --agent a", env);
    assert_int_equal(l->code, CLI_OK);
    assert_string_equal(l->c.o.ca, "/no/such.pem");
    line_free(l);
}

/* "{"sub":"bob"}" and the like in base64url. */
static void a_jwt_names_its_agent(void **state)
{
    static const struct {
        const char *token, *agent; /* NULL: it names none */
    } cases[] = {
        {"x.eyJzdWIiOiJib2IifQ.y", "bob"},
        {"x.eyJzdWIiOiJib2IifQ", NULL},
        {"x.eyJzdWIiOiJib2IifQ.y.z", NULL},
        {"x.eyJzdWIiOjF9.y", NULL},
        {"x.eyJzdWIiOiJhIGIifQ.y", NULL},
        {"a.b.c", NULL},
        {"..", NULL},
        {"", NULL},
        {NULL, NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char agent[AGENT_ID_MAX + 1] = "";
        assert_int_equal(who_of_token(cases[i].token, agent), cases[i].agent != NULL);
        assert_string_equal(agent, cases[i].agent != NULL ? cases[i].agent : "");
    }
    char big[2 * JWT_MAX];
    char agent[AGENT_ID_MAX + 1];
    memset(big, 'A', sizeof(big));
    big[1] = big[sizeof(big) - 3] = '.';
    big[sizeof(big) - 1] = '\0';
    assert_false(who_of_token(big, agent));
}

static void an_agent_is_the_option_the_token_or_the_host(void **state)
{
    char named[AGENT_ID_MAX + 1];
    struct cli c = {.o = {.token = "x.eyJzdWIiOiJib2IifQ.y"}, .host = "here"};
    assert_string_equal(who_is(&c, named), "bob");
    assert_int_equal(who_check(&c), CLI_OK);
    c.o.agent = "bob";
    assert_int_equal(who_check(&c), CLI_OK);
    c.o.agent = "ann";
    assert_string_equal(who_is(&c, named), "ann");
    char *text = NULL;
    size_t len;
    c.err = open_memstream(&text, &len);
    assert_int_equal(who_check(&c), CLI_USAGE);
    fclose(c.err);
    assert_non_null(strstr(text, "bob"));
    assert_non_null(strstr(text, "ann"));
    free(text);
    c.o = (struct cli_options){.token = "key.secret"};
    assert_string_equal(who_is(&c, named), "here");
}

static void sentences_are_wrapped_at_words(void **state)
{
    static const struct {
        const char *text, *printed;
        size_t width;
    } cases[] = {
        {"one two three", "one two\nthree\n", 7},
        {"one two three", "one two\nthree\n", 8},
        {"one two three", "one\ntwo\nthree\n", 6},
        {"  a  longerword b", "a\nlongerword\nb\n", 4},
        {"Gr\u00fc\u00dfe dir", "Gr\u00fc\u00dfe dir\n", 9},
        {"", "", 10},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *text = NULL;
        size_t len;
        struct cli c = {.out = open_memstream(&text, &len), .width = cases[i].width};
        cli_say_wrapped(&c, cases[i].text);
        fclose(c.out);
        assert_string_equal(text, cases[i].printed);
        free(text);
    }
}

/* The admin key goes with calls that are the operator's, but what is said on the command line is meant. */
static void tokens_are_chosen_by_call(void **state)
{
    char *env[] = {(char[]){"BERTH_CONTROLLER=https://env"}, (char[]){"BERTH_TOKEN=own"},
                   (char[]){"BERTH_ADMIN_TOKEN=admin"}, NULL};
    struct line *l = line_new("node list", env);
    assert_string_equal(call_token_text(&l->c, CALL_TOKEN_ADMIN), "admin");
    assert_string_equal(call_token_text(&l->c, CALL_TOKEN_OWN), "own");
    line_free(l);
    l = line_new("node list --token flag", env);
    assert_string_equal(call_token_text(&l->c, CALL_TOKEN_ADMIN), "flag");
    line_free(l);
    l = line_new("node list --token flag --admin-token x", NULL);
    assert_int_equal(l->code, CLI_USAGE); /* no controller */
    line_free(l);
}

static void mistakes_are_usage_errors(void **state)
{
    static const struct {
        const char *args, *says;
    } cases[] = {
        {"probe --reprot", "did you mean '--report'?"},
        {"probe extra", "unexpected argument 'extra'"},
        {"node drain --controller https://x --token t", "NODE is missing"},
        {"node list", "--controller URL"},
        {"node list --controller https://x", "--token TOKEN"},
        {"key token --ttl 0", "--ttl: 0 is not within 1 to 86400"},
        {"org list --report", "unknown option --report"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct line *l = line_new(cases[i].args, NULL);
        assert_int_equal(l->code, CLI_USAGE);
        assert_non_null(strstr(l->err, cases[i].says));
        line_free(l);
    }
}

static void commands_refuse_before_they_call(void **state)
{
    static const struct {
        const char *args, *says;
    } cases[] = {
        {"probe", "--node HOST"},
        {"probe --controller https://x", "no token"},
        {"probe --node 127.0.0.1 --require sctp", "not 'sctp'"},
        {"probe --node 127.0.0.1 --report", "can't go with --node"},
        {"probe --node 127.0.0.1:80", "ports are given as ,udp=PORT"},
        {"probe --controller ftp://x --token t", "it takes https://host"},
        {"probe --controller http://10.0.0.1 --token t", "http:// to this machine"},
        {"org list --controller http://10.0.0.1 --token t", "http:// to this machine"},
        {"key create --controller https://x --token t --kind user", "not 'user'"},
        {"meeting create --controller https://x --token t --transport sctp", "not 'sctp'"},
        {"meeting join m --controller https://x --token t --capability sctp", "not 'sctp'"},
        {"meeting show .. --controller https://x --token t", "'..' is no id"},
        {"key token --agent a", "must be an organisation's key"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct line *l = line_new(cases[i].args, NULL);
        assert_int_equal(l->code, CLI_OK);
        assert_int_equal(l->c.command->run(&l->c), CLI_USAGE);
        fflush(l->c.err);
        assert_non_null(strstr(l->err, cases[i].says));
        line_free(l);
    }
}

static void tokens_are_minted_offline(void **state)
{
    struct master_keys mk = {.n = 1, .key = {{1, 2, 3}}};
    struct key_id id;
    char key[API_KEY_MAX + 1], args[256];
    static const uint8_t random[12] = {1, 2, 3, 4};
    key_id_make(&id, "oabc", KEY_ORG, random);
    api_key_make(&id, mk.key[0], key);
    snprintf(args, sizeof(args), "key token --token %s --agent laptop --grants probe --ttl 60 --json", key);
    struct line *l = line_new(args, NULL);
    assert_int_equal(l->code, CLI_OK);
    assert_int_equal(l->c.command->run(&l->c), CLI_OK);
    fflush(l->c.out);
    json_t *j = json_loads(l->out, 0, NULL);
    const char *token = json_string_value(json_object_get(j, "token"));
    assert_non_null(token);
    struct jwt_claims claims;
    assert_int_equal(jwt_verify(token, strlen(token), &mk, 1000000000, &claims), JWT_EXP_TOO_FAR);
    int64_t now_s = (int64_t)time(NULL);
    assert_int_equal(jwt_verify(token, strlen(token), &mk, now_s, &claims), JWT_OK);
    assert_string_equal(claims.sub, "laptop");
    assert_int_equal(claims.grants, GRANT_PROBE);
    assert_true(claims.exp_s > now_s + 50 && claims.exp_s <= now_s + 60);
    json_decref(j);
    line_free(l);

    snprintf(args, sizeof(args), "key token --token %s", key);
    l = line_new(args, NULL);
    assert_int_equal(l->c.command->run(&l->c), CLI_USAGE); /* for whom? */
    line_free(l);
    snprintf(args, sizeof(args), "key token --token %s --agent a --grants probe,fly", key);
    l = line_new(args, NULL);
    assert_int_equal(l->c.command->run(&l->c), CLI_USAGE);
    line_free(l);
}

static void nodes_are_parsed(void **state)
{
    struct node_spec s;
    char err[NODE_SPEC_ERROR];
    assert_int_equal(node_spec_parse(&s, "media.example,udp=3478,udp=5004,tls=443", err), 0);
    assert_string_equal(s.node.host, "media.example");
    assert_int_equal(s.node.udp[0], 3478);
    assert_int_equal(s.node.udp[1], 5004);
    assert_int_equal(s.node.udp[2], 0);
    assert_int_equal(s.node.tcp[0], 0);
    assert_int_equal(s.node.tls[0], 443);
    assert_int_equal(node_spec_parse(&s, "[2001:db8::1],tcp=65535", err), 0);
    assert_string_equal(s.node.host, "2001:db8::1");
    assert_int_equal(s.node.tcp[0], 65535);
    assert_int_equal(node_spec_parse(&s, "192.0.2.1", err), 0);
    assert_int_equal(node_spec_parse(&s, "2001:db8::1", err), 0);
    assert_int_equal(node_spec_parse(&s, "a.example.,udp=1", err), 0);
    static const char *const bad[] = {
        "",
        ",udp=1",
        "host:3478",
        "[192.0.2.1]",
        "[::1",
        "h,udp=0",
        "h,udp=65536",
        "h,udp=",
        "h,udp=1x",
        "h,udp",
        "h,sctp=1",
        "h,",
        "h,udp=1,",
        "a..b",
        "h o s t",
        "h,udp=-1",
        "h/x",
        "[h]",
        "h,udp=99999999999999999999",
        "h,udp=1,udp=2,udp=3,udp=4,udp=5,udp=6,udp=7,udp=8,udp=9",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(node_spec_parse(&s, bad[i], err), -EINVAL);
    char name[HOST_MAX + 2];
    memset(name, 'a', sizeof(name) - 1);
    name[HOST_MAX + 1] = '\0';
    assert_int_equal(node_spec_parse(&s, name, err), -EINVAL);
    name[HOST_MAX] = '\0';
    assert_int_equal(node_spec_parse(&s, name, err), 0);
}

static void milliseconds_are_short(void **state)
{
    static const struct {
        int64_t us;
        const char *text;
    } cases[] = {{-1, "-"},       {0, "0.00"},     {123, "0.12"},  {9994, "9.99"},    {9995, "10.0"},
                 {20140, "20.1"}, {99949, "99.9"}, {99950, "100"}, {1500000, "1500"}, {60000000, "60000"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char buf[RESULT_MS_TEXT];
        assert_string_equal(result_table_ms(cases[i].us, buf), cases[i].text);
    }
}

static void paths_are_encoded(void **state)
{
    struct line *l = line_new("meeting show x --controller https://x --token t", NULL);
    char path[CALL_PATH_MAX], longest[CALL_PATH_MAX];
    assert_int_equal(call_path(&l->c, path, "/v1/meetings/", "a/b ?#%\xc3\xbc", "/participants"), CLI_OK);
    assert_string_equal(path, "/v1/meetings/a%2Fb%20%3F%23%25%C3%BC/participants");
    assert_int_equal(call_path(&l->c, path, "/v1/meetings/", "", ""), CLI_USAGE);
    memset(longest, '/', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(call_path(&l->c, path, "/v1/meetings/", longest, ""), CLI_USAGE);
    line_free(l);
}

static void check_width(const char *text)
{
    for (const char *line = text; *line != '\0';
         line += line[strcspn(line, "\n")] == '\n' ? strcspn(line, "\n") + 1 : strlen(line))
        assert_true(strcspn(line, "\n") <= 80);
}

static void help_fits_and_names_everything(void **state)
{
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    cli_print_overview(f);
    fflush(f);
    check_width(text);
    for (size_t i = 0; i < cli_n_commands; i++) {
        struct config_key keys[CLI_KEYS_MAX];
        assert_non_null(strstr(text, cli_commands[i].name));
        rewind(f);
        cli_print_command(f, &cli_commands[i]);
        fputc('\0', f);
        fflush(f);
        check_width(text);
        size_t n = cli_keys(&cli_commands[i], keys);
        for (size_t k = 0; k < n; k++)
            assert_non_null(strstr(text, keys[k].name));
        rewind(f);
        cli_print_overview(f);
        fputc('\0', f);
        fflush(f);
    }
    fclose(f);
    free(text);
}

static void help_is_found(void **state)
{
    struct line *l = line_new("help node drain", NULL);
    assert_int_equal(l->c.command->run(&l->c), CLI_OK);
    fflush(l->c.out);
    assert_non_null(strstr(l->out, "Usage: berth node drain NODE [OPTIONS]"));
    line_free(l);
    l = line_new("help node", NULL);
    assert_int_equal(l->c.command->run(&l->c), CLI_OK);
    fflush(l->c.out);
    assert_non_null(strstr(l->out, "node undrain"));
    line_free(l);
    l = line_new("help probee", NULL);
    assert_int_equal(l->c.command->run(&l->c), CLI_USAGE);
    fflush(l->c.err);
    assert_non_null(strstr(l->err, "did you mean 'probe'?"));
    line_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_are_found_among_options),
        cmocka_unit_test(options_come_from_flags_and_environment),
        cmocka_unit_test(a_wrong_ca_is_told_by_its_name),
        cmocka_unit_test(a_jwt_names_its_agent),
        cmocka_unit_test(an_agent_is_the_option_the_token_or_the_host),
        cmocka_unit_test(sentences_are_wrapped_at_words),
        cmocka_unit_test(tokens_are_chosen_by_call),
        cmocka_unit_test(mistakes_are_usage_errors),
        cmocka_unit_test(commands_refuse_before_they_call),
        cmocka_unit_test(tokens_are_minted_offline),
        cmocka_unit_test(nodes_are_parsed),
        cmocka_unit_test(milliseconds_are_short),
        cmocka_unit_test(paths_are_encoded),
        cmocka_unit_test(help_fits_and_names_everything),
        cmocka_unit_test(help_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
