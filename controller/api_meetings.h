/* What the calls on meetings and on participants share. */
#ifndef BERTH_CONTROLLER_API_MEETINGS_H
#define BERTH_CONTROLLER_API_MEETINGS_H

#include "api.h"

enum { MEETING_RANDOM_LEN = 16 };

void api_unknown_meeting(struct api_request *r); /* 404 */
/* Is the path's first parameter an id that a meeting may have? False: answered already. */
bool api_meeting_param(struct api_request *r);
/* Answers with how a decision has ended. */
struct join_end;
void api_run_answer(struct api_request *r, const struct join_end *end);
/* POST .../participants */
void api_participant_join(struct api_request *r);

#endif
