/* Ports as the command line gives them: "58024,58523" or "60000-60010". Pure. */
#ifndef BERTH_CLI_PORT_LIST_H
#define BERTH_CLI_PORT_LIST_H

#include <stddef.h>
#include <stdint.h>

/* Adds to out[*n], each port once. 0; -EINVAL: not ports of 1 to 65535; -E2BIG: more than `max`. */
int port_list_parse(uint16_t *out, size_t *n, size_t max, const char *text)
    __attribute__((warn_unused_result));

#endif
