/* The command line: which subcommand, then its options. Invariant: an option may stand before or after the subcommand's words. */
#include "cli.h"
#include "sys/tls.h"
#include "way.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Does this option, spelled without '=', take the next word as its value? Any command's option counts: the command
 * isn't known yet. */
static bool takes_word(const char *arg)
{
    struct config_key keys[CLI_KEYS_MAX];
    if (strncmp(arg, "--", 2) != 0 || strchr(arg, '=') != NULL)
        return false;
    for (size_t i = 0; i < cli_n_commands; i++) {
        size_t n = cli_keys(&cli_commands[i], keys);
        for (size_t j = 0; j < n; j++) {
            if (strcmp(arg + 2, keys[j].name) == 0)
                return keys[j].type != CONFIG_BOOL;
        }
    }
    return false;
}

static const struct command *find_exact(const char *name)
{
    for (size_t i = 0; i < cli_n_commands; i++) {
        if (strcmp(cli_commands[i].name, name) == 0)
            return &cli_commands[i];
    }
    return NULL;
}

const struct command *cli_find_command(int argc, char **argv, size_t *words, int at[static 2])
{
    char name[64];
    *words = 0;
    for (int i = 1; i < argc && *words < 2; i++) {
        if (strcmp(argv[i], "--") == 0)
            break;
        if (takes_word(argv[i]))
            i++;
        else if (argv[i][0] != '-')
            at[(*words)++] = i;
    }
    if (*words == 2 &&
        (size_t)snprintf(name, sizeof(name), "%s %s", argv[at[0]], argv[at[1]]) < sizeof(name)) {
        const struct command *two = find_exact(name);
        if (two != NULL)
            return two;
    }
    const struct command *one = *words > 0 ? find_exact(argv[at[0]]) : NULL;
    if (one != NULL)
        *words = 1;
    return one;
}

/* --token on the command line means this token, whatever the environment says. */
static bool token_is_given(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--token") == 0 || strncmp(argv[i], "--token=", 8) == 0)
            return true;
    }
    return false;
}

/* A path that is wrong is told by its name, before anything else fails because of it. */
static enum cli_exit check_ca(const struct cli *c)
{
    char err[TLS_ERROR_TEXT];
    SSL_CTX *ctx = NULL;
    if (c->o.ca == NULL)
        return CLI_OK;
    if (tls_client_ctx_new(&ctx, c->o.ca, err) != 0)
        return cli_fail(c, CLI_USAGE, "--ca (BERTH_CA): %s", err);
    SSL_CTX_free(ctx);
    return CLI_OK;
}

static enum cli_exit check(struct cli *c)
{
    const struct command *cmd = c->command;
    if (c->o.help || c->o.version)
        return CLI_OK;
    if (c->words.n < cmd->min_words)
        return cli_fail(c, CLI_USAGE, "%s is missing; see berth help %s", cmd->args, cmd->name);
    if (cmd->needs & (CLI_NEEDS_CONTROLLER | CLI_NEEDS_CA) && c->o.controller != NULL &&
        strstr(c->o.controller, "://") == NULL)
        return cli_fail(c, CLI_USAGE,
                        "--controller (BERTH_CONTROLLER) needs https:// in front: https://host[:port]");
    if (!(cmd->needs & CLI_NEEDS_CONTROLLER))
        return cmd->needs & CLI_NEEDS_CA ? check_ca(c) : CLI_OK;
    if (c->o.controller == NULL)
        return cli_fail(c, CLI_USAGE, "which controller? Give --controller URL, or set BERTH_CONTROLLER");
    if (c->o.token == NULL && c->o.admin_token == NULL)
        return cli_fail(c, CLI_USAGE, "no token: give --token TOKEN, or set BERTH_TOKEN");
    return check_ca(c);
}

enum cli_exit cli_load(struct cli *c, struct config **config, int argc, char **argv, char **environ_)
{
    struct config_key keys[CLI_KEYS_MAX];
    struct config_error e;
    size_t n = cli_keys(c->command, keys), words;
    int at[2] = {0, 0}, kept = 0;
    char **own = calloc((size_t)argc + 1, sizeof(*own));
    if (own == NULL)
        return cli_fail(c, CLI_USAGE, "out of memory");
    cli_find_command(argc, argv, &words, at);
    for (int i = 0; i < argc; i++) {
        if ((words < 1 || i != at[0]) && (words < 2 || i != at[1]))
            own[kept++] = argv[i];
    }
    struct config_source src = {.keys = keys,
                                .n_keys = n,
                                .argc = kept,
                                .argv = own,
                                .environ_ = environ_,
                                .positional_max = c->command->max_words};
    int rc = config_load(config, &src, &c->o, &c->words, &e);
    c->token_given = token_is_given(kept, own);
    if (rc == 0)
        way_from_environment(&c->o, environ_);
    free(own);
    if (rc != 0)
        return cli_fail(c, CLI_USAGE, "%s; see berth help %s", e.text, c->command->name);
    return check(c);
}
