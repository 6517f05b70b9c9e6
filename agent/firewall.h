/* What a network lets through, judged from what was seen: ports, mapping, allow-lists, the clock, which rung media
 * would take and how good it is, and what to open. Pure; firewall_run.h does the seeing. Nothing is guessed: what
 * can't be told is unknown. */
#ifndef BERTH_AGENT_FIREWALL_H
#define BERTH_AGENT_FIREWALL_H

#include "core/doc.h"
#include "firewall_mtu.h"
#include "firewall_nat.h"
#include "firewall_pinhole.h"
#include "probe/prober.h"

enum {
    FIREWALL_PORTS_MAX = 512,
    FIREWALL_RANGES_MAX = 16, /* address ranges told of */
    FIREWALL_ADVICE_MAX = 8,
    FIREWALL_LOCAL_MAX = 16,
    FIREWALL_SIGHTS_MAX = 64, /* of a family: nodes that tell of its NAT; the first ones */
    FIREWALL_TEXT = 320,
    RANGE_TEXT = ADDR_TEXT_LEN + 4, /* "2001:db8::/48" */
};

/* Thresholds of the quality classes. "good" is what nobody notices, "fair" is what people talk through, and all else
 * is "poor". Over TCP a lost packet holds up what follows for a round trip or more, so a stream is never good, and
 * fair only on a short path. */
enum {
    QUALITY_GOOD_RTT_US = 150 * 1000,
    QUALITY_FAIR_RTT_US = 300 * 1000,
    QUALITY_FAIR_STREAM_RTT_US = 150 * 1000,
    QUALITY_GOOD_LOSS_PERCENT = 2,
    QUALITY_FAIR_LOSS_PERCENT = 10,
};
enum quality { QUALITY_NONE, QUALITY_POOR, QUALITY_FAIR, QUALITY_GOOD };
const char *quality_name(enum quality q); /* "none", "poor", "fair", "good" */

/* Beyond this a clock is a danger to TLS: certificates are made for use at once, and short-lived ones end soon. */
enum { CLOCK_WRONG_S = 300 };
#define CLOCK_UNKNOWN INT64_MIN

/* What a call with picture, and one with sound alone, needs in each direction: a sender's streams and one
 * receiver's; more of each with every further picture. */
enum { CALL_VIDEO_BPS = 1500 * 1000, CALL_AUDIO_BPS = 100 * 1000 };
enum enough { ENOUGH_UNKNOWN, ENOUGH_NOTHING, ENOUGH_AUDIO, ENOUGH_VIDEO };
const char *enough_name(enum enough e); /* "unknown", "nothing", "audio", "video" */

/* A media packet, with its headers, fits into this; a path that takes less loses the large ones. */
enum { MEDIA_PACKET_MAX = 1280 };

/* What one node's one address did over one transport. */
struct firewall_row {
    size_t node;           /* the same number for all rows of a node */
    bool served;           /* the node is known to be there; else the port was only asked for */
    struct addr to;        /* always set */
    struct probe_result r; /* r.node is left empty */
    char error[PROBER_ERROR_TEXT];
    char
        issuer[PROBER_ISSUER_TEXT]; /* of a certificate that was not to be trusted, or an interceptor's; "" */
};

/* How proxies were looked for, and the one that was tried (the first that led to a node, else any that was named). */
struct firewall_proxy {
    bool looked, found;
    char source[32];             /* who named it: "the options", "PAC", "WPAD" */
    char url[PROXY_URL_MAX + 1]; /* without credentials */
    char scheme[16], auth[16];   /* "" where not known */
    enum probe_status status;
    bool intercepted; /* it opens TLS */
    char error[PROBER_ERROR_TEXT];
    char issuer[PROBER_ISSUER_TEXT]; /* as in a row */
};

/* What got through at least, in its best moment. */
struct firewall_throughput {
    int64_t up_bps, down_bps; /* or NOT_MEASURED */
    int64_t bytes, took_us;   /* what it cost, both ways together */
    enum transport transport; /* that it was measured over */
};

struct firewall_seen {
    struct firewall_row *rows;
    size_t n_rows;
    struct addr local[FIREWALL_LOCAL_MAX]; /* port 0: where packets to the nodes leave from */
    size_t n_local;
    struct nat_findings rfc5780; /* unknown where no node offers the tests */
    struct addr rfc5780_server;  /* that offers them; none */
    int64_t mtu;                 /* or NOT_MEASURED */
    struct firewall_proxy proxy;
    char proxy_problem[128]; /* why proxies that there may be were not found; "" */
    struct firewall_throughput throughput;
    bool pinhole_asked;
    struct pinhole_found pinhole;
    enum pinhole_method pinhole_by;
    int64_t clock_ahead_us; /* of this machine before the controller; CLOCK_UNKNOWN */
};

enum port_status { PORT_UNTESTED, PORT_OPEN, PORT_DROPPED, PORT_REJECTED };
const char *port_status_name(enum port_status s);

/* One port of the service. TLS is TCP to a firewall: `transport` is udp or tcp. */
struct firewall_port {
    enum transport transport;
    uint16_t port;
    enum port_status status;
    bool served;        /* a node is known to serve it */
    bool tls;           /* TLS is spoken there */
    int64_t rtt_us;     /* least median of the nodes that answered; NOT_MEASURED */
    const char *issuer; /* as in a row */
    const char *note;   /* the first node's reason where nothing answered; "" */
};

enum clock_state { CLOCK_NOT_KNOWN, CLOCK_RIGHT, CLOCK_WRONG, CLOCK_SUSPECTED };

struct firewall_advice {
    char open[FIREWALL_TEXT], brings[FIREWALL_TEXT];
};

struct firewall_verdict {
    const struct firewall_seen *seen;
    struct addr mapped[TRANSPORT_COUNT]; /* none: unknown */
    int translated;                      /* 1 behind a NAT, 0 not, -1 unknown */
    struct nat_findings nat;             /* of IPv4 or IPv6, whichever maps worse */
    size_t n_ports;
    struct firewall_port ports[FIREWALL_PORTS_MAX];
    /* Ranges (addr_prefix) that answered, and silent ones, where only some answer. */
    bool allow_list;
    size_t n_answered, n_silent;
    struct addr answered[FIREWALL_RANGES_MAX], silent[FIREWALL_RANGES_MAX];
    enum clock_state clock;
    bool intercepted;   /* TLS without a proxy is opened by somebody whom this machine trusts */
    const char *issuer; /* who is, or may be, in between: of the first such certificate without a proxy; "" */
    enum transport rung; /* TRANSPORT_COUNT: none */
    int64_t rung_rtt_us; /* least median over that rung */
    int64_t rung_sent, rung_received;
    enum quality quality;
    enum enough enough; /* what the throughput is enough for */
    size_t n_advice;
    struct firewall_advice advice[FIREWALL_ADVICE_MAX];
};

/* Borrows `seen`, and texts of its rows, for the verdict's life. */
void firewall_judge(struct firewall_verdict *v, const struct firewall_seen *seen);
/* "198.51.100.0/24", "2001:db8::/48". */
const char *firewall_range_text(const struct addr *range, char buf[static RANGE_TEXT]);
const struct firewall_port *firewall_find_port(const struct firewall_verdict *v, enum transport transport,
                                               uint16_t port);

/* For people: "UDP", "an HTTP proxy"; TRANSPORT_COUNT: "nothing". */
const char *firewall_rung_words(enum transport rung);

/* firewall_advice.c: the judge's last step. */
void firewall_advise(struct firewall_verdict *v);

/* firewall_json.c: a new reference, or NULL: out of memory. */
json_t *firewall_to_json(const struct firewall_verdict *v);

#endif
