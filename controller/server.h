/* Workers and their listeners: one thread a core, each with its own loop, sockets and database connections. */
#ifndef BERTH_CONTROLLER_SERVER_H
#define BERTH_CONTROLLER_SERVER_H

#include "controller.h"
#include "sys/tls.h"

struct server;

/* Binds every address (logged as "listening", with the port taken where 0 was asked), then starts the workers.
 * ctl->workers and n_workers are set here. `tls` NULL: clear HTTP. -errno; what went wrong is logged. */
int server_start(struct server **out, struct controller *ctl, struct tls_server *tls)
    __attribute__((warn_unused_result));
/* Do all workers turn their loops? For the watchdog. */
bool server_is_alive(const struct server *s);
/* Stops accepting, lets requests under way finish within the request deadline, closes idle connections, joins. NULL is fine. */
void server_stop(struct server *s);

#endif
