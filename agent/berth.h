/* libberth: measures which media nodes this machine reaches over UDP, TCP, TLS and HTTP proxies, and how far away they are, reports it to a
 * Berth controller, and carries a call's media to the node that this one assigns.
 *
 * An agent is a `struct berth_agent`. It never blocks, and does something only while berth_agent_dispatch runs: call that
 * from your own event loop, or let berth_agent_start_thread do so in a thread of the agent's. Any number of agents live
 * in one process. The library installs no signal handlers, writes to no standard stream and never ends the process.
 *
 * Threads: every function may be called from any thread at any time, except that berth_agent_destroy must be the last
 * call on an agent, and berth_agent_dispatch is one thread's at a time. Callbacks run inside berth_agent_dispatch (in the
 * agent's own thread where it has one) with no lock held: they may call everything here except berth_agent_dispatch,
 * berth_agent_stop_thread and berth_agent_destroy.
 *
 * Errors: functions that return int answer 0 (or what they say), else a negative number: -errno (-EINVAL, -ENOMEM ...) or one
 * of enum berth_error. berth_strerror names both. Where a function fails its results are left alone.
 *
 * Times end in _us (microseconds), _ms or _s; a figure that was not measured is -1. Strings are UTF-8 and end with NUL. */
#ifndef BERTH_H
#define BERTH_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define BERTH_API __attribute__((visibility("default")))
#else
#define BERTH_API
#endif

struct berth_agent;

enum berth_error {
    BERTH_E_UNREACHABLE = -2001, /* the controller could not be reached, or its certificate was refused */
    BERTH_E_REFUSED = -2002,     /* the controller answered, and refused (bad token, unknown path ...) */
    BERTH_E_UNAVAILABLE = -2003, /* the controller answered that it can't just now (429, 5xx) */
    BERTH_E_PROTOCOL = -2004,    /* the controller's answer is none that this library understands */
    BERTH_E_RESOLVE = -2005,     /* a given host name has no address */
    BERTH_E_EXPIRED = -2006,     /* a kept report became too old to be delivered */
    BERTH_E_NO_NODES = -2007,    /* there is nothing to probe */
    BERTH_E_REPLACED = -2008,    /* a newer report took the place of one that was not delivered yet */
    BERTH_E_TAKEN_OVER = -2009,  /* the same agent has joined the meeting from elsewhere, later */
};

enum berth_transport { BERTH_UDP = 0, BERTH_TCP = 1, BERTH_TLS = 2, BERTH_PROXY = 3 };

enum berth_status {
    BERTH_UNTESTED = 0,   /* nothing was sent: no address, or the time ran out before */
    BERTH_REACHABLE = 1,  /* a matching STUN answer came back (over TLS: from a verified peer) */
    BERTH_TIMEOUT = 2,    /* silence */
    BERTH_REFUSED = 3,    /* reset, ICMP unreachable, or the local network refused to send */
    BERTH_TLS_ERROR = 4,  /* connected, but the TLS handshake or the verification failed */
    BERTH_PROXY_ERROR = 5 /* the proxy could not or would not connect */
};

/* How STUN messages travel inside TLS. */
enum berth_framing {
    BERTH_FRAMING_NONE = 0,     /* nothing answered */
    BERTH_FRAMING_STUN = 1,     /* as they are */
    BERTH_FRAMING_WEBSOCKET = 2 /* in WebSocket messages, for what insists on HTTP */
};

enum berth_state {
    BERTH_STATE_IDLE = 0,      /* nothing to do, no timer */
    BERTH_STATE_FETCHING = 1,  /* asking the controller for its list of nodes */
    BERTH_STATE_RESOLVING = 2, /* looking up given host names */
    BERTH_STATE_PROBING = 3,
    BERTH_STATE_REPORTING = 4,
    BERTH_STATE_WAITING = 5 /* watching or following; or waiting to try again */
};

enum berth_log_level { BERTH_LOG_DEBUG = 0, BERTH_LOG_INFO = 1, BERTH_LOG_WARN = 2, BERTH_LOG_ERROR = 3 };

enum {
    BERTH_NODE_MAX = 64,         /* longest node, cluster and region id */
    BERTH_ADDRESS_TEXT = 64,     /* "ip:port" or "[ip]:port" with its NUL */
    BERTH_ERROR_TEXT = 192,      /* an explanation for people, with its NUL */
    BERTH_NETWORK_ID_TEXT = 129, /* with its NUL */
    BERTH_UUID_TEXT = 37,        /* with its NUL */
    BERTH_PROXY_TEXT = 256,      /* a proxy's URL with its NUL */
    BERTH_PORTS_MAX = 8,         /* per transport of a given node */
    BERTH_RUNGS_MAX = 64,        /* addresses of a ladder */
    BERTH_CONNECTIONS_MAX = 8,   /* of an agent */
    BERTH_CALLS_MAX = 8,         /* of an agent */
    BERTH_MEETING_TEXT = 129,    /* with its NUL */
    BERTH_PACKET_MAX = 1400      /* longest RTP or RTCP packet, before it is protected */
};

/* ---- results ---- */

/* One row: one node over one transport. Addresses are "" and figures -1 where there is none. */
struct berth_result {
    size_t node_index; /* for berth_agent_node */
    char node[BERTH_NODE_MAX + 1];
    int transport;                                 /* enum berth_transport */
    int status;                                    /* enum berth_status */
    char address[BERTH_ADDRESS_TEXT];              /* that answered, else the last tried */
    int64_t rtt_min_us, rtt_median_us, rtt_p95_us; /* of the STUN round trip alone */
    int64_t sent, received;                        /* STUN samples; none is ever sent twice */
    int64_t connect_us;                            /* TCP and TLS: the TCP handshake */
    int64_t tls_us;                                /* TLS: the TLS handshake */
    char mapped_address[BERTH_ADDRESS_TEXT];       /* how the node sees us */
    char error[BERTH_ERROR_TEXT];                  /* why it isn't reachable; "" otherwise */
    int framing;                                   /* enum berth_framing */
    char proxy[BERTH_PROXY_TEXT];                  /* BERTH_PROXY: "http://host:port", without credentials */
    char proxy_auth[16]; /* that it asked for: "none", "basic", "digest", "ntlm", "negotiate" */
    int tls_intercepted; /* 1: not the node's certificate, but one that the system trusts */
};

/* What is known of a probed node beside its results. "" where it isn't known (given nodes). */
struct berth_node_info {
    char node[BERTH_NODE_MAX + 1];
    char cluster[BERTH_NODE_MAX + 1];
    char region[BERTH_NODE_MAX + 1];
    int mesh; /* 1: of the organisation's own mesh; 0: of the cloud */
};

/* The end of a probe. */
struct berth_summary {
    int error;        /* 0, or why there are no (new) results */
    int http_status;  /* the controller's, where it answered an error; else 0 */
    size_t nodes;     /* probed */
    size_t reachable; /* of them, by at least one transport */
    size_t results;   /* rows */
    int64_t duration_us;
    char network_id[BERTH_NETWORK_ID_TEXT]; /* a fingerprint of this network that reveals nothing of it */
    char detail[BERTH_ERROR_TEXT];          /* of the error */
    size_t
        left_out; /* nodes of the list that were not probed: their entry can't be read, or they are too many */
    size_t addresses_left_out; /* of probed nodes, since they can't be read */
};

/* What became of a report. */
struct berth_delivery {
    int error;       /* 0: the controller has stored it */
    int http_status; /* 0: no answer */
    char report_id[BERTH_UUID_TEXT];
    int64_t measured_at_us; /* Unix time */
    int64_t retry_in_us;    /* it is kept and tried again after this; -1: it is stored, or given up */
    char detail[BERTH_ERROR_TEXT];
};

/* ---- options ---- */

/* How to probe. 0: as the controller says, else the default that is named. Out of range: -EINVAL. */
struct berth_policy {
    int64_t samples;         /* per node and transport, 1 to 50; 5 */
    int64_t spacing_ms;      /* between samples of one target, 1 to 10000; 50 */
    int64_t timeout_ms;      /* of one answer, connect or handshake, 50 to 60000; 1500 */
    int64_t node_budget_ms;  /* one node with all its transports, 50 to 600000; 6000 */
    int64_t budget_ms;       /* the probe; as much for the lookup of names before it, 50 to 3600000; 20000 */
    int64_t reprobe_after_s; /* watching: probes again before this, 1 to 604800; 6600 */
    int64_t pace_per_s;      /* packets and connections started a second, 1 to 10000; 500 */
};

/* A node to probe without a controller. Where no port is given at all, Berth's default ports are probed (UDP 5004 and
 * 3478, TCP 5004, TLS 443); else those given, and the other transports are "untested". */
struct berth_node {
    const char *host;     /* DNS name, or IP literal (IPv6 without brackets) */
    const char *node;     /* its name in results; NULL: `host` (the first BERTH_NODE_MAX characters) */
    const char *tls_name; /* the name that its certificate must carry; NULL: `host` */
    uint16_t udp[BERTH_PORTS_MAX], tcp[BERTH_PORTS_MAX], tls[BERTH_PORTS_MAX]; /* up to the first 0 */
};

/* Any may be NULL. What they are given is valid until they return. Where memory runs out rows, states and lines may
 * be left out. */
struct berth_callbacks {
    /* A row is finished; rows come as they are measured. */
    void (*result)(void *user, struct berth_agent *agent, const struct berth_result *row);
    /* A probe has ended; also when it could not begin (`error`). */
    void (*done)(void *user, struct berth_agent *agent, const struct berth_summary *summary);
    /* A report was stored, failed, or was given up. */
    void (*delivery)(void *user, struct berth_agent *agent, const struct berth_delivery *delivery);
    /* The state has changed (enum berth_state). */
    void (*state)(void *user, struct berth_agent *agent, int state);
    /* A line for a log: `event` is a stable word, `text` is for people. Neither ever holds the token. */
    void (*log)(void *user, struct berth_agent *agent, int level, const char *event, const char *text);
};

/* Zero it, set `size` to sizeof(struct berth_options), and fill in what you need. Everything is copied. */
struct berth_options {
    size_t size;
    /* Either a controller ... */
    const char *controller; /* "https://host[:port]"; http only to loopback */
    const char *token;      /* bearer: a JWT, or an API key of the organisation */
    const char *agent_id;   /* [A-Za-z0-9._-]{1,128}; NULL: the host name */
    /* Send agent_id in reports? 0: with an API key, but not with a JWT, which names the agent itself; 1: yes; 2: no */
    int name_agent;
    /* ... or given nodes (or both: then these are probed, and nothing is reported). */
    const struct berth_node *nodes;
    size_t n_nodes;
    const char *ca_file; /* PEM: whom to trust for the controller and for nodes; NULL: the system's store */
    struct berth_policy policy;
    struct berth_callbacks callbacks;
    void *user; /* handed to every callback */

    /* How to find HTTP proxies, for the calls on the controller and for the nodes (a further transport,
     * BERTH_PROXY). The library reads no environment: a program that wants https_proxy and no_proxy to count hands
     * them in here. */
    const char *
        proxy; /* "http://[user:password@]host:port" or "https://..."; "none"; "auto": ask the network (WPAD);
                            * NULL: proxy_pac, else ask the network only if the controller can't be reached directly */
    const char *proxy_pac; /* a PAC script: a file, or a URL */
    const char *no_proxy;  /* what is reached directly: domains, IPs, prefixes; commas between */
    const char *proxy_user,
        *proxy_password; /* where the URL has none. Without, Kerberos is tried where Negotiate is asked for.
                                              * What the network alone names (WPAD) is never sent them as Basic. */
    /* A file in a folder that is there, in which the fingerprints of networks that were reported of outlast this
     * process, so that the next one can name its network when it joins (berth_agent_network_id). Read and replaced
     * as a whole, for its owner alone; processes may share it. NULL: none. */
    const char *state_file;
    /* The program that runs PAC scripts, in a process of its own: berth-pac. NULL: ../libexec/berth/berth-pac of the
     * folder of this program, else where it was installed. */
    const char *pac_helper;
};

/* Functions take an agent that berth_agent_create has made: only berth_agent_destroy and berth_free take NULL. An
 * `out` is written on success alone. */

/* ---- an agent's life ---- */

/* 0; -EINVAL (options), -ENOMEM, or another -errno (no descriptors ...). Nothing is sent yet. */
BERTH_API int berth_agent_create(struct berth_agent **out, const struct berth_options *options);
/* Stops its thread, drops what is under way and frees everything. NULL is fine. No callback runs during or after it. */
BERTH_API void berth_agent_destroy(struct berth_agent *agent);

/* ---- in your event loop ---- */

/* A descriptor to poll for readability, the same for the agent's whole life. It stays the agent's. */
BERTH_API int berth_agent_fd(const struct berth_agent *agent);
/* Milliseconds until dispatch must be called even if the descriptor isn't readable: 0 now, -1 never. Ask again
 * before each wait, and after any other call on the agent. */
BERTH_API int berth_agent_timeout(struct berth_agent *agent);
/* Does what there is to do and runs callbacks; never waits. 0, -EBUSY (the agent has a thread, or dispatch is running
 * already), or an error that is fatal to the agent. */
BERTH_API int berth_agent_dispatch(struct berth_agent *agent);

/* ---- or in its own thread ---- */

/* 0, -EALREADY, or -errno. All signals are blocked in the thread. It ends by itself only by an error of dispatch:
 * that is logged as "thread_failed", and kept for berth_agent_stop_thread. */
BERTH_API int berth_agent_start_thread(struct berth_agent *agent);
/* Returns when the thread has ended and no callback runs any more; the agent keeps its state and may go on, with
 * dispatch or another thread. 0, -ESRCH (it has none), -EDEADLK (called by a callback), or the error that had ended
 * the thread. */
BERTH_API int berth_agent_stop_thread(struct berth_agent *agent);

/* ---- what to do ---- */

enum {
    BERTH_PROBE_REPORT = 1 /* send the results to the controller when done */
};
/* Starts one probe. 0; -EBUSY (one is under way); -EINVAL (a report without a controller, unknown flags). Its end is
 * told by `done`, and with BERTH_PROBE_REPORT `delivery` follows it. A report that could not be delivered is tried
 * again with growing pauses while it is valid. */
BERTH_API int berth_agent_probe(struct berth_agent *agent, unsigned flags);
/* Stops the probe under way, if any: what isn't measured yet is "untested", and `done` comes at the next dispatch. */
BERTH_API int berth_agent_cancel(struct berth_agent *agent);
/* Watch: probe now (and report, with a controller), when the network changes, and at a random moment before the report
 * expires. on = 0 ends that; a probe under way goes on. 0, or -errno. */
BERTH_API int berth_agent_watch(struct berth_agent *agent, int on);
/* Replaces the bearer token for all later calls (tokens expire). 0, -EINVAL, -ENOMEM. */
BERTH_API int berth_agent_set_token(struct berth_agent *agent, const char *token);

/* ---- events: what the controller tells without being asked (GET /v1/stream) ---- */

enum berth_event_kind {
    BERTH_EVENT_OTHER = 0, /* one that this version doesn't know: see `name` */
    BERTH_EVENT_ASSIGNMENT =
        1, /* this agent was moved in a meeting: `data` is its new assignment, for berth_agent_connect, with
                                 * "meeting", and in "why" the reason */
    BERTH_EVENT_PROBE = 2, /* a probe was asked for: it begins by itself */
    BERTH_EVENT_RESET =
        3, /* events were missed: join your meetings again to know where you are. A probe begins by itself */
    BERTH_EVENT_UP = 4,  /* the stream is open: from here on nothing is missed without a BERTH_EVENT_RESET */
    BERTH_EVENT_DOWN = 5 /* it has ended, or could not be opened; another try comes by itself */
};

/* Texts are never NULL, and valid until the callback returns. Later versions may append members. */
struct berth_event {
    int kind;         /* enum berth_event_kind */
    const char *name; /* as the controller calls it; of up and down, these words */
    const char *data; /* JSON; "" of up and down */
    /* BERTH_EVENT_DOWN: */
    int error;           /* 0: the controller has asked us to come back; else enum berth_error or -errno */
    int http_status;     /* the controller's, where it answered an error; else 0 */
    int64_t retry_in_us; /* else -1 */
    const char *detail;  /* of the error; else "" */
};

/* Zero it, set `size`, and fill in what you need. Copied. */
struct berth_follow_options {
    size_t size;
    /* Called as the callbacks of berth_options are. May be NULL: then probes that are asked for are all that comes
     * of it. */
    void (*event)(void *user, struct berth_agent *agent, const struct berth_event *e);
    void *user;
};

/* Follows the controller's events, by the way that the calls on the controller take, until called with NULL. It
 * comes back after a failure with growing, jittered pauses (of a minute at most, five where the token is refused),
 * at once with another token or in another network, and resumes where it was. Another call replaces options. 0,
 * -EINVAL (no controller), or -ENOMEM. */
BERTH_API int berth_agent_follow(struct berth_agent *agent, const struct berth_follow_options *options);

/* ---- connecting ---- */

/* By the ladder of an assignment (the answer to POST /v1/meetings/{id}/participants): its rungs are raced, the best
 * that answers wins, and a keep-alive holds its 5-tuple open. Where the path is lost, or the network is another one,
 * the race begins again from the first rung, until berth_agent_disconnect. */

enum berth_connection_state {
    BERTH_CONNECTION_RACING = 0,
    BERTH_CONNECTION_UP = 1,
    BERTH_CONNECTION_WAITING = 2 /* no rung works, or the path was lost: tried again in retry_in_us */
};

/* One address of a ladder, in the order of preference. */
struct berth_rung {
    int transport;        /* enum berth_transport */
    const char *address;  /* "ip:port" */
    const char *tls_name; /* BERTH_TLS, BERTH_PROXY: the name that the certificate must carry */
    const char *proxy; /* BERTH_PROXY: "http://host:port"; NULL: the first that the agent's options lead to */
};

struct berth_connection {
    uint64_t id;
    int state;           /* enum berth_connection_state */
    size_t n_rungs;      /* for berth_agent_rung */
    size_t winner;       /* index of the rung that it ended on; n_rungs: none */
    int64_t came_up;     /* how many times */
    int64_t decided_us;  /* from the race's beginning to the winner's answer */
    int64_t retry_in_us; /* BERTH_CONNECTION_WAITING, else -1 */
    /* The winner's, "" and -1 where there is none: */
    int transport, framing; /* enum berth_transport, enum berth_framing */
    char address[BERTH_ADDRESS_TEXT];
    char mapped_address[BERTH_ADDRESS_TEXT]; /* of the newest answer */
    int64_t sent, received,
        lost; /* keep-alives since it came up; those on their way are neither received nor lost */
    int64_t rtt_min_us, rtt_median_us, rtt_p95_us, rtt_last_us; /* of the newest keep-alives */
    char detail[BERTH_ERROR_TEXT];                              /* why it is being raced again, or waits */
};

/* What the newest race made of a rung. */
struct berth_rung_result {
    int transport;
    int status; /* enum berth_status; BERTH_UNTESTED also where another had answered before it could */
    int framing;
    int won;
    int64_t began_us;                    /* after the race's beginning; -1: it was not begun */
    int64_t connect_us, tls_us, stun_us; /* -1: not measured */
    int64_t sent;                        /* STUN requests */
    char address[BERTH_ADDRESS_TEXT];
    char mapped_address[BERTH_ADDRESS_TEXT];
    char proxy[BERTH_PROXY_TEXT];
    char proxy_auth[16];
    int tls_intercepted;
    char why[BERTH_ERROR_TEXT]; /* it did not win */
};

/* Zero it, set `size`, and fill in what you need. Everything is copied. */
struct berth_connect_options {
    size_t size;
    const char *assignment;         /* JSON: the controller's answer; only its "ladder" is read */
    const struct berth_rung *rungs; /* or the rungs themselves */
    size_t n_rungs;                 /* at most BERTH_RUNGS_MAX */
    /* 0: the default that is named. Out of range: -EINVAL. */
    int64_t rung_delay_ms;   /* before the next rung is raced, 1 to 60000; 300 */
    int64_t grace_ms;        /* for a better rung, once a worse one has answered, 1 to 60000; 150 */
    int64_t rung_timeout_ms; /* 50 to 600000; 5000 */
    int64_t timeout_ms;      /* of the whole race, 50 to 600000; 15000 */
    int64_t keepalive_ms;    /* 100 to 25000; 5000 */
    /* The state has changed. Called as the callbacks of berth_options are. May be NULL. */
    void (*changed)(void *user, struct berth_agent *agent, const struct berth_connection *c);
    void *user;
};

/* 0 with *connection filled; -EINVAL (no ladder in it, a figure out of range), -EMFILE (BERTH_CONNECTIONS_MAX are
 * open), -ENOMEM. */
BERTH_API int berth_agent_connect(struct berth_agent *agent, const struct berth_connect_options *options,
                                  uint64_t *connection);
/* Closes it. Only a `changed` that runs in another thread just then may still be under way. 0, or -ENOENT. */
BERTH_API int berth_agent_disconnect(struct berth_agent *agent, uint64_t connection);
BERTH_API int berth_agent_connection(struct berth_agent *agent, uint64_t connection,
                                     struct berth_connection *out); /* 0, or -ENOENT */
/* Rung `index`, in the order of the ladder that was given. 0, or -ENOENT. */
BERTH_API int berth_agent_rung(struct berth_agent *agent, uint64_t connection, size_t index,
                               struct berth_rung_result *out);
/* The "network" to name when joining: the fingerprint under which this agent's report of the network that it is in
 * now was made, also one of before an excursion to another network, or, with a state_file, by an earlier process. 0,
 * or -ENOENT: none of the last two hours. */
BERTH_API int berth_agent_network_id(struct berth_agent *agent, char out[BERTH_NETWORK_ID_TEXT]);

/* ---- calls: media on the assigned node ---- */

/* berth_agent_join makes a call of a meeting: it asks the controller for an assignment, connects to the node by the
 * ladder, shakes hands, and then RTP and RTCP packets go and come as they are: protecting them is the library's
 * work, codecs are the caller's. It stays in the call: where the path is lost it is looked for again, where the node
 * is lost that is reported and the next node taken, and where the call is moved the new node is connected to before
 * the old one is left. The agent follows the controller's events while it has calls. */

enum berth_call_state {
    BERTH_CALL_JOINING = 0,    /* asking the controller */
    BERTH_CALL_CONNECTING = 1, /* climbing the ladder, or shaking hands */
    BERTH_CALL_UP = 2,         /* media flows */
    BERTH_CALL_LOST = 3,       /* it did, and will again without your doing */
    BERTH_CALL_ENDED = 4       /* for good: see `error` and `reason` */
};

struct berth_call {
    uint64_t id;
    int state; /* enum berth_call_state */
    int error; /* ENDED: enum berth_error or -errno; JOINING and LOST: of the newest question to the controller; else 0 */
    int64_t up_us;          /* from berth_agent_join to the first UP; -1: not yet */
    int64_t came_up, moved; /* how often: UP; UP on another node than before */
    char meeting[BERTH_MEETING_TEXT];
    char node[BERTH_NODE_MAX + 1]; /* "" before the first assignment */
    uint64_t connection;           /* to it, for berth_agent_connection and berth_agent_rung; 0: none */
    int transport, framing;        /* as of a connection; -1, 0: none */
    char address[BERTH_ADDRESS_TEXT], mapped_address[BERTH_ADDRESS_TEXT];
    char suite[32]; /* "AEAD_AES_128_GCM" or "AES_CM_128_HMAC_SHA1_80"; "" before the first UP */
    char reason[BERTH_ERROR_TEXT]; /* for people: why it isn't UP; of UP after a move, why it was moved; "" */
    /* Since the call began, over all its nodes: */
    int64_t packets_sent, bytes_sent, packets_received, bytes_received; /* unprotected */
    int64_t packets_lost;    /* RTP that should have come, by gaps in the sequence numbers */
    int64_t packets_refused; /* not authentic, or replayed */
    int64_t packets_dropped; /* came, and `packet` was not called in time */
    int64_t send_dropped;    /* not sent, as berth_agent_send said */
    int64_t consents_sent, consents_answered;
    int64_t
        jitter_us; /* RFC 3550 6.4.1, of the stream heard last; -1: its clock (8, 16, 32, 48 or 90 kHz) isn't known yet */
    int64_t rtt_us, rtt_min_us; /* of consent checks to the present node: newest, least; -1: none */
    int http_status;            /* beside `error`: the controller's, where it answered with one; else 0 */
};

/* One RTP or RTCP packet that has arrived, unprotected; valid until the callback returns. */
struct berth_packet {
    uint64_t call;
    const uint8_t *bytes;
    size_t len;
    int rtcp;            /* 1: RTCP */
    int64_t received_us; /* monotonic */
};

/* Zero it, set `size`, and fill in what you need. Everything is copied. */
struct berth_join_options {
    size_t size;
    const char *meeting;    /* [A-Za-z0-9._:-]{1,128} */
    const char *assignment; /* JSON, where your backend has joined for this agent; NULL: the agent joins */
    /* 0: the default that berth_connect_options names; keepalive_ms is the time between consent checks (80 to 120 %
     * of it, at random). */
    int64_t rung_delay_ms, grace_ms, rung_timeout_ms, timeout_ms, keepalive_ms;
    /* Ids (1 to 14) of the one-byte header extensions (RFC 8285) that your packets carry; 0: none. */
    int audio_level_ext;    /* RFC 6464: without it you are heard last in a large meeting */
    int transport_wide_ext; /* transport-wide sequence numbers: the node answers with feedback on them */
    /* Called as the callbacks of berth_options are. May be NULL. */
    void (*packet)(void *user, struct berth_agent *agent, const struct berth_packet *p);
    void (*changed)(void *user, struct berth_agent *agent,
                    const struct berth_call *c); /* state, node, transport, or why it isn't UP */
    /* This SSRC of ours is another's in the meeting: choose one anew (RFC 3550 8.2). */
    void (*ssrc_refused)(void *user, struct berth_agent *agent, uint64_t call, uint32_t ssrc);
    void *user;
};

/* 0 with *call filled; -EINVAL (no controller, an option out of range), -EMFILE (BERTH_CALLS_MAX), -ENOMEM. */
BERTH_API int berth_agent_join(struct berth_agent *agent, const struct berth_join_options *options,
                               uint64_t *call);
/* Tells the node at once, and the controller in the background, 10 s at most (berth_agent_call_count counts the call
 * as long; berth_agent_destroy doesn't wait for it). No callback of the call comes any more, but one that runs in
 * another thread just then. 0, or -ENOENT. */
BERTH_API int berth_agent_leave(struct berth_agent *agent, uint64_t call);
/* Sends one RTP or RTCP packet (told apart by RFC 5761), which is copied. A sequence number goes out again only with
 * the very bytes that it had, since SRTP's secrecy depends on that, and they should begin below 32768 (RFC 3711
 * 3.3.1). 0; -ENOENT; -ENOTCONN: not UP; -EAGAIN: there is no room, and the packet dropped; -EMSGSIZE: over
 * BERTH_PACKET_MAX; -EINVAL: no such packet, or other bytes under a number that was used, or an SSRC that has made
 * room for another; -ENOSPC: 16 other SSRCs have sent within 11 s. */
BERTH_API int berth_agent_send(struct berth_agent *agent, uint64_t call, const void *packet, size_t len);
BERTH_API int berth_agent_call(struct berth_agent *agent, uint64_t call,
                               struct berth_call *out);             /* 0, or -ENOENT */
BERTH_API size_t berth_agent_call_count(struct berth_agent *agent); /* those being left included */

/* ---- what is known: the newest probe, rows as far as they are finished ---- */

BERTH_API int berth_agent_state(struct berth_agent *agent); /* enum berth_state */
BERTH_API size_t berth_agent_result_count(struct berth_agent *agent);
/* Row `index`, in the order of nodes and transports; one not finished yet is "untested". 0, or -ENOENT. */
BERTH_API int berth_agent_result(struct berth_agent *agent, size_t index, struct berth_result *out);
BERTH_API size_t berth_agent_node_count(struct berth_agent *agent);
BERTH_API int berth_agent_node(struct berth_agent *agent, size_t index, struct berth_node_info *out);
/* All rows as JSON: {"nodes":[{"node":...,"results":[...]}]}, each row as in a report. Free it with berth_free. 0,
 * -ENOMEM. */
BERTH_API int berth_agent_results_json(struct berth_agent *agent, char **out);
BERTH_API void berth_free(void *p);

/* ---- names ---- */

/* Never NULL; static text. */
BERTH_API const char *berth_strerror(int error);
BERTH_API const char *berth_transport_name(int transport);    /* "udp", "tcp", "tls", "proxy"; "unknown" */
BERTH_API const char *berth_status_name(int status);          /* "reachable", "tls_error" ...; "unknown" */
BERTH_API const char *berth_connection_state_name(int state); /* "racing", "up", "waiting"; "unknown" */
BERTH_API const char *
berth_call_state_name(int state); /* "joining", "connecting", "up", "lost", "ended"; "unknown" */
BERTH_API const char *
berth_event_name(int kind); /* "assignment", "probe", "reset", "up", "down", "other"; "unknown" */
BERTH_API const char *berth_state_name(int state); /* "idle", "fetching" ...; "unknown" */
BERTH_API const char *berth_version(void);         /* "0.1.0" */

#ifdef __cplusplus
}
#endif

#endif
