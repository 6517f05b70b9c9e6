/* Text from elsewhere, made fit for a terminal. Pure. */
#ifndef BERTH_CLI_TEXT_H
#define BERTH_CLI_TEXT_H

/* Puts a '?' in place of each byte that is, or is of, a control character (C0, DEL, C1), a character that turns the
 * direction of what follows (U+202A to U+202E, U+2066 to U+2069), or no UTF-8. */
void text_clean(char *text);

#endif
