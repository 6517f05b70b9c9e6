/* Probes the nodes named on the command line (HOST UDP-PORT ...) from a poll loop of its own. */
#include <berth.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

static void on_result(void *user, struct berth_agent *agent, const struct berth_result *r)
{
    (void)user, (void)agent;
    printf("%s %s %s median %lld us\n", r->node, berth_transport_name(r->transport),
           berth_status_name(r->status), (long long)r->rtt_median_us);
}

static void on_done(void *user, struct berth_agent *agent, const struct berth_summary *s)
{
    (void)agent;
    printf("%zu of %zu nodes reachable\n", s->reachable, s->nodes);
    *(int *)user = 1;
}

int main(int argc, char **argv)
{
    struct berth_node nodes[16] = {0};
    int done = 0;
    struct berth_options o = {.size = sizeof o, .nodes = nodes, .user = &done};
    o.callbacks = (struct berth_callbacks){.result = on_result, .done = on_done};
    for (int i = 1; i + 1 < argc && o.n_nodes < 16; i += 2)
        nodes[o.n_nodes++] = (struct berth_node){.host = argv[i], .udp = {(uint16_t)atoi(argv[i + 1])}};
    struct berth_agent *agent = NULL;
    int err = berth_agent_create(&agent, &o);
    if (err == 0)
        err = berth_agent_probe(agent, 0);
    while (err == 0 && !done) {
        struct pollfd fds[] = {{.fd = berth_agent_fd(agent), .events = POLLIN} /* and your own */};
        poll(fds, 1, berth_agent_timeout(agent));
        err = berth_agent_dispatch(agent);
    }
    if (err != 0)
        fprintf(stderr, "%s\n", berth_strerror(err));
    berth_agent_destroy(agent);
    return err != 0;
}
