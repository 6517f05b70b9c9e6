/* Loads a table of keys from defaults, file, environment and flags, in this order. Invariant: each source either sets a key wholly
 * or fails with the place that is wrong; a later source replaces a list, it never adds to an earlier one's. */
#include "sys/config.h"

#include "sys/config_internal.h"
#include "sys/file.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>

/* One flag of the command line; `value` points into argv. */
struct flag {
    const struct config_key *key;
    const char *value;
};

struct loader {
    struct config *c;
    const struct config_source *src;
    void *target;
    struct config_error *e;
    struct flag *flags;
    size_t n_flags;
    unsigned *file_line; /* a key: where the file set it, 0: not */
};

static size_t index_of(const struct loader *l, const struct config_key *key)
{
    return (size_t)(key - l->src->keys);
}

static int load_defaults(struct loader *l)
{
    int rc = 0;
    for (size_t i = 0; i < l->src->n_keys && rc == 0; i++) {
        const struct config_key *k = &l->src->keys[i];
        if (k->def != NULL)
            rc = config_set(l->c, k, l->target, k->def, true, k->name, l->e);
    }
    return rc;
}

/* ---- the file ---- */

struct file {
    struct loader *l;
    const char *path;
    const char *at, *end; /* what hasn't been read of its text */
    unsigned number;
    int rc; /* of the first error; the rest of the file is then skipped */
};

/* Gives inih one line at a time, so that lines are counted and never split. Indentation is dropped: a value is one line. */
static char *read_line(char *buf, int size, void *arg)
{
    struct file *f = arg;
    if (f->rc != 0 || f->at == f->end)
        return NULL;
    const char *feed = memchr(f->at, '\n', (size_t)(f->end - f->at)),
               *next = feed != NULL ? feed + 1 : f->end;
    const char *text = f->at;
    f->at = next;
    f->number++;
    while (text < next && (*text == ' ' || *text == '\t'))
        text++;
    size_t n = (size_t)(next - text);
    if (memchr(text, '\0', n) != NULL)
        f->rc = config_fail(f->l->e, "%s:%u: a NUL character", f->path, f->number);
    else if (n + 1 > (size_t)size)
        f->rc = config_fail(f->l->e, "%s:%u: the line is too long", f->path, f->number);
    if (f->rc != 0)
        return NULL;
    memcpy(buf, text, n);
    buf[n] = '\0';
    return buf;
}

static int set_from_file(struct file *f, const char *section, const char *name, const char *value)
{
    struct loader *l = f->l;
    char hint[CONFIG_NAME_MAX + 32], where[160];
    const struct config_key *k = config_find(l->src->keys, l->src->n_keys, name, strlen(name));
    if (k == NULL || k->section == NULL)
        return config_fail(l->e, "%s:%u: unknown key '%.64s' in [%.32s]%s", f->path, f->number, name, section,
                           config_hint(l->src->keys, l->src->n_keys, name, true, hint));
    if (strcmp(k->section, section) != 0)
        return config_fail(l->e, "%s:%u: '%s' belongs in [%s], not in [%.32s]", f->path, f->number, k->name,
                           k->section, section);
    unsigned *line = &l->file_line[index_of(l, k)];
    if (*line != 0 && k->type != CONFIG_LIST)
        return config_fail(l->e, "%s:%u: '%s' is set on line %u already", f->path, f->number, k->name, *line);
    if (*line == 0)
        config_reset(k, l->target);
    *line = f->number;
    snprintf(where, sizeof(where), "%.90s:%u: '%s'", f->path, f->number, k->name);
    return config_set(l->c, k, l->target, value, true, where, l->e);
}

static int on_pair(void *arg, const char *section, const char *name, const char *value)
{
    struct file *f = arg;
    if (f->rc == 0)
        f->rc = set_from_file(f, section, name, value);
    return f->rc == 0;
}

static int load_file(struct loader *l, const char *path)
{
    char *text = NULL;
    ssize_t len = file_read_whole(path, FILE_TEXT_MAX, &text);
    if (len < 0)
        return config_fail(l->e, "%.150s: %s", path, file_error(len));
    struct file f = {.l = l, .path = path, .at = text, .end = text + len};
    /* The packaged inih is set up by these variables of its own; they never change again. */
    ini_use_stack = false;
    ini_stop_on_first_error = true;
    ini_max_line = ini_initial_alloc = CONFIG_LINE_MAX;
    int line = ini_parse_stream(read_line, &f, on_pair, &f);
    int rc = f.rc;
    if (rc == 0 && line == -2)
        rc = -ENOMEM;
    else if (rc == 0 && line != 0)
        rc = config_fail(l->e, "%.150s:%d: neither [section] nor key = value", path, line);
    free(text);
    return rc;
}

/* ---- the environment ---- */

/* BERTH_REPORT_LIFETIME of "report-lifetime". */
static void env_name(const struct config_key *k, char out[static CONFIG_NAME_MAX])
{
    size_t n = (size_t)snprintf(out, CONFIG_NAME_MAX, "BERTH_%s", k->name);
    for (size_t i = 0; i < n && i < CONFIG_NAME_MAX - 1; i++)
        out[i] = out[i] == '-' ? '_' : (char)toupper((unsigned char)out[i]);
}

/* An empty variable counts as none. */
static const char *env_value(const struct loader *l, const char *name)
{
    size_t len = strlen(name);
    for (char **v = l->src->environ_; v != NULL && *v != NULL; v++) {
        if (strncmp(*v, name, len) == 0 && (*v)[len] == '=')
            return (*v)[len + 1] != '\0' ? *v + len + 1 : NULL;
    }
    return NULL;
}

static int load_env(struct loader *l)
{
    int rc = 0;
    for (size_t i = 0; i < l->src->n_keys && rc == 0; i++) {
        const struct config_key *k = &l->src->keys[i];
        char name[CONFIG_NAME_MAX];
        env_name(k, name);
        const char *value = k->no_env ? NULL : env_value(l, name);
        if (value == NULL)
            continue;
        config_reset(k, l->target);
        rc = config_set(l->c, k, l->target, value, true, name, l->e);
    }
    return rc;
}

/* ---- the command line ---- */

/* Takes --key=value, --key value, --key and --no-key; returns how many words it used, or a negative errno. */
static int scan_flag(struct loader *l, char **argv, int left)
{
    const struct config_source *s = l->src;
    const char *name = argv[0] + 2, *equals = strchr(name, '=');
    size_t len = equals != NULL ? (size_t)(equals - name) : strlen(name);
    struct flag *f = &l->flags[l->n_flags];
    *f =
        (struct flag){.key = config_find(s->keys, s->n_keys, name, len), .value = equals ? equals + 1 : NULL};
    if (f->key == NULL && equals == NULL && strncmp(name, "no-", 3) == 0) {
        f->key = config_find(s->keys, s->n_keys, name + 3, len - 3);
        f->value = "false";
        if (f->key != NULL && f->key->type != CONFIG_BOOL)
            f->key = NULL;
    }
    if (f->key == NULL) {
        char hint[CONFIG_NAME_MAX + 32], text[CONFIG_NAME_MAX + 1];
        snprintf(text, sizeof(text), "%.*s", (int)(len < CONFIG_NAME_MAX ? len : CONFIG_NAME_MAX), name);
        return config_fail(l->e, "unknown option --%s%s", text,
                           config_hint(s->keys, s->n_keys, text, false, hint));
    }
    l->n_flags++;
    if (f->value == NULL && f->key->type == CONFIG_BOOL)
        f->value = "true";
    if (f->value != NULL)
        return 1;
    if (left < 2 || strncmp(argv[1], "--", 2) == 0)
        return config_fail(l->e, "--%s needs a value%s%s", f->key->name, f->key->unit != NULL ? ": " : "",
                           f->key->unit != NULL ? f->key->unit : "");
    f->value = argv[1];
    return 2;
}

static int add_word(struct loader *l, const char *word, struct config_list *words)
{
    if (words == NULL || words->n >= l->src->positional_max || words->n >= CONFIG_LIST_MAX)
        return config_fail(l->e, "unexpected argument '%.100s'", word);
    words->v[words->n] = config_keep(l->c, word, strlen(word));
    return words->v[words->n++] != NULL ? 1 : -ENOMEM;
}

static int scan_word(struct loader *l, char **argv, int left, bool only_words, struct config_list *words)
{
    if (only_words || argv[0][0] != '-' || argv[0][1] == '\0')
        return add_word(l, argv[0], words);
    if (argv[0][1] == '-')
        return scan_flag(l, argv, left);
    const struct config_key *help = config_find(l->src->keys, l->src->n_keys, "help", 4);
    if (strcmp(argv[0], "-h") != 0 || help == NULL)
        return config_fail(l->e, "unknown option %.64s", argv[0]);
    l->flags[l->n_flags++] = (struct flag){.key = help, .value = "true"};
    return 1;
}

static int scan_argv(struct loader *l, struct config_list *words)
{
    bool only_words = false;
    for (int i = 1; i < l->src->argc;) {
        if (!only_words && strcmp(l->src->argv[i], "--") == 0) {
            only_words = true;
            i++;
            continue;
        }
        int used = scan_word(l, l->src->argv + i, l->src->argc - i, only_words, words);
        if (used < 0)
            return used;
        i += used;
    }
    return 0;
}

static bool flag_is_first(const struct loader *l, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (l->flags[i].key == l->flags[at].key)
            return false;
    }
    return true;
}

static int load_flags(struct loader *l)
{
    int rc = 0;
    for (size_t i = 0; i < l->n_flags && rc == 0; i++) {
        const struct flag *f = &l->flags[i];
        char where[CONFIG_NAME_MAX];
        snprintf(where, sizeof(where), "--%s", f->key->name);
        if (flag_is_first(l, i))
            config_reset(f->key, l->target);
        rc = config_set(l->c, f->key, l->target, f->value, false, where, l->e);
    }
    return rc;
}

/* The file to load: the last --config, else BERTH_CONFIG; NULL: none, or this program has no such key. */
static const char *config_path(const struct loader *l)
{
    const struct config_key *k = config_find(l->src->keys, l->src->n_keys, "config", 6);
    for (size_t i = l->n_flags; i > 0; i--) {
        if (k != NULL && l->flags[i - 1].key == k)
            return l->flags[i - 1].value;
    }
    return k != NULL && !k->no_env ? env_value(l, "BERTH_CONFIG") : NULL;
}

static int load_all(struct loader *l, struct config_list *words)
{
    int rc = scan_argv(l, words);
    const char *path = rc == 0 ? config_path(l) : NULL;
    if (rc == 0)
        rc = load_defaults(l);
    if (rc == 0 && path != NULL)
        rc = load_file(l, path);
    if (rc == 0)
        rc = load_env(l);
    if (rc == 0)
        rc = load_flags(l);
    return rc;
}

int config_load(struct config **out, const struct config_source *src, void *target, struct config_list *words,
                struct config_error *e)
{
    int rc = -ENOMEM;
    struct loader l = {.src = src, .target = target, .e = e};
    e->text[0] = '\0';
    if (words != NULL)
        words->n = 0;
    l.c = calloc(1, sizeof(*l.c));
    l.flags = calloc((size_t)src->argc + 1, sizeof(*l.flags));
    l.file_line = calloc(src->n_keys + 1, sizeof(*l.file_line));
    if (l.c != NULL && l.flags != NULL && l.file_line != NULL)
        rc = load_all(&l, words);
    free(l.flags);
    free(l.file_line);
    if (rc != 0) {
        config_destroy(l.c);
        if (rc == -ENOMEM)
            snprintf(e->text, sizeof(e->text), "out of memory");
        return rc;
    }
    *out = l.c;
    return 0;
}
