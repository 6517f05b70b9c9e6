/* Options to an agent, and the loop that drives it. Invariant: with nodes given on the command line no controller is asked. */
#include "driver.h"

#include "core/token.h"
#include "sys/clock.h"
#include "sys/rest.h"

#include "call.h"
#include "way.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { CODE_MAX = 40 };

enum cli_exit driver_nodes(struct driver *s)
{
    const struct config_list *l = &s->cli->o.node;
    s->specs = calloc(l->n + 1, sizeof(*s->specs));
    s->nodes = calloc(l->n + 1, sizeof(*s->nodes));
    if (s->specs == NULL || s->nodes == NULL)
        return cli_fail(s->cli, CLI_USAGE, "out of memory");
    for (size_t i = 0; i < l->n; i++) {
        char err[NODE_SPEC_ERROR];
        if (node_spec_parse(&s->specs[i], l->v[i], err) != 0)
            return cli_fail(s->cli, CLI_USAGE, "--node %.80s: %s", l->v[i], err);
        s->nodes[i] = s->specs[i].node;
    }
    s->n_nodes = l->n;
    return CLI_OK;
}

/* The file in which networks are remembered, or NULL. The default's folder is made where it is missing, and where
 * that can't be the library says so. */
static const char *state_file(const struct cli *c)
{
    char folder[sizeof(c->state)];
    if (c->o.state != NULL)
        return strcmp(c->o.state, "none") == 0 ? NULL : c->o.state;
    memcpy(folder, c->state, sizeof(folder));
    for (char *p = folder; (p = strchr(p + 1, '/')) != NULL; *p = '/') {
        *p = '\0';
        (void)mkdir(folder, 0700);
    }
    return c->state[0] != '\0' ? c->state : NULL;
}

enum cli_exit driver_open(struct driver *s, struct cli *c, const struct berth_callbacks *callbacks,
                          void *user)
{
    *s = (struct driver){.cli = c};
    enum cli_exit code = driver_nodes(s);
    if (code != CLI_OK)
        return code;
    bool given = s->n_nodes > 0;
    if (!given && c->o.controller == NULL)
        return cli_fail(c, CLI_USAGE,
                        "what to probe? Give --controller URL (or set BERTH_CONTROLLER), or --node HOST");
    if (!given && c->o.token == NULL)
        return cli_fail(c, CLI_USAGE, "no token: give --token TOKEN, or set BERTH_TOKEN");
    if (way_check(c) != CLI_OK)
        return CLI_USAGE;
    struct berth_options o = {.size = sizeof(o),
                              .controller = given ? NULL : c->o.controller,
                              .token = given ? NULL : c->o.token,
                              .agent_id = c->o.agent,
                              .nodes = given ? s->nodes : NULL,
                              .n_nodes = s->n_nodes,
                              .ca_file = c->o.ca,
                              .proxy = c->o.proxy,
                              .proxy_pac = c->o.proxy_pac,
                              .no_proxy = c->o.no_proxy,
                              .proxy_user = c->o.proxy_user,
                              .proxy_password = c->o.proxy_password,
                              .state_file = given ? NULL : state_file(c),
                              .callbacks = *callbacks,
                              .user = user};
    char shown[REST_URL_TEXT];
    int rc = berth_agent_create(&s->agent, &o);
    if (rc == -EINVAL && c->o.agent != NULL && !agent_id_valid(c->o.agent))
        return cli_fail(c, CLI_USAGE,
                        "--agent (BERTH_AGENT) takes 1 to %d letters, digits, '.', '_' and '-', not '%.140s'",
                        AGENT_ID_MAX, c->o.agent);
    if (rc == -EINVAL && !given)
        return cli_fail(c, CLI_USAGE,
                        "--controller '%.200s' or the token can't be used: it takes https://host[:port], "
                        "or http:// to this machine",
                        rest_url_text(c->o.controller, shown));
    return rc == 0 ? CLI_OK : cli_fail(c, CLI_USAGE, "%s", berth_strerror(rc));
}

void driver_close(struct driver *s)
{
    berth_agent_destroy(s->agent);
    free(s->specs);
    free(s->nodes);
    *s = (struct driver){0};
}

static int step(struct driver *s, int signal_fd, int timeout_ms)
{
    struct pollfd fds[] = {
        {.fd = berth_agent_fd(s->agent), .events = POLLIN},
        {.fd = signal_fd, .events = POLLIN},
    };
    if (poll(fds, 2, timeout_ms) < 0 && errno != EINTR)
        return -errno;
    int rc = berth_agent_dispatch(s->agent);
    if (rc < 0)
        return rc;
    return fds[1].revents != 0 ? 1 : 0;
}

int driver_step(struct driver *s, int signal_fd)
{
    return step(s, signal_fd, berth_agent_timeout(s->agent));
}

int driver_step_until(struct driver *s, int64_t until_us)
{
    int64_t left = (until_us - clock_mono_us() + 999) / 1000;
    int timeout = berth_agent_timeout(s->agent);
    if (left < 0)
        left = 0;
    return step(s, -1, timeout >= 0 && timeout < left ? timeout : (int)left);
}

enum cli_exit driver_exit(int error)
{
    switch (error) {
    case 0:
        return CLI_OK;
    case BERTH_E_UNREACHABLE:
    case BERTH_E_REFUSED:
    case BERTH_E_UNAVAILABLE:
    case BERTH_E_PROTOCOL:
    case BERTH_E_EXPIRED:
        return CLI_CONTROLLER;
    case -EINVAL:
        return CLI_USAGE;
    default:
        return CLI_BUT;
    }
}

/* The code of "404 unknown_meeting: ...", as the library tells of refusals; "": none. */
static void code_of(const char *detail, char code[static CODE_MAX + 1])
{
    char *end;
    (void)strtol(detail, &end, 10);
    end += end != detail && *end == ' ';
    size_t len = end == detail ? 0 : strspn(end, "abcdefghijklmnopqrstuvwxyz_");
    len = len <= CODE_MAX && (end[len] == ':' || end[len] == '\0') ? len : 0;
    memcpy(code, end, len);
    code[len] = '\0';
}

static const char *advice(const struct cli *c, int error, const char *detail)
{
    const char *of_way = error == BERTH_E_UNREACHABLE ? way_advice(c, detail) : NULL;
    if (of_way != NULL)
        return of_way;
    switch (error) {
    case BERTH_E_UNREACHABLE:
        if (c->o.controller != NULL && strncasecmp(c->o.controller, "http:", 5) == 0)
            return "check --controller (BERTH_CONTROLLER): an HTTPS port wants https://, not http://";
        return "check --controller (BERTH_CONTROLLER), and --ca (BERTH_CA) for the CA that signed its "
               "certificate";
    case -EINVAL:
        return "a controller is https://host[:port], or http:// to this machine";
    case BERTH_E_UNAVAILABLE:
        return "try again in a moment";
    case BERTH_E_PROTOCOL:
        return "check that --controller (BERTH_CONTROLLER) is a Berth controller";
    default:
        return NULL;
    }
}

enum cli_exit driver_fail(const struct cli *c, const char *what, int error, int http_status,
                          const char *detail)
{
    char status[24] = "";
    if (http_status > 0 && strtol(detail, NULL, 10) != http_status) /* the detail says it itself */
        snprintf(status, sizeof(status), " (%d)", http_status);
    cli_fail(c, CLI_CONTROLLER, "%s: %s%s%s%s", what, berth_strerror(error), status,
             detail[0] != '\0' ? ": " : "", detail);
    char code[CODE_MAX + 1];
    code_of(detail, code);
    const char *text = advice(c, error, detail);
    if (http_status > 0 && call_advise(c, CALL_TOKEN_OWN, http_status, code))
        return driver_exit(error);
    if (text != NULL)
        cli_advise(c, "%s", text);
    return driver_exit(error);
}
