-- Nodes that did not work for participants: who is not to be given which node over which transport, and what nodes are blamed for.

-- One row an agent, node and transport, the latest: so nobody counts twice. One that counts comes from a participant that was on the node
-- when it said so: nobody blames nodes that it wasn't given. Kept for half an hour.
create table node_failure (
    org text collate "C" not null, -- of the agent
    agent text collate "C" not null,
    node_org text collate "C" not null,
    node text collate "C" not null,
    transport smallint not null, -- 0 udp, 1 tcp, 2 tls, 3 proxy
    reason text,                 -- as the agent says; for people
    counted boolean not null,
    at timestamptz not null default now(),
    primary key (org, agent, node_org, node, transport)
);
create index node_failure_at on node_failure (at);
create index node_failure_counted on node_failure (org, at) where counted;

alter table node_failure enable row level security;
create policy node_failure_tenant on node_failure to berth_tenant using (org = current_setting('berth.org', true));
grant select, insert, update, delete on node_failure to berth_tenant;

-- 'new'; 'repeat' where it is being avoided already, which changes nothing; 'many' where the agent has at_most of them; 'no_meeting',
-- 'no_agent'. And until when (Unix time in microseconds) the agent isn't given that node over that transport. Of an org 1000 at a time count.
create function node_failure_put(of_org text, of_meeting text, of_agent text, of_node_org text, of_node text, over smallint,
        why text, avoid_s bigint, at_most bigint)
    returns table (word text, until_us bigint)
    language plpgsql volatile
as $$
declare
    there boolean;
    since timestamptz := now() - avoid_s * interval '1 second';
    known timestamptz;
begin
    select (p.node_org, p.node) = (of_node_org, of_node) into there from participant p
        where p.org = of_org and p.meeting = of_meeting and p.agent = of_agent;
    if not found then
        return query select case when exists (select from meeting m where m.org = of_org and m.id = of_meeting)
            then 'no_agent' else 'no_meeting' end, null::bigint;
        return;
    end if;
    select f.at into known from node_failure f where f.org = of_org and f.agent = of_agent
        and f.node_org = of_node_org and f.node = of_node and f.transport = over and f.at > since;
    if found then
        return query select 'repeat', berth_us(known) + avoid_s * 1000000;
        return;
    end if;
    if (select count(*) from node_failure f where f.org = of_org and f.agent = of_agent and f.at > since) >= at_most then
        return query select 'many', null::bigint;
        return;
    end if;
    there := there and (select count(*) from (select from node_failure f where f.org = of_org and f.counted
        and f.at > now() - interval '30 minutes' limit 1000) counting) < 1000;
    insert into node_failure (org, agent, node_org, node, transport, reason, counted)
        values (of_org, of_agent, of_node_org, of_node, over, why, there)
        on conflict (org, agent, node_org, node, transport)
        do update set reason = excluded.reason, counted = excluded.counted, at = excluded.at;
    return query select 'new', berth_us(now()) + avoid_s * 1000000;
end
$$;

-- How much each node is blamed: an agent counts 1 at first and half as much every half_life_s; an org no more than org_most, so that none
-- makes a node dear for the others by itself. Across orgs, and without saying whose agents they are.
create function node_failure_scores(half_life_s bigint, org_most double precision)
    returns table (node_org text, node text, score double precision, agents bigint, orgs bigint)
    language sql stable security definer
    set search_path from current
as $$
    select o.node_org, o.node, sum(o.weight), sum(o.agents)::bigint, count(*)
    from (select a.org, a.node_org, a.node, least(sum(a.weight), org_most) as weight, count(*) as agents
        from (select f.org, f.agent, f.node_org, f.node,
                max(power(0.5, extract(epoch from now() - f.at)::double precision / half_life_s)) as weight
            from node_failure f where f.counted and f.at > now() - interval '30 minutes' group by 1, 2, 3, 4) a
        group by 1, 2, 3) o
    group by 1, 2
    order by 1, 2
$$;
revoke execute on function node_failure_scores from public;
grant execute on function node_failure_scores to berth_operator;

-- What is no longer looked at goes, so many at a time.
create function node_failure_drop(at_most bigint) returns bigint
    language plpgsql volatile security definer
    set search_path from current
as $$
declare
    n bigint;
begin
    delete from node_failure where ctid = any (array(select f.ctid from node_failure f
        where f.at < now() - interval '30 minutes' order by f.at limit at_most for update skip locked));
    get diagnostics n = row_count;
    return n;
end
$$;
revoke execute on function node_failure_drop from public;
grant execute on function node_failure_drop to berth_operator;
