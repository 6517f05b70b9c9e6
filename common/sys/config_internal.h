/* What config.c (sources in their order) and config_value.c (one key's value) share. */
#ifndef BERTH_SYS_CONFIG_INTERNAL_H
#define BERTH_SYS_CONFIG_INTERNAL_H

#include "sys/config.h"

enum { CONFIG_LINE_MAX = 8192, CONFIG_NAME_MAX = 64 };

struct config_string;

struct config {
    struct config_string *strings; /* every text that the target points to */
};

/* `where` names the source, for errors: "berth.conf:12", "--threads", "BERTH_THREADS". Values are never repeated in an error, but
 * numbers: one may be a secret. */
int config_fail(struct config_error *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A copy that the config owns, or NULL. */
const char *config_keep(struct config *c, const char *text, size_t len);

/* Sets a key from text. Lists: `split` at commas, each item trimmed, or the whole text as one more item; they append. */
int config_set(struct config *c, const struct config_key *key, void *target, const char *text, bool split,
               const char *where, struct config_error *e) __attribute__((warn_unused_result));
/* Zeroes a list before another source fills it. */
void config_reset(const struct config_key *key, void *target);

const struct config_key *config_find(const struct config_key *keys, size_t n, const char *name, size_t len);
/* ", did you mean 'x'?" or "" */
const char *config_hint(const struct config_key *keys, size_t n, const char *name, bool in_file,
                        char buf[static CONFIG_NAME_MAX + 32]);

#endif
