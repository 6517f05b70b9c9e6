/* Names of the public enums and errors. Invariant: every answer is static text. */
#include "berth.h"

#include "core/doc.h"
#include "sys_machine.h"

const char *berth_version(void)
{
    return BERTH_VERSION;
}

const char *berth_transport_name(int transport)
{
    return transport >= BERTH_UDP && transport <= BERTH_PROXY ? transport_name((enum transport)transport)
                                                              : "unknown";
}

const char *berth_status_name(int status)
{
    return status >= BERTH_UNTESTED && status <= BERTH_PROXY_ERROR
               ? probe_status_name((enum probe_status)status)
               : "unknown";
}

_Static_assert((int)BERTH_PROXY == (int)TRANSPORT_PROXY && (int)BERTH_TLS == (int)TRANSPORT_TLS,
               "the public numbers are the documents'");
_Static_assert((int)BERTH_UNTESTED == (int)PROBE_UNTESTED && (int)BERTH_REACHABLE == (int)PROBE_REACHABLE &&
                   (int)BERTH_TLS_ERROR == (int)PROBE_TLS_ERROR &&
                   (int)BERTH_PROXY_ERROR == (int)PROBE_PROXY_ERROR,
               "the public numbers are the documents'");

const char *berth_state_name(int state)
{
    static const char *const names[] = {"idle", "fetching", "resolving", "probing", "reporting", "waiting"};
    return state >= 0 && (size_t)state < sizeof names / sizeof names[0] ? names[state] : "unknown";
}

const char *berth_event_name(int kind)
{
    static const char *const names[] = {"other", "assignment", "probe", "reset", "up", "down"};
    return kind >= 0 && (size_t)kind < sizeof names / sizeof names[0] ? names[kind] : "unknown";
}

const char *berth_connection_state_name(int state)
{
    static const char *const names[] = {"racing", "up", "waiting"};
    return state >= 0 && (size_t)state < sizeof names / sizeof names[0] ? names[state] : "unknown";
}

const char *berth_call_state_name(int state)
{
    static const char *const names[] = {"joining", "connecting", "up", "lost", "ended"};
    return state >= 0 && (size_t)state < sizeof names / sizeof names[0] ? names[state] : "unknown";
}

const char *berth_strerror(int error)
{
    switch (error) {
    case 0:
        return "success";
    case BERTH_E_UNREACHABLE:
        return "the controller could not be reached";
    case BERTH_E_REFUSED:
        return "the controller refused";
    case BERTH_E_UNAVAILABLE:
        return "the controller is unavailable";
    case BERTH_E_PROTOCOL:
        return "the controller's answer was not understood";
    case BERTH_E_RESOLVE:
        return "a host name has no address";
    case BERTH_E_EXPIRED:
        return "the report became too old";
    case BERTH_E_NO_NODES:
        return "there is nothing to probe";
    case BERTH_E_REPLACED:
        return "a newer report took its place";
    case BERTH_E_TAKEN_OVER:
        return "the same agent has joined from elsewhere";
    }
    const char *text = error < 0 ? sys_error_text(-error) : NULL;
    return text ? text : "unknown error";
}
