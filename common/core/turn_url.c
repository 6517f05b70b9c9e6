/* What may be handed out with TURN credentials. Invariant: nothing but a scheme of RFC 7064 or RFC 7065 is taken. */
#include "turn_url.h"

#include <stddef.h>
#include <string.h>

bool turn_url_valid(const char *text)
{
    static const char *const schemes[] = {"turn:", "turns:", "stun:", "stuns:"};
    if (strlen(text) > TURN_URL_MAX)
        return false;
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t n = strlen(schemes[i]);
        if (strncmp(text, schemes[i], n) == 0 && text[n] != '\0')
            return true;
    }
    return false;
}
