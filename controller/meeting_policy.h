/* What a meeting asks of its nodes. Pure: JSON to struct and back, and to what the placement engine takes. */
#ifndef BERTH_CONTROLLER_MEETING_POLICY_H
#define BERTH_CONTROLLER_MEETING_POLICY_H

#include "core/doc.h"
#include "placement/place.h"

enum {
    POLICY_REGIONS_MAX = 64,
    POLICY_SIZE_MAX = 1000000,
    POLICY_BITRATE_MAX_KBPS = 1000000,
    POLICY_LAST_N_MAX = 500,
    POLICY_BITRATE_KBPS = 100, /* a participant's, where a meeting doesn't say */
    POLICY_MESH_WITHIN_MAX_MS = 60000
};

/* A region is meant by its whole name. Members that were not given are left out again when written. */
struct meeting_policy {
    size_t n_allow, n_deny;                /* of regions; no `allow`: all */
    const char *allow[POLICY_REGIONS_MAX]; /* borrowed from the JSON */
    const char *deny[POLICY_REGIONS_MAX];
    bool has_private, private_only; /* mesh nodes only */
    int64_t expected_size;          /* participants; 0: not said */
    int64_t bitrate_kbps;           /* a participant's; 0: not said */
    int64_t last_n;                 /* how many are heard and seen at once; 0: not said */
    unsigned transports;            /* bits; 0: not said, all */
    bool has_mesh_within;
    int64_t mesh_within_ms;  /* an own mesh node no farther goes before cloud nodes; 0: no preference */
    bool has_cap, cap_worst; /* the worst-off participant goes before the mean */
};

/* Where a member is none of a policy's: -EINVAL with its pointer. For policies that come from outside: a misspelt "deny" that is passed
 * over would allow. */
int meeting_policy_check_members(const json_t *j, struct doc_error *e) __attribute__((warn_unused_result));
/* NULL or null is the empty policy. 0, or -EINVAL with *e (pointers start at the policy). `p` borrows from `j`. */
int meeting_policy_from_json(const json_t *j, struct meeting_policy *p, struct doc_error *e)
    __attribute__((warn_unused_result));
/* In one form for policies that mean the same: regions sorted and once each. New reference, or NULL: out of memory. */
json_t *meeting_policy_to_json(const struct meeting_policy *p);
/* As the placement engine takes it; borrows from `p`. */
struct place_policy meeting_policy_place(const struct meeting_policy *p);
int64_t meeting_policy_bitrate(const struct meeting_policy *p); /* kbit/s */

#endif
