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
