/* What a call measured, and telling the controller. Invariant: what isn't taken by the controller stays, until the
 * next report takes it along or newer figures need the room. */
#include "session_calls.h"

#include "sys/clock.h"

#include <stdio.h>

static enum transport winner(const struct connection *c)
{
    const struct ladder *l = ladder_io_ladder(c->io);
    return ladder_place(l, ladder_winner(l))->transport;
}

void call_stretch_up(struct call_path *p, int64_t now_us)
{
    struct media_leg_figures f;
    connection_media(p->connection, now_us, &f);
    call_stretch_begin(&p->mark, &f, now_us);
    p->transport = winner(p->connection);
}

static void add(struct session_call *k, const struct call_stretch *c)
{
    if (k->stretches.n == REPORT_CALLS_MAX && k->n_telling > 0)
        k->n_telling--; /* the oldest, which is being told, makes room */
    call_stretches_add(&k->stretches, c);
}

void call_stretch_over(struct call_path *p, enum call_end how, const struct media_leg_figures *f,
                       int64_t now_us)
{
    struct session_call *k = p->call;
    struct call_stretch c;
    call_stretch_init(&c);
    c.transport = p->transport;
    c.ended = how;
    c.expected = p->expected;
    snprintf(c.node, sizeof c.node, "%s", p->node);
    snprintf(c.meeting, sizeof c.meeting, "%s", k->meeting);
    if (k->is.tell_every_us > 0 && call_stretch_cut(&c, &p->mark, f, now_us))
        add(k, &c);
}

json_t *call_telling(struct session_call *k, int64_t now_us)
{
    char network[BERTH_NETWORK_ID_TEXT];
    struct media_leg_figures f;
    for (size_t i = 0; i < CALL_LEGS && k->n_telling == 0; i++) {
        if (!k->paths[i].up)
            continue;
        connection_media(k->paths[i].connection, now_us, &f);
        call_stretch_over(&k->paths[i], CALL_GOES_ON, &f, now_us);
    }
    k->n_telling = k->stretches.n;
    if (k->n_telling == 0)
        return NULL;
    if (session_known_network(k->s, network) < 0)
        session_network_id(k->s, network, NULL, 0);
    const struct report_head head = {.agent_id = agent_options_name(k->s->options),
                                     .network_id = network,
                                     .measured_at_us = session_wall_us(k->s)};
    return report_of_calls(&head, &k->stretches);
}

void call_telling_answered(struct session_call *k, long status, int64_t now_us)
{
    bool later = status == 401 || status == 403 || session_classify(status) != BERTH_E_REFUSED;
    if (status / 100 == 2 || !later)
        call_stretches_drop(&k->stretches, k->n_telling);
    else if (k->n_telling > 0)
        session_log(k->s, BERTH_LOG_INFO, "call_figures_untold", "%s: %ld", k->meeting, status);
    k->n_telling = 0;
    call_told(&k->is, status != 401 && status != 403, now_us);
}
