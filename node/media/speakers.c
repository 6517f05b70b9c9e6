/* Ranking speakers. Invariant: never more than `max` are heard, nobody who has sent nothing for two seconds, and
 * nobody who sends and has been heard for less than that makes way, but where there are too many. */
#include "speakers.h"

enum { SIXTEENTHS = 16, SCORE_NO_LEVEL = -1, SCORE_SILENT = -2, SMOOTHING = 4 };

void speaker_sends(struct speaker *s, int level, int64_t now_us)
{
    s->sent_us = now_us;
    s->sends = s->news = true;
    if (level < 0)
        return;
    uint8_t loud = (uint8_t)(127 - level);
    s->has_level = true;
    if (loud > s->loudest)
        s->loudest = loud;
}

static bool is_silent(const struct speaker *s, int64_t now_us)
{
    return !s->sends || now_us - s->sent_us >= SPEAKER_SILENT_US;
}

bool speaker_is_away(const struct speaker *s, int64_t now_us)
{
    return !s->heard && is_silent(s, now_us);
}

/* A rising level counts at once by half, a falling one slowly: syllables and pauses between words don't matter. Nor
 * does it that no packet came between two turns, where each is of 120 ms. */
static void update_score(struct speaker *s, int64_t now_us)
{
    int32_t loud = s->loudest * SIXTEENTHS, score = s->score < 0 ? 0 : s->score;
    bool paused = !s->news && now_us - s->sent_us < SPEAKER_PAUSE_US;
    s->news = false;
    s->loudest = 0;
    if (paused)
        return;
    if (is_silent(s, now_us))
        s->score = SCORE_SILENT;
    else if (!s->has_level)
        s->score = SCORE_NO_LEVEL;
    else
        s->score = loud > score ? (score + loud) / 2 : score - (score - loud) / SMOOTHING;
}

void speaker_place(struct speaker *s, bool heard, int64_t now_us)
{
    s->heard = heard;
    s->since_us = now_us;
}

/* The loudest of those who aren't heard and send. */
static struct speaker *best_outside(struct speaker **of, size_t n)
{
    struct speaker *best = NULL;
    for (size_t i = 0; i < n; i++) {
        if (!of[i]->heard && of[i]->score > SCORE_SILENT && (!best || of[i]->score > best->score))
            best = of[i];
    }
    return best;
}

/* The quietest of those who are heard; of those who may make way, unless `any`. */
static struct speaker *worst_inside(struct speaker **of, size_t n, bool any, int64_t now_us)
{
    struct speaker *worst = NULL;
    for (size_t i = 0; i < n; i++) {
        struct speaker *s = of[i];
        bool may = any || now_us - s->since_us >= SPEAKER_STAYS_US;
        if (s->heard && may && (!worst || s->score < worst->score))
            worst = s;
    }
    return worst;
}

static bool takes_place(const struct speaker *best, const struct speaker *worst)
{
    int32_t margin = worst->score >= 0 ? SPEAKER_MARGIN_DB * SIXTEENTHS : 0;
    return best->score > worst->score + margin;
}

size_t speakers_rank(struct speaker **of, size_t n, size_t max, int64_t now_us)
{
    size_t heard = 0;
    for (size_t i = 0; i < n; i++) {
        update_score(of[i], now_us);
        if (of[i]->heard && of[i]->score == SCORE_SILENT)
            speaker_place(of[i], false, now_us);
        heard += of[i]->heard;
    }
    for (; heard > max; heard--)
        speaker_place(worst_inside(of, n, true, now_us), false, now_us);
    struct speaker *best;
    for (; heard < max && (best = best_outside(of, n)); heard++)
        speaker_place(best, true, now_us);
    for (size_t i = 0; i < max && (best = best_outside(of, n)); i++) {
        struct speaker *worst = worst_inside(of, n, false, now_us);
        if (!worst || !takes_place(best, worst))
            break;
        speaker_place(worst, false, now_us);
        speaker_place(best, true, now_us);
    }
    return heard;
}
