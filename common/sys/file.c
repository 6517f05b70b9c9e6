/* Reads named files. Invariant: a descriptor is read from only once it is known to be a regular file's. */
#include "sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIRST_CAP = 4096 };

static int open_regular(const char *path, size_t *size)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), err;
    if (fd < 0)
        return -errno;
    err = fstat(fd, &st) != 0 ? -errno : S_ISREG(st.st_mode) ? 0 : S_ISDIR(st.st_mode) ? -EISDIR : -ENOTSUP;
    *size = err == 0 ? (size_t)st.st_size : 0;
    if (err == 0)
        return fd;
    close(fd);
    return err;
}

/* As much as there is, or fits. */
static ssize_t read_up_to(int fd, char *out, size_t cap)
{
    size_t len = 0;
    while (len < cap) {
        ssize_t n = read(fd, out + len, cap - len);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            break;
        len += n > 0 ? (size_t)n : 0;
    }
    return (ssize_t)len;
}

ssize_t file_read(const char *path, char *out, size_t cap)
{
    size_t size = 0;
    int fd = open_regular(path, &size);
    if (fd < 0)
        return fd;
    ssize_t len = read_up_to(fd, out, cap);
    close(fd);
    return len;
}

ssize_t file_read_whole(const char *path, size_t max, char **text)
{
    char *all = NULL;
    size_t len = 0, cap = 0, size = 0;
    ssize_t n = 0;
    int fd = open_regular(path, &size);
    if (fd < 0)
        return fd;
    do { /* at once, as a block that grows leaves what may be a key behind; the size may be another by now, or of /proc none */
        size_t room = cap != 0 ? cap * 2 : size < FIRST_CAP ? FIRST_CAP : size + 1;
        cap = room > max + 1 ? max + 1 : room;
        char *grown = realloc(all, cap + 1);
        n = grown ? 0 : -ENOMEM;
        if (n == 0) {
            all = grown;
            n = read_up_to(fd, all + len, cap - len);
        }
        len += n > 0 ? (size_t)n : 0;
    } while (n >= 0 && len == cap && len <= max);
    close(fd);
    if (n >= 0 && len > max)
        n = -EFBIG;
    if (n < 0) {
        free(all);
        return n;
    }
    all[len] = '\0';
    *text = all;
    return (ssize_t)len;
}

ssize_t file_read_line(const char *path, char *out, size_t cap)
{
    ssize_t len = file_read(path, out, cap);
    if (len < 0)
        return len;
    const char *end = memchr(out, '\n', (size_t)len);
    if (!end && (size_t)len == cap)
        return -EMSGSIZE;
    size_t line = end ? (size_t)(end - out) : (size_t)len;
    while (line > 0 && out[line - 1] == '\r')
        line--;
    out[line] = '\0';
    return (ssize_t)line;
}

const char *file_error(ssize_t error)
{
    return error == -ENOTSUP ? "it is no regular file" : strerror((int)-error);
}
