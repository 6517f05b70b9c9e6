/* Reads what DHCP clients and the resolver leave behind. Invariant: a URL that comes out is http or https, and printable. */
#include "wpad.h"

#include "core/hex.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool take_url(const char *text, size_t len, char url[static WPAD_URL_MAX])
{
    while (len > 0 && (text[len - 1] == '\0' || text[len - 1] == '\n' || text[len - 1] == ' '))
        len--; /* some servers end it with one of these */
    if (len >= WPAD_URL_MAX || len < 8 ||
        (strncasecmp(text, "http://", 7) != 0 && strncasecmp(text, "https://", 8) != 0))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    }
    memcpy(url, text, len);
    url[len] = '\0';
    return true;
}

/* "68747470..." and "68:74:74:70:..." (where leading zeroes may be missing). */
static bool take_hex(const char *text, size_t len, char url[static WPAD_URL_MAX])
{
    char out[WPAD_URL_MAX];
    size_t n = 0, i = 0;
    while (i < len && n < sizeof out) {
        int high = hex_digit(text[i]), low = i + 1 < len ? hex_digit(text[i + 1]) : -1;
        if (high < 0)
            return false;
        out[n++] = (char)(low < 0 ? high : high * 16 + low);
        i += low < 0 ? 1 : 2;
        if (i < len && text[i] == ':')
            i++;
    }
    return i >= len && take_url(out, n, url);
}

/* A value: quoted, hexadecimal, or as it is. */
static bool take_value(const char *text, size_t len, char url[static WPAD_URL_MAX])
{
    while (len > 0 && strchr(" \t\r;", text[len - 1]))
        len--;
    while (len > 0 && (*text == ' ' || *text == '\t')) {
        text++;
        len--;
    }
    if (len >= 2 && text[0] == '"' && text[len - 1] == '"')
        return take_url(text + 1, len - 2, url);
    return take_url(text, len, url) || take_hex(text, len, url);
}

static bool starts(const char *line, size_t len, const char *word)
{
    size_t n = strlen(word);
    return len > n && strncasecmp(line, word, n) == 0;
}

static bool read_line(const char *line, size_t len, char url[static WPAD_URL_MAX])
{
    static const char *const names[] = {"option wpad ",
                                        "option wpad-url ",
                                        "option wpad-proxy-url ",
                                        "option auto-proxy-config ",
                                        "option proxy-autodiscovery ",
                                        "option option-252 ",
                                        "option unknown-252 ",
                                        "option private-252 ",
                                        "OPTION_252=",
                                        "WPAD=",
                                        "private_252=",
                                        "unknown_252="};
    while (len > 0 && (*line == ' ' || *line == '\t')) {
        line++;
        len--;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (starts(line, len, names[i]))
            return take_value(line + strlen(names[i]), len - strlen(names[i]), url);
    }
    return false;
}

bool wpad_from_lease(const char *text, char url[static WPAD_URL_MAX])
{
    bool found = false;
    while (*text) {
        size_t len = strcspn(text, "\n");
        char read[WPAD_URL_MAX];
        if (read_line(text, len, read)) {
            memcpy(url, read, sizeof read);
            found = true;
        }
        text += len + (text[len] == '\n');
    }
    return found;
}

/* The first word after `key` on a line of the text. */
static bool word_after(const char *text, const char *key, char *out, size_t cap)
{
    size_t key_len = strlen(key);
    bool found = false;
    while (*text) {
        size_t len = strcspn(text, "\n");
        if (len > key_len && strncmp(text, key, key_len) == 0 &&
            (text[key_len] == ' ' || text[key_len] == '\t')) {
            const char *word = text + key_len + strspn(text + key_len, " \t");
            size_t n = strcspn(word, " \t\r\n");
            if (n > 0 && n < cap) {
                memcpy(out, word, n);
                out[n] = '\0';
                found = true; /* the last line counts, as with the resolver */
            }
        }
        text += len + (text[len] == '\n');
    }
    return found;
}

bool wpad_domain(const char *resolv_conf, char domain[static WPAD_DOMAIN_MAX + 1])
{
    return word_after(resolv_conf, "search", domain, WPAD_DOMAIN_MAX + 1) ||
           word_after(resolv_conf, "domain", domain, WPAD_DOMAIN_MAX + 1);
}

bool wpad_url_of_domain(const char *domain, char url[static WPAD_URL_MAX])
{
    static const char *const nobodys[] = {"local", "localdomain", "localhost", "invalid"};
    size_t len = strlen(domain);
    if (len > 0 && domain[len - 1] == '.')
        len--;
    if (len == 0 || len > WPAD_DOMAIN_MAX || domain[0] == '.')
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = (char)(domain[i] | 0x20);
        if (!(c >= 'a' && c <= 'z') && !(domain[i] >= '0' && domain[i] <= '9') && domain[i] != '-' &&
            domain[i] != '.' && domain[i] != '_')
            return false;
    }
    for (size_t i = 0; i < sizeof nobodys / sizeof nobodys[0]; i++) {
        if (len == strlen(nobodys[i]) && strncasecmp(domain, nobodys[i], len) == 0)
            return false;
    }
    snprintf(url, WPAD_URL_MAX, "http://wpad.%.*s/wpad.dat", (int)len, domain);
    return true;
}
