/* Reading the members of a request's body. Each answers 422 invalid_member with the member's pointer itself, and
 * then returns false. Strings belong to the body. */
#ifndef BERTH_CONTROLLER_API_BODY_H
#define BERTH_CONTROLLER_API_BODY_H

#include "api.h"

/* An id as id_valid has it. Absent or null: *out stays as it is, unless it is required. */
bool body_id(struct api_request *r, const char *name, size_t max, bool required, const char **out);
/* Any text without control characters, 1 to `max` bytes. */
bool body_text(struct api_request *r, const char *name, size_t max, bool required, const char **out);
bool body_bool(struct api_request *r, const char *name, bool *out);
/* `at`: the object's pointer ("" for the body), `in`: the object. A number with a fraction is refused. */
bool body_int(struct api_request *r, const json_t *in, const char *at, const char *name, int64_t min,
              int64_t max, int64_t *out);
bool body_number(struct api_request *r, const json_t *in, const char *at, const char *name, double min,
                 double max, double *out);
/* The member as an object; NULL with true where absent. */
bool body_object(struct api_request *r, const char *name, const json_t **out);
/* 422 invalid_member at "<at>/<name>"; returns false. */
bool body_refuse(struct api_request *r, const char *at, const char *name, const char *detail);

#endif
