/* The machine and its network, as an agent sees them. Like probe/sys.h a seam between systems: a port is another set of
 * sys_<system>*.c files. Calls answer 0 (or what they say) or -errno. Nothing here blocks, but where it says so. */
#ifndef BERTH_AGENT_SYS_MACHINE_H
#define BERTH_AGENT_SYS_MACHINE_H

#include "core/addr.h"

#include <sys/types.h>

/* A descriptor that is readable when addresses or routes have changed; sys_netwatch_clear makes it quiet again. */
int sys_netwatch_open(void) __attribute__((warn_unused_result));
void sys_netwatch_clear(int fd);

enum { SYS_NETWORK_LINES = 64, SYS_NETWORK_LINE = 112 };

/* What tells one network from another: a line each for default gateways, DNS servers, and the prefixes of interfaces
 * that lead out, in no particular order. Neither loopback nor containers' interfaces count. */
struct sys_network {
    size_t n;
    char line[SYS_NETWORK_LINES][SYS_NETWORK_LINE];
};
void sys_network_read(struct sys_network *net);

/* Blocks a little (files): calls with the text of each lease that a DHCP client has written down. */
void sys_dhcp_leases(void (*each)(void *user, const char *text), void *user);
/* The resolver's configuration, as much of it as fits. */
bool sys_resolver_config(char *out, size_t cap);

/* Blocks a little. The file, regular or not there yet, is replaced as a whole or stays as it was, readable by its
 * owner alone. 0; -EINVAL: no regular file; -errno. */
int sys_file_replace(const char *path, const char *text, size_t len) __attribute__((warn_unused_result));

/* What an errno means, or NULL; static text. */
const char *sys_error_text(int error);
int sys_host_name(char *out, size_t cap) __attribute__((warn_unused_result));
/* A secret of this machine that stays the same: 16 bytes or -ENOENT. */
int sys_machine_id(uint8_t out[static 16]) __attribute__((warn_unused_result));
/* Blocks. How many addresses (at most max, port 0), or -ENOENT. */
int sys_resolve(const char *host, struct addr *out, size_t max) __attribute__((warn_unused_result));

#endif
