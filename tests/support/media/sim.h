/* Agents against the media engine, with no I/O: what the engine sends through its sink is handed to whom it is for,
 * at once. Time and randomness are the test's. Used by unit tests and the fuzz target; it looks at results and
 * asserts nothing. */
#ifndef BERTH_TESTS_MEDIA_SIM_H
#define BERTH_TESTS_MEDIA_SIM_H

#include "media/rtp.h"
#include "media/srtp_leg.h"
#include "node/media/home.h"

enum { SIM_AGENTS = 512, SIM_STREAMS = 1024, SIM_ENDS = 1024 };

struct sim;

/* What one agent has been sent of one SSRC. */
struct sim_stream {
    uint32_t ssrc;
    size_t n, bytes;
    uint16_t first, last; /* sequence numbers as they came */
    bool jumped;          /* not every one followed the one before */
};

struct sim_agent {
    struct sim *sim;
    char who[64];
    struct ticket_grant grant;
    struct media_path path;
    struct media_hello hello;
    struct media_session_id session;
    const uint8_t *shared; /* of a link, else NULL */
    struct srtp_leg *srtp;
    uint8_t txid[STUN_TXID_LEN];
    uint8_t answer[MEDIA_MESSAGE_MAX]; /* the newest */
    size_t answer_len, answers;
    uint32_t ssrc;
    uint16_t sequence;
    uint8_t level;                     /* of the extension; 255: none is sent */
    size_t rtp_in, rtcp_in, broken_in; /* broken: it couldn't be unprotected */
    struct sim_stream *streams;
    size_t n_streams;
    uint8_t rtcp
        [RTP_PACKET_MAX]; /* all that came since it was emptied, one behind the other, plain; what has no room isn't kept */
    size_t rtcp_len;
};

/* What isn't for an agent: links between engines. Zeroed there are none. */
struct sim_others {
    bool (*send)(void *ctx, const struct media_path *to, const uint8_t *bytes,
                 size_t len); /* false: nobody's */
    void (*detach)(void *ctx, const struct media_path *path);
    void (*linked)(void *ctx, const struct media_leg_info *link, bool there);
    void *ctx;
};

struct sim {
    struct media_home *home;
    struct media_opts opts;
    struct ticket_key key;
    struct ticket_keys keys;
    _Atomic int64_t legs;
    uint64_t random;
    int64_t now_us, now_s;
    struct sim_agent *agents[SIM_AGENTS];
    size_t n_agents;
    _Alignas(8) uint8_t room[RTP_PACKET_MAX + SRTP_OVERHEAD + 4];
    bool in_room, full; /* full: nobody takes anything but control */
    size_t to_nobody;   /* sent to a path that no agent has */
    size_t attached, detached, old_plans, ended_n;
    enum media_end_reason ended[SIM_ENDS];
    char last_ended[AGENT_ID_MAX + 1];
    struct sim_others others;
};

/* `legs_max` as in media_opts. The engine has the keys. 0, or a negative errno. */
int sim_start(struct sim *s, uint32_t legs_max) __attribute__((warn_unused_result));
/* Ends the agents, too. */
void sim_stop(struct sim *s);

/* For cmocka: `*state` is a home with no limit on legs. When it goes, nothing of it may be left: the address
 * sanitizer looks, and the node's count. */
int sim_setup(void **state);
int sim_teardown(void **state);
static const struct slice NONE = {NULL, 0}; /* no nonce */

struct ticket sim_ticket(const struct sim *s, const char *meeting, const char *who);
/* An agent with that ticket and an address of its own; its handshake hasn't begun. Lives until sim_stop. NULL: out of memory. */
struct sim_agent *sim_agent(struct sim *s, const struct ticket *t);
/* "p<n>" in "m", and it has been let in: NULL where it wasn't. */
struct sim_agent *sim_join(struct sim *s, const char *meeting, size_t n);
/* The same, and it hears no more than so many. */
struct sim_agent *sim_join_last_n(struct sim *s, const char *meeting, size_t n, uint16_t last_n);

/* One handshake with no challenge's answer: 0, the code of its refusal, or -1: no answer that counts. */
int sim_hello(struct sim_agent *a, struct slice nonce);
/* ... which answers a challenge, and may answer another. */
int sim_handshake(struct sim_agent *a);
int sim_consent(struct sim_agent *a, bool leave, struct slice nonce, struct media_news *news);
/* What the newest answer says. */
int sim_answer(const struct sim_agent *a, struct media_answer *out);
void sim_stun(struct sim *s, const struct media_path *from, const uint8_t *bytes, size_t len);
/* A packet of that SSRC and number with `payload` bytes. */
void sim_send_as(struct sim_agent *a, uint32_t ssrc, uint16_t sequence, size_t payload);
/* RTCP, plain, as it comes from a writer. */
void sim_send_rtcp(struct sim_agent *a, const uint8_t *bytes, size_t len);
/* The next of its own. */
void sim_send(struct sim_agent *a, size_t payload);
/* What it would send, protected. The length. */
size_t sim_packet(struct sim_agent *a, uint8_t out[static RTP_PACKET_MAX + SRTP_OVERHEAD], uint32_t ssrc,
                  uint16_t sequence, size_t payload);
/* Lets the time go on in steps of what is due. */
void sim_pass(struct sim *s, int64_t us);
/* What the engine tells of it; all zero: it isn't there. */
struct media_leg_stats sim_stats(const struct sim_agent *a);
const struct sim_stream *sim_stream(const struct sim_agent *a, uint32_t ssrc); /* NULL: nothing of it came */

#endif
