/* The subcommands of berth-load. Each gets its own argv (argv[0] is its name) and answers the exit status: 0 worked, 1 worked but
 * nothing was answered, 2 bad usage, 3 the system refused. */
#ifndef BERTH_LOADTEST_COMMAND_H
#define BERTH_LOADTEST_COMMAND_H

#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <sys/types.h>

enum { EXIT_WORKED = 0, EXIT_NOTHING = 1, EXIT_USAGE = 2, EXIT_REFUSED = 3 };
/* By what reading an input failed with: -EINVAL refuses what is in it. */
static inline int exit_of_input(ssize_t error)
{
    return error == -EINVAL ? EXIT_USAGE : EXIT_REFUSED;
}

enum { SECONDS_MAX = 3600, CONNECTIONS_MAX = 1024 };

int command_stun(int argc, char **argv);
int command_yardstick(int argc, char **argv);
int command_swarm(int argc, char **argv);
int command_reports_sql(int argc, char **argv);
int command_meetings(int argc, char **argv);
int command_place(int argc, char **argv);
int command_place_gen(int argc, char **argv);
int command_place_join(int argc, char **argv);
int command_media(int argc, char **argv);
int command_media_engine(int argc, char **argv);
int command_media_parts(int argc, char **argv);

/* A whole number from min to max. 0, or -EINVAL. */
int number_parse(const char *text, int64_t min, int64_t max, int64_t *out)
    __attribute__((warn_unused_result));
/* Says that the value of the option that getopt_long has just answered with isn't right, or one too many. -1. */
int wrong_value(const char *command, const struct option *options, int opt);

#endif
