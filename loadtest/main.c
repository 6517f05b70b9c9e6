/* berth-load: a table of subcommands, a file each. */
#include "command.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct command {
    const char *name, *does;
    int (*run)(int argc, char **argv);
};

static const struct command commands[] = {
    {"stun",
     "--udp|--tcp|--tls ADDR:PORT --seconds N [--connections N]\n"
     "        [--from IP] [--tickets FILE] [--resume] [--hold] [--rate N]\n"
     "        [--arrivals fixed|poisson] [--seed N] [--json]\n"
     "      ask for Bindings as fast as they are answered, or at a rate; count the\n"
     "      right answers. TCP and TLS: a connection for each, or connections that are\n"
     "      held",
     command_stun},
    {"yardstick",
     "--udp|--tcp|--tls ADDR:PORT --seconds N\n"
     "        [--cert FILE --key FILE]\n"
     "      answer Bindings with the least work there can be: receive, rewrite, send",
     command_yardstick},
    {"swarm",
     "--url http[s]://IP:PORT --token KEY --seconds N [--rate N]\n"
     "        [--agents N] [--nodes N] [--warm N] [--connections N]\n"
     "        [--seed N] [--json]\n"
     "      many agents report, each by its own clock, or as fast as they are answered",
     command_swarm},
    {"meetings",
     "--url http[s]://IP:PORT --token KEY --seconds N\n"
     "        [--rate N] [--size N] [--arrivals fixed|poisson] [--prefix P]\n"
     "        [--agents N] [--kinds N] [--warm N] [--connections N]\n"
     "        [--seed N] [--json]\n"
     "      agents join meetings of published sizes, at a rate or as fast as they are\n"
     "      answered",
     command_meetings},
    {"reports-sql",
     "--database URL --org ID --seconds N [--batch N]\n"
     "        [--rows N] [--threads N] [--nodes N] [--seed N] [--json]\n"
     "      the same rows into PostgreSQL with nothing before it: pipelined batches of\n"
     "      prepared inserts",
     command_reports_sql},
    {"place",
     "--matrix M.csv --nodes N.csv --meetings E.jsonl\n"
     "        [--measured M.csv] [--policy P.json] [--starts N] [--exact N] [--seed N]\n"
     "        [--json] [--out A.jsonl] [--forecast E.jsonl | --live-prices]\n"
     "      replay joins and leaves through the placement engine, beside baselines and\n"
     "      the best plans",
     command_place},
    {"place-gen",
     "--out DIRECTORY [--seed N] [--sites N] [--nodes N]\n"
     "        [--from-matrix CLIENTS.csv --node-matrix NODES.csv --clients C.csv]\n"
     "        [--meetings N] [--mix published|country|continent|global] [--size N]\n"
     "        [--stay] [--alone] [--lost PCT] [--jitter PCT] [--unprobed PCT]\n"
     "        [--capacity PCT] [--day N]\n"
     "      write matrix.csv, nodes.csv, meetings.jsonl and measured.csv for place",
     command_place_gen},
    {"place-join",
     "--participants N --seconds N [--nodes N]\n"
     "        [--measured PCT] [--cap-worst] [--json]\n"
     "      what a join costs the placement engine, by the size of the meeting",
     command_place_join},
    {"media",
     "--controller URL --token-file FILE --seconds N [--ca FILE]\n"
     "        [--name TEXT] [--meetings N] [--participants N] [--senders N]\n"
     "        [--last-n N] [--suite gcm|cm] [--proxy URL]\n"
     "        [--transport udp|tcp|tls|proxy|websocket] [--audio-rate N]\n"
     "        [--audio-bytes N] [--video-kbps N] [--video-bytes N] [--pid PID]...\n"
     "        [--json]\n"
     "  berth-load media --legs FILE --seconds N [...]\n"
     "      participants send and hear each other through a node, in an open loop;\n"
     "      count what is lost",
     command_media},
    {"media-engine",
     "--participants N --seconds N [--payload BYTES]\n"
     "        [--suite gcm|cm] [--json]\n"
     "      what the media engine costs for each packet that it sends on, without\n"
     "      sockets",
     command_media_engine},
    {"media-parts",
     "--seconds N [--receivers N] [--json]\n"
     "      what the parts cost that forwarding is made of: receive, unprotect, copy,\n"
     "      protect, send",
     command_media_parts},
};
enum { N_COMMANDS = sizeof commands / sizeof commands[0], OUTPUT_HELD = 1 << 18 };

static void command_usage(const struct command *c)
{
    printf("usage:\n  berth-load %s %s\nWhat each option means: man berth-load (docs/man/berth-load.1)\n",
           c->name, c->does);
}

static void usage(FILE *to)
{
    fprintf(to, "usage: berth-load COMMAND [OPTIONS]\n");
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(to, "  berth-load %s %s\n", commands[i].name, commands[i].does);
    fprintf(to, "What each option means: man berth-load (docs/man/berth-load.1)\n");
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

int number_parse(const char *text, int64_t min, int64_t max, int64_t *out)
{
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || v < min || v > max)
        return -EINVAL;
    *out = v;
    return 0;
}

int wrong_value(const char *command, const struct option *options, int opt)
{
    while (options->name != NULL && options->val != opt)
        options++;
    fprintf(stderr,
            "berth-load %s: --%s %s: not a right value, or one too many;\n"
            "    docs/man/berth-load.1 has the ranges\n",
            command, options->name != NULL ? options->name : "?", optarg != NULL ? optarg : "");
    return -1;
}

/* What was to be read and can't be has not worked, whatever else has. */
static int output_status(int status)
{
    errno = 0;
    bool lost = fflush(stdout) != 0, lost_before = ferror(stdout) != 0;
    if (!lost && !lost_before)
        return status;
    fprintf(stderr, "berth-load: standard output: %s\n", strerror(lost && errno > 0 ? errno : EIO));
    return status == EXIT_USAGE ? status : EXIT_REFUSED;
}

static int run(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (is_help(name)) {
        usage(stdout);
        return EXIT_WORKED;
    }
    if (strcmp(name, "--version") == 0) {
        printf("berth-load %s\n", BERTH_VERSION);
        return EXIT_WORKED;
    }
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(name, commands[i].name) != 0)
            continue;
        if (argc > 2 && is_help(argv[2])) {
            command_usage(&commands[i]);
            return EXIT_WORKED;
        }
        return commands[i].run(argc - 1, argv + 1);
    }
    usage(stderr);
    if (argc > 1)
        fprintf(stderr, "berth-load: there is no command '%s'\n", name);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    /* more than any summary has: what its writing fails with is known at the end */
    static char held[OUTPUT_HELD];
    (void)signal(SIGPIPE, SIG_IGN); /* who is written to may be gone: the write says so */
    if (!isatty(STDOUT_FILENO))
        (void)setvbuf(stdout, held, _IOFBF, sizeof held);
    return output_status(run(argc, argv));
}
