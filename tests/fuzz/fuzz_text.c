/* Addresses, host:port and times: what is accepted is written out, read again, and is the same. */
#include "core/addr.h"
#include "core/timefmt.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    char out[ADDR_TEXT_LEN], time_out[TIME_TEXT_LEN], host[HOST_MAX + 1];
    struct addr a, again;
    int64_t us, us_again;
    uint16_t port;
    if (addr_parse(&a, text) == 0) {
        FUZZ_CHECK(addr_parse(&again, addr_format(&a, out)) == 0 && addr_eq(&a, &again));
        FUZZ_CHECK(addr_cmp(&a, &again) == 0);
    }
    if (addr_parse_ip(&a, text) == 0) {
        FUZZ_CHECK(addr_parse_ip(&again, addr_format_ip(&a, out)) == 0 && addr_eq(&a, &again));
        for (unsigned bits = 0; bits <= 128; bits++) {
            struct addr prefix = addr_prefix(&a, bits), twice = addr_prefix(&prefix, bits);
            FUZZ_CHECK(addr_eq(&prefix, &twice));
        }
    }
    if (host_port_parse(text, 1, host, &port) == 0)
        FUZZ_CHECK(host[0] != '\0' && strlen(host) <= HOST_MAX);
    if (time_parse(text, &us) == 0)
        FUZZ_CHECK(time_parse(time_format(us, time_out), &us_again) == 0 && us == us_again);
    free(text);
    return 0;
}
