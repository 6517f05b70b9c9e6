/* The session's connections. Invariant: netlink is listened to exactly while somebody watches or a connection is
 * open, and a connection hears of another network only once it has settled. */
#include "session_internal.h"

#include <errno.h>
#include <string.h>

/* The slot of that connection, or BERTH_CONNECTIONS_MAX. */
static size_t find(const struct session *s, uint64_t id)
{
    size_t i = 0;
    while (i < BERTH_CONNECTIONS_MAX && (id == 0 || s->connections[i].id != id))
        i++;
    return i;
}

static struct connection *find_free(struct session *s)
{
    for (size_t i = 0; i < BERTH_CONNECTIONS_MAX; i++) {
        if (s->connections[i].id == 0)
            return &s->connections[i];
    }
    return NULL;
}

bool session_has_connections(const struct session *s)
{
    for (size_t i = 0; i < BERTH_CONNECTIONS_MAX; i++) {
        if (s->connections[i].id != 0)
            return true;
    }
    return session_call_count(s) > 0;
}

struct connection_place session_connection_place(const struct session *s)
{
    return (struct connection_place){.poller = s->poller,
                                     .tls_ctx = s->tls_ctx,
                                     .curl = s->curl,
                                     .ca_file = s->options->ca_file,
                                     .finder = s->finder};
}

void session_connections_begin(struct session *s)
{
    session_network_id(s, s->connected_network, NULL, 0);
    (void)session_listen(s); /* without it a change is seen when the path gives no answer */
}

int session_connect(struct session *s, const struct berth_connect_options *o, int64_t now_us, uint64_t *id)
{
    struct connection *c = find_free(s);
    if (!c)
        return -EMFILE;
    c->place = session_connection_place(s);
    int err = connection_options(c, o);
    if (err == 0 && connection_has_proxies(c))
        err = session_make_finder(s, &c->finder);
    if (err < 0) {
        connection_close(c);
        return err;
    }
    *id = c->id = ++s->last_connection;
    session_connections_begin(s);
    connection_begin(c, NULL, now_us);
    return 0;
}

int session_disconnect(struct session *s, uint64_t id)
{
    size_t i = find(s, id);
    if (i == BERTH_CONNECTIONS_MAX)
        return -ENOENT;
    connection_close(&s->connections[i]);
    (void)session_listen(s);
    return 0;
}

const struct connection *session_connection(const struct session *s, uint64_t id)
{
    size_t i = find(s, id);
    return i < BERTH_CONNECTIONS_MAX ? &s->connections[i] : session_call_connection(s, id);
}

void session_close_connections(struct session *s)
{
    for (size_t i = 0; i < BERTH_CONNECTIONS_MAX; i++)
        connection_close(&s->connections[i]);
}

void session_connections_changed(struct session *s, int64_t now_us)
{
    if (!session_has_connections(s))
        return;
    settle_changed(&s->connect_settle, now_us);
    for (size_t i = 0; i < BERTH_CONNECTIONS_MAX; i++) {
        if (s->connections[i].id != 0)
            connection_hurry(&s->connections[i]);
    }
    session_calls_hurry(s);
}

static void tell_of_network(struct session *s, int64_t now_us)
{
    char id[NETWORK_ID_TEXT_LEN];
    session_network_id(s, id, NULL, 0);
    if (strcmp(id, s->connected_network) == 0)
        return;
    memcpy(s->connected_network, id, sizeof id);
    session_log(s, BERTH_LOG_INFO, "network_changed", "looking after the connections");
    session_find_again(s);
    for (size_t i = 0; i < BERTH_CONNECTIONS_MAX; i++) {
        struct connection *c = &s->connections[i];
        if (c->id != 0 && connection_network_changed(c, now_us))
            s->events.connection(s->user, c);
    }
    session_calls_network_changed(s, now_us);
}

void session_step_connections(struct session *s, int64_t now_us)
{
    if (settle_done(&s->connect_settle, now_us))
        tell_of_network(s, now_us);
    for (size_t i = 0; i < BERTH_CONNECTIONS_MAX; i++) {
        struct connection *c = &s->connections[i];
        if (c->id != 0 && connection_step(c, now_us))
            s->events.connection(s->user, c);
    }
}

int64_t session_connections_deadline(const struct session *s)
{
    int64_t at = s->connect_settle.at_us;
    for (size_t i = 0; i < BERTH_CONNECTIONS_MAX; i++) {
        int64_t next = s->connections[i].id != 0 ? connection_deadline(&s->connections[i]) : INT64_MAX;
        at = next < at ? next : at;
    }
    return at;
}
