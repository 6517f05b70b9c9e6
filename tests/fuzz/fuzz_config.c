/* Configuration from a file, the environment and the command line (the input's three parts, between NULs; words
 * between lines): what is taken is in range, and what is refused says so and leaves nothing behind. */
#include "fuzz.h"
#include "sys/config.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { WORDS_MAX = 12, TEXT_MAX = 4096, LEAST = -5, MOST = 70000 };

struct options {
    const char *name, *config;
    int64_t size;
    bool loud, help;
    struct config_list listen;
};

#define AT(member) offsetof(struct options, member)
static const struct config_key keys[] = {
    {"name", "node", CONFIG_STRING, AT(name), "n", 0, 0, "NAME", "A name.", false},
    {"size", "limits", CONFIG_INT, AT(size), "7", LEAST, MOST, "S", "A size.", false},
    {"loud", "node", CONFIG_BOOL, AT(loud), NULL, 0, 0, NULL, "Be loud.", false},
    {"listen", "node", CONFIG_LIST, AT(listen), "a, b", 0, 0, "ADDR", "Where.", false},
    {"config", NULL, CONFIG_STRING, AT(config), NULL, 0, 0, "FILE", "A file.", false},
    {"help", NULL, CONFIG_BOOL, AT(help), NULL, 0, 0, NULL, "Help.", true},
};

/* The lines of a text as words; the text is cut. */
static int words(char *text, char *out[static WORDS_MAX])
{
    char *save = NULL;
    int n = 0;
    for (char *w = strtok_r(text, "\n", &save); w && n < WORDS_MAX - 1; w = strtok_r(NULL, "\n", &save))
        out[n++] = w;
    out[n] = NULL;
    return n;
}

static void load(int argc, char **argv, char **env)
{
    const struct config_source src = {.keys = keys,
                                      .n_keys = sizeof keys / sizeof keys[0],
                                      .argc = argc,
                                      .argv = argv,
                                      .environ_ = env,
                                      .positional_max = 2};
    struct config *c = NULL;
    struct options o = {.size = 0};
    struct config_list rest = {.n = 0};
    struct config_error e = {.text = ""};
    int rc = config_load(&c, &src, &o, &rest, &e);
    FUZZ_CHECK(rc == 0 ? o.size >= LEAST && o.size <= MOST
                       : strnlen(e.text, sizeof e.text) - 1 < sizeof e.text - 1);
    if (rc == 0) {
        FUZZ_CHECK(o.name && o.listen.n <= CONFIG_LIST_MAX && rest.n <= 2);
        for (size_t i = 0; i < o.listen.n; i++)
            FUZZ_CHECK(strlen(o.listen.v[i]) <= TEXT_MAX);
        config_destroy(c);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[40], *argv[WORDS_MAX + 3], *env[WORDS_MAX];
    if (size > TEXT_MAX)
        return 0;
    char *text = fuzz_text(data, size), *end = text + size;
    char *second = text + strlen(text) < end ? text + strlen(text) + 1 : end;
    char *third = second + strlen(second) < end ? second + strlen(second) + 1 : end;
    int fd = memfd_create("config", MFD_CLOEXEC);
    FUZZ_CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) &&
               lseek(fd, 0, SEEK_SET) == 0);
    snprintf(path, sizeof path, "--config=/proc/self/fd/%d", fd);
    argv[0] = path;
    argv[1] = path;
    int argc = 2 + words(third, argv + 2);
    words(second, env);
    load(argc, argv, env);
    close(fd);
    free(text);
    return 0;
}
