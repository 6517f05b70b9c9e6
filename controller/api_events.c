/* GET /v1/events: what operators are to know of, the newest first. Invariant: a cursor is an event's number, of a
 * fixed width, so texts and numbers have one order. */
#include "api.h"
#include "core/timefmt.h"
#include "events.h"
#include "modules.h"

#include <string.h>

#define EVENT_NUMBER "to_char(id, 'FM0000000000000000000')"

static const struct db_stmt list_stmt = {
    "event_list", "select " EVENT_NUMBER
                  ", id, org, kind, subject, severity, detail, berth_us(raised_at), berth_us(seen_at),"
                  " times, berth_us(cleared_at) from event where ($1::text is null or severity = $1)"
                  " and ($2::boolean is null or (cleared_at is null) = $2::boolean)"
                  " and ($3 = '' or " EVENT_NUMBER " < $3 collate \"C\") order by id desc limit $4::bigint"};

static json_t *event_json(const PGresult *res, int row)
{
    char raised[TIME_TEXT_LEN], seen[TIME_TEXT_LEN], cleared[TIME_TEXT_LEN];
    bool open = db_null(res, row, 10);

    return json_pack("{s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:s?}", "id",
                     (json_int_t)db_get_i64(res, row, 1), "org", db_get(res, row, 2), "kind",
                     db_get(res, row, 3), "subject", db_get(res, row, 4), "severity", db_get(res, row, 5),
                     "detail", db_get(res, row, 6), "raised_at", time_format(db_get_i64(res, row, 7), raised),
                     "seen_at", time_format(db_get_i64(res, row, 8), seen), "times",
                     (json_int_t)db_get_i64(res, row, 9), "cleared_at",
                     open ? NULL : time_format(db_get_i64(res, row, 10), cleared));
}

static const struct api_list events_list = {DB_OPERATOR, &list_stmt, event_json};

static void events_get(struct api_request *r)
{
    const char *severity = api_query(r, "severity"), *open = api_query(r, "open");

    if (severity != NULL && event_severity_parse(severity) == EVENT_SEVERITIES) {
        api_problem(r, 400, "bad_request", "severity must be info, warning or critical");
        return;
    }
    if (open != NULL && strcmp(open, "true") != 0 && strcmp(open, "false") != 0) {
        api_problem(r, 400, "bad_request", "open must be true or false");
        return;
    }
    const struct db_param own[] = {db_text(severity), db_text(open)};
    api_list(r, &events_list, own, 2);
}

const struct api_route api_events_routes[API_EVENTS_ROUTES] = {
    {"GET", "/v1/events", CALLER_ADMIN, 0, API_BODY_NONE, events_get},
};
