/* Parameters of statements, as text or in binary. Invariant: nothing here fails, or needs a connection. */
#include "db_param.h"

#include <h2o.h>
#include <string.h>

struct db_param db_text(const char *s)
{
    return (struct db_param){.value = s};
}

struct db_param db_bytes(const void *p, size_t len)
{
    return (struct db_param){.value = p, .len = len, .binary = true};
}

struct db_param db_i64(char buf[static 24], int64_t v)
{
    uint64_t left = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    char *p = buf + 23;

    *p = '\0';
    do
        *--p = (char)('0' + left % 10);
    while ((left /= 10) > 0);
    if (v < 0)
        *--p = '-';
    memmove(buf, p, (size_t)(buf + 24 - p));
    return db_text(buf);
}

struct db_param db_bool(bool v)
{
    return db_text(v ? "t" : "f");
}

struct db_param db_text_array(h2o_mem_pool_t *pool, const char *const *v, size_t n)
{
    size_t len = 3;
    char *buf, *p;

    for (size_t i = 0; i < n; i++)
        len += v[i] == NULL ? 5 : strlen(v[i]) * 2 + 3;
    buf = h2o_mem_alloc_pool(pool, len);
    p = buf;
    *p++ = '{';
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            *p++ = ',';
        if (v[i] == NULL) {
            memcpy(p, "NULL", 4);
            p += 4;
            continue;
        }
        *p++ = '"';
        for (const char *s = v[i]; *s != '\0'; s++) {
            if (*s == '"' || *s == '\\')
                *p++ = '\\';
            *p++ = *s;
        }
        *p++ = '"';
    }
    *p++ = '}';
    *p = '\0';
    return db_text(buf);
}
