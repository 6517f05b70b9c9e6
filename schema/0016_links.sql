-- What nodes are told of their meetings: that one is over several nodes, and which; and who was made to leave. A node asks for what has changed
-- since it last asked, so a heartbeat costs one look at an index, however many meetings there are.

lock table meeting, participant in share row exclusive mode; -- nobody may come or go between the rows that are made here and the triggers

alter table node add column media_key text; -- base64url of its public key for links, made at its start; null: it has none

-- One row for each node that a meeting is over, where these are several, or were lately (agent ''); and one for whoever is no longer in a meeting
-- at that node. `changed` is the transaction's: whoever has seen all below a snapshot's xmin misses nothing by asking from there on.
create table node_news (
    org text collate "C" not null,
    meeting text collate "C" not null,
    node_org text collate "C" not null,
    node text collate "C" not null,
    agent text collate "C" not null,
    epoch bigint not null default 0, -- of the plan that the row is of
    gone boolean not null default false,
    leaf boolean not null default false, -- it can't be joined to all others: it has one link, to the hub
    hub boolean not null default false,
    changed xid8 not null default pg_current_xact_id(),
    at timestamptz not null default clock_timestamp(),
    primary key (org, meeting, node_org, node, agent)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_threshold = 1000);
create index node_news_changed on node_news (node_org, node, changed, org, meeting, agent);
create index node_news_old on node_news (at) where gone;

-- ---- meetings over several nodes ----

-- The hub of a meeting that has leaves: a cloud node that is in it, else the one that was its hub, else the nearest to its nodes that is well. None
-- for a private meeting that no cloud node is in.
create function node_news_hub(of_org text, of_meeting text, node_orgs text[], nodes text[]) returns text
    language plpgsql stable security definer set search_path from current
as $$
declare
    found_id text;
begin
    select n.node into found_id from unnest(node_orgs, nodes) as n (org, node) where n.org = 'cloud' order by 1 limit 1;
    if found_id is not null then
        return found_id;
    end if;
    if (select coalesce((policy->>'private')::boolean, false) from meeting where org = of_org and id = of_meeting) then
        return null;
    end if;
    return (select c.id from node c
        join node_load l on l.org = c.org and l.node = c.id
        left join node_health h on h.org = c.org and h.node = c.id
        left join node_news was on was.org = of_org collate "C" and was.meeting = of_meeting collate "C"
            and was.node_org = c.org and was.node = c.id and was.agent = '' and was.hub and not was.gone
        where c.org = 'cloud' and c.deleted_at is null and c.media_key is not null and not c.drain and not l.draining
            and not l.stopping and l.heartbeat_at > now() - interval '15 seconds' and coalesce(h.state, 0) < 2
        order by was.node is null,
            (select sum(case when r.rtt_us >= 0 then r.rtt_us else 1000000 end) from unnest(node_orgs, nodes) as n (org, node)
                left join node_rtt r on r.org = n.org collate "C" and r.node = n.node collate "C"
                    and r.to_org = c.org and r.to_node = c.id), c.id
        limit 1);
end
$$;
revoke execute on function node_news_hub from public;

-- Under the lock of the meeting's row.
create function node_news_spread(of_org text, of_meeting text, of_epoch bigint, node_orgs text[], nodes text[]) returns void
    language plpgsql volatile security definer set search_path from current
as $$
declare
    leaves boolean[];
    hub_id text;
begin
    -- Two mesh nodes are joined directly where one of them has reached the other lately.
    select array_agg(s.org <> 'cloud' and exists (select from unnest(node_orgs, nodes) as o (org, node)
            where o.org <> 'cloud' and (o.org, o.node) <> (s.org, s.node) and not exists (select from node_rtt r
                where r.org = s.org collate "C" and r.node = s.node collate "C" and r.to_org = o.org collate "C" and r.to_node = o.node collate "C"
                    and r.rtt_us >= 0 and r.at > now() - interval '20 minutes')
                and not exists (select from node_rtt r
                where r.org = o.org collate "C" and r.node = o.node collate "C" and r.to_org = s.org collate "C" and r.to_node = s.node collate "C"
                    and r.rtt_us >= 0 and r.at > now() - interval '20 minutes')) order by s.i)
        into leaves from unnest(node_orgs, nodes) with ordinality as s (org, node, i);
    if true = any (leaves) then
        hub_id := node_news_hub(of_org, of_meeting, node_orgs, nodes);
        if hub_id is null then -- the direct way may work all the same
            leaves := array_fill(false, array[cardinality(nodes)]);
        elsif not exists (select from unnest(node_orgs, nodes) as n (org, node) where n.org = 'cloud' and n.node = hub_id) then
            node_orgs := node_orgs || 'cloud'::text;
            nodes := nodes || hub_id;
            leaves := leaves || false;
        end if;
    end if;
    insert into node_news as n (org, meeting, node_org, node, agent, epoch, leaf, hub)
        select of_org, of_meeting, v.node_org, v.node, '', of_epoch, v.leaf, v.node_org = 'cloud' and v.node is not distinct from hub_id
        from unnest(node_orgs, nodes, leaves) as v (node_org, node, leaf)
        on conflict (org, meeting, node_org, node, agent) do update set epoch = excluded.epoch, leaf = excluded.leaf,
            hub = excluded.hub, gone = false, changed = excluded.changed, at = excluded.at;
    update node_news n set epoch = of_epoch, gone = true, leaf = false, hub = false, changed = pg_current_xact_id(), at = clock_timestamp()
        where n.org = of_org collate "C" and n.meeting = of_meeting collate "C" and n.agent = '' and not n.gone
            and not exists (select from unnest(node_orgs, nodes) as v (node_org, node) where v.node_org = n.node_org and v.node = n.node);
end
$$;
revoke execute on function node_news_spread from public;

-- Whatever changes who is where raises the epoch in the same statement, so by its end everybody's row is there.
create function meeting_spread() returns trigger language plpgsql security definer set search_path from current as $$
declare
    of_org text := coalesce(new.org, old.org);
    of_meeting text := coalesce(new.id, old.id);
    node_orgs text[];
    nodes text[];
begin
    select array_agg(p.node_org order by p.node_org, p.node), array_agg(p.node order by p.node_org, p.node) into node_orgs, nodes
        from (select distinct node_org, node from participant where org = of_org collate "C" and meeting = of_meeting collate "C") p;
    if tg_op <> 'DELETE' and cardinality(nodes) > 1 then
        perform node_news_spread(of_org, of_meeting, new.epoch, node_orgs, nodes);
    else
        update node_news set epoch = coalesce(new.epoch, old.epoch), gone = true, leaf = false, hub = false,
            changed = pg_current_xact_id(), at = clock_timestamp()
            where org = of_org collate "C" and meeting = of_meeting collate "C" and agent = '' and not gone;
    end if;
    return null;
end
$$;
create trigger meeting_spread after update of epoch on meeting for each row when (old.epoch <> new.epoch) execute function meeting_spread();
create trigger meeting_unspread after delete on meeting for each row execute function meeting_spread();

-- A node that has started again has another key: those that it is joined to are told.
create function node_news_key() returns trigger language plpgsql security definer set search_path from current as $$
begin
    update node_news n set changed = pg_current_xact_id(), at = clock_timestamp()
        from node_news mine where mine.node_org = new.org and mine.node = new.id and mine.agent = '' and not mine.gone
            and n.org = mine.org and n.meeting = mine.meeting and n.agent = '' and not n.gone;
    return null;
end
$$;
create trigger node_key_changed after update of media_key on node for each row
    when (old.media_key is distinct from new.media_key) execute function node_news_key();

-- ---- who is no longer in a meeting ----

-- Their tickets up to this moment don't count any more. Who comes back has a newer one.
create function participants_removed() returns trigger language plpgsql security definer set search_path from current as $$
begin
    insert into node_news (org, meeting, node_org, node, agent, gone) select org, meeting, node_org, node, agent, true from went
        on conflict (org, meeting, node_org, node, agent) do update set changed = excluded.changed, at = excluded.at;
    return null;
end
$$;
create trigger participants_removed after delete on participant referencing old table as went
    for each statement execute function participants_removed();

-- ---- asking ----

create function node_news_since(of_org text, of_node text, since xid8) returns boolean
    language sql stable security definer set search_path from current
as $$
    select coalesce((select changed from node_news where node_org = of_org collate "C" and node = of_node collate "C"
        order by changed desc limit 1) >= since, false) -- the index's last entry, whatever the planner thinks of `since`
$$;
revoke execute on function node_news_since from public;
grant execute on function node_news_since to berth_operator;

-- So many rows from `since` on, behind the one that is named by the last four of the place, oldest first. `others`: the nodes that the meeting is
-- over as well, with their keys.
create function node_news_read(of_org text, of_node text, since xid8, after_changed xid8, after_org text, after_meeting text, after_agent text,
        at_most bigint)
    returns table (changed xid8, org text, meeting text, agent text, epoch bigint, gone boolean, leaf boolean, hub boolean, at timestamptz,
        others jsonb)
    language sql stable security definer set search_path from current
as $$
    select n.changed, n.org, n.meeting, n.agent, n.epoch, n.gone, n.leaf, n.hub, n.at,
        case when n.agent = '' and not n.gone then (
            select jsonb_agg(jsonb_build_object('org', o.node_org, 'node', o.node, 'leaf', o.leaf, 'hub', o.hub, 'key', k.media_key,
                'known', k.deleted_at is null and k.id is not null)
                order by o.node_org, o.node)
            from node_news o left join node k on k.org = o.node_org and k.id = o.node
            where o.org = n.org and o.meeting = n.meeting and o.agent = '' and not o.gone
                and (o.node_org, o.node) <> (n.node_org, n.node)) end
    from node_news n
    where n.node_org = of_org collate "C" and n.node = of_node collate "C" and n.changed >= since
        and (n.changed, n.org, n.meeting, n.agent) > (after_changed, after_org collate "C", after_meeting collate "C", after_agent collate "C")
    order by n.changed, n.org, n.meeting, n.agent limit at_most
$$;
revoke execute on function node_news_read from public;
grant execute on function node_news_read to berth_operator;

-- What is over for so long has been told, or is told no more: who asks with an older place is given everything anew.
create function node_news_drop(older_s bigint, at_most bigint) returns void
    language sql volatile security definer set search_path from current
as $$
    delete from node_news where ctid = any (array(select ctid from node_news
        where gone and at < now() - older_s * interval '1 second' limit at_most for update skip locked))
$$;
revoke execute on function node_news_drop from public;
grant execute on function node_news_drop to berth_operator;

-- An agent that is erased is not remembered here either.
alter table node_news enable row level security;
create policy node_news_tenant on node_news to berth_tenant using (org = current_setting('berth.org', true));
grant select (org, agent), delete on node_news to berth_tenant;

-- Meetings that are over several nodes as this begins.
do $$
declare
    m record;
begin
    for m in select p.org, p.meeting, max(t.epoch) as epoch from participant p
        join meeting t on t.org = p.org and t.id = p.meeting group by p.org, p.meeting having count(distinct (p.node_org, p.node)) > 1
    loop
        perform node_news_spread(m.org, m.meeting, m.epoch, array_agg(d.node_org order by d.node_org, d.node), array_agg(d.node order by d.node_org, d.node))
            from (select distinct node_org, node from participant where org = m.org and meeting = m.meeting) d;
    end loop;
end
$$;
