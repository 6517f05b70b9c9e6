/* link: berth_load_parts */
/* A file of legs where memory ends. */
#include "check.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void *no_memory(size_t n, size_t size)
{
    (void)n;
    (void)size;
    return NULL;
}

#include "loadtest/slurp.c"
#define calloc no_memory
#include "loadtest/media_legs_file.c"
#undef calloc

static void no_memory_is_said(void **state)
{
    char path[] = "/tmp/berth-legs-XXXXXX";
    struct media_shape shape;
    struct keyed_plan *plans = NULL;
    struct replay_error e;
    FILE *f = fdopen(mkstemp(path), "w");
    assert_non_null(f);
    fputs("{\"suite\": \"gcm\", \"participants\": 2, \"legs\": [{}, {}]}", f);
    assert_int_equal(fclose(f), 0);
    memset(&e, 'x', sizeof e);
    assert_int_equal(media_legs_file_read(path, 2, &shape, &plans, &e), -ENOMEM);
    unlink(path);
    assert_null(plans);
    assert_memory_equal(e.text, path, strlen(path));
    assert_string_equal(e.text + strlen(path), ": out of memory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_memory_is_said)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
