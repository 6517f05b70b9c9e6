/* The agent's name. Invariant: what a token says is only shown or compared here, never believed. */
#include "who.h"

#include <jansson.h>
#include <sodium.h>
#include <string.h>

bool who_of_token(const char *token, char agent[static AGENT_ID_MAX + 1])
{
    char body[JWT_MAX];
    size_t len = 0;
    const char *dot = token != NULL ? strchr(token, '.') : NULL;
    const char *end = dot != NULL ? strchr(dot + 1, '.') : NULL;
    if (end == NULL || strchr(end + 1, '.') != NULL ||
        sodium_base642bin((unsigned char *)body, sizeof(body), dot + 1, (size_t)(end - dot - 1), NULL, &len,
                          NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
        return false;
    json_t *claims = json_loadb(body, len, JSON_REJECT_DUPLICATES, NULL);
    const char *sub = json_string_value(json_object_get(claims, "sub"));
    bool named = sub != NULL && agent_id_valid(sub);
    if (named)
        memcpy(agent, sub, strlen(sub) + 1);
    json_decref(claims);
    return named;
}

const char *who_is(const struct cli *c, char agent[static AGENT_ID_MAX + 1])
{
    if (c->o.agent != NULL)
        return c->o.agent;
    return who_of_token(c->o.token, agent) ? agent : c->host;
}

enum cli_exit who_check(const struct cli *c)
{
    char named[AGENT_ID_MAX + 1];
    if (c->o.agent == NULL || !who_of_token(c->o.token, named) || strcmp(named, c->o.agent) == 0)
        return CLI_OK;
    return cli_fail(
        c, CLI_USAGE,
        "the token is the agent %s's, but --agent (BERTH_AGENT) says %.130s: leave --agent out, or "
        "use a token of that agent's",
        named, c->o.agent);
}
