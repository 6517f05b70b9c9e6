-- Times to microseconds and back as expressions that become a part of the statement that has them. As they were, they spoke of what depends on the
-- session's time zone, though not in what they answer: so a statement called them as functions, each with a parser, planner and executor of its own.

create or replace function berth_us(timestamptz) returns bigint
    language sql immutable strict parallel safe
    return (extract(epoch from $1 at time zone 'UTC') * 1000000)::bigint;
create or replace function berth_time(bigint) returns timestamptz
    language sql immutable strict parallel safe
    return (timestamp 'epoch' + $1 * interval '1 microsecond') at time zone 'UTC';
