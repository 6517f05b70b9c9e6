-- What agents measured in calls, beside what the assignment counted on: in the report that brings it. A report of calls alone has
-- expires_at = measured_at, so it is never alive for anybody who looks for live ones; it goes with its partition, as all do.
alter table report add column calls jsonb; -- null: none
create index report_calls on report (org, measured_at) where calls is not null;

-- As before; but of an agent's newest report that is alive, as what tells of calls alone says nothing of what was probed.
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
            || ' and received_at > now() - interval ''1 minute'' and expires_at > now()', rows, p.name, p.name, greatest(p.size - blocks, 0));
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
