/* Whose packets a large meeting hears: the N loudest by audio level (RFC 6464), with hysteresis. Pure. */
#ifndef BERTH_NODE_MEDIA_SPEAKERS_H
#define BERTH_NODE_MEDIA_SPEAKERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SPEAKER_STAYS_US = 2 * 1000 * 1000,  /* at least, once heard */
    SPEAKER_SILENT_US = 2 * 1000 * 1000, /* who has sent nothing for so long gives its place up */
    SPEAKER_PAUSE_US = 250 * 1000,       /* between packets of one who is as loud as it was */
    SPEAKER_MARGIN_DB = 3,               /* louder than who is heard, to take the place */
};

/* One that may be heard. Zeroed at first. */
struct speaker {
    bool heard;
    bool sends;      /* has ever sent anything */
    bool has_level;  /* has ever told one */
    bool news;       /* something has come since it was ranked last */
    uint8_t loudest; /* 127 - level, the most since it was ranked last */
    int32_t
        score; /* what it is ranked by, in sixteenths of a dB over the quietest; -1: sends, and tells no level; -2: sends nothing */
    int64_t since_us, sent_us; /* heard or not since then; the newest packet */
};

/* It sends a packet; `level` 0 to 127, or -1. */
void speaker_sends(struct speaker *s, int level, int64_t now_us);
/* Sends nothing, and has no place that it would have to give up: it need not be ranked. */
bool speaker_is_away(const struct speaker *s, int64_t now_us);
/* There is room for it, or it makes way. */
void speaker_place(struct speaker *s, bool heard, int64_t now_us);
/* Ranks them, every 100 ms or so: at most `max` are heard afterwards. How many. Whose place has changed has since_us == now_us. */
size_t speakers_rank(struct speaker **of, size_t n, size_t max, int64_t now_us);

#endif
