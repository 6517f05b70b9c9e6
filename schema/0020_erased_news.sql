-- An agent that is erased is no longer in its meetings, and the nodes that it was on hear of it without its name: for the hour that what is over is
-- told, the row has a hash that a node can compare with the names of those who are there. No agent's name begins with '~'.

-- True: there was something of the agent.
create function node_news_erase(of_org text, of_agent text) returns boolean
    language plpgsql volatile security definer set search_path from current
as $$
begin
    if of_org is distinct from current_setting('berth.org', true) then
        return false;
    end if;
    insert into node_news as n (org, meeting, node_org, node, agent, gone, at)
        select w.org, w.meeting, w.node_org, w.node,
            '~' || encode(sha256(convert_to(w.org || '/' || w.meeting || '/' || w.agent, 'UTF8')), 'hex'), true, w.at
        from node_news w where w.org = of_org collate "C" and w.agent = of_agent collate "C" and w.gone
        on conflict (org, meeting, node_org, node, agent) do update set changed = excluded.changed, at = excluded.at;
    delete from node_news where org = of_org collate "C" and agent = of_agent collate "C";
    return found;
end
$$;
revoke execute on function node_news_erase from public;
grant execute on function node_news_erase to berth_tenant;
revoke delete on node_news from berth_tenant;
