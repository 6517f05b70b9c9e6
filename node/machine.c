/* What the node asks the machine it runs on: its addresses. */
#include "addresses.h"
#include "sys/sockaddr.h"

#include <ifaddrs.h>
#include <net/if.h>

size_t addresses_of_machine(struct addr *out, size_t cap)
{
    struct ifaddrs *list = NULL;
    size_t n = 0;
    if (getifaddrs(&list) != 0)
        list = NULL;
    for (struct ifaddrs *i = list; i && n < cap; i = i->ifa_next) {
        struct addr a;
        if (!i->ifa_addr || (i->ifa_flags & IFF_UP) == 0)
            continue;
        addr_from_sockaddr(&a, i->ifa_addr);
        if (addr_is_unicast_target(&a) && !addr_is_loopback(&a))
            out[n++] = a;
    }
    freeifaddrs(list);
    if (n == 0 && cap >= 2) {
        out[n++] = (struct addr){.family = ADDR_V4, .ip = {127, 0, 0, 1}};
        out[n++] = (struct addr){.family = ADDR_V6, .ip = {[15] = 1}};
    }
    return n;
}
