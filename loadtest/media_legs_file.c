/* Reads a file of legs. Invariant: nothing is taken of a file that isn't right as a whole. */
#include "media_legs_file.h"

#include "slurp.h"

#include <errno.h>
#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static int read_address(const json_t *leg, const char *member, struct addr *out)
{
    const char *text = json_string_value(json_object_get(leg, member));
    return text && addr_parse(out, text) == 0 ? 0 : -EINVAL;
}

static int read_keys(const json_t *leg, const char *member, enum srtp_suite suite, struct srtp_keys *out)
{
    const char *text = json_string_value(json_object_get(leg, member));
    size_t len = 0, wanted = suite == SRTP_AES_128_GCM ? 28 : 30;
    if (!text || sodium_hex2bin(out->bytes, sizeof out->bytes, text, strlen(text), NULL, &len, NULL) != 0)
        return -EINVAL;
    return len == wanted ? 0 : -EINVAL;
}

static int read_leg(const json_t *j, enum srtp_suite suite, struct keyed_plan *p)
{
    p->suite = suite;
    if (read_address(j, "local", &p->local) < 0 || read_address(j, "remote", &p->remote) < 0 ||
        read_keys(j, "send", suite, &p->sends) < 0 || read_keys(j, "receive", suite, &p->receives) < 0)
        return -EINVAL;
    return p->local.family == p->remote.family ? 0 : -EINVAL;
}

static int read_suite(const json_t *file, enum srtp_suite *out)
{
    const char *text = json_string_value(json_object_get(file, "suite"));
    if (!text || (strcmp(text, "gcm") != 0 && strcmp(text, "cm") != 0))
        return -EINVAL;
    *out = *text == 'g' ? SRTP_AES_128_GCM : SRTP_AES_CM_128_SHA1_80;
    return 0;
}

static int read_legs(const json_t *file, const char *path, size_t legs_max, struct media_shape *shape,
                     struct keyed_plan **out, struct replay_error *e)
{
    enum srtp_suite suite;
    const json_t *legs = json_object_get(file, "legs");
    size_t n = json_array_size(legs);
    json_int_t participants = json_integer_value(json_object_get(file, "participants"));
    if (read_suite(file, &suite) < 0)
        return replay_fail(e, path, 0, "\"suite\" is \"gcm\" or \"cm\"");
    if (n == 0 || n > legs_max || participants < 2 || n % (size_t)participants != 0)
        return replay_fail(e, path, 0, "\"legs\" is a list of 1 to %zu, a multiple of \"participants\"",
                           legs_max);
    struct keyed_plan *plans = calloc(n, sizeof *plans);
    if (!plans) {
        replay_fail(e, path, 0, "out of memory");
        return -ENOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        if (read_leg(json_array_get(legs, i), suite, &plans[i]) < 0) {
            free(plans);
            return replay_fail(e, path, 0, "leg %zu has no right addresses and keys", i + 1);
        }
    }
    *shape = (struct media_shape){n / (size_t)participants, (size_t)participants};
    *out = plans;
    return 0;
}

int media_legs_file_read(const char *path, size_t legs_max, struct media_shape *shape,
                         struct keyed_plan **out, struct replay_error *e)
{
    json_t *j = NULL;
    int err = slurp_json(path, &j, e);
    if (err == 0)
        err = read_legs(j, path, legs_max, shape, out, e);
    json_decref(j);
    return err;
}
