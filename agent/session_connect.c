/* The session's connections, and the networks that it knows. Invariant: netlink is listened to exactly while somebody watches or a
 * connection is open, and a connection is raced again only where the settled network is another than the one it was made in. */
#include "session_internal.h"

#include "sys/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- known networks ---- */

void session_remember_network(struct session *s)
{
    struct known_network *at = &s->known[0];
    for (size_t i = 0; i < KNOWN_NETWORKS; i++) {
        if (strcmp(s->known[i].local, s->reported.local) == 0) {
            at = &s->known[i];
            break;
        }
        if (s->known[i].until_wall_us < at->until_wall_us)
            at = &s->known[i];
    }
    *at = s->reported;
    if (s->options->state_file) {
        int err = network_memory_add(s->options->state_file, &s->reported, clock_wall_us());
        if (err < 0)
            session_log(s, BERTH_LOG_WARN, "state_not_kept", "%s: %s", s->options->state_file,
                        strerror(-err));
    }
}

int session_known_network(struct session *s, char out[static BERTH_NETWORK_ID_TEXT])
{
    char local[NETWORK_ID_TEXT_LEN];
    session_network_id(s, local, NULL, 0);
    for (size_t i = 0; i < KNOWN_NETWORKS; i++) {
        if (strcmp(s->known[i].local, local) == 0 && clock_wall_us() < s->known[i].until_wall_us) {
            snprintf(out, BERTH_NETWORK_ID_TEXT, "%s", s->known[i].id);
            return 0;
        }
    }
    struct known_network earlier;
    if (!s->options->state_file ||
        network_memory_find(s->options->state_file, local, clock_wall_us(), &earlier) < 0)
        return -ENOENT;
    memcpy(out, earlier.id, sizeof earlier.id);
    return 0;
}

/* ---- connections ---- */

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
    return false;
}

/* Not waited for: it answers long before the rung is begun, or the login is withheld. */
static void on_found(void *user)
{
}

/* A proxy rung that names no proxy means ours. */
static void name_proxies(struct connection *c)
{
    const struct proxy_list *l = proxy_finder_lists(c->finder);
    const struct proxy_table *t = proxy_finder_table(c->finder);
    for (size_t i = 0, asked = 0; i < c->n; i++) {
        struct ladder_place *p = &c->ladder[i];
        if (p->transport != TRANSPORT_PROXY)
            continue;
        for (size_t k = 0; k < l[asked].n && p->proxy[0] == '\0'; k++) {
            if (t->at[l[asked].at[k]].kind != PROXY_DIRECT)
                proxy_format(&t->at[l[asked].at[k]], p->proxy);
        }
        asked++;
    }
}

static int find_proxies(struct session *s, struct connection *c)
{
    char ip[LADDER_PLACES_MAX][ADDR_TEXT_LEN];
    struct proxy_destination d[LADDER_PLACES_MAX];
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++) {
        const struct ladder_place *p = &c->ladder[i];
        if (p->transport != TRANSPORT_PROXY)
            continue;
        const char *host = p->tls_name[0] != '\0' ? p->tls_name : addr_format_ip(&p->to, ip[n]);
        d[n++] = (struct proxy_destination){.host = host, .ip = p->to, .port = p->to.port};
    }
    if (n == 0)
        return 0;
    int err = session_make_finder(s, &c->finder);
    if (err == 0)
        err = proxy_finder_ask(c->finder, d, n, on_found, NULL);
    if (err == 1)
        name_proxies(c);
    return err < 0 ? err : 0;
}

int session_connect(struct session *s, const struct berth_connect_options *o, int64_t now_us, uint64_t *id)
{
    struct connection *c = find_free(s);
    if (!c)
        return -EMFILE;
    c->place = (struct connection_place){s->poller, s->tls_ctx, s->curl, s->options->ca_file};
    int err = connection_options(c, o);
    if (err == 0)
        err = find_proxies(s, c);
    if (err < 0) {
        connection_close(c);
        return err;
    }
    *id = c->id = ++s->last_connection;
    session_network_id(s, s->connected_network, NULL, 0);
    (void)session_listen(s); /* without it a change is seen when the keep-alive gets no answer */
    connection_race(c, NULL, now_us);
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
    return i < BERTH_CONNECTIONS_MAX ? &s->connections[i] : NULL;
}

void session_close_connections(struct session *s)
{
    for (size_t i = 0; i < BERTH_CONNECTIONS_MAX; i++)
        connection_close(&s->connections[i]);
}

void session_connections_changed(struct session *s, int64_t now_us)
{
    if (!session_has_connections(s) || !settle_changed(&s->connect_settle, now_us))
        return;
    for (size_t i = 0; i < BERTH_CONNECTIONS_MAX; i++) {
        if (s->connections[i].id != 0 && s->connections[i].io)
            ladder_io_hurry(s->connections[i].io);
    }
}

static void race_again(struct session *s, int64_t now_us)
{
    char id[NETWORK_ID_TEXT_LEN];
    session_network_id(s, id, NULL, 0);
    if (strcmp(id, s->connected_network) == 0)
        return;
    memcpy(s->connected_network, id, sizeof id);
    session_log(s, BERTH_LOG_INFO, "network_changed", "connecting again");
    for (size_t i = 0; i < BERTH_CONNECTIONS_MAX; i++) {
        struct connection *c = &s->connections[i];
        if (c->id == 0)
            continue;
        c->failures = 0;
        connection_race(c, "the network has changed", now_us);
        s->events.connection(s->user, c);
    }
}

void session_step_connections(struct session *s, int64_t now_us)
{
    if (settle_done(&s->connect_settle, now_us))
        race_again(s, now_us);
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
