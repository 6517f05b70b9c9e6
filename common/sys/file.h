/* Files that somebody has named, read whole: regular ones alone, and of a size. Nothing waits, whatever a name leads
 * to: a FIFO that nobody writes into would hold up who opens it, and a device may have no end. */
#ifndef BERTH_SYS_FILE_H
#define BERTH_SYS_FILE_H

#include <stddef.h>
#include <sys/types.h>

enum { FILE_TEXT_MAX = 4 * 1024 * 1024 }; /* bytes of a file of configuration or of certificates */

/* The beginning of a regular file, as much of it as fits: its bytes; -ENOTSUP: no regular file; -errno. */
ssize_t file_read(const char *path, char *out, size_t cap) __attribute__((warn_unused_result));
/* All of a regular file: its bytes, with a NUL behind them that isn't counted, in memory that is to be freed.
 * -EFBIG: more than `max`; -ENOTSUP: no regular file; -errno. */
ssize_t file_read_whole(const char *path, size_t max, char **text) __attribute__((warn_unused_result));
/* The first line without its end: its length, 0 where it is empty; -EMSGSIZE: it doesn't fit; else as above. */
ssize_t file_read_line(const char *path, char *out, size_t cap) __attribute__((warn_unused_result));
/* What a failure of these means, for people. Static text, or strerror's. */
const char *file_error(ssize_t error);

#endif
