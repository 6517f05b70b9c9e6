/* Configuration as a table. One row a key gives the flag (--report-lifetime), the environment variable
 * (BERTH_REPORT_LIFETIME), the key in the file ([section] report-lifetime = ...), the range, the default, --help,
 * and the sample file. Later sources override: defaults, file (--config FILE or BERTH_CONFIG), environment, flags.
 * An unknown key or a bad value is an error that names where it stands. */
#ifndef BERTH_SYS_CONFIG_H
#define BERTH_SYS_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum config_type {
    CONFIG_STRING, /* const char * in the target; owned by struct config */
    CONFIG_INT,    /* int64_t, within min..max */
    CONFIG_BOOL, /* bool; the flag alone means true, --no-KEY false; file and environment: true/false/yes/no/1/0 */
    CONFIG_LIST, /* struct config_list; repeated flags add up, file and environment separate with commas; a later source replaces */
};

enum { CONFIG_LIST_MAX = 256 }; /* a probe of 200 given nodes names each */
struct config_list {
    size_t n;
    const char *v[CONFIG_LIST_MAX]; /* owned by struct config */
};

struct config_key {
    const char *name;    /* "report-lifetime" */
    const char *section; /* in the file; NULL: not a key of the file (--help, --config) */
    enum config_type type;
    size_t offset;    /* of the target in the options struct */
    const char *def;  /* as text; NULL: zero */
    int64_t min, max; /* CONFIG_INT */
    const char *unit; /* "s", "ms", "ADDR:PORT", "FILE" ...: the placeholder in --help */
    const char *help; /* one sentence */
    bool no_env;      /* true: not from the environment */
};

struct config; /* owns the strings that the target points to */

struct config_error {
    char text[256]; /* "berth.conf:12: unknown key 'foo' in [node]" */
};

struct config_source {
    const struct config_key *keys;
    size_t n_keys;
    int argc; /* as main's; parsing starts at argv[1] */
    char **argv;
    char **environ_;       /* NULL: no environment */
    size_t positional_max; /* words that are no flags; more are an error */
};

/* Fills `target` (a struct of the caller's). Positional words are in *words (owned by the config). 0, or -EINVAL
 * with *e, or -ENOMEM. "--help" and "--version" are ordinary keys of the caller's (CONFIG_BOOL). "--" ends the
 * flags. "--key=value" and "--key value" both work. */
int config_load(struct config **out, const struct config_source *src, void *target, struct config_list *words,
                struct config_error *e) __attribute__((warn_unused_result));
void config_destroy(struct config *c);

/* A table for people: flag, unit, help, default. Fits 80 columns. */
void config_print_help(FILE *f, const struct config_key *keys, size_t n_keys);
/* A complete commented sample file. */
void config_print_sample(FILE *f, const struct config_key *keys, size_t n_keys);

#endif
