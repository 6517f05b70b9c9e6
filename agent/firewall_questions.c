/* Single STUN questions over UDP: behaviour discovery, path MTU, pinholes. Invariant: an answer counts only within
 * its question's time, and no question is sent oftener than its patience allows. */
#include "firewall_look.h"

#include "sys/clock.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

/* RTO, transmissions, and RTOs to wait after the last (RFC 8489 6.2.1). */
struct patience {
    int64_t rto_us;
    unsigned rc, rm;
};

enum {
    RTO_LEAST_US =
        100 * 1000, /* a round trip is measured by now: the RFC's half second is for those who know nothing */
    RTO_MOST_US = 500 * 1000,
    TRANSMISSIONS = 3,
    WAIT_AFTER = 3,
    NAT_NODES_MAX = 8, /* asked whether they offer RFC 5780 */
};

static struct patience patience_for(int64_t rtt_us)
{
    int64_t rto = 2 * rtt_us;
    return (struct patience){.rto_us = rto < RTO_LEAST_US  ? RTO_LEAST_US
                                       : rto > RTO_MOST_US ? RTO_MOST_US
                                                           : rto,
                             .rc = TRANSMISSIONS,
                             .rm = WAIT_AFTER};
}

/* Reads what there is; true once the question is settled. */
static bool read_replies(int fd, const struct ask *a, const uint8_t *txid, int64_t sent_us,
                         struct ask_reply *r)
{
    struct sys_datagram d;
    while (sys_udp_receive(fd, &d) == 1) {
        if (d.bounced != 0 && addr_eq(&d.peer, &a->to)) {
            r->bounced = true;
            r->too_big = d.bounced == EMSGSIZE;
            return true;
        }
        if (d.bounced == 0 && ask_read(r, txid, &d.peer, d.bytes, d.len)) {
            r->rtt_us = d.received_us - sent_us;
            return true;
        }
    }
    return false;
}

/* Sends from one socket and listens on another (usually the same) until there is an answer or patience is at its end. */
static void ask(int from_fd, int at_fd, const struct ask *a, const struct patience *p, struct ask_reply *r)
{
    uint8_t txid[STUN_TXID_LEN], bytes[STUN_MESSAGE_MAX];
    struct stun_txn t;
    enum stun_txn_step step;
    *r = (struct ask_reply){0};
    randombytes_buf(txid, sizeof txid);
    size_t len = ask_write(a, txid, bytes, sizeof bytes);
    if (len == 0)
        return;
    stun_txn_start(&t, txid, false, p->rto_us, p->rc, p->rm, clock_mono_us());
    while ((step = stun_txn_step(&t, clock_mono_us())) != STUN_TXN_FAILED) {
        int err = step == STUN_TXN_SEND ? sys_udp_send(from_fd, &a->to, bytes, len) : 0;
        if (err < 0 && err != -EAGAIN) {
            r->bounced = true;
            r->too_big = err == -EMSGSIZE;
            return;
        }
        int64_t left = stun_txn_deadline(&t) - clock_mono_us();
        if (left > 0)
            sys_wait(at_fd, left);
        if (read_replies(at_fd, a, txid, t.last_sent_us, r))
            return;
    }
}

/* ---- whom to ask ---- */

static bool usable(const struct firewall_row *row)
{
    return row->r.transport == TRANSPORT_UDP && row->r.status == PROBE_REACHABLE;
}

static const struct firewall_row *nearest(const struct firewall_seen *seen)
{
    const struct firewall_row *best = NULL;
    for (size_t i = 0; i < seen->n_rows; i++) {
        const struct firewall_row *row = &seen->rows[i];
        if (usable(row) && (!best || row->r.rtt_median_us < best->r.rtt_median_us))
            best = row;
    }
    return best;
}

/* ---- NAT behaviour ---- */

static void test_nat(struct nat_test *t, const struct firewall_row *row)
{
    struct patience p = patience_for(row->r.rtt_median_us);
    int fd[NAT_SOCKETS];
    struct ask a;
    struct ask_reply r;
    size_t which;
    for (size_t i = 0; i < NAT_SOCKETS; i++)
        fd[i] = sys_udp_open((enum addr_family)row->to.family);
    nat_test_begin(t, &row->to);
    while (fd[0] >= 0 && fd[1] >= 0 && nat_test_next(t, &a, &which)) {
        ask(fd[which], fd[which], &a, &p, &r);
        nat_test_answer(t, &r);
    }
    for (size_t i = 0; i < NAT_SOCKETS; i++)
        sys_close(fd[i]);
}

void firewall_ask_nat(struct firewall_seen *seen, const struct firewall_plan *plan)
{
    size_t asked = 0, last_node = SIZE_MAX;
    for (size_t i = 0; i < seen->n_rows && asked < NAT_NODES_MAX; i++) {
        const struct firewall_row *row = &seen->rows[i];
        struct nat_test t;
        if (!usable(row) || row->node == last_node)
            continue;
        last_node = row->node;
        firewall_tell(plan, "NAT", ++asked, 0);
        test_nat(&t, row);
        if (t.found.mapping == NAT_UNKNOWN && t.found.filtering == NAT_UNKNOWN)
            continue;
        seen->rfc5780 = t.found;
        seen->rfc5780_server = row->to;
        return;
    }
}

/* ---- path MTU ---- */

void firewall_ask_mtu(struct firewall_seen *seen, const struct firewall_plan *plan)
{
    const struct firewall_row *row = nearest(seen);
    struct mtu_search s;
    struct ask_reply r;
    if (!row)
        return;
    struct patience p = patience_for(row->r.rtt_median_us);
    int fd = sys_udp_open((enum addr_family)row->to.family);
    if (fd >= 0 && sys_udp_whole_packets(fd, (enum addr_family)row->to.family) == 0) {
        size_t size, tries = 0;
        mtu_search_begin(&s, (enum addr_family)row->to.family);
        while ((size = mtu_search_next(&s)) != 0) {
            firewall_tell(plan, "path MTU", ++tries, 0);
            ask(fd, fd, &(struct ask){.to = row->to, .packet_size = size}, &p, &r);
            mtu_search_tried(&s, size, r.answered);
        }
        seen->mtu = mtu_search_found(&s);
    }
    sys_close(fd);
}

/* ---- pinholes ---- */

struct pinholes {
    const struct firewall_row *row;
    struct addr server;
    struct patience patience;
    enum pinhole_method method;
    int fd[PINHOLE_SAMPLES], probe_fd;
    struct addr mapped[PINHOLE_SAMPLES];
    int64_t quiet_since_us[PINHOLE_SAMPLES];
    struct pinhole_sample sample[PINHOLE_SAMPLES];
    size_t n;
};

/* Has the server send an answer into the pinhole of socket i. */
static void knock(struct pinholes *h, size_t i, struct ask_reply *r)
{
    ask(h->probe_fd, h->fd[i], &(struct ask){.to = h->server, .response_port = h->mapped[i].port},
        &h->patience, r);
}

static void open_pinholes(struct pinholes *h)
{
    struct ask_reply r;
    for (size_t i = 0; i < h->n; i++) {
        h->fd[i] = sys_udp_open((enum addr_family)h->server.family);
        if (h->fd[i] < 0)
            continue;
        ask(h->fd[i], h->fd[i], &(struct ask){.to = h->server}, &h->patience, &r);
        h->mapped[i] = r.mapped;
        h->quiet_since_us[i] = clock_mono_us();
    }
    h->method = PINHOLE_BY_MAPPING;
    if (h->n == 0 || h->probe_fd < 0 || !addr_is_set(&h->mapped[h->n - 1]))
        return;
    knock(h, h->n - 1, &r); /* the last has most time to be quiet afterwards */
    h->quiet_since_us[h->n - 1] = clock_mono_us();
    if (r.answered && r.error == 0)
        h->method = PINHOLE_BY_RESPONSE_PORT;
}

static void look_into(struct pinholes *h, size_t i)
{
    struct ask_reply r;
    if (h->fd[i] < 0 || !addr_is_set(&h->mapped[i]))
        return;
    if (h->method == PINHOLE_BY_RESPONSE_PORT) {
        knock(h, i, &r);
        h->sample[i].state = r.answered && r.error == 0 ? PINHOLE_OPEN : PINHOLE_CLOSED;
        return;
    }
    ask(h->fd[i], h->fd[i], &(struct ask){.to = h->server}, &h->patience, &r);
    if (r.answered && r.error == 0)
        h->sample[i].state = addr_eq(&r.mapped, &h->mapped[i]) ? PINHOLE_OPEN : PINHOLE_CLOSED;
}

void firewall_ask_pinhole(struct firewall_seen *seen, const struct firewall_plan *plan)
{
    struct pinholes h = {.row = nearest(seen), .probe_fd = -1};
    if (!h.row)
        return;
    h.server = addr_is_set(&seen->rfc5780_server) ? seen->rfc5780_server : h.row->to;
    h.patience = patience_for(h.row->r.rtt_median_us);
    h.n = pinhole_plan(h.sample, plan->pinhole_limit_s);
    h.probe_fd = sys_udp_open((enum addr_family)h.server.family);
    open_pinholes(&h);
    for (size_t i = 0; i < h.n; i++) {
        firewall_tell(plan, "pinholes", i, h.n);
        int64_t left;
        while ((left = h.quiet_since_us[i] + h.sample[i].silence_s * 1000000 - clock_mono_us()) > 0)
            sys_wait(-1, left);
        look_into(&h, i);
        sys_close(h.fd[i]);
    }
    sys_close(h.probe_fd);
    seen->pinhole = pinhole_judge(h.sample, h.n, h.method);
    seen->pinhole_by = h.method;
}
