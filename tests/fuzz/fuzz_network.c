/* What a network tells an agent: DHCP leases, resolv.conf, the answers of a PAC script's process, and STUN answers
 * to questions on the firewall (by the input's first byte). URLs stay within their bounds, and no answer is read
 * beyond its end. */
#define BERTH_PAC_FOLDER "" /* nothing is run */
#include "../../agent/firewall_ask.c"
#include "../../agent/pac.c"
#include "../../agent/wpad.h"
#include "fuzz.h"

enum { QUESTIONS = 3 };

static void lease(const uint8_t *data, size_t size)
{
    char url[WPAD_URL_MAX], domain[WPAD_DOMAIN_MAX + 1], *text = fuzz_text(data, size);
    if (wpad_from_lease(text, url))
        FUZZ_CHECK(strnlen(url, sizeof url) - 1 < sizeof url - 1);
    if (wpad_domain(text, domain)) {
        FUZZ_CHECK(strnlen(domain, sizeof domain) - 1 < sizeof domain - 1);
        if (wpad_url_of_domain(domain, url))
            FUZZ_CHECK(strncmp(url, "http://wpad.", 12) == 0 && strstr(url, "/wpad.dat") &&
                       !strpbrk(url, " \r\n@"));
    }
    free(text);
}

static void heard(void *user, size_t i, const char *answer)
{
    size_t *n = user;
    FUZZ_CHECK(i < QUESTIONS && strlen(answer) <= PAC_ANSWER_MAX);
    ++*n;
}

static void pac_answers(const uint8_t *data, size_t size)
{
    size_t n = 0, len;
    char *out = malloc(size ? size : 1), *host = fuzz_text(data, size < 300 ? size : 300);
    FUZZ_CHECK(out);
    memcpy(out, data, size);
    const struct pac_question q[QUESTIONS] = {
        {.host = "node.example", .port = 443, .answer = heard, .user = &n},
        {.host = host, .port = 1, .answer = heard, .user = &n},
        {.host = "2001:db8::1", .port = 443, .answer = heard, .user = &n},
    };
    int err = hand_out(out, size, q, QUESTIONS);
    FUZZ_CHECK(n <= QUESTIONS && (err != 0 || n == QUESTIONS));
    char *in = make_input("function FindProxyForURL() {}", q, QUESTIONS, &len);
    FUZZ_CHECK(in);
    size_t texts = 0;
    for (size_t i = 0; i < len; i++)
        texts += in[i] == '\0';
    FUZZ_CHECK(texts ==
               (harmless(host) ? 7 : 5)); /* the script, and two for each question that may be asked */
    free(in);
    free(host);
    free(out);
}

static void stun_answer(const uint8_t *data, size_t size)
{
    static const struct addr from = {.family = ADDR_V4, .port = 3478, .ip = {192, 0, 2, 1}};
    static const uint8_t nobodys[STUN_TXID_LEN] = {0};
    struct ask_reply r = {.error = 0};
    uint8_t *exact = malloc(size ? size : 1);
    FUZZ_CHECK(exact);
    memcpy(exact, data, size);
    if (ask_read(&r, size >= STUN_HEADER_LEN ? exact + 8 : nobodys, &from, exact, size))
        FUZZ_CHECK(r.answered && (r.error != 0 || addr_is_set(&r.mapped)));
    free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 8192)
        return 0;
    switch (data[0]) {
    case 'l':
        lease(data + 1, size - 1);
        break;
    case 'p':
        pac_answers(data + 1, size - 1);
        break;
    default:
        stun_answer(data + 1, size - 1);
    }
    return 0;
}
