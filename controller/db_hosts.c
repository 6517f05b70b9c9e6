/* Turns the lists of a connection string. Invariant: hosts, addresses and ports are turned together, or none of them is. */
#include "db_hosts.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static size_t count(const char *list)
{
    size_t n = list != NULL && *list != '\0';

    for (const char *p = list; n > 0 && *p != '\0'; p++)
        n += *p == ',';
    return n;
}

/* "a,b,c" by 1 is "b,c,a". False: there is no room. */
static bool turn_list(char out[static DB_HOSTS_TEXT], const char *list, size_t by)
{
    const char *from = list;

    for (size_t i = 0; i < by; i++)
        from = strchr(from, ',') + 1;
    return snprintf(out, DB_HOSTS_TEXT, "%s%s%.*s", from, by > 0 ? "," : "",
                    by > 0 ? (int)(from - list - 1) : 0, list) < DB_HOSTS_TEXT;
}

static const char *value_of(const PQconninfoOption *options, const char *keyword)
{
    for (; options->keyword != NULL; options++)
        if (strcmp(options->keyword, keyword) == 0)
            return options->val;
    return NULL;
}

static void add(struct db_hosts *h, size_t *n, const char *key, const char *value)
{
    h->keys[*n] = key;
    h->values[(*n)++] = value;
}

static void turn_all(struct db_hosts *h, size_t *n, const PQconninfoOption *options, size_t turn)
{
    static const char *const keys[] = {"host", "hostaddr", "port"};
    char *const texts[] = {h->host, h->hostaddr, h->port};
    size_t hosts = count(value_of(options, "hostaddr"));

    if (hosts == 0)
        hosts = count(value_of(options, "host"));
    if (hosts < 2)
        return;
    for (size_t i = 0; i < 3; i++) {
        const char *list = value_of(options, keys[i]);
        if (count(list) == hosts && !turn_list(texts[i], list, turn % hosts))
            return;
    }
    h->n = hosts;
    for (size_t i = 0; i < 3; i++)
        if (count(value_of(options, keys[i])) == hosts)
            add(h, n, keys[i], texts[i]);
}

void db_hosts_params(struct db_hosts *h, const char *conninfo, size_t turn)
{
    PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
    size_t n = 0;

    h->n = 1;
    add(h, &n, "dbname", conninfo);
    add(h, &n, "client_encoding", "UTF8");
    add(h, &n, "application_name", "berth-controller");
    add(h, &n, "tcp_user_timeout", "5000");
    if (options != NULL)
        turn_all(h, &n, options, turn);
    add(h, &n, NULL, NULL);
    PQconninfoFree(options);
}

int64_t db_hosts_timeout_us(const struct db_hosts *h, int64_t most)
{
    return h->n > 1 && most > DB_HOST_TIMEOUT_US ? DB_HOST_TIMEOUT_US : most;
}
