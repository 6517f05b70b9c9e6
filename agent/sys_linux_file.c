/* Files of the agent's own on Linux. Invariant: a file is replaced as a whole or stays as it was, and what somebody
 * has left who was ended meanwhile goes with the next. */
#include "sys_machine.h"

#include "sys/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FRESH  ".new-"
#define RANDOM "XXXXXX" /* as mkstemp wants it */

enum { LEFT_BEHIND_S = 60 }; /* whoever still writes is younger */

static int write_whole(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, text, len);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0) {
            text += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

static bool is_left_behind(int folder, const char *entry, const char *name)
{
    struct stat st;
    size_t len = strlen(name);
    return strncmp(entry, name, len) == 0 && strncmp(entry + len, FRESH, strlen(FRESH)) == 0 &&
           strlen(entry) == len + strlen(FRESH) + strlen(RANDOM) &&
           fstatat(folder, entry, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
           clock_wall_us() / 1000000 - st.st_mtime > LEFT_BEHIND_S;
}

/* Of who was ended before the file had its name. */
static void remove_left_behind(const char *path)
{
    char folder[PATH_MAX] = ".";
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    if (slash)
        snprintf(folder, sizeof folder, "%.*s", (int)(name - path), path);
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (is_left_behind(dirfd(d), e->d_name, name))
            (void)unlinkat(dirfd(d), e->d_name, 0);
    }
    if (d)
        closedir(d);
}

int sys_file_replace(const char *path, const char *text, size_t len)
{
    char fresh[PATH_MAX];
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return -EINVAL;
    int n = snprintf(fresh, sizeof fresh, "%s" FRESH RANDOM, path);
    if (n < 0 || (size_t)n >= sizeof fresh)
        return -ENAMETOOLONG;
    remove_left_behind(path);
    int fd = mkstemp(fresh);
    if (fd < 0)
        return -errno;
    int err = write_whole(fd, text, len);
    if (close(fd) != 0 && err == 0)
        err = -errno;
    if (err == 0 && rename(fresh, path) != 0)
        err = -errno;
    if (err < 0)
        unlink(fresh);
    return err;
}
