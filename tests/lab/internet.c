/* An internet in user space: holds one TUN device in each namespace of the map and carries IP packets between them,
 * each after its path's delay. Invariant: a packet leaves at its due time or is dropped and counted; nothing here
 * outlives the process, for the devices aren't persistent. */
#include "delayq.h"
#include "netmap.h"
#include "sys/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum {
    PACKET_MAX = 2048, /* the devices' MTU is 1500 */
    BATCH_MAX = 64,    /* packets read from one device before the others and the clock get their turn */
    MAP_MAX = 1 << 20,
    EVENTS_MAX = 32,
    LATE_SHIFT = 6,    /* the running mean of lateness moves by 1/64 of each step */
    LATE_MAX_US = 400, /* of a wake-up that still counts as this machine's ordinary one */
    TAG_TIMER = NETMAP_PORTS_MAX,
    TAG_SIGNAL = NETMAP_PORTS_MAX + 1,
};

struct counters {
    unsigned long forwarded, lost, duplicated, full, foreign, unreachable, failed;
};

struct internet {
    struct netmap *map;
    struct delayq *queue;
    struct rng rng;
    int epoll, timer, signals;
    int tun[NETMAP_PORTS_MAX];
    int64_t armed;       /* what the timer is set to, 0: not at all */
    int64_t late_scaled; /* running mean of how late the timer wakes us, times 1 << LATE_SHIFT */
    struct counters n;
};

static char *read_file(const char *path)
{
    FILE *f = fopen(path, "re");
    char *text = calloc(1, MAP_MAX + 1);

    if (!f || !text || fread(text, 1, MAP_MAX, f) == MAP_MAX || ferror(f)) {
        free(text);
        text = NULL;
    }
    if (f)
        fclose(f);
    return text;
}

static int open_tun(const char *device)
{
    struct ifreq ifr = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", device);
    if (ioctl(fd, TUNSETIFF, &ifr) < 0) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    return fd;
}

static int open_tun_in(const char *ns, const char *device)
{
    int fd = open(ns, O_RDONLY | O_CLOEXEC), rc;

    if (fd < 0)
        return -errno;
    rc = setns(fd, CLONE_NEWNET) < 0 ? -errno : open_tun(device);
    close(fd);
    return rc;
}

static int watch(struct internet *net, int fd, unsigned tag)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.u32 = tag};

    return epoll_ctl(net->epoll, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

static int open_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -errno;
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int open_all(struct internet *net, const char *device)
{
    size_t ports = netmap_ports(net->map);

    net->epoll = epoll_create1(EPOLL_CLOEXEC);
    net->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    net->signals = open_signals();
    net->queue = delayq_new(netmap_queue(net->map), PACKET_MAX);
    if (net->epoll < 0 || net->timer < 0 || net->signals < 0 || !net->queue)
        return -ENOMEM;
    for (size_t i = 0; i < ports; i++) {
        net->tun[i] = open_tun_in(netmap_port_ns(net->map, i), device);
        if (net->tun[i] < 0) {
            fprintf(stderr, "internet: %s: %s\n", netmap_port_ns(net->map, i), strerror(-net->tun[i]));
            return net->tun[i];
        }
        int rc = watch(net, net->tun[i], (unsigned)i);
        if (rc < 0)
            return rc;
    }
    int rc = watch(net, net->timer, TAG_TIMER);
    return rc < 0 ? rc : watch(net, net->signals, TAG_SIGNAL);
}

static void close_all(struct internet *net)
{
    for (size_t i = 0; i < netmap_ports(net->map); i++)
        if (net->tun[i] >= 0)
            close(net->tun[i]);
    if (net->signals >= 0)
        close(net->signals);
    if (net->timer >= 0)
        close(net->timer);
    if (net->epoll >= 0)
        close(net->epoll);
    delayq_free(net->queue);
    netmap_free(net->map);
}

static void carry(struct internet *net, size_t port, const uint8_t *packet, size_t len, int64_t now)
{
    struct path *path;
    int64_t due[PATH_COPIES_MAX];
    size_t to;
    int rc = netmap_route(net->map, port, packet, len, &to, &path);

    if (rc == -EHOSTUNREACH) {
        net->n.unreachable++;
        return;
    }
    if (rc < 0) {
        net->n.foreign++;
        return;
    }
    size_t copies = path_send(path, &net->rng, now, due);
    net->n.lost += copies == 0;
    net->n.duplicated += copies > 1;
    for (size_t i = 0; i < copies; i++)
        if (delayq_add(net->queue, due[i], to, packet, len) < 0)
            net->n.full++;
}

/* How late a wake-up is here, on average. Packets are let go that much early, and are taken to have come that much
 * before we saw them: so on average a path takes as long as it should. */
static int64_t lead_us(const struct internet *net)
{
    return net->late_scaled >> LATE_SHIFT;
}

static void read_port(struct internet *net, size_t port, int64_t asleep_since)
{
    uint8_t packet[PACKET_MAX];

    for (int i = 0; i < BATCH_MAX; i++) {
        ssize_t n = read(net->tun[port], packet, sizeof(packet));
        if (n < 0)
            return;
        int64_t came = clock_mono_us() - lead_us(net);
        carry(net, port, packet, (size_t)n, came < asleep_since ? asleep_since : came);
    }
}

static void deliver(struct internet *net)
{
    const struct delayed *d;

    while ((d = delayq_first(net->queue)) && d->due <= clock_mono_us() + lead_us(net)) {
        if (write(net->tun[d->tag], d->data, d->len) == (ssize_t)d->len)
            net->n.forwarded++;
        else
            net->n.failed++;
        delayq_drop_first(net->queue);
    }
}

static void arm(struct internet *net)
{
    const struct delayed *d = delayq_first(net->queue);
    int64_t at = d ? d->due - lead_us(net) : 0;

    if (d && at < 1)
        at = 1;
    if (at == net->armed)
        return;
    struct itimerspec when = {.it_value = {.tv_sec = at / 1000000, .tv_nsec = at % 1000000 * 1000}};
    timerfd_settime(net->timer, TFD_TIMER_ABSTIME, &when, NULL);
    net->armed = at;
}

static void woken_by_timer(struct internet *net)
{
    uint64_t ticks;

    if (read(net->timer, &ticks, sizeof(ticks)) < 0 || !net->armed)
        return;
    int64_t late = clock_mono_us() - net->armed;
    if (late >= 0 && late <= LATE_MAX_US)
        net->late_scaled += late - lead_us(net);
    net->armed = 0;
}

static void run(struct internet *net)
{
    struct epoll_event events[EVENTS_MAX];

    for (;;) {
        int64_t asleep_since = clock_mono_us();
        int count = epoll_wait(net->epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++)
            if (events[i].data.u32 == TAG_TIMER)
                woken_by_timer(net);
        deliver(net);
        for (int i = 0; i < count; i++) {
            if (events[i].data.u32 == TAG_SIGNAL)
                return;
            if (events[i].data.u32 < NETMAP_PORTS_MAX)
                read_port(net, events[i].data.u32, asleep_since);
        }
        deliver(net);
        arm(net);
    }
}

/* Being woken late is the only thing that spoils a delay. Where we aren't allowed to be first, we are merely less
 * exact. */
static void ask_for_prompt_wakeups(void)
{
    struct sched_param param = {.sched_priority = 10};

    (void)sched_setscheduler(0, SCHED_FIFO, &param);
    (void)prctl(PR_SET_TIMERSLACK, 1);
}

static void print_counters(const struct counters *n)
{
    printf(
        "{\"forwarded\":%lu,\"lost\":%lu,\"duplicated\":%lu,\"full\":%lu,\"foreign\":%lu,\"unreachable\":%lu,"
        "\"failed\":%lu}\n",
        n->forwarded, n->lost, n->duplicated, n->full, n->foreign, n->unreachable, n->failed);
}

int main(int argc, char **argv)
{
    char error[NETMAP_ERROR_LEN];
    struct internet net = {.epoll = -1, .timer = -1, .signals = -1};
    int status = 1;

    if (argc != 3) {
        fprintf(stderr, "usage: lab-internet DEVICE MAP-FILE\n");
        return 2;
    }
    memset(net.tun, 0xff, sizeof(net.tun)); /* -1 each */
    char *text = read_file(argv[2]);
    net.map = text ? netmap_parse(text, error) : NULL;
    if (!net.map) {
        fprintf(stderr, "internet: %s: %s\n", argv[2], text ? error : "can't be read");
        free(text);
        return 2;
    }
    free(text);
    net.rng.state = netmap_seed(net.map);
    if (open_all(&net, argv[1]) < 0)
        goto out;
    ask_for_prompt_wakeups();
    printf("ready\n");
    fflush(stdout);
    run(&net);
    print_counters(&net.n);
    status = 0;
out:
    close_all(&net);
    return status;
}
