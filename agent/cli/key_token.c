/* berth key token: a JWT for one agent, signed here with the organisation's key. */
#include "commands.h"
#include "core/timefmt.h"
#include "core/token.h"
#include "sys/clock.h"

#include <string.h>

static enum cli_exit parse_grants(const struct cli *c, unsigned *grants)
{
    *grants = c->o.grants.n == 0 ? GRANT_PROBE | GRANT_JOIN : 0;
    for (size_t i = 0; i < c->o.grants.n; i++) {
        const char *s = c->o.grants.v[i];
        while (*s != '\0') { /* "probe,join" too */
            size_t len = strcspn(s, ",");
            if (len == 5 && memcmp(s, "probe", 5) == 0)
                *grants |= GRANT_PROBE;
            else if (len == 4 && memcmp(s, "join", 4) == 0)
                *grants |= GRANT_JOIN;
            else
                return cli_fail(c, CLI_USAGE, "--grants takes probe and join, not '%.40s'", s);
            s += len;
            s += *s == ',';
        }
    }
    return CLI_OK;
}

static json_t *to_json(const char *token, const struct jwt_claims *claims)
{
    char expires[TIME_TEXT_LEN];
    json_t *grants = json_array();
    if (claims->grants & GRANT_PROBE)
        json_array_append_new(grants, json_string("probe"));
    if (claims->grants & GRANT_JOIN)
        json_array_append_new(grants, json_string("join"));
    return json_pack("{s:s, s:s, s:s, s:o}", "token", token, "agent", claims->sub, "expires_at",
                     time_format(claims->exp_s * 1000000, expires), "grants", grants);
}

/* The key's id from "<key_id>.<secret>", which must be an organisation's. */
static bool read_key(const char *key, struct key_id *id)
{
    const char *dot = key != NULL ? strchr(key, '.') : NULL;
    return dot != NULL && strchr(dot + 1, '.') == NULL && strlen(dot + 1) == KEY_SECRET_LEN &&
           key_id_parse(id, key, (size_t)(dot - key)) == 0 && id->kind == KEY_ORG;
}

enum cli_exit cmd_key_token(struct cli *c)
{
    struct jwt_claims claims = {.exp_s = clock_wall_us() / 1000000 + c->o.ttl};
    char token[JWT_MAX + 1];
    enum cli_exit code = parse_grants(c, &claims.grants);
    if (code != CLI_OK)
        return code;
    if (!read_key(c->o.token, &claims.iss))
        return cli_fail(c, CLI_USAGE,
                        "--token (or BERTH_TOKEN) must be an organisation's key: <key_id>.<secret>");
    if (c->o.agent == NULL)
        return cli_fail(c, CLI_USAGE, "for whom? Give --agent ID, or set BERTH_AGENT");
    if (!agent_id_valid(c->o.agent))
        return cli_fail(c, CLI_USAGE, "--agent takes 1 to %d letters, digits, '.', '_' and '-'",
                        AGENT_ID_MAX);
    snprintf(claims.sub, sizeof(claims.sub), "%s", c->o.agent);
    if (jwt_sign(c->o.token, &claims, token, sizeof(token)) < 0)
        return cli_fail(c, CLI_USAGE, "the token could not be made");
    if (!c->o.json) {
        fprintf(c->out, "%s\n", token);
        return CLI_OK;
    }
    json_t *j = to_json(token, &claims);
    code = cli_print_json(c, j);
    json_decref(j);
    return code;
}
