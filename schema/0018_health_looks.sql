-- Looking at probes: so many results at most, whatever one org reports, in a statement of its own, so that the turns go on without it.

-- As before; but the sample is of results, as one report may hold thousands, and of orgs, so that none crowds the others out. Blocks are gone through
-- without the arrays. Of an org its agents' newest reports count, 64 and 16384 results at most, and of all orgs 65536 results, each org's
-- newest reports first, of 4096 reports. Each is gone through by itself, hashed: what the planner guesses of arrays' lengths would have it
-- compare every name with every result.
create or replace function node_probe_look(blocks bigint) returns void
    language plpgsql volatile
    set search_path from current
    set enable_nestloop = off
    set jit = off
as $$
declare
    p record;
    rows text := 'select '''' as part, ctid as at, org, agent, received_at from report_none';
    whole text := 'select org, agent, names, node, status from report_none';
begin
    for p in select q.name, pg_relation_size(to_regclass(q.name)) / current_setting('block_size')::bigint as size
        from report_partition q where q.lo <= now() and q.hi > now() - interval '1 minute' and to_regclass(q.name) is not null
    loop
        rows := format('%s union all select %L, ctid, org, agent, received_at from %I where ctid >= ''(%s,0)''::tid'
            || ' and received_at > now() - interval ''1 minute''', rows, p.name, p.name, greatest(p.size - blocks, 0));
        whole := format('%s union all select org, agent, names, node, status from %I'
            || ' where ctid = any (array(select at from queue where part = %L))', whole, p.name, p.name);
    end loop;
    delete from node_probe;
    execute 'insert into node_probe with report_none as (select null::tid as ctid, * from report where false), newest as ('
        || 'select distinct on (org, agent) * from (' || rows || ') r order by org, agent, received_at desc'
        || '), queue as materialized (select * from ('
        || 'select n.*, row_number() over (partition by org order by received_at desc, agent) as place from newest n) n where place <= 64 order by place, org limit 4096'
        || '), own as (select q.place, w.*, cardinality(w.status) as size, sum(cardinality(w.status)) over (partition by org order by q.place) as upto'
        || ' from (' || whole || ') w join queue q using (org, agent)'
        || '), every as (select o.*, sum(size) over (order by place, org) as upto_all from own o where upto <= 16384'
        || '), votes as (select e.org, r.id as node, count(*) filter (where not r.reached) as failed, count(*) filter (where r.reached) as worked'
        || ' from every e, lateral (select n.id, s.reached, bool_or(s.reached) over () as online'
        || ' from (select u.node as at, bool_or(u.status = 1) as reached from unnest(e.node, e.status) as u (node, status) where u.status <> 0 group by 1) s'
        || ' join unnest(e.names) with ordinality as n (id, at) on n.at = s.at) r'
        || ' where e.upto_all <= 65536 and r.online group by 1, 2)'
        || ' select k.org, k.id, count(*) filter (where v.failed >= 3 and v.failed >= 4 * v.worked),'
        || ' count(*) filter (where v.worked > 0 and not (v.failed >= 3 and v.failed >= 4 * v.worked))'
        || ' from votes v join node k on k.id = v.node and k.org in (''cloud'', v.org) and k.deleted_at is null group by 1, 2';
end
$$;

-- True for one controller every so often: it is to look. That it was its turn is kept, whatever becomes of the look.
create function health_probes_due(every_ms bigint) returns boolean
    language plpgsql volatile security definer
    set search_path from current
as $$
begin
    update health_turn set probes_at = now() where probes_at < now() - every_ms * interval '1 millisecond';
    return found;
end
$$;
revoke execute on function health_probes_due from public;
grant execute on function health_probes_due to berth_operator;

create function health_probes_look() returns void
    language plpgsql volatile security definer
    set search_path from current
as $$
begin
    delete from node_health h where not exists (
        select from node n where n.org = h.org and n.id = h.node and n.deleted_at is null);
    if pg_try_advisory_xact_lock(7305804402570) then
        perform node_probe_look(1024);
    end if;
exception when undefined_table or lock_not_available then
    null; -- a partition is just being dropped
end
$$;
revoke execute on function health_probes_look from public;
grant execute on function health_probes_look to berth_operator;

-- Whether it is time for a turn. `alone`: there is no second org. The one with two arguments is what older controllers ask.
create function health_begin(period_ms bigint) returns table (turn bigint, now_us bigint, alone boolean)
    language sql stable security definer
    set search_path from current
as $$
    select h.turn, berth_us(clock_timestamp()),
        (select count(*) from (select from org o where o.id <> 'cloud' and o.deleted_at is null limit 2) orgs) < 2
    from health_turn h where h.at <= now() - period_ms * interval '1 millisecond'
$$;
revoke execute on function health_begin(bigint) from public;
grant execute on function health_begin(bigint) to berth_operator;
