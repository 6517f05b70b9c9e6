/* link: berth_agent_core */
/* The file in which networks are remembered: its bound, its end, and what isn't a file of ours. */
#include "check.h"

#include "agent/network_memory.h"
#include "sys/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NOW_US = 1000000, LATER_US = 9000000, PATH_TRIED = 5000 };

static char folder[64], path[96];

static int make_folder(void **state)
{
    snprintf(folder, sizeof folder, "/tmp/berth-memory-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/networks", folder);
    return 0;
}

static int remove_folder(void **state)
{
    unlink(path);
    return rmdir(folder); /* nothing else was left in it */
}

static struct known_network network(unsigned local, unsigned id, int64_t until_us)
{
    struct known_network k = {.until_wall_us = until_us};
    snprintf(k.local, sizeof k.local, "%032x", local);
    snprintf(k.id, sizeof k.id, "%032x", id);
    return k;
}

static void add(unsigned local, unsigned id, int64_t until_us, int64_t now_us)
{
    const struct known_network k = network(local, id, until_us);
    assert_int_equal(network_memory_add(path, &k, now_us), 0);
}

/* What is remembered of it, or -1. */
static long found(unsigned local, int64_t now_us)
{
    struct known_network k = network(local, 0, 0);
    char text[NETWORK_ID_TEXT_LEN];
    memcpy(text, k.local, sizeof text);
    return network_memory_find(path, text, now_us, &k) == 0 ? strtol(k.id, NULL, 16) : -1;
}

static void the_newest_of_a_network_is_found_while_it_lives(void **state)
{
    struct stat st;
    assert_int_equal(found(1, NOW_US), -1); /* no file */
    add(1, 11, LATER_US, NOW_US);
    add(2, 12, LATER_US + 5, NOW_US);
    add(1, 13, LATER_US, NOW_US);
    assert_int_equal(found(1, NOW_US), 13);
    assert_int_equal(found(2, LATER_US), 12);
    assert_int_equal(found(1, LATER_US), -1);
    assert_int_equal(found(3, NOW_US), -1);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void the_one_that_ends_first_makes_room(void **state)
{
    for (unsigned i = 1; i <= NETWORK_MEMORY_MAX; i++)
        add(i, i + 100, LATER_US + (i == 7 ? -1 : (int64_t)i), NOW_US);
    for (unsigned i = 1; i <= NETWORK_MEMORY_MAX; i++)
        assert_int_equal(found(i, NOW_US), i + 100);
    add(999, 1099, LATER_US, NOW_US);
    assert_int_equal(found(999, NOW_US), 1099);
    assert_int_equal(found(7, NOW_US), -1);
    assert_int_equal(found(8, NOW_US), 108);
    add(1000, 1100, 2 * LATER_US, LATER_US + 1000); /* all others have ended */
    assert_int_equal(found(1000, LATER_US + 1000), 1100);
    assert_int_equal(found(8, NOW_US), -1);
}

static void other_lines_count_for_nothing(void **state)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "\n#\n%032x %032x\n%032x %032x 99x\n%032x %032x 9000000 more\n%031x %032x 9000000\n", 1, 2, 1,
            2, 1, 2, 1, 2);
    fprintf(f, "%0300d\n%032x zz%030x 9000000\n%032x %032x 9000000\n", 5, 1, 2, 4, 14);
    fclose(f);
    assert_int_equal(found(1, NOW_US), -1);
    assert_int_equal(found(4, NOW_US), 14);
}

static void what_cannot_be_written_is_told(void **state)
{
    struct known_network k = network(1, 2, LATER_US);
    char beside[PATH_TRIED];
    snprintf(beside, sizeof beside, "%s/absent/networks", folder);
    assert_int_equal(network_memory_add(beside, &k, NOW_US), -ENOENT);
    memset(beside, 'x', sizeof beside);
    beside[0] = '/';
    beside[sizeof beside - 1] = '\0';
    assert_int_equal(network_memory_add(beside, &k, NOW_US), -ENAMETOOLONG);
    k.id[3] = 'Z';
    assert_int_equal(network_memory_add(path, &k, NOW_US), -EINVAL);
}

/* Nothing waits, nothing is read without end, and nothing takes its place. */
static void what_is_no_file_is_left_alone(void **state)
{
    static const char *const devices[] = {"/dev/zero", "/dev/full", "/dev/null"};
    const struct known_network k = network(1, 11, LATER_US);
    struct known_network got;
    struct stat st;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(network_memory_find(devices[i], k.local, NOW_US, &got), -ENOENT);
        assert_int_equal(network_memory_add(devices[i], &k, NOW_US), -EINVAL);
        assert_int_equal(stat(devices[i], &st), 0);
        assert_true(S_ISCHR(st.st_mode));
    }
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(found(1, NOW_US), -1);
    assert_int_equal(network_memory_add(path, &k, NOW_US), -EINVAL);
    unlink(path);
    add(1, 11, LATER_US, NOW_US); /* of a large one the beginning counts */
    assert_int_equal(truncate(path, (off_t)1 << 34), 0);
    assert_int_equal(found(1, NOW_US), 11);
    add(2, 22, LATER_US, NOW_US);
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_size < 1000);
    assert_int_equal(found(1, NOW_US), 11);
}

static void put_aged(const char *name, int64_t age_s)
{
    char beside[160];
    const struct timespec then = {.tv_sec = (time_t)(clock_wall_us() / 1000000 - age_s)};
    const struct timespec times[2] = {then, then};
    snprintf(beside, sizeof beside, "%s/%s", folder, name);
    int fd = open(beside, O_CREAT | O_EXCL | O_WRONLY, 0600);
    assert_true(fd >= 0);
    assert_int_equal(futimens(fd, times), 0);
    close(fd);
}

/* True: it was there; now it isn't. */
static bool take_away(const char *name)
{
    char beside[160];
    snprintf(beside, sizeof beside, "%s/%s", folder, name);
    return unlink(beside) == 0;
}

/* Whoever is killed before the new file has its name leaves that behind; another's that is being written stays, and
 * what isn't of ours. */
static void what_was_left_behind_goes(void **state)
{
    static const char *const others[] = {"networks.new-1234567", "networks.new-12345", "networks.backup",
                                         "networks", "network.new-aB3456"};
    put_aged("networks.new-aB3456", 3600);
    put_aged("networks.new-cD3456", 0);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        put_aged(others[i], 3600);
    add(1, 11, LATER_US, NOW_US);
    assert_int_equal(found(1, NOW_US), 11);
    assert_false(take_away("networks.new-aB3456"));
    assert_true(take_away("networks.new-cD3456"));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_true(take_away(others[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_newest_of_a_network_is_found_while_it_lives, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(the_one_that_ends_first_makes_room, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(other_lines_count_for_nothing, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(what_cannot_be_written_is_told, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(what_is_no_file_is_left_alone, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(what_was_left_behind_goes, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
