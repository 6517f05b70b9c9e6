-- The nodes' health, which puts nodes out of service and back by itself.

-- Participants at the last heartbeat: who came since is not in its figures yet.
alter table node_load add column assigned bigint not null default 0;

-- Where a node stands; no row: in service since ever. Written by whichever controller has its turn: see health_turn.
create table node_health (
    org text collate "C" not null,
    node text collate "C" not null,
    state smallint not null,      -- 0 in service, 1 suspect, 2 quarantined, 3 probation
    cause smallint not null,      -- 0 none, 1 silence, 2 failures, 3 probes
    since timestamptz not null,
    bad_at timestamptz not null,  -- when something spoke against it last
    strikes int not null,         -- how often it was quarantined of late
    primary key (org, node)
) with (fillfactor = 70);

-- One line. A controller that decides reads `turn` first and writes only where it is still that: so of several that decide at once, one counts.
create table health_turn (
    one boolean primary key default true check (one),
    turn bigint not null default 0,
    at timestamptz not null default '-infinity',
    probes_at timestamptz not null default '-infinity',
    doubt boolean not null default false, -- all nodes seem dead at once: the controllers suspect themselves
    heard_at timestamptz                  -- in doubt: when the first node was heard again
);
insert into health_turn default values;

-- What the orgs' agents say of nodes, by their newest reports: orgs for which it fails, and for which it works.
create table node_probe (
    org text collate "C" not null,
    node text collate "C" not null,
    fail bigint not null,
    work bigint not null,
    primary key (org, node)
);

grant select on node_health, health_turn, node_probe to berth_operator;

-- The newest reports are at the end of the partition of now, as rows are only ever appended: its last blocks are a sample whose cost doesn't
-- depend on how many there are. Of each agent its newest report counts, if it reached anything at all. An org says of a node that it
-- fails where three or more of its agents tried and no more than a fifth of those reached it; that it works, where any other of
-- its agents reached it.
create function node_probe_look(blocks bigint) returns void
    language plpgsql volatile
    set search_path from current
as $$
declare
    p record;
    sample text := 'select org, agent, received_at, names, node, status from report_none';
begin
    for p in select q.name, pg_relation_size(to_regclass(q.name)) / current_setting('block_size')::bigint as size
        from report_partition q where q.lo <= now() and q.hi > now() - interval '1 minute' and to_regclass(q.name) is not null
    loop
        sample := format('%s union all select org, agent, received_at, names, node, status from %I where ctid >= ''(%s,0)''::tid'
            || ' and received_at > now() - interval ''1 minute''', sample, p.name, greatest(p.size - blocks, 0));
    end loop;
    delete from node_probe;
    execute 'insert into node_probe with report_none as (select * from report where false), newest as ('
        || 'select distinct on (org, agent) org, agent, names, node, status from (' || sample || ') s order by org, agent, received_at desc'
        || '), seen as (select n.org, n.agent, n.names[r.node] as node, bool_or(r.status = 1) as reached'
        || ' from newest n, lateral unnest(n.node, n.status) as r (node, status) where r.status <> 0 group by 1, 2, 3'
        || '), fair as (select * from seen s where exists (select from seen o where o.org = s.org and o.agent = s.agent and o.reached)'
        || '), votes as (select f.org, f.node, count(*) filter (where not reached) as failed, count(*) filter (where reached) as worked'
        || ' from fair f group by 1, 2)'
        || ' select k.org, k.id, count(*) filter (where v.failed >= 3 and v.failed >= 4 * v.worked),'
        || ' count(*) filter (where v.worked > 0 and not (v.failed >= 3 and v.failed >= 4 * v.worked))'
        || ' from votes v join node k on k.id = v.node and k.org in (''cloud'', v.org) and k.deleted_at is null group by 1, 2';
end
$$;
revoke execute on function node_probe_look from public;

-- Whether it is time for a turn; then also what has to be looked at seldom is looked at.
create function health_begin(period_ms bigint, probes_ms bigint)
    returns table (turn bigint, now_us bigint, doubt boolean, heard_us bigint, doubt_told boolean)
    language plpgsql volatile security definer
    set search_path from current
as $$
declare
    t record;
begin
    select * into t from health_turn h;
    if t.at > now() - period_ms * interval '1 millisecond' then
        return;
    end if;
    if t.probes_at < now() - probes_ms * interval '1 millisecond' and pg_try_advisory_xact_lock(7305804402570) then
        update health_turn set probes_at = now();
        begin
            perform node_probe_look(64);
        exception when undefined_table or lock_not_available then
            null; -- a partition is just being dropped
        end;
        delete from node_health h where not exists (
            select from node n where n.org = h.org and n.id = h.node and n.deleted_at is null);
    end if;
    return query select t.turn, berth_us(clock_timestamp()), t.doubt, berth_us(t.heard_at), exists (
        select from event e where e.org = 'cloud' and e.kind = 'nodes_silent' and e.subject = '' and e.cleared_at is null);
end
$$;
revoke execute on function health_begin from public;
grant execute on function health_begin to berth_operator;

-- What is known of every node. Failures: one row an org, halved every minute, an agent counting once; at most the newest ten thousand.
create function health_evidence()
    returns table (org text, node text, state smallint, cause smallint, since_us bigint, bad_us bigint, strikes int, heartbeat_us bigint,
        planned boolean, participants bigint, failures double precision[], fail bigint, work bigint, told text)
    language sql stable security definer
    set search_path from current
as $$
    with agents as (
        select f.node_org, f.node, f.org, f.agent, max(power(2, -extract(epoch from now() - f.at) / 60)::double precision) as weight
        from (select * from node_failure where counted and at > now() - interval '10 minutes' order by at desc limit 10000) f
        group by 1, 2, 3, 4
    ), lately as (
        select node_org, node, org, sum(weight) as score from agents group by 1, 2, 3
    ), failed as (
        select node_org, node, array_agg(score) as failures from lately group by 1, 2
    ), counted as (
        select c.org, c.name, sum(c.n)::bigint as n from (select * from tally union all select * from tally_change) c
        where c.what = 'participants' group by 1, 2
    )
    select n.org, n.id, h.state, h.cause, berth_us(h.since), berth_us(h.bad_at), h.strikes, berth_us(l.heartbeat_at),
        n.drain or l.draining or l.stopping, greatest(c.n, 0), f.failures, p.fail, p.work, e.severity
    from node n
    join node_load l on l.org = n.org and l.node = n.id
    left join node_health h on h.org = n.org and h.node = n.id
    left join counted c on c.org = n.org and c.name = n.id
    left join failed f on f.node_org = n.org and f.node = n.id
    left join node_probe p on p.org = n.org and p.node = n.id
    left join event e on e.org = n.org and e.kind = 'node_health' and e.subject = n.id and e.cleared_at is null
    where n.deleted_at is null
$$;
revoke execute on function health_evidence from public;
grant execute on function health_evidence to berth_operator;

-- Ends a turn: writes what has changed, [{"org", "node", "state", "cause", "since", "bad", "strikes"}], unless another controller has ended it
-- first.
create function health_end(of_turn bigint, in_doubt boolean, heard bigint, changed jsonb) returns boolean
    language plpgsql volatile security definer
    set search_path from current
as $$
begin
    update health_turn set turn = turn + 1, at = now(), doubt = in_doubt, heard_at = case when heard > 0 then berth_time(heard) end
        where turn = of_turn;
    if not found then
        return false;
    end if;
    insert into node_health as h (org, node, state, cause, since, bad_at, strikes)
        select v.org, v.node, v.state, v.cause, berth_time(v.since), berth_time(v.bad), v.strikes
        from jsonb_to_recordset(changed) as v (org text, node text, state smallint, cause smallint, since bigint, bad bigint, strikes int)
        on conflict (org, node) do update set state = excluded.state, cause = excluded.cause, since = excluded.since,
            bad_at = excluded.bad_at, strikes = excluded.strikes;
    return true;
end
$$;
revoke execute on function health_end from public;
grant execute on function health_end to berth_operator;
