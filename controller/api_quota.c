/* Bounds of an org. Invariant: what a refusal names is the setting that the statement compared with. */
#include "api_quota.h"

#include <inttypes.h>
#include <stdio.h>

struct bound {
    const char *what, *option, *remedy;
    size_t at; /* in struct options */
};
static const struct bound bounds[] = {
    [QUOTA_NODES] = {"mesh nodes", "max-org-nodes", "delete some that are no more",
                     offsetof(struct options, max_org_nodes)},
    [QUOTA_MEETINGS] = {"meetings", "max-org-meetings", "delete those that are over",
                        offsetof(struct options, max_org_meetings)},
    [QUOTA_KEYS] = {"keys", "max-org-keys", "revoke some that are not in use",
                    offsetof(struct options, max_org_keys)},
};

static int64_t most(const struct api_request *r, enum quota q)
{
    return *(const int64_t *)(const void *)((const char *)r->ctl->options + bounds[q].at);
}

struct db_param quota_param(const struct api_request *r, enum quota q, char buf[static 24])
{
    int64_t n = most(r, q);

    return db_i64(buf, n > 0 ? n : INT64_MAX);
}

void quota_refuse(struct api_request *r, enum quota q)
{
    char detail[256];

    snprintf(detail, sizeof(detail),
             "the org has the %" PRId64 " %s that it may have (%s): %s, or ask the operator for more",
             most(r, q), bounds[q].what, bounds[q].option, bounds[q].remedy);
    api_problem(r, 409, "quota_exceeded", detail);
}
