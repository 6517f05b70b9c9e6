/* Brings a database to this program's schema. */
#ifndef BERTH_CONTROLLER_MIGRATE_H
#define BERTH_CONTROLLER_MIGRATE_H

#include "db_sync.h"
#include "sys/log.h"

/* The version that this program needs. */
int schema_version_needed(void);
/* The version that the database has (0: none yet), as the connection's current role may see it; -errno. */
int schema_version_read(struct db_sync *d);
/* Blocks. 0 done (also when there was nothing to do), -EPROTONOSUPPORT: the database's schema is newer, else -errno;
 * all logged. Safe when several run at once: one works, the others wait. */
int migrate_run(const char *conninfo, struct log *log) __attribute__((warn_unused_result));

#endif
