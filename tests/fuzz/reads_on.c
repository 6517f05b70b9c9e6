/* A target that reads one byte past the end of inputs that are longer than any prefix which the driver tries: the
 * sanitizer is to see it. */
#include "fuzz.h"

enum { LONG = 512 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    volatile uint8_t byte = 0;
    if (size > LONG)
        byte = data[size];
    return byte & 0;
}
