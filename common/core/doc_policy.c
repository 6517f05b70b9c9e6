/* How agents are to probe. Invariant: a policy is always whole and in range: what a document leaves out has its default. */
#include "core/doc_json.h"

#include <errno.h>
#include <stddef.h>

struct member {
    const char *name;
    size_t offset;
    int64_t min, max, def;
};

#define X(member, least, most, def) {#member, offsetof(struct probe_policy, member), least, most, def},
static const struct member members[] = {PROBE_POLICY_MEMBERS(X)};
#undef X
enum { N_MEMBERS = sizeof members / sizeof members[0] };

static int64_t *value_of(struct probe_policy *p, const struct member *m)
{
    return (int64_t *)(void *)((char *)p + m->offset);
}

void probe_policy_init(struct probe_policy *p)
{
    for (size_t i = 0; i < N_MEMBERS; i++)
        *value_of(p, &members[i]) = members[i].def;
}

json_t *probe_policy_to_json(const struct probe_policy *p)
{
    struct probe_policy copy = *p;
    json_t *o = json_object();
    for (size_t i = 0; o && i < N_MEMBERS; i++) {
        if (json_object_set_new(o, members[i].name, json_integer(*value_of(&copy, &members[i]))) != 0) {
            json_decref(o);
            return NULL;
        }
    }
    return o;
}

int probe_policy_from_json(const json_t *j, struct probe_policy *p, struct doc_error *e)
{
    struct probe_policy parsed;
    probe_policy_init(&parsed);
    if (doc_check_object(j, "policy", e) < 0)
        return -EINVAL;
    for (size_t i = 0; i < N_MEMBERS; i++) {
        const struct member *m = &members[i];
        if (doc_get_int(j, m->name, DOC_OPTIONAL, m->min, m->max, value_of(&parsed, m), e) < 0)
            return -EINVAL;
    }
    *p = parsed;
    return 0;
}
