-- Events' room, by org.

-- Says that something holds: true where that is news. Of the cloud's a thousand are open at most, of an org's a hundred, and of all orgs' a thousand: so an
-- org takes neither another's room nor the cloud's. One more is said by one event, 'too_many_events', of whose room it is; for that and for
-- 'nodes_silent' there always is room, one of each an org.
create or replace function event_raise(of_org text, of_kind text, of_subject text, of_severity text, of_detail text) returns boolean
    language plpgsql volatile security definer
    set search_path from current
as $$
declare
    fresh boolean;
    most int := case when of_org = 'cloud' then 1000 else 100 end;
begin
    if of_kind not in ('nodes_silent', 'too_many_events')
        and not exists (select from event where org = of_org and kind = of_kind and subject = of_subject and cleared_at is null) then
        if (select count(*) from event where org = of_org and cleared_at is null and kind <> 'too_many_events') >= most then
            of_detail := format('%s events of %s are open: what else happens there is not told until some are cleared.', most,
                case when of_org = 'cloud' then 'the cloud' else of_org end);
            of_kind := 'too_many_events';
        elsif of_org <> 'cloud' and (select count(*) from event where org <> 'cloud' and cleared_at is null) >= 1000 then
            of_detail := 'A thousand events of organisations are open: what else happens in theirs is not told until some are cleared.';
            of_org := 'cloud';
            of_kind := 'too_many_events';
        end if;
        if of_kind = 'too_many_events' then
            of_subject := '';
            of_severity := 'critical';
        end if;
    end if;
    insert into event as e (org, kind, subject, severity, detail) values (of_org, of_kind, of_subject, of_severity, of_detail)
        on conflict (org, kind, subject) where cleared_at is null
        do update set severity = excluded.severity, detail = excluded.detail, seen_at = now(), times = e.times + 1
        returning times = 1 into fresh;
    return fresh;
end
$$;
