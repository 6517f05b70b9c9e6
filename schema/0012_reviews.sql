-- Meetings that are decided on again because a node can't serve any longer: found by who is on it, a few at a time, by any controller.

alter table meeting
    add column review_after timestamptz,                -- not looked at again before then; null: never looked at
    add column review_tries smallint not null default 0; -- since the plan last changed

-- So many meetings that have somebody on one of these nodes, whom nobody else has just taken up. One that stays where it is comes again after
-- 10 seconds, then 20, 40, ... two minutes. It looks across orgs.
create function review_claim(node_orgs text[], nodes text[], at_most bigint)
    returns table (org text, meeting text)
    language sql volatile security definer
    set search_path from current
as $$
    with due as (
        select m.org, m.id from meeting m
        where (m.org, m.id) in (select p.org, p.meeting from unnest(node_orgs, nodes) as n (org, node)
                join participant p on p.node_org = n.org collate "C" and p.node = n.node collate "C")
            and (m.review_after is null or m.review_after < now())
        order by m.review_after nulls first limit at_most
        for update skip locked
    )
    update meeting m set review_tries = least(m.review_tries + 1, 10)::smallint,
        review_after = now() + least(10 * power(2, m.review_tries), 120) * interval '1 second'
    from due where m.org = due.org and m.id = due.id
    returning m.org, m.id
$$;
revoke execute on function review_claim from public;
grant execute on function review_claim to berth_operator;

-- The meetings that these agents are in.
create function review_meetings(orgs text[], agents text[])
    returns table (org text, meeting text)
    language sql stable security definer
    set search_path from current
as $$
    select distinct p.org, p.meeting from unnest(orgs, agents) as a (org, agent)
    join participant p on p.org = a.org collate "C" and p.agent = a.agent collate "C"
$$;
revoke execute on function review_meetings from public;
grant execute on function review_meetings to berth_operator;
