-- Most changes of who is where leave a meeting on its one node: that is seen by a look for somebody elsewhere, which is cheaper than to list the nodes.

create or replace function meeting_spread() returns trigger language plpgsql security definer set search_path from current as $$
declare
    of_org text := coalesce(new.org, old.org);
    of_meeting text := coalesce(new.id, old.id);
    node_orgs text[];
    nodes text[];
begin
    if tg_op <> 'DELETE' and exists (select from participant p where p.org = new.org and p.meeting = new.id
            and (p.node_org, p.node) is distinct from (new.node_org, new.node)) then
        select array_agg(p.node_org order by p.node_org, p.node), array_agg(p.node order by p.node_org, p.node) into node_orgs, nodes
            from (select distinct node_org, node from participant where org = of_org collate "C" and meeting = of_meeting collate "C") p;
    end if;
    if cardinality(nodes) > 1 then
        perform node_news_spread(of_org, of_meeting, new.epoch, node_orgs, nodes);
    else
        update node_news set epoch = coalesce(new.epoch, old.epoch), gone = true, leaf = false, hub = false,
            changed = pg_current_xact_id(), at = clock_timestamp()
            where org = of_org collate "C" and meeting = of_meeting collate "C" and agent = '' and not gone;
    end if;
    return null;
end
$$;
