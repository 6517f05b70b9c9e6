/* berth watch: an agent that stays, a line for everything that happens. Invariant: it ends by a signal, and ends then at once. */
#include "commands.h"
#include "core/doc.h"
#include "core/timefmt.h"
#include "driver.h"
#include "sys/clock.h"
#include "sys/service.h"
#include "who.h"

#include <inttypes.h>
#include <string.h>

struct watch {
    struct cli *cli;
};

static json_t *event_new(const char *event)
{
    char now[TIME_TEXT_LEN];
    return json_pack("{s:s, s:s}", "time", time_format(clock_wall_us(), now), "event", event);
}

static void set_error(json_t *j, int error, int http_status, const char *detail)
{
    if (error == 0)
        return;
    json_object_set_new(j, "error", json_string(berth_strerror(error)));
    json_object_set_new(j, "detail", json_string(detail));
    if (http_status > 0)
        json_object_set_new(j, "http_status", json_integer(http_status));
}

/* One line each, also on a terminal. */
static void print_event(const struct cli *c, json_t *j)
{
    if (j != NULL && json_dumpf(j, c->out, DOC_COMPACT) == 0)
        fputc('\n', c->out);
    fflush(c->out);
    json_decref(j);
}

static void say(const struct cli *c, const char *text)
{
    char now[TIME_TEXT_LEN];
    cli_say(c, "%.19sZ  %s", time_format(clock_wall_us(), now), text);
    fflush(c->out);
}

static void done_json(const struct cli *c, struct berth_agent *agent, const struct berth_summary *s)
{
    char *text = NULL;
    json_t *j = event_new("probe");
    set_error(j, s->error, s->http_status, s->detail);
    if (s->error == 0 && berth_agent_results_json(agent, &text) == 0) {
        json_t *results = json_loads(text, 0, NULL);
        json_object_update(j, results);
        json_decref(results);
        berth_free(text);
        json_object_set_new(j, "network", json_string(s->network_id));
        json_object_set_new(j, "reachable", json_integer((json_int_t)s->reachable));
        json_object_set_new(j, "duration_us", json_integer(s->duration_us));
    }
    print_event(c, j);
}

static void on_done(void *user, struct berth_agent *agent, const struct berth_summary *s)
{
    const struct cli *c = ((struct watch *)user)->cli;
    char text[512];
    if (c->o.json) {
        done_json(c, agent, s);
        return;
    }
    if (s->error != 0)
        snprintf(text, sizeof(text), "no probe: %s%s%s", berth_strerror(s->error),
                 s->detail[0] != '\0' ? ": " : "", s->detail);
    else
        snprintf(text, sizeof(text), "probed: %zu of %zu nodes reached in %.1f s", s->reachable, s->nodes,
                 (double)s->duration_us / 1e6);
    say(c, text);
}

static void on_delivery(void *user, struct berth_agent *agent, const struct berth_delivery *d)
{
    const struct cli *c = ((struct watch *)user)->cli;
    char text[512];
    if (c->o.json) {
        json_t *j = event_new("report");
        json_object_set_new(j, "report_id", json_string(d->report_id));
        set_error(j, d->error, d->http_status, d->detail);
        if (d->retry_in_us >= 0)
            json_object_set_new(j, "retry_in_us", json_integer(d->retry_in_us));
        print_event(c, j);
        return;
    }
    if (d->error == 0)
        snprintf(text, sizeof(text), "reported: %s", d->report_id);
    else
        snprintf(text, sizeof(text), "not reported: %s%s%s", berth_strerror(d->error),
                 d->detail[0] != '\0' ? ": " : "", d->detail);
    say(c, text);
    if (d->error != 0 && d->retry_in_us >= 0) {
        snprintf(text, sizeof(text), "the report is kept; trying again in %.0f s",
                 (double)d->retry_in_us / 1e6);
        say(c, text);
    }
}

/* What done and delivery have told already. */
static bool is_told(const char *event)
{
    static const char *const told[] = {"probe_done", "probe_failed", "report_stored", "report_failed"};
    for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
        if (strcmp(event, told[i]) == 0)
            return true;
    }
    return false;
}

static void on_log(void *user, struct berth_agent *agent, int level, const char *event, const char *text)
{
    const struct cli *c = ((struct watch *)user)->cli;
    char line[512];
    if (level < BERTH_LOG_INFO || is_told(event))
        return;
    if (c->o.json) {
        json_t *j = event_new(event);
        json_object_set_new(j, "text", json_string(text));
        print_event(c, j);
        return;
    }
    snprintf(line, sizeof(line), "%s: %s", event, text);
    say(c, line);
}

/* ---- what the controller tells ---- */

static void event_json(const struct cli *c, const struct berth_event *e)
{
    json_t *j = event_new("stream"), *data = json_loads(e->data, 0, NULL);
    json_object_set_new(j, "name", json_string(e->name));
    if (data != NULL)
        json_object_set_new(j, "data", data);
    if (e->kind == BERTH_EVENT_DOWN)
        set_error(j, e->error, e->http_status, e->detail);
    if (e->retry_in_us >= 0)
        json_object_set_new(j, "retry_in_us", json_integer(e->retry_in_us));
    print_event(c, j);
}

static void moved_text(const struct berth_event *e, char *text, size_t cap)
{
    const char *meeting = "?", *node = "?", *transport = "?", *sentence = "";
    json_t *j = json_loads(e->data, 0, NULL);
    (void)json_unpack(j, "{s?s, s?s, s?s, s?{s?s}}", "meeting", &meeting, "node", &node, "transport",
                      &transport, "why", "sentence", &sentence);
    snprintf(text, cap, "moved in %.128s: to %.64s over %.8s. %.300s", meeting, node, transport, sentence);
    json_decref(j);
}

static void on_event(void *user, struct berth_agent *agent, const struct berth_event *e)
{
    const struct cli *c = ((struct watch *)user)->cli;
    char text[640] = "";
    if (c->o.json) {
        event_json(c, e);
        return;
    }
    if (e->kind == BERTH_EVENT_UP)
        snprintf(text, sizeof(text), "following the controller's events");
    else if (e->kind == BERTH_EVENT_DOWN && e->error != 0)
        snprintf(text, sizeof(text), "no events: %s%s%s; again in %.0f s", berth_strerror(e->error),
                 e->detail[0] != '\0' ? ": " : "", e->detail, (double)e->retry_in_us / 1e6);
    else if (e->kind == BERTH_EVENT_DOWN)
        snprintf(text, sizeof(text), "the controller asks to come back in %.1f s",
                 (double)e->retry_in_us / 1e6);
    else if (e->kind == BERTH_EVENT_ASSIGNMENT)
        moved_text(e, text, sizeof(text));
    else if (e->kind == BERTH_EVENT_PROBE)
        snprintf(text, sizeof(text), "asked to probe");
    else if (e->kind == BERTH_EVENT_RESET)
        snprintf(text, sizeof(text), "events were missed: join meetings again to know where you are");
    else
        snprintf(text, sizeof(text), "%.64s: %.500s", e->name, e->data);
    say(c, text);
}

static int run(struct cli *c, struct driver *s, struct watch *w)
{
    const struct berth_follow_options follow = {.size = sizeof(follow), .event = on_event, .user = w};
    int rc = berth_agent_watch(s->agent, 1);
    if (rc == 0 && s->n_nodes == 0)
        rc = berth_agent_follow(s->agent, &follow);
    while (rc == 0) {
        rc = driver_step(s, c->signal_fd);
        if (rc != 1)
            continue;
        enum service_event e = service_wait(c->signal_fd, 0);
        if (e == SERVICE_STOP)
            return 0;
        rc = 0;
        if (e == SERVICE_RELOAD)
            (void)berth_agent_probe(s->agent,
                                    s->n_nodes == 0 ? BERTH_PROBE_REPORT : 0); /* one under way will do */
    }
    return rc;
}

enum cli_exit cmd_watch(struct cli *c)
{
    static const struct berth_callbacks callbacks = {.done = on_done, .delivery = on_delivery, .log = on_log};
    struct watch w = {.cli = c};
    struct driver s = {0};
    enum cli_exit code = c->o.node.n == 0 ? who_check(c) : CLI_OK;
    if (code == CLI_OK)
        code = driver_open(&s, c, &callbacks, &w);
    if (code == CLI_OK) {
        int rc = run(c, &s, &w);
        if (rc < 0)
            code = driver_fail(c, "the agent failed", rc, 0, "");
    }
    driver_close(&s);
    return code;
}
