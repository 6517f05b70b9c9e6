/* The end of a secret. Invariant: its bytes are gone before its memory is anybody else's. */
#include "sys/secret.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

void secret_free(char *text)
{
    if (text)
        sodium_memzero(text, strlen(text));
    free(text);
}
