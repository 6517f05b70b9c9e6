-- Orgs and their keys, and reports: append-only, one row each, in partitions by time.
-- Every unique key contains the org, so the tables can be distributed by it.

-- Roles. A program logs in as the owner of the schema and does SET ROLE; only migrations and the housekeeper act as the owner.
do $$
declare
    wanted text;
begin
    foreach wanted in array array['berth_tenant', 'berth_ingest', 'berth_operator'] loop
        begin
            if not exists (select from pg_roles where rolname = wanted) then
                execute format('create role %I nologin', wanted);
            end if;
        exception when duplicate_object or unique_violation then
            null; -- another database of this cluster is being migrated at the same time
        end;
        if not pg_has_role(current_user, wanted, 'member') then
            execute format('grant %I to %I', wanted, current_user);
        end if;
    end loop;
    execute format('grant usage on schema %I to berth_tenant, berth_ingest, berth_operator', current_schema());
    grant select on berth_schema to berth_operator; -- which migrations there were
end
$$;

-- Unix time in microseconds, both ways, exact.
create function berth_us(timestamptz) returns bigint
    language sql immutable strict parallel safe
    return (extract(epoch from $1) * 1000000)::bigint;
create function berth_time(bigint) returns timestamptz
    language sql immutable strict parallel safe
    return timestamptz 'epoch' + $1 * interval '1 microsecond';

create function berth_notify() returns trigger language plpgsql as $$
begin
    perform pg_notify(tg_argv[0], '');
    return null;
end
$$;

-- ---- orgs and keys (role operator) ----

create table org (
    id text collate "C" primary key check (id ~ '^[a-z0-9]{1,32}$'),
    name text not null,
    created_at timestamptz not null default now(),
    deleted_at timestamptz -- its keys stop; the row stays, so that the id isn't used again
);
insert into org (id, name) values ('cloud', 'cloud nodes');

-- No secret is kept: it is derived from the master key. A row is never removed, so a revoked key stays revoked.
create table api_key (
    org text collate "C" not null,
    key_id text collate "C" not null,
    kind text not null check (kind in ('org', 'node')),
    created_at timestamptz not null default now(),
    revoked_at timestamptz,
    primary key (org, key_id)
);
create index api_key_revoked on api_key (key_id) where revoked_at is not null;

create trigger org_changed after insert or update or delete on org
    for each statement execute function berth_notify('berth_auth');
create trigger api_key_changed after insert or update or delete on api_key
    for each statement execute function berth_notify('berth_auth');

grant select, insert, update on org, api_key to berth_operator;

-- ---- reports ----

-- Names and addresses stand once per report, in `names` and `addrs`; the arrays of results refer to them by position from 1, 0 is none:
-- names[node[i]] is the node of result i. A figure that was not measured is -1.
create table report (
    org text collate "C" not null,
    agent text collate "C" not null,
    report_id uuid not null,
    measured_at timestamptz not null,
    received_at timestamptz not null,
    expires_at timestamptz not null,
    network text collate "C" not null,
    mapped text[] not null,
    capabilities smallint, -- bits: 1 udp, 2 tcp, 4 tls, 8 proxy; null: not said
    names text[] not null,
    addrs text[] not null,
    node smallint[] not null,
    transport smallint[] not null, -- 0 udp, 1 tcp, 2 tls, 3 proxy
    status smallint[] not null,    -- 0 untested, 1 reachable, 2 timeout, 3 refused, 4 tls_error, 5 proxy_error
    framing smallint[] not null,   -- 0 not said, 1 stun, 2 websocket
    address smallint[] not null,
    mapped_address smallint[] not null,
    rtt_min_us int[] not null,
    rtt_median_us int[] not null,
    rtt_p95_us int[] not null,
    sent int[] not null,
    received int[] not null,
    connect_us int[] not null,
    tls_us int[] not null,
    proxies jsonb, -- {"<position from 1>": {"via", "url", "scheme", "auth", "tls_intercepted"}}; null where there is none
    primary key (org, agent, measured_at, report_id)
) partition by range (measured_at);

-- Rights are on the parent alone; a granted partition would go round its policies.
alter table report enable row level security;
alter table report force row level security;
create policy report_tenant on report to berth_tenant using (org = current_setting('berth.org', true));
create policy report_ingest on report for insert to berth_ingest with check (true);
grant select, delete on report to berth_tenant;
grant insert on report to berth_ingest;

-- The partitions there are. One may be dropped when keep_until has passed: nothing in it can be alive then. Every controller raises
-- keep_until to what its own lifetime needs; nobody lowers it.
create table report_partition (
    name text collate "C" primary key,
    lo timestamptz not null unique,
    hi timestamptz not null unique,
    keep_until timestamptz not null,
    check (lo < hi),
    exclude using gist (tstzrange(lo, hi) with &&)
);
grant select on report_partition to berth_operator, berth_tenant;
grant update (keep_until) on report_partition to berth_operator;

-- The live report of each (agent, network), a null network meaning the one last reported. Agents that have none give no row. A report
-- from a clock that is ahead is as new as its receipt.
create function live_report(of_org text, agents text[], networks text[]) returns setof report
    language sql stable rows 10
as $$
    select r.*
    from unnest(agents, networks) as asked (agent, network)
    cross join lateral (
        select * from report
        where report.org = of_org and report.agent = asked.agent collate "C"
            and (asked.network is null or report.network = asked.network collate "C")
            and report.expires_at > now()
        order by least(report.measured_at, report.received_at) desc, report.received_at desc
        limit 1
    ) r
$$;
