/* berth-pac: runs one PAC script, for libberth, which trusts it with nothing. Invariant: every limit is set before the first byte of the
 * script is read; whatever happens here, the answers given before stand.
 *
 * Standard input: texts, each ended by a NUL: the script, then URL and host of each question. Standard output: one text for the
 * script, then one for each question, in order: see agent/pac_answers.h. */
#include "../pac_answers.h"

#include <errno.h>
#include <pacparser.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    INPUT_MAX = 8 * 1024 * 1024,
    MEMORY_MAX = 256 * 1024 * 1024,
    STACK_MAX = 8 * 1024 * 1024,
    CPU_MAX_S = 2,
    WALL_MAX_S = 60, /* whoever started it ends it long before */
    FILES_MAX = 16,  /* looking up names */
};

static int limit(int what, rlim_t most)
{
    struct rlimit l;
    if (getrlimit((__rlimit_resource_t)what, &l) != 0)
        return -1;
    if (l.rlim_max > most)
        l.rlim_max = most;
    l.rlim_cur = l.rlim_max;
    return setrlimit((__rlimit_resource_t)what, &l);
}

static bool confine(void)
{
    alarm(WALL_MAX_S);
    return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           limit(RLIMIT_AS, MEMORY_MAX) == 0 && limit(RLIMIT_STACK, STACK_MAX) == 0 &&
           limit(RLIMIT_CPU, CPU_MAX_S) == 0 && limit(RLIMIT_NOFILE, FILES_MAX) == 0 &&
           limit(RLIMIT_CORE, 0) == 0 && limit(RLIMIT_FSIZE, 0) == 0;
}

/* Everything until the end, or NULL. One NUL more than was read ends it. */
static char *read_input(size_t *len)
{
    char *text = malloc(INPUT_MAX + 1);
    ssize_t n = 1;
    *len = 0;
    while (text && n != 0 && *len < INPUT_MAX) {
        n = read(STDIN_FILENO, text + *len, INPUT_MAX - *len);
        if (n < 0 && errno != EINTR)
            break;
        *len += n > 0 ? (size_t)n : 0;
    }
    if (!text || n != 0) {
        free(text);
        return NULL;
    }
    text[*len] = '\0';
    return text;
}

static bool write_text(char kind, const char *text)
{
    char out[PAC_ANSWER_MAX + 2];
    size_t len = strlen(text), done = 0;
    out[0] = kind;
    memcpy(out + 1, text, len + 1);
    while (done < len + 2) {
        ssize_t n = write(STDOUT_FILENO, out + done, len + 2 - done);
        if (n < 0 && errno != EINTR)
            return false;
        done += n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* The engine's complaints are for the script's author. */
static int be_quiet(const char *fmt, va_list ap)
{
    return 0;
}

static bool answer(const char *url, const char *host)
{
    char *found = pacparser_find_proxy(url, host);
    if (!found)
        return write_text(PAC_FAILED, "");
    if (strlen(found) > PAC_ANSWER_MAX)
        return write_text(PAC_TOO_LONG, "");
    return write_text(PAC_FOUND, found);
}

int main(void)
{
    size_t len;
    if (!confine())
        return 2;
    char *input = read_input(&len);
    if (!input)
        return 2;
    const char *end = input + len, *at = input + strlen(input) + 1;
    pacparser_set_error_printer(be_quiet);
    if (!pacparser_init() || !pacparser_parse_pac_string(input))
        return write_text(PAC_FAILED, "") ? 0 : 2;
    bool ok = write_text(PAC_FOUND, "");
    while (ok && at < end) {
        const char *url = at, *host = url + strlen(url) + 1;
        if (host >= end)
            return 2;
        at = host + strlen(host) + 1;
        ok = answer(url, host);
    }
    return ok ? 0 : 2; /* the system frees the engine */
}
