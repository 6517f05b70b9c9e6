/* The loop over UDP. Invariant: a connection's slots say exactly which requests are in flight; an answer counts
 * once, for the run, the slot and the sequence number that its transaction id names. */
#include "stun_load.h"

#include "core/stun.h"
#include "sys/clock.h"
#include "sys/sockaddr.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ANSWER_MAX = MEDIA_MESSAGE_MAX, REFILL = STUN_LOAD_WINDOW / 2, WAIT_US = 50000 };
static_assert((STUN_LOAD_WINDOW & (STUN_LOAD_WINDOW - 1)) == 0,
              "a transaction id's number is slot and sequence");

struct slot {
    uint64_t seq; /* 0: free */
    int64_t meant_us, sent_us;
};

struct connection {
    struct addr local;
    struct stun_session *session; /* NULL: nothing is signed */
    struct slot slots[STUN_LOAD_WINDOW];
    size_t in_flight;
};

/* One batch's buffers, shared by all connections: nothing stays in them between calls. */
struct batch {
    struct mmsghdr msgs[STUN_LOAD_WINDOW];
    struct iovec iov[STUN_LOAD_WINDOW];
    uint8_t bytes[STUN_LOAD_WINDOW][ANSWER_MAX];
};

struct load {
    bool scheduled;
    struct schedule schedule;
    struct connection *connections;
    struct pollfd *fds;
    size_t n, first;
    uint64_t next_seq;
    int64_t answered_us; /* the last time */
    uint32_t
        run; /* random: a port may have been another run's, whose late answers name its slots and numbers too */
    struct batch *batch;
    struct stun_load_result result;
};

static int connect_udp(const struct addr *server, const struct addr *from, struct addr *local)
{
    struct sockaddr_storage ss;
    socklen_t len = sockaddr_from_addr(&ss, server);
    int fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    struct sockaddr_storage own;
    socklen_t own_len = addr_is_set(from) ? sockaddr_from_addr(&own, from) : 0;
    int answer = (own_len > 0 && bind(fd, (struct sockaddr *)&own, own_len) < 0) ||
                         connect(fd, (struct sockaddr *)&ss, len) < 0
                     ? -errno
                     : socket_local_addr(fd, local);
    if (answer < 0) {
        close(fd);
        return answer;
    }
    return fd;
}

/* Transaction id: the run in four bytes, in eight the sequence number with the slot. */
static size_t write_request(const struct load *l, const struct connection *c, uint8_t buf[static ANSWER_MAX],
                            uint32_t slot, uint64_t seq)
{
    const struct stun_session *s = c->session;
    uint8_t txid[STUN_TXID_LEN];
    struct wire_wr w = wire_wr_init(txid, sizeof txid);
    struct stun_writer b;
    size_t len = 0;
    wire_wr_u32(&w, l->run);
    wire_wr_u64(&w, seq * STUN_LOAD_WINDOW + slot);
    if (s)
        return media_write_consent(buf, txid, s->grant.password, &s->id, false, (struct slice){NULL, 0});
    stun_begin(&b, buf, ANSWER_MAX, STUN_REQUEST, STUN_BINDING, txid);
    return stun_finish(&b, &len) == 0 ? len : 0;
}

static void prepare(struct batch *b, size_t i, size_t len)
{
    b->iov[i] = (struct iovec){b->bytes[i], len};
    b->msgs[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &b->iov[i], .msg_iovlen = 1}};
}

/* Sends a request for every free slot, or for as many as are due. What the kernel doesn't take stays free, and due. */
static void fill(struct load *l, size_t at, int64_t now)
{
    struct connection *c = &l->connections[at];
    uint32_t used[STUN_LOAD_WINDOW] = {0};
    size_t most = l->scheduled ? schedule_due(&l->schedule, now, STUN_LOAD_WINDOW) : STUN_LOAD_WINDOW;
    unsigned n = 0;
    for (uint32_t i = 0; i < STUN_LOAD_WINDOW && n < most; i++) {
        if (c->slots[i].seq != 0)
            continue;
        used[n] = i;
        prepare(l->batch, n, write_request(l, c, l->batch->bytes[n], i, l->next_seq + n));
        n++;
    }
    int sent = n > 0 ? sendmmsg(l->fds[at].fd, l->batch->msgs, n, 0) : 0;
    for (int i = 0; i < sent; i++)
        c->slots[used[i]] = (struct slot){.seq = l->next_seq++,
                                          .meant_us = l->scheduled ? schedule_take_us(&l->schedule) : now,
                                          .sent_us = now};
    if (sent > 0) {
        c->in_flight += (size_t)sent;
        l->result.sent += (uint64_t)sent;
    }
}

/* Counts one datagram. An answer to a request in flight frees its slot. */
static void count(struct load *l, struct connection *c, const uint8_t *p, size_t len, int64_t now)
{
    struct stun_faults *wrong = &l->result.wrong;
    struct stun_msg m;
    if (!stun_answer_read(wrong, &m, p, len))
        return;
    struct wire_rd rd = wire_rd_init(m.txid, STUN_TXID_LEN);
    uint32_t run = wire_rd_u32(&rd);
    uint64_t number = wire_rd_u64(&rd), seq = number / STUN_LOAD_WINDOW;
    struct slot *slot = &c->slots[number % STUN_LOAD_WINDOW];
    if (run != l->run || seq == 0 || seq >= l->next_seq) {
        stun_faults_add(wrong, STUN_FAULT_TRANSACTION);
        return;
    }
    if (!stun_answer_is_right(wrong, &m, c->session ? c->session->grant.password : NULL, &c->local))
        return;
    if (slot->seq != seq) {
        l->result.late++;
        return;
    }
    slot->seq = 0;
    c->in_flight--;
    l->result.answered++;
    l->answered_us = now;
    histogram_add(&l->result.latency, now - slot->meant_us);
}

static void receive(struct load *l, size_t at)
{
    for (size_t i = 0; i < STUN_LOAD_WINDOW; i++)
        prepare(l->batch, i, ANSWER_MAX);
    int n = recvmmsg(l->fds[at].fd, l->batch->msgs, STUN_LOAD_WINDOW, 0, NULL);
    int64_t now = clock_mono_us();
    for (int i = 0; i < n; i++)
        count(l, &l->connections[at], l->batch->bytes[i], l->batch->msgs[i].msg_len, now);
}

/* How many are still in flight. */
static size_t give_up_lost(struct load *l, struct connection *c, int64_t now)
{
    for (size_t i = 0; i < STUN_LOAD_WINDOW; i++) {
        if (c->slots[i].seq == 0 || now - c->slots[i].sent_us < STUN_LOAD_LOST_US)
            continue;
        c->slots[i].seq = 0;
        c->in_flight--;
        l->result.lost++;
    }
    return c->in_flight;
}

static void hear(struct load *l, int64_t most_us)
{
    const struct timespec wait = {0, most_us * 1000};
    if (ppoll(l->fds, (nfds_t)l->n, &wait, NULL) <= 0)
        return;
    for (size_t i = 0; i < l->n; i++) {
        if (l->fds[i].revents)
            receive(l, i);
    }
}

static int64_t wait_us(const struct load *l, int64_t now)
{
    int64_t wait = l->scheduled ? schedule_peek_us(&l->schedule) - now : WAIT_US;
    return wait < 0 ? 0 : wait < WAIT_US ? wait : WAIT_US;
}

/* In a closed loop half a window is let come back before it is sent again, so that batches stay batches. */
static void loop(struct load *l, int64_t end_us)
{
    int64_t looked_for_lost = clock_mono_us();
    for (int64_t now = looked_for_lost; now < end_us; now = clock_mono_us()) {
        bool look = now - looked_for_lost >= STUN_LOAD_LOST_US / 4;
        for (size_t i = 0; i < l->n; i++) {
            if (look)
                (void)give_up_lost(l, &l->connections[i], now);
            size_t at = (l->first + i) % l->n; /* each is first in its turn, so all have the same share */
            if (l->scheduled || l->connections[at].in_flight <= REFILL)
                fill(l, at, now);
        }
        l->first++;
        if (look)
            looked_for_lost = now;
        hear(l, wait_us(l, now));
    }
}

/* What is in flight is answered or lost before its ports are given back: whoever has one next would get the answers. */
static void finish(struct load *l)
{
    for (;;) {
        int64_t now = clock_mono_us();
        size_t in_flight = 0;
        for (size_t i = 0; i < l->n; i++)
            in_flight += give_up_lost(l, &l->connections[i], now);
        if (in_flight == 0)
            return;
        hear(l, WAIT_US);
    }
}

int stun_load_run(const struct stun_load_opts *opts, struct stun_load_result *out)
{
    struct load l = {.next_seq = 1, .run = randombytes_random()};
    size_t wanted = (size_t)opts->connections;
    int answer = -ENOMEM;
    l.connections = calloc(wanted, sizeof *l.connections);
    l.fds = calloc(wanted, sizeof *l.fds);
    l.batch = calloc(1, sizeof *l.batch);
    if (!l.connections || !l.fds || !l.batch)
        goto out;
    for (; l.n < wanted; l.n++) {
        answer = connect_udp(&opts->server, &opts->from, &l.connections[l.n].local);
        if (answer < 0)
            goto out;
        l.fds[l.n] = (struct pollfd){.fd = answer, .events = POLLIN};
        l.connections[l.n].session = opts->sessions ? &opts->sessions[l.n] : NULL;
    }
    for (size_t i = 0; opts->sessions && i < l.n; i++) {
        answer = stun_session_begin(&opts->sessions[i], l.fds[i].fd);
        if (answer < 0)
            goto out;
    }
    int64_t start = clock_mono_us(), end_us = start + opts->seconds * 1000000;
    l.scheduled = opts->rate > 0;
    if (l.scheduled)
        schedule_init(&l.schedule, opts->arrivals, opts->rate, opts->seed, start);
    loop(&l, end_us);
    int64_t over_us = clock_mono_us();
    finish(&l);
    l.result.elapsed_us = (l.answered_us > over_us ? l.answered_us : over_us) - start;
    if (l.scheduled)
        l.result.missed = schedule_skip(&l.schedule, end_us);
    *out = l.result;
    answer = 0;
out:
    for (size_t i = 0; i < l.n; i++)
        close(l.fds[i].fd);
    free(l.batch);
    free(l.fds);
    free(l.connections);
    return answer;
}
