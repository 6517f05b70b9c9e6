/* What every subcommand of `berth` works with: its options, where to print, and how to fail. main.c fills it and alone exits. */
#ifndef BERTH_CLI_H
#define BERTH_CLI_H

#include "sys/config.h"
#include "table.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum cli_exit {
    CLI_OK = 0,
    CLI_BUT = 1,        /* it worked, but what was looked for was not found */
    CLI_USAGE = 2,      /* bad usage or configuration */
    CLI_CONTROLLER = 3, /* the controller could not be reached, or refused */
};

/* The options of all subcommands; which of them a subcommand has stands in its table of keys. */
struct cli_options {
    const char *controller, *token, *ca, *agent;
    const char *proxy, *proxy_pac, *no_proxy, *proxy_user, *proxy_password;
    bool proxy_unusable; /* what the environment names is no proxy */
    const char *state;
    bool json, help, version;
    const char *admin_token; /* org, node and key */
    bool rtt;                /* node show */
    bool report;             /* probe */
    struct config_list node, require;
    struct config_list udp; /* firewall */
    bool pinhole;
    int64_t pinhole_limit;
    const char *org, *kind;                                   /* key */
    struct config_list grants;                                /* key token */
    int64_t ttl;                                              /* key token */
    struct config_list allow_region, deny_region, transports; /* meeting create */
    bool private_only;
    bool cap_worst;
    int64_t expected_size, bitrate_kbps, last_n, mesh_within_ms;
    const char *network; /* meeting join */
    struct config_list capabilities;
    bool probe_first, connect;
    int64_t seconds;
    const char *participant; /* meeting explain */
    const char *severity;    /* event list */
    bool open;
    bool all_orgs;                /* analytics */
    const char *by;               /* analytics transports, new-node */
    const char *like, *lat, *lon; /* analytics new-node */
};

struct cli {
    const struct command *command;
    struct cli_options o;
    struct config_list words; /* after the subcommand's name */
    FILE *out, *err;
    size_t width;      /* of the terminal that out is; 0: no limit */
    bool color;        /* out is a terminal that wants it */
    bool progress;     /* err is a terminal */
    bool out_terminal; /* out is a terminal */
    bool token_given;  /* --token stands on the command line */
    char host[256];    /* this machine's name, the default agent */
    char state[512];   /* the default of --state; "": none */
    int signal_fd;     /* of commands that ask for it; -1 */
};

enum cli_needs {
    CLI_NEEDS_NOTHING = 0,
    CLI_NEEDS_CONTROLLER = 1, /* --controller and a token */
    CLI_NEEDS_SIGNALS = 2,    /* signals by descriptor */
    CLI_NEEDS_CA = 4, /* --ca, where it is given, must be readable (CLI_NEEDS_CONTROLLER asks for that too) */
};

struct command {
    const char *name; /* "node list" */
    const char *args; /* "NODE"; "" for none */
    size_t min_words, max_words;
    unsigned needs;
    const char *summary; /* one line */
    const char *details; /* paragraphs for its help; NULL: none */
    const struct config_key *keys;
    size_t n_keys; /* beside the common ones */
    enum cli_exit (*run)(struct cli *c);
};

/* ---- commands.c: the table ---- */
extern const struct command cli_commands[];
extern const size_t cli_n_commands;
enum { CLI_KEYS_MAX = 24 };
/* The common keys and the command's own (`command` NULL: the common ones); returns how many. */
size_t cli_keys(const struct command *command, struct config_key out[static CLI_KEYS_MAX]);

/* ---- args.c: the command line ---- */
/* The command that the first words name. *words: how many of them (0: none); *at: their places in argv. NULL: none
 * of the table's. */
const struct command *cli_find_command(int argc, char **argv, size_t *words, int at[static 2]);
/* Loads c->o and c->words (owned by *config) for c->command; a message is printed where it fails. CLI_OK or CLI_USAGE. */
enum cli_exit cli_load(struct cli *c, struct config **config, int argc, char **argv, char **environ_);

/* ---- help.c ---- */
void cli_print_overview(FILE *f);
/* All commands of a group ("node"); false: there is none. */
bool cli_print_group(FILE *f, const char *group);
void cli_print_command(FILE *f, const struct command *command);
enum cli_exit cli_help(struct cli *c);
/* "berth: unknown command 'x', did you mean 'y'?" */
enum cli_exit cli_unknown(FILE *f, const char *words);

/* ---- output.c ---- */
/* "berth probe: ..." on stderr; returns `code`. */
enum cli_exit cli_fail(const struct cli *c, enum cli_exit code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* A further line that says what to do. */
void cli_advise(const struct cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "ann: up on n1 over udp" on err: what happens while a command goes on. */
void cli_tell(const struct cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* One document on a line, or indented for a terminal. CLI_OK, or CLI_BUT where it can't be written. */
enum cli_exit cli_print_json(const struct cli *c, const json_t *j);
/* Prints and frees; NULL (no memory for it) is told. */
enum cli_exit cli_print_table(const struct cli *c, struct table *t);
/* Text on out, wrapped at words to the terminal, to 80 columns where there is none. */
void cli_say_wrapped(const struct cli *c, const char *text);
/* One plain line on out. */
void cli_say(const struct cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A member of an object as text for a cell: strings and numbers as they are, true "yes", false "no", absent "-"; times to the
 * second, in UTC, without the date where it is today's. */
const char *cli_cell(const json_t *object, const char *member, char buf[static 64]);
/* A member in microseconds as milliseconds to two places; "-" where it is none. */
const char *cli_ms(const json_t *object, const char *member, char buf[static 64]);
/* What speaks against a candidate: "drained; unreachable for ann, bob". A code may have a member of its name: whom it is about. */
void cli_rejections(const json_t *candidate, char *out, size_t cap);
void cli_code_words(char *code); /* "no_node" to "no node" */
/* Sets what there is: a figure that isn't negative, a text that isn't empty. */
void cli_set_figure(json_t *object, const char *member, int64_t figure);
void cli_set_text(json_t *object, const char *member, const char *text);

#endif
