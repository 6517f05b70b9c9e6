/* The table of keys as --help and as a sample file. Invariant: no line is wider than 80 columns but a word that is so by itself. */
#include "sys/config.h"

#include <inttypes.h>
#include <string.h>

enum { WIDTH = 80, HELP_COLUMN = 28, TEXT_MAX = 512, UNBROKEN_MAX = 40 };
#define HARD_SPACE '\x1f' /* printed as a space, but no place to break a line */

/* Words of `text` from column `at`, wrapped; each new line begins with `prefix` padded to `indent`. */
static void print_wrapped(FILE *f, const char *text, size_t at, const char *prefix, size_t indent)
{
    bool first = true;
    while (*(text += strspn(text, " ")) != '\0') {
        size_t len = strcspn(text, " ");
        if (!first && at + 1 + len > WIDTH) {
            fprintf(f, "\n%-*s", (int)indent, prefix);
            at = indent;
            first = true;
        }
        if (!first)
            fputc(' ', f);
        for (size_t i = 0; i < len; i++)
            fputc(text[i] == HARD_SPACE ? ' ' : text[i], f);
        at += len + (first ? 0 : 1);
        first = false;
        text += len;
    }
    fputc('\n', f);
}

/* The sentence, the range and the default. */
static void describe(const struct config_key *k, bool with_default, char out[static TEXT_MAX])
{
    int n = snprintf(out, TEXT_MAX, "%s", k->help);
    size_t at = n > 0 && n < TEXT_MAX ? (size_t)n : 0;
    bool ranged = k->type == CONFIG_INT && k->max > k->min && k->max < INT64_MAX;
    bool def = with_default && k->def != NULL && k->def[0] != '\0' &&
               !(k->type == CONFIG_BOOL && strcmp(k->def, "false") == 0);
    if (ranged && def)
        snprintf(out + at, TEXT_MAX - at, " [%s; %" PRId64 " to %" PRId64 "]", k->def, k->min, k->max);
    else if (ranged)
        snprintf(out + at, TEXT_MAX - at, " [%" PRId64 " to %" PRId64 "]", k->min, k->max);
    else if (def)
        snprintf(out + at, TEXT_MAX - at, " [%s]", k->def);
    size_t end = strlen(out);
    for (size_t i = at + 1; i < end && end - at <= UNBROKEN_MAX; i++)
        out[i] = out[i] == ' ' ? HARD_SPACE : out[i];
}

void config_print_help(FILE *f, const struct config_key *keys, size_t n_keys)
{
    for (size_t i = 0; i < n_keys; i++) {
        const struct config_key *k = &keys[i];
        char text[TEXT_MAX];
        const char *unit = k->type == CONFIG_BOOL ? NULL : k->unit != NULL ? k->unit : "VALUE";
        int used = fprintf(f, "  --%s%s%s%s", k->name, unit != NULL ? " " : "", unit != NULL ? unit : "",
                           k->type == CONFIG_LIST ? " ..." : "");
        if (used > HELP_COLUMN - 2) {
            fputc('\n', f);
            used = 0;
        }
        describe(k, true, text);
        fprintf(f, "%*s", HELP_COLUMN - (used > 0 ? used : 0), "");
        print_wrapped(f, text, HELP_COLUMN, "", HELP_COLUMN);
    }
}

static void print_sample_key(FILE *f, const struct config_key *k)
{
    char text[TEXT_MAX];
    describe(k, false, text);
    fputs("\n# ", f);
    print_wrapped(f, text, 2, "#", 2);
    const char *value = k->def != NULL ? k->def : k->type == CONFIG_BOOL ? "false" : "";
    fprintf(f, "#%s =%s%s\n", k->name, value[0] != '\0' ? " " : "", value);
}

static bool section_seen(const struct config_key *keys, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (keys[i].section != NULL && strcmp(keys[i].section, keys[at].section) == 0)
            return true;
    }
    return false;
}

void config_print_sample(FILE *f, const struct config_key *keys, size_t n_keys)
{
    bool any = false;
    for (size_t i = 0; i < n_keys; i++) {
        const char *section = keys[i].section;
        if (section == NULL || section_seen(keys, i))
            continue;
        fprintf(f, "%s[%s]\n", any ? "\n" : "", section);
        any = true;
        for (size_t j = i; j < n_keys; j++) {
            if (keys[j].section != NULL && strcmp(keys[j].section, section) == 0)
                print_sample_key(f, &keys[j]);
        }
    }
}
