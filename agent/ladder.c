/* The race of the rungs. Invariant: at most one place is LEADING, no place of its rung or a worse one is under way beside it, and a
 * place has its stream from the OPEN that it was given to the CLOSE. */
#include "ladder.h"

#include "core/frame.h"
#include "prober_message.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum place_state {
    PLACE_IDLE,
    PLACE_CONNECTING,
    PLACE_SECURING,
    PLACE_UPGRADING,
    PLACE_ASKING,
    PLACE_LEADING, /* answered, and nothing better has */
    PLACE_ENDED
};

struct place {
    struct ladder_place is;
    enum place_state state;
    size_t rung;
    bool open_due, close_due, has_stream;
    bool by_name;
    int64_t phase_us;  /* when connect or handshake began */
    int64_t send_us;   /* the next request is due, or PROBER_NEVER */
    int64_t silent_us; /* under TLS: no answer is expected any more, or PROBER_NEVER */
    int64_t sent_us[LADDER_SAMPLES_MAX];
    struct ladder_outcome out; /* began_us is absolute here */
    size_t len;
    uint8_t buf[FRAME_PAYLOAD_MAX];
};

struct rung {
    size_t first, n; /* in `order` */
    size_t next;     /* to begin next, relative to first */
    bool begun;
    int64_t began_us, next_us;
};

struct ladder {
    struct ladder_policy policy;
    uint8_t seed[PROBER_SEED_LEN];
    int64_t began_us, grace_us;
    size_t n, n_rungs;
    size_t leader; /* or LADDER_NONE */
    bool decided;
    size_t order[LADDER_PLACES_MAX];
    struct rung rungs[TRANSPORT_COUNT];
    struct place places[]; /* n */
};

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t elapsed(int64_t from_us, int64_t to_us)
{
    return to_us > from_us ? to_us - from_us : 0;
}

static bool under_way(const struct place *p)
{
    return p->state > PLACE_IDLE && p->state < PLACE_LEADING;
}

static bool is_stream(const struct place *p)
{
    return p->is.transport != TRANSPORT_UDP;
}

static bool is_secure(const struct place *p)
{
    return p->is.transport == TRANSPORT_TLS || p->is.transport == TRANSPORT_PROXY;
}

/* ---- making ---- */

static bool within(int64_t v, int64_t low, int64_t high)
{
    return v >= low && v <= high;
}

static bool policy_valid(const struct ladder_policy *p)
{
    return within(p->rung_delay_ms, 0, 60000) && within(p->address_delay_ms, 10, 60000) &&
           within(p->grace_ms, 0, 60000) && within(p->resend_ms, 10, 60000) &&
           within(p->framing_ms, 10, 60000) && within(p->rung_timeout_ms, 50, 600000) &&
           within(p->timeout_ms, 50, 600000);
}

static void lay_out(struct ladder *l, const struct ladder_place *places)
{
    ladder_order(places, l->n, l->order);
    for (size_t k = 0; k < l->n; k++) {
        struct place *p = &l->places[l->order[k]];
        p->is = places[l->order[k]];
        p->send_us = p->silent_us = PROBER_NEVER;
        p->out = (struct ladder_outcome){.began_us = NOT_MEASURED,
                                         .answered_us = NOT_MEASURED,
                                         .connect_us = NOT_MEASURED,
                                         .tls_us = NOT_MEASURED,
                                         .stun_us = NOT_MEASURED};
        if (k == 0 || p->is.transport != l->places[l->order[k - 1]].is.transport)
            l->rungs[l->n_rungs++] = (struct rung){.first = k};
        p->rung = l->n_rungs - 1;
        l->rungs[p->rung].n++;
    }
}

int ladder_new(struct ladder **out, const struct ladder_place *places, size_t n,
               const struct ladder_policy *policy, const uint8_t seed[static PROBER_SEED_LEN], int64_t now_us)
{
    if (n == 0 || n > LADDER_PLACES_MAX || !policy_valid(policy))
        return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        if ((unsigned)places[i].transport >= TRANSPORT_COUNT || !addr_is_set(&places[i].to))
            return -EINVAL;
    }
    struct ladder *l = calloc(1, sizeof *l + n * sizeof l->places[0]);
    if (!l)
        return -ENOMEM;
    l->policy = *policy;
    memcpy(l->seed, seed, sizeof l->seed);
    l->n = n;
    l->began_us = now_us;
    l->grace_us = PROBER_NEVER;
    l->leader = LADDER_NONE;
    lay_out(l, places);
    *out = l;
    return 0;
}

void ladder_destroy(struct ladder *l)
{
    if (!l)
        return;
    sodium_memzero(l->seed, sizeof l->seed);
    free(l);
}

/* ---- places ---- */

static void release_stream(struct place *p)
{
    p->open_due = false;
    p->close_due = p->has_stream;
    p->send_us = p->silent_us = PROBER_NEVER;
}

static void end_place(struct place *p, const char *why)
{
    release_stream(p);
    p->state = PLACE_ENDED;
    snprintf(p->out.why, sizeof p->out.why, "%s", why);
}

static void connect_place(struct place *p)
{
    p->state = PLACE_CONNECTING;
    p->open_due = true;
    p->len = 0;
    p->out.connect_us = p->out.tls_us = NOT_MEASURED;
}

static void begin_place(struct place *p, int64_t now_us)
{
    p->out.begun = true;
    p->out.began_us = now_us;
    p->out.framing = FRAMING_STUN;
    if (is_stream(p)) {
        connect_place(p);
    } else {
        p->state = PLACE_ASKING;
        p->send_us = now_us;
    }
}

static void ask(struct ladder *l, struct place *p, int64_t now_us)
{
    p->state = PLACE_ASKING;
    p->send_us = now_us;
    if (is_secure(p) && p->out.framing == FRAMING_STUN)
        p->silent_us = now_us + l->policy.framing_ms * 1000;
}

/* The same address in another way. */
static void again(struct place *p)
{
    release_stream(p);
    connect_place(p);
}

static void fail_place(struct ladder *l, struct place *p, enum probe_status status, const char *why,
                       int64_t now_us)
{
    if (p->state == PLACE_ASKING && is_secure(p) && p->out.framing == FRAMING_STUN) {
        p->out.framing = FRAMING_WEBSOCKET;
        again(p);
        return;
    }
    /* Whatever ends a connection in the middle of the handshake denies TLS, not TCP: that was there. */
    if (p->state == PLACE_SECURING && status == PROBE_REFUSED)
        status = PROBE_TLS_ERROR;
    if (p->state == PLACE_CONNECTING && p->is.transport == TRANSPORT_PROXY && status != PROBE_UNTESTED)
        status = PROBE_PROXY_ERROR;
    p->out.status = status;
    end_place(p, why);
    l->rungs[p->rung].next_us = now_us;
}

static const char *silence(const struct place *p)
{
    switch (p->state) {
    case PLACE_CONNECTING:
        return p->is.transport == TRANSPORT_PROXY ? "the proxy does not answer"
                                                  : "no answer to the TCP connect";
    case PLACE_SECURING:
        return "no answer to the TLS handshake";
    case PLACE_UPGRADING:
        return "no answer to the WebSocket upgrade";
    default:
        return "no answer to STUN";
    }
}

static void time_out(struct place *p)
{
    p->out.status = p->state == PLACE_CONNECTING && p->is.transport == TRANSPORT_PROXY ? PROBE_PROXY_ERROR
                                                                                       : PROBE_TIMEOUT;
    end_place(p, silence(p));
}

/* ---- rungs ---- */

static struct place *place_of(struct ladder *l, const struct rung *r, size_t k)
{
    return &l->places[l->order[r->first + k]];
}

static bool rung_over(const struct ladder *l, const struct rung *r)
{
    if (!r->begun || r->next < r->n)
        return false;
    for (size_t k = 0; k < r->n; k++) {
        if (l->places[l->order[r->first + k]].state != PLACE_ENDED)
            return false;
    }
    return true;
}

/* Ends what is under way in the rung, and what has not begun, but for the leader. */
static void end_rung(struct ladder *l, struct rung *r, const char *tried_text, const char *untried_text)
{
    for (size_t k = 0; k < r->n; k++) {
        struct place *p = place_of(l, r, k);
        if (under_way(p) && tried_text)
            end_place(p, tried_text);
        else if (under_way(p))
            time_out(p);
        else if (p->state == PLACE_IDLE)
            end_place(p, untried_text);
    }
    r->next = r->n;
}

static void begin_rungs(struct ladder *l, int64_t now_us)
{
    size_t end = l->leader == LADDER_NONE ? l->n_rungs : l->places[l->leader].rung;
    for (size_t i = 0; i < end; i++) {
        struct rung *r = &l->rungs[i];
        const struct rung *before = i > 0 ? &l->rungs[i - 1] : NULL;
        if (!r->begun) {
            if (before && now_us < before->began_us + l->policy.rung_delay_ms * 1000 && !rung_over(l, before))
                return;
            r->begun = true;
            r->began_us = r->next_us = now_us;
        }
        if (r->next < r->n && now_us >= r->next_us) {
            begin_place(place_of(l, r, r->next++), now_us);
            r->next_us = now_us + l->policy.address_delay_ms * 1000;
        }
    }
}

static void name_place(const struct place *p, const char *before, const char *after,
                       char out[static PROBER_ERROR_TEXT])
{
    char address[ADDR_TEXT_LEN];
    snprintf(out, PROBER_ERROR_TEXT, "%s%s %s%s", before, transport_name(p->is.transport),
             addr_format(&p->is.to, address), after);
}

static void decide(struct ladder *l)
{
    char overtaken[PROBER_ERROR_TEXT], unneeded[PROBER_ERROR_TEXT];
    l->decided = true;
    if (l->leader == LADDER_NONE)
        return;
    name_place(&l->places[l->leader], "not waited for: ", " had answered", overtaken);
    name_place(&l->places[l->leader], "not tried: ", " answered first", unneeded);
    for (size_t i = 0; i < l->n_rungs; i++)
        end_rung(l, &l->rungs[i], overtaken, unneeded);
}

/* Is there anything better than the leader (or anything at all) that may still answer? */
static bool open_question(const struct ladder *l)
{
    size_t end = l->leader == LADDER_NONE ? l->n_rungs : l->places[l->leader].rung;
    for (size_t i = 0; i < end; i++) {
        if (!rung_over(l, &l->rungs[i]))
            return true;
    }
    return false;
}

static void tick(struct ladder *l, int64_t now_us)
{
    if (l->decided)
        return;
    bool over = now_us >= l->began_us + l->policy.timeout_ms * 1000;
    for (size_t i = 0; i < l->n; i++) {
        struct place *p = &l->places[i];
        if (p->state == PLACE_ASKING && now_us >= p->silent_us)
            fail_place(l, p, PROBE_TIMEOUT, "no answer to STUN", now_us);
    }
    for (size_t i = 0; i < l->n_rungs; i++) {
        struct rung *r = &l->rungs[i];
        if (over || (r->begun && now_us >= r->began_us + l->policy.rung_timeout_ms * 1000))
            end_rung(l, r, NULL, "not tried: the time ran out");
    }
    if (!over)
        begin_rungs(l, now_us);
    if (over || now_us >= l->grace_us || !open_question(l))
        decide(l);
}

static void answered(struct ladder *l, size_t i, size_t sample, const struct addr *mapped,
                     int64_t received_us)
{
    char why[PROBER_ERROR_TEXT];
    struct place *p = &l->places[i];
    if (l->decided || p->state != PLACE_ASKING || sample >= p->out.sent)
        return;
    p->out.stun_us = elapsed(p->sent_us[sample], received_us);
    p->out.answered_us = elapsed(l->began_us, received_us);
    p->out.status = PROBE_REACHABLE;
    p->out.mapped = *mapped;
    p->send_us = p->silent_us = PROBER_NEVER;
    if (l->leader != LADDER_NONE) {
        name_place(p, "answered, and then ", " did, which is better", why);
        end_place(&l->places[l->leader], why);
    } else {
        l->grace_us = received_us + l->policy.grace_ms * 1000;
    }
    l->leader = i;
    p->state = PLACE_LEADING;
    for (size_t k = p->rung; k < l->n_rungs; k++) {
        char unneeded[PROBER_ERROR_TEXT];
        name_place(p, "not waited for: ", " had answered", why);
        name_place(p, "not tried: ", " answered first", unneeded);
        end_rung(l, &l->rungs[k], why, unneeded);
    }
}

/* ---- actions ---- */

static void fill_request(struct ladder *l, struct place *p, struct ladder_action *a, int64_t now_us)
{
    struct sample_name name = {.target = a->place, .sample = p->out.sent};
    size_t head = 0;
    a->kind = is_stream(p) ? LADDER_SEND_STREAM : LADDER_SEND_UDP;
    if (is_stream(p))
        head = frame_header(FRAME_RFC4571, PROBER_MESSAGE_LEN, a->bytes);
    prober_request_write(l->seed, &name, a->bytes + head);
    a->len = head + PROBER_MESSAGE_LEN;
    a->sample = p->out.sent;
    p->sent_us[p->out.sent++] = now_us;
    p->send_us = PROBER_NEVER;
    if (!is_stream(p) && p->out.sent < LADDER_SAMPLES_MAX)
        p->send_us = now_us + ((l->policy.resend_ms * 1000) << a->sample);
}

/* The action that the place has now, if any. */
static bool take_action(struct ladder *l, struct place *p, struct ladder_action *a, int64_t now_us)
{
    a->is = &p->is;
    a->framing = p->out.framing;
    a->by_name = p->by_name;
    if (p->close_due) {
        p->close_due = p->has_stream = false;
        a->kind = LADDER_CLOSE;
        return true;
    }
    if (p->open_due) {
        p->open_due = false;
        p->has_stream = true;
        p->phase_us = now_us;
        a->kind = LADDER_OPEN;
        return true;
    }
    if (p->state != PLACE_ASKING || now_us < p->send_us || p->out.sent == LADDER_SAMPLES_MAX)
        return false;
    fill_request(l, p, a, now_us);
    return true;
}

bool ladder_next_action(struct ladder *l, int64_t now_us, struct ladder_action *a)
{
    tick(l, now_us);
    for (size_t i = 0; i < l->n; i++) {
        *a = (struct ladder_action){.place = i};
        if (take_action(l, &l->places[i], a, now_us))
            return true;
    }
    return false;
}

static int64_t begin_deadline(const struct ladder *l)
{
    int64_t at = PROBER_NEVER;
    size_t end = l->leader == LADDER_NONE ? l->n_rungs : l->places[l->leader].rung;
    for (size_t i = 0; i < end; i++) {
        const struct rung *r = &l->rungs[i];
        if (!r->begun)
            return i == 0 ? 0 : min64(at, l->rungs[i - 1].began_us + l->policy.rung_delay_ms * 1000);
        if (!rung_over(l, r))
            at = min64(at, r->began_us + l->policy.rung_timeout_ms * 1000);
        if (r->next < r->n)
            at = min64(at, r->next_us);
    }
    return at;
}

int64_t ladder_deadline(const struct ladder *l)
{
    int64_t at = PROBER_NEVER;
    for (size_t i = 0; i < l->n; i++) {
        const struct place *p = &l->places[i];
        if (p->close_due || p->open_due)
            return 0;
        if (p->state == PLACE_ASKING)
            at = min64(at, min64(p->send_us, p->silent_us));
    }
    if (l->decided)
        return PROBER_NEVER;
    at = min64(at, min64(l->grace_us, l->began_us + l->policy.timeout_ms * 1000));
    return min64(at, begin_deadline(l));
}

void ladder_sent(struct ladder *l, const struct ladder_action *a, int64_t sent_us)
{
    struct place *p = &l->places[a->place];
    if (a->kind == LADDER_OPEN)
        p->phase_us = sent_us;
    else if (a->kind != LADDER_CLOSE)
        p->sent_us[a->sample] = sent_us;
}

/* ---- events ---- */

static struct place *live(struct ladder *l, size_t place)
{
    if (place >= l->n || !under_way(&l->places[place]) || !l->places[place].has_stream ||
        l->places[place].close_due)
        return NULL; /* closed by us, and the shell was not told yet */
    return &l->places[place];
}

static void failed(struct ladder *l, struct place *p, enum probe_status status, const char *why,
                   int64_t now_us)
{
    fail_place(l, p, status, why, now_us);
    tick(l, now_us);
}

static enum probe_status status_of(int error)
{
    return error == ETIMEDOUT ? PROBE_TIMEOUT : prober_own_shortage(error) ? PROBE_UNTESTED : PROBE_REFUSED;
}

static void bounced(struct ladder *l, struct place *p, int error, int64_t now_us)
{
    bool no_socket = error == EMFILE || error == ENFILE;
    if (p->state == PLACE_ASKING && (no_socket || !prober_own_shortage(error)))
        failed(l, p, status_of(error), prober_error_text(error, false), now_us);
}

void ladder_send_failed(struct ladder *l, const struct ladder_action *a, int error, int64_t now_us)
{
    struct place *p = &l->places[a->place];
    if (a->kind == LADDER_SEND_UDP)
        bounced(l, p, error, now_us);
    else
        ladder_on_stream_error(l, a->place, error, now_us);
}

void ladder_on_udp(struct ladder *l, const struct addr *from, const uint8_t *bytes, size_t len,
                   int64_t received_us)
{
    struct sample_name is;
    struct addr mapped;
    if (!prober_answer_read(l->seed, bytes, len, &is, &mapped) || is.target >= l->n || is.attempt != 0)
        return;
    const struct place *p = &l->places[is.target];
    if (!is_stream(p) && addr_eq(from, &p->is.to))
        answered(l, is.target, is.sample, &mapped, received_us);
}

void ladder_on_udp_error(struct ladder *l, const struct addr *to, const uint8_t *bytes, size_t len, int error,
                         int64_t now_us)
{
    struct sample_name is;
    if (!prober_request_read(l->seed, bytes, len, &is) || is.target >= l->n)
        return;
    struct place *p = &l->places[is.target];
    if (!is_stream(p) && addr_eq(to, &p->is.to))
        bounced(l, p, error, now_us);
}

void ladder_on_connected(struct ladder *l, size_t place, int64_t now_us)
{
    struct place *p = live(l, place);
    if (!p || p->state != PLACE_CONNECTING)
        return;
    p->out.connect_us = elapsed(p->phase_us, now_us);
    p->phase_us = now_us;
    if (is_secure(p))
        p->state = PLACE_SECURING;
    else
        ask(l, p, now_us);
}

void ladder_on_secured(struct ladder *l, size_t place, int64_t now_us)
{
    struct place *p = live(l, place);
    if (!p || p->state != PLACE_SECURING)
        return;
    p->out.tls_us = elapsed(p->phase_us, now_us);
    if (p->out.framing == FRAMING_WEBSOCKET)
        p->state = PLACE_UPGRADING;
    else
        ask(l, p, now_us);
}

void ladder_on_upgraded(struct ladder *l, size_t place, int64_t now_us)
{
    struct place *p = live(l, place);
    if (p && p->state == PLACE_UPGRADING)
        ask(l, p, now_us);
}

/* Takes whole messages off the front of the buffer. False: these bytes are no STUN. */
static bool read_messages(struct ladder *l, size_t place, int64_t now_us)
{
    struct place *p = &l->places[place];
    size_t at = 0;
    enum frame_mode mode = FRAME_RFC4571; /* answers come framed as the requests were */
    while (at < p->len && under_way(p)) {
        struct slice message;
        struct sample_name is;
        struct addr mapped;
        ssize_t used = frame_next(&mode, p->buf + at, p->len - at, &message);
        if (used < 0)
            return false;
        if (used == 0)
            break;
        at += (size_t)used;
        if (prober_answer_read(l->seed, message.p, message.len, &is, &mapped) && is.target == place)
            answered(l, place, is.sample, &mapped, now_us);
    }
    memmove(p->buf, p->buf + at, p->len - at);
    p->len -= at;
    return true;
}

void ladder_on_stream(struct ladder *l, size_t place, const uint8_t *bytes, size_t len, int64_t now_us)
{
    struct place *p;
    while (len > 0 && (p = live(l, place)) && p->state == PLACE_ASKING) {
        size_t room = sizeof p->buf - p->len;
        size_t n = len < room ? len : room;
        memcpy(p->buf + p->len, bytes, n);
        p->len += n;
        bytes += n;
        len -= n;
        if (n == 0 || !read_messages(l, place, now_us))
            failed(l, p, PROBE_REFUSED, "the peer does not speak STUN", now_us);
    }
}

void ladder_on_stream_error(struct ladder *l, size_t place, int error, int64_t now_us)
{
    struct place *p = live(l, place);
    if (p)
        failed(l, p, status_of(error), prober_error_text(error, true), now_us);
}

void ladder_on_tls_error(struct ladder *l, size_t place, const char *text, int64_t now_us)
{
    struct place *p = live(l, place);
    if (p)
        failed(l, p, PROBE_TLS_ERROR, text, now_us);
}

void ladder_on_proxy_error(struct ladder *l, size_t place, bool refused, const char *text, int64_t now_us)
{
    struct place *p = live(l, place);
    if (!p)
        return;
    if (refused && !p->by_name && p->is.tls_name[0] != '\0') {
        p->by_name = true;
        again(p);
        return;
    }
    failed(l, p, PROBE_PROXY_ERROR, text, now_us);
}

void ladder_on_upgrade_error(struct ladder *l, size_t place, const char *text, int64_t now_us)
{
    struct place *p = live(l, place);
    if (p)
        failed(l, p, PROBE_REFUSED, text, now_us);
}

/* ---- what came of it ---- */

bool ladder_done(const struct ladder *l)
{
    if (!l->decided)
        return false;
    for (size_t i = 0; i < l->n; i++) {
        if (l->places[i].close_due)
            return false;
    }
    return true;
}

size_t ladder_winner(const struct ladder *l)
{
    return l->decided ? l->leader : LADDER_NONE;
}

const struct ladder_place *ladder_place(const struct ladder *l, size_t place)
{
    return place < l->n ? &l->places[place].is : NULL;
}

void ladder_outcome(const struct ladder *l, size_t place, struct ladder_outcome *out)
{
    *out = l->places[place].out;
    if (out->begun)
        out->began_us = elapsed(l->began_us, out->began_us);
}
