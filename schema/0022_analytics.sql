-- Analytics over all orgs, for the operator: a sample of live reports, without the addresses that they were seen from.

-- The caller is to be the cloud itself (berth.org), as which controllers ask for the operator alone.
create function analytics_begin() returns void language plpgsql
    set search_path from current
as $$
begin
    if current_setting('berth.org', true) is distinct from 'cloud' then
        raise insufficient_privilege using message = 'only the operator may ask about all organisations';
    end if;
end
$$;

-- Of each org as many, those of its first agents by name, and at_most in all.
create function analytics_sample(at_most bigint)
    returns table (org text, agent text, network text, net4 bigint, net6 bigint, measured_at timestamptz, names text[],
        node smallint[], transport smallint[], status smallint[], rtt_min_us int[])
    language plpgsql stable security definer
    set search_path from current
as $$
begin
    perform analytics_begin();
    perform set_config('berth.analyst', 'on', true);
    return query
        with orgs as materialized (select o.id from org o where o.id <> 'cloud' and o.deleted_at is null)
        select s.org::text, s.agent::text, s.network::text, s.net4, s.net6, s.measured_at, s.names, s.node, s.transport, s.status, s.rtt_min_us
        from orgs cross join lateral (
            select * from report r where r.org = orgs.id and r.expires_at > now() order by r.agent
            limit at_most / (select count(*) from orgs) + 1) s
        limit at_most;
    perform set_config('berth.analyst', '', true);
end
$$;

-- What calls measured: of each org as many, its newest.
create function analytics_told(lifetime_s bigint, at_most bigint) returns table (calls jsonb)
    language plpgsql stable security definer
    set search_path from current
as $$
begin
    perform analytics_begin();
    perform set_config('berth.analyst', 'on', true);
    return query
        with orgs as materialized (select o.id from org o where o.id <> 'cloud' and o.deleted_at is null)
        select s.calls from orgs cross join lateral (
            select r.calls from report r where r.org = orgs.id and r.calls is not null
                and r.measured_at > now() - lifetime_s * interval '1 second' order by r.measured_at desc
            limit at_most / (select count(*) from orgs) + 1) s
        limit at_most;
    perform set_config('berth.analyst', '', true);
end
$$;

revoke execute on function analytics_begin, analytics_sample, analytics_told from public;
grant execute on function analytics_sample, analytics_told to berth_tenant;
