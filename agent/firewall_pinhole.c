/* Silences to try, and what they say. Invariant: at_least_s < less_than_s where both are known. */
#include "firewall_pinhole.h"

size_t pinhole_plan(struct pinhole_sample out[static PINHOLE_SAMPLES], int64_t limit_s)
{
    int64_t silence = 0;
    size_t n = 0;
    for (size_t i = 1; i <= PINHOLE_SAMPLES;
         i++) { /* quadratic: a tenth of the limit is known to a few per cent */
        int64_t next = limit_s * (int64_t)(i * i) / (PINHOLE_SAMPLES * PINHOLE_SAMPLES);
        next = next > silence ? next : silence + 1;
        if (next > limit_s)
            break;
        silence = next;
        out[n++] = (struct pinhole_sample){.silence_s = silence};
    }
    return n;
}

struct pinhole_found pinhole_judge(const struct pinhole_sample *s, size_t n, enum pinhole_method method)
{
    struct pinhole_found f = {-1, -1};
    for (size_t i = 0; i < n; i++) {
        if (s[i].state == PINHOLE_CLOSED && (f.less_than_s < 0 || s[i].silence_s < f.less_than_s))
            f.less_than_s = s[i].silence_s;
    }
    if (f.less_than_s < 0 && method != PINHOLE_BY_RESPONSE_PORT)
        return f; /* a NAT that gives the same port again looks just so */
    for (size_t i = 0; i < n; i++) {
        if (s[i].state == PINHOLE_OPEN && s[i].silence_s > f.at_least_s &&
            (f.less_than_s < 0 || s[i].silence_s < f.less_than_s))
            f.at_least_s = s[i].silence_s;
    }
    return f;
}
