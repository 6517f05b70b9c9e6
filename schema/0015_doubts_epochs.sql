-- The controllers' doubts of themselves, for the cloud and for each org's mesh apart; and what followed from a review of the queries.

-- Of whose nodes most are silent at once: 'cloud', or an org. Their silence counts for nothing. Written with a turn of node_health. (health_turn
-- has columns for one doubt over all, which controllers of before this table read.)
create table health_doubt (
    org text collate "C" primary key,
    heard_at timestamptz -- when most were heard again; null: they aren't yet
);
grant select on health_doubt to berth_operator;

-- The doubts there are, and the events open for doubts.
create function health_doubts() returns table (org text, doubt boolean, heard_us bigint, told boolean)
    language sql stable security definer
    set search_path from current
as $$
    select coalesce(d.org, e.org), d.org is not null, berth_us(d.heard_at), e.org is not null
    from health_doubt d full join (select v.org from event v where v.kind = 'nodes_silent' and v.subject = '' and v.cleared_at is null) e
        on e.org = d.org
$$;
revoke execute on function health_doubts from public;
grant execute on function health_doubts to berth_operator;

-- Ends a turn: writes all doubts, [{"org", "heard"}], and what has changed of nodes, [{"org", "node", "state", "cause", "since", "bad",
-- "strikes"}], unless another controller has ended it first.
create function health_end(of_turn bigint, doubts jsonb, changed jsonb) returns boolean
    language plpgsql volatile security definer
    set search_path from current
as $$
begin
    if not health_end(of_turn, exists (select from jsonb_array_elements(doubts) d where d ->> 'org' = 'cloud'), 0, changed) then
        return false;
    end if;
    delete from health_doubt h where not exists (select from jsonb_array_elements(doubts) d where d ->> 'org' = h.org);
    insert into health_doubt as h (org, heard_at)
        select v.org, case when v.heard > 0 then berth_time(v.heard) end from jsonb_to_recordset(doubts) as v (org text, heard bigint)
        on conflict (org) do update set heard_at = excluded.heard_at where h.heard_at is distinct from excluded.heard_at;
    return true;
end
$$;
revoke execute on function health_end(bigint, jsonb, jsonb) from public;
grant execute on function health_end(bigint, jsonb, jsonb) to berth_operator;

-- A meeting that is deleted and made again is another one: no plan that was made for the one before is kept for it.
alter table meeting alter column epoch set default berth_us(clock_timestamp());

-- As before, of the newest ten thousand: every controller asks every second.
create or replace function node_failure_scores(half_life_s bigint, org_most double precision)
    returns table (node_org text, node text, score double precision, agents bigint, orgs bigint)
    language sql stable security definer
    set search_path from current
as $$
    select o.node_org, o.node, sum(o.weight), sum(o.agents)::bigint, count(*)
    from (select a.org, a.node_org, a.node, least(sum(a.weight), org_most) as weight, count(*) as agents
        from (select f.org, f.agent, f.node_org, f.node,
                max(power(0.5, extract(epoch from now() - f.at)::double precision / half_life_s)) as weight
            from (select * from node_failure where counted and at > now() - interval '30 minutes' order by at desc limit 10000) f
            group by 1, 2, 3, 4) a
        group by 1, 2, 3) o
    group by 1, 2
    order by 1, 2
$$;

-- As before; and that somebody is stranded is said at every try for the meeting, which come two minutes apart at most.
create or replace function event_tidy(quiet_s bigint, keep_s bigint, keep_most bigint) returns void
    language sql volatile
    set search_path from current
as $$
    update event set cleared_at = now() where cleared_at is null and (
        (kind in ('overloaded', 'no_node', 'too_many_events') and seen_at < now() - quiet_s * interval '1 second')
        or (kind = 'stranded' and (seen_at < now() - (quiet_s + 120) * interval '1 second'
            or not exists (select from participant p
                where p.node_org in ('cloud', event.org) and p.node = event.subject and p.org = event.org)))
        or (kind = 'node_health' and not exists (
            select from node n where n.org = event.org and n.id = event.subject and n.deleted_at is null)));
    delete from event where cleared_at < now() - keep_s * interval '1 second';
    delete from event where ctid = any (array(
        select ctid from event where cleared_at is not null order by cleared_at desc offset keep_most limit 10000));
$$;
