/* berth-load stun: the closed loop's options and its figures as text or JSON. */
#include "command.h"
#include "stun_load.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int parse(int argc, char **argv, struct stun_load_opts *opts, bool *json)
{
    static const struct option options[] = {
        {"udp", required_argument, NULL, 'u'},
        {"seconds", required_argument, NULL, 's'},
        {"connections", required_argument, NULL, 'c'},
        {"json", no_argument, NULL, 'j'},
        {NULL, 0, NULL, 0},
    };
    for (int opt; (opt = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        int wrong = opt == '?' ? -1 : 0;
        if (opt == 'u')
            wrong = addr_parse(&opts->server, optarg);
        else if (opt == 's')
            wrong = number_parse(optarg, 1, SECONDS_MAX, &opts->seconds);
        else if (opt == 'c')
            wrong = number_parse(optarg, 1, CONNECTIONS_MAX, &opts->connections);
        else if (opt == 'j')
            *json = true;
        if (wrong < 0) {
            if (opt != '?')
                fprintf(stderr, "berth-load stun: not a right value: %s\n", optarg);
            return -1;
        }
    }
    if (optind != argc || !addr_is_set(&opts->server) || opts->server.port == 0 || opts->seconds == 0) {
        fprintf(stderr, "berth-load stun: --udp ADDR:PORT and --seconds N are needed, and nothing else but "
                        "--connections and --json\n");
        return -1;
    }
    return 0;
}

static void print(const struct stun_load_result *r, bool json)
{
    double seconds = (double)r->elapsed_us / 1e6, rate = (double)r->answered / seconds;
    if (json)
        printf("{\"sent\":%" PRIu64 ",\"answered\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"late\":%" PRIu64
               ",\"wrong\":%" PRIu64 ",\"seconds\":%.6f,\"answers_per_s\":%.0f}\n",
               r->sent, r->answered, r->lost, r->late, r->wrong, seconds, rate);
    else
        printf("%.0f answers/s: %" PRIu64 " right, %" PRIu64 " lost, %" PRIu64 " late, %" PRIu64
               " wrong of %" PRIu64 " sent in %.2f s\n",
               rate, r->answered, r->lost, r->late, r->wrong, r->sent, seconds);
}

int command_stun(int argc, char **argv)
{
    struct stun_load_opts opts = {.connections = 4};
    struct stun_load_result result;
    bool json = false;
    if (parse(argc, argv, &opts, &json) < 0)
        return EXIT_USAGE;
    int answer = stun_load_run(&opts, &result);
    if (answer < 0) {
        fprintf(stderr, "berth-load stun: %s\n", strerror(-answer));
        return EXIT_REFUSED;
    }
    print(&result, json);
    return result.answered > 0 ? EXIT_WORKED : EXIT_NOTHING;
}
