-- What is done every so often is done as well where the last time lies ahead: the clock has been set back since, and for as long as that step was nobody
-- would judge the nodes, nor look at probes.

create or replace function health_probes_due(every_ms bigint) returns boolean
    language plpgsql volatile security definer
    set search_path from current
as $$
begin
    update health_turn set probes_at = now()
        where probes_at < now() - every_ms * interval '1 millisecond' or probes_at > now();
    return found;
end
$$;

create or replace function health_begin(period_ms bigint) returns table (turn bigint, now_us bigint, alone boolean)
    language sql stable security definer
    set search_path from current
as $$
    select h.turn, berth_us(clock_timestamp()),
        (select count(*) from (select from org o where o.id <> 'cloud' and o.deleted_at is null limit 2) orgs) < 2
    from health_turn h where h.at <= now() - period_ms * interval '1 millisecond' or h.at > now()
$$;
