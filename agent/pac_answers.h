/* What berth-pac says of each question: one of these letters, the answer's text, a NUL. */
#ifndef BERTH_AGENT_PAC_ANSWERS_H
#define BERTH_AGENT_PAC_ANSWERS_H

enum { PAC_ANSWER_MAX = 2048 };
enum {
    PAC_FOUND = 'f',    /* what the script said; of the script itself: it is one */
    PAC_FAILED = 'e',   /* it threw, or returned nothing */
    PAC_TOO_LONG = 'l', /* over PAC_ANSWER_MAX */
};

#endif
