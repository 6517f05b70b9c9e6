/* How much an org may have at once. A statement that makes something counts in its condition, with quota_param;
 * where it made nothing for that reason, quota_refuse says so. The count is of what is committed: requests at the
 * same moment may each pass by one, so an org can come to have one more than it may for each thread of each
 * controller, and no further. The cloud's own has no bounds. */
#ifndef BERTH_CONTROLLER_API_QUOTA_H
#define BERTH_CONTROLLER_API_QUOTA_H

#include "api.h"

enum quota { QUOTA_NODES, QUOTA_MEETINGS, QUOTA_KEYS };

/* The bound as a bigint: a large one where there is none. */
struct db_param quota_param(const struct api_request *r, enum quota q, char buf[static 24]);
/* 409 quota_exceeded, which names the bound and what to do. */
void quota_refuse(struct api_request *r, enum quota q);

#endif
