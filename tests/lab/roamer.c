/* An agent on the move, by the library's public functions alone: watches from its start, says what happens as a line
 * of JSON each, and does what it is told on standard input: "network" asks which network to name when joining,
 * "connect ASSIGNMENT" connects, "join MEETING" makes a call. Invariant: a line is written by one call, as several
 * threads write. */
#include <berth.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_done(void *user, struct berth_agent *agent, const struct berth_summary *s)
{
    printf("{\"event\":\"probe\",\"error\":%d,\"reachable\":%zu,\"network\":\"%s\"}\n", s->error,
           s->reachable, s->network_id);
    fflush(stdout);
}

static void on_delivery(void *user, struct berth_agent *agent, const struct berth_delivery *d)
{
    printf("{\"event\":\"report\",\"error\":%d}\n", d->error);
    fflush(stdout);
}

static void on_log(void *user, struct berth_agent *agent, int level, const char *event, const char *text)
{
    if (level >= BERTH_LOG_INFO)
        fprintf(stderr, "%s: %s\n", event, text);
}

static void on_changed(void *user, struct berth_agent *agent, const struct berth_connection *c)
{
    bool up = c->state == BERTH_CONNECTION_UP;
    printf("{\"event\":\"connection\",\"state\":\"%s\",\"transport\":\"%s\",\"came_up\":%lld,\"detail\":\"%"
           "s\"}\n",
           berth_connection_state_name(c->state), up ? berth_transport_name(c->transport) : "none",
           (long long)c->came_up, c->detail);
    fflush(stdout);
}

static void on_call(void *user, struct berth_agent *agent, const struct berth_call *c)
{
    printf("{\"event\":\"call\",\"state\":\"%s\",\"transport\":\"%s\",\"node\":\"%s\",\"reason\":\"%s\"}\n",
           berth_call_state_name(c->state), c->transport >= 0 ? berth_transport_name(c->transport) : "none",
           c->node, c->reason);
    fflush(stdout);
}

static int join(struct berth_agent *agent, char *meeting)
{
    struct berth_join_options o = {.size = sizeof o, .meeting = meeting, .changed = on_call};
    uint64_t call;
    meeting[strcspn(meeting, "\n")] = '\0';
    return berth_agent_join(agent, &o, &call);
}

static void tell_network(struct berth_agent *agent)
{
    char id[BERTH_NETWORK_ID_TEXT];
    bool known = berth_agent_network_id(agent, id) == 0;
    printf("{\"event\":\"network\",\"known\":%s,\"network\":\"%s\"}\n", known ? "true" : "false",
           known ? id : "");
    fflush(stdout);
}

/* Until standard input ends. */
static int obey(struct berth_agent *agent)
{
    static const char word[] = "connect ", join_word[] = "join ";
    char *line = NULL;
    size_t cap = 0;
    int err = 0;
    while (err == 0 && getline(&line, &cap, stdin) > 0) {
        struct berth_connect_options o = {.size = sizeof o, .changed = on_changed};
        uint64_t connection;
        if (strncmp(line, word, sizeof word - 1) == 0) {
            o.assignment = line + sizeof word - 1;
            err = berth_agent_connect(agent, &o, &connection);
        } else if (strncmp(line, join_word, sizeof join_word - 1) == 0) {
            err = join(agent, line + sizeof join_word - 1);
        } else {
            tell_network(agent);
        }
    }
    free(line);
    return err;
}

int main(void)
{
    struct berth_agent *agent = NULL;
    struct berth_options o = {.size = sizeof o,
                              .controller = getenv("BERTH_CONTROLLER"),
                              .token = getenv("BERTH_TOKEN"),
                              .agent_id = getenv("BERTH_AGENT"),
                              .ca_file = getenv("BERTH_CA")};
    o.callbacks = (struct berth_callbacks){.done = on_done, .delivery = on_delivery, .log = on_log};
    int err = berth_agent_create(&agent, &o);
    if (err == 0)
        err = berth_agent_watch(agent, 1);
    if (err == 0)
        err = berth_agent_start_thread(agent);
    if (err == 0)
        err = obey(agent);
    berth_agent_destroy(agent);
    if (err != 0)
        fprintf(stderr, "%s\n", berth_strerror(err));
    return err != 0;
}
