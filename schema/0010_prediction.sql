-- What live reports tell of those who have none: where reports come from, aggregates of them, and how wrong those were.

-- Sees the reports of every org inside the functions below, which set berth.analyst, and nowhere else: whoever calls them learns aggregates,
-- and of no other org's agents one by one. The schema's owner, as whom they run, is a member.
do $$
begin
    begin
        if not exists (select from pg_roles where rolname = 'berth_analyst') then
            create role berth_analyst nologin;
        end if;
    exception when duplicate_object or unique_violation then
        null; -- another database of this cluster is being migrated at the same time
    end;
    if not pg_has_role(current_user, 'berth_analyst', 'member') then
        execute format('grant berth_analyst to %I', current_user);
    end if;
end
$$;

-- Of the first public address of each family that nodes saw: the /24 as its 24 bits, the /48 as its 48; and the country, where
-- the controller knows countries. Null: none.
alter table report
    add column net4 bigint,
    add column net6 bigint,
    add column country text collate "C";
create index report_network on report (org, network, measured_at);
create index report_own_net4 on report (org, net4, measured_at) where net4 is not null;
create index report_own_net6 on report (org, net6, measured_at) where net6 is not null;
create index report_net4 on report (net4, org, measured_at) where net4 is not null;
create index report_net6 on report (net6, org, measured_at) where net6 is not null;
create index report_country on report (country, org, measured_at) where country is not null;

create policy report_analyst on report for select to berth_analyst using (current_setting('berth.analyst', true) = 'on');

-- ---- samples: so many live reports at most, each agent once, however many there are ----

create type vantage as (
    org text, agent text, names text[], node smallint[], transport smallint[], status smallint[], rtt int[]);

-- The newest of one network.
create function vantage_network(of_org text, of_network text) returns vantage[] language plpgsql stable as $$
begin
    return array(
        select distinct on (r.agent)
            (r.org, r.agent, r.names, r.node, r.transport, r.status, r.rtt_min_us)::vantage
        from (select * from report where org = of_org and network = of_network and expires_at > now()
            order by measured_at desc limit 16) r
        order by r.agent, r.measured_at desc);
end
$$;

-- One org's, of the nearest prefixes at or above and below `at` within the range.
create function vantage_near(of_org text, family int, lo bigint, at bigint, hi bigint) returns vantage[]
    language plpgsql stable as $$
begin
    if family = 4 then
        return array(
            select distinct on (r.agent)
                (r.org, r.agent, r.names, r.node, r.transport, r.status, r.rtt_min_us)::vantage
            from ((select * from report where org = of_org and net4 between at and hi and expires_at > now()
                    order by net4, measured_at limit 16)
                union all
                (select * from report where org = of_org and net4 >= lo and net4 < at and expires_at > now()
                    order by net4 desc, measured_at desc limit 16)) r
            order by r.agent, r.measured_at desc);
    end if;
    return array(
        select distinct on (r.agent)
            (r.org, r.agent, r.names, r.node, r.transport, r.status, r.rtt_min_us)::vantage
        from ((select * from report where org = of_org and net6 between at and hi and expires_at > now()
                order by net6, measured_at limit 16)
            union all
            (select * from report where org = of_org and net6 >= lo and net6 < at and expires_at > now()
                order by net6 desc, measured_at desc limit 16)) r
        order by r.agent, r.measured_at desc);
end
$$;

-- One org's: the newest of a country, or, where that is null, those of the agents whose names stand next to this one's, which costs the
-- same however large the org is.
create function vantage_org(of_org text, of_agent text, of_country text) returns vantage[]
    language plpgsql stable as $$
begin
    if of_country is not null then
        return array(
            select distinct on (r.agent)
                (r.org, r.agent, r.names, r.node, r.transport, r.status, r.rtt_min_us)::vantage
            from (select * from report where org = of_org and country = of_country and expires_at > now()
                order by measured_at desc limit 16) r
            order by r.agent, r.measured_at desc);
    end if;
    return array(
        select distinct on (r.agent)
            (r.org, r.agent, r.names, r.node, r.transport, r.status, r.rtt_min_us)::vantage
        from ((select * from report where org = of_org and agent >= of_agent collate "C" and expires_at > now()
                order by agent, measured_at limit 16)
            union all
            (select * from report where org = of_org and agent < of_agent collate "C" and expires_at > now()
                order by agent desc, measured_at desc limit 16)) r
        order by r.agent, r.measured_at desc);
end
$$;

-- Other orgs' of one prefix (family 4 or 6) or country (family 0): from org to org by index, the four newest of each of sixteen orgs.
create function vantage_others(not_org text, family int, of_net bigint, of_country text) returns vantage[]
    language plpgsql stable as $$
declare
    found_orgs text[] := '{}';
    next_org text := '';
begin
    while cardinality(found_orgs) < 16 loop
        if family = 4 then
            select r.org into next_org from report r where r.net4 = of_net and r.org > next_org and r.org <> not_org
                and r.expires_at > now() order by r.org limit 1;
        elsif family = 6 then
            select r.org into next_org from report r where r.net6 = of_net and r.org > next_org and r.org <> not_org
                and r.expires_at > now() order by r.org limit 1;
        else
            select r.org into next_org from report r where r.country = of_country and r.org > next_org and r.org <> not_org
                and r.expires_at > now() order by r.org limit 1;
        end if;
        exit when next_org is null;
        found_orgs := found_orgs || next_org;
    end loop;
    return array(
        select distinct on (r.org, r.agent)
            (r.org, r.agent, r.names, r.node, r.transport, r.status, r.rtt_min_us)::vantage
        from unnest(found_orgs) as o (org)
        cross join lateral (
            (select * from report where family = 4 and report.org = o.org and net4 = of_net and expires_at > now()
                order by measured_at desc limit 4)
            union all
            (select * from report where family = 6 and report.org = o.org and net6 = of_net and expires_at > now()
                order by measured_at desc limit 4)
            union all
            (select * from report where family = 0 and report.org = o.org and country = of_country and expires_at > now()
                order by measured_at desc limit 4)) r
        order by r.org, r.agent, r.measured_at desc);
end
$$;

-- ---- sums ----

-- By node and transport: how many tested it, how many reached it, the median of their least round trips, and how far the middle half of
-- them lie apart. `shared`: agents of other orgs; then a figure stands where at least five agents of at least three orgs reached a cloud
-- node, in whole 5 ms. No row where there is nothing to tell.
create function vantage_sum(vs vantage[], shared boolean)
    returns table (agents bigint, names text[], transport int[], tested int[], reached int[], rtt_us int[], spread_us int[])
    language plpgsql stable as $$
begin
    return query
        with cell as (
            select v.names[r.node] as name, r.transport,
                count(*) filter (where r.status <> 0) as n_tested,
                count(*) filter (where r.status = 1 and r.rtt >= 0) as n_reached,
                count(distinct v.org) filter (where r.status = 1 and r.rtt >= 0) as n_orgs,
                percentile_disc(array[0.25, 0.5, 0.75]) within group (order by r.rtt)
                    filter (where r.status = 1 and r.rtt >= 0) as q
            from unnest(vs) v, unnest(v.node, v.transport, v.status, v.rtt) as r (node, transport, status, rtt)
            group by 1, 2),
        told as (
            select * from cell c where case when shared
                then n_reached >= 5 and n_orgs >= 3
                    and exists (select from node n where n.org = 'cloud' and n.id = c.name and n.deleted_at is null)
                else n_tested > 0 end)
        select cardinality(vs)::bigint, array_agg(t.name::text), array_agg(t.transport::int),
            array_agg(t.n_tested::int), array_agg(t.n_reached::int),
            array_agg(case when shared then (t.q[2] + 4999) / 5000 * 5000 else coalesce(t.q[2], -1) end::int),
            array_agg(case when shared then (t.q[3] - t.q[1] + 4999) / 5000 * 5000 else coalesce(t.q[3] - t.q[1], 0) end::int)
        from told t having count(*) > 0;
end
$$;

-- ---- predictions ----

-- What can be told of an agent of the caller's org that has no live report. One row for each of `networks` from which somebody reported.
-- Where there was none for the first of them, which is the agent's (null: not said), one more, network null, from the nearest there is:
-- its prefix, other orgs' of that prefix, a wider one, the org, other orgs' of the country. `own`: prefixes that were said to be its own,
-- and `seen`, that a connection came from: other orgs are asked about those alone. of_agent null: the networks alone.
create function predict(of_agent text, networks text[], own4 bigint, own6 bigint, seen4 bigint, seen6 bigint, of_country text)
    returns table (source text, network text, agents bigint, names text[], transport int[], tested int[], reached int[],
        rtt_us int[], spread_us int[])
    language plpgsql stable security definer
    set search_path from current
as $$
declare
    me text := current_setting('berth.org');
    at4 bigint := coalesce(own4, seen4);
    at6 bigint := coalesce(own6, seen6);
    vs vantage[];
    place record;
    told boolean := false;
begin
    perform set_config('berth.analyst', 'on', true);
    for place in select n.name, n.i from unnest(networks) with ordinality as n (name, i) loop
        vs := vantage_network(me, place.name);
        return query select 'network'::text, place.name::text, s.* from vantage_sum(vs, false) s;
        told := told or (found and place.i = 1);
    end loop;
    for place in
        select * from (values
            (1, 'prefix', 4, 0, at4, null), (2, 'prefix', 6, 0, at6, null),
            (3, 'others', 4, 0, seen4, null), (4, 'others', 6, 0, seen6, null),
            (5, 'wider', 4, 4, at4, null), (6, 'wider', 6, 8, at6, null),
            (7, 'wider', 4, 8, at4, null), (8, 'wider', 6, 16, at6, null),
            (9, 'org', 0, 0, null, of_country), (10, 'org', 0, 0, 0, null),
            (11, 'country', 0, 0, null, of_country)) as p (i, kind, family, bits, net, country)
        where not told and of_agent is not null and (p.net is not null or p.country is not null) order by i
    loop
        vs := case place.kind
            when 'others' then vantage_others(me, place.family, place.net, null)
            when 'country' then vantage_others(me, 0, null, place.country)
            when 'org' then vantage_org(me, of_agent, place.country)
            else vantage_near(me, place.family, place.net >> place.bits << place.bits, place.net,
                ((place.net >> place.bits) + 1 << place.bits) - 1)
            end;
        return query select case when place.i = 9 then 'org_country' else place.kind end, null::text, s.*
            from vantage_sum(vs, place.kind in ('others', 'country')) s;
        exit when found;
    end loop;
    perform set_config('berth.analyst', '', true);
end
$$;

-- ---- how wrong they were ----

-- The last prediction that somebody was seated by: until that agent reports, or for as long as a report lives. Not forced on the owner,
-- as whom they are judged.
create table prediction (
    org text collate "C" not null,
    agent text collate "C" not null,
    source text collate "C" not null,
    node text collate "C" not null,
    rtt_us int not null,
    made_at timestamptz not null default now(),
    looked_at timestamptz not null default now(), -- whether it has reported
    primary key (org, agent)
) with (fillfactor = 80);
create index prediction_looked_at on prediction (looked_at);
alter table prediction enable row level security;
create policy prediction_tenant on prediction to berth_tenant using (org = current_setting('berth.org', true));
grant select, insert, update, delete on prediction to berth_tenant;

-- Of at most so many of them, those looked at longest ago: who has reported since, by how much it was wrong (null: that node was not
-- reached). They are done with, as are those older than a report lives.
create function predictions_judge(at_most bigint, lifetime_s bigint) returns table (source text, error_us bigint)
    language plpgsql volatile security definer
    set search_path from current
as $$
begin
    perform set_config('berth.analyst', 'on', true);
    return query
        with due as materialized (
            select p.org, p.agent from prediction p order by p.looked_at limit at_most for update skip locked),
        looked as materialized (
            select p.*, r.agent is not null as reported,
                (select t.rtt from unnest(r.node, r.transport, r.status, r.rtt_min_us) as t (node, transport, status, rtt)
                    where r.names[t.node] = p.node and t.status = 1 and t.rtt >= 0 order by t.transport limit 1) as measured,
                exists (select from unnest(r.names) n where n = p.node) as told
            from due join prediction p using (org, agent)
            left join lateral live_report(p.org, array[p.agent::text], null) r on r.received_at > p.made_at),
        gone as (
            delete from prediction p using looked l where p.org = l.org and p.agent = l.agent
                and (l.reported or l.made_at < now() - lifetime_s * interval '1 second')),
        kept as (
            update prediction p set looked_at = clock_timestamp() from looked l where p.org = l.org and p.agent = l.agent
                and not (l.reported or l.made_at < now() - lifetime_s * interval '1 second'))
        select l.source::text, abs(l.measured - l.rtt_us)::bigint from looked l where l.reported and l.told;
    perform set_config('berth.analyst', '', true);
end
$$;

-- ---- who may ----

revoke execute on function predict, predictions_judge from public;
grant execute on function predict to berth_tenant;
