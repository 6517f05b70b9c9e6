/* Help from the table of commands. Invariant: no line is wider than 80 columns. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

enum { WIDTH = 78, NAME_COLUMN = 24 };

static const char common_title[] =
    "Options of all commands (those before --json also as BERTH_CONTROLLER ...):\n";

static void print_paragraphs(FILE *f, const char *text)
{
    size_t at = 0;
    while (*text != '\0') {
        if (*text == '\n') {
            fputc('\n', f);
            at = 0;
            text++;
            continue;
        }
        size_t len = strcspn(text, " \n");
        if (at > 0 && at + 1 + len > WIDTH) {
            fputc('\n', f);
            at = 0;
        }
        fprintf(f, "%s%.*s", at > 0 ? " " : "", (int)len, text);
        at += len + (at > 0);
        text += len;
        text += *text == ' ';
    }
    fputc('\n', f);
}

static void print_line(FILE *f, const struct command *cmd)
{
    fprintf(f, "  %-*s%s\n", NAME_COLUMN - 2, cmd->name, cmd->summary);
}

void cli_print_overview(FILE *f)
{
    struct config_key keys[CLI_KEYS_MAX];
    fputs("Usage: berth COMMAND [OPTIONS]\n\n"
          "Finds out which media nodes this machine reaches, and works with a controller.\n\n",
          f);
    for (size_t i = 0; i < cli_n_commands; i++)
        print_line(f, &cli_commands[i]);
    fprintf(f, "\n%s", common_title);
    config_print_help(f, keys, cli_keys(NULL, keys));
    fputs("\nberth help COMMAND tells more.\n", f);
}

static bool in_group(const struct command *cmd, const char *group)
{
    size_t len = strlen(group);
    return strncmp(cmd->name, group, len) == 0 && cmd->name[len] == ' ';
}

bool cli_print_group(FILE *f, const char *group)
{
    bool any = false;
    for (size_t i = 0; i < cli_n_commands; i++) {
        if (!in_group(&cli_commands[i], group))
            continue;
        if (!any)
            fprintf(f, "Usage: berth %s COMMAND [OPTIONS]\n\n", group);
        any = true;
        print_line(f, &cli_commands[i]);
    }
    return any;
}

void cli_print_command(FILE *f, const struct command *cmd)
{
    struct config_key keys[CLI_KEYS_MAX];
    size_t n = cli_keys(cmd, keys);
    fprintf(f, "Usage: berth %s%s%s [OPTIONS]\n\nberth %s: %s.\n\n", cmd->name,
            cmd->args[0] != '\0' ? " " : "", cmd->args, cmd->name, cmd->summary);
    if (cmd->details != NULL) {
        print_paragraphs(f, cmd->details);
        fputc('\n', f);
    }
    if (cmd->n_keys > 0) {
        config_print_help(f, keys, cmd->n_keys);
        fputc('\n', f);
    }
    fputs(common_title, f);
    config_print_help(f, keys + cmd->n_keys, n - cmd->n_keys);
}

static size_t common_prefix(const char *a, const char *b)
{
    size_t n = 0;
    while (a[n] != '\0' && a[n] == b[n])
        n++;
    return n;
}

/* "create, list, show": the commands of the group that is the first of these words. */
static void print_members(FILE *f, const char *words)
{
    char group[64];
    size_t n = 0;
    snprintf(group, sizeof(group), "%.*s", (int)strcspn(words, " "), words);
    for (size_t i = 0; i < cli_n_commands; i++) {
        if (in_group(&cli_commands[i], group))
            fprintf(f, "%s%s", n++ > 0 ? ", " : "", cli_commands[i].name + strlen(group) + 1);
    }
}

enum cli_exit cli_unknown(FILE *f, const char *words)
{
    const struct command *best = NULL;
    size_t most = 2; /* characters in common, at the start, before it is worth a hint */
    for (size_t i = 0; i < cli_n_commands; i++) {
        size_t n = common_prefix(words, cli_commands[i].name);
        if (n > most) {
            most = n;
            best = &cli_commands[i];
        }
    }
    if (best != NULL && best->name[most - 1] == ' ') { /* the group alone is known */
        fprintf(f, "berth: unknown command '%.60s'; there are ", words);
        print_members(f, words);
        fputs("; see berth help\n", f);
        return CLI_USAGE;
    }
    fprintf(f, "berth: unknown command '%.60s'%s%s%s; see berth help\n", words,
            best != NULL ? ", did you mean '" : "", best != NULL ? best->name : "", best != NULL ? "'?" : "");
    return CLI_USAGE;
}

enum cli_exit cli_help(struct cli *c)
{
    char name[128];
    if (c->words.n == 0) {
        cli_print_overview(c->out);
        return CLI_OK;
    }
    snprintf(name, sizeof(name), "%.60s%s%.60s", c->words.v[0], c->words.n > 1 ? " " : "",
             c->words.n > 1 ? c->words.v[1] : "");
    for (size_t i = 0; i < cli_n_commands; i++) {
        if (strcmp(cli_commands[i].name, name) == 0) {
            cli_print_command(c->out, &cli_commands[i]);
            return CLI_OK;
        }
    }
    return cli_print_group(c->out, name) ? CLI_OK : cli_unknown(c->err, name);
}
