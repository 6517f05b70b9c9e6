-- Nodes and what they say of themselves; meetings and who is on which node.
-- Every unique key contains the org, so the tables can be distributed by it.

-- ---- nodes (role operator) ----

-- One line: it changes with every change of a node and with nothing else, so whoever holds a copy of the nodes knows whether it is right.
create table catalogue (
    one boolean primary key default true check (one),
    version bigint not null
);
insert into catalogue (version) values (1);

-- A cloud node's org is 'cloud'; any other org's node is a mesh node of its own. Ids are unique within an org; where a cloud node and a
-- mesh node share one, the cloud node counts.
create table node (
    org text collate "C" not null,
    id text collate "C" not null,
    cluster text collate "C" not null,
    region text collate "C" not null,
    addresses jsonb not null,  -- as bound: {"udp": ["ip:port"], "tcp": [], "tls": []}
    advertised jsonb,          -- what is handed out instead, by transport
    tls_name text not null default '',
    capacity bigint not null default 0, -- participants; 0: no limit
    labels jsonb not null default '{}',
    location jsonb,            -- {"lat", "lon"}
    services jsonb,
    drain boolean not null default false,
    created_at timestamptz not null default now(),
    deleted_at timestamptz,    -- reports made shortly before may still name it
    primary key (org, id)
);

create function catalogue_changed() returns trigger language plpgsql as $$
begin
    update catalogue set version = version + 1;
    perform pg_notify('berth_catalogue', '');
    return null;
end
$$;
-- By row, not by statement: an upsert that changes nothing is no change.
create trigger node_changed after insert or update or delete on node
    for each row execute function catalogue_changed();

-- Written every few seconds by every node: no index but the key, and room on the page, so that updates stay there.
create table node_load (
    org text collate "C" not null,
    node text collate "C" not null,
    heartbeat_at timestamptz not null default now(),
    cpu real not null default 0,
    packets_per_s bigint not null default 0,
    sessions bigint not null default 0,
    bandwidth_bps bigint not null default 0,
    draining boolean not null default false,
    stopping boolean not null default false,
    primary key (org, node)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.5);

grant select, update on catalogue to berth_operator;
grant select, insert, update, delete on node, node_load to berth_operator;

-- ---- meetings and participants (role tenant) ----

create table meeting (
    org text collate "C" not null,
    id text collate "C" not null,
    policy jsonb not null default '{}',
    epoch bigint not null default 0, -- raised by every change of the plan: who decides on an old one has to decide again
    node_org text collate "C",       -- the meeting's node, once there was one for all
    node text collate "C",
    created_at timestamptz not null default now(),
    primary key (org, id)
) with (fillfactor = 70);

create table participant (
    org text collate "C" not null,
    meeting text collate "C" not null,
    agent text collate "C" not null,
    node_org text collate "C" not null,
    node text collate "C" not null,
    transport smallint not null, -- 0 udp, 1 tcp, 2 tls, 3 proxy: the one expected
    ladder smallint[] not null,  -- what is tried, in order
    network text collate "C",    -- as named when joining; null: not said
    capabilities smallint,       -- bits, as named when joining; null: as the report says
    joined_at timestamptz not null default now(),
    assigned_at timestamptz not null default now(), -- when node or transport last changed
    primary key (org, meeting, agent),
    foreign key (org, meeting) references meeting (org, id) on delete cascade
) with (fillfactor = 80);
create index participant_node on participant (node_org, node);
create index participant_agent on participant (org, agent);

-- Not forced on the owner, as reports are: the functions below count for it, and no connection that serves requests acts as the owner.
alter table meeting enable row level security;
alter table participant enable row level security;
create policy meeting_tenant on meeting to berth_tenant using (org = current_setting('berth.org', true));
create policy participant_tenant on participant to berth_tenant using (org = current_setting('berth.org', true));
grant select, insert, update, delete on meeting, participant to berth_tenant;

-- The operator may count who is where, and learn nothing else.
create policy participant_operator on participant for select to berth_operator using (true);
grant select (node_org, node) on participant to berth_operator;

-- Can this node take so many more now: 'ok', 'full', 'drained' or 'gone'. It looks across orgs, and tells that one word. Who asks about
-- a node that can fill up holds it until the end of the transaction; volatile, so that the count sees what the one before committed.
create function node_takes(of_org text, of_node text, more bigint) returns text
    language plpgsql volatile security definer
    set search_path from current
as $$
declare
    n record;
begin
    select capacity, drain into n from node where org = of_org and id = of_node and deleted_at is null;
    if not found then
        return 'gone';
    elsif n.drain then
        return 'drained';
    elsif n.capacity = 0 or more <= 0 then
        return 'ok';
    end if;
    perform pg_advisory_xact_lock(hashtextextended(of_org || '/' || of_node, 0));
    if (select count(*) from participant where node_org = of_org and participant.node = of_node) + more > n.capacity then
        return 'full';
    end if;
    return 'ok';
end
$$;
revoke execute on function node_takes from public;
grant execute on function node_takes to berth_tenant;

-- A deleted org's key may be taken for good for a few seconds more: nothing lasting may be made with it.
create function org_lives(of_org text) returns boolean
    language sql stable security definer
    set search_path from current
as $$
    select exists (select from org where id = of_org and deleted_at is null)
$$;
revoke execute on function org_lives from public;
grant execute on function org_lives to berth_tenant, berth_operator;
