/* The nodes' health, one turn at a time: whichever controller finds that a turn is due decides for all. */
#ifndef BERTH_CONTROLLER_HEALTH_TURN_H
#define BERTH_CONTROLLER_HEALTH_TURN_H

#include "controller.h"

/* Does nothing where none is due. The control thread, again and again. */
void health_turn(struct controller *ctl, struct db_sync *db);

#endif
