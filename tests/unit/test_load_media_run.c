/* link: berth_load_parts berth_path */
/* A load of media on loopback whose sockets can't be looked at any more: what it says then. */
#include "check.h"

#include "probe/sys.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

static int looks_left;

static int look(struct sys_poller *p)
{
    return looks_left-- > 0 ? sys_poller_dispatch(p) : -EBADF;
}

#define sys_poller_dispatch look
#include "loadtest/keyed_leg.c"
#include "loadtest/media_load.c"
#include "loadtest/process_memory.c"

static struct addr loopback(uint16_t port)
{
    return (struct addr){.family = ADDR_V4, .ip = {127, 0, 0, 1}, .port = port};
}

/* Two legs, on ports that the kernel chooses: nobody hears anybody. */
static int run_with(int looks, struct addr local, char why[static MEDIA_LOAD_TEXT])
{
    const struct keyed_plan plans[2] = {{.local = loopback(0), .remote = loopback(9)},
                                        {.local = local, .remote = loopback(9)}};
    const struct media_load_opts opts = {
        .shape = {1, 2}, .senders = 2, .seconds = 1, .streams[MEDIA_AUDIO] = {50, 172}, .keyed = plans};
    static struct media_load_result result;
    memset(why, 'x', MEDIA_LOAD_TEXT);
    looks_left = looks;
    return media_load_run(&opts, &result, why);
}

static void what_fails_later_is_what_is_said(void **state)
{
    char why[MEDIA_LOAD_TEXT];
    assert_int_equal(run_with(5, loopback(0), why), -EBADF);
    assert_string_equal(why, "no sockets or memory for the load: Bad file descriptor");
}

static void a_leg_that_cant_be_opened_is_named(void **state)
{
    char why[MEDIA_LOAD_TEXT];
    const struct addr elsewhere = {.family = ADDR_V4, .ip = {192, 0, 2, 1}};
    assert_int_equal(run_with(5, elsewhere, why), -EADDRNOTAVAIL);
    assert_string_equal(why, "leg 2: Cannot assign requested address");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fails_later_is_what_is_said),
        cmocka_unit_test(a_leg_that_cant_be_opened_is_named),
    };
    return sodium_init() < 0 || srtp_leg_library() < 0 || cmocka_run_group_tests(tests, NULL, NULL);
}
