/* link: berth_media */
/* AES-GCM on libcrypto makes what libsrtp makes, byte for byte, for any packet and through the rollover. */
#include "check.h"

#include "media/rtp.h"
#include "media/srtp_gcm.h"

#include <errno.h>
#include <string.h>

enum { ROOM = RTP_PACKET_MAX + SRTP_OVERHEAD };

struct pair {
    struct srtp_leg *theirs, *receiver;
    struct srtp_gcm *ours;
};

static int start(void **state)
{
    static struct pair p;
    struct srtp_keys keys, none = {{9}};
    for (size_t i = 0; i < sizeof keys.bytes; i++)
        keys.bytes[i] = (uint8_t)(31 * i + 5);
    *state = &p;
    return srtp_leg_new(&p.theirs, SRTP_AES_128_GCM, &keys, &none) == 0 &&
                   srtp_leg_new(&p.receiver, SRTP_AES_128_GCM, &none, &keys) == 0 &&
                   srtp_gcm_new(&p.ours, &keys) == 0
               ? 0
               : -1;
}

static int stop(void **state)
{
    struct pair *p = *state;
    srtp_leg_destroy(p->theirs);
    srtp_leg_destroy(p->receiver);
    srtp_gcm_destroy(p->ours);
    return 0;
}

/* `words`: CSRCs; `level`: with an extension. */
static size_t packet(uint8_t *out, uint16_t sequence, size_t csrcs, bool level, size_t payload)
{
    struct rtp r = {.payload_type = 111, .sequence = sequence, .ssrc = 0xCAFE, .timestamp = 77};
    size_t len = RTP_HEADER_LEN;
    if (level)
        len = rtp_write_level(out, &r, 1, true, 30);
    else
        rtp_write(out, &r);
    if (csrcs > 0) {
        memmove(out + RTP_HEADER_LEN + 4 * csrcs, out + RTP_HEADER_LEN, len - RTP_HEADER_LEN);
        memset(out + RTP_HEADER_LEN, 0xC5, 4 * csrcs);
        out[0] = (uint8_t)(out[0] | csrcs);
        len += 4 * csrcs;
    }
    for (size_t i = 0; i < payload; i++)
        out[len + i] = (uint8_t)(i * 7 + sequence);
    return len + payload;
}

static void test_same_bytes(void **state)
{
    struct pair *p = *state;
    _Alignas(8) uint8_t ours[ROOM], theirs[ROOM];
    uint64_t index = 3;
    const size_t payloads[] = {0, 1, 15, 16, 17, 160, 1100};
    for (size_t csrcs = 0; csrcs <= 15; csrcs += 5) {
        for (size_t k = 0; k < 2 * (sizeof payloads / sizeof payloads[0]); k++, index++) {
            size_t len = packet(ours, (uint16_t)index, csrcs, k % 2, payloads[k / 2]), len_theirs = len;
            struct rtp r;
            memcpy(theirs, ours, len);
            assert_int_equal(rtp_parse(&r, ours, len), 0);
            assert_int_equal(srtp_gcm_protect(p->ours, ours, &len, r.header_len, index), 0);
            assert_int_equal(srtp_leg_protect(p->theirs, theirs, &len_theirs), 0);
            assert_int_equal(len, len_theirs);
            assert_memory_equal(ours, theirs, len);
            assert_int_equal(srtp_leg_unprotect(p->receiver, ours, &len), 0);
        }
    }
}

static void test_rollover(void **state)
{
    struct pair *p = *state;
    _Alignas(8) uint8_t bytes[ROOM];
    for (uint64_t index = 30000; index < 3 * 65536; index += 97) {
        size_t len = packet(bytes, (uint16_t)index, 0, false, 20);
        assert_int_equal(srtp_gcm_protect(p->ours, bytes, &len, RTP_HEADER_LEN, index), 0);
        assert_int_equal(srtp_leg_unprotect(p->receiver, bytes, &len), 0);
    }
}

static void test_refused(void **state)
{
    struct pair *p = *state;
    _Alignas(8) uint8_t bytes[ROOM] = {0x80};
    size_t len = 5;
    assert_int_equal(srtp_gcm_protect(p->ours, bytes, &len, RTP_HEADER_LEN, 1), -EINVAL);
    len = 20;
    assert_int_equal(srtp_gcm_protect(p->ours, bytes, &len, 21, 1), -EINVAL);
    assert_int_equal(srtp_gcm_protect(p->ours, bytes, &len, 11, 1), -EINVAL);
    assert_int_equal(srtp_gcm_protect(p->ours, bytes, &len, 12, (uint64_t)1 << 48), -EINVAL);
    len = RTP_PACKET_MAX + 1;
    assert_int_equal(srtp_gcm_protect(p->ours, bytes, &len, 12, 1), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_same_bytes, start, stop),
        cmocka_unit_test_setup_teardown(test_rollover, start, stop),
        cmocka_unit_test_setup_teardown(test_refused, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
