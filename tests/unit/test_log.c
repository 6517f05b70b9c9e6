/* link: berth_sys */
#include "sys/log.h"

#include "sys/clock.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct pipe_log {
    int fds[2];
    struct log *log;
    char text[1 << 17];
};

static void open_log(struct pipe_log *p, enum log_level least, enum log_format format)
{
    assert_int_equal(pipe2(p->fds, O_CLOEXEC), 0);
    assert_int_equal(fcntl(p->fds[0], F_SETFL, O_NONBLOCK), 0);
    assert_true(fcntl(p->fds[1], F_SETPIPE_SZ, 1 << 17) > 0);
    p->log = log_new(p->fds[1], least, format);
    assert_non_null(p->log);
}

/* What was written since the last call. */
static const char *written(struct pipe_log *p)
{
    ssize_t n = read(p->fds[0], p->text, sizeof(p->text) - 1);
    p->text[n > 0 ? n : 0] = '\0';
    return p->text;
}

static void close_log(struct pipe_log *p)
{
    log_destroy(p->log);
    close(p->fds[0]);
    close(p->fds[1]);
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (; (text = strstr(text, what)) != NULL; text += strlen(what))
        n++;
    return n;
}

static void logfmt_line_has_its_fields_in_order(void **state)
{
    static struct pipe_log p;
    open_log(&p, LOG_INFO, LOG_LOGFMT);
    log_event(p.log, LOG_INFO, "db", "connected", LOG_S("host", "db.example"), LOG_I("port", 5432));
    const char *line = written(&p);
    assert_int_equal(strncmp(line, "time=2", 6), 0);
    assert_string_equal(strchr(line, ' '),
                        " level=info component=db event=connected host=db.example port=5432\n");
    log_event(p.log, LOG_DEBUG, "db", "query", LOG_I("n", 1));
    assert_string_equal(written(&p), "");
    log_event(NULL, LOG_ERROR, "db", "silence", LOG_I("n", 1));
    close_log(&p);
}

static void values_cannot_forge_lines_or_fields(void **state)
{
    static struct pipe_log p;
    open_log(&p, LOG_INFO, LOG_LOGFMT);
    static const struct {
        const char *value, *shown;
    } cases[] = {
        {"a\nlevel=error", "v=\"a\\nlevel=error\"\n"},
        {"x admin=true", "v=\"x admin=true\"\n"},
        {"q\"uote\\", "v=\"q\\\"uote\\\\\"\n"},
        {"", "v=\"\"\n"},
        {NULL, "v=\"\"\n"},
        {"\r\x1b[31m\x7f", "v=\"\\u000d\\u001b[31m\\u007f\"\n"},
        {"gr\xc3\xbc\xc3\x9f", "v=\"gr\xc3\xbc\xc3\x9f\"\n"},
        {"\xc2\x85\xe2\x80\xa8", "v=\"\\u0085\\u2028\"\n"}, /* NEL, LINE SEPARATOR */
        {"\xff\xc0\x80\xed\xa0\x80", "v=\"\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\"\n"}, /* no UTF-8 */
        {"cut\xe2\x82", "v=\"cut\\ufffd\\ufffd\"\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        log_event(p.log, LOG_INFO, "t", "e", LOG_S("v", cases[i].value));
        assert_string_equal(strstr(written(&p), "v="), cases[i].shown);
    }
    close_log(&p);
}

static void json_lines_parse(void **state)
{
    static struct pipe_log p;
    open_log(&p, LOG_INFO, LOG_JSON);
    log_event(p.log, LOG_WARN, "rest", "refused", LOG_S("why", "a \"b\"\n\\\x01\xff"), LOG_I("n", INT64_MIN));
    json_t *j = json_loads(written(&p), JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(j);
    assert_string_equal(json_string_value(json_object_get(j, "level")), "warn");
    assert_string_equal(json_string_value(json_object_get(j, "component")), "rest");
    assert_string_equal(json_string_value(json_object_get(j, "event")), "refused");
    assert_string_equal(json_string_value(json_object_get(j, "why")), "a \"b\"\n\\\x01\xef\xbf\xbd");
    assert_int_equal(json_integer_value(json_object_get(j, "n")), INT64_MIN);
    json_decref(j);
    close_log(&p);
}

/* Every length around the limit, in both formats: always one whole line, never longer, cut lines say so. */
static void long_lines_are_cut_and_say_so(void **state)
{
    static struct pipe_log p;
    for (enum log_format format = LOG_LOGFMT; format <= LOG_JSON; format++) {
        open_log(&p, LOG_INFO, format);
        for (size_t len = LOG_LINE_MAX - 200; len < LOG_LINE_MAX + 50; len++) {
            char value[LOG_LINE_MAX + 64];
            memset(value, len % 2 ? 'x' : '"', len);
            value[len] = '\0';
            log_event(p.log, LOG_INFO, "t", "e", LOG_S("long", value), LOG_I("after", 1),
                      LOG_S("s", "two words"));
            const char *line = written(&p);
            size_t n = strlen(line);
            assert_in_range(n, 1, LOG_LINE_MAX);
            assert_ptr_equal(strchr(line, '\n'), line + n - 1);
            bool whole = strstr(line, "two words") != NULL;
            bool cut =
                strstr(line, format == LOG_JSON ? ",\"truncated\":true}" : " truncated=true\n") != NULL;
            assert_true(whole != cut);
            if (format == LOG_JSON) {
                json_t *j = json_loads(line, 0, NULL);
                assert_non_null(j);
                json_decref(j);
            }
        }
        close_log(&p);
    }
}

static void repeated_warnings_are_counted(void **state)
{
    static struct pipe_log p;
    open_log(&p, LOG_INFO, LOG_LOGFMT);
    for (int i = 0; i < LOG_BURST + 30; i++)
        log_event(p.log, LOG_WARN, "net", "refused", LOG_I("i", i));
    log_event(p.log, LOG_WARN, "net", "other", LOG_I("i", 0));
    for (int i = 0; i < 2 * LOG_BURST; i++)
        log_event(p.log, LOG_INFO, "net", "fine", LOG_I("i", i));
    const char *text = written(&p);
    assert_int_equal(count(text, "event=refused"), LOG_BURST);
    assert_int_equal(count(text, "event=other"), 1);
    assert_int_equal(count(text, "event=fine"), 2 * LOG_BURST);

    int64_t deadline = clock_mono_us() + 5000000;
    do { /* the next line after the second is over tells what was kept back */
        assert_true(clock_mono_us() < deadline);
        poll(NULL, 0, 20);
        log_event(p.log, LOG_INFO, "net", "tick", LOG_I("i", 0));
        text = written(&p);
    } while (strstr(text, "suppressed") == NULL);
    assert_non_null(
        strstr(text, "component=log event=suppressed of_component=net of_event=refused lines=30\n"));
    log_event(p.log, LOG_WARN, "net", "refused", LOG_I("i", 99));
    assert_non_null(strstr(written(&p), "i=99"));
    close_log(&p);
}

static void what_was_kept_back_is_told_without_another_line(void **state)
{
    static struct pipe_log p;
    open_log(&p, LOG_INFO, LOG_LOGFMT);
    for (int i = 0; i < LOG_BURST + 5; i++)
        log_event(p.log, LOG_WARN, "net", "refused", LOG_I("i", i));
    log_flush(p.log);
    assert_null(strstr(written(&p), "suppressed")); /* its second isn't over */
    int64_t deadline = clock_mono_us() + 5000000;
    const char *text;
    do {
        assert_true(clock_mono_us() < deadline);
        poll(NULL, 0, 20);
        log_flush(p.log);
        text = written(&p);
    } while (*text == '\0');
    assert_non_null(strstr(text, "event=suppressed of_component=net of_event=refused lines=5\n"));
    assert_int_equal(count(text, "\n"), 1);
    log_flush(NULL);
    close_log(&p);
}

/* More pairs than the table holds: nothing is lost without being counted. */
static void a_full_table_still_counts(void **state)
{
    static struct pipe_log p;
    open_log(&p, LOG_INFO, LOG_LOGFMT);
    for (int i = 0; i < LOG_BURST + 7; i++)
        log_event(p.log, LOG_ERROR, "c", "loud", LOG_I("i", i));
    for (int i = 0; i < 100; i++) {
        char event[16];
        snprintf(event, sizeof(event), "e%d", i);
        log_event(p.log, LOG_ERROR, "c", event, LOG_I("i", i));
    }
    const char *text = written(&p);
    assert_int_equal(count(text, "event=e"), 100);
    assert_non_null(strstr(text, "of_event=loud lines=7\n"));
    close_log(&p);
}

static void *write_lines(void *arg)
{
    for (int i = 0; i < 200; i++)
        log_event(arg, LOG_INFO, "thread", "line", LOG_S("v", "some words to fill the line with"),
                  LOG_I("i", i));
    return NULL;
}

static void threads_write_whole_lines(void **state)
{
    static struct pipe_log p;
    pthread_t threads[4];
    open_log(&p, LOG_INFO, LOG_LOGFMT);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, p.log), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    const char *text = written(&p);
    assert_int_equal(count(text, "\n"), 800);
    assert_int_equal(count(text, "\ntime=") + 1, 800);
    close_log(&p);
}

static void names_parse(void **state)
{
    enum log_level level = LOG_DEBUG;
    enum log_format format = LOG_LOGFMT;
    assert_int_equal(log_level_parse("error", &level), 0);
    assert_int_equal(level, LOG_ERROR);
    assert_int_equal(log_level_parse("loud", &level), -EINVAL);
    assert_int_equal(level, LOG_ERROR);
    assert_int_equal(log_format_parse("json", &format), 0);
    assert_int_equal(format, LOG_JSON);
    assert_int_equal(log_format_parse("xml", &format), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logfmt_line_has_its_fields_in_order),
        cmocka_unit_test(values_cannot_forge_lines_or_fields),
        cmocka_unit_test(json_lines_parse),
        cmocka_unit_test(long_lines_are_cut_and_say_so),
        cmocka_unit_test(repeated_warnings_are_counted),
        cmocka_unit_test(what_was_kept_back_is_told_without_another_line),
        cmocka_unit_test(a_full_table_still_counts),
        cmocka_unit_test(threads_write_whole_lines),
        cmocka_unit_test(names_parse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
