/* link: berth_sys test_support */
#include "sys/file.h"

#include "support/certs.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char folder[TEST_PATH_MAX];

static int setup(void **state)
{
    (void)state;
    test_dir_make(folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    test_dir_remove(folder);
    return 0;
}

static void put(char path[static TEST_PATH_MAX], const char *text, size_t len)
{
    FILE *f = fopen(test_path(path, folder, "file"), "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static void all_of_a_file(void **state)
{
    static char large[100001];
    char path[TEST_PATH_MAX], begun[5], *text = NULL;
    (void)state;
    memset(large, 'x', sizeof(large) - 1);
    const size_t sizes[] = {0, 1, 4095, 4096, 4097, 100000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        put(path, large, sizes[i]);
        assert_int_equal(file_read_whole(path, sizes[i], &text), sizes[i]);
        assert_memory_equal(text, large, sizes[i]);
        assert_int_equal(text[sizes[i]], '\0');
        free(text);
        text = NULL;
        if (sizes[i] > 0)
            assert_int_equal(file_read_whole(path, sizes[i] - 1, &text), -EFBIG);
        assert_null(text);
    }
    assert_int_equal(file_read(path, begun, sizeof(begun)), sizeof(begun));
    ssize_t len = file_read_whole("/proc/self/status", 65536, &text); /* whose size is 0 */
    assert_non_null(text);
    assert_int_equal(len, strlen(text));
    assert_non_null(strstr(text, "VmRSS"));
    free(text);
}

/* None of them waits, or has no end. */
static void what_is_no_file(void **state)
{
    char fifo[TEST_PATH_MAX], some[16], *text = NULL;
    (void)state;
    assert_int_equal(mkfifo(test_path(fifo, folder, "fifo"), 0600), 0);
    const char *const names[] = {fifo, "/dev/zero", "/dev/tty"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        ssize_t r = file_read(names[i], some, sizeof(some));
        if (strcmp(names[i], "/dev/tty") == 0 && r == -ENXIO)
            continue; /* there is none */
        assert_int_equal(r, -ENOTSUP);
        assert_int_equal(file_read_whole(names[i], 1024, &text), -ENOTSUP);
        assert_int_equal(file_read_line(names[i], some, sizeof(some)), -ENOTSUP);
        assert_string_equal(file_error(r), "it is no regular file");
    }
    assert_int_equal(file_read(folder, some, sizeof(some)), -EISDIR);
    assert_int_equal(file_read("/nowhere/at/all", some, sizeof(some)), -ENOENT);
    assert_string_equal(file_error(-ENOENT), strerror(ENOENT));
}

static void a_line(void **state)
{
    static const struct {
        const char *text;
        ssize_t result;
    } cases[] = {{"", 0},
                 {"\n", 0},
                 {"abc", 3},
                 {"abc\n", 3},
                 {"abc\r\nmore", 3},
                 {"abcdefg\n", 7},
                 {"abcdefg", 7},
                 {"abcdefgh", -EMSGSIZE},
                 {"abcdefgh\n", -EMSGSIZE}};
    char path[TEST_PATH_MAX], out[8];
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        put(path, cases[i].text, strlen(cases[i].text));
        assert_int_equal(file_read_line(path, out, sizeof(out)), cases[i].result);
        if (cases[i].result >= 0) {
            assert_int_equal(strlen(out), cases[i].result);
            assert_memory_equal(out, cases[i].text, (size_t)cases[i].result);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_of_a_file, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_file, setup, teardown),
        cmocka_unit_test_setup_teardown(a_line, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
