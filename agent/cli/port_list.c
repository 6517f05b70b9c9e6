/* Lists and ranges of ports. Invariant: no port stands twice. */
#include "port_list.h"

#include <errno.h>
#include <stdbool.h>

/* Digits up to what isn't one; 0: no port. */
static uint32_t read_port(const char **text)
{
    uint32_t port = 0;
    for (; **text >= '0' && **text <= '9'; (*text)++)
        port = port <= UINT16_MAX ? port * 10 + (uint32_t)(**text - '0') : port;
    return port <= UINT16_MAX ? port : 0;
}

static int add(uint16_t *out, size_t *n, size_t max, uint16_t port)
{
    for (size_t i = 0; i < *n; i++) {
        if (out[i] == port)
            return 0;
    }
    if (*n == max)
        return -E2BIG;
    out[(*n)++] = port;
    return 0;
}

int port_list_parse(uint16_t *out, size_t *n, size_t max, const char *text)
{
    while (true) {
        uint32_t first = read_port(&text), last = first;
        if (*text == '-') {
            text++;
            last = read_port(&text);
        }
        if (first == 0 || last < first || (*text != ',' && *text != '\0'))
            return -EINVAL;
        for (uint32_t port = first; port <= last; port++) {
            int err = add(out, n, max, (uint16_t)port);
            if (err < 0)
                return err;
        }
        if (*text == '\0')
            return 0;
        text++;
    }
}
