/* berth-load media: participants of meetings send and hear each other through a node; what was lost, how long it
 * took, and what it cost the node. */
#include "command.h"
#include "media_legs_file.h"
#include "media_load.h"
#include "sys/file.h"

#include <curl/curl.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    RATE_MAX = 4000, /* packets a second of each leg: a node's limit */
    KBPS_MAX = 20000,
    AUDIO_PER_S = 50,
    AUDIO_BYTES = 172,
    VIDEO_BYTES = 1212,
    NAME_LEN = 48,
    TOKEN_LEN = 512,
    MEETING_MAX = 500, /* a node's limit */
};

struct media_command {
    struct media_load_opts load;
    struct media_assign_opts assign;
    const char *token_file, *legs_file, *transport;
    int64_t meetings, participants, senders, last_n, audio_per_s, audio_bytes, video_kbps, video_bytes;
    bool json;
    char name[NAME_LEN], token[TOKEN_LEN];
};

/* ---- options ---- */

static int take_suite(struct media_command *c, const char *text)
{
    if (strcmp(text, "gcm") != 0 && strcmp(text, "cm") != 0)
        return -EINVAL;
    c->load.suites = (uint8_t)(1u << (*text == 'g' ? SRTP_AES_128_GCM : SRTP_AES_CM_128_SHA1_80));
    return 0;
}

static int take_server(struct media_command *c, const char *text)
{
    int64_t pid;
    if (c->load.n_servers == MEDIA_LOAD_SERVERS_MAX || number_parse(text, 1, INT32_MAX, &pid) < 0)
        return -EINVAL;
    c->load.servers[c->load.n_servers++] = (pid_t)pid;
    return 0;
}

static int take_transport(struct media_command *c, const char *text)
{
    c->transport = text;
    c->assign.websocket = strcmp(text, "websocket") == 0;
    return transport_parse(c->assign.websocket ? "tls" : text, &c->assign.transport);
}

static int take_name(struct media_command *c, const char *text)
{
    size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-");
    if (len == 0 || text[len] != '\0' || len >= sizeof c->name)
        return -EINVAL;
    memcpy(c->name, text, len + 1);
    return 0;
}

static int take(struct media_command *c, int opt, const char *text)
{
    switch (opt) {
    case 'c':
        c->assign.controller = text;
        return 0;
    case 'k':
        c->token_file = text;
        return 0;
    case 'a':
        c->assign.ca_file = text;
        return 0;
    case 'f':
        c->legs_file = text;
        return 0;
    case 'x':
        c->assign.proxy = text;
        return 0;
    case 'n':
        return take_name(c, text);
    case 't':
        return take_transport(c, text);
    case 'e':
        return take_suite(c, text);
    case 'i':
        return take_server(c, text);
    case 's':
        return number_parse(text, 1, SECONDS_MAX, &c->load.seconds);
    case 'm':
        return number_parse(text, 1, MEDIA_LOAD_LEGS_MAX / 2, &c->meetings);
    case 'p':
        return number_parse(text, 2, MEETING_MAX, &c->participants);
    case 'o':
        return number_parse(text, 1, MEETING_MAX, &c->senders);
    case 'l':
        return number_parse(text, 1, MEETING_MAX, &c->last_n);
    case 'r':
        return number_parse(text, 0, RATE_MAX, &c->audio_per_s);
    case 'b':
        return number_parse(text, MEDIA_PACKET_LEAST, MEDIA_PACKET_MOST, &c->audio_bytes);
    case 'v':
        return number_parse(text, 0, KBPS_MAX, &c->video_kbps);
    case 'w':
        return number_parse(text, MEDIA_PACKET_LEAST, MEDIA_PACKET_MOST, &c->video_bytes);
    case 'j':
        c->json = true;
        return 0;
    default:
        return -EINVAL;
    }
}

static int parse(int argc, char **argv, struct media_command *c)
{
    static const struct option options[] = {{"controller", required_argument, NULL, 'c'},
                                            {"token-file", required_argument, NULL, 'k'},
                                            {"ca", required_argument, NULL, 'a'},
                                            {"legs", required_argument, NULL, 'f'},
                                            {"proxy", required_argument, NULL, 'x'},
                                            {"name", required_argument, NULL, 'n'},
                                            {"transport", required_argument, NULL, 't'},
                                            {"suite", required_argument, NULL, 'e'},
                                            {"pid", required_argument, NULL, 'i'},
                                            {"seconds", required_argument, NULL, 's'},
                                            {"meetings", required_argument, NULL, 'm'},
                                            {"participants", required_argument, NULL, 'p'},
                                            {"senders", required_argument, NULL, 'o'},
                                            {"last-n", required_argument, NULL, 'l'},
                                            {"audio-rate", required_argument, NULL, 'r'},
                                            {"audio-bytes", required_argument, NULL, 'b'},
                                            {"video-kbps", required_argument, NULL, 'v'},
                                            {"video-bytes", required_argument, NULL, 'w'},
                                            {"json", no_argument, NULL, 'j'},
                                            {NULL, 0, NULL, 0}};
    for (int opt; (opt = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (opt == '?')
            return -1;
        if (take(c, opt, optarg) < 0)
            return wrong_value("media", options, opt);
    }
    bool proxied = c->assign.transport == TRANSPORT_PROXY;
    if (optind != argc || c->load.seconds == 0 || (c->audio_per_s == 0 && c->video_kbps == 0) ||
        (c->legs_file == NULL) == (c->assign.controller == NULL) ||
        (c->assign.controller && !c->token_file) || proxied != (c->assign.proxy != NULL)) {
        fprintf(stderr, "berth-load media: --seconds N is needed, and either --controller URL\n"
                        "    and --token-file FILE or --legs FILE; --transport proxy needs --proxy URL\n");
        return -1;
    }
    if (c->meetings * c->participants > MEDIA_LOAD_LEGS_MAX) {
        fprintf(stderr, "berth-load media: %d participants at most in all meetings\n", MEDIA_LOAD_LEGS_MAX);
        return -1;
    }
    return 0;
}

/* ---- figures ---- */

static double per_packet_us(const struct media_load_result *r)
{
    return r->server_cpu_ns >= 0 && r->window_heard > 0
               ? (double)r->server_cpu_ns / 1000 / (double)r->window_heard
               : -1;
}

static double kib_each(const struct media_command *c, int64_t before, int64_t with)
{
    size_t legs = c->load.shape.meetings * c->load.shape.participants;
    return before >= 0 && with >= 0 ? (double)(with - before) / 1024 / (double)legs : -1;
}

static double share(uint64_t n, double seconds)
{
    return seconds > 0 ? (double)n / seconds : 0;
}

static void print_json(const struct media_command *c, const struct media_load_result *r)
{
    char latency[HISTOGRAM_TEXT_LEN], lateness[HISTOGRAM_TEXT_LEN];
    const struct media_tally_figures *t = &r->tally;
    histogram_json(&r->latency, latency);
    histogram_json(&r->lateness, lateness);
    printf("{\"transport\": \"%s\", \"suite\": \"%s\", \"meetings\": %zu, \"participants\": %zu, "
           "\"senders\": %zu, \"last_n\": "
           "%" PRId64 ", \"seconds\": %" PRId64 ", \"sent\": %" PRIu64 ", \"expected\": %" PRIu64
           ", \"heard\": %" PRIu64 ", \"missing\": %" PRIu64 ", \"gaps\": %" PRIu64 ", \"repeated\": %" PRIu64
           ", \"disordered\": %" PRIu64 ", \"foreign\": %" PRIu64 ", \"refused\": %" PRIu64
           ", \"not_sent\": %" PRIu64 ", \"legs_lost\": %" PRIu64,
           c->legs_file ? "udp" : c->transport, r->suite, c->load.shape.meetings, c->load.shape.participants,
           c->load.senders, c->last_n, c->load.seconds, t->sent, t->expected, t->heard, t->missing, r->gaps,
           t->repeated, t->disordered, t->foreign, r->refused, r->not_sent, r->legs_lost);
    printf(", \"sent_per_s\": %.1f, \"heard_per_s\": %.1f, \"heard_kbps\": %.1f, \"latency\": %s, "
           "\"lateness\": %s",
           share(r->window_sent, r->window_s), share(r->window_heard, r->window_s),
           share(r->window_heard_bytes, r->window_s) * 8 / 1000, latency, lateness);
    if (r->server_cpu_ns >= 0)
        printf(", \"server_cores\": %.4f, \"server_cpu_us_per_packet\": %.4f, \"session_kib\": %.1f, "
               "\"session_sending_kib\": %.1f",
               (double)r->server_cpu_ns / 1e9 / r->window_s, per_packet_us(r),
               kib_each(c, r->server_memory_before, r->server_memory_up),
               kib_each(c, r->server_memory_before, r->server_memory_sending));
    printf("}\n");
}

static void print_text(const struct media_command *c, const struct media_load_result *r)
{
    char text[HISTOGRAM_TEXT_LEN];
    const struct media_tally_figures *t = &r->tally;
    printf("%zu meetings of %zu over %s, %s, %" PRId64 " s\n", c->load.shape.meetings,
           c->load.shape.participants, c->legs_file ? "udp" : c->transport, r->suite, c->load.seconds);
    printf("  packets in       %12" PRIu64 "  %.0f/s\n", t->sent, share(r->window_sent, r->window_s));
    printf("  packets out      %12" PRIu64 "  %.0f/s, %.1f Mbit/s\n", t->heard,
           share(r->window_heard, r->window_s), share(r->window_heard_bytes, r->window_s) * 8 / 1e6);
    if (c->last_n < c->participants)
        printf("  missing          %12" PRIu64 "  in the sequence numbers; of the last %" PRId64
               " that are heard\n",
               r->gaps, c->last_n);
    else
        printf("  missing          %12" PRIu64 "  of %" PRIu64 "\n", t->missing, t->expected);
    printf("  disordered, repeated, foreign, refused, not sent: %" PRIu64 ", %" PRIu64 ", %" PRIu64
           ", %" PRIu64 ", %" PRIu64 "\n",
           t->disordered, t->repeated, t->foreign, r->refused, r->not_sent);
    histogram_text(&r->latency, text);
    printf("  one way          %s\n", text);
    histogram_text(&r->lateness, text);
    printf("  of that sent late %s\n", text);
    if (r->server_cpu_ns >= 0)
        printf("  server           %.2f us of CPU for each packet out, %.2f of a core; a session %.1f KiB, "
               "sending %.1f KiB\n",
               per_packet_us(r), (double)r->server_cpu_ns / 1e9 / r->window_s,
               kib_each(c, r->server_memory_before, r->server_memory_up),
               kib_each(c, r->server_memory_before, r->server_memory_sending));
    if (r->legs_lost > 0)
        printf("  sessions lost    %12" PRIu64 "  the first: %s\n", r->legs_lost, r->lost_why);
}

/* ---- the run ---- */

static int load(struct media_command *c)
{
    if (c->load.senders == 0 || c->load.senders > c->load.shape.participants)
        c->load.senders = c->load.shape.participants;
    c->load.all_heard = c->last_n >= (int64_t)c->load.shape.participants;
    struct media_load_result *r = calloc(1, sizeof *r);
    char why[MEDIA_LOAD_TEXT];
    int err = r ? media_load_run(&c->load, r, why) : -ENOMEM;
    if (err < 0)
        fprintf(stderr, "berth-load media: %s\n", r ? why : strerror(ENOMEM));
    else if (c->json)
        print_json(c, r);
    else
        print_text(c, r);
    int status = err < 0                                   ? EXIT_REFUSED
                 : r->tally.heard > 0 && r->legs_lost == 0 ? EXIT_WORKED
                                                           : EXIT_NOTHING;
    free(r);
    return status;
}

static int load_keyed(struct media_command *c)
{
    struct keyed_plan *plans = NULL;
    struct replay_error e;
    int status = media_legs_file_read(c->legs_file, MEDIA_LOAD_LEGS_MAX, &c->load.shape, &plans, &e);
    if (status < 0) {
        fprintf(stderr, "berth-load media: %s\n", e.text);
        return exit_of_input(status);
    }
    c->last_n = c->participants = (int64_t)c->load.shape.participants;
    c->load.keyed = plans;
    status = load(c);
    free(plans);
    return status;
}

static int load_assigned(struct media_command *c)
{
    char why[MEDIA_ASSIGN_TEXT] = "out of memory", error[TLS_ERROR_TEXT] = "";
    size_t made = 0;
    int status = EXIT_REFUSED;
    struct media_assignment *assigned =
        calloc(c->load.shape.meetings * c->load.shape.participants, sizeof *assigned);
    if (tls_client_ctx_new(&c->load.tls_ctx, c->assign.ca_file, error) < 0) {
        fprintf(stderr, "berth-load media: %s\n", error);
        goto out;
    }
    c->load.assigned = assigned;
    if (!assigned || media_assign(&c->assign, assigned, &made, why) < 0)
        fprintf(stderr, "berth-load media: %s\n", why);
    else
        status = load(c);
    media_assign_end(&c->assign, made);
out:
    SSL_CTX_free(c->load.tls_ctx);
    free(assigned);
    return status;
}

static int read_token(struct media_command *c)
{
    return file_read_line(c->token_file, c->token, sizeof c->token) > 0 ? 0 : -ENOENT;
}

/* A socket for each leg at least. */
static void raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)!setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int command_media(int argc, char **argv)
{
    struct media_command c = {.transport = "udp",
                              .meetings = 1,
                              .participants = 2,
                              .audio_per_s = AUDIO_PER_S,
                              .audio_bytes = AUDIO_BYTES,
                              .video_bytes = VIDEO_BYTES};
    if (sodium_init() < 0 || srtp_leg_library() < 0 || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return EXIT_REFUSED;
    snprintf(c.name, sizeof c.name, "load-%08" PRIx32, randombytes_random());
    if (parse(argc, argv, &c) < 0)
        return EXIT_USAGE;
    if (c.last_n == 0)
        c.last_n = c.participants;
    c.load.senders = (size_t)c.senders;
    c.load.shape = (struct media_shape){(size_t)c.meetings, (size_t)c.participants};
    c.load.streams[MEDIA_AUDIO] = (struct media_stream){(double)c.audio_per_s, (size_t)c.audio_bytes};
    c.load.streams[MEDIA_VIDEO] =
        (struct media_stream){(double)c.video_kbps * 1000 / 8 / (double)c.video_bytes, (size_t)c.video_bytes};
    c.load.progress = isatty(STDERR_FILENO) == 1;
    raise_descriptors();
    if (c.legs_file)
        return load_keyed(&c);
    if (read_token(&c) < 0) {
        fprintf(
            stderr,
            "berth-load media: %s can't be read, or its first line is no key; berth key create makes one\n",
            c.token_file);
        return EXIT_USAGE;
    }
    c.assign.token = c.token;
    c.assign.name = c.name;
    c.assign.shape = c.load.shape;
    c.assign.last_n = c.last_n;
    int status = load_assigned(&c);
    sodium_memzero(c.token, sizeof c.token);
    return status;
}
