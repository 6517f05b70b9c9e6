/* berth join: a call with test media, a line while it goes on, figures at its end. Invariant: it is told as a
 * success only if media flowed at its end. */
#include "commands.h"

#include "call.h"
#include "core/utf8.h"
#include "driver.h"
#include "join_result.h"
#include "story.h"
#include "sys/clock.h"
#include "sys/service.h"
#include "test_media.h"
#include "text.h"
#include "who.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <string.h>

enum { LIVE_US = 1000 * 1000, LEAVE_US = 3 * 1000 * 1000, LIVE_MAX = 80 };

struct join {
    struct cli *cli;
    struct driver driver;
    struct test_media media;
    uint64_t id;
    struct berth_call call;
    const char *agent; /* who we are */
    struct story story;
    int64_t began_us, live_us;
    bool ssrc_taken;
};

/* ---- the call ---- */

static void on_packet(void *user, struct berth_agent *agent, const struct berth_packet *p)
{
    struct join *j = user;
    if (!p->rtcp && test_media_heard(&j->media, p->bytes, p->len, p->received_us))
        story_heard(&j->story, p->received_us);
}

static void on_changed(void *user, struct berth_agent *agent, const struct berth_call *call)
{
    struct join *j = user;
    char line[STORY_LINE_MAX];
    j->call = *call;
    const struct story_event *e = story_changed(&j->story, call, clock_mono_us());
    if (e == NULL || e->kind == STORY_ENDED || j->cli->o.json)
        return;
    story_line(e, line);
    cli_tell(j->cli, "%s: %s", j->agent, line);
}

static void on_ssrc_refused(void *user, struct berth_agent *agent, uint64_t call, uint32_t ssrc)
{
    struct join *j = user;
    j->ssrc_taken |= ssrc == j->media.ssrc;
}

static void send_due(struct join *j)
{
    uint8_t packet[TEST_MEDIA_PACKET];
    if (j->ssrc_taken)
        test_media_rename(&j->media, randombytes_random());
    j->ssrc_taken = false;
    while (test_media_next(&j->media, clock_mono_us(), packet)) {
        if (berth_agent_send(j->driver.agent, j->id, packet, sizeof(packet)) == 0)
            test_media_sent(&j->media);
    }
}

/* One line that fits any terminal. */
static void live_text(const struct join *j, int64_t now, char out[static LIVE_MAX])
{
    const struct test_media_sum sum = test_media_sum(&j->media);
    size_t len;
    int64_t s = (now - j->began_us) / 1000000;
    if (j->call.state != BERTH_CALL_UP) {
        snprintf(out, LIVE_MAX, "%3" PRId64 " s  %s%s%s", s, berth_call_state_name(j->call.state),
                 j->call.reason[0] != '\0' ? ": " : "", j->call.reason);
        return;
    }
    snprintf(out, LIVE_MAX, "%3" PRId64 " s  %s  sent %" PRId64, s, berth_transport_name(j->call.transport),
             j->media.sent);
    len = strlen(out);
    if (j->media.n_sources == 0) {
        snprintf(out + len, LIVE_MAX - len, "  nobody else yet");
        return;
    }
    snprintf(out + len, LIVE_MAX - len, "  from %zu  lost %.1f %%  jitter %.1f ms", j->media.n_sources,
             100 * join_share(sum.lost, sum.received), (double)sum.jitter_us / 1000);
    len = strlen(out);
    if (sum.rtt_us >= 0)
        snprintf(out + len, LIVE_MAX - len, "  RTT %.1f ms", (double)sum.rtt_us / 1000);
}

static void live_line(struct join *j, int64_t now)
{
    char text[LIVE_MAX];
    if (!j->cli->progress || now < j->live_us)
        return;
    j->live_us = now + LIVE_US;
    live_text(j, now, text);
    utf8_cut(text);
    text_clean(text);
    fprintf(j->cli->err, "\r\033[K%s", text);
    fflush(j->cli->err);
}

/* Until the time is over, the call has ended for good, or a signal came. */
static int stay(struct join *j)
{
    const int64_t until = j->began_us + j->cli->o.seconds * 1000000;
    int rc = 0;
    while (rc == 0 && j->call.state != BERTH_CALL_ENDED && clock_mono_us() < until) {
        int64_t next = j->media.next_us < until ? j->media.next_us : until;
        if (j->call.state == BERTH_CALL_UP)
            send_due(j);
        else
            next = clock_mono_us() + TEST_MEDIA_FRAME_US;
        rc = driver_step_until(&j->driver, next);
        live_line(j, clock_mono_us());
        if (service_wait(j->cli->signal_fd, 0) == SERVICE_STOP)
            break;
    }
    if (j->cli->progress)
        fputs("\r\033[K", j->cli->err);
    return rc;
}

/* Says goodbye, so that the others needn't wait for our consent to run out. */
static void leave(struct join *j)
{
    const int64_t until = clock_mono_us() + LEAVE_US;
    if (berth_agent_leave(j->driver.agent, j->id) != 0)
        return;
    while (berth_agent_call_count(j->driver.agent) > 0 && clock_mono_us() < until) {
        if (driver_step_until(&j->driver, until) < 0)
            return;
    }
}

/* ---- the command ---- */

static enum cli_exit was_lost(const struct join *j)
{
    const struct story_event *lost = story_newest(&j->story, STORY_LOST, NULL);
    const struct story_event *waits = story_newest(&j->story, STORY_WAITING, NULL);
    const char *why = waits != NULL && lost != NULL && waits->at_us >= lost->at_us ? waits->reason : "";
    if (lost == NULL)
        return cli_fail(j->cli, CLI_BUT, "the call was lost: %s", j->call.reason);
    cli_fail(j->cli, CLI_BUT, "the call was lost after %" PRId64 " s on %s (%s) and did not come back%s%s",
             lost->at_us / 1000000, lost->node, lost->reason, why[0] != '\0' ? ": " : "", why);
    if (j->call.http_status == 0 || !call_advise(j->cli, CALL_TOKEN_OWN, j->call.http_status, ""))
        cli_advise(j->cli, "see berth node list: which nodes are up");
    return CLI_BUT;
}

static enum cli_exit never_came_up(const struct join *j)
{
    static const char what[] = "the call did not come up";
    const struct story_event *e = story_newest(&j->story, STORY_WAITING, STORY_UNREACHED);
    if (e != NULL) {
        cli_fail(j->cli, CLI_BUT, "%s: %s", what, e->reason);
        cli_advise(j->cli, "berth firewall tells what this network lets through");
        return CLI_BUT;
    }
    if (j->call.error != 0)
        return driver_fail(j->cli, what, j->call.error, j->call.http_status, j->call.reason);
    return cli_fail(j->cli, CLI_BUT, "%s: %s", what,
                    j->call.state == BERTH_CALL_JOINING
                        ? "the controller has not answered yet; give it more --seconds"
                        : "no rung of the ladder has answered yet; give it more --seconds");
}

static enum cli_exit judge(const struct join *j)
{
    const struct berth_call *call = &j->call;
    if (call->state == BERTH_CALL_UP)
        return CLI_OK;
    if (call->state == BERTH_CALL_ENDED && call->error == BERTH_E_TAKEN_OVER)
        return cli_fail(j->cli, CLI_BUT,
                        "the call has ended: agent '%s' has joined meeting '%s' from elsewhere; --agent "
                        "(BERTH_AGENT) gives each its own name",
                        j->agent, call->meeting);
    if (call->state == BERTH_CALL_ENDED)
        return driver_fail(j->cli, call->came_up > 0 ? "the call has ended" : "the call did not come up",
                           call->error, call->http_status, call->reason);
    return call->came_up > 0 ? was_lost(j) : never_came_up(j);
}

/* What came of it; the figures first, where there are any. */
static enum cli_exit tell(const struct join *j)
{
    struct join_result r = {.ok = j->call.state == BERTH_CALL_UP,
                            .agent = j->agent,
                            .call = &j->call,
                            .media = &j->media,
                            .story = &j->story};
    enum cli_exit printed = CLI_OK;
    json_t *result = join_result_json(&r);
    if (j->cli->o.json)
        printed = cli_print_json(j->cli, result);
    else if (j->call.came_up > 0)
        printed = join_result_print(j->cli, &r, result);
    fflush(j->cli->out);
    json_decref(result);
    enum cli_exit code = judge(j);
    return code != CLI_OK ? code : printed;
}

static enum cli_exit hold_call(struct join *j)
{
    const struct berth_join_options o = {.size = sizeof(o),
                                         .meeting = j->cli->words.v[0],
                                         .audio_level_ext = TEST_MEDIA_LEVEL_EXT,
                                         .packet = on_packet,
                                         .changed = on_changed,
                                         .ssrc_refused = on_ssrc_refused,
                                         .user = j};
    int rc = berth_agent_join(j->driver.agent, &o, &j->id);
    if (rc == -EINVAL)
        return cli_fail(j->cli, CLI_USAGE, "'%.140s' is no meeting's id", j->cli->words.v[0]);
    if (rc == 0)
        rc = stay(j);
    if (rc != 0)
        return driver_fail(j->cli, "the call failed", rc, 0, "");
    (void)berth_agent_call(j->driver.agent, j->id, &j->call);
    leave(j);
    return tell(j);
}

enum cli_exit cmd_join(struct cli *c)
{
    static const struct berth_callbacks none = {0};
    char named[AGENT_ID_MAX + 1];
    struct join j = {.cli = c, .agent = who_is(c, named), .began_us = clock_mono_us()};
    enum cli_exit code = who_check(c);
    if (code != CLI_OK)
        return code;
    test_media_init(&j.media, randombytes_random(), (uint16_t)randombytes_uniform(0x4000), j.agent,
                    j.began_us);
    story_init(&j.story, j.began_us);
    code = driver_open(&j.driver, c, &none, NULL);
    if (code == CLI_OK)
        code = hold_call(&j);
    driver_close(&j.driver);
    return code;
}
