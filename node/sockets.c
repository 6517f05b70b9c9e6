/* Binds. Invariant: an address that another program holds is an error, although our own threads share each address
 * by SO_REUSEPORT. */
#include "sockets.h"

#include "sys/sockaddr.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    BACKLOG = 4096,
    STREAM_RECEIVE_BUFFER = 64 * 1024, /* of requests, from a peer that doesn't read its answers */
    UDP_BUFFER = 4 * 1024 * 1024       /* bursts; the kernel may give less */
};

static int fail(struct options_error *e, int error, const char *what, const struct addr *a)
{
    char text[ADDR_TEXT_LEN];
    const char *advice = "";
    if (error == EACCES)
        advice =
            "; ports below 1024 need CAP_NET_BIND_SERVICE (the systemd unit grants it), or take another port";
    else if (error == EADDRINUSE && strcmp(what, "metrics") == 0)
        advice = "; another program listens there: take another port, or 'off'";
    else if (error == EADDRINUSE)
        advice = "; another program listens there";
    else if (error == EADDRNOTAVAIL)
        advice =
            "; this machine has no such address (behind NAT, bind 0.0.0.0 and --advertise the public one)";
    snprintf(e->text, sizeof(e->text), "cannot listen on --%s %s: %s%s", what, addr_format(a, text),
             strerror(error), advice);
    return -error;
}

static int open_one(enum transport t, const struct addr *a, bool shared)
{
    int fd = t == TRANSPORT_UDP ? socket_bind_udp(a, shared) : socket_listen_tcp(a, shared, BACKLOG);
    if (fd < 0)
        return fd;
    int size = t == TRANSPORT_UDP ? UDP_BUFFER : STREAM_RECEIVE_BUFFER;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    if (t == TRANSPORT_UDP)
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    return fd;
}

/* Sockets that share an address by SO_REUSEPORT would share it with a second berth-node too, and so would a port that the kernel
 * chose; so each address is bound alone first. */
static int claim(enum transport t, struct addr *a)
{
    int fd = open_one(t, a, false);
    if (fd < 0)
        return fd;
    int rc = socket_local_addr(fd, a);
    close(fd);
    return rc;
}

/* One address for all threads. 1: left out, which is only done with defaults. */
static int open_address(struct node_sockets *s, const struct node_plan *plan, enum transport t, struct addr a,
                        struct options_error *e)
{
    int rc = claim(t, &a);
    if (rc < 0 && plan->bind_defaults && a.family == ADDR_V6 && (rc == -EAFNOSUPPORT || rc == -EADDRNOTAVAIL))
        return 1;
    size_t i = s->bound.n[t];
    for (size_t k = 0; k < s->n_threads && rc >= 0; k++) {
        rc = open_one(t, &a, true);
        if (rc >= 0)
            s->threads[k].fd[t][i] = rc;
    }
    if (rc < 0)
        return fail(e, -rc, transport_name(t), &a);
    s->bound.at[t][i] = a;
    s->bound.n[t] = i + 1;
    return 0;
}

/* The second IP with the ports that the first got. */
static int open_alternates(struct node_sockets *s, const struct node_plan *plan, struct log *log,
                           struct options_error *e)
{
    char text[ADDR_TEXT_LEN];
    for (size_t i = 0; i < 2; i++) {
        struct addr a = plan->behaviour.alternate;
        a.port = s->bound.at[TRANSPORT_UDP][plan->behaviour.primary[i]].port;
        int rc = claim(TRANSPORT_UDP, &a);
        for (size_t k = 0; k < s->n_threads && rc >= 0; k++)
            rc = s->threads[k].alternate[i] = open_one(TRANSPORT_UDP, &a, true);
        if (rc < 0)
            return fail(e, -rc, "behaviour-alternate", &a);
        s->alternate[i] = a;
        log_event(log, LOG_INFO, "node", "listening", LOG_S("transport", "udp-alternate"),
                  LOG_S("address", addr_format(&a, text)));
    }
    return 0;
}

static int open_metrics(struct node_sockets *s, const struct node_plan *plan, struct log *log,
                        struct options_error *e)
{
    char text[ADDR_TEXT_LEN];
    s->metrics_fd = socket_listen_tcp(&plan->metrics, false, BACKLOG);
    if (s->metrics_fd < 0)
        return fail(e, -s->metrics_fd, "metrics", &plan->metrics);
    int rc = socket_local_addr(s->metrics_fd, &s->metrics);
    if (rc == 0)
        log_event(log, LOG_INFO, "node", "listening", LOG_S("transport", "metrics"),
                  LOG_S("address", addr_format(&s->metrics, text)));
    return rc;
}

int sockets_open(struct node_sockets *s, const struct node_plan *plan, struct log *log,
                 struct options_error *e)
{
    *s = (struct node_sockets){.n_threads = plan->threads, .metrics_fd = -1};
    s->threads = malloc(plan->threads * sizeof(*s->threads));
    if (!s->threads) {
        snprintf(e->text, sizeof(e->text), "out of memory");
        return -ENOMEM;
    }
    memset(s->threads, -1, plan->threads * sizeof(*s->threads));
    for (int i = 0; i < SOCKETS_TRANSPORTS; i++) {
        enum transport t = (enum transport)i;
        for (size_t k = 0; k < plan->bind.n[t]; k++) {
            char text[ADDR_TEXT_LEN];
            int rc = open_address(s, plan, t, plan->bind.at[t][k], e);
            if (rc < 0)
                return rc;
            const char *event = rc == 0 ? "listening" : "skipped";
            const struct addr *a = rc == 0 ? &s->bound.at[t][s->bound.n[t] - 1] : &plan->bind.at[t][k];
            log_event(log, LOG_INFO, "node", event, LOG_S("transport", transport_name(t)),
                      LOG_S("address", addr_format(a, text)));
        }
    }
    int rc = plan->behaviour.on ? open_alternates(s, plan, log, e) : 0;
    if (rc < 0)
        return rc;
    return plan->has_metrics ? open_metrics(s, plan, log, e) : 0;
}

void sockets_close(struct node_sockets *s)
{
    for (size_t k = 0; s->threads && k < s->n_threads; k++) {
        for (size_t i = 0; i < 2; i++)
            if (s->threads[k].alternate[i] >= 0)
                close(s->threads[k].alternate[i]);
        for (int t = 0; t < SOCKETS_TRANSPORTS; t++)
            for (size_t i = 0; i < NODE_ADDRESSES_MAX; i++)
                if (s->threads[k].fd[t][i] >= 0)
                    close(s->threads[k].fd[t][i]);
    }
    if (s->metrics_fd >= 0)
        close(s->metrics_fd);
    free(s->threads);
    s->threads = NULL;
    s->metrics_fd = -1;
}
