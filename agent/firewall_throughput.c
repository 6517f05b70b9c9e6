/* A window of requests over a stream, first padded, then small. Invariant: what is unanswered never exceeds the
 * window by more than one chunk, and what is sent never the phase's limit. */
#include "firewall_throughput.h"

#include <errno.h>
#include <string.h>

enum {
    PADDED_LEN = 1400, /* a request going up: one packet, more or less */
    SMALL_LEN = STUN_HEADER_LEN,
    ATTR_HEADER = 4,
    ANSWER_LEN = STUN_HEADER_LEN + 12, /* before one was seen */
};

static void begin_way(struct throughput *t, enum throughput_phase phase, int64_t now_us)
{
    t->phase = phase;
    t->way_began_us = now_us;
    t->way_bytes = t->unanswered = 0;
    t->in_round = false;
}

void throughput_begin(struct throughput *t, const uint8_t prefix[static STUN_TXID_LEN - 4], int64_t rtt_us,
                      int64_t now_us)
{
    *t = (struct throughput){.rtt_us = rtt_us,
                             .began_us = now_us,
                             .deadline_us = now_us + THROUGHPUT_TOTAL_US,
                             .window = THROUGHPUT_WINDOW_FIRST,
                             .answer_len = ANSWER_LEN};
    memcpy(t->prefix, prefix, sizeof t->prefix);
    begin_way(t, THROUGHPUT_UP, now_us);
}

/* ---- what goes out ---- */

static int64_t way_us(const struct throughput *t)
{
    int64_t rounds = THROUGHPUT_WAY_ROUNDS * t->rtt_us;
    return rounds > THROUGHPUT_WAY_US ? rounds : THROUGHPUT_WAY_US;
}

static bool way_is_over(const struct throughput *t, int64_t now_us)
{
    size_t most = t->phase == THROUGHPUT_UP ? THROUGHPUT_UP_MAX : THROUGHPUT_DOWN_MAX;
    return now_us >= t->way_began_us + way_us(t) || t->way_bytes >= most;
}

static size_t write_request(struct throughput *t, uint8_t *out, size_t cap)
{
    static const uint8_t zero[PADDED_LEN];
    uint8_t txid[STUN_TXID_LEN];
    struct stun_writer w;
    size_t len = 0;
    memcpy(txid, t->prefix, sizeof t->prefix);
    for (size_t i = 0; i < 4; i++)
        txid[sizeof t->prefix + i] = (uint8_t)(t->sent >> (24 - 8 * i));
    stun_begin(&w, out, cap, STUN_REQUEST, STUN_BINDING, txid);
    if (t->phase == THROUGHPUT_UP)
        stun_put(&w, STUN_ATTR_PADDING, zero, PADDED_LEN - STUN_HEADER_LEN - ATTR_HEADER);
    return stun_finish(&w, &len) == 0 ? len : 0;
}

static void note_sent(struct throughput *t, size_t len)
{
    size_t counts = t->phase == THROUGHPUT_UP ? len : t->answer_len;
    t->sent++;
    t->sent_bytes += len;
    t->way_bytes += counts;
    t->unanswered += counts;
}

/* Whether the phase still has something to send or to wait for; else the next begins. */
static void move_on(struct throughput *t, int64_t now_us)
{
    bool all = t->answered == t->sent;
    if (t->phase != THROUGHPUT_DONE && now_us >= t->deadline_us)
        t->phase = THROUGHPUT_DONE;
    if (t->phase == THROUGHPUT_UP && way_is_over(t, now_us) && t->unanswered <= THROUGHPUT_WINDOW_LEAST) {
        t->first_down = t->sent; /* what is still unanswered comes before */
        t->window = t->window < THROUGHPUT_WINDOW_FIRST ? t->window : (size_t)THROUGHPUT_WINDOW_FIRST;
        begin_way(t, THROUGHPUT_DOWN, now_us);
    } else if (t->phase == THROUGHPUT_DOWN && way_is_over(t, now_us) && all) {
        t->phase = THROUGHPUT_DONE;
    }
}

size_t throughput_next(struct throughput *t, int64_t now_us, uint8_t out[static THROUGHPUT_CHUNK_MAX])
{
    size_t used = 0;
    move_on(t, now_us);
    t->way_is_over = way_is_over(t, now_us);
    if (t->phase == THROUGHPUT_DONE)
        return 0;
    size_t one = t->phase == THROUGHPUT_UP ? PADDED_LEN : SMALL_LEN;
    while (!t->way_is_over && t->unanswered < t->window && used + one <= THROUGHPUT_CHUNK_MAX) {
        size_t len = write_request(t, out + used, THROUGHPUT_CHUNK_MAX - used);
        note_sent(t, len);
        used += len;
        t->way_is_over = way_is_over(t, now_us);
    }
    return used;
}

bool throughput_over(struct throughput *t, int64_t now_us)
{
    move_on(t, now_us);
    return t->phase == THROUGHPUT_DONE;
}

int64_t throughput_deadline(const struct throughput *t)
{
    int64_t way_ends = t->way_began_us + way_us(t);
    bool waits = t->phase == THROUGHPUT_UP ? !t->way_is_over : t->answered == t->sent;
    if (t->phase == THROUGHPUT_DONE)
        return INT64_MAX;
    return waits && way_ends < t->deadline_us ? way_ends : t->deadline_us;
}

/* ---- what comes in ---- */

static void note_way(struct throughput_way *w, size_t bytes, int64_t now_us)
{
    if (w->answers++ == 0) {
        w->first_us = w->last_us = now_us;
        return;
    }
    size_t bin = (size_t)((now_us - w->first_us) / THROUGHPUT_BIN_US);
    w->last_us = now_us;
    w->bytes += (int64_t)bytes;
    if (bin < THROUGHPUT_BINS)
        w->bin[bin] += (uint32_t)bytes;
}

static void set_window(struct throughput *t, int64_t took_us)
{
    int64_t room_us = t->rtt_us > THROUGHPUT_QUEUE_US ? 2 * t->rtt_us : t->rtt_us + THROUGHPUT_QUEUE_US;
    int64_t window = (int64_t)t->round_bytes * room_us / (took_us > 0 ? took_us : 1);
    t->window = window < THROUGHPUT_WINDOW_LEAST ? THROUGHPUT_WINDOW_LEAST
                : window > THROUGHPUT_WINDOW_MAX ? THROUGHPUT_WINDOW_MAX
                                                 : (size_t)window;
}

/* A round is from an answer to the answer of the first request sent after it. */
static void note_round(struct throughput *t, uint32_t number, size_t bytes, int64_t now_us)
{
    t->round_bytes += bytes;
    if (t->in_round && number < t->round_last)
        return;
    if (t->in_round)
        set_window(t, now_us - t->round_began_us);
    t->in_round = true;
    t->round_last = t->sent;
    t->round_began_us = now_us;
    t->round_bytes = 0;
}

static int take_answer(struct throughput *t, const struct slice *message, int64_t now_us)
{
    struct stun_msg m;
    uint32_t number = 0;
    if (stun_parse(&m, message->p, message->len) < 0 || m.method != STUN_BINDING || m.cls != STUN_SUCCESS ||
        memcmp(m.txid, t->prefix, sizeof t->prefix) != 0)
        return -EBADMSG;
    for (size_t i = 0; i < 4; i++)
        number = number << 8 | m.txid[sizeof t->prefix + i];
    if (number != t->answered || number >= t->sent)
        return -EBADMSG;
    bool down = t->phase != THROUGHPUT_UP && number >= t->first_down;
    size_t bytes = down ? message->len : PADDED_LEN;
    t->answered++;
    note_way(down ? &t->down : &t->up, bytes, now_us);
    if (down == (t->phase != THROUGHPUT_UP)) { /* no leftover of the other phase */
        t->unanswered -= bytes < t->unanswered ? bytes : t->unanswered;
        note_round(t, number, bytes, now_us);
    }
    t->answer_len = message->len;
    if (t->answered == t->sent)
        t->unanswered = 0;
    return 0;
}

int throughput_take(struct throughput *t, const uint8_t *bytes, size_t len, int64_t now_us)
{
    t->received_bytes += len;
    while (len > 0 && t->phase != THROUGHPUT_DONE) {
        size_t n = sizeof t->in - t->in_len < len ? sizeof t->in - t->in_len : len, used = 0;
        ssize_t took;
        struct slice message;
        memcpy(t->in + t->in_len, bytes, n);
        t->in_len += n;
        bytes += n;
        len -= n;
        while ((took = frame_next(&t->mode, t->in + used, t->in_len - used, &message)) > 0) {
            used += (size_t)took;
            if (take_answer(t, &message, now_us) < 0)
                took = -EBADMSG;
            if (took < 0)
                break;
        }
        if (took < 0 || (used == 0 && t->in_len == sizeof t->in)) {
            t->phase = THROUGHPUT_DONE;
            return -EBADMSG;
        }
        t->in_len -= used;
        memmove(t->in, t->in + used, t->in_len);
    }
    return 0;
}

/* ---- figures ---- */

int64_t throughput_bps(const struct throughput_way *w, int64_t rtt_us)
{
    enum { ANSWERS_LEAST = 8 };
    int64_t stretch = rtt_us > THROUGHPUT_STRETCH_US ? rtt_us : THROUGHPUT_STRETCH_US;
    int64_t lasted = w->last_us - w->first_us, best = 0, sum = 0;
    if (w->answers < ANSWERS_LEAST || lasted <= 0)
        return -1;
    if (lasted <= stretch)
        return w->bytes * 8 * 1000000 / lasted;
    size_t bins = (size_t)((stretch + THROUGHPUT_BIN_US - 1) / THROUGHPUT_BIN_US);
    for (size_t i = 0; i < THROUGHPUT_BINS; i++) {
        sum += w->bin[i];
        sum -= i >= bins ? w->bin[i - bins] : 0;
        best = sum > best ? sum : best;
    }
    return best * 8 * 1000000 / ((int64_t)bins * THROUGHPUT_BIN_US);
}
