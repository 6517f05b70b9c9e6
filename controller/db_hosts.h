/* Which of a connection string's hosts is asked first. libpq asks them in order and goes on to the next when one
 * refuses, but who gives up on one that doesn't answer at all would begin with it again, and never come to the
 * others. */
#ifndef BERTH_CONTROLLER_DB_HOSTS_H
#define BERTH_CONTROLLER_DB_HOSTS_H

#include <stddef.h>
#include <stdint.h>

enum {
    DB_HOSTS_TEXT = 2048,
    DB_HOSTS_PARAMS = 8,
    DB_HOST_TIMEOUT_US = 2 * 1000 * 1000, /* of one attempt, where another host is left */
};

/* For PQconnectStartParams with expand_dbname; points into itself and at the connection string. */
struct db_hosts {
    size_t n; /* hosts; 1 where there is one, or the string can't be read */
    const char *keys[DB_HOSTS_PARAMS], *values[DB_HOSTS_PARAMS];
    char host[DB_HOSTS_TEXT], hostaddr[DB_HOSTS_TEXT], port[DB_HOSTS_TEXT];
};

/* The parameters of `conninfo`, its hosts from the turn-th on; the turn is counted up with each attempt that fails. */
void db_hosts_params(struct db_hosts *h, const char *conninfo, size_t turn);
/* So long one attempt may take, of `most`. */
int64_t db_hosts_timeout_us(const struct db_hosts *h, int64_t most);

#endif
