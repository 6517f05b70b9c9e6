/* PAC scripts: loaded here, run by a process of their own (berth-pac), since their engine can be brought to crash.
 * Invariant: nothing that a script does is ours but its answers, whose form and length are checked. */
#include "pac.h"

#include "pac_answers.h"
#include "sys_process.h"

#include "core/addr.h"
#include "sys/clock.h"
#include "sys/file.h"
#include "sys/rest.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- loading ---- */

struct script {
    char *text;
    size_t len;
    bool too_big;
};

static int append(struct script *s, const char *bytes, size_t n)
{
    if (n > PAC_SCRIPT_MAX - s->len) {
        s->too_big = true;
        return -EFBIG;
    }
    char *grown = realloc(s->text, s->len + n + 1);
    if (!grown)
        return -ENOMEM;
    memcpy(grown + s->len, bytes, n);
    s->text = grown;
    s->len += n;
    s->text[s->len] = '\0';
    return 0;
}

static int load_file(struct script *s, const char *path)
{
    ssize_t len = file_read_whole(path, PAC_SCRIPT_MAX, &s->text);
    s->len = len > 0 ? (size_t)len : 0;
    return len < 0 ? (int)len : 0;
}

static size_t take(char *data, size_t size, size_t n, void *arg)
{
    return append(arg, data, size * n) == 0 ? size * n : 0;
}

static int load_url(struct script *s, const char *url)
{
    long status = 0;
    CURL *e = rest_easy_new();
    if (!e)
        return -ENOMEM;
    curl_easy_setopt(e, CURLOPT_URL, url);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(e, CURLOPT_MAXREDIRS, 3L);
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)PAC_FETCH_MS);
    curl_easy_setopt(e, CURLOPT_USERAGENT, "berth/" BERTH_VERSION);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, s);
    rest_set_proxy(e, NULL);
    CURLcode code = curl_easy_perform(e);
    curl_easy_getinfo(e, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(e);
    if (s->too_big)
        return -EFBIG;
    if (code != CURLE_OK)
        return code == CURLE_OUT_OF_MEMORY ? -ENOMEM : -EIO;
    return status == 200 ? 0 : -ENOENT;
}

int pac_load(char **script, const char *source)
{
    struct script s = {.text = NULL};
    int err;
    if (strncasecmp(source, "http://", 7) == 0 || strncasecmp(source, "https://", 8) == 0)
        err = load_url(&s, source);
    else
        err = load_file(&s, strncasecmp(source, "file://", 7) == 0 ? source + 7 : source);
    if (err == 0 && (!s.text || strlen(s.text) != s.len || !strstr(s.text, "FindProxyForURL")))
        err = -EINVAL; /* a portal's page, say */
    if (err < 0) {
        free(s.text);
        return err;
    }
    *script = s.text;
    return 0;
}

/* ---- running ---- */

bool pac_overdue(int64_t began_us)
{
    return began_us != 0 && clock_mono_us() - began_us >= PAC_RUN_MS * 1000;
}

/* What is put into the script's call must not end the string that it stands in. */
static bool harmless(const char *host)
{
    for (const char *c = host; *c; c++) {
        bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9');
        if (!letter && *c != '.' && *c != '-' && *c != '_' && *c != ':')
            return false;
    }
    return host[0] != '\0' && strlen(host) <= HOST_MAX;
}

/* The script and the questions that may be asked, each text with its NUL. */
static char *make_input(const char *script, const struct pac_question *questions, size_t n, size_t *len)
{
    enum { QUESTION_MAX = 2 * HOST_MAX + 64 };
    size_t cap = strlen(script) + 1 + n * QUESTION_MAX;
    char *in = malloc(cap);
    if (!in)
        return NULL;
    *len = strlen(script) + 1;
    memcpy(in, script, *len);
    for (size_t i = 0; i < n; i++) {
        const struct pac_question *q = &questions[i];
        bool v6 = strchr(q->host, ':') != NULL;
        if (harmless(q->host))
            *len += (size_t)snprintf(in + *len, cap - *len, "https://%s%s%s:%u/%c%s", v6 ? "[" : "", q->host,
                                     v6 ? "]" : "", q->port, '\0', q->host) +
                    1;
    }
    return in;
}

/* The next whole text of the helper's, or NULL. */
static const char *next_text(const char **at, const char *end)
{
    const char *text = *at, *nul = memchr(text, '\0', (size_t)(end - text));
    if (!nul || nul == text || nul - text > PAC_ANSWER_MAX + 1)
        return NULL;
    *at = nul + 1;
    return text;
}

/* Hands out what was answered. 0: everything was, and well. */
static int hand_out(const char *out, size_t len, const struct pac_question *questions, size_t n)
{
    const char *at = out, *end = out + len, *text = next_text(&at, end);
    int err = 0;
    if (!text || text[0] != PAC_FOUND)
        return text ? -EINVAL : -ECHILD;
    for (size_t i = 0; i < n; i++) {
        const struct pac_question *q = &questions[i];
        text = harmless(q->host) ? next_text(&at, end) : "f";
        if (!text)
            return -ECHILD;
        q->answer(q->user, i, text[0] == PAC_FOUND ? text + 1 : "");
        if (text[0] != PAC_FOUND)
            err = text[0] == PAC_TOO_LONG ? -EMSGSIZE : -EDOM;
    }
    return err;
}

int pac_run(const char *script, const struct pac_question *questions, size_t n, const struct pac_way *way,
            _Atomic int64_t *began_us)
{
    char path[PATH_MAX];
    size_t in_len, out_len, cap = (n + 1) * (PAC_ANSWER_MAX + 2);
    char *out = malloc(cap), *in = make_input(script, questions, n, &in_len);
    int err = out && in ? 0 : -ENOMEM;
    if (err == 0 && !way->helper)
        err = sys_helper_path(path, sizeof path, BERTH_PAC_FOLDER, "berth-pac");
    if (err == 0) {
        const struct sys_process p = {.path = way->helper ? way->helper : path,
                                      .in = in,
                                      .in_len = in_len,
                                      .out = out,
                                      .out_cap = cap,
                                      .timeout_us = PAC_END_MS * (int64_t)1000,
                                      .stop_fd = way->stop_fd};
        atomic_store(began_us, clock_mono_us());
        err = sys_process_run(&p, &out_len);
        bool ran = err == 0 || err == -ETIME;
        int found = ran ? hand_out(out, out_len, questions, n) : 0;
        err = err == 0 ? found : ran || err == -ECANCELED ? err : -ENOEXEC;
    }
    free(in);
    free(out);
    return err;
}
