/* A participant for tests: joins, sends a packet every 20 ms, and tells in JSON lines what becomes of it.
 *
 *   media-client CONTROLLER TOKEN CA MEETING SSRC [PROXY]
 *   stdin: "stats" prints figures, "reset" begins gaps anew, "leave" (or the end) leaves and ends */
#include "berth.h"

#include "sys/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FRAME_US = 20 * 1000, PACKET_LEN = 20 + 80, SOURCES_MAX = 16 };

struct source {
    uint32_t ssrc;
    int64_t packets, last_us, gap_us, bad;
};

struct client {
    struct berth_agent *agent;
    uint64_t call;
    uint32_t ssrc;
    uint16_t sequence;
    int64_t next_us, sent, rtcp;
    size_t n;
    struct source sources[SOURCES_MAX];
    bool leaving;
};

static uint32_t get(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* As JSON takes it. */
static const char *quoted(const char *text, char out[static BERTH_ERROR_TEXT])
{
    size_t n = 0;
    for (; text[n] != '\0' && n < BERTH_ERROR_TEXT - 1; n++)
        out[n] = text[n] == '"' || text[n] == '\\' || (unsigned char)text[n] < ' ' ? '\'' : text[n];
    out[n] = '\0';
    return out;
}

static void print_call(const char *event, const struct berth_call *c)
{
    char reason[BERTH_ERROR_TEXT];
    printf("{\"event\":\"%s\",\"t_us\":%" PRId64
           ",\"state\":\"%s\",\"node\":\"%s\",\"transport\":\"%s\",\"framing\":%d,"
           "\"suite\":\"%s\",\"error\":\"%s\",\"reason\":\"%s\",\"came_up\":%" PRId64 ",\"moved\":%" PRId64
           ",\"up_us\":%" PRId64 ",\"sent\":%" PRId64 ",\"received\":%" PRId64 ",\"lost\":%" PRId64
           ",\"refused\":%" PRId64 ",\"dropped\":%" PRId64 ",\"send_dropped\":%" PRId64
           ",\"jitter_us\":%" PRId64 ",\"rtt_us\":%" PRId64 ",\"consents\":%" PRId64,
           event, clock_mono_us(), berth_call_state_name(c->state), c->node,
           c->transport >= 0 ? berth_transport_name(c->transport) : "", c->framing, c->suite,
           c->error != 0 ? berth_strerror(c->error) : "", quoted(c->reason, reason), c->came_up, c->moved,
           c->up_us, c->packets_sent, c->packets_received, c->packets_lost, c->packets_refused,
           c->packets_dropped, c->send_dropped, c->jitter_us, c->rtt_us, c->consents_answered);
}

static void on_changed(void *user, struct berth_agent *agent, const struct berth_call *c)
{
    print_call("changed", c);
    puts("}");
}

static void on_ssrc_refused(void *user, struct berth_agent *agent, uint64_t call, uint32_t ssrc)
{
    printf("{\"event\":\"ssrc_refused\",\"ssrc\":%" PRIu32 "}\n", ssrc);
}

static void on_log(void *user, struct berth_agent *agent, int level, const char *event, const char *text)
{
    fprintf(stderr, "%s: %s\n", event, text);
}

static struct source *find(struct client *c, uint32_t ssrc)
{
    for (size_t i = 0; i < c->n; i++) {
        if (c->sources[i].ssrc == ssrc)
            return &c->sources[i];
    }
    if (c->n == SOURCES_MAX)
        return NULL;
    c->sources[c->n] = (struct source){.ssrc = ssrc};
    return &c->sources[c->n++];
}

static void on_packet(void *user, struct berth_agent *agent, const struct berth_packet *p)
{
    struct client *c = user;
    if (p->rtcp) {
        c->rtcp++;
        return;
    }
    struct source *s = find(c, get(p->bytes + 8));
    if (!s)
        return;
    int64_t gap = s->last_us > 0 ? p->received_us - s->last_us : 0;
    s->gap_us = gap > s->gap_us ? gap : s->gap_us;
    s->last_us = p->received_us;
    s->packets++;
    s->bad += p->len != PACKET_LEN || get(p->bytes + PACKET_LEN - 4) != s->ssrc;
}

static void send_packet(struct client *c)
{
    uint8_t p[PACKET_LEN] = {0x90, 111, (uint8_t)(c->sequence >> 8), (uint8_t)c->sequence};
    const uint8_t level[] = {0xbe, 0xde, 0, 1, 0x10, 40, 0, 0};
    uint32_t timestamp = c->sequence * 960u;
    for (int i = 0; i < 4; i++) {
        p[4 + i] = (uint8_t)(timestamp >> (24 - 8 * i));
        p[8 + i] = p[PACKET_LEN - 4 + i] = (uint8_t)(c->ssrc >> (24 - 8 * i));
    }
    memcpy(p + 12, level, sizeof level);
    c->sequence++;
    c->sent += berth_agent_send(c->agent, c->call, p, sizeof p) == 0;
}

static void print_stats(const struct client *c)
{
    struct berth_call k;
    if (berth_agent_call(c->agent, c->call, &k) != 0)
        return;
    print_call("stats", &k);
    printf(",\"rtcp\":%" PRId64 ",\"sources\":{", c->rtcp);
    for (size_t i = 0; i < c->n; i++)
        printf("%s\"%" PRIu32 "\":{\"packets\":%" PRId64 ",\"gap_us\":%" PRId64 ",\"last_us\":%" PRId64
               ",\"bad\":%" PRId64 "}",
               i > 0 ? "," : "", c->sources[i].ssrc, c->sources[i].packets, c->sources[i].gap_us,
               c->sources[i].last_us, c->sources[i].bad);
    puts("}}");
}

static void obey(struct client *c, const char *word)
{
    if (strcmp(word, "stats") == 0) {
        print_stats(c);
    } else if (strcmp(word, "reset") == 0) {
        for (size_t i = 0; i < c->n; i++)
            c->sources[i].gap_us = 0;
        puts("{\"event\":\"reset\"}");
    } else if (strcmp(word, "leave") == 0 && !c->leaving) {
        c->leaving = true;
        (void)berth_agent_leave(c->agent, c->call);
    }
}

/* One line at a time is what a test writes. */
static void read_words(struct client *c)
{
    char line[256];
    ssize_t n = read(STDIN_FILENO, line, sizeof line - 1);
    if (n <= 0) {
        obey(c, "leave");
        return;
    }
    line[n] = '\0';
    char *rest = NULL;
    for (char *word = strtok_r(line, "\n", &rest); word; word = strtok_r(NULL, "\n", &rest))
        obey(c, word);
}

static int run(struct client *c)
{
    int err = 0;
    c->next_us = clock_mono_us();
    while (err == 0 && (!c->leaving || berth_agent_call_count(c->agent) > 0)) {
        struct pollfd fds[] = {{.fd = berth_agent_fd(c->agent), .events = POLLIN},
                               {.fd = c->leaving ? -1 : STDIN_FILENO, .events = POLLIN}};
        int timeout = berth_agent_timeout(c->agent);
        int64_t left = c->next_us - clock_mono_us();
        int frame_ms = left > 0 ? (int)((left + 999) / 1000) : 0;
        (void)poll(fds, 2, timeout < 0 || timeout > frame_ms ? frame_ms : timeout);
        if (fds[1].revents != 0)
            read_words(c);
        err = berth_agent_dispatch(c->agent);
        if (clock_mono_us() >= c->next_us && !c->leaving) {
            send_packet(c);
            c->next_us += FRAME_US;
        } else if (c->leaving) {
            c->next_us = clock_mono_us() + FRAME_US;
        }
    }
    return err;
}

int main(int argc, char **argv)
{
    if (argc < 6 || argc > 8)
        return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct client c = {.ssrc = (uint32_t)strtoul(argv[5], NULL, 10)};
    struct berth_options o = {.size = sizeof o,
                              .controller = argv[1],
                              .token = argv[2],
                              .ca_file = argv[3],
                              .proxy = argc > 6 ? argv[6] : "none",
                              .no_proxy = argc > 7 ? argv[7] : NULL};
    o.callbacks.log = on_log;
    struct berth_join_options j = {.size = sizeof j,
                                   .meeting = argv[4],
                                   .audio_level_ext = 1,
                                   .packet = on_packet,
                                   .changed = on_changed,
                                   .ssrc_refused = on_ssrc_refused,
                                   .user = &c};
    int err = berth_agent_create(&c.agent, &o);
    if (err == 0)
        err = berth_agent_join(c.agent, &j, &c.call);
    if (err == 0)
        err = run(&c);
    if (err != 0)
        fprintf(stderr, "media-client: %s\n", berth_strerror(err));
    berth_agent_destroy(c.agent);
    return err != 0;
}
