/* Reads files. Invariant: what is handed out ends with a NUL that is not part of it. */
#include "slurp.h"

#include "sys/file.h"

#include <stdlib.h>
#include <sys/stat.h>

int slurp(const char *path, char **text, size_t *size, struct replay_error *e)
{
    ssize_t len = file_read_whole(path, SLURP_MAX, text);
    if (len < 0) {
        replay_fail(e, path, 0, "%s", file_error(len));
        return (int)len;
    }
    *size = (size_t)len;
    return 0;
}

bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && S_ISREG(x.st_mode) && x.st_dev == y.st_dev &&
           x.st_ino == y.st_ino;
}

int slurp_json(const char *path, json_t **out, struct replay_error *e)
{
    char *text = NULL;
    size_t size = 0;
    json_error_t error;
    int err = slurp(path, &text, &size, e);
    if (err < 0)
        return err;
    *out = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    free(text);
    return *out ? 0 : replay_fail(e, path, (size_t)error.line, "%s", error.text);
}
