/* Where a network says that its PAC script is: DHCP option 252 in lease files, and the DNS name wpad. Pure. */
#ifndef BERTH_AGENT_WPAD_H
#define BERTH_AGENT_WPAD_H

#include <stdbool.h>
#include <stddef.h>

enum { WPAD_URL_MAX = 512, WPAD_DOMAIN_MAX = 253 };

/* The URL of option 252 in a lease file of dhclient, systemd-networkd or NetworkManager; of several leases the last. */
bool wpad_from_lease(const char *text, char url[static WPAD_URL_MAX]);
/* The domain of this machine in a resolv.conf; the first of "search" counts, else "domain". */
bool wpad_domain(const char *resolv_conf, char domain[static WPAD_DOMAIN_MAX + 1]);
/* "http://wpad.<domain>/wpad.dat". Only the domain itself is asked, never one above it: that may be somebody else's. False: not a
 * domain to ask. */
bool wpad_url_of_domain(const char *domain, char url[static WPAD_URL_MAX]);

#endif
