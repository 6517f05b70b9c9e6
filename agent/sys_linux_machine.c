/* The machine and its network on Linux. Invariant: what comes and goes without being another network (leases, privacy addresses,
 * containers' interfaces) changes no line of sys_network. */
#include "sys_machine.h"

#include "sys/sockaddr.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netdb.h>
#include <netpacket/packet.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the machine ---- */

const char *sys_error_text(int error)
{
    return strerrordesc_np(error);
}

int sys_host_name(char *out, size_t cap)
{
    if (gethostname(out, cap) != 0)
        return -errno;
    out[cap - 1] = '\0';
    return out[0] == '\0' ? -ENOENT : 0;
}

int sys_machine_id(uint8_t out[static 16])
{
    char text[33] = "";
    size_t len = 0;
    int fd = open("/etc/machine-id", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -ENOENT;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n != 32 || sodium_hex2bin(out, 16, text, 32, NULL, &len, NULL) != 0 || len != 16)
        return -ENOENT;
    return 0;
}

int sys_resolve(const char *host, struct addr *out, size_t max)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM}, *found = NULL;
    size_t n = 0;
    if (getaddrinfo(host, NULL, &hints, &found) != 0)
        return -ENOENT;
    for (const struct addrinfo *i = found; i && n < max; i = i->ai_next) {
        addr_from_sockaddr(&out[n], i->ai_addr);
        out[n].port = 0;
        n += out[n].family != ADDR_NONE;
    }
    freeaddrinfo(found);
    return n > 0 ? (int)n : -ENOENT;
}

/* ---- the network ---- */

int sys_netwatch_open(void)
{
    struct sockaddr_nl nl = {.nl_family = AF_NETLINK};
    nl.nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0)
        return -errno;
    if (bind(fd, (const struct sockaddr *)&nl, sizeof nl) != 0) {
        int err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

void sys_netwatch_clear(int fd)
{
    enum { MESSAGES_MAX = 1024 };
    uint8_t buf[4096]; /* what changed is read afresh; an overrun (ENOBUFS) is a change as well */
    for (int i = 0; i < MESSAGES_MAX; i++) {
        if (recv(fd, buf, sizeof buf, MSG_DONTWAIT) < 0 && errno != EINTR && errno != ENOBUFS)
            return;
    }
}

static void add_line(struct sys_network *net, const char *kind, const char *a, const char *b)
{
    if (net->n == SYS_NETWORK_LINES)
        return;
    char *line = net->line[net->n];
    snprintf(line, SYS_NETWORK_LINE, "%s %s %s", kind, a, b);
    for (size_t i = 0; i < net->n; i++) {
        if (strcmp(net->line[i], line) == 0)
            return;
    }
    net->n++;
}

static unsigned mask_bits(const struct sockaddr *mask)
{
    struct addr m;
    unsigned bits = 0;
    addr_from_sockaddr(&m, mask);
    for (size_t i = 0; i < sizeof m.ip; i++)
        bits += (unsigned)__builtin_popcount(m.ip[i]);
    return bits;
}

static bool has_line(const struct sys_network *net, const char *start)
{
    for (size_t i = 0; i < net->n; i++) {
        if (strncmp(net->line[i], start, strlen(start)) == 0)
            return true;
    }
    return false;
}

static bool leads_out(const struct sys_network *net, const char *interface)
{
    char start[SYS_NETWORK_LINE];
    snprintf(start, sizeof start, "gateway %s ", interface);
    return has_line(net, start);
}

/* Containers' interfaces come and go. A tunnel (point to point) leads somewhere without a default route, and where
 * nothing has one, all may. */
static bool may_lead_somewhere(const struct sys_network *net, const struct ifaddrs *i)
{
    return (i->ifa_flags & IFF_POINTOPOINT) != 0 || leads_out(net, i->ifa_name) || !has_line(net, "gateway ");
}

/* Prefixes rather than addresses: a lease or a privacy address (RFC 8981) that changes is no other network. */
static void add_interface(struct sys_network *net, const struct ifaddrs *i)
{
    char text[ADDR_TEXT_LEN];
    struct addr a;
    if (!i->ifa_addr || (i->ifa_flags & IFF_UP) == 0 || (i->ifa_flags & IFF_LOOPBACK) != 0)
        return;
    if (i->ifa_addr->sa_family == AF_PACKET) {
        struct sockaddr_ll ll;
        if (!leads_out(net, i->ifa_name))
            return;
        memcpy(&ll, i->ifa_addr, sizeof ll);
        snprintf(text, sizeof text, "%02x%02x%02x%02x%02x%02x", ll.sll_addr[0], ll.sll_addr[1],
                 ll.sll_addr[2], ll.sll_addr[3], ll.sll_addr[4], ll.sll_addr[5]);
        add_line(net, "hw", i->ifa_name, text);
        return;
    }
    addr_from_sockaddr(&a, i->ifa_addr);
    bool link_local = a.family == ADDR_V6 && a.ip[0] == 0xfe && (a.ip[1] & 0xc0) == 0x80;
    if (a.family == ADDR_NONE || link_local || !i->ifa_netmask || !may_lead_somewhere(net, i))
        return;
    a = addr_prefix(&a, mask_bits(i->ifa_netmask));
    add_line(net, "net", i->ifa_name, addr_format_ip(&a, text));
}

static void read_interfaces(struct sys_network *net)
{
    struct ifaddrs *all = NULL;
    if (getifaddrs(&all) != 0)
        return;
    for (const struct ifaddrs *i = all; i; i = i->ifa_next)
        add_interface(net, i);
    freeifaddrs(all);
}

/* Both tables are text; a default route has destination and prefix zero. */
static void read_gateways(struct sys_network *net)
{
    char line[256], name[32], destination[40], gateway[40];
    FILE *f = fopen("/proc/net/route", "re");
    while (f && fgets(line, sizeof line, f)) {
        if (sscanf(line, "%31s %39s %39s", name, destination, gateway) == 3 &&
            strcmp(destination, "00000000") == 0)
            add_line(net, "gateway", name, gateway);
    }
    if (f)
        fclose(f);
    f = fopen("/proc/net/ipv6_route", "re");
    while (f && fgets(line, sizeof line, f)) {
        char prefix[8];
        if (sscanf(line, "%39s %7s %*s %*s %39s %*s %*s %*s %*s %31s", destination, prefix, gateway, name) ==
                4 &&
            strcmp(prefix, "00") == 0 && strspn(destination, "0") == 32 && strcmp(name, "lo") != 0)
            add_line(net, "gateway", name, gateway);
    }
    if (f)
        fclose(f);
}

static void read_dns(struct sys_network *net)
{
    char line[256], server[64];
    FILE *f = fopen("/etc/resolv.conf", "re");
    while (f && fgets(line, sizeof line, f)) {
        if (sscanf(line, "nameserver %63s", server) == 1)
            add_line(net, "dns", "", server);
    }
    if (f)
        fclose(f);
}

void sys_network_read(struct sys_network *net)
{
    net->n = 0;
    read_gateways(net); /* first: read_interfaces looks at them */
    read_dns(net);
    read_interfaces(net);
}
