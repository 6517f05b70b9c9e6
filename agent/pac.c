/* PAC scripts by pacparser, which keeps its one engine in globals. Invariant: the engine is touched only with `engine` held, and is made
 * and thrown away by the same call. */
#include "pac.h"

#include "core/addr.h"
#include "sys/clock.h"
#include "sys/rest.h"

#include <errno.h>
#include <pacparser.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The only shared state, because pacparser has but one. */
static pthread_mutex_t engine = PTHREAD_MUTEX_INITIALIZER;
static _Atomic int64_t engine_since_us; /* when the script that has it began; 0: none has */

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
    char buf[4096];
    size_t n;
    int err = 0;
    FILE *f = fopen(path, "re");
    if (!f)
        return -ENOENT;
    while (err == 0 && (n = fread(buf, 1, sizeof buf, f)) > 0)
        err = append(s, buf, n);
    if (err == 0 && ferror(f))
        err = -EIO;
    fclose(f);
    return err;
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

/* The engine's complaints are for the script's author, and stderr isn't ours. */
static int be_quiet(const char *fmt, va_list ap)
{
    return 0;
}

bool pac_overdue(int64_t began_us)
{
    return began_us != 0 && clock_mono_us() - began_us >= PAC_RUN_MS * 1000;
}

static int lock_engine(void)
{
    if (pac_overdue(atomic_load(&engine_since_us)))
        return -EBUSY; /* it may never end */
    int64_t until = clock_wall_us() + PAC_LOCK_MS * 1000;
    const struct timespec ts = {.tv_sec = until / 1000000, .tv_nsec = until % 1000000 * 1000};
    return -pthread_mutex_timedlock(&engine, &ts) == 0 ? 0 : -EBUSY;
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

static void ask(const struct pac_question *q, size_t index)
{
    char url[HOST_MAX + 32];
    bool v6 = strchr(q->host, ':') != NULL;
    const char *found = NULL; /* the engine's */
    if (harmless(q->host)) {
        snprintf(url, sizeof url, "https://%s%s%s:%u/", v6 ? "[" : "", q->host, v6 ? "]" : "", q->port);
        found = pacparser_find_proxy(url, q->host);
    }
    q->answer(q->user, index, found && strlen(found) <= PAC_ANSWER_MAX ? found : "");
}

int pac_run(const char *script, const struct pac_question *questions, size_t n, _Atomic int64_t *began_us)
{
    int err = lock_engine();
    if (err < 0)
        return err;
    atomic_store(&engine_since_us, clock_mono_us());
    atomic_store(began_us, atomic_load(&engine_since_us));
    pacparser_set_error_printer(be_quiet);
    if (!pacparser_init()) {
        err = -ENOMEM;
    } else {
        err = pacparser_parse_pac_string(script) ? 0 : -EINVAL;
        for (size_t i = 0; err == 0 && i < n; i++)
            ask(&questions[i], i);
        pacparser_cleanup();
    }
    atomic_store(&engine_since_us, 0);
    pthread_mutex_unlock(&engine);
    return err;
}
