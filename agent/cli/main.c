/* The command `berth`: finds the subcommand, loads its options, runs it, and exits with its status. Only this file
 * reads the environment, asks what the terminal is like, and sets up signals. */
#include "cli.h"
#include "sys/service.h"

#include <curl/curl.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { WIDTH_MIN = 40, WIDTH_MAX = 1000 };

/* COLUMNS counts even without a terminal: so says who wants it narrow. */
static size_t output_width(bool terminal)
{
    const char *columns = getenv("COLUMNS");
    struct winsize size;
    long width = 0;
    if (terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
        width = size.ws_col;
    if (width == 0 && columns != NULL)
        width = strtol(columns, NULL, 10);
    if (width == 0 && terminal)
        width = 80;
    return width <= 0 ? 0 : width < WIDTH_MIN ? WIDTH_MIN : width > WIDTH_MAX ? WIDTH_MAX : (size_t)width;
}

static void describe_terminal(struct cli *c)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    c->out_terminal = isatty(STDOUT_FILENO);
    c->color = c->out_terminal && (no_color == NULL || no_color[0] == '\0') &&
               (term == NULL || strcmp(term, "dumb") != 0);
    c->progress = isatty(STDERR_FILENO) && (term == NULL || strcmp(term, "dumb") != 0);
    c->width = output_width(c->out_terminal);
    if (gethostname(c->host, sizeof(c->host) - 1) != 0)
        c->host[0] = '\0';
}

/* As the XDG Base Directory Specification has it; a home that isn't there (a service's user) is not made. */
static void find_state(struct cli *c)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    bool named = state != NULL && state[0] == '/';
    int n = named ? snprintf(c->state, sizeof(c->state), "%s/berth/networks", state)
            : home != NULL && home[0] == '/' && access(home, F_OK) == 0
                ? snprintf(c->state, sizeof(c->state), "%s/.local/state/berth/networks", home)
                : 0;
    if (n < 0 || (size_t)n >= sizeof(c->state))
        c->state[0] = '\0';
}

static enum cli_exit run(struct cli *c, int argc, char **argv)
{
    struct config *config = NULL;
    enum cli_exit code = cli_load(c, &config, argc, argv, environ);
    if (code == CLI_OK && c->o.help) {
        cli_print_command(c->out, c->command);
    } else if (code == CLI_OK && c->o.version) {
        cli_say(c, "berth " BERTH_VERSION);
    } else if (code == CLI_OK) {
        if (c->command->needs & CLI_NEEDS_SIGNALS)
            c->signal_fd = service_signals();
        code = c->command->run(c);
    }
    if (c->signal_fd >= 0)
        close(c->signal_fd);
    config_destroy(config);
    return code;
}

static bool has_word(int argc, char **argv, const char *word, const char *also)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], word) == 0 || (also != NULL && strcmp(argv[i], also) == 0))
            return true;
    }
    return false;
}

/* No subcommand that we know: --version, help, a group's name, or a mistake. */
static enum cli_exit without_command(int argc, char **argv, size_t words, const int at[static 2])
{
    char name[128];
    bool help = has_word(argc, argv, "--help", "-h");
    if (words == 0 && has_word(argc, argv, "--version", NULL)) {
        puts("berth " BERTH_VERSION);
        return CLI_OK;
    }
    if (words == 0) {
        cli_print_overview(help ? stdout : stderr);
        return help ? CLI_OK : CLI_USAGE;
    }
    if ((words == 1 || help) && cli_print_group(help ? stdout : stderr, argv[at[0]]))
        return help ? CLI_OK : CLI_USAGE;
    snprintf(name, sizeof(name), "%.60s%s%.60s", argv[at[0]], words > 1 ? " " : "",
             words > 1 ? argv[at[1]] : "");
    return cli_unknown(stderr, name);
}

int main(int argc, char **argv)
{
    struct cli c = {.out = stdout, .err = stderr, .signal_fd = -1};
    size_t words;
    int at[2] = {0, 0};
    setlocale(LC_CTYPE, "C.UTF-8");
    signal(SIGPIPE, SIG_IGN);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    describe_terminal(&c);
    find_state(&c);
    c.command = cli_find_command(argc, argv, &words, at);
    enum cli_exit code = c.command != NULL ? run(&c, argc, argv) : without_command(argc, argv, words, at);
    if (fflush(stdout) != 0 && code == CLI_OK)
        code = CLI_BUT;
    curl_global_cleanup();
    return (int)code;
}
