/* RTP: what parses lies within its packet, every extension within the extensions; what is written is read. */
#include "fuzz.h"
#include "media/rtp.h"

static void check_extensions(const struct rtp *r, const uint8_t *p)
{
    for (unsigned id = 0; id <= UINT8_MAX; id++) {
        size_t len = 0;
        bool voice = false;
        const uint8_t *value = rtp_extension(r, p, (uint8_t)id, &len);
        int level = rtp_audio_level(r, p, (uint8_t)id, &voice);
        FUZZ_CHECK((level >= 0) == (value && len > 0) && level <= RTP_AUDIO_LEVEL_SILENT);
        if (!value)
            continue;
        FUZZ_CHECK(id != 0 && r->ext_len > 0);
        FUZZ_CHECK(value >= p + r->ext_offset && value + len <= p + r->ext_offset + r->ext_len);
    }
}

static void check_writing(const struct rtp *r)
{
    uint8_t out[RTP_HEADER_LEN + 8];
    struct rtp again;
    bool voice = false;
    FUZZ_CHECK(rtp_write_level(out, r, 5, true, 99) == sizeof out);
    rtp_set_sequence(out, (uint16_t)(r->sequence + 1));
    FUZZ_CHECK(rtp_parse(&again, out, sizeof out) == 0);
    FUZZ_CHECK(again.payload_type == r->payload_type && again.marker == r->marker && again.ssrc == r->ssrc);
    FUZZ_CHECK(again.timestamp == r->timestamp && rtp_sequence_distance(again.sequence, r->sequence) == 1);
    FUZZ_CHECK(rtp_audio_level(&again, out, 5, &voice) == 99 && voice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rtp r, whole;
    enum packet_kind kind = packet_kind(data, size);
    if (rtp_parse_protected(&whole, data, size) < 0) {
        FUZZ_CHECK(rtp_parse(&r, data, size) < 0);
        return 0;
    }
    FUZZ_CHECK(kind == PACKET_RTP || kind == PACKET_RTCP);
    FUZZ_CHECK(whole.header_len >= RTP_HEADER_LEN && whole.header_len + whole.payload_len == size);
    FUZZ_CHECK(whole.ext_offset + whole.ext_len <= whole.header_len);
    check_extensions(&whole, data);
    check_writing(&whole);
    if (rtp_parse(&r, data, size) == 0)
        FUZZ_CHECK(r.header_len == whole.header_len && r.payload_len <= whole.payload_len);
    return 0;
}
