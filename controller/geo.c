/* Countries by libmaxminddb. Invariant: what is answered is two capital letters or nothing, whatever the file holds. */
#include "geo.h"

#include "sys/file.h"
#include "sys/sockaddr.h"

#include <errno.h>
#include <maxminddb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct geo {
    MMDB_s db;
};

/* Whether the file speaks of countries at all: its type ends in Country, City, Enterprise or the like, or says so in
 * words; a file of autonomous systems has none, which would be noticed by nobody. */
static bool has_countries(const MMDB_s *db)
{
    const char *type = db->metadata.database_type;
    static const char *const others[] = {"ASN", "ISP", "Domain", "Connection-Type", "Anonymous-IP"};

    for (size_t i = 0; type != NULL && i < sizeof(others) / sizeof(others[0]); i++) {
        if (strstr(type, others[i]) != NULL)
            return false;
    }
    return type != NULL;
}

int geo_open(struct geo **out, const char *path, char *error, size_t cap)
{
    struct geo *g = calloc(1, sizeof(*g));
    ssize_t readable;
    int r;

    if (g == NULL) {
        snprintf(error, cap, "out of memory");
        return -ENOMEM;
    }
    readable = file_read(path, NULL, 0);
    if (readable < 0) {
        snprintf(error, cap, "%s: %s", path, file_error(readable));
        free(g);
        return (int)readable;
    }
    r = MMDB_open(path, MMDB_MODE_MMAP, &g->db);
    if (r != MMDB_SUCCESS) {
        bool missing = r == MMDB_FILE_OPEN_ERROR;

        snprintf(error, cap, "%s: %s", path, missing ? strerror(errno) : MMDB_strerror(r));
        free(g);
        return missing ? -ENOENT : -EINVAL;
    }
    if (!has_countries(&g->db)) {
        snprintf(error, cap, "%s: a database of type %s has no countries", path,
                 g->db.metadata.database_type);
        geo_close(g);
        return -EINVAL;
    }
    *out = g;
    return 0;
}

void geo_close(struct geo *g)
{
    if (g == NULL)
        return;
    MMDB_close(&g->db);
    free(g);
}

static bool look_up(const struct geo *g, const struct addr *a, char *out)
{
    struct sockaddr_storage ss;
    MMDB_lookup_result_s found;
    MMDB_entry_data_s v;
    int e = 0;

    if (a->family == ADDR_V6 && g->db.metadata.ip_version == 4)
        return false;
    (void)sockaddr_from_addr(&ss, a);
    found = MMDB_lookup_sockaddr(&g->db, (const struct sockaddr *)&ss, &e);
    if (e != MMDB_SUCCESS || !found.found_entry ||
        MMDB_get_value(&found.entry, &v, "country", "iso_code", NULL) != MMDB_SUCCESS || !v.has_data ||
        v.type != MMDB_DATA_TYPE_UTF8_STRING || v.data_size != COUNTRY_LEN)
        return false;
    for (size_t i = 0; i < COUNTRY_LEN; i++) {
        if (v.utf8_string[i] < 'A' || v.utf8_string[i] > 'Z')
            return false;
    }
    memcpy(out, v.utf8_string, COUNTRY_LEN);
    out[COUNTRY_LEN] = '\0';
    return true;
}

void geo_country_of(const struct geo *g, const struct addr *a, size_t n, char out[static COUNTRY_LEN + 1])
{
    out[0] = '\0';
    for (size_t i = 0; g != NULL && i < n; i++) {
        struct addr bare = a[i];

        addr_unmap(&bare);
        if (addr_is_set(&bare) && look_up(g, &bare, out))
            return;
    }
}
