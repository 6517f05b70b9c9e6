-- What operators are to know of.

-- One open event for each thing that is wrong: (org, kind, subject). `org` is whose the subject is: 'cloud', or an org.
create table event (
    org text collate "C" not null,
    id bigint not null generated always as identity,
    kind text collate "C" not null check (kind ~ '^[a-z_]{1,32}$'),
    subject text collate "C" not null check (octet_length(subject) <= 128),
    severity text collate "C" not null check (severity in ('info', 'warning', 'critical')),
    detail text not null check (octet_length(detail) <= 2000),
    raised_at timestamptz not null default now(),
    seen_at timestamptz not null default now(), -- when it was last said to hold
    times bigint not null default 1,            -- how often that was said
    cleared_at timestamptz,
    primary key (org, id)
) with (fillfactor = 80);
create unique index event_open on event (org, kind, subject) where cleared_at is null;
create index event_id on event (id);
create index event_cleared on event (cleared_at) where cleared_at is not null;
grant select on event to berth_operator;

-- Says that something holds: true where that is news. At most a thousand are open; one more is said by one event, 'too_many_events'.
create function event_raise(of_org text, of_kind text, of_subject text, of_severity text, of_detail text) returns boolean
    language plpgsql volatile security definer
    set search_path from current
as $$
declare
    fresh boolean;
begin
    if not exists (select from event where org = of_org and kind = of_kind and subject = of_subject and cleared_at is null)
        and (select count(*) from event where cleared_at is null) >= 1000 then
        of_org := 'cloud';
        of_kind := 'too_many_events';
        of_subject := '';
        of_severity := 'critical';
        of_detail := 'A thousand events are open: what else happens is not told until some are cleared.';
    end if;
    insert into event as e (org, kind, subject, severity, detail) values (of_org, of_kind, of_subject, of_severity, of_detail)
        on conflict (org, kind, subject) where cleared_at is null
        do update set severity = excluded.severity, detail = excluded.detail, seen_at = now(), times = e.times + 1
        returning times = 1 into fresh;
    return fresh;
end
$$;
revoke execute on function event_raise from public;
grant execute on function event_raise to berth_operator;

-- True where it was open.
create function event_clear(of_org text, of_kind text, of_subject text) returns boolean
    language plpgsql volatile security definer
    set search_path from current
as $$
begin
    update event set cleared_at = now() where org = of_org and kind = of_kind and subject = of_subject and cleared_at is null;
    return found;
end
$$;
revoke execute on function event_clear from public;
grant execute on function event_clear to berth_operator;

-- Clears what nobody has said again for that long, of the kinds that are said as often as they are met with, and what was said of nodes that
-- are no more; forgets what was cleared long ago, and the oldest of more than so many.
create function event_tidy(quiet_s bigint, keep_s bigint, keep_most bigint) returns void
    language sql volatile
    set search_path from current
as $$
    update event set cleared_at = now() where cleared_at is null and (
        (kind in ('overloaded', 'no_node', 'too_many_events') and seen_at < now() - quiet_s * interval '1 second')
        or (kind = 'node_health' and not exists (
            select from node n where n.org = event.org and n.id = event.subject and n.deleted_at is null)));
    delete from event where cleared_at < now() - keep_s * interval '1 second';
    delete from event where ctid = any (array(
        select ctid from event where cleared_at is not null order by cleared_at desc offset keep_most limit 10000));
$$;
revoke execute on function event_tidy from public;
