/* Probes the nodes named on the command line (HOST UDP-PORT ...) from a poll loop of its own. */
#include <berth.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

static void on_result(void *user, struct berth_agent *agent, const struct berth_result *r)
{
    printf("%s %s %s median %lld us\n", r->node, berth_transport_name(r->transport),
           berth_status_name(r->status), (long long)r->rtt_median_us);
}

static void on_done(void *user, struct berth_agent *agent, const struct berth_summary *s)
{
    printf("%zu of %zu nodes reachable\n", s->reachable, s->nodes);
    *(int *)user = s->error < 0 ? s->error : s->reachable > 0;
}

int main(int argc, char **argv)
{
    enum { RUNNING = 2 };
    struct berth_node nodes[16] = {0};
    size_t n = 0;
    for (int i = 1; i + 1 < argc && n < 16; i += 2, n++)
        nodes[n] = (struct berth_node){.host = argv[i], .udp = {(uint16_t)atoi(argv[i + 1])}};
    int ended = RUNNING;
    struct berth_agent *agent;
    int err = berth_agent_create(&agent,
                                 &(struct berth_options){.size = sizeof(struct berth_options),
                                                         .nodes = nodes,
                                                         .n_nodes = n,
                                                         .callbacks = {.result = on_result, .done = on_done},
                                                         .user = &ended});
    if (err == 0)
        err = berth_agent_probe(agent, 0);
    while (err == 0 && ended == RUNNING) {
        struct pollfd fds[] = {{.fd = berth_agent_fd(agent), .events = POLLIN} /* and your own */};
        poll(fds, 1, berth_agent_timeout(agent));
        err = berth_agent_dispatch(agent);
    }
    if (err < 0)
        fprintf(stderr, "%s\n", berth_strerror(err));
    else
        berth_agent_destroy(agent);
    return err == 0 && ended == 1 ? 0 : 1;
}
