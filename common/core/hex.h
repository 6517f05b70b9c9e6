/* Hexadecimal digits, one at a time: for texts that hold them among others. Whole strings are libsodium's. */
#ifndef BERTH_CORE_HEX_H
#define BERTH_CORE_HEX_H

/* 0 to 15, either case; -1: none. */
static inline int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

#endif
