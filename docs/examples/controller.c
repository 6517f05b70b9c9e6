/* Stays: probes and reports as the controller says, in a thread of the library's own, until a line or the end is read. */
#include <berth.h>
#include <stdio.h>
#include <stdlib.h>

static void on_done(void *user, struct berth_agent *agent, const struct berth_summary *s)
{
    (void)user, (void)agent;
    if (s->error != 0) /* then there are no new results */
        printf("no probe: %s: %s\n", berth_strerror(s->error), s->detail);
    else
        printf("%zu of %zu nodes reachable\n", s->reachable, s->nodes);
    fflush(stdout);
}

static void on_delivery(void *user, struct berth_agent *agent, const struct berth_delivery *d)
{
    (void)user, (void)agent;
    printf("report %s: %s\n", d->report_id, d->error == 0 ? "stored" : d->detail);
    fflush(stdout);
}

int main(void)
{
    struct berth_options o = {.size = sizeof o,
                              .controller = getenv("BERTH_CONTROLLER"), /* https://berth.example.com */
                              .token = getenv("BERTH_TOKEN"),           /* a JWT of this agent's */
                              .ca_file = getenv("BERTH_CA")};           /* NULL: the system's store */
    o.callbacks = (struct berth_callbacks){.done = on_done, .delivery = on_delivery};
    struct berth_agent *agent = NULL;
    int err = berth_agent_create(&agent, &o);
    if (err == 0)
        err = berth_agent_watch(agent, 1);
    if (err == 0)
        err = berth_agent_start_thread(agent);
    if (err == 0)
        getchar(); /* your program's own life */
    else
        fprintf(stderr, "%s\n", berth_strerror(err));
    berth_agent_destroy(agent);
    return err != 0;
}
