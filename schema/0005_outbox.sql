-- What agents are to be told through GET /v1/stream, whichever controller it was put in by.
-- Every unique key contains the org, so the tables can be distributed by it.

-- An agent's events are numbered without gaps in the order in which they were committed: who puts one holds this row until the end of its
-- transaction. Numbers begin at the time in milliseconds, so that those of a row that was dropped never come again.
create table outbox_head (
    org text collate "C" not null,
    agent text collate "C" not null,
    since bigint not null, -- the first event's number is the next one
    last bigint not null,
    touched date not null default current_date, -- when the last event was put
    primary key (org, agent)
) with (fillfactor = 70);
create index outbox_head_touched on outbox_head (touched);

-- Appended, never updated. The oldest go: by outbox_put past 256 of one agent, by outbox_drop by age.
create table outbox (
    org text collate "C" not null,
    agent text collate "C" not null,
    seq bigint not null,
    kind text collate "C" not null check (kind ~ '^[a-z_]{1,32}$'),
    body jsonb not null check (octet_length(body::text) <= 32768),
    at timestamptz not null default now(),
    primary key (org, agent, seq)
);
create index outbox_at on outbox (at);

-- Not forced on the owner, who cleans up.
alter table outbox_head enable row level security;
alter table outbox enable row level security;
create policy outbox_head_tenant on outbox_head to berth_tenant using (org = current_setting('berth.org', true));
create policy outbox_tenant on outbox to berth_tenant using (org = current_setting('berth.org', true));
grant select, insert, update, delete on outbox_head to berth_tenant;
grant select, insert, delete on outbox to berth_tenant;

-- The operator may see that there is something new, and not what.
create policy outbox_head_operator on outbox_head for select to berth_operator using (true);
grant select (org, agent, last) on outbox_head to berth_operator;

create function outbox_ms(timestamptz) returns bigint
    language sql immutable strict parallel safe
    return (extract(epoch from $1) * 1000)::bigint;

-- Puts an event, and answers its number. Who puts several in one transaction does so in the order of their agents, or two such
-- transactions may wait for each other. A statement for each step: what a transaction that was waited for had put is seen.
create function outbox_put(of_org text, of_agent text, of_kind text, of_body jsonb) returns bigint
    language plpgsql volatile
as $$
declare
    started bigint := outbox_ms(clock_timestamp());
    number bigint;
begin
    insert into outbox_head as h (org, agent, since, last) values (of_org, of_agent, started, started + 1)
        on conflict (org, agent) do update set last = h.last + 1, touched = current_date
        returning last into number;
    insert into outbox (org, agent, seq, kind, body) values (of_org, of_agent, number, of_kind, of_body);
    delete from outbox o where o.org = of_org and o.agent = of_agent and o.seq <= number - 256;
    return number;
end
$$;

-- What has come after the position that each of these agents has reached; a null position is one that was never reached. One row an agent
-- at least: `last` is where it stands now, `floor` the position from which nothing is missing, seq is null where there is nothing.
-- Who has no row yet is a while behind its first event, which may be under way; none has been dropped for a day.
create function outbox_read(of_org text, agents text[], positions bigint[], at_most int)
    returns table (i bigint, last bigint, floor bigint, seq bigint, kind text, body text)
    language sql stable rows 100
as $$
    select asked.i, coalesce(h.last, outbox_ms(now()) - 600000),
        case when h.last is null then outbox_ms(now()) - 86400000
            when kept.first is null then h.last
            when kept.first = h.since + 1 then h.since - 86400000
            else kept.first - 1 end,
        e.seq, e.kind, e.body::text
    from unnest(agents, positions) with ordinality as asked (agent, position, i)
    left join outbox_head h on h.org = of_org and h.agent = asked.agent collate "C"
    left join lateral (select o.seq as first from outbox o where o.org = of_org and o.agent = asked.agent collate "C"
        order by o.seq limit 1) kept on true
    left join lateral (select o.seq, o.kind, o.body from outbox o where o.org = of_org and o.agent = asked.agent collate "C"
        and o.seq > asked.position order by o.seq limit at_most) e on true
    order by asked.i, e.seq
$$;

-- Drops at most so many events that are older, and heads to which nothing was put for more than a day; answers how many events.
-- What somebody is just working on is left for the next time.
create function outbox_drop(older_s bigint, at_most bigint) returns bigint
    language plpgsql volatile
as $$
declare
    n bigint;
begin
    delete from outbox where ctid = any (array(
        select o.ctid from outbox o where o.at < now() - older_s * interval '1 second' order by o.at limit at_most
        for update skip locked));
    get diagnostics n = row_count;
    delete from outbox_head where ctid = any (array(
        select h.ctid from outbox_head h where h.touched < current_date - 1
            and not exists (select from outbox o where o.org = h.org and o.agent = h.agent)
        limit at_most for update skip locked));
    return n;
end
$$;
revoke execute on function outbox_drop from public;
