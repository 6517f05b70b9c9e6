/* link: berth_controller_lib */
/* Which of a connection string's hosts is asked first, attempt after attempt. */
#include "check.h"

#include "db_hosts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *value(const struct db_hosts *h, const char *key)
{
    const char *found = NULL;
    for (size_t i = 0; h->keys[i] != NULL; i++)
        if (strcmp(h->keys[i], key) == 0)
            found = h->values[i];
    return found;
}

static void check(const char *conninfo, size_t turn, size_t n, const char *host, const char *port)
{
    struct db_hosts h;
    db_hosts_params(&h, conninfo, turn);
    assert_int_equal(h.n, n);
    assert_string_equal(value(&h, "dbname"), conninfo);
    host ? assert_string_equal(value(&h, "host"), host) : assert_null(value(&h, "host"));
    port ? assert_string_equal(value(&h, "port"), port) : assert_null(value(&h, "port"));
}

static void hosts_take_turns(void **state)
{
    static const char url[] = "postgresql://u:p@a:1,b:2,[::1]:3/d?target_session_attrs=read-write";
    check(url, 0, 3, "a,b,::1", "1,2,3");
    check(url, 1, 3, "b,::1,a", "2,3,1");
    check(url, 2, 3, "::1,a,b", "3,1,2");
    check(url, 3, 3, "a,b,::1", "1,2,3");
    check("host=a,b port=5432 dbname=d", 1, 2, "b,a", NULL); /* one port is everybody's */
}

static void one_host_stays(void **state)
{
    check("postgresql://u@a:1/d", 5, 1, NULL, NULL);
    check("host=a", 1, 1, NULL, NULL);
    check("dbname", 1, 1, NULL, NULL);
    check("", 1, 1, NULL, NULL);
    check("nonsense=1 host=a,b", 1, 1, NULL, NULL); /* libpq says what is wrong with it */
}

static void addresses_turn_with_their_hosts(void **state)
{
    struct db_hosts h;
    db_hosts_params(&h, "host=a,b hostaddr=192.0.2.1,192.0.2.2 port=1,2", 1);
    assert_string_equal(value(&h, "host"), "b,a");
    assert_string_equal(value(&h, "hostaddr"), "192.0.2.2,192.0.2.1");
    assert_string_equal(value(&h, "port"), "2,1");
    assert_int_equal(db_hosts_timeout_us(&h, 5000000), DB_HOST_TIMEOUT_US);
    assert_int_equal(db_hosts_timeout_us(&h, 1000), 1000);
    db_hosts_params(&h, "host=a", 0);
    assert_int_equal(db_hosts_timeout_us(&h, 5000000), 5000000);
}

/* More than there is room for: nothing is turned, and it is libpq's order. */
static void past_the_bound(void **state)
{
    char *text = calloc(1, 3 * DB_HOSTS_TEXT);
    assert_non_null(text);
    strcpy(text, "host=");
    for (size_t i = 0; i < DB_HOSTS_TEXT; i++)
        strcat(text, "a,");
    strcat(text, "b");
    check(text, 1, 1, NULL, NULL);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_take_turns),
        cmocka_unit_test(one_host_stays),
        cmocka_unit_test(addresses_turn_with_their_hosts),
        cmocka_unit_test(past_the_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
