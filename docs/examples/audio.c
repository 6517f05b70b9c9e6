/* Joins a meeting and sends one Opus-sized packet every 20 ms; says what arrives. */
#include <berth.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum { FRAME = 80 }; /* bytes of a 20 ms frame at 32 kbit/s */

struct app { /* callbacks run in the library's thread */
    atomic_size_t heard;
    _Atomic uint32_t ssrc; /* ours */
    atomic_int ended;
};

static uint32_t new_ssrc(void)
{
    uint32_t ssrc = 0;
    return getrandom(&ssrc, sizeof ssrc, 0) == sizeof ssrc ? ssrc : (uint32_t)time(NULL);
}

static void on_changed(void *user, struct berth_agent *agent, const struct berth_call *c)
{
    (void)agent;
    printf("%s%s%s%s%s%s%s\n", berth_call_state_name(c->state), c->node[0] ? " " : "", c->node,
           c->transport >= 0 ? " " : "", c->transport >= 0 ? berth_transport_name(c->transport) : "",
           c->reason[0] ? ": " : "", c->reason);
    fflush(stdout);
    ((struct app *)user)->ended = c->state == BERTH_CALL_ENDED;
}

static void on_packet(void *user, struct berth_agent *agent, const struct berth_packet *p)
{
    (void)agent;
    if (!p->rtcp)
        ((struct app *)user)->heard++; /* p->bytes is a whole RTP packet: for your jitter buffer */
}

/* Somebody in the meeting has it. */
static void on_ssrc_refused(void *user, struct berth_agent *agent, uint64_t call, uint32_t ssrc)
{
    struct app *app = user;
    (void)agent, (void)call;
    if (ssrc == app->ssrc)
        app->ssrc = new_ssrc();
}

static void put(uint8_t *at, uint32_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        at[i] = (uint8_t)(v >> 8 * (bytes - 1 - i));
}

/* RFC 3550 5.1, and the level of RFC 6464 as extension 1 (RFC 8285 4.2). */
static size_t write_packet(uint8_t *out, uint16_t sequence, uint32_t ssrc, uint8_t level)
{
    const uint8_t head[] = {0x90, 111}, extension[] = {0xbe, 0xde, 0, 1, 0x10, level, 0, 0};
    memcpy(out, head, 2);
    put(out + 2, sequence, 2);
    put(out + 4, sequence * 960u, 4); /* Opus' clock is 48 kHz (RFC 7587) */
    put(out + 8, ssrc, 4);
    memcpy(out + 12, extension, sizeof extension);
    memset(out + 20, 0xf8, FRAME); /* here goes what opus_encode made */
    return 20 + FRAME;
}

/* So many frames, each at its time, while there is a call. */
static void talk(struct berth_agent *agent, uint64_t call, const struct app *app, int frames)
{
    for (int i = 0; i < frames && !app->ended; i++) {
        uint8_t packet[20 + FRAME];
        size_t len = write_packet(packet, (uint16_t)i, app->ssrc, 40);
        (void)berth_agent_send(agent, call, packet, len);             /* before it is up: -ENOTCONN */
        nanosleep(&(struct timespec){.tv_nsec = 20 * 1000000}, NULL); /* your sound card's clock */
    }
}

/* Figures, and goodbye. */
static int finish(struct berth_agent *agent, uint64_t call)
{
    struct berth_call c;
    int err = berth_agent_call(agent, call, &c);
    if (err == 0)
        printf("sent %" PRId64 ", heard %" PRId64 ", lost %" PRId64 ", round trip %" PRId64 " us\n",
               c.packets_sent, c.packets_received, c.packets_lost, c.rtt_us);
    if (err == 0 && c.state != BERTH_CALL_UP)
        fprintf(stderr, "the call is not up: %s\n", c.reason);
    if (err == 0)
        err = berth_agent_leave(agent, call);
    for (int i = 0; i < 500 && berth_agent_call_count(agent) > 0; i++) /* the controller hears of it */
        nanosleep(&(struct timespec){.tv_nsec = 10 * 1000000}, NULL);
    return err != 0 ? err : c.error;
}

int main(int argc, char **argv)
{
    struct app app = {.ssrc = new_ssrc()};
    struct berth_options o = {.size = sizeof o,
                              .controller = getenv("BERTH_CONTROLLER"), /* https://berth.example.com */
                              .token = getenv("BERTH_TOKEN"),           /* a JWT of this agent's */
                              .ca_file = getenv("BERTH_CA")};           /* NULL: the system's store */
    struct berth_join_options j = {.size = sizeof j, .audio_level_ext = 1, .user = &app};
    struct berth_agent *agent = NULL;
    uint64_t call = 0;
    if (argc < 2 || !o.controller || !o.token) {
        fprintf(stderr, "usage: %s MEETING [FRAMES], with BERTH_CONTROLLER and BERTH_TOKEN set\n", argv[0]);
        return 2;
    }
    j.meeting = argv[1];
    j.packet = on_packet;
    j.changed = on_changed;
    j.ssrc_refused = on_ssrc_refused;
    int err = berth_agent_create(&agent, &o);
    if (err == 0)
        err = berth_agent_join(agent, &j, &call);
    if (err == 0)
        err = berth_agent_start_thread(agent);
    if (err == 0) {
        talk(agent, call, &app, argc > 2 ? atoi(argv[2]) : 500);
        err = finish(agent, call);
    }
    if (err != 0)
        fprintf(stderr, "%s\n", berth_strerror(err));
    berth_agent_destroy(agent);
    return err != 0;
}
