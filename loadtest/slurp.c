/* Reads files. Invariant: what is handed out ends with a NUL that is not part of it. */
#include "slurp.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST = 65536 };

int slurp(const char *path, char **text, size_t *size, struct replay_error *e)
{
    char *all = NULL;
    size_t n = 0, cap = 0;
    int answer = 0;
    FILE *f = fopen(path, "re");
    if (!f) {
        answer = -errno;
        goto out;
    }
    do {
        if (n + 1 >= cap) {
            cap = cap > 0 ? cap * 2 : FIRST;
            char *bigger = cap <= SLURP_MAX ? realloc(all, cap) : NULL;
            if (!bigger) {
                answer = cap <= SLURP_MAX ? -ENOMEM : -EFBIG;
                goto out;
            }
            all = bigger;
        }
        n += fread(all + n, 1, cap - n - 1, f);
    } while (!feof(f) && !ferror(f));
    if (ferror(f))
        answer = errno > 0 ? -errno : -EIO;
out:
    if (f)
        fclose(f);
    if (answer < 0) {
        free(all);
        replay_fail(e, path, 0, "%s", strerror(-answer));
        return answer;
    }
    all[n] = '\0';
    *text = all;
    *size = n;
    return 0;
}

int slurp_json(const char *path, json_t **out, struct replay_error *e)
{
    char *text = NULL;
    size_t size;
    json_error_t error;
    int err = slurp(path, &text, &size, e);
    if (err < 0)
        return err;
    *out = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    free(text);
    return *out ? 0 : replay_fail(e, path, (size_t)error.line, "%s", error.text);
}
