/* What to do about a call that failed. Invariant: nothing is said of what isn't known. */
#include "call_advice.h"

#include "way.h"

#include <string.h>
#include <strings.h>

const char *call_token_text(const struct cli *c, enum call_token which)
{
    bool admin = which == CALL_TOKEN_ADMIN && c->o.admin_token != NULL && !c->token_given;
    return admin ? c->o.admin_token : c->o.token;
}

const char *call_advice_of_transport(const struct cli *c, CURLcode rc, const char *error)
{
    bool clear = strncasecmp(c->o.controller, "http:", 5) == 0;
    const char *of_way = way_advice(c, error);
    if (of_way != NULL)
        return of_way;
    if (clear && (rc == CURLE_GOT_NOTHING || rc == CURLE_RECV_ERROR || rc == CURLE_WEIRD_SERVER_REPLY ||
                  rc == CURLE_UNSUPPORTED_PROTOCOL))
        return "this seems to be an HTTPS port: say https:// in --controller (BERTH_CONTROLLER)";
    switch (rc) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return "check the name in --controller (BERTH_CONTROLLER)";
    case CURLE_PEER_FAILED_VERIFICATION:
        return "give the CA that signed the controller's certificate: --ca FILE, or BERTH_CA";
    case CURLE_SSL_CONNECT_ERROR:
        return "check the port in --controller (BERTH_CONTROLLER): perhaps no HTTPS is served there";
    case CURLE_OPERATION_TIMEDOUT:
        return "check that the network lets HTTPS to the controller through";
    default:
        return NULL;
    }
}

/* The detail says which keys the call takes: whose was given tells what else could be. */
static const char *advice_of_refusal(const struct cli *c, enum call_token which, const char *code)
{
    const char *token = call_token_text(c, which);
    bool is_admins = token != NULL && (strchr(token, '.') == NULL || token == c->o.admin_token);
    if (strcmp(code, "grant_missing") == 0)
        return "make a token that may: berth key token --grants";
    if (strcmp(code, "agent_mismatch") == 0)
        return "the token names its agent: leave --agent (BERTH_AGENT) out, or make a token for the other";
    return is_admins
               ? "give such a key with --token (BERTH_TOKEN)"
               : "the operator's admin key is given with --admin-token (BERTH_ADMIN_TOKEN), others with "
                 "--token (BERTH_TOKEN)";
}

/* Where the token of a call came from. */
static const char *token_option(const struct cli *c, enum call_token which)
{
    return c->o.admin_token != NULL && call_token_text(c, which) == c->o.admin_token
               ? "--admin-token (BERTH_ADMIN_TOKEN)"
               : "--token (BERTH_TOKEN)";
}

static bool begins(const struct cli *c, const char *words)
{
    return c->command != NULL && strncmp(c->command->name, words, strlen(words)) == 0;
}

/* No such node for this key: the cloud's are the operator's, and of mesh nodes several orgs may have one of this id. */
static const char *advice_of_node(const struct cli *c, enum call_token which)
{
    if (which == CALL_TOKEN_ADMIN && call_token_text(c, which) != c->o.admin_token)
        return "a node of the cloud is the operator's: give --admin-token, or set BERTH_ADMIN_TOKEN; what "
               "there is: berth node list";
    return "see berth node list; a mesh node of an organisation's is meant with --org ORG";
}

static const char *advice_of_status(long status, const char *code)
{
    if (strcmp(code, "token_expired") == 0)
        return "make a new token: berth key token";
    if (strcmp(code, "no_live_report") == 0)
        return "the last one has expired; a new one: berth probe --report";
    if (strcmp(code, "no_node") == 0)
        return "how nodes are: berth node list; what this network reaches: berth firewall; what the "
               "meeting's "
               "policy allows: berth meeting show (a private one takes nodes of the organisation's own, "
               "which "
               "enrol with a key of berth key create --kind node)";
    switch (status) {
    case 404:
        return "check the id; another organisation's things are not found either";
    case 451:
        return "the meeting's policy leaves no region: change its allowed or denied regions";
    default:
        return NULL;
    }
}

bool call_advise(const struct cli *c, enum call_token which, long status, const char *code)
{
    const char *advice = status == 403 ? advice_of_refusal(c, which, code) : advice_of_status(status, code);
    bool joins = begins(c, "join") || begins(c, "meeting join");
    if (status == 401 && strcmp(code, "token_expired") != 0)
        cli_advise(c, "check %s: it must be this controller's, and not revoked", token_option(c, which));
    else if (strcmp(code, "unknown_meeting") == 0 && joins)
        cli_advise(c, "make it: berth meeting create %s", c->words.v[0]);
    else if (strcmp(code, "conflict") == 0 && begins(c, "meeting create"))
        cli_advise(c, "a meeting keeps its policy: berth meeting delete %s, or take another id",
                   c->words.v[0]);
    else if (strcmp(code, "unknown_node") == 0 && begins(c, "node "))
        cli_advise(c, "%s", advice_of_node(c, which));
    else if (advice != NULL)
        cli_advise(c, "%s", advice);
    else
        return false;
    return true;
}

const char *call_advice_of_pointer(const char *pointer)
{
    if (strcmp(pointer, "/org") == 0)
        return "--org ORG says which organisation is meant; \"cloud\" with --kind node, for the cloud's "
               "nodes";
    if (strcmp(pointer, "/agent") == 0)
        return "--agent ID says which agent is meant";
    return NULL;
}
