/* The statement that stores reports, many at once: what a statement costs by itself (its start, its indexes' predicates, its partition) is more than
 * what most rows do. Invariant: the database's clock alone decides what is expired or too far ahead, inside the statement; the role can insert and
 * nothing else, so a repeat is told by a row that did not go in. */
#include "report_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char columns[] = "org, agent, report_id, measured_at, received_at, expires_at, network, mapped, "
                              "capabilities, names, addrs, node, "
                              "transport, status, framing, address, mapped_address, rtt_min_us, "
                              "rtt_median_us, rtt_p95_us, sent, received, "
                              "connect_us, tls_us, proxies, net4, net6, country, calls";
/* What report_row's parameters are: the fourth is measured_at, the fifth for how long it is alive. */
static const char *const types[REPORT_PARAMS] = {
    "text",       "text",       "uuid",   "bigint",     "bigint",     "text",       "text[]",
    "smallint",   "text[]",     "text[]", "smallint[]", "smallint[]", "smallint[]", "smallint[]",
    "smallint[]", "smallint[]", "int[]",  "int[]",      "int[]",      "int[]",      "int[]",
    "int[]",      "int[]",      "jsonb",  "bigint",     "bigint",     "text",       "jsonb"};
enum { HEAD_MAX = 1536, VALUE_MAX = 24, ALIASES_MAX = REPORT_PARAMS * 5 };

static char *put_row(char *p, size_t row)
{
    for (size_t i = 0; i < REPORT_PARAMS; i++)
        p += snprintf(p, VALUE_MAX, "%s$%zu::%s", i == 0 ? "(" : ",",
                      REPORT_INSERT_PARAMS + row * REPORT_PARAMS + i + 1, types[i]);
    return stpcpy(p, ")");
}

/* c6, c7 and so on, from `from` on. */
static char *put_names(char *p, size_t from)
{
    for (size_t i = from; i <= REPORT_PARAMS; i++)
        p += snprintf(p, VALUE_MAX, "%sc%zu", i == from ? "" : ",", i);
    return p;
}

char *report_insert_text(size_t rows)
{
    char *text = malloc(HEAD_MAX + sizeof(columns) + 2 * (size_t)ALIASES_MAX +
                        rows * (REPORT_PARAMS * (size_t)VALUE_MAX + 2));
    char *p = text;

    if (text == NULL)
        return NULL;
    p += sprintf(p,
                 "with ins as (insert into report (%s) select c1, c2, c3, berth_time(c4), now(), "
                 "least(berth_time(c4), now()) + c5 * interval '1 second', ",
                 columns);
    p = stpcpy(put_names(p, 6), " from (values ");
    for (size_t i = 0; i < rows; i++)
        p = put_row(i == 0 ? p : stpcpy(p, ","), i);
    p = put_names(stpcpy(p, ") v ("), 1);
    stpcpy(p, ") where berth_time(c4) <= now() + interval '60 seconds' and berth_time(c4) + $1::bigint * "
              "interval '1 second' > now() "
              "on conflict do nothing returning 1) select berth_us(now()), count(*) from ins");
    return text;
}
