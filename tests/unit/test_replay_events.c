/* link: berth_replay */
/* The replay's events: what is kept of them, and that every fault is named with its line. */
#include "replay_world.h"

#include "loadtest/replay/events.h"

#include <errno.h>
#include <stdio.h>

static const char nodes[] = "node,site,region,class,capacity,weight\na,a,eu,cloud,,\n";
static const char matrix[] = ",a\na,0\nhome,10\naway,20\n";

#define JOIN(t, m, p, s) \
    "{\"t\":" t ",\"event\":\"join\",\"meeting\":\"" m "\",\"participant\":\"" p "\",\"site\":\"" s "\"}\n"
#define LEAVE(t, m, p) "{\"t\":" t ",\"event\":\"leave\",\"meeting\":\"" m "\",\"participant\":\"" p "\"}\n"

static int read(struct events *v, const char *text, struct replay_error *e)
{
    struct world w = {0};
    char *copy = text_copy(text, strlen(text));
    assert_int_equal(read_nodes(&w, nodes, e), 0);
    assert_int_equal(read_matrix(&w, matrix, e), 0);
    int answer = events_read(v, &w, "E.jsonl", copy, strlen(text), e);
    free(copy);
    world_clear(&w);
    return answer;
}

/* As a spreadsheet writes it; the first line alone, and nothing before its end, may begin so. */
static void a_byte_order_mark_is_none_of_it(void **state)
{
    struct events v = {0};
    struct replay_error e;
    assert_int_equal(read(&v, "\xef\xbb\xbf" JOIN("0", "m", "x", "home"), &e), 0);
    assert_int_equal(v.n, 1);
    events_clear(&v);
    assert_int_equal(read(&v, JOIN("0", "m", "x", "home") "\xef\xbb\xbf" JOIN("1", "m", "y", "home"), &e),
                     -EINVAL);
    events_clear(&v);
    assert_int_equal(read(&v, "\xef\xbb\xbf", &e), -EINVAL);
    events_clear(&v);
}

static void stays(void **state)
{
    struct events v = {0};
    struct replay_error e;
    assert_int_equal(read(&v,
                          JOIN("0", "m", "x", "home") JOIN("1.5", "m", "y", "away") "\n" LEAVE("2", "m", "x")
                              JOIN("2", "m", "x", "away") JOIN("2", "n", "x", "home"),
                          &e),
                     0);
    assert_int_equal(v.n, 5);
    assert_int_equal(v.event[1].t_us, 1500000);
    assert_int_equal(v.meetings.n, 2);
    assert_int_equal(v.n_stays, 4); /* who comes back is another */
    assert_true(v.event[2].leave);
    assert_int_equal(v.event[2].participant, v.event[0].participant);
    assert_int_not_equal(v.event[3].participant, v.event[0].participant);
    assert_int_equal(v.meeting[0].largest, 2);
    assert_int_equal(v.meeting[0].full_at, 3); /* the last time that so many were there */
    assert_int_equal(v.meeting[0].first, 0);
    assert_int_equal(v.meeting[0].mix, NAMES_NONE);
    assert_string_equal(v.stay[3].name, "x");
    events_clear(&v);
}

static void optional_members(void **state)
{
    struct events v = {0};
    struct replay_error e;
    assert_int_equal(read(&v,
                          "{\"t\":0,\"event\":\"join\",\"meeting\":\"m\",\"participant\":\"x\",\"site\":"
                          "\"home\",\"mix\":\"global\","
                          "\"measured\":false}",
                          &e),
                     0);
    assert_true(v.stay[0].unmeasured);
    assert_string_equal(v.mixes.text[v.meeting[0].mix], "global");
    events_clear(&v);
}

static void expect(const char *text, const char *where)
{
    struct events v = {0};
    struct replay_error e = {{0}};
    int answer = read(&v, text, &e);
    if (answer != -EINVAL || strncmp(e.text, where, strlen(where)) != 0)
        fail_msg("%d '%s' where '%s' was expected", answer, e.text, where);
    events_clear(&v);
}

static void faults(void **state)
{
    static const char first[] = JOIN("5", "m", "x", "home");
    char text[2 * EVENT_LINE_MAX];
    struct {
        const char *line, *where;
    } cases[] = {
        {JOIN("4.9", "m", "y", "home"), "E.jsonl:2: t: 4.9"},
        {JOIN("-1", "m", "y", "home"), "E.jsonl:2: t: "},
        {JOIN("\"6\"", "m", "y", "home"), "E.jsonl:2: t: "},
        {JOIN("NaN", "m", "y", "home"), "E.jsonl:2: not JSON"},
        {JOIN("1e300", "m", "y", "home"), "E.jsonl:2: t: "},
        {JOIN("6", "m", "y", "moon"), "E.jsonl:2: site 'moon' has no row"},
        {JOIN("6", "m", "x", "home"), "E.jsonl:2: participant 'x' joins a meeting it is in"},
        {JOIN("6", "", "y", "home"), "E.jsonl:2: meeting: "},
        {LEAVE("6", "m", "y"), "E.jsonl:2: participant 'y' leaves a meeting it is not in"},
        {LEAVE("6", "n", "x"), "E.jsonl:2: participant 'x' leaves a meeting it is not in"},
        {"{\"t\":6", "E.jsonl:2: not JSON"},
        {"[1]", "E.jsonl:2: an object is wanted"},
        {"{\"t\":6,\"t\":7}", "E.jsonl:2: a member occurs twice"},
        {"{\"t\":6,\"event\":\"go\",\"meeting\":\"m\",\"participant\":\"x\"}", "E.jsonl:2: event: "},
        {"{\"t\":6,\"event\":\"leave\",\"meeting\":\"m\"}", "E.jsonl:2: participant: "},
        {"{\"t\":6,\"event\":\"join\",\"meeting\":\"m\",\"participant\":\"y\"}", "E.jsonl:2: site: "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(text, sizeof text, "%s%s", first, cases[i].line);
        expect(text, cases[i].where);
    }
    expect("", "E.jsonl: no events");
    expect("\n \n", "E.jsonl: no events");
    memset(text, ' ', sizeof text);
    text[0] = '{';
    text[EVENT_LINE_MAX + 1] = '\0';
    expect(text, "E.jsonl:1: a line of more than");
}

static void too_many_mixes(void **state)
{
    char text[(MIXES_MAX + 1) * 128];
    int n = 0;
    for (int i = 0; i <= MIXES_MAX; i++)
        n += snprintf(text + n, sizeof text - (size_t)n,
                      "{\"t\":0,\"event\":\"join\",\"meeting\":\"m%d\",\"participant\":\"x\",\"site\":"
                      "\"home\",\"mix\":\"%d\"}\n",
                      i, i);
    expect(text, "E.jsonl:17: mix: more than 16");
}

static void too_many_in_a_meeting(void **state)
{
    char *text = malloc((MEETING_SIZE_MAX + 1) * 96);
    int n = 0;
    assert_non_null(text);
    for (int i = 0; i <= MEETING_SIZE_MAX; i++)
        n += sprintf(
            text + n,
            "{\"t\":0,\"event\":\"join\",\"meeting\":\"m\",\"participant\":\"p%d\",\"site\":\"home\"}\n", i);
    expect(text, "E.jsonl:5001: more than 5000 in one meeting");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_byte_order_mark_is_none_of_it),
        cmocka_unit_test(stays),
        cmocka_unit_test(optional_members),
        cmocka_unit_test(faults),
        cmocka_unit_test(too_many_mixes),
        cmocka_unit_test(too_many_in_a_meeting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
